// In which layer of the graph a node stands: callers left of those they call, as far as there is no circle.
import type { LayoutEdge } from './layout-types.ts';

/** Neighbours by id, of the edges between nodes that are there, without loops and without repetition. */
export interface Neighbours {
  readonly callees: ReadonlyMap<string, readonly string[]>;
  readonly callers: ReadonlyMap<string, readonly string[]>;
}

/** Who calls whom, each list sorted. */
export function neighboursOf(ids: readonly string[], edges: readonly LayoutEdge[]): Neighbours {
  const callees = new Map(ids.map((id) => [id, new Set<string>()]));
  const callers = new Map(ids.map((id) => [id, new Set<string>()]));
  for (const { from, to } of edges) {
    if (from === to || !callees.has(from) || !callees.has(to)) continue;
    callees.get(from)?.add(to);
    callers.get(to)?.add(from);
  }
  const sorted = (map: Map<string, Set<string>>): Map<string, string[]> =>
    new Map([...map].map(([id, others]) => [id, [...others].sort()]));
  return { callees: sorted(callees), callers: sorted(callers) };
}

/**
 * The layer of every node, from 0: the longest way from where nobody calls. An edge that closes a circle counts for
 * nothing; a caller that nobody calls stands right before the nearest of those it calls.
 */
export function ranksOf(ids: readonly string[], neighbours: Neighbours): Map<string, number> {
  const order = withoutCircles(ids, neighbours);
  const position = new Map(order.map((id, at) => [id, at]));
  const isForward = (from: string, to: string): boolean => (position.get(from) ?? 0) < (position.get(to) ?? 0);
  const ranks = new Map<string, number>();
  for (const id of order) {
    const before = (neighbours.callers.get(id) ?? []).filter((caller) => isForward(caller, id));
    ranks.set(id, Math.max(-1, ...before.map((caller) => ranks.get(caller) ?? 0)) + 1);
  }
  for (const id of order) {
    if ((neighbours.callers.get(id) ?? []).length > 0) continue;
    const after = (neighbours.callees.get(id) ?? []).map((callee) => ranks.get(callee) ?? 0);
    if (after.length > 0) ranks.set(id, Math.max(0, Math.min(...after) - 1));
  }
  return ranks;
}

/** From here on a graph is deep: as wide as its longest way it would be too small to read. */
export const deepFrom = 5;
/** More layers are put together. */
const layersMax = 12;

/**
 * `ranksOf`, and for a deep graph the shortest way from where nobody calls, so that it does not become a ribbon; where
 * that is long as well, neighbouring layers are put together.
 */
export function shallowRanksOf(ids: readonly string[], neighbours: Neighbours): Map<string, number> {
  const longest = ranksOf(ids, neighbours);
  if (Math.max(0, ...longest.values()) < deepFrom) return longest;
  const isStart = (id: string): boolean => longest.get(id) === 0 || (neighbours.callers.get(id) ?? []).length === 0;
  const ranks = new Map(ids.filter(isStart).map((id) => [id, 0]));
  const waiting = [...ranks.keys()];
  for (let at = 0; at < waiting.length; at++) {
    const id = waiting[at] ?? '';
    for (const callee of neighbours.callees.get(id) ?? []) {
      if (ranks.has(callee)) continue;
      ranks.set(callee, (ranks.get(id) ?? 0) + 1);
      waiting.push(callee);
    }
  }
  const deepest = Math.max(...ranks.values());
  if (deepest < layersMax) return ranks;
  return new Map([...ranks].map(([id, rank]) => [id, Math.floor((rank * layersMax) / (deepest + 1))]));
}

/** A topological order; where there is a circle, it is opened at the node with the fewest callers that are left. */
function withoutCircles(ids: readonly string[], { callees, callers }: Neighbours): string[] {
  const waiting = new Map(ids.map((id) => [id, (callers.get(id) ?? []).length]));
  const free = ids.filter((id) => waiting.get(id) === 0);
  const order: string[] = [];
  const take = (id: string): void => {
    waiting.delete(id);
    order.push(id);
    for (const callee of callees.get(id) ?? []) {
      const left = waiting.get(callee);
      if (left === undefined) continue;
      waiting.set(callee, left - 1);
      if (left === 1) free.push(callee);
    }
  };
  while (waiting.size > 0) {
    const next = free.shift();
    if (next !== undefined) {
      if (waiting.has(next)) take(next);
      continue;
    }
    let opened: string | null = null;
    for (const [id, left] of waiting) if (opened === null || left < (waiting.get(opened) ?? 0)) opened = id;
    if (opened !== null) take(opened);
  }
  return order;
}
