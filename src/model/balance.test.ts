import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseEndpoint, type EndpointQuery, explainableEndpoints } from './balance.ts';
import { MeshIndex } from './mesh-index.ts';
import { portOf, serviceOf, workloadOf } from './testing-mesh.ts';
import type { LoadBalancing, PortMapping, Service, Workload } from './types.ts';

const key = 'shop/web.shop.svc.cluster.local';

function endpoint(
  name: string,
  given: Partial<Workload> = {},
  ports: readonly PortMapping[] = [portOf(80, 8080)],
): Workload {
  return workloadOf(`shop/${name}`, {
    addresses: [`10.0.0.${name.charCodeAt(0)}`],
    services: { [key]: ports },
    ...given,
  });
}

function meshOf(service: Service, workloads: readonly Workload[]) {
  const index = new MeshIndex();
  index.apply({
    workloads,
    services: [service],
    policies: [],
    removedAddresses: [],
    removedPolicies: [],
    complete: false,
  });
  const ask: Omit<EndpointQuery, 'random'> = {
    service,
    port: 80,
    source: null,
    destinationIp: '10.96.0.1',
    exclude: null,
  };
  const choose = (given: Partial<EndpointQuery> = {}) => chooseEndpoint(index, { ...ask, random: () => 0, ...given });
  /** Who is chosen over the whole range of the random number, with how often of a thousand. */
  const spread = (given: Partial<EndpointQuery> = {}): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (let at = 0; at < 1000; at++) {
      const name = choose({ ...given, random: () => at / 1000 }).workload!.name;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  };
  return { index, choose, spread };
}

function balanced(mode: LoadBalancing['mode'], routingPreference: LoadBalancing['routingPreference'] = []): Service {
  return serviceOf('shop/web', { loadBalancing: { mode, routingPreference, healthPolicy: 'onlyHealthy' } });
}

test('weighted random over the ready endpoints', () => {
  const { spread } = meshOf(serviceOf('shop/web'), [
    endpoint('a'),
    endpoint('b', { capacity: 3 }),
    endpoint('c', { healthy: false }),
    endpoint('d', { addresses: [] }),
    endpoint('e', { capacity: 0 }),
  ]);
  assert.deepEqual(spread(), { a: 250, b: 750 });
});

test('endpoints without any weight are chosen alike', () => {
  const all = ['a', 'b'].map((name) => endpoint(name, { capacity: 0 }));
  assert.deepEqual(meshOf(serviceOf('shop/web'), all).spread(), { a: 500, b: 500 });
});

test('the port is the one of the endpoint, then the one of the service', () => {
  const service = serviceOf('shop/web', { ports: [portOf(80, 8080), portOf(81, 0)] });
  const { choose } = meshOf(service, [endpoint('a', {}, [portOf(80, 9090)])]);
  assert.equal(choose().targetPort, 9090);
  assert.equal(meshOf(service, [endpoint('a', {}, [])]).choose().targetPort, 8080);
  assert.throws(() => choose({ port: 81 }), { code: 'NO_ENDPOINT', message: /web\.shop.* port 81/ });
  assert.throws(() => choose({ port: 82 }), { code: 'NO_SUCH_PORT' });
});

test('no endpoint, none ready, all tried: an error', () => {
  const service = serviceOf('shop/web');
  assert.throws(() => meshOf(service, []).choose(), { code: 'NO_ENDPOINT' });
  assert.throws(() => meshOf(service, [endpoint('a', { healthy: false })]).choose(), { code: 'NO_ENDPOINT' });
  const { choose, spread } = meshOf(service, [endpoint('a'), endpoint('b')]);
  const tried = new Set(['Kubernetes//Pod/shop/a']);
  assert.deepEqual(spread({ exclude: tried }), { b: 1000 });
  assert.throws(() => choose({ exclude: tried.add('Kubernetes//Pod/shop/b') }), { code: 'NO_ENDPOINT' });
});

test('a change of endpoints or of the service is seen at once', () => {
  const { index, choose } = meshOf(serviceOf('shop/web'), [endpoint('a')]);
  assert.equal(choose().workload?.name, 'a');
  const none = { services: [], policies: [], removedPolicies: [], complete: false };
  index.apply({ ...none, workloads: [endpoint('b')], removedAddresses: ['Kubernetes//Pod/shop/a'] });
  assert.equal(choose().workload?.name, 'b');
  index.apply({ ...none, workloads: [endpoint('b', { healthy: false })], removedAddresses: [] });
  assert.throws(() => choose(), { code: 'NO_ENDPOINT' });
  const loadBalancing = { mode: 'unspecified', routingPreference: [], healthPolicy: 'allowAll' } as const;
  assert.equal(choose({ service: serviceOf('shop/web', { loadBalancing }) }).workload?.name, 'b');
});

test('pass-through chooses nobody', () => {
  const { choose } = meshOf(balanced('passthrough'), [endpoint('a')]);
  assert.deepEqual(choose({ port: 99 }), { workload: null, address: '10.96.0.1', targetPort: 99 });
});

const eu1 = { region: 'eu', zone: 'eu-1', subzone: '' };
const eu2 = { region: 'eu', zone: 'eu-2', subzone: '' };
const us1 = { region: 'us', zone: 'eu-1', subzone: '' };
const source = workloadOf('shop/source', { node: 'n1', locality: eu1 });

