// The graph as the browser gets it, out of the compiled mesh, the window of flows, the counters and what waypoints have
// ejected. Pure: everything comes in.
import type { GraphEdge, GraphNode, GraphView, PageNote, TrafficView, TroubleView } from '../../model/page-views.ts';
import type { EjectedView, RefusingView } from '../../model/views.ts';
import { verdictOf } from '../../telemetry/flow-verdict.ts';
import { edgeNotes, refusalsOf, troubleText, type WordSources, worstFirst } from './edge-words.ts';
import { FlowCell, isLater } from './flow-cell.ts';
import type { FlowWindow, WindowEdge } from './flow-window.ts';
import { Histogram } from './histogram.ts';
import type { LiveEdge } from './live-counters.ts';
import { backendsOf, type MeshMap, type MeshNode, outsideId } from './mesh-map.ts';
import { type Answered, routeName, sharesOf, splitsOf } from './splits.ts';

export interface GraphSources extends WordSources {
  readonly map: MeshMap;
  readonly window: FlowWindow;
  readonly live: ReadonlyMap<string, LiveEdge>;
  readonly ejected: readonly EjectedView[];
  readonly refusing: readonly RefusingView[];
  readonly heard: GraphView['heard'];
  /** Nodes of the cluster whose proxy is not connected, with what that means for their pods. */
  readonly proxiesDown: ReadonlyMap<string, PageNote>;
  readonly nowMs: number;
}

/** Nodes and edges that a browser is told of; what is beyond has the least traffic. */
const nodesMax = 600;
const graphEdgesMax = 2_000;
const notesMax = 12;

/** An edge of the window with its place and what is open, before it is made a view. */
export interface SummedEdge extends WindowEdge {
  readonly open: number;
  readonly bytesPerS: number | null;
}

/** The edges that there are: those of the window, and those with connections that are open. */
export function summedEdges({ window, live, nowMs }: Pick<GraphSources, 'window' | 'live' | 'nowMs'>): SummedEdge[] {
  const edges = new Map<string, SummedEdge>();
  for (const edge of window.edges(nowMs)) {
    const counted = live.get(`${edge.from}>${edge.to}`);
    const { open, bytesPerS } = counted ?? { open: 0, bytesPerS: null };
    edges.set(`${edge.from}>${edge.to}`, { ...edge, open, bytesPerS });
  }
  for (const [key, { from, to, open, bytesPerS }] of live) {
    if (open > 0 && !edges.has(key)) edges.set(key, { from, to, sum: new FlowCell(), open, bytesPerS });
  }
  return [...edges.values()];
}

/** The whole graph. */
export function graphView(sources: GraphSources): GraphView {
  const { window, nowMs, heard } = sources;
  const coveredMs = window.coveredMs(nowMs);
  const all = summedEdges(sources);
  const kept = all.length <= graphEdgesMax ? all : all.sort((a, b) => loadOf(b) - loadOf(a)).slice(0, graphEdgesMax);
  const edges = kept.map((edge) => edgeView(edge, sources, coveredMs));
  const nodes = nodeViews(sources, kept, edges, coveredMs);
  const shown = nodes.slice(0, nodesMax);
  const ids = new Set(shown.map(({ id }) => id));
  const sampled = all.reduce((sum, edge) => sum + edge.sum.sampled, 0) + window.takeOverflow();
  const tellable = edges.filter(({ from, to }) => ids.has(from) && ids.has(to));
  return {
    time: new Date(nowMs).toISOString(),
    windowMs: coveredMs,
    nodes: shown.sort((a, b) => (a.id < b.id ? -1 : 1)),
    edges: tellable.sort((a, b) => (a.id < b.id ? -1 : 1)),
    leftOut: {
      nodes: nodes.length - shown.length,
      edges: all.length - tellable.length,
      flowsPerS: perSecond(sampled, coveredMs),
    },
    heard,
  };
}

/** What came through some edges, all together. */
export function trafficOf(edges: readonly SummedEdge[], coveredMs: number): TrafficView {
  const all = (of: (cell: FlowCell) => number): number => edges.reduce((total, { sum }) => total + of(sum), 0);
  const requests = all((cell) => cell.requests);
  const allConnections = all((cell) => cell.allConnections);
  const carried = all((cell) => cell.carried);
  const success =
    requests > 0
      ? all((cell) => cell.requestsGood) / requests
      : allConnections > 0
        ? all((cell) => cell.connectionsGood) / allConnections
        : null;
  const count = (verdict: string): number =>
    all((cell) =>
      cell.troubles().reduce((n, { count: each, last }) => n + (verdictOf(last) === verdict ? each : 0), 0),
    );
  const times = timesOf(edges);
  const counted = edges.reduce<number | null>(
    (total, { bytesPerS }) => (bytesPerS === null ? total : (total ?? 0) + bytesPerS),
    null,
  );
  return {
    requestsPerS: perSecond(requests, coveredMs),
    connectionsPerS: perSecond(allConnections, coveredMs),
    openConnections: edges.reduce((total, { open }) => total + open, 0),
    success,
    p50Ms: times.quantile(0.5),
    p99Ms: times.quantile(0.99),
    refusedPerS: perSecond(count('refused'), coveredMs),
    failedPerS: perSecond(count('failed'), coveredMs),
    bytesPerS: Math.round(counted ?? (all((cell) => cell.bytes) * 1000) / coveredMs),
    secured: carried === 0 ? null : all((cell) => cell.secured) / carried,
  };
}

