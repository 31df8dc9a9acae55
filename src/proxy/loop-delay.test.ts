import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoopDelay, noDelay } from './loop-delay.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('a turn that takes long shows, until it is too long ago', async (context) => {
  let nowMs = 0;
  const delay = new LoopDelay(() => nowMs);
  context.after(() => delay.close());
  assert.deepEqual(delay.view(), noDelay);
  delay.start();
  await turn();
  await turn();
  busy(30);
  await turn();
  await turn();
  const seen = delay.view();
  assert.ok(seen.max >= 29, JSON.stringify(seen));
  assert.ok(seen.p50 <= seen.p99 && seen.p99 <= seen.max, JSON.stringify(seen));
  assert.ok(delay.view().max >= 29, 'asking twice changes nothing');
  nowMs = 10_000;
  assert.ok(delay.view().max >= 29, 'the last time that it shows');
  assert.deepEqual(delay.view(), noDelay);
});
