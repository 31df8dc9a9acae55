import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OutlierPolicy } from '../../model/route-types.ts';
import { workloadOf } from '../../model/testing-mesh.ts';
import { Endpoint } from '../balance/endpoint.ts';
import { type LocalFailure, OutlierDetector, type OutlierEvent } from './outliers.ts';

function policyOf(given: Partial<OutlierPolicy> = {}): OutlierPolicy {
  return {
    consecutive5xx: 5,
    consecutiveGatewayErrors: 0,
    consecutiveLocalFailures: 5,
    splitLocalFailures: false,
    successRate: null,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionMs: 300_000,
    maxEjectionPercent: 10,
    minHealthPercent: 0,
    ...given,
  };
}

function setUp(count: number, given: Partial<OutlierPolicy> = {}) {
  const endpoints = Array.from(
    { length: count },
    (_, at) => new Endpoint(workloadOf(`shop/cart-${at}`), `10.0.0.${at}`, 80, 0),
  );
  const events: OutlierEvent[] = [];
  const options = { endpoints: () => endpoints, onEvent: (event: OutlierEvent) => events.push(event) };
  return { endpoints, events, detector: new OutlierDetector(policyOf(given), options, 0) };
}

type Step = number | LocalFailure;

// [what, policy, results of one endpoint of three, why it is ejected or null]
const triggerRows: readonly (readonly [string, Partial<OutlierPolicy>, readonly Step[], string | null])[] = [
  ['five 5xx in a row', {}, [500, 501, 502, 503, 504], 'consecutive5xx'],
  ['four 5xx', {}, [500, 500, 500, 500], null],
  ['a success in between', {}, [500, 500, 500, 500, 200, 500], null],
  ['4xx are successes', {}, [404, 404, 404, 404, 429, 499], null],
  ['0 switches it off', { consecutive5xx: 0 }, [500, 500, 500, 500, 500, 500], null],
  ['gateway errors', { consecutiveGatewayErrors: 3 }, [502, 503, 504], 'consecutiveGatewayErrors'],
  ['a 500 between gateway errors', { consecutiveGatewayErrors: 3 }, [502, 503, 500, 504], null],
  ['gateway errors are 5xx', { consecutiveGatewayErrors: 9 }, [502, 503, 504, 502, 503], 'consecutive5xx'],
  ['local failures count as 5xx', { consecutive5xx: 3 }, ['connect', 'timeout', 'reset'], 'consecutive5xx'],
  [
    'local failures are gateway errors',
    { consecutiveGatewayErrors: 2 },
    ['connect', 'timeout'],
    'consecutiveGatewayErrors',
  ],
  ['a reset is none', { consecutiveGatewayErrors: 2 }, ['connect', 'reset', 'connect'], null],
  [
    'split: local ones on their own',
    { splitLocalFailures: true, consecutiveLocalFailures: 2, consecutive5xx: 2 },
    [500, 'connect', 'connect'],
    'consecutiveLocalFailures',
  ],
  [
    'split: they are no 5xx',
    { splitLocalFailures: true, consecutiveLocalFailures: 0, consecutive5xx: 2 },
    [500, 'connect', 'connect'],
    null,
  ],
  [
    'split: any answer ends a row of local ones',
    { splitLocalFailures: true, consecutiveLocalFailures: 2 },
    ['connect', 500, 'connect'],
    null,
  ],
];
for (const [what, given, steps, reason] of triggerRows) {
  test(`ejection: ${what}`, () => {
    const { endpoints, events, detector } = setUp(3, given);
    for (const step of steps) {
      if (typeof step === 'number') detector.answered(endpoints[0]!, step, 1);
      else detector.failed(endpoints[0]!, step, 1);
    }
    assert.deepEqual(
      events.map((event) => event.reason),
      reason === null ? [] : [reason],
    );
    assert.equal(endpoints[0]!.ejected, reason !== null);
  });
}

// [what, policy, results of one endpoint of three, in words]
const wordRows: readonly (readonly [string, Partial<OutlierPolicy>, readonly Step[], string])[] = [
  ['answers', {}, [500, 500, 500, 500, 503], '5 answers of 500 to 599 in a row'],
  ['no answers', {}, ['connect', 'connect', 'timeout', 'reset', 'connect'], '5 tries in a row without an answer'],
  [
    'both',
    {},
    [500, 'connect', 500, 500, 'timeout'],
    '5 failures in a row: 3 answers of 500 to 599, 2 without an answer',
  ],
  ['a success forgets both', {}, ['connect', 200, 500, 500, 500, 500, 500], '5 answers of 500 to 599 in a row'],
  ['gateway errors', { consecutiveGatewayErrors: 2 }, [500, 502, 503], '2 answers of 502 to 504 in a row'],
  [
    'split',
    { splitLocalFailures: true, consecutiveLocalFailures: 2 },
    ['reset', 'connect'],
    '2 tries in a row without',
  ],
];
for (const [what, given, steps, words] of wordRows) {
  test(`why it is ejected, in words: ${what}`, () => {
    const { endpoints, detector } = setUp(3, given);
    for (const step of steps) {
      if (typeof step === 'number') detector.answered(endpoints[0]!, step, 1);
      else detector.failed(endpoints[0]!, step, 1);
    }
    const { reason, ejectedSinceMs } = endpoints[0]!.outlier;
    assert.ok(reason.startsWith(words), reason);
    // Out for 30 s from 1 ms on, looked at every 10 s from 0 on.
    assert.deepEqual([ejectedSinceMs, detector.returnsAtMs(endpoints[0]!)], [1, 40_000]);
  });
}

