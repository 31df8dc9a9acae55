import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshIndex } from '../../model/mesh-index.ts';
import type { DestinationPolicy, Destination as DestinationRules } from '../../model/route-types.ts';
import { portOf, serviceOf, workloadOf } from '../../model/testing-mesh.ts';
import type { Workload } from '../../model/types.ts';
import { destinationPolicyOf, seededRandom } from '../testing-requests.ts';
import { Destinations } from './destinations.ts';
import { noHash } from './request-hash.ts';

const key = 'shop/cart.shop.svc.cluster.local';

function podOf(at: number, given: Partial<Workload> = {}): Workload {
  return workloadOf(`shop/cart-${at}`, {
    addresses: [`10.244.0.${at}`],
    services: { [key]: [portOf(80, 8080)] },
    canonicalRevision: at % 2 === 0 ? 'v1' : 'v2',
    ...given,
  });
}

function setUp(count: number, policy: DestinationPolicy = destinationPolicyOf()) {
  const index = new MeshIndex();
  const gone: string[] = [];
  let rules: DestinationRules | null = {
    service: key,
    policy,
    portPolicies: [],
    subsets: [{ name: 'v2', labels: { version: 'v2' }, policy, portPolicies: [] }],
  };
  const apply = (workloads: readonly Workload[], removed: readonly string[] = []) =>
    index.apply({
      workloads,
      services: [],
      policies: [],
      removedAddresses: removed,
      removedPolicies: [],
      complete: false,
    });
  index.apply({
    workloads: Array.from({ length: count }, (_, at) => podOf(at)),
    services: [serviceOf('shop/cart', { addresses: ['10.96.0.1'] })],
    policies: [],
    removedAddresses: [],
    removedPolicies: [],
    complete: true,
  });
  const destinations = new Destinations({
    index,
    rulesOf: () => rules,
    defaultPolicy: destinationPolicyOf(),
    labelsOf: (workload) => ({ version: workload.canonicalRevision }),
    self: () => null,
    random: seededRandom(),
    onGone: (endpoint) => gone.push(endpoint.workload.name),
    onOutlier: null,
  });
  const setRules = (next: DestinationRules | null): void => {
    rules = next;
  };
  return { index, destinations, apply, gone, setRules, rules };
}

const outlier = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 0,
  consecutiveLocalFailures: 0,
  splitLocalFailures: false,
  successRate: null,
  intervalMs: 1000,
  baseEjectionMs: 5000,
  maxEjectionMs: 60_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
};

test('one object per service, port and subset, as long as the service is there', () => {
  const { destinations, apply, gone } = setUp(4);
  const whole = destinations.of(key, 80, '', 0)!;
  assert.equal(destinations.of(key, 80, '', 0), whole);
  assert.equal(whole.endpoints.length, 4);
  const part = destinations.of(key, 80, 'v2', 0)!;
  assert.deepEqual(
    part.endpoints.map((one) => one.workload.name),
    ['cart-1', 'cart-3'],
  );
  assert.equal(destinations.of(key, 80, 'v3', 0), null);
  assert.equal(destinations.of('shop/other', 80, '', 0), null);
  apply([podOf(4)]);
  assert.equal(destinations.of(key, 80, '', 0), whole);
  assert.equal(whole.endpoints.length, 5);
  apply([], [key, podOf(0).uid]);
  destinations.refresh(0);
  assert.deepEqual(destinations.values(), []);
  assert.equal(new Set(gone).size, 5);
});

test('news of one endpoint leave the state of the others', () => {
  const { destinations, apply } = setUp(3, destinationPolicyOf({ outlier }));
  const cart = destinations.of(key, 80, '', 0)!;
  const [bad, good] = cart.endpoints;
  for (let at = 0; at < 3; at++) cart.answered(bad!, 500, 1, 0);
  good!.active = 7;
  apply([podOf(2, { addresses: ['10.244.9.9'] })]);
  const after = destinations.of(key, 80, '', 0)!;
  assert.deepEqual([after.endpoints[0] === bad, bad!.ejected, after.endpoints[1]!.active], [true, true, 7]);
  assert.equal(after.balancer.inRotation, 2);
});

test('a failing endpoint is ejected, and comes back', () => {
  const { destinations } = setUp(2, destinationPolicyOf({ outlier }));
  const cart = destinations.of(key, 80, '', 0)!;
  const [bad] = cart.endpoints;
  for (let at = 0; at < 3; at++) cart.failed(bad!, 'connect', 0);
  for (let at = 0; at < 50; at++) assert.notEqual(cart.pick(noHash, null, 10), bad);
  cart.pick(noHash, null, 5000);
  assert.equal(bad!.ejected, false);
});

test('a policy of the port comes before that of the service', () => {
  const own = destinationPolicyOf({ connectionPool: { ...destinationPolicyOf().connectionPool, maxRequests: 1 } });
  const { destinations, setRules, rules } = setUp(1);
  const cart = destinations.of(key, 80, '', 0)!;
  setRules({ ...rules!, portPolicies: [{ port: 80, policy: own }] });
  assert.equal(destinations.of(key, 80, '', 0), cart);
  assert.deepEqual([cart.admit(), cart.admit()], [null, 'maxRequests']);
  cart.release(null, 1);
  assert.equal(cart.admit(), null);
  setRules(null);
  assert.equal(destinations.of(key, 80, '', 0)!.policy.connectionPool.maxRequests, 0);
});

test('adaptive concurrency refuses, and gives the request back to its own limiter', () => {
  const policy = destinationPolicyOf({ adaptiveConcurrency: { minLimit: 1, maxLimit: 2 } });
  const { destinations } = setUp(1, policy);
  const cart = destinations.of(key, 80, '', 0)!;
  const limiter = cart.concurrency;
  assert.deepEqual([cart.admit(), cart.admit(), cart.admit()], [null, null, 'adaptiveConcurrency']);
  assert.equal(cart.inFlight, 2);
  cart.release(limiter, 3);
  assert.deepEqual([cart.inFlight, limiter!.active], [1, 1]);
});

test('retries: in the budget, or to an endpoint that does not fail when nothing was reached', () => {
  const policy = destinationPolicyOf({ retryBudget: { ratio: 0, perSecond: 1, minConcurrency: 0 } });
  const { destinations } = setUp(2, policy);
  const cart = destinations.of(key, 80, '', 0)!;
  const [one, other] = cart.endpoints;
  cart.admit();
  assert.equal(cart.beginRetry(other!, false, 0), null);
  assert.equal(cart.beginRetry(other!, false, 0), 'retryBudget');
  assert.equal(cart.beginRetry(other!, true, 0), null);
  cart.failed(other!, 'connect', 0);
  assert.equal(cart.beginRetry(other!, true, 0), 'retryBudget');
  assert.equal(cart.beginRetry(one!, true, 0), null);
  cart.answered(other!, 200, 1, 0);
  assert.equal(cart.beginRetry(other!, true, 0), null);
  for (let at = 0; at < 4; at++) cart.endRetry();
  assert.deepEqual([cart.budget.active, cart.breakers.count('maxRetries')], [0, 0]);
});
