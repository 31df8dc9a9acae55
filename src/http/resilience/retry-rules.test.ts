import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RetryPolicy } from '../../model/route-types.ts';
import { retryConditions } from '../../model/routes/retry-options.ts';
import { requestOf, seededRandom } from '../testing-requests.ts';
import { attemptOf, backoffMs, type FailedTry, isUntouched, retryRulesOf, type TryEnd } from './retry-rules.ts';

const istioDefault = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'];

function policyOf(retryOn: readonly string[], given: Partial<RetryPolicy> = {}): RetryPolicy {
  return {
    attempts: 2,
    perTryTimeoutMs: 0,
    retryOn,
    statuses: [],
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    nonIdempotent: false,
    evenIfRetried: false,
    from: 'route',
    ...given,
  };
}

function failedOf(end: TryEnd, given: Partial<FailedTry> = {}): FailedTry {
  return {
    end,
    status: 0,
    grpcStatus: -1,
    madeByProxy: false,
    rateLimited: false,
    retryAfterMs: 0,
    bytesLeft: end !== 'connect-failure',
    unprocessed: false,
    replayable: true,
    uncommitted: true,
    ...given,
  };
}

const answer = (status: number, given: Partial<FailedTry> = {}) => failedOf('answer', { status, ...given });
const grpc = (grpcStatus: number) => failedOf('answer', { status: 200, grpcStatus });
const unsent = { bytesLeft: false };
const timeout = failedOf('per-try-timeout');
const reset = failedOf('reset');
const lost = failedOf('connection-lost');

// [condition, failure, whether a GET is tried again]
const conditionRows: readonly (readonly [condition: string, what: string, failed: FailedTry, isRetried: boolean])[] = [
  ['5xx', '500', answer(500), true],
  ['5xx', '503', answer(503), true],
  ['5xx', '404', answer(404), false],
  ['5xx', '200', answer(200), false],
  ['5xx', 'reset', reset, true],
  ['5xx', 'connect failure', failedOf('connect-failure'), true],
  ['5xx', 'refused stream', failedOf('refused-stream'), true],
  ['5xx', 'per-try time-out', timeout, true],
  ['5xx', 'overflow', failedOf('overflow'), false],
  ['5xx', 'x-envoy-ratelimited', answer(503, { rateLimited: true }), false],
  ['gateway-error', '500', answer(500), false],
  ['gateway-error', '502', answer(502), true],
  ['gateway-error', '503', answer(503), true],
  ['gateway-error', '504', answer(504), true],
  ['gateway-error', '505', answer(505), false],
  ['gateway-error', 'reset', reset, true],
  ['gateway-error', 'per-try time-out', timeout, true],
  ['reset', 'reset', reset, true],
  ['reset', 'per-try time-out', timeout, true],
  ['reset', 'lost connection', lost, true],
  ['connection-lost', 'lost connection', lost, true],
  ['connection-lost', 'reset', reset, false],
  ['connection-lost', 'per-try time-out', timeout, false],
  ['connection-lost', '503', answer(503), false],
  ['connect-failure', 'lost connection', lost, false],
  ['reset', '503', answer(503), false],
  ['reset-before-request', 'reset with nothing sent', failedOf('reset', unsent), true],
  ['reset-before-request', 'reset', reset, false],
  ['connect-failure', 'connect failure', failedOf('connect-failure'), true],
  ['connect-failure', 'reset with nothing sent', failedOf('reset', unsent), true],
  ['connect-failure', 'reset', reset, false],
  ['connect-failure', '503 of a proxy of ours', answer(503, { madeByProxy: true }), true],
  ['connect-failure', '503', answer(503), false],
  ['connect-failure', 'overflow', failedOf('overflow'), false],
  ['refused-stream', 'refused stream', failedOf('refused-stream'), true],
  ['refused-stream', 'reset of an unprocessed one', failedOf('reset', { unprocessed: true }), true],
  ['refused-stream', 'reset', reset, false],
  ['refused-stream', 'connect failure', failedOf('connect-failure'), false],
  ['envoy-ratelimited', '429 with x-envoy-ratelimited', answer(429, { rateLimited: true }), true],
  ['envoy-ratelimited', '429', answer(429), false],
  ['retriable-4xx', '409', answer(409), true],
  ['retriable-4xx', '404', answer(404), false],
  ['cancelled', 'status 1', grpc(1), true],
  ['deadline-exceeded', 'status 4', grpc(4), true],
  ['resource-exhausted', 'status 8', grpc(8), true],
  ['internal', 'status 13', grpc(13), true],
  ['unavailable', 'status 14', grpc(14), true],
  ['unavailable', 'status 13', grpc(13), false],
  ['unavailable', 'status 0', grpc(0), false],
  ['nonsense', '503', answer(503), false],
];
for (const [condition, what, failed, isRetried] of conditionRows) {
  test(`retry on ${condition}: ${what}${isRetried ? '' : ', no'}`, () => {
    const verdict = retryRulesOf(policyOf([condition])).decide(requestOf('GET /'), failed, 0);
    assert.equal(verdict, isRetried ? 'retry' : 'no-condition');
  });
}

