// What a person reads of `ambientctl why`: the answer in one line, then what explains it, then the rest.
import { authorsNameOf } from '../../model/converted-policies.ts';
import { durationText } from '../../model/flow-line.ts';
import type { WhyAnswer, WhyEnd, WhyResult } from '../../policy/why.ts';
import type { WhyValue } from '../../policy/why-route.ts';
import { ageText, type TableView, table } from '../table.ts';
import { endpointWords } from './causes.ts';
import type { WhyEndpoint, WhyTrouble, WhyView } from './views.ts';

/**
 * The answer as a person would give it: the verdict in a sentence, what explains it, the way it takes, the reasons, and
 * what is happening on the way.
 */
export function whyText(answer: WhyResult & Partial<WhyView>, view: TableView, nowMs = Date.now()): string {
  const lines = [verdictLine(answer, view), ...causeLines(answer, view)];
  if (answer.verdict === 'allow' && answer.hops.length > 0) {
    const hops = answer.hops.map((hop) => (hop.kind === 'node' ? `proxy of ${hop.name}` : `${hop.kind} ${hop.name}`));
    // What the mesh answers itself goes no further.
    const end = answer.response === null ? [endName(answer.to)] : [];
    lines.push(`path: ${[endName(answer.from), ...hops, ...end].join(' > ').replace(/,$/, '')}`);
  }
  const causes = new Set((answer.causes ?? []).map(({ text }) => text));
  for (const reason of answer.reasons) if (!causes.has(reason)) lines.push(`  - ${reason}`);
  if (answer.perEndpoint !== undefined && answer.perEndpoint.length > 0) {
    lines.push('the endpoints differ:');
    for (const one of answer.perEndpoint) {
      const by = one.decidedBy === null ? '' : `, by ${policyName(one.decidedBy)}`;
      lines.push(`  - ${one.namespace}/${one.workload} on ${one.node}: ${paintVerdict(one.verdict, view)}${by}`);
      for (const reason of one.reasons) lines.push(`      ${reason}`);
    }
  }
  lines.push(
    ...valueLines(answer.values ?? [], null),
    ...endpointLines(answer, view, nowMs),
    ...seenLines(answer, nowMs),
  );
  lines.push(...proxyLines(answer, view), ...(answer.unknown ?? []).map((one) => `not known: ${one}`));
  return `${lines.join('\n')}\n`;
}

function verdictLine(answer: WhyResult, view: TableView): string {
  const from = endName(answer.from);
  const to = answer.to.service !== null ? `service ${answer.to.service}` : endName(answer.to);
  const target = `${to} on port ${answer.to.port}`;
  const who = `${from}${answer.from.identity === null ? '' : ` (${answer.from.identity})`}`;
  const word = paintVerdict(answer.verdict, view);
  const own = answer.response === null ? '' : `; the waypoint itself answers ${answer.response.status}`;
  if (answer.verdict === 'allow') return `${word}: ${who} can reach ${target}${own}`;
  if (answer.verdict === 'unreachable' && own !== '') return `${word}: ${who} cannot reach ${target}${own}`;
  if (answer.verdict === 'unreachable') return `${word}: ${who} cannot reach ${target}, whatever policy says`;
  const by = answer.decidedBy === null ? '' : `; it is refused by ${policyName(answer.decidedBy)}`;
  return `${word}: ${who} may not reach ${target}${by}`;
}

/** `KIND NAMESPACE/NAME, rule N`. */
export function policyName(policy: NonNullable<WhyAnswer['decidedBy']>): string {
  const rule = policy.rule === null || policy.rule === undefined ? '' : `, rule ${policy.rule}`;
  return `${policy.kind} ${policy.namespace}/${policy.name}${rule}`;
}

function endName(end: WhyEnd): string {
  if (end.workload === null) return 'an address outside the mesh';
  const names = end.workload.split(', ');
  const name = end.namespace === null ? end.workload : names.map((one) => `${end.namespace}/${one}`).join(', ');
  return end.enrolled ? name : `${name}, which is outside the mesh,`;
}

/** The verdict as a word. */
export function paintVerdict(verdict: WhyAnswer['verdict'], view: TableView): string {
  const words = { allow: 'allowed', deny: 'denied', unreachable: 'unreachable' } as const;
  return view.paint(words[verdict], verdict === 'allow' ? 'good' : 'bad');
}

/** What explains that it does not go as it should, each with what to do. */
export function causeLines({ causes = [] }: Partial<Pick<WhyView, 'causes'>>, view: TableView): string[] {
  return causes.flatMap(({ severity, text, fix }) => [
    `${severity === 'error' ? view.paint('because', 'bad') : view.paint('mind', 'warn')}: ${text}`,
    ...(fix === null ? [] : [`  to do: ${fix}`]),
  ]);
}

