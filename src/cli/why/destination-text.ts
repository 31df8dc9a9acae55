// What a person reads of `ambientctl why TO`: the destination in one line, what is wrong with it, what becomes of
// callers, the policies, the values, the endpoints, and who was seen calling it.

import { durationText } from '../../model/flow-line.ts';
import type { DestinationCaller, DestinationPolicy, DestinationPort } from '../../policy/why-destination.ts';
import type { CommandResult } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import type { RuleSummary } from '../route-rows.ts';
import { ageText, type Column, type TableView, table } from '../table.ts';
import type { WhyCaller } from './callers.ts';
import type { DestinationView } from './destination.ts';
import { causeLines, endpointLines, paintVerdict, policyName, proxyLines, valueLines } from './text.ts';

/** So many callers are shown; all of them in JSON and with `-o wide`. */
const callersMax = 10;

/** The result for an answer that is at hand: exit 1 when something is wrong with the destination. */
export function destinationResult(view: DestinationView, nowMs: number = Date.now()): CommandResult {
  const isWrong = view.causes.some(({ severity }) => severity === 'error');
  return {
    data: view,
    text: (shown) => destinationText(view, shown, nowMs),
    exitCode: isWrong ? exitCodes.failureFound : exitCodes.fine,
  };
}

function destinationText(view: DestinationView, shown: TableView, nowMs: number): string {
  const lines = [
    titleLine(view),
    ...causeLines(view, shown),
    ...view.ports.flatMap((port) => portLines(port, shown)),
    ...policyLines(view, shown),
    ...ruleLines(view, shown),
    ...view.ports.flatMap((port) => valueLines(port.values, view.ports.length > 1 ? `port ${port.port}` : null)),
    ...endpointLines(view, shown, nowMs),
    ...callerLines(view, shown, nowMs),
    ...proxyLines(view, shown),
    ...view.unknown.map((one) => `not known: ${one}`),
  ];
  return `${lines.join('\n')}\n`;
}

function titleLine({ to, enrolled, waypoint }: DestinationView): string {
  const title = to.service === null ? `${to.namespace}/${to.workload}` : `service ${to.service}`;
  const { pods, of } = enrolled;
  const many = of === 1 ? (pods === 1 ? 'its pod is' : 'its pod is not') : `${pods} of ${of} pods are`;
  const mesh = of === 0 ? 'no pod is behind it' : `${many} in the mesh`;
  const way = waypoint === null ? 'no waypoint' : `through the waypoint ${waypoint}`;
  return `${title}: ${mesh}, ${way}`;
}

const callerWords = {
  mesh: 'a caller in the mesh that no rule names',
  outside: 'a caller outside the mesh',
} as const;

/** What becomes of callers, with the reasons of the first; the other's are much the same. */
function portLines({ port, protocol, callers }: DestinationPort, shown: TableView): string[] {
  const speaks = protocol === 'unknown' ? '' : ` (${protocol})`;
  return callers.flatMap((one) => [
    `port ${port}${speaks}: ${callerWords[one.caller]}: ${paintVerdict(one.verdict, shown)}${byText(one)}`,
    ...(one.caller === 'mesh' ? one.reasons.filter(isOfAnybody).map((reason) => `  - ${reason}`) : []),
  ]);
}

function byText({ verdict, decidedBy, reasons }: DestinationCaller): string {
  if (decidedBy !== null) return `, by ${policyName(decidedBy)}`;
  const past = reasons.find((reason) => reason.includes('past the waypoint'));
  if (verdict === 'allow' && past !== undefined) return `: ${past}`;
  if (verdict === 'deny') return `: ${reasons.at(-1) ?? ''}`;
  return '';
}

/** Where a caller is placed is nobody's question. */
function isOfAnybody(reason: string): boolean {
  return !/^both ends are/.test(reason);
}

function policyLines({ policies, enrolled, waypoint }: DestinationView, shown: TableView): string[] {
  if (policies.length === 0) return ['', 'policies: none selects it'];
  const columns: readonly Column<DestinationPolicy>[] = [
    { header: 'POLICY', value: ({ kind, namespace, name }) => `${kind} ${namespace}/${name}` },
    { header: 'SCOPE', value: ({ scope }) => (scope === 'global' ? 'mesh' : scope) },
    {
      header: 'ENFORCED_BY',
      value: ({ pods }) => (pods === null ? `waypoint ${waypoint}` : placesText(pods, enrolled.pods)),
    },
    { header: 'DOES', value: ({ does }) => does },
  ];
  return ['', ...table(columns, policies, shown).trimEnd().split('\n')];
}

function placesText(pods: number, of: number): string {
  return pods === of ? 'node proxies' : `node proxies, for ${pods} of ${of} pods`;
}

/** Where requests go, by their path, method and headers. */
function ruleLines({ rules, ports }: DestinationView, shown: TableView): string[] {
  if (rules.length === 0) return [];
  const columns: readonly Column<RuleSummary>[] = [
    ...(ports.length > 1 ? [{ header: 'PORT', value: ({ port }: RuleSummary) => port }] : []),
    { header: 'REQUESTS', value: ({ match }) => match },
    { header: 'GO_TO', value: ({ action }) => action },
    { header: 'TIMEOUT', value: ({ timeoutMs }) => (timeoutMs === 0 ? null : durationText(timeoutMs)) },
    { header: 'RETRIES', value: ({ retries }) => retries },
    { header: 'BY', value: ({ from }) => from },
  ];
  return ['', ...table(columns, rules, shown).trimEnd().split('\n')];
}

/** Who was seen calling it, the last one first. */
function callerLines({ callers }: DestinationView, shown: TableView, nowMs: number): string[] {
  if (callers === null) return [];
  if (callers.length === 0) return ['', 'callers: nobody was seen lately'];
  const columns: readonly Column<WhyCaller>[] = [
    { header: 'CALLER', value: ({ from }) => from },
    { header: 'OVER', value: ({ transport }) => transport },
    { header: 'FLOWS', value: ({ flows }) => flows },
    { header: 'REFUSED', value: ({ refused }) => refused, tone: ({ refused }) => (refused > 0 ? 'bad' : 'dim') },
    { header: 'FAILED', value: ({ failed }) => failed, tone: ({ failed }) => (failed > 0 ? 'warn' : 'dim') },
    { header: 'LAST_SEEN', value: ({ lastSeen }) => ageText(lastSeen, nowMs) },
    { header: 'LAST_RESULT', value: ({ lastResult }) => lastResult },
  ];
  const named = shown.wide ? callers : callers.slice(0, callersMax);
  const more = callers.length - named.length;
  const rest = more === 0 ? [] : [`and ${more} more callers: see them with -o wide`];
  return ['', ...table(columns, named, shown).trimEnd().split('\n'), ...rest];
}
