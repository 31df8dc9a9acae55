import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import { Took } from '../io/byte-stream.ts';
import { Recorder } from '../io/testing-recorder.ts';
import { ErrorCode, Flag, FrameType } from './constants.ts';
import { ReceiveWindow } from './flow.ts';
import { ReceiveBudget } from './receive-budget.ts';
import { connect, data, type Frame, resetCode, started } from './testing-wire.ts';
import { WindowTuner } from './window-tuner.ts';

const kib = 1024;

describe('window tuner', () => {
  function setUp(limitBytes = 64 * kib * kib) {
    let nowMs = 1000;
    const budget = new ReceiveBudget({ bufferedBytesMax: limitBytes });
    const tuner = new WindowTuner({ startBytes: 256 * kib, largestBytes: 1024 * kib, budget, nowMs: () => nowMs });
    const window = new ReceiveWindow(256 * kib);
    /** The peer uses what it may, the reader takes it, `ms` later: returns what is announced. */
    const consume = (bytes: number, ms: number): number => {
      nowMs += ms;
      assert.ok(window.receive(bytes), 'within the window');
      const increment = window.credit(bytes);
      return increment === 0 ? 0 : increment + tuner.announced(window);
    };
    return { budget, tuner, window, consume };
  }

  it('doubles a window that is used up within a round trip, up to the largest', () => {
    const { tuner, window, consume } = setUp();
    tuner.roundTripMs = 20;
    consume(128 * kib, 1);
    assert.equal(consume(128 * kib, 30), 128 * kib + 256 * kib);
    assert.equal(window.size, 512 * kib);
    consume(256 * kib, 30);
    consume(512 * kib, 30);
    assert.equal(window.size, 1024 * kib);
    assert.equal(window.available, 1024 * kib);
  });

  it('leaves a window alone that is not what holds the peer back', () => {
    const { tuner, window, consume } = setUp();
    tuner.roundTripMs = 20;
    for (let i = 0; i < 10; i++) assert.equal(consume(128 * kib, 50), 128 * kib);
    assert.equal(window.size, 256 * kib);
  });

  it('takes a window back that was quiet or whose reader stalled, without ever overdrawing it', () => {
    for (const how of ['quiet', 'stalled', 'tight'] as const) {
      const { budget, tuner, window, consume } = setUp();
      tuner.roundTripMs = 1;
      consume(128 * kib, 1);
      consume(128 * kib, 1);
      consume(256 * kib, 1);
      assert.equal(window.size, 1024 * kib);
      if (how === 'stalled') tuner.stalled(window);
      if (how === 'tight') budget.hold({ heldBytes: 0, shed: () => undefined }, 20 * kib * kib);
      consume(512 * kib, how === 'quiet' ? 11_000 : 100);
      assert.equal(window.size, 256 * kib, how);
      for (let i = 0; i < 20; i++) consume(64 * kib, 100);
      assert.ok(window.available <= 256 * kib, how);
      assert.ok(window.available >= 128 * kib, how);
    }
  });
});

describe('memory of all streams', () => {
  const increments = (frames: Frame[], id: number): number =>
    frames
      .filter((one) => one.type === FrameType.WindowUpdate && one.id === id)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);

  it('ends the stream that holds most when all together hold too much', async () => {
    const budget = new ReceiveBudget({ bufferedBytesMax: 100 * kib });
    const { wire, streams, closed } = await started('server', { budget });
    wire.feed(connect(1), connect(3), connect(5));
    const recorders = streams.map((stream) => {
      const recorder = new Recorder();
      recorder.took = Took.Pause;
      stream.respond([':status', '200'], false);
      stream.start(recorder);
      return recorder;
    });
    wire.feed(data(1, 1), data(3, 1), data(5, 1));
    for (const [id, blocks] of [
      [1, 2],
      [3, 3],
      [5, 1],
    ] as const) {
      for (let i = 0; i < blocks; i++) wire.feed(data(id, 16 * kib));
    }
    assert.equal(budget.usedBytes, 96 * kib);
    wire.feed(data(5, 8 * kib));
    assert.equal(resetCode(await wire.sent(), 3), ErrorCode.EnhanceYourCalm);
    assert.deepEqual([budget.shedCount, budget.usedBytes, closed.length], [1, 56 * kib, 0]);
    await recorders[1]!.until((one) => one.closed !== null);
    const { error } = recorders[1]!.closed!;
    assert.ok(isMeshError(error) && error.code === 'LIMIT_REACHED' && error.details.limit === 'bufferedBytesMax');
    for (const recorder of recorders) recorder.took = Took.All;
    for (const stream of streams) stream.resume();
    assert.equal(budget.usedBytes, 0);
    assert.equal(recorders[0]!.bytes, 1 + 32 * kib);
  });

  it('counts what waits for a window too, and lets go of everything with the session', async () => {
    const budget = new ReceiveBudget({ bufferedBytesMax: 1000 * kib });
    const { wire, streams, session } = await started('server', { budget });
    wire.feed(connect(1), connect(3));
    for (const stream of streams) {
      stream.respond([':status', '200'], false);
      stream.start(new Recorder());
    }
    streams[0]!.write(Buffer.alloc(100 * kib));
    assert.equal(budget.usedBytes, 100 * kib - 65_535);
    streams[1]!.pause();
    wire.feed(data(3, 10 * kib, Flag.EndStream));
    assert.equal(budget.usedBytes, 110 * kib - 65_535);
    session.destroy();
    assert.equal(budget.usedBytes, 0);
  });

  it('gives a stream more when its reader keeps up, and announces it', async () => {
    let nowMs = 0;
    const { wire, streams } = await started('server', { nowMs: () => nowMs, streamWindowMaxBytes: 1024 * kib });
    wire.feed(connect(1));
    streams[0]!.respond([':status', '200'], false);
    streams[0]!.start(new Recorder());
    nowMs = 100;
    for (let i = 0; i < 16; i++) wire.feed(data(1, 16 * kib));
    assert.equal(increments(await wire.sent(), 1), 256 * kib + 256 * kib);
  });
});
