// The options of `ambientctl tap`, a filter for each field of a flow.
import { type Command as Commander, Option } from 'commander';
import type { FlowField, FlowTerm } from '../telemetry/flow-filter.ts';
import { type Act, examples, withCluster, withMesh, withSelector } from './program-options.ts';

/**
 * How the values of each filter read; `from` and `to` in a name mean the source or the destination, without, either.
 */
const flowFilterTexts = {
  pod: 'NS/POD or POD, from its beginning',
  fromPod: 'NS/POD or POD, from its beginning',
  toPod: 'NS/POD or POD, from its beginning',
  label: 'app=web,tier!=db,env in (a,b),!old: labels of pods that are there',
  fromLabel: 'the same',
  toLabel: 'the same',
  namespace: 'NAMESPACE',
  fromNamespace: 'NAMESPACE',
  toNamespace: 'NAMESPACE',
  identity: 'a SPIFFE id, or NS/SERVICEACCOUNT',
  fromIdentity: 'a SPIFFE id, or NS/SERVICEACCOUNT',
  toIdentity: 'a SPIFFE id, or NS/SERVICEACCOUNT',
  ip: 'an address or ADDRESS/LENGTH',
  fromIp: 'an address or ADDRESS/LENGTH',
  toIp: 'an address or ADDRESS/LENGTH',
  toPort: 'a port',
  toService: 'NAME.NS, NS/NAME, NAME or a host name',
  verdict: 'forwarded, refused, failed',
  flag: 'a flag of the access log, such as NO_ENDPOINT',
  policy: 'NS/NAME or NAME of the policy that decided',
  transport: 'mtls, same-node, plaintext',
  protocol: 'tcp, http, http1, http2, grpc',
  method: 'GET, POST, …',
  path: 'the path, from its beginning; ~REGEX for a pattern',
  status: '404, 5xx, 500+, 400-499',
  route: 'a part of KIND/NS/NAME#RULE',
  requestId: 'an x-request-id',
  traceId: 'the id of a trace',
  slowerThan: 'a time such as 100ms or 2s',
  node: 'the node whose proxy saw it',
  waypoint: 'NS/NAME of the waypoint that saw it',
} as const satisfies Readonly<Record<FlowField, string>>;

const formats = ['compact', 'table', 'dict', 'json'];

/** Adds the command. */
export function addTapCommand(program: Commander, act: Act): void {
  const command = withCluster(program.command('tap'))
    .summary('what happens: connections and requests, as they are seen')
    .description(
      'Shows recent connections and requests as the proxies remember them, live with -f, or from a file. The same filter again ' +
        'means or, different filters mean and; --not negates the next one.',
    )
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('--last <n>', 'the last so many; default 20, and none of the past with -f')
    .option('--since <duration>', 'what ended in the last 5m, 30s, …')
    .option('--all-sides', 'what the source saw of a tunnel too')
    .option('--input-file <file>', 'flows that were saved with -o json; - is standard input')
    .addOption(new Option('-o, --output <format>', 'how flows are printed').choices(formats).default('compact'));
  addFilters(command);
  command
    .addHelpText(
      'after',
      examples([
        ['ambientctl tap -f', 'everything, live'],
        ['ambientctl tap -f --verdict refused', 'who is refused, and by which policy'],
        ['ambientctl tap --to-service payments.shop --status 5xx --status 429', 'bad answers of a service'],
        ['ambientctl tap -f -n shop --not --transport mtls', 'what is not encrypted'],
        ['ambientctl tap --from-label app=web,version!=v1', 'what these pods call'],
        ['ambientctl tap --since 5m -o json > flows.json', 'save; later: ambientctl tap --input-file flows.json'],
      ]),
    )
    .action(act(async () => (await import('./tap.ts')).tap));
}

const shortNames: Partial<Record<FlowField, string>> = { namespace: '-n, ', label: '-l, ' };

/** Terms are kept in the option `terms`, in the order in which they were given. */
function addFilters(command: Commander): void {
  let negated = false;
  const terms: FlowTerm[] = [];
  command.option('--not', 'negates the filter that follows');
  command.on('option:not', () => {
    negated = true;
  });
  const add = (field: FlowField) => (value: string) => {
    terms.push({ field, value, negated });
    negated = false;
    command.setOptionValue('terms', terms);
    return value;
  };
  for (const [field, what] of Object.entries(flowFilterTexts) as [FlowField, string][]) {
    const name = field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const short = shortNames[field] ?? '';
    command.addOption(new Option(`${short}--${name} <value>`, what).argParser(add(field)).helpGroup('Filters:'));
  }
}

const touching = 'only what touches pods that are there,';

/** Adds `stat` and `top`. */
export function addStatCommands(program: Commander, act: Act): void {
  withSelector(withMesh(program.command('stat')), touching)
    .argument('[kind]', 'services, workloads, namespaces or routes', 'services')
    .summary('success, requests per second and latency of the last minute')
    .description(
      'Sums up what the proxies remember, by what it went to: requests where a waypoint saw them, else connections.',
    )
    .option('-n, --namespace <ns>', 'only what touches this namespace')
    .option('-t, --window <duration>', 'of the last 1m, 10s, …; as far as the proxies remember')
    .option('--input-file <file>', 'flows that were saved by tap -o json; - is standard input')
    .addHelpText(
      'after',
      examples([
        ['ambientctl stat', 'every service'],
        ['ambientctl stat routes -n shop -t 10s', 'what each rule does, right now'],
        ['ambientctl stat workloads -o json | jq .workloads[].success', 'for scripts'],
      ]),
    )
    .action(act(async () => (await import('./stat.ts')).stat));
  withSelector(withMesh(program.command('top')), touching)
    .summary('the busiest paths, live')
    .description('Shows who asks whom for what, the busiest first, until Ctrl-C.')
    .option('-n, --namespace <ns>', 'only what touches this namespace')
    .option('-t, --window <duration>', 'of the last 1m, 10s, …')
    .option('--once', 'once, and no more')
    .option('--input-file <file>', 'flows that were saved by tap -o json; - is standard input')
    .addHelpText('after', examples([['ambientctl top -n shop -t 10s', 'the last ten seconds, again and again']]))
    .action(act(async () => (await import('./stat.ts')).top));
}
