// What the demo demands of the waypoint's records, and how it adds them up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestRecord } from '../telemetry/access-record.ts';
import {
  type Books,
  canaryDemand,
  isGreen,
  paymentsDemand,
  RequestMeter,
  requestTable,
  slowDemand,
} from './demo-requests.ts';
import { plain } from './io.ts';

const noSegments = { clientProxy: null, wire: null, waypoint: 1, destinationProxy: null, application: null };

function record(service: string, by: string | null, more: Partial<RequestRecord> = {}): RequestRecord {
  const fields: Partial<RequestRecord> = {
    kind: 'request',
    source: { workload: 'web-h4th2knz84-rj9pp', namespace: 'shop', identity: null, address: '' },
    destination: { workload: by, namespace: 'shop', identity: null, address: '', service: `${service}.shop.svc` },
    status: 200,
    flag: '-',
    attempts: 1,
    durationMs: 10,
    segmentsMs: noSegments,
  };
  return { ...fields, ...more } as RequestRecord;
}

function meterOf(records: readonly RequestRecord[]): RequestMeter {
  const meter = new RequestMeter();
  for (const each of records) meter.add(each);
  return meter;
}

const times = (count: number, each: RequestRecord): RequestRecord[] => Array.from({ length: count }, () => each);
const v1 = record('checkout', 'checkout-bghkftds7b-vgrfm');
const v2 = record('checkout', 'checkout-v2-8q24fzv7rw-m9q5k');

test('rows are by workload, not by pod', () => {
  const [first, second] = meterOf([...times(3, v1), v2]).rows();
  assert.deepEqual([first!.from, first!.by, first!.requests, first!.share], ['web', 'checkout', 3, 0.75]);
  assert.deepEqual([second!.by, second!.share, second!.slowest], ['checkout-v2', 0.25, 'upstream']);
  assert.match(requestTable([second!], { wide: false, paint: plain }), /web +checkout +checkout-v2 +1 +25% +100%/);
});

const canaries: readonly (readonly [number, number, boolean])[] = [
  [90, 10, true],
  [96, 4, true],
  [100, 0, false],
  [70, 30, false],
  [9, 1, false],
];
for (const [old, canary, met] of canaries) {
  test(`${canary} of ${old + canary} for v2 is ${met ? 'right' : 'wrong'}`, () => {
    assert.equal(canaryDemand(meterOf([...times(old, v1), ...times(canary, v2)]).rows()).met, met);
  });
}

const books: Books = { charges: 30, failedBefore: 3, failedAfter: 3, replayed: 3, chargedTwice: [] };
const retried = times(5, record('payments', 'payments', { attempts: 2 }));
const payments: readonly (readonly [string, RequestRecord[], Partial<Books>, boolean])[] = [
  ['all is well', [], {}, true],
  ['one refused by policy', [record('payments', null, { status: 403, flag: 'DENY' })], {}, true],
  ['one order charged twice', [], { chargedTwice: ['a'] }, false],
  ['one request failed', [record('cart', 'cart', { status: 503 })], {}, false],
  ['nothing failed after it was charged', [], { failedAfter: 0 }, false],
];
for (const [title, records, more, met] of payments) {
  test(`payments: ${title} is ${met ? 'right' : 'wrong'}`, () => {
    const rows = meterOf([...retried, ...records]).rows();
    assert.equal(paymentsDemand(rows, { ...books, ...more }).met, met);
    assert.equal(rows.every(isGreen), title !== 'one request failed');
  });
}

test('a slow service is found by its segment', () => {
  const late = { durationMs: 310 };
  const rows = (segmentsMs: RequestRecord['segmentsMs']) =>
    meterOf(times(10, record('inventory', 'inventory', { ...late, segmentsMs }))).rows();
  assert.equal(slowDemand(rows(noSegments), 300).met, true);
  assert.equal(slowDemand(rows({ ...noSegments, waypoint: 305 }), 300).met, false, 'the waypoint was slow');
  assert.equal(slowDemand(rows({ ...noSegments, application: 302 }), 300).met, true);
  assert.equal(slowDemand([], 300).met, false);
});
