// What the page server would tell of meshes that nobody has to start: as large as is asked for, or with every kind of
// trouble at once. Always the same for the same arguments but for the time.
import type {
  DetailsView,
  GraphEdge,
  GraphNode,
  GraphView,
  PageNote,
  ProblemRow,
  ProblemsView,
  ProxiesView,
  ProxyRow,
  TrafficView,
} from '../../src/model/page-views.ts';

const startMs = Date.parse('2026-11-21T03:00:00Z');
const windowMs = 60_000;
const namespaces = ['shop', 'bank', 'mail', 'media', 'search', 'stock'];

const silence: TrafficView = {
  requestsPerS: 0,
  connectionsPerS: 0,
  openConnections: 0,
  success: null,
  p50Ms: null,
  p99Ms: null,
  refusedPerS: 0,
  failedPerS: 0,
  bytesPerS: 0,
  secured: null,
};
const well: TrafficView = {
  requestsPerS: 42.5,
  connectionsPerS: 1.2,
  openConnections: 8,
  success: 1,
  p50Ms: 2.1,
  p99Ms: 11.8,
  refusedPerS: 0,
  failedPerS: 0,
  bytesPerS: 51_200,
  secured: 1,
};

function node(id: string, more: Partial<GraphNode> = {}): GraphNode {
  const [namespace = '', name = ''] = id.split('/');
  return {
    id,
    namespace,
    name,
    kind: 'service',
    enrolled: 'all',
    waypoint: null,
    endpoints: { ready: 2, total: 2 },
    ejected: [],
    workloads: [{ name, namespace, revision: '', pods: { ready: 2, total: 2 }, actual: 1, configured: null }],
    splits: [],
    incoming: well,
    notes: [],
    ...more,
  };
}

function edge(from: string, to: string, more: Partial<GraphEdge> = {}): GraphEdge {
  return {
    ...well,
    id: `${from}>${to}`,
    from,
    to,
    transport: 'mtls',
    waypoint: null,
    refusals: [],
    lastTrouble: null,
    retried: 0,
    notes: [],
    ...more,
  };
}

