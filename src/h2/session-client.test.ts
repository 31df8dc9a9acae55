// The session as a client, against frames made by hand: what may be opened, what may be tried again, windows,
// keepalive.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Took } from '../io/byte-stream.ts';
import { Recorder } from '../io/testing-recorder.ts';
import { ErrorCode, Flag, FrameType, SettingId } from './constants.ts';
import type { H2Session } from './session.ts';
import type { H2Stream, StreamFailure } from './stream.ts';
import {
  data,
  type Frame,
  frame,
  goawayCode,
  headers,
  resetCode,
  rst,
  setting,
  settings,
  started,
  u32,
  windowUpdate,
} from './testing-wire.ts';

describe('session as a client', () => {
  const request = [':method', 'CONNECT', ':authority', 'a:1'];
  interface Outcome {
    answers: (readonly string[])[];
    failures: StreamFailure[];
  }
  function request1(session: H2Session): { stream: H2Stream | null; outcome: Outcome } {
    const outcome: Outcome = { answers: [], failures: [] };
    const stream = session.open(request, false, {
      onHeaders: (_stream, list) => outcome.answers.push(list),
      onFailed: (_stream, failure) => outcome.failures.push(failure),
    });
    return { stream, outcome };
  }

  it('uses up its stream ids and retires', async () => {
    const { session, retired, wire } = await started('client', { firstStreamId: 2 ** 31 - 3 });
    assert.ok(request1(session).stream);
    const last = request1(session);
    assert.equal(last.stream!.id, 2 ** 31 - 1);
    assert.deepEqual([request1(session).stream, retired(), session.retired], [null, 1, true]);
    wire.feed(headers(2 ** 31 - 1, [':status', '200']));
    assert.deepEqual(last.outcome.answers, [[':status', '200']]);
  });

  it('opens as many streams as the peer allows', async () => {
    const { session, wire } = await started('client', {}, settings(setting(SettingId.MaxConcurrentStreams, 1)));
    const { stream } = request1(session);
    assert.equal(request1(session).stream, null);
    stream!.destroy();
    assert.ok(request1(session).stream);
    wire.feed(settings(setting(SettingId.MaxConcurrentStreams, 0)));
    assert.equal(session.canOpen, false);
  });

  it('says which streams may be tried again: refused ones, and those above the last id of GOAWAY', async () => {
    const { session, wire, closed } = await started('client');
    const [a, b, c] = [request1(session), request1(session), request1(session)];
    wire.feed(rst(a.stream!.id, ErrorCode.RefusedStream));
    assert.equal(a.outcome.failures[0]!.retryable, true);
    wire.feed(frame(FrameType.Goaway, 0, 0, Buffer.concat([u32(b.stream!.id), u32(0)])));
    assert.equal(c.outcome.failures[0]!.retryable, true);
    assert.equal(b.outcome.failures.length, 0);
    wire.feed(rst(b.stream!.id, ErrorCode.InternalError));
    assert.equal(b.outcome.failures[0]!.retryable, false);
    assert.deepEqual([closed.length, session.over], [1, true]);
  });

  it('skips 1xx, and refuses DATA before the answer, a malformed answer, a stream of the server', async () => {
    const { session, wire, closed } = await started('client');
    const [a, b, c] = [request1(session), request1(session), request1(session)];
    wire.feed(headers(1, [':status', '103']), headers(1, [':status', '200']));
    assert.deepEqual(a.outcome.answers, [[':status', '200']]);
    wire.feed(data(3, 1), headers(5, [':status', '2000']));
    const sent = await wire.sent();
    assert.deepEqual([resetCode(sent, 3), resetCode(sent, 5)], [ErrorCode.ProtocolError, ErrorCode.ProtocolError]);
    assert.deepEqual([b.outcome.failures.length, c.outcome.failures.length], [1, 1]);
    wire.feed(headers(2, [':status', '200']));
    assert.equal(goawayCode(await wire.sent()), ErrorCode.ProtocolError);
    assert.equal(closed.length, 1);
  });

  it('lets END_STREAM wait for the window, and takes the end of the peer meanwhile', async () => {
    const { session, wire } = await started('client', {}, settings(setting(SettingId.InitialWindowSize, 10)));
    const { stream } = request1(session);
    wire.feed(headers(1, [':status', '200']));
    const recorder = new Recorder();
    stream!.start(recorder);
    assert.equal(stream!.write(Buffer.alloc(25)), Took.Pause);
    stream!.end();
    wire.feed(data(1, 3, Flag.EndStream));
    assert.equal(stream!.bufferedBytes, 15);
    assert.deepEqual([recorder.ended, recorder.closed], [true, null]);
    wire.feed(windowUpdate(1, 100));
    const sent = (await wire.sent()).filter(({ type, id }) => type === FrameType.Data && id === 1);
    assert.deepEqual(
      sent.map(({ payload, flags }) => [payload.length, flags]),
      [
        [10, 0],
        [15, 0],
        [0, Flag.EndStream],
      ],
    );
    await recorder.until((r) => r.closed !== null);
    assert.deepEqual(recorder.closed, { error: null, wasReset: false });
  });

  it('wakes streams that wait for the connection window in turn', async () => {
    const { session, wire } = await started('client', {}, settings(setting(SettingId.InitialWindowSize, 1_000_000)));
    const streams = [request1(session).stream!, request1(session).stream!];
    wire.feed(headers(1, [':status', '200']), headers(3, [':status', '200']));
    const recorders = streams.map((stream) => {
      const recorder = new Recorder();
      stream.start(recorder);
      assert.ok(stream.write(Buffer.alloc(60_000)) <= Took.Pause);
      return recorder;
    });
    assert.ok(streams[1]!.bufferedBytes > 0);
    wire.feed(windowUpdate(0, 1_000_000));
    await wire.sent();
    assert.deepEqual(
      streams.map(({ bufferedBytes }) => bufferedBytes),
      [0, 0],
    );
    await recorders[1]!.until((r) => r.drains === 1);
  });

  it('fails its streams with the session, and tells those with a handler that it was a reset', async () => {
    const { session, wire, closed } = await started('client');
    const [a, b] = [request1(session), request1(session)];
    wire.feed(headers(1, [':status', '200']));
    const recorder = new Recorder();
    a.stream!.start(recorder);
    wire.handler!.onEnd();
    await recorder.until((r) => r.closed !== null);
    assert.equal(recorder.closed!.wasReset, true);
    assert.equal(b.outcome.failures[0]!.error.code, 'TUNNEL_LOST');
    assert.equal(closed[0]!.error!.code, 'TUNNEL_LOST');
  });

  it('sends PING and ends the session when nothing comes back', async () => {
    let nowMs = 1000;
    const { wire, closed, session } = await started('client', {
      pingIntervalMs: 5,
      pingTimeoutMs: 1000,
      nowMs: () => nowMs,
    });
    request1(session);
    const isPing = ({ type, flags }: Frame): boolean => type === FrameType.Ping && flags === 0;
    // A PING may have gone out, and been looked past, while the session started: whatever comes answers it.
    wire.feed(frame(FrameType.Ping, Flag.Ack, 0, '0000000000000000'));
    while (!(await wire.sent()).some(isPing));
    nowMs += 900;
    wire.feed(frame(FrameType.Ping, Flag.Ack, 0, '0000000000000000'));
    while (!(await wire.sent()).some(isPing));
    assert.equal(closed.length, 0);
    nowMs += 1000;
    while (closed.length === 0) await wire.sent();
    assert.match(closed[0]!.error!.message, /PING/);
    assert.equal(wire.destroyed, true);
  });

  it('says once that it uses no header table when that of the peer is small', async () => {
    const { session, wire } = await started('client', {}, settings(setting(SettingId.HeaderTableSize, 0)));
    request1(session);
    request1(session);
    const blocks = (await wire.sent())
      .filter(({ type }) => type === FrameType.Headers)
      .map(({ payload }) => payload[0]);
    assert.equal(blocks[0], 0x20);
    assert.notEqual(blocks[1], 0x20);
  });
});
