// Golden signals out of flows: how much, how well, how quickly, over the time that the flows cover. A sampled flow
// counts for as many as it stands for.
import type { FlowView } from './access-record.ts';
import { verdictOf } from './flow-verdict.ts';

/** What came of all flows of one group. Requests and connections are told apart; times are of requests alone. */
export interface FlowStats {
  readonly requests: number;
  /** Requests, of 1, that were neither refused nor failed; null without any. */
  readonly success: number | null;
  readonly requestsPerS: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** Connections that ended, and how many of these in other ways than both sides wished. */
  readonly connections: number;
  readonly connectionsFailed: number;
  readonly refused: number;
  /** Of 1: carried over mutual TLS, or within a node. */
  readonly secured: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** The policy or the flag of the last one that was refused or failed; null when all went well. */
  readonly lastTrouble: string | null;
}

export interface GroupedFlows {
  readonly group: string;
  readonly stats: FlowStats;
}

/**
 * Groups flows by `groupOf` (null leaves one out) and sums each group up, the busiest first. `windowMs` is the time
 * that was asked for; rates are over what the flows cover of it, at least a second.
 */
export function statsOf(
  flows: readonly FlowView[],
  groupOf: (flow: FlowView) => string | null,
  windowMs: number,
  nowMs: number,
): GroupedFlows[] {
  const groups = new Map<string, FlowView[]>();
  let oldestMs = nowMs;
  for (const flow of flows) {
    const group = groupOf(flow);
    if (group === null) continue;
    oldestMs = Math.min(oldestMs, Date.parse(flow.time));
    const known = groups.get(group);
    if (known === undefined) groups.set(group, [flow]);
    else known.push(flow);
  }
  const coveredS = Math.max(1, Math.min(windowMs, nowMs - oldestMs) / 1000);
  return [...groups]
    .map(([group, members]) => ({ group, stats: sumOf(members, coveredS) }))
    .sort((a, b) => loadOf(b.stats) - loadOf(a.stats) || (a.group < b.group ? -1 : 1));
}

function loadOf({ requests, connections }: FlowStats): number {
  return requests > 0 ? requests : connections;
}

function sumOf(flows: readonly FlowView[], coveredS: number): FlowStats {
  const sum = { requests: 0, good: 0, connections: 0, connectionsFailed: 0, refused: 0, secured: 0, all: 0 };
  let [bytesSent, bytesReceived] = [0, 0];
  let trouble: FlowView | null = null;
  for (const flow of flows) {
    const { weight } = flow;
    const verdict = verdictOf(flow);
    sum.all += weight;
    if (flow.transport !== 'plaintext') sum.secured += weight;
    if (verdict === 'refused') sum.refused += weight;
    if (verdict !== 'forwarded' && (trouble === null || flow.time >= trouble.time)) trouble = flow;
    bytesSent += flow.bytesSent * weight;
    bytesReceived += flow.bytesReceived * weight;
    if (flow.kind === 'request') {
      sum.requests += weight;
      if (verdict === 'forwarded') sum.good += weight;
    } else {
      sum.connections += weight;
      if (verdict === 'failed') sum.connectionsFailed += weight;
    }
  }
  const { requests, connections, connectionsFailed, refused } = sum;
  const [p50Ms, p95Ms, p99Ms] = quantilesOf(
    flows.filter(({ kind }) => kind === 'request'),
    [0.5, 0.95, 0.99],
  );
  return {
    requests,
    success: requests === 0 ? null : sum.good / requests,
    requestsPerS: requests / coveredS,
    ...{ p50Ms: p50Ms ?? null, p95Ms: p95Ms ?? null, p99Ms: p99Ms ?? null },
    ...{ connections, connectionsFailed, refused },
    secured: sum.all === 0 ? 0 : sum.secured / sum.all,
    ...{ bytesSent, bytesReceived },
    lastTrouble: trouble === null ? null : troubleText(trouble),
  };
}

function troubleText({ flag, decidedBy, status }: FlowView): string {
  if (decidedBy !== null && flag !== '-') return `${flag} by ${decidedBy}`;
  return flag === '-' ? `status ${status}` : flag;
}

/** Weighted: the smallest duration that at least the share `q` of all flows did not exceed. [] without flows. */
function quantilesOf(flows: readonly FlowView[], quantiles: readonly number[]): number[] {
  if (flows.length === 0) return [];
  const sorted = flows.toSorted((a, b) => a.durationMs - b.durationMs);
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  let below = 0;
  let at = 0;
  return quantiles.map((quantile) => {
    while (at < sorted.length - 1 && below + sorted[at]!.weight < quantile * total) below += sorted[at++]!.weight;
    return sorted[at]!.durationMs;
  });
}
