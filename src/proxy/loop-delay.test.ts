import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoopDelay, noDelay } from './loop-delay.ts';

function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('a beat that is late shows, until it is too long ago', (context) => {
  let nowMs = 0;
  const delay = new LoopDelay(() => nowMs);
  context.after(() => delay.close());
  assert.deepEqual(delay.view(), noDelay);
  delay.start();
  for (const lateMs of [0, 0, 30, 0]) {
    nowMs += 50 + lateMs;
    delay.beat();
  }
  const seen = delay.view();
  assert.ok(seen.max >= 29 && seen.max <= 31, JSON.stringify(seen));
  assert.ok(seen.p50 < 1 && seen.p99 >= 29 && seen.p99 <= 31, JSON.stringify(seen));
  assert.deepEqual(delay.view(), seen, 'asking twice changes nothing');
  nowMs = 10_000;
  assert.deepEqual(delay.view(), seen, 'the last time that it shows');
  assert.deepEqual(delay.view(), noDelay);
});

test('a turn that takes long makes its own timer late', async (context) => {
  const delay = new LoopDelay();
  context.after(() => delay.close());
  delay.start();
  busy(200);
  await sleep(60);
  assert.ok(delay.view().max >= 149, JSON.stringify(delay.view()));
});
