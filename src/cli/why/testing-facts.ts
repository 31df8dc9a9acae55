// For tests of `why`: an answer, a path, and what its proxies say.
import type { ProxyStateView, ProxyView, StatusView } from '../../model/views.ts';
import type { WhyResult } from '../../policy/why.ts';
import { nowMs } from '../testing-fixtures.ts';
import type { AskedProxy } from './proxies.ts';
import type { SeenPath } from './seen.ts';

/** So many milliseconds before now, RFC 3339. */
export const ago = (ms: number): string => new Date(nowMs - ms).toISOString();

export const webIdentity = 'spiffe://cluster.local/ns/shop/sa/web';

/** Web may call cart, through a waypoint. */
export const answer: WhyResult = {
  from: { workload: 'web', namespace: 'shop', identity: webIdentity, enrolled: true, node: 'node-1' },
  to: {
    service: 'cart.shop',
    workload: 'cart-1',
    namespace: 'shop',
    port: 80,
    targetPort: 8080,
    identity: 'spiffe://cluster.local/ns/shop/sa/cart',
    enrolled: true,
    node: 'node-2',
  },
  verdict: 'allow',
  layer: null,
  decidedBy: null,
  transport: 'mtls',
  hops: [
    { kind: 'node', name: 'node-1' },
    { kind: 'waypoint', name: 'shop/waypoint' },
    { kind: 'node', name: 'node-2' },
  ],
  route: null,
  response: null,
  reasons: ['no policy of the waypoint shop/waypoint forbids it'],
  values: [
    { name: 'timeout', value: '2s', from: 'HTTPRoute shop/cart rule 0 timeouts.request', at: 'cart.yaml:12:7' },
    { name: 'retries', value: '2, on connect-failure', from: "default, as Istio's", at: null },
  ],
};

export const seenPath: SeenPath = {
  from: { namespace: 'shop', workloads: new Set(['web-1']) },
  fromAddress: null,
  hostname: 'cart.shop.svc.cluster.local',
  ports: new Set([80, 8080]),
  endpoints: new Set(['shop/cart-1']),
  waypoints: new Set(['shop/waypoint-1']),
  names: {
    clientProxy: "the proxy of the caller's node node-1",
    wire: 'the wire between node-1 and node-2',
    waypoint: 'the waypoint shop/waypoint',
    destinationProxy: "the proxy of the endpoint's node node-2",
    application: 'the application itself',
  },
};

/** A proxy that is well. */
export function stateOf(given: Partial<ProxyStateView> = {}): ProxyStateView {
  return {
    pid: 1,
    version: '0.1.0',
    ready: true,
    pending: [],
    discovery: { connected: true, since: ago(3_600_000), lastUpdateAt: ago(60_000), lastError: null, fromDisk: false },
    threads: [
      {
        id: 0,
        state: 'serving',
        restarts: 0,
        connections: 3,
        tcp: 'raw',
        loopDelayMs: { p50: 0.1, p99: 2, max: 9 },
        resources: {},
      },
    ],
    certificates: [],
    configFile: null,
    limits: [{ limit: 'connectionsMax', value: 1000, use: 3 }],
    ...given,
  };
}

/** Its proxy has answered so. */
export function askedOf(given: Partial<AskedProxy> = {}): AskedProxy {
  const base = { kind: 'node', name: 'node-1', pod: null, state: stateOf(), problem: null } as const;
  return { ...base, identities: [webIdentity], ...given };
}

/** What the controller says of the proxy of node-1. */
export function statusOf(given: Partial<ProxyView> = {}): StatusView {
  const row: ProxyView = {
    kind: 'node',
    name: 'ambient-node-node-1',
    node: 'node-1',
    version: '0.1.0',
    ready: true,
    inStep: true,
    behindSince: null,
    connected: true,
    types: [],
    ...given,
  };
  return { version: '0.1.0', proxies: [row], sources: [], issues: [], objects: [] };
}
