import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { statsOf } from './flow-stats.ts';
import { refusedFlow, requestFlow, tunnelFlow } from './testing-flows.ts';

const nowMs = Date.parse('2026-01-02T03:05:00.000Z');
const at = (secondsAgo: number): string => new Date(nowMs - secondsAgo * 1000).toISOString();
const all = () => 'all';

test('requests: share of success, rate over the time that is covered, last trouble', () => {
  const flows = [
    requestFlow({ time: at(10), status: 200, durationMs: 5 }),
    requestFlow({ time: at(9), status: 404, durationMs: 10 }),
    requestFlow({ time: at(8), status: 503, durationMs: 100 }),
    requestFlow({ time: at(7), status: 200, durationMs: 20 }),
  ];
  const [row] = statsOf(flows, all, 60_000, nowMs);
  assert.deepEqual(
    { ...row?.stats },
    {
      requests: 4,
      success: 0.75,
      requestsPerS: 0.4,
      p50Ms: 10,
      p95Ms: 100,
      p99Ms: 100,
      connections: 0,
      connectionsFailed: 0,
      refused: 0,
      secured: 1,
      bytesSent: 480,
      bytesReceived: 12_000,
      lastTrouble: 'status 503',
    },
  );
});

test('connections: refused and failed are told apart; plaintext is not secured', () => {
  const flows = [tunnelFlow(), tunnelFlow({ flag: 'CONNECT' }), refusedFlow(), tunnelFlow()];
  const [row] = statsOf(flows, all, 60_000, Date.parse('2026-01-02T03:04:06.678Z'));
  const { connections, connectionsFailed, refused, secured, success, p50Ms, lastTrouble } = row!.stats;
  assert.deepEqual(
    { connections, connectionsFailed, refused, secured },
    { connections: 4, connectionsFailed: 1, refused: 1, secured: 0.75 },
  );
  assert.deepEqual([success, p50Ms, lastTrouble], [null, null, 'DENY by shop/only-web']);
});

test('the busiest comes first; what no group takes is left out', () => {
  const flows = [requestFlow({ path: '/a' }), requestFlow({ path: '/b' }), requestFlow({ path: '/b' }), tunnelFlow()];
  assert.deepEqual(
    statsOf(flows, ({ path }) => path, 60_000, nowMs).map(({ group, stats }) => [group, stats.requests]),
    [
      ['/b', 2],
      ['/a', 1],
    ],
  );
  assert.deepEqual(statsOf([], all, 60_000, nowMs), []);
});

test('property: a flow of weight n counts as n flows do', () => {
  const sample = fc.record({
    durationMs: fc.integer({ min: 0, max: 50 }),
    weight: fc.integer({ min: 1, max: 6 }),
    ok: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), (samples) => {
      const flowOf = ({ durationMs, ok }: (typeof samples)[number]) =>
        requestFlow({ durationMs, status: ok ? 200 : 500, time: at(3) });
      const weighted = samples.map((one) => ({ ...flowOf(one), weight: one.weight }));
      const repeated = samples.flatMap((one) => Array.from({ length: one.weight }, () => flowOf(one)));
      assert.deepEqual(statsOf(weighted, all, 60_000, nowMs), statsOf(repeated, all, 60_000, nowMs));
    }),
  );
});
