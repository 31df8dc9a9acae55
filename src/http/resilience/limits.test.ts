import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FaultPolicy, RateLimit } from '../../model/route-types.ts';
import { destinationPolicyOf, requestOf, seededRandom } from '../testing-requests.ts';
import { AdaptiveConcurrency } from './adaptive-concurrency.ts';
import { type BreakerLimit, Breakers } from './breakers.ts';
import { drawAbort, drawDelayMs } from './faults.ts';
import { httpStatusOfGrpc } from './grpc-status.ts';
import { isHealthRequest } from './health-request.ts';
import { RateLimiter, rateLimitHeaders, rateLimitKeysMax } from './rate-limits.ts';
import { RetryBudget } from './retry-budget.ts';

// --- breakers ---

for (const limit of ['maxConnections', 'maxPendingRequests', 'maxRequests', 'maxRetries'] as const) {
  test(`breaker ${limit}: so many and no more, and again when one is given back`, () => {
    const pool = destinationPolicyOf().connectionPool;
    const breakers = new Breakers({ ...pool, [limit]: 2 });
    const tries = [1, 2, 3].map(() => breakers.tryAcquire(limit));
    assert.deepEqual(tries, [true, true, false]);
    assert.deepEqual([breakers.count(limit), breakers.overflows(limit)], [2, 1]);
    breakers.release(limit);
    assert.equal(breakers.tryAcquire(limit), true);
    const others = (['maxConnections', 'maxRetries'] as BreakerLimit[]).filter((other) => other !== limit);
    for (const other of others) for (let at = 0; at < 100; at++) assert.equal(breakers.tryAcquire(other), true);
    breakers.setPolicy(pool);
    assert.equal(breakers.tryAcquire(limit), true);
  });
}

// --- retry budget ---

const budgetOf = (ratio: number, perSecond: number, minConcurrency: number) =>
  new RetryBudget({ ratio, perSecond, minConcurrency }, 0);

// [in flight, ratio, per second, at least, retries that start at once]
for (const [inFlight, ratio, perSecond, least, wanted] of [
  [100, 0.2, 0, 0, 20],
  [100, 0.2, 3, 0, 23],
  [4, 0.2, 3, 0, 3],
  [4, 0.2, 0, 0, 0],
  [4, 0.2, 0, 3, 3],
  [1000, 0, 0, 0, 0],
] as const) {
  test(`budget: ${ratio} of ${inFlight} and ${perSecond} per second, at least ${least}`, () => {
    const budget = budgetOf(ratio, perSecond, least);
    let started = 0;
    while (started < 2000 && budget.tryAcquire(inFlight, 0)) started++;
    assert.equal(started, wanted);
  });
}

test('budget: what is given back can be used again; the few per second come back with time', () => {
  const budget = budgetOf(0, 3, 0);
  for (let at = 0; at < 3; at++) assert.equal(budget.tryAcquire(1, 0), true);
  assert.equal(budget.tryAcquire(1, 300), false);
  assert.equal(budget.tryAcquire(1, 340), true);
  assert.equal(budget.active, 4);
  for (let at = 0; at < 4; at++) budget.release();
  assert.equal(budget.active, 0);
});

/** A second of load in which every try fails after `failMs`, with two retries wanted for each request. */
function storm(requestsPerSecond: number, failMs: number, seconds: number): number {
  const budget = budgetOf(0.2, 3, 0);
  const random = seededRandom();
  const events: { atMs: number; left: number; isRetry: boolean }[] = [];
  const total = requestsPerSecond * seconds;
  for (let at = 0; at < total; at++) events.push({ atMs: (at * 1000) / requestsPerSecond, left: -1, isRetry: false });
  let tries = 0;
  let inFlight = 0;
  for (let at = 0; at < events.length; at++) {
    events.sort((a, b) => a.atMs - b.atMs);
    const { atMs, left, isRetry } = events[at]!;
    if (left < 0) {
      inFlight++;
      tries++;
      events.push({ atMs: atMs + failMs, left: 2, isRetry: false });
      continue;
    }
    if (isRetry) budget.release();
    if (left > 0 && budget.tryAcquire(inFlight, atMs)) {
      tries++;
      events.push({ atMs: atMs + 25 * random() + failMs, left: left - 1, isRetry: true });
    } else inFlight--;
  }
  return tries / total;
}

for (const failMs of [1, 20, 200]) {
  test(`a storm: when every try fails after ${failMs} ms, endpoints get at most 1.25 times what is offered`, () => {
    const ratio = storm(200, failMs, 5);
    assert.ok(ratio > 1 && ratio <= 1.25, `${ratio}`);
  });
}

// --- adaptive concurrency ---

/**
 * Offers a server that works on ten requests at once, `workMs` each, so many per second for a time; what it is too busy
 * for waits. Returns how many were let in per second.
 */
