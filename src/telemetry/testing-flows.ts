// For tests: flows as proxies tell them.
import type { AccessRecord, FlowView, RequestRecord } from './access-record.ts';

const web = {
  workload: 'web-1',
  namespace: 'shop',
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  address: '10.244.1.2:40000',
};
const cart = {
  workload: 'cart-1',
  namespace: 'shop',
  identity: 'spiffe://cluster.local/ns/shop/sa/cart',
  address: '10.244.2.3:8080',
};
const service = 'cart.shop.svc.cluster.local';
const node = { kind: 'node', name: 'node-2', pod: 'ambient-system/ambient-node-2' } as const;
const connection = {
  time: '2026-01-02T03:04:05.678Z',
  kind: 'connection',
  direction: 'inbound',
  source: web,
  destination: { ...cart, service: null },
  transport: 'mtls',
  bytesSent: 120,
  bytesReceived: 3_000,
  durationMs: 12,
  flag: '-',
  decidedBy: null,
  error: null,
  method: null,
  path: null,
  status: null,
  attempts: 1,
  segmentsMs: { hold: null, connect: 0.8 },
} as const satisfies AccessRecord;

/** A connection from web to cart through a tunnel, which ended well; seen by the destination's node. */
export function tunnelFlow(change: Partial<AccessRecord> = {}): FlowView {
  return { ...connection, ...change, reporter: node, weight: 1 };
}

/** A plaintext connection from outside the mesh that a policy refused. */
export function refusedFlow(): FlowView {
  const source = { workload: 'client-1', namespace: 'legacy', identity: null, address: '10.244.9.9:1' };
  const destination = { ...cart, service };
  const refusal = {
    transport: 'plaintext',
    flag: 'DENY',
    decidedBy: 'shop/only-web',
    error: 'denied by shop/only-web',
  } as const;
  return { ...connection, ...refusal, source, destination, bytesSent: 0, bytesReceived: 0, reporter: node, weight: 1 };
}

/** A request from web to cart that its application answered with 503, slowly. */
export function requestFlow(change: Partial<RequestRecord> = {}): FlowView & RequestRecord {
  return {
    ...connection,
    time: '2026-01-02T03:04:06.100Z',
    kind: 'request',
    destination: { ...cart, service },
    durationMs: 34.5,
    method: 'GET',
    path: '/items/7',
    status: 503,
    attempts: 2,
    requestId: 'r-1',
    traceId: '0af7651916cd43dd8448eb211c80319c',
    authority: 'cart',
    protocol: 'http1',
    route: 'HTTPRoute/shop/cart#0',
    grpcStatus: null,
    segmentsMs: { clientProxy: 0.4, wire: 0.6, waypoint: 1, destinationProxy: 0.5, application: 32 },
    ...change,
    reporter: { kind: 'waypoint', name: 'shop/waypoint', pod: 'shop/waypoint-1' },
    weight: 1,
  };
}
