import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { StreamTiming } from '../io/stream-timing.ts';
import { ErrorCode, FrameType } from './constants.ts';
import type { SessionOptions } from './session-options.ts';
import { answeredEvents } from './stream.ts';
import { connect, type Frame, frame, goawayCode, headers, started } from './testing-wire.ts';
import { PeerClock } from './timing.ts';

const Kind = { ask: 1, answer: 2, figures: 3 };
const none = { proxyMs: 0, setUpMs: 0, openMs: 0, applicationMs: 0 };
const wallMs = (): number => performance.timeOrigin + performance.now();

function doubles(...values: number[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [at, value] of values.entries()) bytes.writeDoubleBE(value, 8 * at);
  return bytes;
}

function figures(proxyUs: number, setUpUs: number, openUs: number, applicationUs: number, sentAtMs: number): Buffer {
  const head = Buffer.alloc(16);
  for (const [at, us] of [proxyUs, setUpUs, openUs, applicationUs].entries()) head.writeUInt32BE(us, 4 * at);
  return Buffer.concat([head, doubles(sentAtMs)]);
}

const timingOf = (frames: Frame[]): Frame[] => frames.filter(({ type }) => type === FrameType.Timing);

/** A server that has agreed to time stream 1, and has asked for the clock. */
async function agreed(options: Partial<SessionOptions> = {}) {
  const fixture = await started('server', options);
  fixture.wire.feed(connect(1));
  const stream = fixture.streams[0]!;
  stream.events = answeredEvents;
  stream.agreeOnTiming(0);
  stream.respond([':status', '200'], false);
  const frames = await fixture.wire.sent();
  const ask = timingOf(frames)[0]!;
  return { ...fixture, stream, frames, askedAtMs: ask.payload.readDoubleBE(0), timing: stream.timing! };
}

