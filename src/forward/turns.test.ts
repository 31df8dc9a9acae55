import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamTiming, type TimingFigures } from '../io/stream-timing.ts';
import { FakeStream } from './fake-stream.ts';
import { Splice } from './splice.ts';
import { Sweep } from './sweep.ts';
import { AnswerTurns, RequestTurns } from './turns.ts';

const nothing: TimingFigures = { proxyMs: 0, setUpMs: 0, openMs: 0, applicationMs: 0 };

/** Two streams joined under a manual clock; what is told stands in `told`, with what was written by then. */
function joined(kind: typeof RequestTurns | typeof AnswerTurns, preparation = { setUpMs: 0, openMs: 0 }) {
  let nowMs = 1000;
  let lateMs = 0;
  const told: { figures: TimingFigures; written: string }[] = [];
  const source = new FakeStream();
  const destination = new FakeStream();
  const to = kind === RequestTurns ? destination : source;
  const line = {
    roundTripMs: 0,
    tell: (_id: number, figures: TimingFigures): void => void told.push({ figures, written: to.written }),
  };
  const clocks = { nowMs: () => nowMs, lateness: { lateMs: () => lateMs } };
  const observer = new kind(new StreamTiming(line, 1, 0), preparation, clocks);
  const sweep = new Sweep({ tickMs: 10, now: () => nowMs });
  const deadlines = { idleMs: 1000, halfCloseMs: 1000 };
  new Splice(source, destination, deadlines, sweep, () => undefined, observer).start();
  const pass = (ms: number, late = 0): void => {
    nowMs += ms;
    lateMs = late;
  };
  return { source, destination, told, pass };
}

test('a request is told of at its turn, ahead of its bytes', () => {
  const { source, destination, told, pass } = joined(RequestTurns, { setUpMs: 30, openMs: 5 });
  pass(1);
  source.receive('a');
  pass(1);
  source.receive('b');
  assert.deepEqual(told, [{ figures: { ...nothing, setUpMs: 30, openMs: 5 }, written: '' }]);
  destination.receive('answer');
  pass(1000);
  source.receive('c');
  assert.deepEqual(told[1], { figures: nothing, written: 'ab' }, 'the set-up concerned the first alone');
});

test('a body that takes long is told of again, now and then', () => {
  const { source, told, pass } = joined(RequestTurns);
  for (let at = 0; at < 10; at++) {
    source.receive('x');
    pass(4);
  }
  assert.equal(told.length, 4);
});

test('a client that asks long after it has connected did not wait for that', () => {
  const { source, told, pass } = joined(RequestTurns, { setUpMs: 30, openMs: 5 });
  pass(1000);
  source.receive('a');
  assert.deepEqual(told[0]?.figures, nothing);
});

test('a request that a late thread has read may have waited, but not since before the last answer', () => {
  const { source, destination, told, pass } = joined(RequestTurns);
  pass(500, 80);
  source.receive('a');
  destination.receive('answer');
  pass(20, 80);
  source.receive('b');
  assert.deepEqual(
    told.map(({ figures }) => figures.proxyMs),
    [80, 20],
  );
});

test('an answer says how long the application took from the last byte on', () => {
  const { source, destination, told, pass } = joined(AnswerTurns, { setUpMs: 7, openMs: 0 });
  source.receive('head');
  pass(5);
  source.receive('body');
  pass(40);
  destination.receive('answer');
  destination.receive('more of it');
  assert.deepEqual(told, [{ figures: { ...nothing, setUpMs: 7, applicationMs: 40 }, written: '' }]);
  source.receive('next');
  pass(3);
  destination.receive('answer');
  assert.deepEqual(told[1]?.figures, { ...nothing, applicationMs: 3 });
});

test('what a late thread has kept waiting is its own, not the application', () => {
  const { source, destination, told, pass } = joined(AnswerTurns);
  pass(10, 15);
  source.receive('head');
  pass(1);
  source.receive('body');
  pass(100, 60);
  destination.receive('answer');
  assert.deepEqual(told[0]?.figures, { ...nothing, proxyMs: 75, applicationMs: 40 });
});

test('an answer behind other bytes of the application is told of too', () => {
  const { source, destination, told, pass } = joined(AnswerTurns);
  source.receive('request');
  destination.receive('window update');
  pass(50);
  destination.receive('answer');
  assert.deepEqual(
    told.map(({ figures }) => figures.applicationMs),
    [0, 50],
  );
});
