// A small mesh as the parts would describe it, for the tests of tables and JSON.
import type { LabStatus } from '../lab/control-types.ts';
import type { Condition, ConditionKind, ConditionType, ObjectStatus } from '../model/conditions.ts';
import type { Workload } from '../model/types.ts';
import type { EdgeView, EjectedListView, NodeDump, StatusView } from '../model/views.ts';

/** The time at which every test of ages looks. */
export const nowMs = Date.parse('2026-11-21T12:10:00.000Z');

/** A workload of the shop; fields that do not matter have defaults. */
export function workload(name: string, namespace: string, address: string, more: Partial<Workload> = {}): Workload {
  return {
    uid: `Kubernetes//Pod/${namespace}/${name}`,
    name,
    namespace,
    addresses: [address],
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: name.split('-')[0] ?? name,
    node: 'node-1',
    canonicalName: name,
    canonicalRevision: 'v1',
    workloadType: 'deployment',
    workloadName: name.split('-')[0] ?? name,
    nativeTunnel: false,
    policies: [],
    healthy: true,
    clusterId: 'Kubernetes',
    locality: null,
    hostNetwork: false,
    capacity: 1,
    waypoint: null,
    services: {},
    ...more,
  };
}

const catalogKey = 'shop/catalog.shop.svc.cluster.local';
const catalogPorts = { [catalogKey]: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http1' as const }] };
const spiffe = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;

/** The dump of node-1: two pods of its own, one elsewhere, one outside the mesh. */
export const dump: NodeDump = {
  node: 'node-1',
  pid: 7,
  version: '0.1.0',
  ready: true,
  pending: [],
  discovery: {
    connected: true,
    since: '2026-11-21T12:00:00.000Z',
    lastUpdateAt: null,
    lastError: null,
    fromDisk: false,
  },
  capture: { backend: 'host', state: 'applied', verifiedAt: '2026-11-21T12:00:01.000Z', reason: null, pods: [] },
  network: {
    source: 'found',
    podCidrs: ['10.244.1.0/24'],
    meshCidrs: ['10.244.0.0/16'],
    bridges: ['cni0'],
    otherLinks: [],
    readAt: '2026-11-21T12:00:00.000Z',
    reason: null,
  },
  findings: [],
  revocations: [
    {
      namespace: 'ambient-system',
      name: 'stolen',
      serials: ['7faa'],
      identities: [{ identity: 'spiffe://cluster.local/ns/shop/sa/web', issuedBeforeMs: nowMs - 3_600_000 }],
    },
  ],
  clientAddresses: { setting: 'auto', ipv4: true, ipv6: true, reason: null },
  threads: [
    {
      id: 0,
      state: 'serving',
      restarts: 0,
      connections: 2,
      tcp: 'raw',
      loopDelayMs: { p50: 0.1, p99: 1.5, max: 4 },
      resources: { TCPSocketWrap: 2, Timeout: 1 },
    },
  ],
  resources: { MessagePort: 1 },
  workloads: [
    workload('web-7d4b9', 'shop', '10.244.1.2'),
    workload('catalog-5c6f8', 'shop', '10.244.2.2', {
      node: 'node-2',
      addresses: ['10.244.2.2', 'fd00:10:244:2::2'],
      services: catalogPorts,
      policies: ['shop/catalog-readers'],
    }),
    workload('catalog-9x2k1', 'shop', '10.244.2.3', { node: 'node-2', services: catalogPorts, healthy: false }),
    workload('legacy-1', 'legacy', '10.244.2.9', { node: 'node-2', tunnelProtocol: 'NONE' }),
  ],
  services: [
    {
      name: 'catalog',
      namespace: 'shop',
      hostname: 'catalog.shop.svc.cluster.local',
      addresses: ['10.96.0.12', 'fd00:10:96::c'],
      ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http1' }],
      subjectAltNames: [],
      waypoint: { hostname: { namespace: 'shop', hostname: 'waypoint.shop.svc.cluster.local' }, hbonePort: 15_008 },
      loadBalancing: null,
      ipFamilies: 'dual',
      canonical: true,
      visibility: 'public',
    },
  ],
  policies: [
    {
      name: 'catalog-readers',
      namespace: 'shop',
      scope: 'workload',
      action: 'allow',
      rules: [{ clauses: [] }],
      dryRun: false,
    },
    { name: 'trial', namespace: 'ambient-system', scope: 'global', action: 'deny', rules: [], dryRun: true },
  ],
  certificates: [
    {
      identity: spiffe('web'),
      state: 'available',
      reason: null,
      chain: [
        {
          type: 'leaf',
          serial: '4f1d2c3b4a5968778695a4b3c2d1e0f1',
          notBefore: '2026-11-21T11:58:00.000Z',
          notAfter: '2026-11-22T12:00:00.000Z',
        },
        { type: 'root', serial: '01', notBefore: '2026-11-21T11:00:00.000Z', notAfter: '2036-11-19T11:00:00.000Z' },
      ],
    },
    { identity: spiffe('catalog'), state: 'unavailable', reason: 'the controller cannot be reached', chain: [] },
  ],
  connections: [
    {
      id: 'c1',
      direction: 'outbound',
      startedAt: '2026-11-21T12:09:30.000Z',
      source: { workload: 'web-7d4b9', namespace: 'shop', identity: spiffe('web'), address: '10.244.1.2:40312' },
      destination: {
        workload: 'catalog-5c6f8',
        namespace: 'shop',
        identity: spiffe('catalog'),
        address: '10.244.2.2:8080',
        service: 'shop/catalog.shop.svc.cluster.local',
      },
      transport: 'mtls',
      bytesSent: 4100,
      bytesReceived: 1_260_000,
      thread: 0,
    },
    {
      id: 'c2',
      direction: 'inbound',
      startedAt: '2026-11-21T12:09:59.000Z',
      source: { workload: null, namespace: null, identity: null, address: '10.80.0.9:51000' },
      destination: {
        workload: 'web-7d4b9',
        namespace: 'shop',
        identity: spiffe('web'),
        address: '10.244.1.2:8080',
        service: null,
      },
      transport: 'plaintext',
      bytesSent: 0,
      bytesReceived: 999,
      thread: 0,
    },
  ],
  edges: [],
  config: { nodeName: 'node-1' },
  configFile: null,
};

const condition = (type: ConditionType, reason: string, message = 'all is well'): Condition => {
  const isTrue = type === 'PartiallyInvalid' || message === 'all is well';
  return { type, status: isTrue ? 'True' : 'False', reason, message, observedGeneration: 4 };
};

const objectStatus = (kind: ConditionKind, title: string, types: readonly ConditionType[]): ObjectStatus => {
  const [namespace = '', name = ''] = title.split('/');
  return { kind, namespace, name, conditions: types.map((type) => condition(type, type)), parents: [] };
};

/** Two proxies, one of them behind; routes, a broken file and a finding. */
export const statusView: StatusView = {
  version: '0.1.0',
  proxies: [
    {
      kind: 'node',
      name: 'node-1',
      node: 'node-1',
      version: '0.1.0',
      ready: true,
      inStep: true,
      behindSince: null,
      types: [{ type: 'type.googleapis.com/istio.workload.Address', applied: '17', refused: [] }],
    },
    {
      kind: 'node',
      name: 'node-2',
      node: 'node-2',
      version: '0.1.0',
      ready: true,
      inStep: false,
      behindSince: '2026-11-21T12:09:18.000Z',
      types: [
        {
          type: 'type.googleapis.com/istio.security.Authorization',
          applied: '3',
          refused: [{ resource: 'shop/catalog-readers', reason: 'a rule without clauses' }],
        },
      ],
    },
    {
      kind: 'node',
      name: 'node-3',
      node: 'node-3',
      version: '0.1.0',
      ready: false,
      inStep: false,
      behindSince: '2026-11-21T12:06:00.000Z',
      connected: false,
      findings: [
        {
          id: 'capture-pods-failed',
          severity: 'error',
          text: 'cut off, because their traffic cannot be captured: shop/web-1',
          fix: 'nft: no such file; it is tried again, see: ambientctl config capture --node NAME',
          set: [],
          hint: 'docs/node-proxy.md#capture-inside-pods',
        },
      ],
      types: [],
    },
  ],
  sources: [
    {
      path: '/etc/mesh',
      ok: false,
      error: { file: '/etc/mesh/policy.yaml', line: 7, column: 3, message: 'unknown action ALOW' },
      ignored: [{ kind: 'Ingress', count: 2 }],
    },
  ],
  objects: [
    objectStatus('Gateway', 'shop/waypoint', ['Accepted', 'Programmed']),
    {
      ...objectStatus('HTTPRoute', 'shop/checkout', []),
      parents: [
        {
          parentRef: { group: '', kind: 'Service', namespace: 'shop', name: 'checkout', port: 80 },
          controllerName: 'ambient.mesh/controller',
          conditions: [
            condition('Accepted', 'Accepted'),
            condition('ResolvedRefs', 'BackendNotFound', 'Service shop/checkout-v3 is not there'),
            condition('WaypointAccepted', 'Accepted'),
            condition('Programmed', 'Programmed'),
          ],
        },
      ],
    },
    {
      ...objectStatus('VirtualService', 'shop/ratings', ['Accepted', 'ResolvedRefs']),
      conditions: [
        condition('Accepted', 'Accepted'),
        condition('ResolvedRefs', 'ResolvedRefs'),
        condition('WaypointAccepted', 'AncestorNotBound', 'no waypoint stands before Service shop/ratings'),
        condition('Programmed', 'NoResources', 'no waypoint stands before Service shop/ratings'),
        condition('PartiallyInvalid', 'UnsupportedValue', 'Fall Back: http2Error is not supported'),
      ],
    },
  ],
  issues: [
    {
      code: 'AMB0207',
      severity: 'error',
      kind: 'AuthorizationPolicy',
      namespace: 'shop',
      name: 'get-only',
      message:
        'rule 0 has the HTTP condition methods, which L4 cannot enforce; it denies everything it would have allowed',
      fix: 'remove methods, or attach the policy to a waypoint',
      place: { file: '/etc/mesh/get-only.yaml', line: 12, column: 11 },
      field: 'spec.rules[0].to[0].operation.methods',
    },
  ],
};

const edge = (
  reporter: EdgeView['reporter'],
  from: string,
  to: string,
  transport: EdgeView['transport'],
  counts: Partial<EdgeView> = {},
): EdgeView => {
  const party = (name: string) => {
    const [namespace = '', account = ''] = name.split('/');
    return { namespace, workload: account, identity: namespace === 'shop' ? spiffe(account) : '' };
  };
  const [namespace, account] = to.split('/');
  return {
    reporter,
    source: party(from),
    destination: { ...party(to), service: reporter === 'source' ? `${account}.${namespace}.svc.cluster.local` : '' },
    transport,
    flag: '-',
    decidedBy: null,
    opened: 0,
    closed: 0,
    failed: 0,
    bytesSent: 0,
    bytesReceived: 0,
    ...counts,
  };
};

/**
 * Edges as two node proxies report them: a tunnelled one from both ends, a refused one, a same-node one, plain ones.
 */
export const edgeDumps: readonly Pick<NodeDump, 'edges'>[] = [
  {
    edges: [
      edge('source', 'shop/web', 'shop/catalog', 'mtls', { opened: 12, bytesSent: 1200, bytesReceived: 48_000 }),
      edge('source', 'shop/web', 'shop/catalog', 'mtls', { flag: 'RESET_BY_DESTINATION', closed: 3 }),
      edge('source', 'shop/web', 'shop/payments', 'mtls', { flag: 'CONNECT', failed: 7 }),
      edge('source', 'shop/web', 'shop/cart', 'same-node', {
        opened: 4,
        closed: 2,
        bytesSent: 300,
        bytesReceived: 900,
      }),
      edge('destination', 'shop/web', 'shop/cart', 'same-node', {
        opened: 4,
        closed: 2,
        bytesSent: 300,
        bytesReceived: 900,
      }),
    ],
  },
  {
    edges: [
      edge('destination', 'shop/web', 'shop/catalog', 'mtls', {
        opened: 12,
        closed: 2,
        bytesSent: 1200,
        bytesReceived: 48_100,
      }),
      edge('destination', 'shop/web', 'shop/payments', 'mtls', {
        flag: 'DENY',
        failed: 7,
        decidedBy: 'shop/payments-never-from-web',
      }),
      edge('destination', 'legacy/legacy', 'shop/catalog', 'plaintext', {
        opened: 5,
        closed: 5,
        bytesSent: 500,
        bytesReceived: 2_000_000,
      }),
      edge('source', 'shop/inventory', 'legacy/legacy', 'plaintext', { flag: 'CONNECT', failed: 2 }),
    ],
  },
];

/** A lab that still waits for a pod. */
export const labStatus: LabStatus = {
  name: 'demo',
  startedAt: '2026-11-21T12:00:00.000Z',
  ready: false,
  pending: ['pod legacy/legacy-1 is not ready: connection refused on 10.244.2.9:8080'],
  hostPid: 4711,
  faults: ['link of node-1: delay 50ms, loss 10%'],
  nodes: [{ name: 'node-1', addresses: ['10.80.0.11', 'fd80::11'], podCidrs: ['10.244.1.0/24'], proxyReady: true }],
  pods: [
    {
      namespace: 'shop',
      name: 'web-7d4b9',
      node: 'node-1',
      addresses: ['10.244.1.2'],
      serviceAccount: 'web',
      owner: { kind: 'Deployment', name: 'web' },
      phase: 'Running',
      ready: true,
      restarts: 0,
      reason: null,
      enrolled: true,
    },
    {
      namespace: 'legacy',
      name: 'legacy-1',
      node: 'node-2',
      addresses: ['10.244.2.9'],
      serviceAccount: 'default',
      owner: null,
      phase: 'Running',
      ready: false,
      restarts: 3,
      reason: 'CrashLoopBackOff',
      enrolled: false,
    },
  ],
};

/** What a waypoint holds back. */
export const strain = {
  ejected: [
    {
      service: 'shop/checkout',
      namespace: 'shop',
      workload: 'checkout-7d4b9',
      address: '10.244.2.7:8080',
      since: new Date(nowMs - 12_000).toISOString(),
      until: new Date(nowMs + 18_000).toISOString(),
      reason: '5 answers of 500 to 599 in a row',
      subset: '',
      threads: { ejecting: 1, of: 2 },
    },
  ],
  refusing: [
    {
      service: 'shop/checkout',
      port: 80,
      subset: 'v2',
      limit: 'retryBudget',
      value: 0.2,
      since: new Date(nowMs - 95_000).toISOString(),
      lastAt: new Date(nowMs - 100).toISOString(),
      refused: 420,
      reason: 'the retry budget (20 % of the requests in flight, 3 at least) is used up: no further tries',
    },
  ],
} as const satisfies EjectedListView;
