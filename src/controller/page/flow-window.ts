// The last minute of the mesh's flows: sums per edge in slices of some seconds, and the newest flows of each edge as
// they are. Holds a bounded number of edges, names and flows, however many come.
import type { FlowView } from '../../telemetry/access-record.ts';
import { verdictOf } from '../../telemetry/flow-verdict.ts';
import { FlowCell, isLater, type Teller } from './flow-cell.ts';

/** Where a flow belongs; null for one that somebody else tells better, or that is no traffic of the mesh. */
export interface FlowPlace {
  /** Ids of nodes. */
  readonly from: string;
  readonly to: string;
  readonly teller: Teller;
}

/** An edge with what came through it. */
export interface WindowEdge {
  readonly from: string;
  readonly to: string;
  readonly sum: FlowCell;
}

export const windowMs = 60_000;
const sliceMs = 5_000;
/** Edges in the window; flows of further ones are counted, and nothing else is known of them. */
const edgesMax = 4_000;
/** Flows of an edge that are kept as they are, of those that went well and of the others each. */
const flowsKept = 12;
/** Flows that are kept as they are, of all edges. */
const allFlowsKept = 20_000;

interface Edge {
  readonly from: string;
  readonly to: string;
  /** By the number of the slice, to be taken out of the sum when its time is over. */
  readonly slices: Map<number, FlowCell>;
  readonly sum: FlowCell;
  /** Newest last, each. */
  readonly well: FlowView[];
  readonly bad: FlowView[];
  seenMs: number;
}

/** Times are of the flows themselves, which proxies tell by their own clocks; what is ahead counts as now. */
export class FlowWindow {
  readonly #startedMs: number;
  readonly #edges = new Map<string, Edge>();
  #kept = 0;
  #overflow = 0;

  /** What came before `startedMs` is remembered as flows, and counts for no rate. */
  constructor(startedMs: number) {
    this.#startedMs = startedMs;
  }

  add(flow: FlowView, { from, to, teller }: FlowPlace, nowMs: number): void {
    const atMs = Math.min(Date.parse(flow.time), nowMs);
    if (!(atMs > nowMs - windowMs)) return;
    const edge = this.#edgeOf(from, to);
    if (edge === null) {
      this.#overflow += flow.weight;
      return;
    }
    edge.seenMs = Math.max(edge.seenMs, atMs);
    if (teller === 'counts' || verdictOf(flow) === 'failed') this.#keep(edge, flow);
    if (atMs < this.#startedMs) return;
    const slice = Math.floor(atMs / sliceMs);
    const known = edge.slices.get(slice);
    const cell = known ?? new FlowCell();
    if (known === undefined) edge.slices.set(slice, cell);
    cell.add(flow, teller);
    edge.sum.add(flow, teller);
  }

  /** The time that `edges` is about, in milliseconds; at least a second. */
  coveredMs(nowMs: number): number {
    const oldestMs = Math.floor((nowMs - windowMs) / sliceMs + 1) * sliceMs;
    return Math.max(1_000, nowMs - Math.max(oldestMs, this.#startedMs));
  }

  /** Every edge that had traffic in the window, and forgets what is older. */
  edges(nowMs: number): WindowEdge[] {
    const oldest = Math.floor((nowMs - windowMs) / sliceMs + 1);
    const found: WindowEdge[] = [];
    for (const [key, edge] of this.#edges) {
      for (const [slice, cell] of edge.slices) {
        if (slice >= oldest) continue;
        edge.slices.delete(slice);
        edge.sum.merge(cell, -1);
      }
      if (edge.slices.size === 0 && edge.seenMs < nowMs - windowMs) {
        this.#edges.delete(key);
        this.#kept -= edge.well.length + edge.bad.length;
        continue;
      }
      found.push({ from: edge.from, to: edge.to, sum: edge.sum });
    }
    return found;
  }

  /** The newest flows of the edges that are wanted, newest first. */
  flows(isWanted: (from: string, to: string) => boolean, max: number): readonly FlowView[] {
    const found: FlowView[] = [];
    for (const { from, to, well, bad } of this.#edges.values()) if (isWanted(from, to)) found.push(...well, ...bad);
    return found.sort((a, b) => (isLater(a, b) ? -1 : 1)).slice(0, max);
  }

  /** How many flows came of edges beyond what is held, since it was last asked. */
  takeOverflow(): number {
    const overflow = this.#overflow;
    this.#overflow = 0;
    return overflow;
  }

  #edgeOf(from: string, to: string): Edge | null {
    const key = `${from}>${to}`;
    const known = this.#edges.get(key);
    if (known !== undefined) return known;
    if (this.#edges.size >= edgesMax) return null;
    const edge: Edge = { from, to, slices: new Map(), sum: new FlowCell(), well: [], bad: [], seenMs: 0 };
    this.#edges.set(key, edge);
    return edge;
  }

  #keep({ well, bad }: Edge, flow: FlowView): void {
    const kept = verdictOf(flow) === 'forwarded' ? well : bad;
    if (kept.length >= flowsKept) kept.shift();
    else if (this.#kept >= allFlowsKept) return;
    else this.#kept++;
    kept.push(flow);
  }
}
