// The command tree of `ambientctl`: names, options and help. What a command does is imported only when it runs, so
// that help is instant.
import { Command as Commander, Option } from 'commander';
import { version } from '../base/version.ts';
import { printResult } from './command.ts';
import { configViews, objectWords, selectedKinds } from './config-views.ts';
import { ownWordFor } from './foreign-words.ts';
import { type CliIo, coloured, plain } from './io.ts';
import { calledAs, renamed } from './manners.ts';
import { addAnalyzeCommand } from './program-analyze.ts';
import { addCheckCommand } from './program-check.ts';
import { addDashboardCommand } from './program-dashboard.ts';
import { addInstallCommands } from './program-install.ts';
import { addLabCommands } from './program-lab.ts';
import { addOperateCommands } from './program-operate.ts';
import { type Act, collect, examples, listFormats, withMesh, withSelector } from './program-options.ts';
import { addSimulateCommand } from './program-simulate.ts';
import { addStatCommands, addTapCommand } from './program-tap.ts';
import { addTestCommand } from './program-test.ts';

/** Where a command leaves its exit code. */
export interface Outcome {
  exitCode: number;
}

/** The program for one command line. */
export function buildProgram(io: CliIo, outcome: Outcome): Commander {
  const called = calledAs(io.env);
  const program = new Commander(called)
    .description('Looks into an Ambient mesh, explains what it does, and runs one on this machine (the lab).')
    .helpCommand(false)
    .version(version, '-V, --version', 'the version of this program')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(renamed(text, called)),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => Math.min(Math.max(io.columns, 80), 120),
      outputError: (text, write) => write(errorLine(text, io)),
    })
    .addHelpText('after', examples(topExamples) + exitCodeHelp);
  // Which mesh may stand before the command too, as with kubectl.
  for (const name of ['--lab <name>', '--kubeconfig <file>', '--context <name>']) {
    program.addOption(new Option(name).hideHelp());
  }
  const act: Act =
    (load) =>
    async (...args) => {
      const command = args.at(-1) as Commander;
      const positional = command.processedArgs.flat().filter((arg): arg is string => typeof arg === 'string');
      const options = command.optsWithGlobals<Record<string, unknown>>();
      if (options.allNamespaces === true) delete options.namespace;
      const run = await load();
      const context = { io, args: positional, options };
      const result = await run(context);
      outcome.exitCode = typeof result === 'number' ? result : await printResult(context, result);
    };
  addLookCommands(program, act);
  addDashboardCommand(program, act);
  addInstallCommands(program, act);
  addOperateCommands(program, act);
  addLabCommands(program, act);
  addCompletion(program, io, act);
  takeAllNamespaces(program);
  return program;
}

/** `-A` wherever `-n` narrows what is every namespace without it, as kubectl has it. */
function takeAllNamespaces(command: Commander): void {
  for (const one of command.commands) takeAllNamespaces(one);
  const narrowing = command.options.find(({ long }) => long === '--namespace');
  const isThere = command.options.some(({ short }) => short === '-A');
  if (narrowing === undefined || narrowing.defaultValue !== undefined || isThere) return;
  command.option('-A, --all-namespaces', 'every namespace, as it is without -n');
}

const topExamples: readonly [string, string][] = [
  ['ambientctl lab up -f deploy/samples/shop', 'a mesh on this machine, from ordinary manifests'],
  ['ambientctl edges -w', 'who talks to whom, live'],
  ['ambientctl why shop/web svc/payments.shop', 'may they talk, over what, and who decided'],
  ['ambientctl status', 'is every proxy up to date, was anything refused'],
  ['ambientctl config connections --node node-1', "a proxy's own view"],
];

const exitCodeHelp = `
Exit codes: 0 fine, 1 a failure was found, 2 usage or unreadable input, 3 not reachable, 4 timed out.
Data goes to stdout, talk to stderr. -o json prints everything that a table shows, and more; --no-headers leaves out the
first line of tables.
Colour: --color auto, always or never; NO_COLOR is honoured, and so is TERM=dumb.
`;