/** A mesh of `services` services in six namespaces, a layered application each; `atS` seconds after its start. */
export function exampleGraph(services = 12, atS = 0): GraphView {
  const ids = Array.from({ length: services }, (_, at) => {
    const namespace = namespaces[at % namespaces.length];
    return `${namespace}/service-${String(Math.floor(at / namespaces.length)).padStart(3, '0')}`;
  });
  const edges = ids.flatMap((from, at) =>
    [2 * at + 1, 2 * at + 2, at + namespaces.length]
      .filter((to, nth, all) => to < ids.length && all.indexOf(to) === nth)
      .map((to) => edge(from, ids[to]!, swaying(at * 31 + to, atS))),
  );
  const time = new Date(startMs + atS * 1000).toISOString();
  const leftOut = { nodes: 0, edges: 0, flowsPerS: 0 };
  const nodes = ids.map((id) => node(id)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return { time, windowMs, nodes, edges, leftOut, heard: { proxies: 4, silent: [] } };
}

/** Traffic that is another one each second. */
function swaying(seed: number, atS: number): Partial<GraphEdge> {
  const wave = 1 + 0.5 * Math.sin(seed + atS / 5);
  return { requestsPerS: 40 * wave, p50Ms: 2 * wave, p99Ms: 12 * wave, bytesPerS: 50_000 * wave };
}

const said = (id: PageNote['id'], severity: PageNote['severity'], text: string): PageNote => ({ id, severity, text });

/** The twelve incidents of docs/runbook.md, as far as they show in the graph, all in one mesh. */
export function troubledGraph(): GraphView {
  const time = new Date(startMs).toISOString();
  const refusedText = 'Refused by AuthorizationPolicy shop/deny-legacy: 30 in the last minute';
  const strictText =
    'Refused by PeerAuthentication shop/default: it asks for mutual TLS, and legacy/till calls in plaintext';
  const ejected = {
    service: 'shop/catalog',
    namespace: 'shop',
    workload: 'catalog-7d9f-b',
    address: '10.244.2.7:8080',
    since: '2026-11-21T02:59:40Z',
    until: '2026-11-21T03:00:10Z',
    reason: '5 answers of 500 to 599 in a row',
  };
  const reviews = [
    { name: 'reviews subset v1', configured: 0.9, actual: 0.897 },
    { name: 'reviews subset v2', configured: 0.1, actual: 0.103 },
  ];
  const share = (revision: string, actual: number, configured: number) => {
    return {
      name: `reviews-${revision}`,
      namespace: 'shop',
      revision,
      pods: { ready: 1, total: 1 },
      actual,
      configured,
    };
  };
  const nodes: GraphNode[] = [
    node('legacy/till', { kind: 'workload', enrolled: 'none', incoming: silence }),
    node('outside', { id: 'outside', namespace: '', name: 'outside', kind: 'outside', enrolled: null, workloads: [] }),
    node('shop/cart', { notes: [said('refused', 'error', refusedText)] }),
    node('shop/catalog', {
      waypoint: 'shop/waypoint',
      endpoints: { ready: 2, total: 3 },
      ejected: [ejected],
      notes: [
        said(
          'ejected',
          'warning',
          'Endpoint shop/catalog-7d9f-b is ejected since 02:59:40: 5 answers of 500 to 599 in a row',
        ),
      ],
    }),
    node('shop/inventory', {
      waypoint: 'shop/waypoint',
      notes: [said('slow', 'warning', 'The application takes 300 ms of 306 ms (p99)')],
    }),
    node('shop/payments', { waypoint: 'shop/waypoint' }),
    node('shop/reviews', {
      waypoint: 'shop/waypoint',
      workloads: [share('v1', 0.897, 0.9), share('v2', 0.103, 0.1)],
      splits: [{ route: 'HTTPRoute/shop/reviews#0', backends: reviews }],
      notes: [
        said('route-broken', 'error', 'VirtualService/shop/reviews#1: subset v3 is not in DestinationRule reviews'),
      ],
    }),
    node('shop/web'),
  ];
  return { time, windowMs, nodes, edges: troubledEdges(time, refusedText, strictText), ...unheard };
}

const unheard = { leftOut: { nodes: 0, edges: 0, flowsPerS: 0 }, heard: { proxies: 3, silent: ['node/node-3'] } };

function troubledEdges(time: string, refusedText: string, strictText: string): GraphEdge[] {
  const trouble = (verdict: 'refused' | 'failed', text: string) => ({ lastTrouble: { time, verdict, text } });
  const retries = '18 failed tries were not made again: the retry budget of shop/payments was used up (RETRY_REFUSED)';
  return [
    edge('shop/web', 'outside', { ...well, requestsPerS: 0, transport: 'plaintext', secured: 0 }),
    edge('shop/web', 'shop/cart', {
      success: 0,
      refusedPerS: 0.5,
      refusals: [{ count: 30, by: 'AuthorizationPolicy shop/deny-legacy', text: refusedText }],
      ...trouble('refused', refusedText),
      notes: [said('refused', 'error', refusedText)],
    }),
    edge('legacy/till', 'shop/cart', {
      transport: 'plaintext',
      secured: 0,
      success: 0,
      refusedPerS: 0.25,
      refusals: [{ count: 15, by: 'PeerAuthentication shop/default', text: strictText }],
      ...trouble('refused', strictText),
      notes: [said('plaintext-refused', 'error', strictText)],
    }),
    edge('shop/web', 'shop/catalog', { waypoint: 'shop/waypoint', success: 0.97 }),
    edge('shop/web', 'shop/reviews', {
      waypoint: 'shop/waypoint',
      success: 0.5,
      failedPerS: 20,
      ...trouble('failed', 'VirtualService/shop/reviews#1: subset v3 is not in DestinationRule reviews (500)'),
      notes: [said('route-broken', 'error', 'Half of the requests match a rule whose backend cannot be used')],
    }),
    edge('shop/cart', 'shop/inventory', {
      waypoint: 'shop/waypoint',
      p50Ms: 302,
      p99Ms: 306,
      notes: [said('slow', 'warning', 'The application takes 300 ms of 306 ms (p99)')],
    }),
    edge('shop/cart', 'shop/payments', {
      waypoint: 'shop/waypoint',
      success: 0.8,
      failedPerS: 8,
      retried: 0.2,
      ...trouble('failed', retries),
      notes: [said('retries-held', 'warning', retries)],
    }),
  ];
}

/** Details of any node or edge of the graphs above. */
export function exampleDetails(of: 'node' | 'edge', id: string): DetailsView {
  const time = new Date(startMs).toISOString();
  const segment = (segment: DetailsView['segments'][number]['segment'], name: string, p50Ms: number, p99Ms: number) => {
    return { segment, name, p50Ms, p99Ms };
  };
  const line = '03:00:00.000 [node-2] shop/web-1 -> shop/cart-1:80 (cart.shop) GET /items 200 FORWARDED mtls 12ms';
  return {
    time,
    windowMs,
    of,
    id,
    title: id.replace('>', ' → '),
    traffic: well,
    notes: [],
    segments: [
      segment('clientProxy', "client's proxy", 0.1, 0.4),
      segment('wire', 'wire', 0.3, 0.9),
      segment('waypoint', 'waypoint', 0.4, 1.2),
      segment('destinationProxy', "destination's proxy", 0.1, 0.3),
      segment('application', 'application', 1.2, 9.1),
    ],
    slowest: 'The application takes 9.1 ms of 11.8 ms (p99)',
    routes: [
      {
        route: 'HTTPRoute/shop/reviews#0',
        requestsPerS: 42.5,
        success: 1,
        p99Ms: 11.8,
        backends: [
          { name: 'reviews-v1', configured: 0.9, actual: 0.897 },
          { name: 'reviews-v2', configured: 0.1, actual: 0.103 },
        ],
        problems: [],
      },
    ],
    policies: [
      {
        kind: 'AuthorizationPolicy',
        name: 'shop/web-only',
        action: 'allow',
        dryRun: false,
        layer: 'L4',
        scope: 'pods that it selects',
        refused: 0,
      },
    ],
    endpoints: [
      {
        workload: 'shop/cart-1',
        address: '10.244.1.7',
        node: 'node-1',
        enrolled: true,
        state: 'ready',
        reason: null,
      },
    ],
    refusals: [],
    flows: [{ time, verdict: 'forwarded', line, json: '{\n  "time": "2026-11-21T03:00:00.000Z"\n}' }],
    commands: [{ what: 'Flows, as they come', command: 'ambientctl tap --follow --to-service cart.shop' }],
  };
}

/** Proxies in every state that there is. */
export function exampleProxies(): ProxiesView {
  const time = new Date(startMs).toISOString();
  const proxies = [
    proxy('node', 'node-3', {
      state: 'not connected',
      since: '2026-11-21T02:58:01Z',
      text: 'Not connected since 02:58:01',
      load: null,
      certificates: [],
      notes: [said('proxy-down', 'error', 'The proxy of node-3 is down: its pods cannot be reached through the mesh')],
    }),
    proxy('node', 'node-2', {
      state: 'behind',
      since: '2026-11-21T02:52:40Z',
      text: 'Behind since 02:52:40: it has not taken what the controller sent',
      notes: [said('proxy-behind', 'error', 'node-2 has had no configuration since 02:52:40')],
    }),
    proxy('waypoint', 'shop/waypoint', {
      certificates: [
        {
          identity: 'spiffe://cluster.local/ns/shop/sa/waypoint',
          state: 'late',
          notAfter: '2026-11-21T05:00:00Z',
          note: 'it should have been renewed at half of its life',
        },
      ],
      notes: [said('certificate', 'error', 'The certificate of shop/waypoint will not renew, and ends in 2 hours')],
    }),
    proxy('node', 'node-1', {
      load: { ...load, loopDelayP99Ms: 180, loopDelayMaxMs: 350 },
      notes: [said('proxy-busy', 'warning', 'node-1 is overloaded: events wait 180 ms (p99)')],
    }),
  ];
  const commands = [{ what: 'The same as a table', command: 'ambientctl status' }];
  return { time, controller: { version: '0.1.0', inStep: 2, proxies: 4 }, proxies, commands };
}

const thread = { id: 1, state: 'serving', connections: 120, restarts: 0, loopDelayP99Ms: 1.2 } as const;
const load = { connections: 120, loopDelayP99Ms: 1.2, loopDelayMaxMs: 4, threads: [thread] };

function proxy(kind: ProxyRow['kind'], name: string, more: Partial<ProxyRow>): ProxyRow {
  return {
    kind,
    name,
    pod: kind === 'node' ? `ambient-system/ambient-node-${name}` : `${name}-1`,
    node: kind === 'node' ? name : 'node-1',
    version: '0.1.0',
    state: 'in step',
    since: null,
    text: 'In step',
    refused: [],
    load,
    certificates: [
      {
        identity: 'spiffe://cluster.local/ns/shop/sa/web',
        state: 'ok',
        notAfter: '2026-11-22T03:00:00Z',
        note: '',
      },
    ],
    heardAt: new Date(startMs).toISOString(),
    notes: [],
    commands: [{ what: 'All that it knows', command: `ambientctl config all --${kind} ${name}` }],
    ...more,
  };
}

/** A problem of each kind. */
export function exampleProblems(): ProblemsView {
  const time = new Date(startMs).toISOString();
  const analyzed = 'ambientctl analyze';
  const problems: ProblemRow[] = [
    {
      source: 'check',
      code: null,
      severity: 'error',
      title: 'every node has one that is connected',
      text: 'node-3',
      fix: '',
      place: null,
      doc: 'docs/runbook.md',
      command: 'ambientctl check',
      node: null,
    },
    {
      source: 'analyze',
      code: 'AMB0603',
      severity: 'warning',
      title: 'VirtualService shop/reviews',
      text: 'subset v3 is not in DestinationRule reviews; it has v1, v2',
      fix: 'write v2',
      place: 'reviews.yaml:14:17',
      doc: 'docs/findings/AMB0603.md',
      command: analyzed,
      node: 'shop/reviews',
    },
  ];
  const commands = [{ what: 'What the linter says', command: analyzed }];
  return { time, incomplete: [], problems, leftOut: 0, well: ['the controller answers'], commands };
}