/** Values that hold for the request, and who says so. */
export function valueLines(values: readonly WhyValue[], where: string | null): string[] {
  if (values.length === 0) return [];
  const columns = [
    { header: 'VALUE', value: (row: WhyValue) => (where === null ? row.name : `${where}: ${row.name}`) },
    { header: 'IS', value: (row: WhyValue) => row.value },
    {
      header: 'SAYS',
      value: (row: WhyValue) => (row.at === null ? row.from : `${row.from} (${row.at})`),
    },
  ];
  return ['', ...table(columns, values).trimEnd().split('\n')];
}

/** Endpoints that are not simply ready one by one, the others by their number. */
export function endpointLines(
  { endpoints = [] }: Partial<Pick<WhyView, 'endpoints'>>,
  view: TableView,
  nowMs: number,
): string[] {
  if (endpoints.length === 0) return [];
  const ready = endpoints.filter(({ state }) => state === 'ready');
  const others = endpoints.filter(({ state }) => state !== 'ready');
  // Manifests do not say where a pod runs.
  const nameOf = ({ namespace, workload, node }: WhyEndpoint): string =>
    `${namespace}/${workload}${node === '' ? '' : ` on ${node}`}`;
  const names = ready.slice(0, namedMax).map(nameOf);
  const more = ready.length > namedMax ? ` and ${ready.length - namedMax} more` : '';
  const lines = [
    `endpoints: ${ready.length} of ${endpoints.length} ready${ready.length > 0 ? `: ${names.join(', ')}${more}` : ''}`,
  ];
  for (const one of others.slice(0, namedMax)) lines.push(`  ${view.paint(endpointWords(one, nowMs), 'warn')}`);
  return ['', ...lines];
}

/** What was seen on the path. */
function seenLines({ seen }: Partial<WhyView>, nowMs: number): string[] {
  if (seen === undefined) return [];
  if (seen === null) return ['seen: nothing lately'];
  const { requests, connections, perS, success, p50Ms, p99Ms, slowest, windowMs } = seen;
  const [count, noun] = requests > 0 ? [requests, 'request'] : [connections, 'connection'];
  const rate = Math.round(perS * 10) / 10;
  const figures = [
    `${count} ${noun}${count === 1 ? '' : 's'} in ${windowMs / 1000} s`,
    ...(rate > 0 ? [`${rate}/s`] : []),
    ...(success === null ? [] : [`${Math.round(success * 1000) / 10} % went well`]),
    ...(p50Ms === null ? [] : [`${requests > 0 ? 'p50' : 'to connect p50'} ${durationText(p50Ms)}`]),
    ...(p99Ms === null ? [] : [`p99 ${durationText(p99Ms)}`]),
  ];
  const segments = Object.entries(seen.segmentsMs).map(
    ([name, ms]) => `${segmentWords[name] ?? name} ${durationText(ms)}`,
  );
  return [
    `seen: ${figures.join(', ')}`,
    ...(segments.length === 0 ? [] : [`  the slower tenth: ${segments.join(' | ')}`]),
    ...(slowest === null ? [] : [`  most of it: ${slowest}`]),
    ...troubleLine('last refusal', seen.lastRefusal, nowMs),
    ...troubleLine('last error', seen.lastError, nowMs),
  ];
}

function troubleLine(title: string, trouble: WhyTrouble | null, nowMs: number): string[] {
  if (trouble === null) return [];
  const { time, flag, text, decidedBy, saidBy } = trouble;
  const by = decidedBy === null ? '' : ` by ${authorsNameOf(decidedBy)}`;
  // What a policy refused is said by its name alone.
  const said = flag === '-' ? text : text === `denied by ${decidedBy}` ? `${flag}${by}` : `${flag}${by}: ${text}`;
  return [`  ${title}: ${ageText(time, nowMs)} ago, ${said} (said by ${saidBy})`];
}

/** How the proxies on the way are doing, in a word each. */
export function proxyLines({ proxies = [] }: Partial<Pick<WhyView, 'proxies'>>, view: TableView): string[] {
  if (proxies.length === 0) return [];
  const words = proxies.map(({ kind, name, inStep, connected, loopDelayMs, problems }) => {
    const title = kind === 'node' ? name : `waypoint ${name}`;
    if (problems.some(({ severity }) => severity === 'error')) return view.paint(`${title} (see above)`, 'bad');
    const step = connected === false ? 'not connected' : inStep === false ? 'out of step' : 'in step';
    const delay = loopDelayMs === null ? '' : `, loop p99 ${durationText(loopDelayMs.p99)}`;
    return `${title} (${step}${delay})`;
  });
  return [`proxies: ${words.join(', ')}`];
}

const namedMax = 4;
const segmentWords: Readonly<Record<string, string>> = {
  clientProxy: "caller's proxy",
  wire: 'wire',
  waypoint: 'waypoint',
  destinationProxy: "endpoint's proxy",
  application: 'application',
};