function fail(detector: OutlierDetector, endpoint: Endpoint, nowMs: number): void {
  for (let at = 0; at < 5; at++) detector.answered(endpoint, 500, nowMs);
}

// [endpoints, percent, how many can go]
for (const [count, percent, most] of [
  [1, 100, 0],
  [2, 10, 1],
  [2, 100, 1],
  [3, 10, 1],
  [3, 100, 2],
  [5, 50, 2],
  [10, 10, 1],
  [10, 30, 3],
  [10, 100, 9],
  [3, 0, 1],
] as const) {
  test(`of ${count} endpoints with ${percent} % at most, ${most} can be ejected`, () => {
    const { endpoints, detector } = setUp(count, { maxEjectionPercent: percent });
    for (let round = 0; round < 3; round++) for (const endpoint of endpoints) fail(detector, endpoint, 1);
    assert.equal(endpoints.filter((endpoint) => endpoint.ejected).length, most);
  });
}

test('endpoints that are not ready cannot stand in: the last ready one stays', () => {
  const { endpoints, detector } = setUp(2);
  endpoints[1]!.workload = workloadOf('shop/cart-1', { healthy: false });
  fail(detector, endpoints[0]!, 1);
  assert.equal(endpoints[0]!.ejected, false);
});

test('it returns at the first sweep after its time, and stays away longer each time', () => {
  const { endpoints, events, detector } = setUp(2, { intervalMs: 1000, baseEjectionMs: 3000, maxEjectionMs: 7000 });
  const [bad] = endpoints;
  const spans: number[] = [];
  let nowMs = 1;
  for (let round = 0; round < 4; round++) {
    fail(detector, bad!, nowMs);
    spans.push(events.at(-1)!.forMs);
    const startMs = nowMs;
    for (; bad!.ejected; nowMs += 500) detector.tick(nowMs);
    assert.ok(nowMs - startMs >= spans.at(-1)! && nowMs - startMs <= spans.at(-1)! + 1500);
  }
  assert.deepEqual(spans, [3000, 6000, 7000, 7000]);
});

test('an endpoint that does well is forgiven sweep by sweep', () => {
  const { endpoints, events, detector } = setUp(2, { intervalMs: 1000, baseEjectionMs: 1000 });
  const [bad] = endpoints;
  for (let round = 0, nowMs = 0; round < 3; round++, nowMs += 2000) {
    fail(detector, bad!, nowMs);
    detector.tick(nowMs + 1000);
    detector.tick(nowMs + 2000);
  }
  const before = events.filter((event) => event.kind === 'ejected').at(-1)!.forMs;
  for (let nowMs = 10_000; nowMs < 30_000; nowMs += 1000) detector.tick(nowMs);
  fail(detector, bad!, 30_000);
  assert.ok(events.at(-1)!.forMs <= before);
  assert.equal(events.at(-1)!.forMs, 1000);
});

test('success rate: who is far below the mean goes at the sweep', () => {
  const successRate = { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9 };
  const { endpoints, events, detector } = setUp(6, { consecutive5xx: 0, successRate, maxEjectionPercent: 100 });
  for (const [at, endpoint] of endpoints.entries()) {
    for (let n = 0; n < 100; n++) detector.answered(endpoint, at === 2 && n % 2 === 0 ? 500 : 200, 1);
  }
  detector.tick(9_999);
  assert.equal(events.length, 0);
  detector.tick(10_000);
  assert.deepEqual(
    events.map(({ endpoint, reason }) => [endpoint.workload.name, reason]),
    [['cart-2', 'successRate']],
  );
});

test('success rate: too few endpoints with enough requests prove nothing', () => {
  const successRate = { minimumHosts: 5, requestVolume: 100, stdevFactor: 1 };
  const { endpoints, events, detector } = setUp(4, { consecutive5xx: 0, successRate });
  for (const [at, endpoint] of endpoints.entries()) {
    for (let n = 0; n < 100; n++) detector.answered(endpoint, at === 0 ? 500 : 200, 1);
  }
  detector.tick(10_000);
  assert.equal(events.length, 0);
});

test('without the policy everyone returns', () => {
  const { endpoints, events, detector } = setUp(3);
  fail(detector, endpoints[0]!, 1);
  detector.close();
  assert.equal(endpoints[0]!.ejected, false);
  assert.equal(events.at(-1)!.kind, 'returned');
});

test('whatever happens, somebody stays, and nobody stays away for longer than the longest time', () => {
  const step = fc.record({
    who: fc.nat(5),
    what: fc.constantFrom<Step>(200, 500, 503, 'connect', 'timeout'),
    waitMs: fc.nat(5000),
  });
  const policy = fc.record({
    maxEjectionPercent: fc.nat(100),
    consecutive5xx: fc.integer({ min: 1, max: 3 }),
    consecutiveGatewayErrors: fc.nat(2),
    splitLocalFailures: fc.boolean(),
    consecutiveLocalFailures: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), policy, fc.array(step, { maxLength: 150 }), (count, given, steps) => {
      const times = { intervalMs: 1000, baseEjectionMs: 2000, maxEjectionMs: 10_000 };
      const { endpoints, events, detector } = setUp(count, { ...given, ...times });
      let nowMs = 0;
      for (const { who, what, waitMs } of steps) {
        nowMs += waitMs;
        detector.tick(nowMs);
        const endpoint = endpoints[who % count]!;
        if (typeof what === 'number') detector.answered(endpoint, what, nowMs);
        else detector.failed(endpoint, what, nowMs);
        assert.ok(endpoints.some((one) => !one.ejected));
      }
      for (const { forMs } of events) assert.ok(forMs <= 10_000);
      detector.tick(nowMs + 11_000);
      assert.ok(endpoints.every((one) => !one.ejected));
    }),
  );
});
