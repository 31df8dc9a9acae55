import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { LoopLateness } from './loop-lateness.ts';

let nowMs = 0;
let lateness = new LoopLateness(() => nowMs);
afterEach(() => {
  lateness.rest();
  lateness = new LoopLateness(() => nowMs);
});

test('a thread in time keeps nothing waiting', () => {
  assert.equal(lateness.peekMs(), 0);
  assert.equal(lateness.lateMs(nowMs), 0);
  for (let beats = 0; beats < 5; beats++) {
    nowMs += 11;
    lateness.beat();
    assert.equal(lateness.lateMs(nowMs + 3), 0);
  }
});

test('a read before the late beat, after a stop', () => {
  lateness.lateMs(nowMs);
  assert.equal(lateness.lateMs(nowMs + 510), 500);
  nowMs += 310;
  assert.equal(lateness.peekMs(), 300);
});

test('a read behind the late beat of its turn, and none after it', () => {
  lateness.lateMs(nowMs);
  nowMs += 210;
  lateness.beat();
  assert.equal(lateness.lateMs(nowMs + 1), 200);
  lateness.turnEnded();
  assert.equal(lateness.lateMs(nowMs + 1), 0);
});

test('the heart rests when nobody asks, and the first question after that finds nothing late', () => {
  lateness.lateMs(nowMs);
  nowMs += 20_000;
  lateness.beat();
  nowMs += 5000;
  assert.equal(lateness.lateMs(nowMs), 0);
});