function timesOf(edges: readonly SummedEdge[]): Histogram {
  const [first, more] = edges;
  if (first !== undefined && more === undefined) return first.sum.times;
  const times = new Histogram();
  for (const { sum } of edges) times.merge(sum.times);
  return times;
}

function edgeView(edge: SummedEdge, sources: GraphSources, coveredMs: number): GraphEdge {
  const { from, to, sum } = edge;
  const troubles = sum.troubles();
  const [waypoint] = [...sum.waypoints].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0] ?? [null];
  return {
    ...trafficOf([edge], coveredMs),
    id: `${from}>${to}`,
    from,
    to,
    transport: transportOf(edge, sources.map),
    waypoint,
    refusals: refusalsOf(troubles, sources),
    lastTrouble: lastTroubleOf(sum, sources),
    retried: sum.requests === 0 ? 0 : sum.retried / sum.requests,
    notes: edgeNotes(sum, sources, to),
  };
}

function lastTroubleOf(sum: FlowCell, sources: WordSources): TroubleView | null {
  const [first, ...rest] = sum.troubles();
  if (first === undefined) return null;
  const { last: flow } = rest.reduce((latest, one) => (isLater(one.last, latest.last) ? one : latest), first);
  const verdict = verdictOf(flow);
  return verdict === 'forwarded' ? null : { time: flow.time, verdict, text: troubleText(flow, sources) };
}

function transportOf({ sum, from, to }: SummedEdge, map: MeshMap): GraphEdge['transport'] {
  const { carried, secured, sameNode } = sum;
  if (carried > 0) {
    if (secured === carried) return sameNode === carried ? 'same-node' : 'mtls';
    return secured === 0 ? 'plaintext' : 'mixed';
  }
  const isIn = (id: string): boolean => map.nodes.get(id)?.pods.some(isEnrolled) === true;
  return isIn(from) && isIn(to) ? 'mtls' : 'plaintext';
}

function isEnrolled({ tunnelProtocol }: MeshNode['pods'][number]): boolean {
  return tunnelProtocol === 'HBONE';
}

/** Those that matter first: with traffic, then the others that the mesh is about. */
function nodeViews(
  sources: GraphSources,
  edges: readonly SummedEdge[],
  views: readonly GraphEdge[],
  coveredMs: number,
): GraphNode[] {
  const { map } = sources;
  const incoming = Map.groupBy(edges, ({ to }) => to);
  const notes = Map.groupBy(views, ({ to }) => to);
  const ends = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const enrolledNamespaces = new Set(map.mesh.workloads.filter(isEnrolled).map(({ namespace }) => namespace));
  const found: GraphNode[] = [];
  for (const id of new Set([...ends, ...map.nodes.keys()])) {
    const node = map.nodes.get(id) ?? unknownNode(id);
    const isOfMesh = node.pods.length > 0 ? node.pods.some(isEnrolled) : enrolledNamespaces.has(node.namespace);
    if (!ends.has(id) && (node.isWaypoint || !isOfMesh)) continue;
    const bad = (notes.get(id) ?? []).flatMap((edge) => edge.notes.filter(({ severity }) => severity === 'error'));
    found.push(nodeView(node, sources, incoming.get(id) ?? [], bad, coveredMs));
  }
  return found;
}

/** What nobody knows any more, or never did. */
function unknownNode(id: string): MeshNode {
  const [namespace = '', name = ''] = id === outsideId ? ['', outsideId] : id.split('/');
  const kind = id === outsideId ? 'outside' : 'workload';
  return { id, namespace, name, kind, isWaypoint: false, services: [], pods: [], routes: [] };
}

function nodeView(
  node: MeshNode,
  sources: GraphSources,
  incoming: readonly SummedEdge[],
  bad: readonly PageNote[],
  coveredMs: number,
): GraphNode {
  const { id, namespace, name, kind, pods } = node;
  const answered = answeredOf(incoming);
  const enrolled = pods.filter(isEnrolled).length;
  const ejected = ejectedOf(node, sources.ejected);
  return {
    ...{ id, namespace, name, kind },
    enrolled: pods.length === 0 ? null : enrolled === pods.length ? 'all' : enrolled === 0 ? 'none' : 'some',
    waypoint: waypointOf(node),
    endpoints: { ready: pods.filter(({ healthy }) => healthy).length, total: pods.length },
    ejected,
    workloads: sharesOf(node, answered, sources.map),
    splits: splitsOf(node, answered, sources.map),
    incoming: trafficOf(incoming, coveredMs),
    notes: [...nodeNotes(node, ejected, sources), ...bad].sort(worstFirst).slice(0, notesMax),
  };
}

