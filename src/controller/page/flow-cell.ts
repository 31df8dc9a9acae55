// What came through one edge in a few seconds, as sums: flows may be added in any order, and cells merged, and the
// result is the same. Both ends of a tunnel tell of a connection, and it is counted once: the destination's word
// counts, and of the source's only failures that the destination has not seen.
import { segmentOrder } from '../../model/page-views.ts';
import type { FlowView, RequestRecord } from '../../telemetry/access-record.ts';
import { verdictOf } from '../../telemetry/flow-verdict.ts';
import { Histogram } from './histogram.ts';

/** Which proxy's word it is: the one that counts, or that of the source's proxy, beside which there may be another. */
export type Teller = 'counts' | 'source';

/** Names per cell of each kind; further ones share the name `others`. */
const namesMax = 64;

/** Requests by one route. */
export interface RouteCell {
  requests: number;
  good: number;
  readonly times: Histogram;
  readonly pods: Map<string, number>;
}

/** Troubles of one kind: same verdict, flag, policy and transport. */
export interface TroubleCell {
  count: number;
  /** The latest of them. */
  last: FlowView;
}

/** Mutable sums; read them after the last `add` or `merge`. */
export class FlowCell {
  requests = 0;
  requestsGood = 0;
  connections = 0;
  connectionsGood = 0;
  retried = 0;
  bytes = 0;
  /** Flows that say how they were carried, and those of them that were secured. */
  carried = 0;
  secured = 0;
  sameNode = 0;
  /** Flows that were not remembered one by one. */
  sampled = 0;
  readonly times = new Histogram();
  readonly segments = segmentOrder.map(() => new Histogram());
  /** `NAMESPACE/POD` that answered: how many requests, and connections. */
  readonly podRequests = new Map<string, number>();
  readonly podConnections = new Map<string, number>();
  readonly routes = new Map<string, RouteCell>();
  readonly waypoints = new Map<string, number>();
  readonly #troubles = new Map<string, TroubleCell>();
  readonly #sourceTroubles = new Map<string, TroubleCell>();

