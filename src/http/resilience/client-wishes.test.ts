// What clients may ask for by headers, and when an endpoint wants to be left alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noTimeouts, retryOf, ruleOf } from '../exchange/testing-service.ts';
import { requestOf } from '../testing-requests.ts';
import { wishedRetriesMax, wishedRule, wishHeaders } from './client-wishes.ts';
import { retryAfterMs } from './retry-after.ts';

const rule = ruleOf({
  retry: retryOf({ attempts: 2, retryOn: ['connect-failure'], statuses: [418] }),
  timeouts: { ...noTimeouts, requestMs: 5_000, perTryMs: 400 },
});

// [headers, what is other than the rule says: of its retries, of its time-outs]
const rows: [Record<string, string>, object, object][] = [
  [{ 'x-envoy-retry-on': '5xx, nonsense,reset' }, { retryOn: ['connect-failure', '5xx', 'reset'] }, {}],
  [{ 'x-envoy-retry-grpc-on': 'unavailable' }, { retryOn: ['connect-failure', 'unavailable'] }, {}],
  [{ 'X-Envoy-Max-Retries': '5' }, { attempts: 5 }, {}],
  [{ 'x-envoy-max-retries': '0' }, { attempts: 0 }, {}],
  [{ 'x-envoy-max-retries': '1000' }, { attempts: wishedRetriesMax }, {}],
  [{ 'x-envoy-max-retries': '-1' }, {}, {}],
  [{ 'x-envoy-retriable-status-codes': '500' }, {}, {}],
  [
    { 'x-envoy-retriable-status-codes': '500, 9,502', 'x-envoy-retry-on': 'retriable-status-codes' },
    { retryOn: ['connect-failure', 'retriable-status-codes'], statuses: [418, 500, 502] },
    {},
  ],
  [{ 'x-envoy-upstream-rq-timeout-ms': '150' }, {}, { requestMs: 150 }],
  [{ 'x-envoy-upstream-rq-timeout-ms': '1e3' }, {}, {}],
  [{ 'x-envoy-upstream-rq-per-try-timeout-ms': '20' }, { perTryTimeoutMs: 20 }, { perTryMs: 20 }],
];

for (const [headers, retry, timeouts] of rows) {
  test(`a client asks for ${JSON.stringify(headers)}`, () => {
    const wished = wishedRule(rule, requestOf('GET /', Object.entries(headers)));
    assert.deepEqual(wished, {
      ...rule,
      retry: { ...rule.retry, ...retry },
      timeouts: { ...rule.timeouts, ...timeouts },
    });
    assert.equal(wished?.retry.nonIdempotent, false);
  });
}

test('a client without wishes has the very rule', () => {
  for (const headers of [[], [['x-envoy-attempt-count', '1']], [['x-envoyage', '5xx']]] as [string, string][][]) {
    assert.equal(wishedRule(rule, requestOf('GET /', headers)), null);
  }
  assert.ok(wishHeaders.every((name) => name.startsWith('x-envoy-')));
});

test('retry-after is seconds or a date', () => {
  const now = () => Date.parse('2026-01-01T00:00:00Z');
  const table = [
    [null, 0],
    ['0', 0],
    ['2', 2000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2025 00:00:30 GMT', 0],
    ['soon', 0],
    ['1.5', 0],
    ['-1', 0],
  ] as const;
  for (const [text, ms] of table) assert.equal(retryAfterMs(text, now), ms, String(text));
});
