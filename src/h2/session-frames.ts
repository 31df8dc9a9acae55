// What an HTTP/2 session does with each frame of its peer: finds the stream, enforces what we announced, and answers.
// The state of the connection as a whole is the session's (`SessionCore`).
import { Took } from '../io/byte-stream.ts';
import type { OutQueue } from '../io/out-queue.ts';
import { ClosedStreams } from './closed-streams.ts';
import { defaultWindowBytes, ErrorCode } from './constants.ts';
import { FloodGuard, type FloodKind } from './flood.ts';
import { ReceiveWindow, type SendWindow } from './flow.ts';
import type { FrameSink } from './frame-parser.ts';
import { writePing, writeRstStream, writeSettings, writeWindowUpdate } from './frame-writer.ts';
import { contentLengthOf, headerOf, requestFault, responseFault, trailersFault } from './header-check.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { ProtocolError } from './protocol-error.ts';
import type { SessionEvents, SessionLimits } from './session-options.ts';
import { applySettings, type LocalSettings, type PeerSettings } from './settings.ts';
import type { H2Stream } from './stream.ts';
import type { SessionTiming } from './timing.ts';

/** What frames need of their session. */
export interface SessionCore {
  readonly client: boolean;
  readonly settings: LocalSettings;
  readonly limits: SessionLimits;
  readonly peerSettings: PeerSettings;
  readonly events: SessionEvents;
  readonly streams: Map<number, H2Stream>;
  readonly sendWindow: SendWindow;
  readonly out: OutQueue;
  /** Null until both ends have agreed to time requests. */
  readonly timing: SessionTiming | null;
  /** Client role: the id that the next stream gets. */
  readonly nextStreamId: number;
  /** Server role: the highest id that is still served after our GOAWAY. */
  readonly goawayLast: number;
  nowMs(): number;
  /** Something was appended to `out`. */
  touched(): void;
  /** Runs `write`, which appends a control frame, under the limit on unread control frames. */
  control(write: (out: OutQueue) => void): void;
  addStream(id: number): H2Stream;
  /** The connection window opened. */
  windowOpened(): void;
  peerTableShrank(): void;
  settingsSeen(first: boolean): void;
  settingsAcked(): void;
  pingAcked(opaque: Buffer): void;
  peerGoaway(lastStreamId: number, code: number): void;
  forget(stream: H2Stream): void;
  credit(stream: H2Stream, bytes: number): void;
}

/** The receiving side of one session. Its methods throw ProtocolError for what ends the connection. */
export class SessionFrames implements FrameSink {
  /** Highest stream id of the peer. */
  lastPeerStreamId = 0;
  readonly #core: SessionCore;
  readonly #closed = new ClosedStreams();
  readonly #decoder: HpackDecoder;
  readonly #flood: FloodGuard;
  readonly #receiveWindow: ReceiveWindow;
  /** Stream of the DATA frame at hand; null when its bytes are for nobody. */
  #current: H2Stream | null = null;
  #currentEmpty = false;
  #settingsSeen = false;

  constructor(core: SessionCore) {
    this.#core = core;
    this.#decoder = new HpackDecoder(core.settings.headerTableBytes, core.settings.maxHeaderListBytes);
    this.#flood = new FloodGuard(core.limits.floods, () => core.nowMs());
    this.#receiveWindow = new ReceiveWindow(Math.max(core.settings.connectionWindowBytes, defaultWindowBytes));
  }

