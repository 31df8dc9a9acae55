import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusals, refusalQuietMs } from './refusals.ts';

test('refusals one soon after the other are one run; after a quiet while another one begins', () => {
  const refusals = new Refusals();
  assert.deepEqual(refusals.running(0), []);
  for (const nowMs of [1000, 1500, 1500 + refusalQuietMs]) refusals.note('retryBudget', nowMs);
  refusals.note('maxRequests', 1600);
  const lastMs = 1500 + refusalQuietMs;
  assert.deepEqual(refusals.running(1600 + refusalQuietMs), [
    { limit: 'retryBudget', sinceMs: 1000, lastMs, refused: 3 },
    { limit: 'maxRequests', sinceMs: 1600, lastMs: 1600, refused: 1 },
  ]);
  const laterMs = lastMs + refusalQuietMs + 1;
  assert.deepEqual(refusals.running(laterMs), []);
  refusals.note('retryBudget', laterMs);
  const again = { limit: 'retryBudget', sinceMs: laterMs, lastMs: laterMs, refused: 1 };
  assert.deepEqual(refusals.running(laterMs), [again]);
});