function addLookCommands(program: Commander, act: Act): void {
  withSelector(withMesh(program.command('status')), 'only proxies on nodes')
    .summary('proxies, whether they are in step, refused configuration')
    .description(
      'Shows every proxy, whether it holds what the controller serves, and what was refused, with its place.',
    )
    .option('-w, --watch', 'redraw every two seconds until Ctrl-C')
    .addHelpText(
      'after',
      examples([
        ['ambientctl status', 'exit 1 when something is not in step or was refused'],
        ['ambientctl status -o json | jq .proxies[].inStep', 'for scripts'],
      ]),
    )
    .action(act(async () => (await import('./status.ts')).status));

  addConfigCommands(program, act);

  withMesh(program.command('why'))
    .argument('<from>', 'NS/POD, deploy/NAME (with -n), or an IP; alone: what is called, by anybody')
    .argument('[to]', 'the same, or svc/NAME.NS; with :PORT where it has several')
    .summary('would this connection be allowed, how is it carried, who decides')
    .description(
      "Explains a connection or request before or after it happens. The answer is computed by the data path's own policy code. " +
        'With one argument: what is known of a destination for any caller, and who was seen calling it.',
    )
    .option('-f, --file <path>', 'explain manifests instead of a running mesh (repeatable)', collect)
    .option('-n, --namespace <ns>', 'where deploy/NAME is looked for', 'default')
    .option('--port <port>', 'the port, instead of :PORT')
    .option('--method <method>', 'of the request at a waypoint; GET when left out')
    .option('--path <path>', 'of the request; / when left out')
    .option('--header <header>', 'of the request, "NAME: VALUE" (repeatable)', collect)
    .option('--claims <json>', 'of a token whose signature is good, as a JSON object')
    .addHelpText(
      'after',
      examples([
        ['ambientctl why deploy/web svc/payments.shop -n shop', 'in the running lab'],
        ['ambientctl why -f deploy/samples/shop -n shop deploy/checkout svc/payments.shop:80', 'offline, for CI'],
        ['ambientctl why svc/payments.shop', 'who may call it, its policies, endpoints, and last callers'],
        ['ambientctl why shop/web 10.96.0.12:80 -o json', 'exit 0 allowed, 1 denied or unreachable'],
        [
          'ambientctl why shop/web svc/cart.shop --method POST --path /cart',
          'a request, at the waypoint of the service',
        ],
      ]),
    )
    .action(act(async () => (await import('./why.ts')).why));

  addEdges(program, act);
  addCheckCommand(program, act);
  addAnalyzeCommand(program, act);
  addSimulateCommand(program, act);
  addTestCommand(program, act);
  addTapCommand(program, act);
  addStatCommands(program, act);

  addCerts(program, act);

  addVersion(program, act);
}

function addEdges(program: Commander, act: Act): void {
  withSelector(withMesh(program.command('edges')), 'only edges that touch workloads whose pods are there,')
    .summary('who talks to whom, encrypted by which identities, refused by which policy')
    .description('Shows the edges of the mesh as its node proxies saw them since they started.')
    .option('-w, --watch', 'redraw every second until Ctrl-C')
    .option('-n, --namespace <ns>', 'only edges that touch this namespace')
    .addHelpText(
      'after',
      examples([
        ['ambientctl edges -w', 'live'],
        ['ambientctl edges -n shop -o wide', 'with bytes and failures'],
      ]),
    )
    .action(act(async () => (await import('./edges.ts')).edges));
}

function addVersion(program: Commander, act: Act): void {
  withMesh(program.command('version'))
    .summary('versions of this program and of the parts of the lab')
    .description('Prints the version of this program, and of the controller and the proxies of the lab if one runs.')
    .option('--client', 'this program only')
    .addHelpText(
      'after',
      examples([
        ['ambientctl version', 'and of the controller and each proxy'],
        ['ambientctl version --client -o json', 'asks nobody'],
      ]),
    )
    .action(act(async () => (await import('./version.ts')).version));
}

function addCerts(program: Commander, act: Act): void {
  withMesh(program.command('certs'))
    .summary('every certificate of the mesh: how long it is good, and whether it was renewed in time')
    .description('Shows roots, issuer, the controller’s own certificates, and those of every node proxy and waypoint.')
    .option('--node <name>', "only those of a node's proxy")
    .option('--waypoint <ns/name>', 'only those of a waypoint')
    .addHelpText(
      'after',
      examples([
        ['ambientctl certs', 'exit 1 when one has expired or was not renewed in time'],
        ['ambientctl certs -o json | jq ".certificates[] | select(.daysLeft < 1)"', 'for scripts'],
      ]),
    )
    .action(act(async () => (await import('./certs.ts')).certs));
}

