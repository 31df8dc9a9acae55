// What was last seen on a path, out of the flows that its proxies remember: how much, how well, how quickly, where the
// time went, and the last refusal and error.
import { flagTable } from '../../base/flags.ts';
import { splitHostPort } from '../../base/ip.ts';
import { durationText } from '../../model/flow-line.ts';
import type { FlowView, RequestRecord } from '../../telemetry/access-record.ts';
import { isToldOnce, verdictOf } from '../../telemetry/flow-verdict.ts';
import type { SegmentName, WhySeen, WhyTrouble } from './views.ts';

/** The path whose flows are meant. */
export interface SeenPath {
  readonly from: { readonly namespace: string | null; readonly workloads: ReadonlySet<string> };
  /** Address of a source that is no workload. */
  readonly fromAddress: string | null;
  /** Host name of the service; null for a pod by its own address. */
  readonly hostname: string | null;
  /** The port that was called, and what it is at the endpoints. */
  readonly ports: ReadonlySet<number>;
  /** `NAMESPACE/NAME` of each endpoint. */
  readonly endpoints: ReadonlySet<string>;
  /** `NAMESPACE/NAME` of each pod of the waypoint between them. */
  readonly waypoints: ReadonlySet<string>;
  /** What each part of the way is called. */
  readonly names: Readonly<Record<SegmentName, string>>;
}

/** Figures are of the shortest of these that has enough flows: what changed a moment ago is to be seen. */
const windowsMs = [5_000, 15_000, 60_000, 300_000] as const;
const flowsMin = 5;
/** The slower part of the requests, by which the time is attributed. */
const slowerShare = 0.1;

/** Null when no flow of the path is among `flows`. */
export function seenOf(flows: readonly FlowView[], path: SeenPath, nowMs: number): WhySeen | null {
  const isFirstHop = (flow: FlowView): boolean => isFrom(flow, path) && isTo(flow, path);
  const isSecondHop = (flow: FlowView): boolean => isFromWaypoint(flow, path) && isAtEndpoint(flow, path);
  const told = flows.filter((flow) => isFirstHop(flow) && isToldOnce(flow));
  // What the waypoint met at the endpoint's proxy is part of the way, but no call of its own.
  const behind = flows.filter((flow) => isSecondHop(flow) && verdictOf(flow) !== 'forwarded');
  if (told.length + behind.length === 0) return null;
  const windowMs = windowsMs.find((window) => within(told, window, nowMs).length >= flowsMin) ?? windowsMs.at(-1) ?? 0;
  const recent = within(told, windowMs, nowMs);
  const requests = recent.filter((flow) => flow.kind === 'request');
  const counted = requests.length > 0 ? requests : recent;
  const weight = sumOf(counted);
  const good = sumOf(counted.filter((flow) => verdictOf(flow) === 'forwarded'));
  const times = requests.length > 0 ? requests : flows.filter((flow) => isFirstHop(flow) && isConnecting(flow, nowMs));
  const timeOf = (flow: FlowView): number => (requests.length > 0 ? flow.durationMs : connectOf(flow));
  const segmentsMs = segmentsOf(requests);
  return {
    windowMs,
    requests: sumOf(requests),
    connections: sumOf(recent) - sumOf(requests),
    perS: weight / (windowMs / 1000),
    success: weight === 0 ? null : good / weight,
    p50Ms: quantile(times, timeOf, 0.5),
    p90Ms: quantile(times, timeOf, 0.9),
    p99Ms: quantile(times, timeOf, 0.99),
    segmentsMs,
    slowest: slowestOf(segmentsMs, path.names),
    ...troublesOf([...told, ...behind]),
  };
}

/** The last refusal and the last failure. */
function troublesOf(flows: readonly FlowView[]): Pick<WhySeen, 'lastRefusal' | 'lastError'> {
  const last = (verdict: 'refused' | 'failed'): WhyTrouble | null => {
    const found = flows.filter((flow) => verdictOf(flow) === verdict);
    const newest = found.reduce<FlowView | null>(
      (best, one) => (best === null || one.time >= best.time ? one : best),
      null,
    );
    return newest === null ? null : troubleOf(newest);
  };
  return { lastRefusal: last('refused'), lastError: last('failed') };
}

