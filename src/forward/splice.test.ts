import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeshError } from '../base/errors.ts';
import { Took } from '../io/byte-stream.ts';
import { FakeStream } from './fake-stream.ts';
import { Splice } from './splice.ts';
import { Sweep, tickFor } from './sweep.ts';

function joined(deadlines = { idleMs: 1000, halfCloseMs: 100 }) {
  let nowMs = 0;
  const sweep = new Sweep({ tickMs: 10, now: () => nowMs });
  const source = new FakeStream();
  const destination = new FakeStream();
  const ends: (MeshError | null)[] = [];
  const splice = new Splice(source, destination, deadlines, sweep, (error) => ends.push(error));
  splice.start();
  const pass = (ms: number): void => {
    nowMs += ms;
    sweep.tick();
  };
  return { source, destination, splice, sweep, ends, pass };
}

test('bytes go both ways and are counted', () => {
  const { source, destination, splice } = joined();
  source.receive('hello');
  destination.receive('hi');
  assert.equal(destination.written, 'hello');
  assert.equal(source.written, 'hi');
  assert.deepEqual([splice.bytesSent, splice.bytesReceived], [5, 2]);
});

for (const first of ['source', 'destination'] as const) {
  test(`half-close, ${first} first: the other direction goes on, then both end well`, () => {
    const { source, destination, ends, sweep } = joined();
    const [a, b] = first === 'source' ? [source, destination] : [destination, source];
    a.receiveEnd();
    assert.deepEqual(b.calls, ['end']);
    assert.deepEqual(ends, []);
    b.receive('late');
    assert.equal(a.written, 'late');
    b.receiveEnd();
    assert.deepEqual(ends, [null]);
    assert.equal(sweep.size, 0);
  });

  test(`reset by the ${first} resets the other side and is named`, () => {
    const { source, destination, ends } = joined();
    const [a, b] = first === 'source' ? [source, destination] : [destination, source];
    a.close(new Error('ECONNRESET'), true);
    assert.deepEqual(b.calls, ['reset']);
    assert.deepEqual(
      ends.map((end) => end?.code),
      [first === 'source' ? 'RESET_BY_SOURCE' : 'RESET_BY_DESTINATION'],
    );
  });

  test(`${first} that closes without its end is not taken for a clean end`, () => {
    const { source, destination, ends } = joined();
    const [a, b] = first === 'source' ? [source, destination] : [destination, source];
    a.close(null, false);
    assert.deepEqual(b.calls, ['reset']);
    assert.equal(ends.length, 1);
    assert.notEqual(ends[0], null);
  });
}

test('a full destination pauses the source, and its drain resumes it', () => {
  const { source, destination } = joined();
  destination.answer = Took.Pause;
  source.receive('x');
  assert.equal(source.paused, true);
  assert.equal(destination.paused, false);
  destination.handler?.onDrain();
  assert.equal(source.paused, false);
});

test('idle: ends after idleMs without a byte, not before, and a byte starts the time again', () => {
  const { source, destination, ends, pass } = joined();
  pass(10);
  pass(990);
  source.receive('x');
  pass(10);
  pass(999);
  assert.equal(ends.length, 0);
  pass(1);
  assert.equal(ends[0]?.code, 'IDLE_TIMEOUT');
  assert.deepEqual([source.calls, destination.calls], [['reset'], ['reset']]);
});

test('half closed: the shorter deadline holds, and bytes of the open direction keep it open', () => {
  const { source, destination, ends, pass } = joined();
  source.receiveEnd();
  pass(10);
  pass(90);
  destination.receive('still here');
  pass(10);
  pass(99);
  assert.equal(ends.length, 0);
  pass(1);
  assert.equal(ends[0]?.code, 'HALF_CLOSE_TIMEOUT');
});

test('abort resets both and finishes once', () => {
  const { source, destination, splice, ends } = joined();
  splice.abort({ code: 'POLICY_CHANGED' } as MeshError);
  splice.abort({ code: 'DRAINED' } as MeshError);
  source.close(new Error('late'), true);
  assert.deepEqual([source.calls, destination.calls], [['reset'], ['reset']]);
  assert.deepEqual(
    ends.map((end) => end?.code),
    ['POLICY_CHANGED'],
  );
});

test('a destination that breaks while it is being started finishes the connection', () => {
  const source = new FakeStream();
  const destination = new FakeStream();
  destination.start = (handler) => handler.onClose(new Error('gone'), true);
  const ends: (MeshError | null)[] = [];
  const sweep = new Sweep({ tickMs: 10 });
  const splice = new Splice(source, destination, { idleMs: 1, halfCloseMs: 1 }, sweep, (error) => ends.push(error));
  splice.start();
  assert.equal(ends[0]?.code, 'RESET_BY_DESTINATION');
  assert.deepEqual(source.calls, ['reset']);
  assert.equal(sweep.size, 0);
});

test('tickFor keeps deadlines to a tenth of themselves within its bounds', () => {
  assert.equal(tickFor(3_600_000, 10_000), 1000);
  assert.equal(tickFor(3_600_000, 500), 50);
  assert.equal(tickFor(10), 20);
});
