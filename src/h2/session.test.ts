// The session against frames made by hand, over a transport that is a buffer: what a peer may do wrong, limits, deadlines.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import fc from 'fast-check';
import type { MeshError } from '../base/errors.ts';
import { type ByteStream, type ByteStreamHandler, Took } from '../io/byte-stream.ts';
import { Recorder } from '../io/test-recorder.ts';
import { clientPreface, ErrorCode, Flag, FrameType, frameHeaderBytes, SettingId } from './constants.ts';
import { putHeader } from './frame-writer.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { H2Session } from './session.ts';
import type { SessionOptions } from './session-options.ts';
import type { H2Stream, StreamFailure } from './stream.ts';

interface Frame {
  type: number;
  flags: number;
  id: number;
  payload: Buffer;
}

/** What the session sends is kept; what the peer sends is fed. */
class Wire implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  bufferedBytes = 0;
  ended = false;
  destroyed = false;
  blocked = false;
  handler: ByteStreamHandler | null = null;
  #sent: Buffer[] = [];
  start(handler: ByteStreamHandler): void {
    this.handler = handler;
  }
  write(chunk: Buffer): number {
    this.#sent.push(Buffer.from(chunk));
    return this.blocked ? Took.Pause : Took.All;
  }
  end(): void {
    this.ended = true;
  }
  reset(): void {
    this.destroy();
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    process.nextTick(() => this.handler?.onClose(null, false));
  }
  pause(): void {}
  resume(): void {}
  feed(...frames: Buffer[]): void {
    this.handler!.onData(Buffer.concat(frames));
  }
  /** The frames sent since the last call, after the flush of this turn. */
  async sent(): Promise<Frame[]> {
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    let bytes = Buffer.concat(this.#sent);
    this.#sent = [];
    if (bytes.subarray(0, 3).toString() === 'PRI') bytes = bytes.subarray(clientPreface.length);
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUIntBE(at, 3);
      const payload = bytes.subarray(at + frameHeaderBytes, at + frameHeaderBytes + length);
      frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: bytes.readUInt32BE(at + 5), payload });
      at += frameHeaderBytes + length;
    }
    return frames;
  }
}

function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const bytes = Buffer.alloc(frameHeaderBytes + body.length);
  putHeader(bytes, 0, body.length, type, flags, id);
  body.copy(bytes, frameHeaderBytes);
  return bytes;
}

const encoder = new HpackEncoder();
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), u32(value)]);
const settings = (...pairs: Buffer[]): Buffer => frame(FrameType.Settings, 0, 0, Buffer.concat(pairs));
const settingsAck = frame(FrameType.Settings, Flag.Ack, 0);
const headers = (id: number, list: string[], flags: number = Flag.EndHeaders): Buffer =>
  frame(FrameType.Headers, flags, id, Buffer.from(encoder.encode(list)));
const connect = (id: number): Buffer => headers(id, [':method', 'CONNECT', ':authority', 'a:1']);
const data = (id: number, bytes: number, flags = 0): Buffer =>
  frame(FrameType.Data, flags, id, Buffer.alloc(bytes, 0x61));
const windowUpdate = (id: number, increment: number): Buffer => frame(FrameType.WindowUpdate, 0, id, u32(increment));
const rst = (id: number, code: number): Buffer => frame(FrameType.RstStream, 0, id, u32(code));
const ping = frame(FrameType.Ping, 0, 0, '0102030405060708');

interface Fixture {
  wire: Wire;
  session: H2Session;
  streams: H2Stream[];
  closed: { error: MeshError | null }[];
  retired: () => number;
}

const open: H2Session[] = [];
afterEach(() => {
  for (const session of open.splice(0)) session.destroy();
});

function setUp(role: 'client' | 'server', options: Partial<SessionOptions> = {}): Fixture {
  const wire = new Wire();
  const streams: H2Stream[] = [];
  const closed: { error: MeshError | null }[] = [];
  let retired = 0;
  const session = new H2Session({
    role,
    transport: wire,
    peer: 'test',
    pingIntervalMs: 0,
    events: {
      onStream: (stream) => streams.push(stream),
      onReady: () => undefined,
      onCapacity: () => undefined,
      onRetired: () => retired++,
      onClose: (error) => closed.push({ error }),
    },
    ...options,
  });
  session.start();
  open.push(session);
  return { wire, session, streams, closed, retired: () => retired };
}