// [what, service, endpoints, who can be chosen]
const preferenceRows = [
  [
    'strict, on the node',
    balanced('strict', ['node']),
    [endpoint('a', { node: 'n1' }), endpoint('b', { node: 'n2' })],
    ['a'],
  ],
  ['strict, all must match', balanced('strict', ['node', 'zone']), [endpoint('a', { node: 'n1', locality: eu2 })], []],
  [
    'failover, the zone',
    balanced('failover', ['network', 'region', 'zone']),
    [endpoint('a', { locality: eu1 }), endpoint('b', { locality: eu2 }), endpoint('c', { locality: us1 })],
    ['a'],
  ],
  [
    'failover, then the region',
    balanced('failover', ['network', 'region', 'zone']),
    [endpoint('b', { locality: eu2 }), endpoint('c', { locality: us1 })],
    ['b'],
  ],
  [
    'failover, a zone counts only in its region',
    balanced('failover', ['region', 'zone']),
    [endpoint('c', { locality: us1 }), endpoint('d', { locality: null })],
    ['c', 'd'],
  ],
  [
    'failover, the network outweighs the rest',
    balanced('failover', ['network', 'region', 'zone']),
    [endpoint('a', { locality: eu1, network: 'far' }), endpoint('c', { locality: us1 })],
    ['c'],
  ],
  [
    'failover, off the network the rest counts',
    balanced('failover', ['network', 'region', 'zone']),
    [endpoint('a', { locality: eu1, network: 'far' }), endpoint('c', { locality: us1, network: 'far' })],
    ['a'],
  ],
  [
    'failover, what is not ready does not count',
    balanced('failover', ['region']),
    [endpoint('a', { locality: eu1, healthy: false }), endpoint('c', { locality: us1 })],
    ['c'],
  ],
  [
    'failover, the node',
    balanced('failover', ['network', 'region', 'zone', 'subzone', 'node']),
    [endpoint('a', { locality: eu1, node: 'n2' }), endpoint('b', { locality: eu1, node: 'n1' })],
    ['b'],
  ],
  ['cluster', balanced('strict', ['cluster']), [endpoint('a'), endpoint('b', { clusterId: 'other' })], ['a']],
] as const;
for (const [what, service, endpoints, chosen] of preferenceRows) {
  test(`preference: ${what}`, () => {
    const { spread, choose, index } = meshOf(service, endpoints);
    if (chosen.length === 0) assert.throws(() => choose({ source }), { code: 'NO_ENDPOINT' });
    else assert.deepEqual(Object.keys(spread({ source })).sort(), chosen);
    const explained = explainableEndpoints(index, service, 80, source).map((one) => one.workload.name);
    assert.deepEqual(explained.sort(), chosen);
  });
}

test('failover goes on to the next group when the nearest has been tried', () => {
  const near = endpoint('a', { locality: eu1 });
  const { choose } = meshOf(balanced('failover', ['region', 'zone']), [near, endpoint('b', { locality: us1 })]);
  assert.equal(choose({ source }).workload?.name, 'a');
  assert.equal(choose({ source, exclude: new Set([near.uid]) }).workload?.name, 'b');
});

// [what, families of the service, addresses, dialled, chosen]
const addressRows = [
  ["the workload's own", 'automatic', ['10.0.0.1', 'fd00::1'], 'fd00::1', 'fd00::1'],
  ["the caller's family", 'automatic', ['fd00::1', '10.0.0.1'], '10.96.0.1', '10.0.0.1'],
  ["the caller's family, IPv6", 'dual', ['10.0.0.1', 'fd00::1'], 'fd00:10:96::1', 'fd00::1'],
  ["the service's family", 'ipv6', ['10.0.0.1', 'fd00::1'], '10.96.0.1', 'fd00::1'],
  ['whatever there is', 'ipv4', ['fd00::1'], '10.96.0.1', 'fd00::1'],
] as const;
for (const [what, ipFamilies, addresses, destinationIp, chosen] of addressRows) {
  test(`address: ${what}`, () => {
    const { choose } = meshOf(serviceOf('shop/web', { ipFamilies }), [endpoint('a', { addresses })]);
    assert.equal(choose({ destinationIp }).address, chosen);
  });
}

test('whatever the weights, every choice is an eligible endpoint and each eligible one is chosen', () => {
  const weights = fc.array(fc.record({ capacity: fc.nat(5), healthy: fc.boolean() }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(weights, (all) => {
      const { spread } = meshOf(
        serviceOf('shop/web'),
        all.map((given, at) => endpoint(`${'abcdefgh'[at]}`, given)),
      );
      const ready = all.map((given, at) => ({ ...given, name: 'abcdefgh'[at]! })).filter((one) => one.healthy);
      const isUniform = ready.every((one) => one.capacity === 0);
      const eligible = ready.filter((one) => isUniform || one.capacity > 0).map((one) => one.name);
      if (ready.length > 0) assert.deepEqual(Object.keys(spread()).sort(), eligible);
      else assert.throws(() => spread(), { code: 'NO_ENDPOINT' });
    }),
    { numRuns: 50 },
  );
});
