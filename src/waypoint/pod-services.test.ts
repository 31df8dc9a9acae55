import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshIndex, serviceKey } from '../model/mesh-index.ts';
import { defaultServiceRoutes, noRoutes } from '../model/routes/route-defaults.ts';
import { policyOf, serviceOf, workloadOf } from '../model/testing-mesh.ts';
import type { MeshUpdate } from '../model/types.ts';
import { PodServices } from './pod-services.ts';

const guard = 'shop/wp.shop.svc.cluster.local';
const waypoint = { hostname: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' }, hbonePort: 15008 };
const address = '10.244.1.2';
const cart = workloadOf('shop/cart-1', { addresses: [address, 'fd00::2'], waypoint, healthy: false });
const nothing = {
  workloads: [],
  services: [],
  policies: [],
  removedAddresses: [],
  removedPolicies: [],
  complete: false,
};

function setUp(change: Partial<MeshUpdate> = {}) {
  const index = new MeshIndex();
  const apply = (more: Partial<MeshUpdate>): unknown => index.apply({ ...nothing, ...more });
  apply({ workloads: [cart], services: [serviceOf('shop/cart')], ...change });
  return { index, apply, pods: new PodServices(index) };
}

test('a port of a pod is a service with that endpoint, ready or not', () => {
  const { pods } = setUp();
  const service = pods.serviceOf(cart, address, 8080);
  const key = serviceKey(service);
  assert.equal(pods.serviceOf(cart, address, 8080), service);
  assert.equal(pods.serviceByKey(key), service);
  assert.equal(service.loadBalancing?.healthPolicy, 'allowAll');
  const [endpoint, ...others] = pods.endpointsOf(key);
  assert.deepEqual([endpoint?.workload, others], [cart, []]);
  assert.deepEqual(endpoint?.ports, [{ servicePort: 8080, targetPort: 8080, appProtocol: 'unknown' }]);
  assert.equal(pods.endpointsOf(key), pods.endpointsOf(key), 'the same until something changes');
  assert.notEqual(serviceKey(pods.serviceOf(cart, 'fd00::2', 8080)), key);
  assert.notEqual(serviceKey(pods.serviceOf(cart, address, 8081)), key);
});

test('a pod that has gone, or has another address, is no service; one that has changed is', () => {
  const { pods, apply } = setUp();
  const key = serviceKey(pods.serviceOf(cart, address, 8080));
  const changed = { ...cart, healthy: true };
  apply({ workloads: [changed] });
  assert.equal(pods.endpointsOf(key)[0]?.workload, changed);
  apply({ workloads: [{ ...cart, addresses: ['10.244.1.9'] }] });
  assert.equal(pods.serviceByKey(key), null);
  apply({ workloads: [cart] });
  assert.notEqual(pods.serviceByKey(serviceKey(pods.serviceOf(cart, address, 8080))), null);
  apply({ removedAddresses: [cart.uid] });
  assert.deepEqual([pods.serviceByKey(key), pods.endpointsOf(key)], [null, []]);
});

test('it is guarded by what is put before its waypoint, and no routes of services', () => {
  const { pods, apply } = setUp();
  const service = pods.serviceOf(cart, address, 8080);
  const key = serviceKey(service);
  const open = pods.routesOf(key);
  assert.deepEqual(open, defaultServiceRoutes(service));
  assert.equal(pods.routesOf(key), open);
  const policies = [policyOf('shop/deny', 'deny', [])];
  apply({ routes: [{ ...noRoutes(guard), policies, podsOf: 'shop/wp' }] });
  assert.deepEqual(pods.routesOf(key), { ...defaultServiceRoutes(service), policies });
  assert.equal(pods.routesOf(key), pods.routesOf(key));
  assert.equal(serviceKey(pods.guardianOf(cart)), guard);
  apply({ removedRoutes: [guard] });
  assert.deepEqual(pods.routesOf(key), open);
});

test('services of the mesh pass through', () => {
  const { pods, index } = setUp();
  const key = 'shop/cart.shop.svc.cluster.local';
  for (const round of ['without pods', 'with one']) {
    assert.equal(pods.serviceByKey(key), index.serviceByKey(key), round);
    assert.equal(pods.endpointsOf(key), index.endpointsOf(key), round);
    assert.equal(pods.routesOf(key), null, round);
    pods.serviceOf(cart, address, 8080);
  }
});

test('ports beyond the limit are forgotten, the ones called last are kept, and a forgotten one lets nobody in', () => {
  const { pods } = setUp();
  const keys = [1, 2].map((port) => serviceKey(pods.serviceOf(cart, address, port)));
  for (let port = 3; port <= 10_000; port++) pods.serviceOf(cart, address, port);
  pods.serviceOf(cart, address, 1);
  pods.serviceOf(cart, address, 10_001);
  assert.deepEqual(
    keys.map((key) => pods.serviceByKey(key) !== null),
    [true, false],
  );
  assert.deepEqual(
    pods.routesOf(keys[1]!)?.policies?.map(({ action }) => action),
    ['deny'],
  );
});

for (const [what, ports, protocol] of [
  ['the service says it', [['a', 8080, 'http1']], 'http1'],
  [
    'two agree',
    [
      ['a', 8080, 'grpc'],
      ['b', 8080, 'grpc'],
    ],
    'grpc',
  ],
  [
    'two disagree',
    [
      ['a', 8080, 'http1'],
      ['b', 8080, 'tcp'],
    ],
    'unknown',
  ],
  ['another port', [['a', 8081, 'http1']], 'unknown'],
  ['TCP', [['a', 8080, 'tcp']], 'tcp'],
] as const) {
  test(`the protocol of a pod's port: ${what}`, () => {
    const mappings = ports.map(([name, targetPort, appProtocol]) => [
      `shop/${name}`,
      [{ servicePort: 80, targetPort, appProtocol }],
    ]);
    const workload = { ...cart, services: Object.fromEntries(mappings) };
    const { pods } = setUp({ workloads: [workload] });
    assert.equal(pods.serviceOf(workload, address, 8080).ports[0]?.appProtocol, protocol);
  });
}