async function started(
  role: 'client' | 'server',
  options: Partial<SessionOptions> = {},
  first: Buffer = settings(),
): Promise<Fixture> {
  const fixture = setUp(role, options);
  fixture.wire.feed(...(role === 'server' ? [clientPreface] : []), first, settingsAck);
  await fixture.wire.sent();
  return fixture;
}

const goawayCode = (frames: Frame[]): number | undefined =>
  frames.find(({ type }) => type === FrameType.Goaway)?.payload.readUInt32BE(4);
const resetCode = (frames: Frame[], id: number): number | undefined =>
  frames.find((one) => one.type === FrameType.RstStream && one.id === id)?.payload.readUInt32BE(0);

describe('session start', () => {
  it('announces what it is set to, and acknowledges', async () => {
    const { wire } = setUp('server');
    const [first, window] = await wire.sent();
    assert.equal(first!.type, FrameType.Settings);
    const announced = new Map<number, number>();
    for (let at = 0; at < first!.payload.length; at += 6)
      announced.set(first!.payload.readUInt16BE(at), first!.payload.readUInt32BE(at + 2));
    assert.deepEqual(
      [
        SettingId.MaxConcurrentStreams,
        SettingId.InitialWindowSize,
        SettingId.MaxFrameSize,
        SettingId.MaxHeaderListSize,
      ].map((id) => announced.get(id)),
      [256, 1024 * 1024, 256 * 1024, 16 * 1024],
    );
    assert.deepEqual(
      [window!.type, window!.id, window!.payload.readUInt32BE(0)],
      [FrameType.WindowUpdate, 0, 16 * 1024 * 1024 - 65_535],
    );
    wire.feed(clientPreface, settings());
    const [ack] = await wire.sent();
    assert.deepEqual([ack!.type, ack!.flags], [FrameType.Settings, Flag.Ack]);
  });

  it('refuses what is no HTTP/2', async () => {
    const { wire, closed } = setUp('server');
    await wire.sent();
    wire.feed(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    assert.equal(goawayCode(await wire.sent()), ErrorCode.ProtocolError);
    assert.equal(closed[0]!.error!.code, 'H2_PROTOCOL');
    assert.equal(wire.ended, true);
  });

  it('gives the peer a time for SETTINGS, and for acknowledging ours', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      for (const feed of [[], [clientPreface], [clientPreface, settings()]]) {
        const { wire, closed } = setUp('server', { limits: { handshakeMs: 100 } });
        if (feed.length > 0) wire.feed(...feed);
        mock.timers.tick(99);
        assert.equal(closed.length, 0);
        mock.timers.tick(1);
        assert.equal(closed[0]!.error!.code, 'H2_HANDSHAKE');
      }
      const { wire, closed } = setUp('server', { limits: { handshakeMs: 100 } });
      wire.feed(clientPreface, settings(), settingsAck);
      mock.timers.tick(1000);
      assert.equal(closed.length, 0);
    } finally {
      mock.timers.reset();
    }
  });
});