/** Who answered how much of what comes to a node. */
export function answeredOf(incoming: readonly SummedEdge[]): Answered {
  const byRoute = new Map<string, Map<string, number>>();
  const byPod = new Map<string, number>();
  const isHttp = incoming.some(({ sum }) => sum.podRequests.size > 0);
  for (const { sum } of incoming) {
    for (const [pod, count] of isHttp ? sum.podRequests : sum.podConnections) {
      byPod.set(pod, (byPod.get(pod) ?? 0) + count);
    }
    for (const [route, { pods }] of sum.routes) {
      const known = byRoute.get(route) ?? new Map<string, number>();
      byRoute.set(route, known);
      for (const [pod, count] of pods) known.set(pod, (known.get(pod) ?? 0) + count);
    }
  }
  return { byRoute, byPod };
}

/** The endpoints of a node that are ejected. */
export function ejectedOf(node: MeshNode, ejected: readonly EjectedView[]): readonly EjectedView[] {
  const names = new Set(node.services.map(({ namespace, name }) => `${namespace}/${name}`));
  return ejected.filter(({ service }) => names.has(service));
}

/** What is to be said of a node beside its traffic. */
export function nodeNotes(node: MeshNode, ejected: readonly EjectedView[], sources: GraphSources): PageNote[] {
  const notes: PageNote[] = [];
  const { pods, kind } = node;
  const ready = pods.filter(({ healthy }) => healthy).length;
  if (pods.length > 0 && ready === 0) {
    notes.push({ severity: 'error', id: 'no-endpoint', text: `None of its ${pods.length} pods is ready` });
  } else if (ready < pods.length) {
    const missing = pods.length - ready;
    const text = `${missing} of its ${pods.length} pods ${missing === 1 ? 'is' : 'are'} not ready`;
    notes.push({ severity: 'warning', id: 'unready', text });
  } else if (pods.length === 0 && kind === 'service') {
    notes.push({ severity: 'warning', id: 'no-endpoint', text: 'It has no pods' });
  }
  for (const { namespace, workload, since, reason } of ejected) {
    const text = `Endpoint ${namespace}/${workload} is ejected since ${clockText(since)}: ${reason}`;
    notes.push({ severity: 'warning', id: 'ejected', text });
  }
  const names = new Set(node.services.map(({ namespace, name }) => `${namespace}/${name}`));
  for (const { service, limit, reason, since, refused } of sources.refusing) {
    if (!names.has(service)) continue;
    const id = limit === 'retryBudget' || limit === 'maxRetries' ? 'retries-held' : 'overload';
    const text = `${reason}: ${refused} refused since ${clockText(since)}`;
    notes.push({ severity: 'warning', id, text });
  }
  notes.push(...brokenRoutes(node));
  for (const [where, { severity, id, text }] of sources.proxiesDown) {
    const there = pods.filter((pod) => pod.node === where && isEnrolled(pod)).length;
    if (there === 0) continue;
    const told = `${there} of its ${pods.length} pods ${there === 1 ? 'is' : 'are'} on ${where}: ${text}`;
    notes.push({ severity, id, text: told });
  }
  return notes;
}

/** Backends of the routes of a node that cannot be used, each once. */
function brokenRoutes({ routes }: MeshNode): PageNote[] {
  const texts = new Set<string>();
  for (const each of routes) {
    for (const { rules } of each.ports) {
      for (const { action, origin } of rules) {
        if (action.kind === 'invalid') texts.add(`${routeName(origin)}: ${action.reason} (${action.status})`);
        if (action.kind !== 'forward') continue;
        for (const { invalid } of action.backends) {
          if (invalid !== null) texts.add(`${routeName(origin)}: ${invalid.reason} (${invalid.status})`);
        }
      }
    }
    for (const { invalid } of backendsOf(each)) if (invalid !== null && texts.size === 0) texts.add(invalid.reason);
  }
  return [...texts].map((text) => ({ severity: 'error', id: 'route-broken', text }) as const);
}

/** `NAMESPACE/NAME` of the waypoint that stands before a node. */
export function waypointOf({ services: [service] }: MeshNode): string | null {
  const host = service?.waypoint?.hostname;
  return host === undefined ? null : `${host.namespace}/${host.hostname.split('.')[0]}`;
}

/** `03:12:40` of an RFC 3339 time. */
export function clockText(time: string): string {
  return time.slice(11, 19);
}

/** Three digits are enough for people, and keep the JSON small. */
function perSecond(count: number, coveredMs: number): number {
  return Number(((count * 1000) / coveredMs).toPrecision(3));
}

function loadOf({ sum, open }: SummedEdge): number {
  return sum.requests + sum.connections + open;
}