  /** Adds a flow; `weight` is how many it stands for. */
  add(flow: FlowView, teller: Teller): void {
    const { weight } = flow;
    const verdict = verdictOf(flow);
    if (teller === 'source') {
      if (verdict === 'failed') addTrouble(this.#sourceTroubles, flow, weight);
      return;
    }
    this.sampled += weight - 1;
    this.bytes += (flow.bytesSent + flow.bytesReceived) * weight;
    if (verdict !== 'forwarded') addTrouble(this.#troubles, flow, weight);
    // Where no endpoint was found nothing was carried, in the clear or not.
    if (flow.transport !== 'plaintext' || flow.destination.workload !== null || verdict === 'forwarded') {
      this.carried += weight;
      if (flow.transport !== 'plaintext') this.secured += weight;
      if (flow.transport === 'same-node') this.sameNode += weight;
    }
    if (flow.reporter.kind === 'waypoint') count(this.waypoints, flow.reporter.name, weight);
    const pod =
      flow.destination.workload === null ? null : `${flow.destination.namespace}/${flow.destination.workload}`;
    if (flow.kind === 'request') {
      this.#addRequest(flow as RequestRecord & FlowView, weight, verdict === 'forwarded', pod);
      return;
    }
    this.connections += weight;
    if (verdict === 'forwarded') this.connectionsGood += weight;
    if (pod !== null) count(this.podConnections, pod, weight);
  }

  /** Adds what another cell of the same edge has; with `sign` -1 takes it out again. */
  merge(other: FlowCell, sign: 1 | -1 = 1): void {
    for (const field of sums) this[field] += sign * other[field];
    this.times.merge(other.times, sign);
    for (const [at, times] of this.segments.entries()) times.merge(other.segments[at]!, sign);
    countAll(this.podRequests, other.podRequests, sign);
    countAll(this.podConnections, other.podConnections, sign);
    countAll(this.waypoints, other.waypoints, sign);
    for (const [route, cell] of other.routes) {
      const own = routeOf(this.routes, route);
      own.requests += sign * cell.requests;
      own.good += sign * cell.good;
      own.times.merge(cell.times, sign);
      countAll(own.pods, cell.pods, sign);
      if (own.requests <= 0) this.routes.delete(route);
    }
    for (const { last, count: weight } of other.#troubles.values()) addTrouble(this.#troubles, last, sign * weight);
    for (const { last, count: weight } of other.#sourceTroubles.values()) {
      addTrouble(this.#sourceTroubles, last, sign * weight);
    }
  }

  /** What did not go well, each once. The source sees a refusal of the destination as a failure: it is the same. */
  troubles(): readonly TroubleCell[] {
    const told = [...this.#troubles.values()];
    const extra = this.#unseen();
    if (extra === 0) return told;
    const all = sumOf(this.#sourceTroubles);
    const unseen = [...this.#sourceTroubles.values()].map(({ count: each, last }) => {
      return { count: (each * extra) / all, last };
    });
    return [...told, ...unseen];
  }

  /** Connections of which the source alone tells, that they failed. */
  #unseen(): number {
    let seen = 0;
    for (const { count: each, last } of this.#troubles.values()) if (last.kind === 'connection') seen += each;
    return Math.max(0, sumOf(this.#sourceTroubles) - seen);
  }

  /** All connections, those included that came no further than the source's proxy. */
  get allConnections(): number {
    return this.connections + this.#unseen();
  }

  #addRequest(flow: RequestRecord & FlowView, weight: number, isGood: boolean, pod: string | null): void {
    this.requests += weight;
    if (isGood) this.requestsGood += weight;
    if (flow.attempts > 1) this.retried += weight;
    this.times.add(flow.durationMs, weight);
    for (const [at, segment] of segmentOrder.entries()) {
      const ms = flow.segmentsMs[segment];
      if (ms !== null) this.segments[at]!.add(ms, weight);
    }
    const route = routeOf(this.routes, flow.route ?? '');
    route.requests += weight;
    if (isGood) route.good += weight;
    route.times.add(flow.durationMs, weight);
    if (pod === null) return;
    count(this.podRequests, pod, weight);
    count(route.pods, pod, weight);
  }
}

const sums = [
  'requests',
  'requestsGood',
  'connections',
  'connectionsGood',
  'retried',
  'bytes',
  'carried',
  'secured',
  'sameNode',
  'sampled',
] as const;

const others = 'others';

function count(counts: Map<string, number>, name: string, weight: number): void {
  const at = counts.has(name) || counts.size < namesMax ? name : others;
  const sum = (counts.get(at) ?? 0) + weight;
  if (sum > 0) counts.set(at, sum);
  else counts.delete(at);
}

function countAll(counts: Map<string, number>, other: ReadonlyMap<string, number>, sign: 1 | -1): void {
  for (const [name, weight] of other) count(counts, name, sign * weight);
}

function routeOf(routes: Map<string, RouteCell>, route: string): RouteCell {
  const name = routes.has(route) || routes.size < namesMax ? route : others;
  const known = routes.get(name);
  if (known !== undefined) return known;
  const fresh: RouteCell = { requests: 0, good: 0, times: new Histogram(), pods: new Map() };
  routes.set(name, fresh);
  return fresh;
}

function addTrouble(troubles: Map<string, TroubleCell>, flow: FlowView, weight: number): void {
  const { kind, flag, decidedBy, transport, status } = flow;
  const key = [kind, flag, decidedBy, transport, flag === '-' ? status : ''].join(' ');
  const name = troubles.has(key) || troubles.size < namesMax ? key : others;
  const known = troubles.get(name);
  if (known === undefined) {
    if (weight > 0) troubles.set(name, { count: weight, last: flow });
    return;
  }
  known.count += weight;
  if (known.count <= 0) troubles.delete(name);
  else if (isLater(flow, known.last)) known.last = flow;
}

/** Of two of one moment the same one is taken, whichever came first. */
export function isLater(a: FlowView, b: FlowView): boolean {
  return a.time > b.time || (a.time === b.time && JSON.stringify(a) > JSON.stringify(b));
}

function sumOf(troubles: Map<string, TroubleCell>): number {
  let sum = 0;
  for (const { count: each } of troubles.values()) sum += each;
  return sum;
}