function offer(limiter: AdaptiveConcurrency, perSecond: number, seconds: number, workMs: number): number {
  const random = seededRandom();
  const freeAtMs = new Array<number>(10).fill(0);
  const running: { readonly endMs: number; readonly startMs: number }[] = [];
  let admitted = 0;
  for (let nowMs = 0; nowMs < seconds * 1000; nowMs += (2000 * random()) / perSecond) {
    while (running.length > 0 && running[0]!.endMs <= nowMs) {
      const { startMs, endMs } = running.shift()!;
      limiter.release(endMs - startMs);
    }
    if (!limiter.tryAcquire()) continue;
    admitted++;
    const worker = freeAtMs.indexOf(Math.min(...freeAtMs));
    const endMs = Math.max(freeAtMs[worker]!, nowMs) + workMs;
    freeAtMs[worker] = endMs;
    running.push({ startMs: nowMs, endMs });
  }
  for (const { startMs, endMs } of running) limiter.release(endMs - startMs);
  return admitted / seconds;
}

test('concurrency: grows while it is needed and latency stays', () => {
  const limiter = new AdaptiveConcurrency({ minLimit: 2, maxLimit: 12 });
  limiter.setPolicy({ minLimit: 2, maxLimit: 2 });
  limiter.setPolicy({ minLimit: 2, maxLimit: 12 });
  offer(limiter, 900, 20, 10);
  assert.ok(limiter.limit >= 6, `${limiter.limit}`);
  assert.equal(limiter.active, 0);
});

test('concurrency: an idle limit is not moved by its answers', () => {
  const limiter = new AdaptiveConcurrency({ minLimit: 1, maxLimit: 100 });
  const before = limiter.limit;
  for (let at = 0; at < 1000; at++) {
    limiter.tryAcquire();
    limiter.release(at < 500 ? 1 : 500);
  }
  assert.equal(limiter.limit, before);
});

for (const [what, calmSeconds] of [
  ['from the start', 0],
  ['after a calm time', 10],
] as const) {
  test(`concurrency: the queue of a server that gets three times too much stays short, ${what}`, () => {
    const limiter = new AdaptiveConcurrency({ minLimit: 1, maxLimit: 1000 });
    offer(limiter, 300, calmSeconds, 10);
    const perSecond = offer(limiter, 3000, 60, 10);
    assert.ok(limiter.limit >= 5 && limiter.limit <= 40, `${limiter.limit}`);
    assert.ok(perSecond > 800, `${perSecond} were let in`);
  });
}

test('concurrency: it finds its way back down after a limit that was far too high', () => {
  const limiter = new AdaptiveConcurrency({ minLimit: 500, maxLimit: 500 });
  limiter.setPolicy({ minLimit: 1, maxLimit: 500 });
  offer(limiter, 3000, 60, 10);
  assert.ok(limiter.limit <= 40, `${limiter.limit}`);
});

// --- rate limits ---

const limitOf = (given: Partial<RateLimit> = {}): RateLimit => ({
  by: [{ kind: 'all' }],
  requests: 10,
  perMs: 1000,
  burst: 0,
  policy: 'shop/limit',
  ...given,
});

function admitted(
  limiter: RateLimiter,
  limits: RateLimit[],
  count: number,
  nowMs: number,
  identity = 'a',
  header = '',
): number {
  const head = requestOf('GET /', header === '' ? [] : [['X-Tenant', header]]);
  let passed = 0;
  for (let at = 0; at < count; at++) if (limiter.check(limits, identity, head, nowMs) === null) passed++;
  return passed;
}

test('rate limit: a burst, then as many as time brings', () => {
  const limiter = new RateLimiter();
  const limits = [limitOf()];
  assert.deepEqual(
    [0, 0, 100, 250, 10_000].map((nowMs) => admitted(limiter, limits, 50, nowMs)),
    [10, 0, 1, 1, 10],
  );
});

test('rate limit: a burst of its own', () => {
  const limiter = new RateLimiter();
  assert.equal(admitted(limiter, [limitOf({ burst: 3 })], 50, 0), 3);
  assert.equal(admitted(limiter, [limitOf({ burst: 30 })], 50, 0), 30);
});

test('rate limit: per identity, per header, and both together', () => {
  const limiter = new RateLimiter();
  const identity = [limitOf({ by: [{ kind: 'identity' }] })];
  assert.deepEqual([admitted(limiter, identity, 20, 0, 'a'), admitted(limiter, identity, 20, 0, 'b')], [10, 10]);
  const header = [limitOf({ by: [{ kind: 'header', name: 'x-tenant' }] })];
  assert.deepEqual(
    ['x', 'y', 'x', ''].map((tenant) => admitted(limiter, header, 20, 0, 'a', tenant)),
    [10, 10, 0, 10],
  );
  const both = [limitOf({ by: [{ kind: 'identity' }, { kind: 'header', name: 'x-tenant' }] })];
  assert.deepEqual(
    [
      admitted(limiter, both, 20, 0, 'a', 'x'),
      admitted(limiter, both, 20, 0, 'a', 'y'),
      admitted(limiter, both, 20, 0, 'b', 'x'),
    ],
    [10, 10, 10],
  );
});

test('rate limit: a refusal by one takes nothing from the others', () => {
  const limiter = new RateLimiter();
  const wide = limitOf({ requests: 10, policy: 'shop/wide' });
  const narrow = limitOf({ requests: 2, policy: 'shop/narrow' });
  assert.equal(admitted(limiter, [wide, narrow], 20, 0), 2);
  assert.equal(admitted(limiter, [wide], 20, 0), 8);
});

