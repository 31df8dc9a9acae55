// The session against frames made by hand: what a peer may do wrong, limits, deadlines.
import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import fc from 'fast-check';
import { Recorder } from '../io/testing-recorder.ts';
import { clientPreface, ErrorCode, Flag, FrameType, SettingId } from './constants.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import {
  connect,
  data,
  frame,
  goawayCode,
  headers,
  ping,
  resetCode,
  rst,
  setting,
  settings,
  settingsAck,
  setUp,
  started,
  windowUpdate,
} from './testing-wire.ts';

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
      [256, 256 * 1024, 256 * 1024, 16 * 1024],
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
      const options = { settings: { connectionWindowBytes: 65_535 }, nowMs: () => 0 };
      const { wire, closed } = await started('server', options);
      wire.feed(...frames);
      const sent = await wire.sent();
      assert.equal(goawayCode(sent), code);
      assert.equal(closed[0]!.error!.code, 'H2_PROTOCOL');
      assert.equal(wire.ended, true);
    });
  }

  const post = (id: number, contentLength: string): Buffer =>
    headers(id, [':method', 'POST', ':scheme', 'http', ':path', '/', 'content-length', contentLength]);

  const onClosed: [string, Buffer[], number][] = [
    ['HEADERS on a stream that it has reset', [connect(1), rst(1, 8), connect(1)], ErrorCode.StreamClosed],
    ['HEADERS on a stream id that it passed over', [connect(5), connect(3)], ErrorCode.ProtocolError],
  ];
  for (const [what, frames, code] of onClosed) {
    it(`ends the connection for ${what}`, async () => {
      const { wire, closed } = await started('server');
      wire.feed(...frames);
      assert.equal(goawayCode(await wire.sent()), code);
      assert.equal(closed.length, 1);
    });
  }

  it('answers DATA on a stream that the peer has reset with STREAM_CLOSED', async () => {
    const { wire, closed } = await started('server');
    wire.feed(connect(1), rst(1, 8), data(1, 1));
    assert.equal(resetCode(await wire.sent(), 1), ErrorCode.StreamClosed);
    assert.equal(closed.length, 0);
  });

  const lengths: [string, Buffer[], number | undefined][] = [
    ['just as much', [post(1, '5'), data(1, 2), data(1, 3, Flag.EndStream)], undefined],
    ['more DATA than it says', [post(1, '5'), data(1, 6)], ErrorCode.ProtocolError],
    ['less DATA than it says', [post(1, '5'), data(1, 4, Flag.EndStream)], ErrorCode.ProtocolError],
    ['no number', [post(1, '5x')], ErrorCode.ProtocolError],
    [
      'a CONNECT, where it says nothing',
      [headers(1, [':method', 'CONNECT', ':authority', 'a:1', 'content-length', '1']), data(1, 9)],
      undefined,
    ],
  ];
  for (const [what, frames, code] of lengths) {
    it(`holds a request to its content-length: ${what}`, async () => {
      const { wire, closed } = await started('server');
      wire.feed(...frames);
      assert.equal(resetCode(await wire.sent(), 1), code);
      assert.equal(closed.length, 0);
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

  const extended = [':method', 'CONNECT', ':authority', 'a', ':scheme', 'http', ':path', '/', ':protocol', 'websocket'];
  const extendedRows: [string, string[], number | undefined][] = [
    ['whole', extended, undefined],
    ['without :path', extended.filter((_, at) => at < 6 || at > 7), ErrorCode.ProtocolError],
    ['without :authority', extended.filter((_, at) => at < 2 || at > 3), ErrorCode.ProtocolError],
    ['of another method', [':method', 'GET', ...extended.slice(2)], ErrorCode.ProtocolError],
    ['with :protocol twice', [...extended, ':protocol', 'x'], ErrorCode.ProtocolError],
  ];
  for (const [what, list, code] of extendedRows) {
    it(`takes CONNECT with :protocol where that is announced (RFC 8441): ${what}`, async () => {
      const { wire, streams } = await started('server', { settings: { extendedConnect: true } });
      wire.feed(headers(1, list));
      assert.equal(resetCode(await wire.sent(), 1), code);
      assert.equal(streams.length, code === undefined ? 1 : 0);
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
