// One HTTP/2 stream as a ByteStream: FIN ↔ END_STREAM, reset ↔ RST_STREAM. Back-pressure is the stream's window: credit
// is given back for what the handler has taken, so an unread stream costs at most its window. The session drives it.
import { MeshError } from '../base/errors.ts';
import { ByteQueue } from '../io/byte-queue.ts';
import { type ByteStream, type ByteStreamHandler, Took } from '../io/byte-stream.ts';
import { StreamTiming } from '../io/stream-timing.ts';
import { ErrorCode, errorName } from './constants.ts';
import { ReceiveWindow, SendWindow } from './flow.ts';
import type { BytesHolder, ReceiveBudget } from './receive-budget.ts';
import { SessionTiming, type TimedSession } from './timing.ts';

/** Why a stream ended before it was answered. */
export interface StreamFailure {
  readonly error: MeshError;
  /** The peer certainly has not processed it: it may be tried again on another session. */
  readonly retryable: boolean;
}

/** What is not bytes. Lists are flat: `[name, value, …]`. */
export interface StreamEvents {
  /**
   * Client role: the final response, then trailers if there are any. Server role: trailers. Trailers come when they
   * arrive: DATA before them may still be unread, so they are the body's end only at the handler's `onEnd`.
   */
  onHeaders(stream: H2Stream, headers: readonly string[], endStream: boolean): void;
  /** Client role: an informational response (1xx); skipped where nobody asks for it. */
  onInform?(stream: H2Stream, headers: readonly string[]): void;
  /**
   * The stream ended before it was answered: reset by the peer, or lost with its session. At most once.
   * After the answer it is the handler that is told, whenever it is attached.
   */
  onFailed(stream: H2Stream, failure: StreamFailure): void;
}

/** Of a stream whose owner has not asked yet. */
export const noStreamEvents: StreamEvents = { onHeaders: () => undefined, onFailed: () => undefined };

/** Of a stream that has been answered, where nobody asks for trailers: it keeps nothing of who opened it. */
export const answeredEvents: StreamEvents = { onHeaders: () => undefined, onFailed: () => undefined };

/** What a stream needs of its session. */
export interface StreamHost extends TimedSession {
  /** Sends as much of `chunk` as the windows allow, in DATA frames; returns how much. */
  sendData(stream: H2Stream, chunk: Buffer): number;
  sendEnd(stream: H2Stream): void;
  sendHeaders(stream: H2Stream, headers: readonly string[], endStream: boolean): void;
  /** Like `sendHeaders`, with a block that `encodeBlock` has made. */
  sendBlock(stream: H2Stream, block: Buffer, endStream: boolean): void;
  sendReset(stream: H2Stream, code: number): void;
  credit(stream: H2Stream, bytes: number): void;
  /** The stream's reader does not keep up. */
  stalled(stream: H2Stream): void;
  readonly budget: ReceiveBudget;
  readonly congested: boolean;
  /** Calls `proceed` when the congestion is over, or when the connection window has opened. */
  awaitRoom(stream: H2Stream): void;
  awaitWindow(stream: H2Stream): void;
  /** The stream is closed on the wire. */
  forget(stream: H2Stream): void;
}

/** One stream, made by its session: `H2Session.open` on the client, `events.onStream` on the server. */
export class H2Stream implements ByteStream, BytesHolder {
  readonly id: number;
  readonly sendWindow: SendWindow;
  readonly receiveWindow: ReceiveWindow;
  bytesRead = 0;
  bytesWritten = 0;
  /** Response (server) or request (client) headers are out. */
  headersSent = false;
  headersReceived = false;
  /** Bytes that must still come before the end, by the request's content-length; -1 when nothing is said. */
  contentLeft = -1;
  /** The peer has sent END_STREAM. */
  remoteEnded = false;
  /** Once our side has ended, the peer need not go on: RST_STREAM(NO_ERROR), as RFC 9113 §8.1 has it for servers. */
  resetsAfterEnd = false;
  events: StreamEvents;
  /** Set where both ends have agreed to time the requests that it carries. */
  timing: StreamTiming | null = null;

  readonly #host: StreamHost;
  #handler: ByteStreamHandler | null = null;
  #inbox: ByteQueue | null = null;
  #pending: ByteQueue | null = null;
  #paused = true;
  #delivering = false;
  #uncredited = 0;
  #wantsDrain = false;
  #ending = false;
  #endSent = false;
  /** Sent instead of an empty DATA frame at the end. */
  #trailers: readonly string[] | null = null;
  #endDelivered = false;
  #over = false;
  #closeReported = false;
  #closeError: MeshError | null = null;
  #wasReset = false;

  constructor(id: number, host: StreamHost, events: StreamEvents, sendBytes: number, receiveBytes: number) {
    this.id = id;
    this.#host = host;
    this.events = events;
    this.sendWindow = new SendWindow(sendBytes);
    this.receiveWindow = new ReceiveWindow(receiveBytes);
  }

  get bufferedBytes(): number {
    return this.#pending?.bytes ?? 0;
  }