test('numbers are retried as statuses, others are not', () => {
  const rules = retryRulesOf(policyOf(['retriable-status-codes'], { statuses: [418, 503] }));
  const decide = (status: number) => rules.decide(requestOf('GET /'), answer(status), 0);
  assert.deepEqual([decide(418), decide(503), decide(500)], ['retry', 'retry', 'no-condition']);
});

test("Istio's default does not retry a 503 of the application", () => {
  const rules = retryRulesOf(policyOf(istioDefault));
  assert.equal(rules.decide(requestOf('GET /'), answer(503), 0), 'no-condition');
  assert.equal(rules.decide(requestOf('GET /'), failedOf('connect-failure'), 0), 'retry');
});

// [what, failure, whether a POST is tried again]
const safetyRows: readonly (readonly [what: string, failed: FailedTry, isRetried: boolean])[] = [
  ['connect failure', failedOf('connect-failure'), true],
  ['refused stream', failedOf('refused-stream'), true],
  ['503 that a proxy of ours made', answer(503, { madeByProxy: true }), true],
  ['500 that a proxy of ours made', answer(500, { madeByProxy: true }), false],
  ['503 of the application', answer(503), false],
  ['reset after a byte was sent', reset, false],
  ['connection lost after a byte was sent', lost, false],
  ['reset before a byte was sent', failedOf('reset', unsent), true],
  ['reset of what the endpoint has not looked at', failedOf('reset', { unprocessed: true }), true],
  ['time-out after a byte was sent', timeout, false],
  ['time-out before a byte was sent', failedOf('per-try-timeout', unsent), true],
];
const everything = ['5xx', 'gateway-error', 'reset', 'connect-failure', 'refused-stream', 'unavailable'];
for (const [what, failed, isRetried] of safetyRows) {
  test(`a POST is ${isRetried ? '' : 'not '}sent again after: ${what}`, () => {
    const rules = retryRulesOf(policyOf(everything));
    assert.equal(rules.decide(requestOf('POST /pay'), failed, 0), isRetried ? 'retry' : 'unsafe');
    assert.equal(rules.decide(requestOf('PATCH /pay'), failed, 0), isRetried ? 'retry' : 'unsafe');
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) {
      assert.equal(rules.decide(requestOf(`${method} /pay`), failed, 0), 'retry');
    }
    const withKey = requestOf('POST /pay', [['Idempotency-Key', '7']]);
    assert.equal(rules.decide(withKey, failed, 0), 'retry');
    const said = retryRulesOf(policyOf(everything, { nonIdempotent: true }));
    assert.equal(said.decide(requestOf('POST /pay'), failed, 0), 'retry');
    assert.equal(isUntouched(failed), isRetried);
  });
}

test('a gRPC call is a POST: unavailable from the application is not sent again unless the route says so', () => {
  const call = requestOf('POST /shop.Pay/Charge', [], { grpc: true });
  assert.equal(retryRulesOf(policyOf(['unavailable'])).decide(call, grpc(14), 0), 'unsafe');
  assert.equal(retryRulesOf(policyOf(['unavailable'], { nonIdempotent: true })).decide(call, grpc(14), 0), 'retry');
});