describe('timing frames', () => {
  it('ask for the clock ahead of the answer to CONNECT', async () => {
    const { frames } = await agreed();
    assert.deepEqual(
      frames.map(({ type, flags, id }) => [type, type === FrameType.Timing ? flags : 0, id]),
      [
        [FrameType.Timing, Kind.ask, 0],
        [FrameType.Headers, 0, 1],
      ],
    );
  });

  it('tell figures ahead of the bytes, and are understood by the other end', async () => {
    const server = await agreed();
    server.timing.tell({ proxyMs: 1.5, setUpMs: 20, openMs: -3, applicationMs: 1e12 });
    server.stream.write(Buffer.from('x'));
    const frames = await server.wire.sent();
    assert.deepEqual(
      frames.map(({ type }) => type),
      [FrameType.Timing, FrameType.Data],
    );
    const client = await started('client');
    const stream = client.session.open([':method', 'CONNECT', ':authority', 'a:1'], false, answeredEvents)!;
    client.wire.feed(headers(1, [':status', '200']));
    stream.agreeOnTiming(4);
    client.wire.feed(frame(FrameType.Timing, Kind.figures, 1, frames[0]!.payload));
    const { proxyMs, setUpMs, openMs, applicationMs, openedInMs } = stream.timing!;
    assert.deepEqual([proxyMs, setUpMs, openMs, openedInMs], [1.5, 20, 0, 4]);
    assert.equal(applicationMs, 0xffffffff / 1000, 'as much as a frame can say');
  });

  it('say how long the wire took, by the clock of the peer', async () => {
    const { wire, timing, askedAtMs } = await agreed();
    const aheadMs = 3_600_000;
    wire.feed(frame(FrameType.Timing, Kind.answer, 0, doubles(askedAtMs, wallMs() + aheadMs)));
    wire.feed(frame(FrameType.Timing, Kind.figures, 1, figures(0, 0, 0, 0, wallMs() + aheadMs - 5000)));
    assert.ok(Math.abs(timing.wireMs + timing.lateMs - 5000) < 1000, `${timing.wireMs}`);
    wire.feed(frame(FrameType.Timing, Kind.figures, 1, figures(0, 0, 0, 0, wallMs() + 2 * aheadMs)));
    assert.equal(timing.wireMs, 0, 'never negative');
    wire.feed(frame(FrameType.Timing, Kind.figures, 1, figures(0, 0, 0, 0, Number.NEGATIVE_INFINITY)));
    assert.ok(timing.wireMs + timing.lateMs <= 0xffffffff / 1000, 'never beyond what a frame can say');
  });

  it('answer a question with the clock', async () => {
    const { wire } = await agreed();
    wire.feed(frame(FrameType.Timing, Kind.ask, 0, doubles(42)));
    const [answer] = timingOf(await wire.sent());
    assert.deepEqual([answer?.flags, answer?.id, answer?.payload.readDoubleBE(0)], [Kind.answer, 0, 42]);
    assert.ok(Math.abs(answer!.payload.readDoubleBE(8) - wallMs()) < 5000);
  });

  it('are ignored where they make no sense, or without an agreement', async () => {
    const { wire, timing, closed, askedAtMs } = await agreed();
    wire.feed(
      frame(FrameType.Timing, Kind.answer, 0, doubles(askedAtMs + 1, 0)),
      frame(FrameType.Timing, Kind.figures, 0, figures(1, 1, 1, 1, 0)),
      frame(FrameType.Timing, Kind.figures, 3, figures(1, 1, 1, 1, 0)),
      frame(FrameType.Timing, Kind.figures, 1, 'ffff'),
      frame(FrameType.Timing, 77, 1, ''),
      frame(FrameType.Timing, Kind.figures, 1, Buffer.alloc(200)),
    );
    assert.deepEqual([timing.proxyMs, timing.wireMs, timing.roundTripMs, closed.length], [0, 0, 0, 0]);
    const other = await started('server');
    other.wire.feed(connect(1), frame(FrameType.Timing, Kind.ask, 0, doubles(1)));
    assert.deepEqual(timingOf(await other.wire.sent()), []);
  });

  it('are limited, more strictly without an agreement', async () => {
    const one = frame(FrameType.Timing, Kind.figures, 1, figures(0, 0, 0, 0, 0));
    const flood = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => one));
    // All of it within one moment, however busy the machine is.
    const nowMs = () => 1;
    const server = await agreed({ nowMs });
    server.wire.feed(flood(5000));
    assert.equal(goawayCode(await server.wire.sent()), undefined);
    server.wire.feed(flood(150_000));
    assert.equal(goawayCode(await server.wire.sent()), ErrorCode.EnhanceYourCalm);
    const other = await started('server', { nowMs });
    other.wire.feed(connect(1), flood(2500));
    assert.equal(goawayCode(await other.wire.sent()), ErrorCode.EnhanceYourCalm);
  });

  it('never end a session by their content', () => {
    return fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 30 }), fc.nat(255), fc.nat(3), async (bytes, kind, id) => {
        const { wire, closed, timing } = await agreed();
        wire.feed(frame(FrameType.Timing, kind, id, Buffer.from(bytes)));
        assert.equal(closed.length, 0);
        assert.ok(timing.wireMs >= 0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the clock of a peer', () => {
  it('is best known by the answer that came back soonest', () => {
    const clock = new PeerClock();
    clock.sample(0, 1000 + 60, 80);
    assert.equal(clock.offsetMs, 1020, 'a slow way there looks like a clock ahead');
    clock.sample(1000, 2000 + 1, 1002);
    assert.equal(clock.offsetMs, 1000);
    clock.sample(2000, 3000 + 300, 2301);
    assert.deepEqual([clock.offsetMs, clock.roundTripMs], [1000, 301], 'a passing delay spoils nothing');
  });

  it('is believed less as time passes', () => {
    const clock = new PeerClock();
    clock.sample(0, 1001, 2);
    const laterMs = 3_600_000;
    clock.sample(laterMs, laterMs + 1100, laterMs + 20);
    assert.equal(clock.offsetMs, 1090);
  });

  it('does not believe nonsense', () => {
    const clock = new PeerClock();
    clock.sample(10, 5, 9);
    clock.sample(0, Number.NaN, 1);
    assert.equal(clock.known, false);
  });
});

it('figures of the time before a stream are kept until a request takes them', () => {
  const timing = new StreamTiming({ roundTripMs: 0, tell: () => undefined }, 1, 9);
  timing.told({ ...none, setUpMs: 3, openMs: 2 }, 10, 4);
  timing.told({ ...none, proxyMs: 1 }, 5, 9);
  assert.deepEqual([timing.setUpMs, timing.openMs, timing.proxyMs], [3, 2, 1]);
  assert.deepEqual([timing.wireMs, timing.lateMs], [0, 5], 'what waited here was not on the wire');
  timing.taken();
  assert.deepEqual([timing.setUpMs, timing.openMs, timing.openedInMs], [0, 0, 0]);
});