  /** Bytes received that nobody has read. */
  get unreadBytes(): number {
    return this.#inbox?.bytes ?? 0;
  }

  /** Bytes that wait here in either direction: what the budget counts. */
  get heldBytes(): number {
    return this.bufferedBytes + this.unreadBytes;
  }

  /** Nothing more can happen, but for the report of it. */
  get over(): boolean {
    return this.#over;
  }

  start(handler: ByteStreamHandler): void {
    const first = this.#handler === null;
    this.#handler = handler;
    if (!first) return;
    if (this.#over || this.unreadBytes > 0 || this.remoteEnded) process.nextTick(begin, this);
    else this.#paused = false;
  }

  /** For the tick after `start` alone. */
  begin(): void {
    if (this.#over) this.reportClose();
    else this.resume();
  }

  /** The peer times requests on this stream too. `openedInMs`: how long it took to open it, 0 for the server. */
  agreeOnTiming(openedInMs: number): void {
    const line = SessionTiming.of(this.#host);
    this.timing = new StreamTiming(line, this.id, openedInMs);
    line.ask();
  }

  /** Sends response headers (server) or request headers (client). */
  respond(headers: readonly string[], endStream: boolean): void {
    if (this.#over || this.#ending) return;
    if (endStream) this.#ending = true;
    this.headersSent = true;
    this.#host.sendHeaders(this, headers, endStream);
    if (endStream) this.#onEndSent();
  }

  /** Sends request headers (client) that are encoded already. */
  request(block: Buffer, endStream: boolean): void {
    if (endStream) this.#ending = true;
    this.headersSent = true;
    this.#host.sendBlock(this, block, endStream);
    if (endStream) this.#onEndSent();
  }

  /** Sends an informational response (server; RFC 9113 §8.1): the final one is still to come. */
  inform(headers: readonly string[]): void {
    if (!this.#over && !this.headersSent) this.#host.sendHeaders(this, headers, false);
  }

  write(chunk: Buffer): number {
    if (this.#ending || this.#over) return Took.All;
    this.bytesWritten += chunk.length;
    const sent = this.bufferedBytes === 0 ? this.#host.sendData(this, chunk) : 0;
    if (sent < chunk.length) {
      this.#pending ??= new ByteQueue();
      this.#pending.push(chunk, sent);
      this.#host.budget.hold(this, chunk.length - sent);
      if (this.#isOver()) return Took.All;
      this.#wantsDrain = true;
      this.#host.awaitWindow(this);
      return Took.Pause;
    }
    if (!this.#host.congested) return Took.All;
    this.#wantsDrain = true;
    this.#host.awaitRoom(this);
    return Took.Pause;
  }

  end(): void {
    if (this.#ending || this.#over) return;
    this.#ending = true;
    if (this.bufferedBytes === 0) this.#sendEnd();
  }

  /** Like `end`, with trailers, which go out behind every byte that still waits for its window. */
  endWith(trailers: readonly string[]): void {
    if (this.#ending || this.#over) return;
    this.#trailers = trailers;
    this.end();
  }

  reset(): void {
    this.abort(ErrorCode.ConnectError);
  }

  /** HTTP/2 has no silent end: the peer sees CANCEL, unless both directions have ended. */
  destroy(): void {
    this.abort(ErrorCode.Cancel);
  }

  /** RST_STREAM with `code`, if the stream is not closed on the wire yet. */
  abort(code: number): void {
    if (this.#over) return;
    if (!(this.#endSent && this.remoteEnded)) this.#host.sendReset(this, code);
    this.#finish(null, false);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (this.#handler === null || this.#over) return;
    this.#paused = false;
    if (this.#delivering) return;
    const owed = this.#uncredited;
    this.#uncredited = 0;
    if (owed > 0) this.#host.credit(this, owed);
    this.#deliverInbox();
  }

  /** Session: a slice of a DATA payload. Returns a mask of `Took`. */
  receive(slice: Buffer): number {
    if (this.#over) return Took.All;
    if (this.#paused || this.#delivering || this.#handler === null || this.unreadBytes > 0) {
      this.#inbox ??= new ByteQueue();
      this.#inbox.push(slice);
      if (this.#inbox.bytes * 2 > this.receiveWindow.size) this.#host.stalled(this);
      this.#host.budget.hold(this, slice.length);
      return Took.All;
    }
    this.#delivering = true;
    const took = this.#handOver(slice);
    this.#delivering = false;
    return took;
  }

  /** Session: END_STREAM. */
  receiveEnd(): void {
    if (this.remoteEnded || this.#over) return;
    this.remoteEnded = true;
    if (this.#endSent) this.#host.forget(this);
    if (this.#handler !== null && this.unreadBytes === 0) this.#deliverEnd();
  }

  /** Session: RST_STREAM. */
  receiveReset(code: number): void {
    if (this.#over) return;
    const error = new MeshError('PEER_RESET', { reason: errorName(code) });
    if (!this.#answered) {
      this.fail(error, code === ErrorCode.RefusedStream);
      return;
    }
    // A peer that has sent everything and wants nothing more says so with NO_ERROR (RFC 9113 §8.1), ztunnel with
    // CANCEL: what it sent is still good. Before END_STREAM any code cuts the bytes short, which must not look like an
    // end.
    const gentle = code === ErrorCode.NoError || code === ErrorCode.Cancel || code === ErrorCode.StreamClosed;
    if (!this.remoteEnded || !gentle) {
      this.#finish(error, true);
      return;
    }
    this.#closeError = this.#endSent ? null : error;
    this.#ending = true;
    this.#endSent = true;
    this.#dropPending();
    this.#host.forget(this);
    this.#checkDone();
  }

  /** Session: the stream cannot go on. */
  fail(error: MeshError, retryable: boolean): void {
    if (this.#over) return;
    const unanswered = !this.#answered;
    this.#finish(error, true);
    if (unanswered) this.events.onFailed(this, { error, retryable });
  }

  /** Budget: all streams together hold too much, and this one most. */
  shed(limitBytes: number): void {
    if (this.#over) return;
    this.#host.sendReset(this, ErrorCode.EnhanceYourCalm);
    const what = 'the streams of a data thread';
    const error = new MeshError('LIMIT_REACHED', { limit: 'bufferedBytesMax', value: limitBytes, what });
    // It is our doing and no reset by the peer: the record says so.
    if (this.#answered) this.#finish(error, false);
    else this.fail(error, false);
  }

  /** Session: a window opened, or there is room again. */
  proceed(): void {
    if (this.#over) return;
    const pending = this.#pending;
    while (pending !== null && pending.bytes > 0) {
      if (this.#host.congested) {
        this.#host.awaitRoom(this);
        return;
      }
      const head = pending.peek()!;
      const sent = this.#host.sendData(this, head);
      pending.skip(sent);
      this.#host.budget.release(this, sent);
      if (sent < head.length) {
        this.#host.awaitWindow(this);
        return;
      }
    }
    if (this.#ending && !this.#endSent) this.#sendEnd();
    if (!this.#wantsDrain) return;
    if (this.#host.congested) {
      this.#host.awaitRoom(this);
      return;
    }
    this.#wantsDrain = false;
    if (!this.#ending) this.#handler?.onDrain();
  }

  /** For the tick alone. */
  reportClose(): void {
    if (this.#closeReported || this.#handler === null) return;
    this.#closeReported = true;
    this.#handler.onClose(this.#closeError, this.#wasReset);
  }

  get #answered(): boolean {
    return this.headersSent && this.headersReceived;
  }

  #handOver(chunk: Buffer): number {
    this.bytesRead += chunk.length;
    const took = this.#handler!.onData(chunk);
    if (took & Took.Pause) {
      this.#paused = true;
      this.#uncredited += chunk.length;
    } else if (!this.#over) {
      this.#host.credit(this, chunk.length);
    }
    return took;
  }

  #deliverInbox(): void {
    const inbox = this.#inbox;
    if (inbox !== null) {
      this.#delivering = true;
      while (!this.#paused && !this.#over) {
        const chunk = inbox.peek();
        if (chunk === null) break;
        const took = this.#handOver(chunk);
        // The end of the stream has let go of all of it.
        if (this.#isOver()) break;
        inbox.skip(chunk.length, (took & Took.Retained) === 0);
        this.#host.budget.release(this, chunk.length);
      }
      this.#delivering = false;
    }
    if (this.remoteEnded && this.unreadBytes === 0 && !this.#over) this.#deliverEnd();
  }

  #deliverEnd(): void {
    if (this.#endDelivered) return;
    this.#endDelivered = true;
    this.#handler!.onEnd();
    this.#checkDone();
  }

  #dropPending(): void {
    const bytes = this.bufferedBytes;
    this.#pending = null;
    if (bytes > 0) this.#host.budget.release(this, bytes);
  }

  /** As a question anew: what was called meanwhile may have ended the stream. */
  #isOver(): boolean {
    return this.#over;
  }

  #sendEnd(): void {
    if (this.#trailers === null) this.#host.sendEnd(this);
    else this.#host.sendHeaders(this, this.#trailers, true);
    this.#onEndSent();
  }

  #onEndSent(): void {
    this.#endSent = true;
    if (this.remoteEnded) this.#host.forget(this);
    else if (this.resetsAfterEnd) this.abort(ErrorCode.NoError);
    this.#checkDone();
  }

  #checkDone(): void {
    if (this.#endSent && this.#endDelivered && !this.#over) this.#finish(this.#closeError, false);
  }

  #finish(error: MeshError | null, wasReset: boolean): void {
    this.#over = true;
    this.#closeError = error;
    this.#wasReset = wasReset;
    this.#dropPending();
    const unread = this.unreadBytes;
    this.#inbox = null;
    if (unread > 0) this.#host.budget.release(this, unread);
    this.#host.forget(this);
    // Never from inside `end`, `reset` or `destroy`.
    if (this.#handler !== null) process.nextTick(report, this);
  }
}

function begin(stream: H2Stream): void {
  stream.begin();
}

function report(stream: H2Stream): void {
  stream.reportClose();
}