test('never more retries than were asked for', () => {
  const rules = retryRulesOf(policyOf(['5xx'], { attempts: 2 }));
  const verdicts = [0, 1, 2, 3].map((made) => rules.decide(requestOf('GET /'), answer(503), made));
  assert.deepEqual(verdicts, ['retry', 'retry', 'limit', 'limit']);
  assert.equal(retryRulesOf(policyOf(['5xx'], { attempts: 0 })).decide(requestOf('GET /'), answer(503), 0), 'limit');
});

test('a request that is on a later try already gets no retries of ours', () => {
  const later = requestOf('GET /', [['x-envoy-attempt-count', '2']]);
  assert.equal(retryRulesOf(policyOf(['5xx'])).decide(later, answer(503), 0), 'chain');
  assert.equal(retryRulesOf(policyOf(['5xx'], { evenIfRetried: true })).decide(later, answer(503), 0), 'retry');
  assert.equal(
    retryRulesOf(policyOf(['5xx'])).decide(requestOf('GET /', [['x-envoy-attempt-count', '1']]), answer(503), 0),
    'retry',
  );
});

for (const [text, attempt] of [
  ['3', 3],
  ['0', 1],
  ['-1', 1],
  ['x', 1],
  ['9999999999', 1],
] as const) {
  test(`attempt count "${text}"`, () => {
    assert.equal(attemptOf(requestOf('GET /', [['x-envoy-attempt-count', text]])), attempt);
  });
}

test('a body that is not at hand, or an answer that has begun, ends it', () => {
  const rules = retryRulesOf(policyOf(['5xx']));
  assert.equal(rules.decide(requestOf('GET /'), answer(503, { replayable: false }), 0), 'impossible');
  assert.equal(rules.decide(requestOf('GET /'), answer(503, { uncommitted: false }), 0), 'impossible');
});

test('rules are made once per policy', () => {
  const policy = policyOf(['5xx']);
  assert.equal(retryRulesOf(policy), retryRulesOf(policy));
});

test('back-off: full jitter, doubling, capped', () => {
  const policy = policyOf([], { backoffBaseMs: 25, backoffMaxMs: 250 });
  const bounds = [1, 2, 3, 4, 5, 60].map((retry) => backoffMs(policy, retry, () => 1));
  assert.deepEqual(bounds, [25, 75, 175, 250, 250, 250]);
  assert.equal(
    backoffMs(policy, 3, () => 0),
    0,
  );
  const random = seededRandom();
  let sum = 0;
  for (let at = 0; at < 10_000; at++) sum += backoffMs(policy, 3, random) / 10_000;
  assert.ok(Math.abs(sum - 87.5) < 2, `${sum}`);
});

test('whatever fails, a POST that may have been processed is never sent again', () => {
  const ends = fc.constantFrom<TryEnd>(
    'answer',
    'connect-failure',
    'refused-stream',
    'reset',
    'connection-lost',
    'per-try-timeout',
    'overflow',
  );
  const failure = fc.record({
    end: ends,
    status: fc.constantFrom(200, 409, 429, 500, 502, 503, 504),
    grpcStatus: fc.integer({ min: -1, max: 16 }),
    madeByProxy: fc.boolean(),
    rateLimited: fc.boolean(),
    retryAfterMs: fc.nat(5000),
    bytesLeft: fc.boolean(),
    unprocessed: fc.boolean(),
    replayable: fc.boolean(),
    uncommitted: fc.boolean(),
  });
  const input = [fc.subarray([...retryConditions]), failure, fc.nat(4)] as const;
  fc.assert(
    fc.property(...input, (retryOn, failed, made) => {
      const rules = retryRulesOf(policyOf(retryOn, { statuses: [429, 503] }));
      if (rules.decide(requestOf('POST /'), failed, made) !== 'retry') return;
      assert.ok(isUntouched(failed) && failed.uncommitted && failed.replayable && made < 2);
      assert.equal(rules.decide(requestOf('GET /'), failed, made), 'retry');
    }),
  );
});
