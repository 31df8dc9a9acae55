// An extension of HTTP/2 between proxies of ours: one end tells the other how long what it sends was in its hands, and
// both ask for each other's clock. Peers that have not asked for it get no such frame; who gets one ignores what it
// does not understand (RFC 9113 §5.5).
//
//   0xa1 on a stream   figures: proxy, set-up, open, application in µs; the sender's clock
//   0xa1 on stream 0   a question for the clock, or its answer
import { threadLateness } from '../io/loop-lateness.ts';
import type { OutQueue } from '../io/out-queue.ts';
import type { StreamTiming, TimingFigures, TimingLine } from '../io/stream-timing.ts';
import { FrameType, frameHeaderBytes } from './constants.ts';
import { putHeader } from './frame-writer.ts';

/** What a frame is, in its flags, and the bytes that it has. */
const Kind = { ask: 1, answer: 2, figures: 3 } as const;
const kindBytes: Readonly<Record<number, number>> = { [Kind.ask]: 8, [Kind.answer]: 16, [Kind.figures]: 24 };

/** While a session is used its peer's clock is asked for so often. */
const askIntervalMs = 1000;
/** Clocks of machines drift apart by no more than this, in ms per ms. */
const driftPerMs = 0.0001;
/** No figure is larger: 71 minutes. */
const microsecondsMax = 0xffffffff;

/** Estimates by how much a peer's clock is ahead of ours: the answer that came back soonest errs least. */
export class PeerClock {
  /** Peer's clock minus ours. */
  offsetMs = 0;
  roundTripMs = 0;
  /** Before an answer was in, the offset says nothing. */
  known = false;
  #uncertainMs = 0;
  #sampledAtMs = 0;

  /** Asked at `askedAtMs`, the peer said `peerMs`, and it is now `nowMs` (all by their own clocks). */
  sample(askedAtMs: number, peerMs: number, nowMs: number): void {
    const roundTripMs = nowMs - askedAtMs;
    if (!(roundTripMs >= 0) || !Number.isFinite(peerMs)) return;
    this.roundTripMs = roundTripMs;
    const errorMs = roundTripMs / 2;
    if (this.known && errorMs > this.#uncertainMs + (nowMs - this.#sampledAtMs) * driftPerMs) return;
    this.known = true;
    this.#uncertainMs = errorMs;
    this.#sampledAtMs = nowMs;
    this.offsetMs = peerMs - (askedAtMs + errorMs);
  }
}

/** What it needs of its session. */
export interface TimedSession {
  timing: SessionTiming | null;
  readonly out: OutQueue;
  readonly over: boolean;
  touched(): void;
  /** For what the peer provokes. */
  control(write: (out: OutQueue) => void): void;
}

/** Read once: the getter costs more than all the rest of a frame. */
const { timeOrigin } = performance;

/** Milliseconds since 1970 by a clock that never jumps. */
function monotonicMs(): number {
  return timeOrigin + performance.now();
}

/** The timing of a session whose peer understands it. */
export class SessionTiming implements TimingLine {
  readonly clock = new PeerClock();
  readonly #session: TimedSession;
  readonly #nowMs: () => number;
  #askedAtMs = 0;

  constructor(session: TimedSession, nowMs: () => number = monotonicMs) {
    this.#session = session;
    this.#nowMs = nowMs;
  }

  /** The one of `session`, made when first asked for. */
  static of(session: TimedSession): SessionTiming {
    session.timing ??= new SessionTiming(session);
    return session.timing;
  }

  get roundTripMs(): number {
    return this.clock.roundTripMs;
  }

  /** Asks for the peer's clock, unless that was a moment ago. */
  ask(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#askedAtMs < askIntervalMs || this.#session.over) return;
    this.#askedAtMs = nowMs;
    put(this.#session.out, 0, Kind.ask, (into, at) => into.writeDoubleBE(nowMs, at));
    this.#session.touched();
  }

  tell(streamId: number, figures: TimingFigures): void {
    if (this.#session.over) return;
    put(this.#session.out, streamId, Kind.figures, (into, at) => {
      into.writeUInt32BE(microseconds(figures.proxyMs), at);
      into.writeUInt32BE(microseconds(figures.setUpMs), at + 4);
      into.writeUInt32BE(microseconds(figures.openMs), at + 8);
      into.writeUInt32BE(microseconds(figures.applicationMs), at + 12);
      into.writeDoubleBE(this.#nowMs(), at + 16);
    });
    this.#session.touched();
  }

  /** A frame of the peer; `stream` is null where it has none that anybody times. */
  onFrame(streamId: number, kind: number, payload: Buffer, stream: StreamTiming | null): void {
    if (payload.length !== kindBytes[kind] || (streamId === 0) !== (kind !== Kind.figures)) return;
    if (kind === Kind.ask) this.#answer(payload.readDoubleBE(0));
    else if (kind === Kind.answer) this.#answered(payload.readDoubleBE(0), payload.readDoubleBE(8));
    else if (stream !== null) this.#told(payload, stream);
  }

  #answer(askedAtMs: number): void {
    this.#session.control((out) =>
      put(out, 0, Kind.answer, (into, at) => {
        into.writeDoubleBE(askedAtMs, at);
        into.writeDoubleBE(this.#nowMs(), at + 8);
      }),
    );
  }

  /** Answers that nobody has asked for are none. */
  #answered(askedAtMs: number, peerMs: number): void {
    if (askedAtMs === this.#askedAtMs) this.clock.sample(askedAtMs, peerMs, this.#nowMs());
  }

  #told(payload: Buffer, stream: StreamTiming): void {
    const sentAtMs = payload.readDoubleBE(16);
    const passedMs = this.#nowMs() + this.clock.offsetMs - sentAtMs;
    const wireMs = this.clock.known && passedMs > 0 ? Math.min(passedMs, microsecondsMax / 1000) : 0;
    const figures = {
      proxyMs: payload.readUInt32BE(0) / 1000,
      setUpMs: payload.readUInt32BE(4) / 1000,
      openMs: payload.readUInt32BE(8) / 1000,
      applicationMs: payload.readUInt32BE(12) / 1000,
    };
    stream.told(figures, wireMs, threadLateness.lateMs(performance.now()));
    this.ask();
  }
}

function microseconds(ms: number): number {
  return Math.min(Math.max(Math.round(ms * 1000), 0), microsecondsMax);
}

function put(out: OutQueue, streamId: number, kind: number, fill: (into: Buffer, at: number) => void): void {
  const length = kindBytes[kind]!;
  const slab = out.reserve(frameHeaderBytes + length);
  putHeader(slab, out.position, length, FrameType.Timing, kind, streamId);
  fill(slab, out.position + frameHeaderBytes);
  out.advance(frameHeaderBytes + length);
}
