// What flows cannot tell because they are told at their end: connections that are open, and the bytes that they carry,
// by the counters of the node proxies. Each connection is counted at its source's proxy, or at the destination's where
// the source has none.
import type { EdgeListView, EdgeView } from '../../model/views.ts';
import type { MeshMap } from './mesh-map.ts';

/** By `FROM>TO` of nodes. */
export interface LiveEdge {
  readonly from: string;
  readonly to: string;
  open: number;
  bytes: number;
  /** Null until it was counted twice. */
  bytesPerS: number | null;
}

/** The counters of all proxies as they last told. */
export class LiveCounters {
  #edges: ReadonlyMap<string, LiveEdge> = new Map();
  #atMs = 0;

  get edges(): ReadonlyMap<string, LiveEdge> {
    return this.#edges;
  }

  /** Takes what every proxy says at `nowMs`. */
  take(states: readonly EdgeListView[], map: MeshMap, nowMs: number): void {
    const before = this.#edges;
    const seconds = (nowMs - this.#atMs) / 1000;
    const edges = new Map<string, LiveEdge>();
    for (const edge of states.flatMap((state) => state.edges)) {
      if (!isCounted(edge, map)) continue;
      const { source, destination } = edge;
      const from = map.idOfCounted(source.namespace, source.workload, '');
      const to = map.idOfCounted(destination.namespace, destination.workload, destination.service);
      const key = `${from}>${to}`;
      const known = edges.get(key) ?? { from, to, open: 0, bytes: 0, bytesPerS: null };
      known.open += Math.max(0, edge.opened - edge.closed);
      known.bytes += edge.bytesSent + edge.bytesReceived;
      edges.set(key, known);
    }
    for (const [key, edge] of edges) {
      const last = before.get(key);
      // A proxy that began anew counts from nothing.
      if (last !== undefined && seconds > 0) edge.bytesPerS = Math.max(0, (edge.bytes - last.bytes) / seconds);
    }
    this.#edges = edges;
    this.#atMs = nowMs;
  }
}

function isCounted({ reporter, transport, source }: EdgeView, map: MeshMap): boolean {
  if (map.isWaypoint(source.namespace, source.workload)) return false;
  return reporter === 'source' || (reporter === 'destination' && transport === 'plaintext');
}
