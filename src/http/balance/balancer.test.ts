import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ServiceEndpoint } from '../../model/mesh-index.ts';
import type { LoadBalancingPolicy } from '../../model/route-types.ts';
import { portOf, serviceOf, workloadOf } from '../../model/testing-mesh.ts';
import type { Locality, Service, Workload } from '../../model/types.ts';
import { destinationPolicyOf, seededRandom } from '../testing-requests.ts';
import { Balancer, type BalancerInput } from './balancer.ts';
import type { Endpoint } from './endpoint.ts';
import { hashText } from './hash.ts';
import { noHash } from './request-hash.ts';

const service = serviceOf('shop/cart', { addresses: ['10.96.0.1'] });

function endpointOf(at: number, given: Partial<Workload> = {}): ServiceEndpoint {
  const workload = workloadOf(`shop/cart-${at}`, { addresses: [`10.244.0.${at}`], ...given });
  return { workload, ports: [portOf(80, 8080)] };
}

const endpointsOf = (count: number): ServiceEndpoint[] => Array.from({ length: count }, (_, at) => endpointOf(at));

function inputOf(
  endpoints: readonly ServiceEndpoint[],
  balancing: Partial<LoadBalancingPolicy> = {},
  given: Partial<BalancerInput> = {},
): BalancerInput {
  const policy = destinationPolicyOf({
    loadBalancing: {
      algorithm: 'random',
      hash: null,
      localityPreference: [],
      slowStart: null,
      ...balancing,
    },
  });
  return { service, port: 80, policy, endpoints, isMember: null, self: null, ...given };
}

function balancerOf(input: BalancerInput, random = seededRandom()): Balancer {
  const balancer = new Balancer({ random, onGone: null });
  balancer.update(input, 0);
  return balancer;
}

function draw(balancer: Balancer, count: number, pick = () => balancer.pick(noHash, null, 0)): Map<string, number> {
  const shares = new Map<string, number>();
  for (let at = 0; at < count; at++) {
    const name = pick()?.workload.name ?? 'none';
    shares.set(name, (shares.get(name) ?? 0) + 1 / count);
  }
  return shares;
}

function assertShares(shares: Map<string, number>, wanted: Record<string, number>, within = 0.01): void {
  for (const [name, share] of Object.entries(wanted)) {
    const got = shares.get(name) ?? 0;
    assert.ok(Math.abs(got - share) <= within, `${name}: ${got}, wanted ${share}`);
  }
}

const algorithms = ['least-request', 'round-robin', 'random'] as const;
for (const algorithm of algorithms) {
  test(`${algorithm}: four equal endpoints share 20,000 requests evenly`, () => {
    const shares = draw(balancerOf(inputOf(endpointsOf(4), { algorithm })), 20_000);
    assertShares(shares, { 'cart-0': 0.25, 'cart-1': 0.25, 'cart-2': 0.25, 'cart-3': 0.25 });
  });
}

for (const algorithm of ['round-robin', 'random'] as const) {
  test(`${algorithm}: shares go by capacity`, () => {
    const endpoints = [1, 2, 7].map((capacity, at) => endpointOf(at, { capacity }));
    const shares = draw(balancerOf(inputOf(endpoints, { algorithm })), 20_000);
    assertShares(shares, { 'cart-0': 0.1, 'cart-1': 0.2, 'cart-2': 0.7 });
  });
}

test('round robin takes turns', () => {
  const balancer = balancerOf(inputOf(endpointsOf(3), { algorithm: 'round-robin' }));
  const names = Array.from({ length: 6 }, () => balancer.pick(noHash, null, 0)!.workload.name);
  assert.deepEqual(names.slice(0, 3), names.slice(3));
  assert.equal(new Set(names).size, 3);
});

test('least request prefers the idle one, and the fast one', () => {
  const balancer = balancerOf(inputOf(endpointsOf(2), { algorithm: 'least-request' }));
  const [one, other] = balancer.endpoints as [Endpoint, Endpoint];
  one.active = 3;
  assert.equal(balancer.pick(noHash, null, 0), other);
  one.active = 0;
  other.measured(80, false, 0);
  one.measured(5, false, 0);
  assert.equal(balancer.pick(noHash, null, 0), one);
});

