// What is to be said of the traffic of an edge, in whole sentences: who refused it and why, what failed, where the time
// goes.
import { flagTable } from '../../base/flags.ts';
import { authorsNameOf, converted } from '../../model/converted-policies.ts';
import { deploymentOf, durationText, segmentNames } from '../../model/flow-line.ts';
import { type PageNote, type PageNoteId, type RefusalView, segmentOrder } from '../../model/page-views.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import { verdictOf } from '../../telemetry/flow-verdict.ts';
import type { FlowCell, TroubleCell } from './flow-cell.ts';

/** What the words are asked of beyond the flows. */
export interface WordSources {
  /** `NAMESPACE/NAME` of the PeerAuthentication for which a pod refuses plaintext; null where none is known. */
  strictFor(pod: string): string | null;
}

/** Below this nobody asks where the time goes. */
const slowMs = 50;
const slowShare = 0.5;
const retriedShare = 0.05;
const notesMax = 8;

/** Refusals by what refused, the most frequent first. */
export function refusalsOf(troubles: readonly TroubleCell[], sources: WordSources): RefusalView[] {
  return troubles
    .filter(({ last }) => verdictOf(last) === 'refused')
    .map(({ count, last }) => ({ count: Math.round(count), ...refusalWords(last, sources) }))
    .sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1));
}

/** One flow that was refused or failed, as a sentence. */
export function troubleText(flow: FlowView, sources: WordSources): string {
  return verdictOf(flow) === 'refused' ? refusalWords(flow, sources).text : failureText(flow);
}

/** Notes on an edge, the worst first. */
export function edgeNotes(cell: FlowCell, sources: WordSources, to: string): PageNote[] {
  const notes: PageNote[] = [];
  const troubles = cell.troubles();
  const often = (count: number): string => `${Math.round(count)} in the last minute`;
  for (const { count, text } of refusalsOf(troubles, sources)) {
    const id = text.includes('plaintext') ? 'plaintext-refused' : 'refused';
    notes.push({ severity: 'error', id, text: `${text}: ${often(count)}` });
  }
  for (const { count, last } of troubles) {
    if (verdictOf(last) !== 'failed') continue;
    const id = failureIds[last.flag] ?? 'failed';
    const severity = id === 'retries-held' ? 'warning' : 'error';
    notes.push({ severity, id, text: `${failureText(last)}: ${often(count)}` });
  }
  const slow = slowestOf(cell, to);
  if (slow !== null) notes.push({ severity: 'warning', id: 'slow', text: slow });
  if (cell.requests > 0 && cell.retried / cell.requests > retriedShare) {
    const percent = Math.round((cell.retried / cell.requests) * 100);
    notes.push({ severity: 'info', id: 'retries', text: `${percent} % of the requests took more than one try` });
  }
  return notes.sort(worstFirst).slice(0, notesMax);
}

export const severities = { error: 0, warning: 1, info: 2 } as const;

/** Orders notes: the worst first, then by their words. */
export function worstFirst(a: PageNote, b: PageNote): number {
  return severities[a.severity] - severities[b.severity] || (a.text < b.text ? -1 : 1);
}

/** Which segment takes most of the time of slow requests: of most of them, or of the slowest; null for none. */
export function slowestOf(cell: FlowCell, to: string): string | null {
  for (const [quantile, among] of [
    [0.5, 'in half of the requests'],
    [0.99, 'in the slowest requests'],
  ] as const) {
    const whole = cell.times.quantile(quantile);
    if (whole === null || whole < slowMs) continue;
    for (const [at, segment] of segmentOrder.entries()) {
      const part = cell.segments[at]!.quantile(quantile);
      if (part === null || part < whole * slowShare) continue;
      const where = segment === 'application' || segment === 'destinationProxy' ? ` of ${to}` : '';
      const name = segmentNames[segment];
      return `The ${name}${where} takes ${durationText(part)} of ${durationText(whole)} ${among}`;
    }
  }
  return null;
}

const failureIds: Readonly<Partial<Record<FlowView['flag'], PageNoteId>>> = {
  NO_ENDPOINT: 'no-endpoint',
  BACKEND_INVALID: 'route-broken',
  NO_ROUTE: 'route-broken',
  RETRY_REFUSED: 'retries-held',
  OVERLOAD: 'overload',
  UPSTREAM_OVERFLOW: 'overload',
  TLS_FAILURE: 'certificate',
  IDENTITY_ERROR: 'certificate',
  CERT_REVOKED: 'certificate',
};

function failureText(flow: FlowView): string {
  const { flag, status, error } = flow;
  if (flag === '-') {
    const grpc = 'grpcStatus' in flow && flow.grpcStatus ? `gRPC status ${flow.grpcStatus}` : `${status}`;
    return `The application answers ${grpc}`;
  }
  const route = 'route' in flow && flow.route !== null ? ` (${flow.route})` : '';
  return `${upper(error ?? flagTable[flag])}${route} (${flag})`;
}

function refusalWords(flow: FlowView, sources: WordSources): Omit<RefusalView, 'count'> {
  const { flag, decidedBy, error, source, destination, transport } = flow;
  const who = source.workload === null ? source.address : `${source.namespace}/${deploymentOf(source.workload)}`;
  if (decidedBy === null) {
    const text = error === null ? flagTable[flag] : error;
    return { by: null, text: `Refused: ${text}` };
  }
  const named = authorsNameOf(decidedBy);
  const policy = decidedBy.slice(decidedBy.indexOf('/') + 1);
  if (named !== decidedBy) {
    const strict = named.endsWith(' STRICT')
      ? sources.strictFor(`${destination.namespace}/${destination.workload}`)
      : null;
    const by = strict === null ? named : `PeerAuthentication ${strict}`;
    const how = transport === 'plaintext' ? 'calls in plaintext' : 'has no identity';
    return { by, text: `Refused by ${by}: it asks for mutual TLS, and ${who} ${how}` };
  }
  const service = converted.serviceOf(policy);
  if (service !== null) {
    const by = `Service ${decidedBy.slice(0, decidedBy.indexOf('/'))}/${service}`;
    return { by, text: `Refused by ${by}: it is to be called through its waypoint, and ${who} came past it` };
  }
  const by = `AuthorizationPolicy ${decidedBy}`;
  const more = flag === 'POLICY_CHANGE' ? ', which cut what it had allowed before' : '';
  const said = error === null || error === `denied by ${decidedBy}` ? '' : `: ${error}`;
  return { by, text: `${who} is refused by ${by}${more}${said}` };
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