describe('session against a peer that breaks the protocol', () => {
  const streamClosed: [string, Buffer[], number][] = [
    ['DATA on an idle stream', [data(1, 1)], ErrorCode.ProtocolError],
    ['RST_STREAM on an idle stream', [rst(1, 0)], ErrorCode.ProtocolError],
    ['WINDOW_UPDATE on an idle stream', [windowUpdate(1, 1)], ErrorCode.ProtocolError],
    ['an even stream id', [connect(2)], ErrorCode.ProtocolError],
    ['a connection WINDOW_UPDATE of 0', [windowUpdate(0, 0)], ErrorCode.ProtocolError],
    ['a connection window above 2^31-1', [windowUpdate(0, 0x7fffffff)], ErrorCode.FlowControlError],
    [
      'an initial window above 2^31-1',
      [settings(setting(SettingId.InitialWindowSize, 0x80000000))],
      ErrorCode.FlowControlError,
    ],
    [
      'an initial window that lifts a stream above 2^31-1',
      [connect(1), windowUpdate(1, 0x7fffffff - 65_535), settings(setting(SettingId.InitialWindowSize, 65_536))],
      ErrorCode.FlowControlError,
    ],
    ['a frame size below 16,384', [settings(setting(SettingId.MaxFrameSize, 16_383))], ErrorCode.ProtocolError],
    ['ENABLE_PUSH of 2', [settings(setting(SettingId.EnablePush, 2))], ErrorCode.ProtocolError],
    ['a broken header block', [frame(FrameType.Headers, Flag.EndHeaders, 1, 'ff')], ErrorCode.CompressionError],
    ['more DATA than the connection window', [connect(1), data(1, 70_000)], ErrorCode.FlowControlError],
    ['a flood of PING', Array.from({ length: 300 }, () => ping), ErrorCode.EnhanceYourCalm],
    ['a flood of SETTINGS', Array.from({ length: 100 }, () => settings()), ErrorCode.EnhanceYourCalm],
    [
      'a flood of empty DATA',
      [connect(1), ...Array.from({ length: 2500 }, () => data(1, 0))],
      ErrorCode.EnhanceYourCalm,
    ],
    [
      'a flood of PRIORITY',
      Array.from({ length: 2500 }, () => frame(FrameType.Priority, 0, 1, '0000000010')),
      ErrorCode.EnhanceYourCalm,
    ],
    [
      'streams opened and reset at once',
      Array.from({ length: 1200 }, (_unused, n) => Buffer.concat([connect(2 * n + 1), rst(2 * n + 1, 8)])),
      ErrorCode.EnhanceYourCalm,
    ],
    [
      'streams that make us reset them',
      Array.from({ length: 1200 }, (_unused, n) => Buffer.concat([connect(2 * n + 1), windowUpdate(2 * n + 1, 0)])),
      ErrorCode.EnhanceYourCalm,
    ],
  ];
  for (const [what, frames, code] of streamClosed) {
    it(`ends the connection for ${what}`, async () => {
      const { wire, closed } = await started('server', { settings: { connectionWindowBytes: 65_535 } });
      wire.feed(...frames);
      const sent = await wire.sent();
      assert.equal(goawayCode(sent), code);
      assert.equal(closed[0]!.error!.code, 'H2_PROTOCOL');
      assert.equal(wire.ended, true);
    });
  }

  const malformed: [string, string[]][] = [
    ['CONNECT without :authority', [':method', 'CONNECT']],
    ['CONNECT with :scheme', [':method', 'CONNECT', ':authority', 'a:1', ':scheme', 'http']],
    ['CONNECT with :path', [':method', 'CONNECT', ':authority', 'a:1', ':path', '/']],
    ['no :method', [':authority', 'a:1']],
    ['GET without :path', [':method', 'GET', ':scheme', 'http', ':authority', 'a']],
    ['an unknown pseudo-header', [':method', 'CONNECT', ':authority', 'a:1', ':protocol', 'x']],
    ['a pseudo-header twice', [':method', 'CONNECT', ':authority', 'a:1', ':authority', 'b:1']],
    ['a pseudo-header after others', [':method', 'CONNECT', 'x', 'y', ':authority', 'a:1']],
    ['a name in upper case', [':method', 'CONNECT', ':authority', 'a:1', 'Xy', 'z']],
    ['a line break in a value', [':method', 'CONNECT', ':authority', 'a:1', 'x', 'a\r\nb']],
    ['a blank before a value', [':method', 'CONNECT', ':authority', 'a:1', 'x', ' a']],
    ['a connection header', [':method', 'CONNECT', ':authority', 'a:1', 'connection', 'close']],
    ['te other than trailers', [':method', 'CONNECT', ':authority', 'a:1', 'te', 'gzip']],
  ];
  for (const [what, list] of malformed) {
    it(`resets a request with ${what}`, async () => {
      const { wire, streams, closed } = await started('server');
      wire.feed(headers(1, list));
      assert.equal(resetCode(await wire.sent(), 1), ErrorCode.ProtocolError);
      assert.deepEqual([streams.length, closed.length], [0, 0]);
      wire.feed(connect(3));
      assert.equal(streams.length, 1);
    });
  }

  const streamErrors: [string, Buffer[], number][] = [
    ['a stream WINDOW_UPDATE of 0', [windowUpdate(1, 0)], ErrorCode.ProtocolError],
    ['a stream window above 2^31-1', [windowUpdate(1, 0x7fffffff)], ErrorCode.FlowControlError],
    [
      'more DATA than the stream window',
      [data(1, 16_384), data(1, 16_384), data(1, 16_384), data(1, 16_384), data(1, 1)],
      ErrorCode.FlowControlError,
    ],
    ['DATA after END_STREAM', [data(1, 1, Flag.EndStream), data(1, 1)], ErrorCode.StreamClosed],
    ['HEADERS after END_STREAM', [data(1, 1, Flag.EndStream), connect(1)], ErrorCode.StreamClosed],
    ['trailers without END_STREAM', [headers(1, ['x', 'y'])], ErrorCode.ProtocolError],
    [
      'trailers with a pseudo-header',
      [headers(1, [':status', '200'], Flag.EndHeaders | Flag.EndStream)],
      ErrorCode.ProtocolError,
    ],
  ];
  for (const [what, frames, code] of streamErrors) {
    it(`resets a stream for ${what}, and only that`, async () => {
      const { wire, streams, closed } = await started('server', { settings: { streamWindowBytes: 65_536 } });
      wire.feed(connect(1), connect(3));
      const recorder = new Recorder();
      streams[0]!.respond([':status', '200'], false);
      streams[0]!.start(recorder);
      streams[0]!.pause();
      wire.feed(...frames);
      assert.equal(resetCode(await wire.sent(), 1), code);
      await recorder.until((r) => r.closed !== null);
      assert.equal(recorder.closed!.wasReset, true);
      assert.deepEqual([streams[1]!.over, closed.length], [false, 0]);
    });
  }

  it('refuses streams above its limit, and takes the next when one has ended', async () => {
    const { wire, streams } = await started('server', { settings: { maxConcurrentStreams: 2 } });
    wire.feed(connect(1), connect(3), connect(5));
    assert.equal(resetCode(await wire.sent(), 5), ErrorCode.RefusedStream);
    wire.feed(rst(1, ErrorCode.Cancel), connect(7));
    assert.deepEqual(
      streams.map(({ id }) => id),
      [1, 3, 7],
    );
  });

  it('answers 431 to a header list too long, and stays in step', async () => {
    const { wire, streams } = await started('server', { settings: { maxHeaderListBytes: 200 } });
    wire.feed(headers(1, [':method', 'CONNECT', ':authority', 'a:1', 'x', 'y'.repeat(200)]), connect(3));
    const sent = await wire.sent();
    const answer = sent.find(({ type, id }) => type === FrameType.Headers && id === 1)!;
    assert.deepEqual(new HpackDecoder(4096, 10_000).decode(answer.payload), [':status', '431']);
    assert.equal(resetCode(sent, 1), ErrorCode.NoError);
    assert.equal(streams.length, 1);
  });

  it('lives with late frames on streams that it has reset', async () => {
    const { wire, streams, closed } = await started('server');
    wire.feed(connect(1));
    streams[0]!.reset();
    wire.feed(data(1, 1000), windowUpdate(1, 5), headers(1, ['a', 'b'], Flag.EndHeaders | Flag.EndStream), rst(1, 0));
    assert.equal(closed.length, 0);
    assert.equal(resetCode(await wire.sent(), 1), ErrorCode.ConnectError);
  });

  it('ends a session whose peer makes it send and reads nothing', async () => {
    const { wire, closed } = await started('server', { limits: { controlBytes: 1000 } });
    wire.blocked = true;
    wire.feed(connect(1), ping);
    await wire.sent();
    for (let i = 0; i < 100; i++) wire.feed(ping);
    assert.equal(closed.length, 1);
    assert.equal(wire.destroyed, true);
  });

  it('survives any frames', () => {
    const anyFrame = fc
      .tuple(
        fc.integer({ min: 0, max: 10 }),
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 0, max: 7 }),
        fc.uint8Array({ maxLength: 20 }),
      )
      .map(([type, flags, id, payload]) => frame(type, flags, id, Buffer.from(payload)));
    const frames = fc.array(
      fc.oneof(
        anyFrame,
        fc.constantFrom(
          connect(1),
          connect(3),
          data(1, 10),
          data(1, 0, 1),
          rst(1, 8),
          windowUpdate(1, 9),
          ping,
          settings(),
        ),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(frames, (list) => {
        const { wire, session, streams } = setUp('server');
        wire.feed(clientPreface, settings(), settingsAck, ...list);
        for (const stream of streams) {
          stream.respond([':status', '200'], false);
          stream.start({
            onData: (chunk) => stream.write(chunk),
            onEnd: () => stream.end(),
            onDrain: () => stream.resume(),
            onClose: () => undefined,
          });
        }
        session.destroy();
        assert.equal(session.streamCount, 0);
      }),
      { numRuns: 300 },
    );
  });
});

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