test('least request: a slow endpoint gets little while it is slow, and returns', () => {
  const balancer = balancerOf(inputOf(endpointsOf(3), { algorithm: 'least-request' }));
  const slow = balancer.endpoints[0]!;
  slow.measured(500, false, 0);
  assertShares(draw(balancer, 3000), { 'cart-0': 0 }, 0.02);
  const later = 60_000;
  assertShares(
    draw(balancer, 3000, () => balancer.pick(noHash, null, later)),
    { 'cart-0': 1 / 3 },
    0.05,
  );
});

test('a peak counts at once, better answers bring it down, a fast failure does not', () => {
  const [endpoint] = balancerOf(inputOf(endpointsOf(1))).endpoints;
  endpoint!.measured(10, false, 0);
  endpoint!.measured(100, false, 1);
  assert.equal(endpoint!.latencyMs(1), 100);
  endpoint!.measured(1, true, 2);
  assert.ok(endpoint!.latencyMs(2) > 99);
  for (let at = 3; at < 60; at++) endpoint!.measured(10, false, at);
  assert.ok(endpoint!.latencyMs(60) < 15);
  endpoint!.failed(61);
  assert.equal(endpoint!.latencyMs(61), 1000);
});

for (const algorithm of [...algorithms, 'hash'] as const) {
  const settings: Partial<LoadBalancingPolicy> = {
    algorithm,
    hash: algorithm === 'hash' ? { key: { kind: 'source' }, table: 'ring', size: 1024 } : null,
  };
  const hash = algorithm === 'hash' ? hashText('client') : noHash;

  test(`${algorithm}: a retry goes to another endpoint, and only with none left to the same`, () => {
    const balancer = balancerOf(inputOf(endpointsOf(2), settings));
    for (let round = 0; round < 50; round++) {
      const first = balancer.pick(hash, null, 0)!;
      const second = balancer.pick(hash, [first], 0)!;
      assert.notEqual(second, first);
      assert.notEqual(balancer.pick(hash, [first, second], 0), null);
    }
  });

  test(`${algorithm}: nothing goes to ejected or unready endpoints`, () => {
    const endpoints = [endpointOf(0), endpointOf(1), endpointOf(2, { healthy: false })];
    const balancer = balancerOf(inputOf(endpoints, settings));
    balancer.endpoints[0]!.ejected = true;
    balancer.availabilityChanged();
    for (let at = 0; at < 100; at++) {
      const key = algorithm === 'hash' ? hashText(`key ${at}`) : noHash;
      assert.equal(balancer.pick(key, null, 0)!.workload.name, 'cart-1');
    }
  });

  test(`${algorithm}: a saturated endpoint is passed over; when all are, a retry goes nowhere`, () => {
    const balancer = balancerOf(inputOf(endpointsOf(2), settings));
    const [one, other] = balancer.endpoints as [Endpoint, Endpoint];
    one.saturatedUntilMs = 10;
    for (let at = 0; at < 20; at++) assert.equal(balancer.pick(hash, null, 0), other);
    other.saturatedUntilMs = 10;
    assert.notEqual(balancer.pick(hash, null, 0), null);
    assert.equal(balancer.pick(hash, [one], 0), null);
    assert.equal(balancer.pick(hash, [one], 10), other);
  });
}

test('when every endpoint left is ejected, ejections are ignored', () => {
  const balancer = balancerOf(inputOf([endpointOf(0), endpointOf(1, { healthy: false })]));
  balancer.endpoints[0]!.ejected = true;
  balancer.availabilityChanged();
  assert.equal(balancer.isPanic, true);
  assert.equal(balancer.pick(noHash, null, 0)!.workload.name, 'cart-0');
});

test('below the panic threshold everyone gets traffic', () => {
  const outlier = { minHealthPercent: 50 } as never;
  const input = inputOf(endpointsOf(4));
  const balancer = balancerOf({ ...input, policy: { ...input.policy, outlier } });
  for (const at of [0, 1, 2]) balancer.endpoints[at]!.ejected = true;
  balancer.availabilityChanged();
  assert.equal(balancer.isPanic, true);
  assert.equal(draw(balancer, 1000).size, 4);
  balancer.endpoints[2]!.ejected = false;
  balancer.availabilityChanged();
  assert.equal(balancer.isPanic, false);
  assert.equal(balancer.inRotation, 2);
});

