import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countRequest, mergeRequestRows, RequestCounters } from './request-counters.ts';
import { requestKey as key } from './testing-request-key.ts';

test('a row counts requests, sums and buckets', () => {
  const counters = new RequestCounters();
  const row = counters.row(key);
  countRequest(row, 0.4, 100, 2000);
  countRequest(row, 7, 0, 5_000_000);
  assert.equal(counters.row({ ...key }), row);
  assert.deepEqual([row.requests, row.durationSumMs, row.requestBytes, row.responseBytes], [2, 7.4, 100, 5_002_000]);
  assert.equal(row.durationBuckets[0], 1);
  assert.equal(row.durationBuckets[3], 1);
  assert.equal(row.responseBuckets.at(-1), 1);
});

test('above the limit, new rows are nameless', () => {
  const counters = new RequestCounters(1);
  counters.row(key);
  const other = counters.row({ ...key, destination: { ...key.destination, workload: 'other' } });
  assert.equal(other.key.destination.workload, '');
  assert.equal(counters.row({ ...key, source: { ...key.source, workload: 'x' } }), other);
});

test('rows of threads add up', () => {
  const threads = [new RequestCounters(), new RequestCounters()];
  for (const counters of threads) countRequest(counters.row(key), 1, 2, 3);
  const merged = mergeRequestRows(threads.map((counters) => counters.rows()));
  assert.equal(merged.length, 1);
  assert.equal(merged[0]?.requests, 2);
  assert.equal(merged[0]?.durationBuckets[1], 2);
});
