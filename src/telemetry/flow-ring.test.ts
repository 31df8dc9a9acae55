import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AccessRecord } from './access-record.ts';
import { FlowRing, type FlowRingOptions } from './flow-ring.ts';

const peer = { workload: 'web-1', namespace: 'shop', identity: null, address: '10.0.1.2:4000' };
const record: AccessRecord = {
  time: '2026-01-02T03:04:05.678Z',
  kind: 'connection',
  direction: 'outbound',
  source: peer,
  destination: { ...peer, service: null },
  transport: 'plaintext',
  bytesSent: 1,
  bytesReceived: 2,
  durationMs: 3,
  flag: '-',
  decidedBy: null,
  error: null,
  method: null,
  path: null,
  status: null,
  attempts: 1,
  segmentsMs: { hold: null, connect: null },
};

function ringOf(change: Partial<FlowRingOptions> = {}) {
  let nowMs = 0;
  const ring = new FlowRing({ flowsMax: 4, flowsPerSecond: 1_000, ...change });
  return {
    ring,
    admit: (failed: boolean): number => ring.admit(failed, nowMs),
    pass: (ms: number): void => {
      nowMs += ms;
    },
  };
}

test('a ring holds the newest, and says how many were lost before', () => {
  const { ring } = ringOf();
  for (let count = 0; count < 6; count++) ring.add(record, 1);
  const { flows, last, lost } = ring.since(0, 100);
  assert.deepEqual(
    flows.map(({ seq }) => seq),
    [3, 4, 5, 6],
  );
  assert.deepEqual({ last, lost }, { last: 6, lost: 2 });
  assert.deepEqual(
    ring.since(0, 2).flows.map(({ seq }) => seq),
    [5, 6],
  );
  assert.deepEqual(ring.since(last, 100), { flows: [], last: 6, lost: 0 });
});

test('above the limit of a second a sample is kept, whose weights add up; failures have a limit of their own', () => {
  const { admit, pass } = ringOf({ flowsPerSecond: 10 });
  const sum = (count: number, failed: boolean): number => {
    let weights = 0;
    for (let at = 0; at < count; at++) weights += admit(failed);
    return weights;
  };
  assert.equal(sum(10 + 64 * 5, false), 10 + 64 * 5);
  assert.equal(sum(10, true), 10);
  assert.equal(sum(63, true), 0);
  pass(1_000);
  assert.equal(sum(10, false), 10);
});

test('a ring of no records admits nothing, and one of another size begins anew', () => {
  const { ring, admit } = ringOf({ flowsMax: 0 });
  assert.equal(admit(true), 0);
  ring.resize({ flowsMax: 2, flowsPerSecond: 5 });
  assert.equal(admit(true), 1);
  ring.add(record, 1);
  ring.resize({ flowsMax: 8, flowsPerSecond: 5 });
  assert.equal(ring.since(0, 10).flows.length, 0);
  ring.add(record, 1);
  assert.deepEqual(
    ring.since(0, 10).flows.map(({ seq }) => seq),
    [2],
  );
  for (let more = 3; more <= 12; more++) ring.add({ ...record, bytesSent: more }, more);
  assert.deepEqual(
    ring.since(0, 10).flows.map(({ seq, weight, record: { bytesSent } }) => [seq, weight, bytesSent]),
    [5, 6, 7, 8, 9, 10, 11, 12].map((seq) => [seq, seq, seq]),
  );
});

test('property: whoever follows sees each record once and in order, or learns how many were lost', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 40 }), (turns) => {
      const { ring } = ringOf();
      let added = 0;
      let mark = 0;
      let accounted = 0;
      for (const turn of turns) {
        for (let at = 0; at < turn; at++, added++) ring.add(record, 1);
        const { flows, last, lost } = ring.since(mark, 100);
        assert.ok(flows.every(({ seq }, at) => seq > mark && seq === last - flows.length + 1 + at));
        mark = last;
        accounted += flows.length + lost;
      }
      assert.equal(accounted, added);
    }),
  );
});
