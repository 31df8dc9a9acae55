import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessRecord, FlowView, RequestRecord } from '../../telemetry/access-record.ts';
import { refusedFlow, requestFlow, tunnelFlow } from '../../telemetry/testing-flows.ts';
import { nowMs } from '../testing-fixtures.ts';
import { seenOf } from './seen.ts';
import { ago, seenPath } from './testing-facts.ts';

const segments = { clientProxy: 0.2, wire: 1, waypoint: 0.5, destinationProxy: 0.3, application: 8 };
const request = (change: Partial<RequestRecord>): FlowView =>
  requestFlow({ time: ago(1_000), status: 200, durationMs: 10, segmentsMs: segments, ...change });
const connection = (change: Partial<AccessRecord>): FlowView => tunnelFlow({ time: ago(1_000), ...change });

test('nothing was seen', () => {
  assert.equal(seenOf([], seenPath, nowMs), null);
  assert.equal(seenOf([refusedFlow()], seenPath, nowMs), null);
});

test('requests: how many, how well, how quickly, and where the time of the slower ones went', () => {
  const good = Array.from({ length: 18 }, () => request({}));
  const slow = Array.from({ length: 2 }, () =>
    request({ durationMs: 1210, segmentsMs: { ...segments, application: 1200 }, status: 503 }),
  );
  const seen = seenOf([...good, ...slow], seenPath, nowMs)!;
  assert.deepEqual([seen.windowMs, seen.requests, seen.connections, seen.success], [5_000, 20, 0, 0.9]);
  assert.deepEqual([seen.p50Ms, seen.p99Ms], [10, 1210]);
  assert.equal(seen.slowest, 'the application itself: 1.20s of 1.20s');
  assert.equal(seen.lastError?.text, 'the application answered 503');
});

test('what changed a moment ago is seen, and what is long over is not', () => {
  const before = Array.from({ length: 100 }, () => request({ time: ago(30_000) }));
  const now = Array.from({ length: 5 }, () => request({ durationMs: 400 }));
  assert.deepEqual([seenOf(before, seenPath, nowMs)?.windowMs, seenOf(before, seenPath, nowMs)?.p50Ms], [60_000, 10]);
  assert.deepEqual([seenOf([...before, ...now], seenPath, nowMs)?.p50Ms], [400]);
});

test('the last refusal is named with its policy, and who said so; an older one is not the last', () => {
  const refusal = { flag: 'DENY', decidedBy: 'shop/no-web', error: 'denied by shop/no-web' } as const;
  const flows = [connection({ ...refusal, time: ago(9_000), decidedBy: 'shop/older' }), connection(refusal)];
  const { lastRefusal, success } = seenOf(flows, seenPath, nowMs)!;
  assert.equal(success, 0);
  assert.deepEqual(
    [lastRefusal?.decidedBy, lastRefusal?.saidBy, lastRefusal?.time],
    ['shop/no-web', 'node/node-2', ago(1_000)],
  );
});

test("the source's word counts for what the destination has not seen, and for the time to connect", () => {
  const outbound = {
    direction: 'outbound',
    destination: { ...connection({}).destination, service: seenPath.hostname },
  } as const;
  const failed = connection({ ...outbound, flag: 'CONNECT', error: 'no route to host' });
  assert.match(seenOf([failed], seenPath, nowMs)?.lastError?.text ?? '', /no route to host/);
  const slow = connection({ ...outbound, segmentsMs: { hold: null, connect: 250 } });
  const seen = seenOf([slow, connection({})], seenPath, nowMs)!;
  assert.deepEqual([seen.connections, seen.p50Ms, seen.slowest], [1, 250, null]);
});

test('what a waypoint meets at the endpoint belongs to the path', () => {
  const source = { ...connection({}).source, workload: 'waypoint-1' };
  const refused = connection({ source, flag: 'DENY', decidedBy: 'shop/no-waypoint', error: 'denied' });
  const seen = seenOf([request({}), refused], seenPath, nowMs)!;
  assert.deepEqual([seen.requests, seen.lastRefusal?.decidedBy], [1, 'shop/no-waypoint']);
});

test('calls of others, and to others, are not of the path', () => {
  const other = { ...request({}).destination, service: 'catalog.shop.svc.cluster.local' };
  const stranger = { ...request({}).source, workload: 'batch-1' };
  assert.equal(seenOf([request({ destination: other }), request({ source: stranger })], seenPath, nowMs), null);
});