test('rate limit: an equal limit of a new route table goes on where the old one was', () => {
  const limiter = new RateLimiter();
  assert.equal(admitted(limiter, [limitOf()], 20, 0), 10);
  assert.equal(admitted(limiter, [limitOf()], 20, 0), 0);
});

test('rate limit: inventing keys gets nobody around it, and they are forgotten when they are full', () => {
  const limiter = new RateLimiter();
  const limit = limitOf({ by: [{ kind: 'header', name: 'x-tenant' }], requests: 1 });
  for (let at = 0; at < rateLimitKeysMax; at++) admitted(limiter, [limit], 1, 0, 'a', `t${at}`);
  assert.equal(limiter.keysOf(limit), rateLimitKeysMax);
  let passed = 0;
  for (let at = 0; at < 100; at++) passed += admitted(limiter, [limit], 1, 1, 'a', `new${at}`);
  assert.equal(passed, 1);
  assert.equal(admitted(limiter, [limit], 1, 5000, 'a', 'later'), 1);
  assert.equal(limiter.keysOf(limit), 1);
});

test('rate limit: the headers of a refusal', () => {
  const limiter = new RateLimiter();
  const limit = limitOf({ requests: 1, perMs: 60_000 });
  admitted(limiter, [limit], 1, 0);
  const refusal = limiter.check([limit], null, requestOf('GET /'), 15_000)!;
  assert.deepEqual(Object.fromEntries(rateLimitHeaders(refusal)), {
    'retry-after': '45',
    'ratelimit-policy': '"shop/limit";q=1;w=60',
    ratelimit: '"shop/limit";r=0;t=45',
    'x-ratelimit-limit': '1, 1;w=60',
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': '45',
    'x-envoy-ratelimited': 'true',
  });
});

test('rate limit: over any span no more pass than the burst and what time brings', () => {
  const arrivals = fc.array(fc.nat(2000), { maxLength: 200 }).map((times) => times.sort((a, b) => a - b));
  const sizes = [fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 })] as const;
  fc.assert(
    fc.property(arrivals, ...sizes, (times, requests, burst) => {
      const limiter = new RateLimiter();
      const limits = [limitOf({ requests, burst })];
      const passed = times.filter((atMs) => admitted(limiter, limits, 1, atMs) === 1);
      for (const [from, startMs] of passed.entries()) {
        for (let to = from; to < passed.length; to++) {
          const bound = burst + ((passed[to]! - startMs) * requests) / 1000;
          assert.ok(to - from + 1 <= bound + 1e-6);
        }
      }
    }),
  );
});

// --- faults ---

test('faults: so many of 20,000 as were asked for, to a point', () => {
  const fault: FaultPolicy = {
    delay: { fraction: 0.25, delayMs: 700 },
    abort: { fraction: 0.1, status: 503, grpcStatus: null },
  };
  const random = seededRandom(7);
  let delayed = 0;
  let aborted = 0;
  for (let at = 0; at < 20_000; at++) {
    if (drawDelayMs(fault, random) === 700) delayed++;
    if (drawAbort(fault, random)?.status === 503) aborted++;
  }
  assert.ok(Math.abs(delayed / 20_000 - 0.25) < 0.01, `${delayed}`);
  assert.ok(Math.abs(aborted / 20_000 - 0.1) < 0.01, `${aborted}`);
});

test('faults: never at 0, always at 1, nothing without any', () => {
  const of = (fraction: number): FaultPolicy => ({
    delay: { fraction, delayMs: 5 },
    abort: { fraction, status: 400, grpcStatus: 14 },
  });
  const zero = () => 0;
  assert.deepEqual([drawDelayMs(of(0), zero), drawAbort(of(0), zero)], [0, null]);
  assert.deepEqual([drawDelayMs(of(1), () => 0.999), drawAbort(of(1), () => 0.999)?.grpcStatus], [5, 14]);
  assert.deepEqual(
    [drawDelayMs({ delay: null, abort: null }, zero), drawAbort({ delay: null, abort: null }, zero)],
    [0, null],
  );
});

// --- what is not counted ---

for (const [what, request, isHealth] of [
  ['kubelet', requestOf('GET /ready', [['User-Agent', 'kube-probe/1.34']]), true],
  ['curl', requestOf('GET /ready', [['User-Agent', 'curl/8']]), false],
  ['an agent that mentions it', requestOf('GET /', [['user-agent', 'not kube-probe/1']]), false],
  ['a declared path', requestOf('GET /healthz'), true],
  ['a declared path with a query', requestOf('GET /healthz?full=1'), true],
  ['a path below it', requestOf('GET /healthz/x'), false],
] as const) {
  test(`health request: ${what}`, () => assert.equal(isHealthRequest(request, ['/healthz']), isHealth));
}

test('gRPC statuses as HTTP', () => {
  assert.deepEqual([0, 1, 4, 8, 13, 14, 16, 99].map(httpStatusOfGrpc), [200, 499, 504, 429, 500, 503, 401, 500]);
});