test('unready endpoints are taken where the service admits them', () => {
  const admits: Service = {
    ...service,
    loadBalancing: { mode: 'unspecified', routingPreference: [], healthPolicy: 'allowAll' },
  };
  const balancer = balancerOf(inputOf([endpointOf(0, { healthy: false })], {}, { service: admits }));
  assert.notEqual(balancer.pick(noHash, null, 0), null);
});

// --- keys ---

for (const table of ['ring', 'maglev'] as const) {
  test(`hash by ${table}: keys stay, and those of an ejected endpoint alone move`, () => {
    const hash = { key: { kind: 'source' }, table, size: 1021 } as const;
    const balancer = balancerOf(inputOf(endpointsOf(5), { algorithm: 'hash', hash }));
    const keys = Array.from({ length: 2000 }, (_, at) => hashText(`client ${at}`));
    const before = keys.map((key) => balancer.pick(key, null, 0)!);
    assert.deepEqual(
      keys.map((key) => balancer.pick(key, null, 0)),
      before,
    );
    const gone = before[0]!;
    gone.ejected = true;
    balancer.availabilityChanged();
    for (const [at, key] of keys.entries()) {
      const now = balancer.pick(key, null, 0)!;
      if (before[at] === gone) assert.notEqual(now, gone);
      else assert.equal(now, before[at]);
    }
  });
}

test('a request without a key goes anywhere', () => {
  const hash = { key: { kind: 'header', name: 'x' }, table: 'ring', size: 1024 } as const;
  assert.equal(draw(balancerOf(inputOf(endpointsOf(3), { algorithm: 'hash', hash })), 300).size, 3);
});

// --- nearness ---

const place = (region: string, zone: string): Locality => ({ region, zone, subzone: '' });
const self = workloadOf('shop/waypoint', { node: 'n1', locality: place('eu', 'a') });

// [what, well in zone a of, well in zone b of, share of zone a]
const spillRows = [
  ['all of the zone are well', 4, 4, 4, 4, 1],
  ['71 % of them: still all of it', 5, 7, 4, 4, 1],
  ['half of them: 70 % of it', 2, 4, 4, 4, 0.7],
  ['a quarter: 35 %', 1, 4, 4, 4, 0.35],
  ['none: the other zone has it all', 0, 4, 4, 4, 0],
  ['both at a quarter: halves', 1, 4, 1, 4, 0.5],
] as const;
for (const [what, wellA, ofA, wellB, ofB, wanted] of spillRows) {
  test(`nearness, ${what}`, () => {
    const zone = (from: number, name: string, well: number, of: number): ServiceEndpoint[] =>
      Array.from({ length: of }, (_, at) => endpointOf(from + at, { locality: place('eu', name), healthy: at < well }));
    const endpoints = [...zone(0, 'a', wellA, ofA), ...zone(100, 'b', wellB, ofB)];
    const balancer = balancerOf(inputOf(endpoints, { localityPreference: ['zone', 'region'] }, { self }));
    let near = 0;
    for (let at = 0; at < 20_000; at++) {
      if (balancer.pick(noHash, null, 0)!.workload.locality!.zone === 'a') near += 1 / 20_000;
    }
    assert.ok(Math.abs(near - wanted) < 0.01, `${near}, wanted ${wanted}`);
  });
}

test('nearness: node before zone before region before the rest', () => {
  const endpoints = [
    endpointOf(0, { node: 'n9', locality: place('us', 'a') }),
    endpointOf(1, { node: 'n3', locality: place('eu', 'b') }),
    endpointOf(2, { node: 'n2', locality: place('eu', 'a') }),
    endpointOf(3, { node: 'n1', locality: place('eu', 'a') }),
  ];
  const localityPreference = ['region', 'zone', 'node'] as const;
  for (const [count, nearest] of [3, 2, 1, 0].entries()) {
    const left = endpoints.slice(0, 4 - count);
    const balancer = balancerOf(inputOf(left, { localityPreference }, { self }));
    assert.equal(balancer.pick(noHash, null, 0)!.workload.name, `cart-${nearest}`);
  }
});