function addConfigCommands(program: Commander, act: Act): void {
  const config = program
    .command('config')
    .helpCommand(false)
    .summary("a proxy's own view: workloads, services, policies, certs, revocations, connections")
    .description('Shows what a node proxy or a waypoint itself holds, live or from a saved dump.')
    .addHelpText(
      'after',
      examples([
        ['ambientctl config workloads --node node-1', ''],
        ['ambientctl config connections --node node-2 -o wide', 'with identities'],
        ['ambientctl config all --node node-1 -o json > dump.json', 'save everything'],
        ['ambientctl config certs -f dump.json', 'read it later, anywhere'],
        ['ambientctl config routes --waypoint shop/waypoint', 'what it does with requests'],
        ['ambientctl config ejected --waypoint shop/waypoint', 'who gets nothing for a while, and why'],
      ]),
    );
  for (const view of configViews) {
    const kinds = selectedKinds[view];
    const command = withMesh(config.command(view), objectWords[view] === undefined ? undefined : listFormats);
    command
      .summary(configSummary[view])
      .description(`Shows ${configSummary[view]}.`)
      .option('--node <name>', 'the node whose proxy is asked')
      .option('--waypoint <ns/name>', 'the waypoint that is asked: a ready pod of it')
      .option('-f, --file <dump>', 'read a saved dump instead (- is standard input)')
      .option('-n, --namespace <ns>', 'only this namespace');
    if (kinds !== undefined) withSelector(command, `only what has to do with a ${kinds.join(' or ')}`);
    command
      .addHelpText('after', examples([configExample(view)]))
      .action(act(async () => (await import('./config.ts')).config(view)));
  }
}

function configExample(view: (typeof configViews)[number]): [string, string] {
  const isWaypoints = view === 'routes' || view === 'ejected';
  const where = isWaypoints ? '--waypoint shop/waypoint' : '--node node-1';
  return [`ambientctl config ${view} ${where}`, 'or -f dump.json'];
}

const configSummary = {
  workloads: 'pods that the proxy knows, their addresses, nodes and protocol',
  services: 'services with their addresses and how many endpoints are healthy',
  policies: 'authorisation policies in force',
  certs: 'certificates that the proxy holds, with their validity',
  revocations: 'certificates of the mesh that count no more',
  connections: 'connections that are open now',
  capture: 'how the traffic of the pods of a node gets to the proxy, and which pods it does not',
  routes: 'routes of a waypoint, in the order in which they are tried',
  ejected: 'endpoints that a waypoint has taken out of rotation, and its limits that refuse requests',
  all: 'everything, one table after the other; -o json is the whole dump',
} as const;

function addCompletion(program: Commander, io: CliIo, act: Act): void {
  program
    .command('completion')
    .argument('<shell>', 'bash, zsh or fish')
    .summary('prints a completion script')
    .description('Prints a script that completes commands, options, and live names of labs, nodes and pods.')
    .addHelpText(
      'after',
      examples([
        ['source <(ambientctl completion bash)', 'bash, this session'],
        ['ambientctl completion zsh > "${fpath[1]}/_ambientctl"', 'zsh'],
        ['ambientctl completion fish > ~/.config/fish/completions/ambientctl.fish', 'fish'],
      ]),
    )
    .action(act(async () => (await import('./completion.ts')).completion));
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .option('--kubectl', 'in the form that kubectl reads')
    .action(act(async () => (await import('./complete.ts')).complete(program, io)));
}

/** Commander's complaint as our one line, with what to do next. */
function errorLine(text: string, io: CliIo): string {
  const paint = io.stderrColour ? coloured : plain;
  const foreign = ownWordFor(/unknown command '([^']*)'/.exec(text)?.[1] ?? '');
  const guessed =
    foreign === null ? text : `${text.replace(/\n\(Did you mean .*/s, '').trim()}\n(Did you mean ${foreign}?)`;
  const words = guessed
    .trim()
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*?)\??\)/s, '; did you mean $1?')
    .replaceAll('\n', ' ')
    .replace(/\.$/, '');
  const hint = words.includes('did you mean') ? '' : '; see --help';
  return `${paint('ambientctl:', 'bad')} ${words}${hint}\n`;
}
