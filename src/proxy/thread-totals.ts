// Adds up what the data threads counted: rows and counters of all threads, and of threads that died, so that a figure
// that only grows keeps growing when a thread is replaced.
import type { EdgeView } from '../model/views.ts';
import { mergeRequestRows, type RequestRow } from '../telemetry/request-counters.ts';

export interface ThreadSnapshot {
  readonly edges: readonly EdgeView[];
  readonly requests?: readonly RequestRow[];
  readonly counters: Readonly<Record<string, number>>;
}

/** Counters end in this, before the `/` and the label if they have one; the rest are gauges, which end with their
 * thread. */
const counterName = /_total(\/|$)/;

/** Sums over threads, living and dead. */
export class ThreadTotals {
  /** The last snapshot of each thread that lives. */
  readonly #living = new Map<number, ThreadSnapshot>();
  readonly #deadEdges = new Map<string, EdgeView>();
  #deadRequests: readonly RequestRow[] = [];
  readonly #deadCounters = new Map<string, number>();

  update(threadId: number, snapshot: ThreadSnapshot): void {
    this.#living.set(threadId, snapshot);
  }

  /** The thread died: what it counted up to its last snapshot stays in the sums. */
  retire(threadId: number): void {
    const last = this.#living.get(threadId);
    if (last === undefined) return;
    this.#living.delete(threadId);
    // Connections that were open died with their thread: they are closed now.
    for (const edge of withClosed(last.edges)) addEdge(this.#deadEdges, edge);
    this.#deadRequests = mergeRequestRows([this.#deadRequests, last.requests ?? []]);
    for (const [name, value] of Object.entries(last.counters)) {
      if (counterName.test(name)) add(this.#deadCounters, name, value);
    }
  }

  /** One row per (reporter, source, destination, service, transport, flag). */
  edges(): EdgeView[] {
    const sums = new Map(this.#deadEdges);
    for (const { edges } of this.#living.values()) for (const edge of edges) addEdge(sums, edge);
    return [...sums.values()];
  }

  /** One row per label set. */
  requests(): RequestRow[] {
    const living = Array.from(this.#living.values(), ({ requests }) => requests ?? []);
    return mergeRequestRows([this.#deadRequests, ...living]);
  }

  counters(): ReadonlyMap<string, number> {
    const sums = new Map(this.#deadCounters);
    for (const { counters } of this.#living.values()) {
      for (const [name, value] of Object.entries(counters)) add(sums, name, value);
    }
    return sums;
  }

  /** Open connections of one thread at its last snapshot. */
  connectionsOf(threadId: number): number {
    return this.#living.get(threadId)?.counters.ambient_connections_open ?? 0;
  }
}

function addEdge(sums: Map<string, EdgeView>, edge: EdgeView): void {
  const key = keyOf(edge);
  const sum = sums.get(key);
  if (sum === undefined) {
    sums.set(key, edge);
    return;
  }
  sums.set(key, {
    ...sum,
    decidedBy: edge.decidedBy ?? sum.decidedBy,
    opened: sum.opened + edge.opened,
    closed: sum.closed + edge.closed,
    failed: sum.failed + edge.failed,
    bytesSent: sum.bytesSent + edge.bytesSent,
    bytesReceived: sum.bytesReceived + edge.bytesReceived,
  });
}

/**
 * `opened` counts on the row with flag '-', `closed` on the row of the flag at the end: what is opened and closed on
 * no row of an edge is added to the flag of a proxy that failed.
 */
function withClosed(edges: readonly EdgeView[]): EdgeView[] {
  const open = new Map<string, { edge: EdgeView; count: number }>();
  for (const edge of edges) {
    const key = keyOf({ ...edge, flag: '' });
    const entry = open.get(key) ?? { edge, count: 0 };
    entry.count += edge.opened - edge.closed;
    open.set(key, entry);
  }
  const lost = [...open.values()].filter(({ count }) => count > 0);
  return [
    ...edges,
    ...lost.map(({ edge, count }) => ({
      ...edge,
      flag: 'PROXY_ERROR',
      decidedBy: null,
      opened: 0,
      closed: count,
      failed: 0,
      bytesSent: 0,
      bytesReceived: 0,
    })),
  ];
}

function keyOf(edge: EdgeView): string {
  const { reporter, source, destination, transport, flag } = edge;
  return [
    reporter,
    source.namespace,
    source.workload,
    source.identity,
    destination.namespace,
    destination.workload,
    destination.identity,
    destination.service,
    transport,
    flag,
  ].join('\n');
}

function add(sums: Map<string, number>, name: string, value: number): void {
  sums.set(name, (sums.get(name) ?? 0) + value);
}