test('nearness: a retry leaves the zone when nobody else is there', () => {
  const near = endpointOf(0, { locality: place('eu', 'a') });
  const far = endpointOf(1, { locality: place('eu', 'b') });
  const balancer = balancerOf(inputOf([near, far], { localityPreference: ['zone'] }, { self }));
  const first = balancer.pick(noHash, null, 0)!;
  assert.equal(first.workload.name, 'cart-0');
  assert.equal(balancer.pick(noHash, [first], 0)!.workload.name, 'cart-1');
});

test('the service prefers by trafficDistribution where no policy does', () => {
  const prefers: Service = {
    ...service,
    loadBalancing: { mode: 'failover', routingPreference: ['network', 'region', 'zone'], healthPolicy: 'onlyHealthy' },
  };
  const endpoints = [endpointOf(0, { locality: place('eu', 'b') }), endpointOf(1, { locality: place('eu', 'a') })];
  const shares = draw(balancerOf(inputOf(endpoints, {}, { service: prefers, self })), 100);
  assert.deepEqual([...shares.keys()], ['cart-1']);
});

// --- slow start ---

for (const algorithm of ['least-request', 'round-robin'] as const) {
  test(`slow start, ${algorithm}: the new one gets its share little by little`, () => {
    const slowStart = { windowMs: 10_000, minPercent: 10, aggression: 1 };
    const balancer = balancerOf(inputOf(endpointsOf(4), { algorithm, slowStart }));
    balancer.update(inputOf(endpointsOf(5), { algorithm, slowStart }), 1000);
    const shareAt = (nowMs: number) =>
      draw(balancer, 10_000, () => balancer.pick(noHash, null, nowMs)).get('cart-4') ?? 0;
    const [fresh, half, grown] = [shareAt(1001), shareAt(6000), shareAt(11_000)];
    assert.ok(fresh > 0.005 && fresh < 0.05, `${fresh}`);
    assert.ok(half > 0.08 && half < 0.16, `${half}`);
    assert.ok(Math.abs(grown - 0.2) < 0.02, `${grown}`);
  });
}

test('slow start: those that are there from the beginning are warm', () => {
  const slowStart = { windowMs: 10_000, minPercent: 10, aggression: 1 };
  const balancer = balancerOf(inputOf(endpointsOf(2), { algorithm: 'round-robin', slowStart }));
  assertShares(draw(balancer, 1000), { 'cart-0': 0.5 });
});

// --- changes of the mesh ---

test('what does not change keeps its state; what goes is told', () => {
  const gone: string[] = [];
  const balancer = new Balancer({ random: seededRandom(), onGone: (endpoint) => gone.push(endpoint.title) });
  balancer.update(inputOf(endpointsOf(3)), 0);
  const [one, two, three] = balancer.endpoints as [Endpoint, Endpoint, Endpoint];
  one.active = 2;
  one.measured(40, false, 0);
  const moved = endpointOf(1, { addresses: ['10.244.9.9'] });
  balancer.update(inputOf([endpointOf(0, { capacity: 3 }), moved]), 5);
  assert.equal(balancer.endpoints[0], one);
  assert.deepEqual([one.active, one.weight, one.latencyMs(0)], [2, 3, 40]);
  assert.notEqual(balancer.endpoints[1], two);
  assert.deepEqual(gone, ['10.244.0.1:8080', '10.244.0.2:8080']);
  assert.deepEqual([one.gone, two.gone, three.gone], [false, true, true]);
});

test('subsets, ports and addresses decide who belongs', () => {
  const v2 = (workload: Workload): boolean => workload.canonicalRevision === 'v2';
  const own = { workload: endpointOf(1, { canonicalRevision: 'v2' }).workload, ports: [portOf(80, 9090)] };
  const endpoints = [endpointOf(0), own, endpointOf(2, { canonicalRevision: 'v2', addresses: [] })];
  const balancer = balancerOf(inputOf(endpoints, {}, { isMember: v2 }));
  assert.deepEqual(
    balancer.endpoints.map((endpoint) => endpoint.title),
    ['10.244.0.1:9090'],
  );
});