  onDataStart(streamId: number, flowBytes: number, dataBytes: number): void {
    if (!this.#receiveWindow.receive(flowBytes)) {
      throw new ProtocolError(ErrorCode.FlowControlError, 'more DATA than the connection window allows');
    }
    const increment = this.#receiveWindow.credit(flowBytes);
    if (increment > 0) {
      writeWindowUpdate(this.#core.out, 0, increment);
      this.#core.touched();
    }
    const stream = this.#core.streams.get(streamId);
    this.#current = null;
    this.#currentEmpty = dataBytes === 0;
    if (stream === undefined) this.#lateData(streamId);
    else if (stream.remoteEnded) this.#streamError(stream, ErrorCode.StreamClosed, 'DATA after END_STREAM');
    else if (!stream.headersReceived) this.#streamError(stream, ErrorCode.ProtocolError, 'DATA before HEADERS');
    else if (!stream.receiveWindow.receive(flowBytes)) {
      this.#streamError(stream, ErrorCode.FlowControlError, 'more DATA than the window allows');
    } else if (stream.contentLeft >= 0 && !this.#countContent(stream, dataBytes)) {
      this.#streamError(stream, ErrorCode.ProtocolError, 'more DATA than content-length says');
    } else {
      this.#current = stream;
      if (flowBytes > dataBytes) this.#core.credit(stream, flowBytes - dataBytes);
    }
  }

  onDataSlice(_streamId: number, slice: Buffer): number {
    return this.#current === null ? Took.All : this.#current.receive(slice);
  }

  onDataEnd(_streamId: number, endStream: boolean): void {
    const stream = this.#current;
    this.#current = null;
    if (endStream && stream !== null) this.#receiveEnd(stream);
    else if (this.#currentEmpty) this.#count('empty');
  }

  onHeaders(streamId: number, block: Buffer, endStream: boolean): void {
    const headers = this.#decoder.decode(block);
    const { sound } = this.#decoder;
    const stream = this.#core.streams.get(streamId);
    if (stream === undefined) {
      this.#onNewHeaders(streamId, headers, endStream);
      return;
    }
    let fault = '';
    if (stream.remoteEnded) fault = 'HEADERS after END_STREAM';
    else if (this.#decoder.overflowed) fault = 'a header list too long';
    else if (stream.headersReceived) fault = endStream ? trailersFault(headers, sound) : 'trailers without END_STREAM';
    else fault = responseFault(headers, sound);
    if (fault !== '') {
      this.#streamError(stream, stream.remoteEnded ? ErrorCode.StreamClosed : ErrorCode.ProtocolError, fault);
      return;
    }
    if (!stream.headersReceived && headerOf(headers, ':status').startsWith('1')) {
      this.#count('empty');
      if (endStream) this.#streamError(stream, ErrorCode.ProtocolError, '1xx with END_STREAM');
      else stream.events.onInform?.(stream, headers);
      return;
    }
    stream.headersReceived = true;
    stream.events.onHeaders(stream, headers, endStream);
    if (endStream) this.#receiveEnd(stream);
  }

  onRstStream(streamId: number, code: number): void {
    const stream = this.#core.streams.get(streamId);
    if (stream === undefined) {
      this.#checkNotIdle(streamId, 'RST_STREAM');
      return;
    }
    if (!this.#core.client && !stream.headersSent) this.#count('reset');
    stream.receiveReset(code);
    this.#core.forget(stream);
  }

  onSettings(ack: boolean, payload: Buffer): void {
    this.#count('settings');
    if (ack) {
      this.#core.settingsAcked();
      return;
    }
    const peer = this.#core.peerSettings;
    const before = peer.streamWindowBytes;
    const first = !this.#settingsSeen;
    this.#settingsSeen = true;
    // Until now we assumed a limit; a peer that names none has none.
    if (first) peer.maxConcurrentStreams = Number.POSITIVE_INFINITY;
    applySettings(payload, peer, !this.#core.client);
    if (peer.headerTableBytes < defaultTableBytes) this.#core.peerTableShrank();
    this.#core.control((out) => writeSettings(out, null));
    if (peer.streamWindowBytes !== before) this.#moveWindows(peer.streamWindowBytes - before);
    this.#core.settingsSeen(first);
  }

  onPing(ack: boolean, opaque: Buffer): void {
    if (ack) {
      this.#core.pingAcked(opaque);
      return;
    }
    this.#count('ping');
    this.#core.control((out) => writePing(out, opaque, true));
  }

  onGoaway(lastStreamId: number, code: number): void {
    this.#core.peerGoaway(lastStreamId, code);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      if (increment === 0) throw new ProtocolError(ErrorCode.ProtocolError, 'WINDOW_UPDATE of 0');
      if (!this.#core.sendWindow.grow(increment)) throw windowTooLarge();
      this.#core.windowOpened();
      return;
    }
    const stream = this.#core.streams.get(streamId);
    if (stream === undefined) this.#checkNotIdle(streamId, 'WINDOW_UPDATE');
    else if (increment === 0) this.#streamError(stream, ErrorCode.ProtocolError, 'WINDOW_UPDATE of 0');
    else if (!stream.sendWindow.grow(increment)) {
      this.#streamError(stream, ErrorCode.FlowControlError, 'window above 2^31-1');
    } else if (stream.bufferedBytes > 0) stream.proceed();
  }

  onIgnored(): void {
    this.#count('empty');
  }

  onTiming(streamId: number, kind: number, payload: Buffer): void {
    const { timing, streams } = this.#core;
    // Without an agreement it is a frame of an unknown type.
    this.#count(timing === null ? 'empty' : 'timing');
    timing?.onFrame(streamId, kind, payload, streams.get(streamId)?.timing ?? null);
  }

  /** HEADERS on a stream that we do not have: a request, or something late. */
  #onNewHeaders(streamId: number, headers: string[], endStream: boolean): void {
    if (this.#core.client || streamId <= this.lastPeerStreamId) {
      this.#lateHeaders(streamId);
      return;
    }
    if (streamId % 2 === 0) throw new ProtocolError(ErrorCode.ProtocolError, 'a client stream with an even id');
    this.#closed.opened(streamId, this.lastPeerStreamId === 0 ? -1 : this.lastPeerStreamId);
    this.lastPeerStreamId = streamId;
    if (streamId > this.#core.goawayLast) {
      this.#reset(streamId, ErrorCode.RefusedStream);
      return;
    }
    if (this.#core.streams.size >= this.#core.settings.maxConcurrentStreams) {
      this.#count('reset');
      this.#reset(streamId, ErrorCode.RefusedStream);
      return;
    }
    const { overflowed, sound } = this.#decoder;
    const fault = overflowed ? '' : requestFault(headers, this.#core.settings.extendedConnect, sound);
    if (fault !== '') {
      this.#count('reset');
      this.#reset(streamId, ErrorCode.ProtocolError);
      this.#core.events.onHeadersFault?.(headers, fault);
      return;
    }
    const stream = this.#core.addStream(streamId);
    stream.headersReceived = true;
    if (overflowed) {
      stream.respond([':status', '431'], true);
      stream.abort(ErrorCode.NoError);
      this.#core.events.onHeadersTooLong?.(headers);
      return;
    }
    if (headerOf(headers, ':method') !== 'CONNECT') stream.contentLeft = contentLengthOf(headers);
    this.#core.events.onStream(stream, headers, endStream);
    if (endStream) this.#receiveEnd(stream);
  }

  /** Of a stream that we reset: the peer had not seen it yet. Of one that it closed: it must not be sent. */
  #lateData(streamId: number): void {
    this.#checkNotIdle(streamId, 'DATA');
    if (this.#closed.wasReset(streamId)) return;
    this.#count('reset');
    this.#reset(streamId, ErrorCode.StreamClosed);
  }

  #lateHeaders(streamId: number): void {
    this.#checkNotIdle(streamId, 'HEADERS');
    this.#count('empty');
    // A server's answer may cross with our reset at any time; a client that sends headers twice is beyond repair.
    if (this.#core.client || this.#closed.wasReset(streamId)) return;
    if (this.#closed.wasSkipped(streamId))
      throw new ProtocolError(ErrorCode.ProtocolError, 'a stream id that went back');
    throw new ProtocolError(ErrorCode.StreamClosed, 'HEADERS on a closed stream');
  }

  /** False when the peer sends more than it said. */
  #countContent(stream: H2Stream, bytes: number): boolean {
    stream.contentLeft -= bytes;
    return stream.contentLeft >= 0;
  }

  #receiveEnd(stream: H2Stream): void {
    if (stream.contentLeft > 0)
      this.#streamError(stream, ErrorCode.ProtocolError, 'less DATA than content-length says');
    else stream.receiveEnd();
  }

  /** Frames on streams that have ended are late; on streams that never began they are an error of the connection. */
  #checkNotIdle(streamId: number, frame: string): void {
    const next = this.#core.client ? this.#core.nextStreamId : this.lastPeerStreamId + 1;
    if (streamId % 2 === 0 || streamId >= next) {
      throw new ProtocolError(ErrorCode.ProtocolError, `${frame} on an idle stream`);
    }
  }

  #streamError(stream: H2Stream, code: number, reason: string): void {
    this.#count('reset');
    this.#reset(stream.id, code);
    stream.fail(new ProtocolError(code, reason), false);
    this.#core.forget(stream);
  }

  /** We are about to reset a stream: what the peer has sent by then will still come. */
  resetByUs(streamId: number): void {
    this.#closed.reset(streamId);
  }

  #reset(streamId: number, code: number): void {
    this.#closed.reset(streamId);
    this.#core.control((out) => writeRstStream(out, streamId, code));
  }

  #count(kind: FloodKind): void {
    if (!this.#flood.allow(kind)) throw new ProtocolError(ErrorCode.EnhanceYourCalm, `too many frames (${kind})`);
  }

  #moveWindows(delta: number): void {
    const streams = [...this.#core.streams.values()];
    for (const stream of streams) if (!stream.sendWindow.grow(delta)) throw windowTooLarge();
    if (delta > 0) for (const stream of streams) if (stream.bufferedBytes > 0) stream.proceed();
  }
}

/** SETTINGS_HEADER_TABLE_SIZE when nothing is said (RFC 9113 §6.5.2). */
const defaultTableBytes = 4096;

function windowTooLarge(): ProtocolError {
  return new ProtocolError(ErrorCode.FlowControlError, 'window above 2^31-1');
}