function troubleOf(flow: FlowView): WhyTrouble {
  const { time, flag, decidedBy, status, error, reporter } = flow;
  const answered = status === null || flag === 'DENY' ? '' : ` (status ${status})`;
  const words = flag === '-' ? `the application answered ${status}` : `${error ?? flagTable[flag]}${answered}`;
  // What an ALLOW policy let in did not fail by it.
  const by = verdictOf(flow) === 'refused' ? decidedBy : null;
  return { time, flag, text: words, decidedBy: by, status, saidBy: `${reporter.kind}/${reporter.name}` };
}

/** `the application itself: 1.2 s of 1.21 s`. */
function slowestOf(segmentsMs: WhySeen['segmentsMs'], names: SeenPath['names']): string | null {
  const all = Object.entries(segmentsMs) as [SegmentName, number][];
  if (all.length === 0) return null;
  const [name, ms] = all.reduce((worst, one) => (one[1] > worst[1] ? one : worst));
  const total = all.reduce((sum, [, each]) => sum + each, 0);
  return `${names[name]}: ${durationText(ms)} of ${durationText(total)}`;
}

/** The mean of each segment over the slower requests; a segment that nobody told of is left out. */
function segmentsOf(requests: readonly FlowView[]): WhySeen['segmentsMs'] {
  const slower = requests
    .toSorted((a, b) => b.durationMs - a.durationMs)
    .slice(0, Math.ceil(requests.length * slowerShare));
  const sums = new Map<SegmentName, { ms: number; count: number }>();
  for (const { segmentsMs } of slower as (RequestRecord & FlowView)[]) {
    for (const [name, ms] of Object.entries(segmentsMs) as [SegmentName, number | null][]) {
      if (ms === null) continue;
      const sum = sums.get(name) ?? { ms: 0, count: 0 };
      sums.set(name, { ms: sum.ms + ms, count: sum.count + 1 });
    }
  }
  return Object.fromEntries(Array.from(sums, ([name, { ms, count }]) => [name, ms / count]));
}

function isFrom({ source }: FlowView, { from, fromAddress }: SeenPath): boolean {
  if (fromAddress !== null) return source.address.startsWith(`${fromAddress}:`);
  return source.namespace === from.namespace && source.workload !== null && from.workloads.has(source.workload);
}

/** By the service that was called, where one was. */
function isTo(flow: FlowView, path: SeenPath): boolean {
  const { service, address } = flow.destination;
  if (!path.ports.has(splitHostPort(address)?.port ?? 0)) return false;
  return path.hostname !== null && service !== null ? service === path.hostname : isAtEndpoint(flow, path);
}

function isAtEndpoint({ destination }: FlowView, { endpoints }: SeenPath): boolean {
  return endpoints.has(`${destination.namespace}/${destination.workload}`);
}

function isFromWaypoint({ source }: FlowView, { waypoints }: SeenPath): boolean {
  return waypoints.has(`${source.namespace}/${source.workload}`);
}

/** Tells how long it took to connect, all the way. */
function isConnecting(flow: FlowView, nowMs: number): boolean {
  const isDone = flow.kind === 'connection' && verdictOf(flow) === 'forwarded';
  return isDone && flow.direction === 'outbound' && within([flow], 60_000, nowMs).length === 1;
}

function connectOf(flow: FlowView): number {
  return flow.kind === 'connection' && 'connect' in flow.segmentsMs ? (flow.segmentsMs.connect ?? 0) : 0;
}

function within(flows: readonly FlowView[], windowMs: number, nowMs: number): readonly FlowView[] {
  return flows.filter(({ time }) => nowMs - Date.parse(time) <= windowMs);
}

function sumOf(flows: readonly FlowView[]): number {
  return flows.reduce((sum, { weight }) => sum + weight, 0);
}

function quantile(flows: readonly FlowView[], timeOf: (flow: FlowView) => number, share: number): number | null {
  if (flows.length === 0) return null;
  const times = flows.map(timeOf).sort((a, b) => a - b);
  return times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? null;
}