test('any order of changes: a pick is in rotation whenever anything is', () => {
  const step = fc.record({
    names: fc.uniqueArray(fc.nat(7), { maxLength: 8 }),
    unready: fc.array(fc.nat(7), { maxLength: 3 }),
    ejected: fc.array(fc.nat(7), { maxLength: 3 }),
    algorithm: fc.constantFrom('least-request', 'round-robin', 'random', 'hash'),
    table: fc.constantFrom('ring', 'maglev'),
    tried: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), fc.nat(), (steps, seed) => {
      const balancer = new Balancer({ random: seededRandom(seed), onGone: null });
      for (const { names, unready, ejected, algorithm, table, tried } of steps) {
        const endpoints = names.map((at) => endpointOf(at, { healthy: !unready.includes(at) }));
        const hash = { key: { kind: 'source' }, table, size: 64 } as const;
        balancer.update(inputOf(endpoints, { algorithm, hash } as Partial<LoadBalancingPolicy>), 0);
        for (const [at, endpoint] of balancer.endpoints.entries()) endpoint.ejected = ejected.includes(at);
        balancer.availabilityChanged();
        const before: Endpoint[] = [];
        for (let round = 0; round <= tried; round++) {
          const picked = balancer.pick(hashText(`${seed}`), before, 0);
          const ready = balancer.endpoints.filter((one) => one.workload.healthy);
          assert.equal(picked === null, ready.length === 0);
          if (picked === null) break;
          assert.ok(picked.workload.healthy && (!picked.ejected || ready.every((one) => one.ejected)));
          const fresh = ready.some((one) => !one.ejected && !before.includes(one));
          if (fresh && ready.some((one) => !one.ejected)) assert.ok(!before.includes(picked));
          before.push(picked);
        }
      }
    }),
    { numRuns: 300 },
  );
});

const helloEndpoints = [
  ['r1', 'z1'],
  ['r1', 'z2'],
  ['r2', 'z3'],
  ['r3', 'z4'],
].map(([region, zone], at) => endpointOf(at, { locality: place(region!, zone!) }));
const inFirstZone = workloadOf('shop/waypoint', { locality: place('r1', 'z1') });

test('distribution by locality: shares hold, and what is not named gets nothing', () => {
  const distribute = [
    { from: 'r9/*', to: [['r2/*', 100]] as const },
    {
      from: 'r1/z1/*',
      to: [
        ['r1/z1/*', 70],
        ['r1/*', 20],
        ['r3/z4/*', 10],
      ] as const,
    },
  ];
  const balancer = balancerOf(
    inputOf(helloEndpoints, { localities: { failover: [], distribute } }, { self: inFirstZone }),
  );
  assertShares(draw(balancer, 20_000), { 'cart-0': 0.7, 'cart-1': 0.2, 'cart-2': 0, 'cart-3': 0.1 });
  // What is gone leaves its share to the others.
  const left = helloEndpoints.filter((_, at) => at !== 0);
  balancer.update(inputOf(left, { localities: { failover: [], distribute } }, { self: inFirstZone }), 0);
  assertShares(draw(balancer, 20_000), { 'cart-1': 2 / 3, 'cart-2': 0, 'cart-3': 1 / 3 });
  // A proxy elsewhere goes by nearness.
  balancer.update(inputOf(helloEndpoints, { localities: { failover: [], distribute } }, { self }), 0);
  assertShares(draw(balancer, 20_000), { 'cart-0': 0.25, 'cart-1': 0.25, 'cart-2': 0.25, 'cart-3': 0.25 });
});

test('failover by region: zone, region, the region that is named, the rest', () => {
  const localities = { failover: [{ from: 'r1', to: 'r3' }], distribute: [] };
  const localityPreference = ['region', 'zone'] as const;
  const order: string[] = [];
  for (let left = helloEndpoints; left.length > 0; ) {
    const balancer = balancerOf(inputOf(left, { localities, localityPreference }, { self: inFirstZone }));
    const shares = draw(balancer, 100);
    assert.equal(shares.size, 1);
    order.push([...shares.keys()][0]!);
    left = left.filter(({ workload }) => !shares.has(workload.name));
  }
  assert.deepEqual(order, ['cart-0', 'cart-1', 'cart-3', 'cart-2']);
});
