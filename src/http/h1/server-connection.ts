// A client's HTTP/1.1 connection: requests in, one at a time, answers out in their order. What comes of the next
// request while one is answered waits here unread, and the stream is paused (pipelining with back-pressure).
import { isMeshError, MeshError } from '../../base/errors.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import type { HeadChanges, Headers, ResponseHead, ServerConnection, ServerEvents, Trailers } from '../message.ts';
import { composeAnswer, composeInform, composeResponse } from './compose-response.ts';
import { Framed, H1Connection } from './connection.ts';
import { Framing } from './framing.ts';
import { giveLines, type HeadLines, takeLines } from './head-lines.ts';
import { incomplete } from './head-parser.ts';
import { H1RequestHead, readRequestHead } from './heads.ts';
import { H1IncomingRequest } from './incoming-request.ts';
import { type H1ServerOptions, type Refusal, refusalError } from './limits.ts';
import { scratch } from './out-scratch.ts';
import { type ServerSettings, settingsOf } from './server-settings.ts';

/** So many times `lingerMs` may pass without a byte of an answer being read. */
const stallsMax = 10;

/** Where the connection is. */
const Phase = { head: 0, body: 1, waiting: 2, discarding: 3, raw: 4, lingering: 5 } as const;

const framing = new Framing();

const noOptions: H1ServerOptions = {};

/**
 * Serves HTTP/1.1 on `stream`, which it starts. A caller that has read from the stream before hands the bytes to
 * `onData` first and returns its answer. Give the same `options` object to many connections: they share what is made of
 * it.
 */
export function createServerConnection(
  stream: ByteStream,
  events: ServerEvents,
  options: H1ServerOptions = noOptions,
): H1ServerConnection {
  return new H1ServerConnection(stream, events, settingsOf(options));
}

/** Made by `createServerConnection`. */
export class H1ServerConnection extends H1Connection implements ServerConnection {
  readonly #events: ServerEvents;
  readonly #settings: ServerSettings;
  #phase: number = Phase.head;
  #request: H1IncomingRequest | null = null;
  /** A head that has come in part. */
  #lines: HeadLines | null = null;
  #startedAtMs = 0;
  #discarded = 0;
  #lingerBytes = -1;
  #stalls = 0;
  /** No request after this one. */
  #last = false;
  /** The next answer that begins says that it is the last. */
  #draining = false;
  #closeReported = false;

  constructor(stream: ByteStream, events: ServerEvents, settings: ServerSettings) {
    super(stream, settings.limits);
    this.#events = events;
    this.#settings = settings;
    this.expire(settings.idle);
    stream.start(this);
  }

  get active(): number {
    return this.#request === null ? 0 : 1;
  }

  drain(): void {
    this.#draining = true;
    // Not at once: a request may be on its way, and is then the last.
    if (this.#phase === Phase.head && this.#lines === null && !this.hasRest) this.expire(this.#settings.drain);
  }

  destroy(): void {
    this.stream.destroy();
  }

  onDeadline(): void {
    if (this.#phase === Phase.lingering) this.#lingered();
    else if (this.#lines === null) this.#linger();
    else this.#refuse({ status: 408, reason: 'the head took too long', limit: null, value: 0 });
  }

  onClose(error: Error | null, wasReset: boolean): void {
    if (this.#closeReported) return;
    this.#closeReported = true;
    const request = this.#request;
    this.shut();
    this.#dropLines();
    this.#request = null;
    const reason = error === null ? null : asMeshError(error);
    if (request !== null) request.abort(reason ?? lost('the client closed the connection'), wasReset);
    this.#events.onClose(reason);
  }

  // ---- of the request ----

  /** The request's handler is there: bytes may come. */
  begin(request: H1IncomingRequest): void {
    if (request !== this.#request) return;
    if (this.#phase === Phase.waiting) request.handEnd(null);
    else this.pump();
  }

  pauseBody(request: H1IncomingRequest): void {
    if (request === this.#request) this.pauseReading();
  }

  resumeBody(request: H1IncomingRequest): void {
    if (request === this.#request) this.resumeReading();
  }

  inform(request: H1IncomingRequest, status: number, headers: Headers | null): void {
    if (request !== this.#request || !request.unanswered || request.head.minor === 0 || this.closed) return;
    composeInform(scratch.open(this), status, headers);
  }

  respond(request: H1IncomingRequest, head: ResponseHead, changes: HeadChanges | null, endStream: boolean): void {
    if (request !== this.#request || this.closed) return;
    if (head.status === 101) {
      this.#upgrade(request, head, changes);
      return;
    }
    const { method, minor } = request.head;
    const { status } = head;
    const noBody = method === 'HEAD' || status === 204 || status === 304;
    const length = endStream && !noBody ? 0 : head.contentLength;
    let framed: number = Framed.none;
    if (!noBody && length !== 0) framed = length > 0 ? Framed.length : minor === 1 ? Framed.chunked : Framed.close;
    if (framed === Framed.close || this.#mustClose(request)) this.#last = true;
    composeResponse(scratch.open(this), head, changes, {
      framed,
      length: noBody ? -1 : length,
      close: this.#last,
      keepAlive: minor === 0,
      noLength: status === 204 || framed === Framed.chunked || framed === Framed.close,
    });
    this.openBody(framed, length);
    if (endStream) this.#answered(request);
  }

  answer(
    request: H1IncomingRequest,
    status: number,
    headers: readonly (readonly [name: string, value: string])[],
    body: string,
  ): void {
    if (request !== this.#request || this.closed) return;
    if (this.#mustClose(request)) this.#last = true;
    const { method, minor } = request.head;
    const bytes = Buffer.from(body, 'utf8');
    const out = scratch.open(this);
    composeAnswer(out, status, headers, bytes, this.#last, minor === 0, method === 'HEAD');
    this.#answered(request);
  }

  write(request: H1IncomingRequest, chunk: Buffer): number {
    return request === this.#request ? this.writeBody(chunk) : 0;
  }

  end(request: H1IncomingRequest, trailers: Trailers): void {
    if (request !== this.#request || this.closed) return;
    if (this.#phase === Phase.raw) {
      scratch.flushOf(this);
      this.stream.end();
      request.answered = true;
      if (this.peerEnded) this.#finish(request);
    } else if (this.endBody(trailers)) {
      this.#answered(request);
    }
  }

  reset(request: H1IncomingRequest): void {
    if (request !== this.#request) return;
    this.#request = null;
    request.finish();
    this.shut();
    this.stream.reset();
  }

  // ---- bytes ----

  protected consume(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && !this.closed) {
      switch (this.#phase) {
        case Phase.head:
          at = this.#readHead(chunk, at);
          break;
        case Phase.body:
        case Phase.raw:
          if (this.paused || this.#request?.started !== true) return at;
          at = this.readBody(chunk, at);
          break;
        case Phase.discarding:
          at = this.readBody(chunk, at);
          break;
        case Phase.waiting:
          return at;
        default:
          return chunk.length;
      }
    }
    return at;
  }

  protected settled(): void {}

  protected deliver(slice: Buffer): number {
    const request = this.#request;
    if (this.#phase !== Phase.discarding && request !== null) return request.hand(slice);
    this.#discarded += slice.length;
    if (this.#discarded > this.#settings.drainBodyBytesMax) this.#linger();
    return 0;
  }

  protected bodyDone(trailers: Trailers): void {
    const request = this.#request;
    if (this.#phase === Phase.discarding) {
      this.#next();
      return;
    }
    if (this.#phase !== Phase.body || request === null) return;
    this.#phase = Phase.waiting;
    request.handEnd(trailers);
    if (request.answered && request === this.#request) this.#finish(request);
  }

  protected bodyBroken(refusal: Refusal): void {
    const request = this.#request;
    this.#request = null;
    if (request === null) {
      this.#linger();
      return;
    }
    const error = refusalError(refusal, 'REQUEST_INVALID');
    if (request.unanswered) composeAnswer(scratch.open(this), refusal.status, [], textOf(error), true, false, false);
    request.abort(error, false);
    this.#linger();
  }

  protected bodyMismatch(): void {
    const request = this.#request;
    if (request === null) return;
    this.reset(request);
  }

  protected drained(): void {
    this.#request?.drained();
  }

  protected ended(): void {
    const request = this.#request;
    switch (this.#phase) {
      case Phase.raw:
        request?.handEnd(null);
        if (request?.answered === true) this.#finish(request);
        return;
      case Phase.waiting:
        // It may have closed its side only; the answer still goes out.
        this.#last = true;
        return;
      case Phase.body:
        if (request !== null) this.#cutShort(request);
        return;
      default:
        if (this.#lines !== null) this.#events.onRefused(0, lost('the client ended inside a head'), null);
        this.#dropLines();
        this.#linger();
    }
  }

  #cutShort(request: H1IncomingRequest): void {
    this.#request = null;
    request.abort(lost('the client ended inside a body'), false);
    this.shut();
    this.stream.reset();
  }

  #readHead(chunk: Buffer, at: number): number {
    const { parser } = this.#settings;
    const { headBytesMax } = this.limits;
    let lines = this.#lines;
    if (lines === null) {
      this.expire(null);
      this.#startedAtMs = performance.now();
      this.#lines = lines = takeLines();
      lines.memory = chunk;
      lines.base = at;
      const length = parser.parse(lines, Math.min(chunk.length - at, headBytesMax + 1));
      if (length > incomplete) {
        // The request outlives the memory that was read into.
        lines.keep(chunk, at, at + length);
        this.#headDone(lines);
        return at + length;
      }
      lines.keep(chunk, at, Math.min(chunk.length, at + headBytesMax + 1));
      if (length < incomplete) this.#refuse(parser.refusal);
      else this.expire(this.#settings.head);
      return chunk.length;
    }
    const before = lines.held;
    const to = Math.min(chunk.length, at + headBytesMax + 1 - before);
    lines.keep(chunk, at, to);
    // Without the end of a line there is nothing new to find.
    if (lines.held <= headBytesMax && chunk.indexOf(10, at) < 0) return to;
    const length = parser.parse(lines, lines.held);
    if (length > incomplete) {
      lines.held = length;
      this.#headDone(lines);
      return at + length - before;
    }
    if (length < incomplete) this.#refuse(parser.refusal);
    return to;
  }

  #headDone(lines: HeadLines): void {
    this.expire(null);
    const refusal = framing.read(lines, this.limits);
    const head = refusal ?? readRequestHead(lines, framing);
    if (!(head instanceof H1RequestHead)) {
      this.#refuse(head);
      return;
    }
    this.#lines = null;
    this.paused = false;
    const { contentLength } = head;
    this.expectBody(
      contentLength === 0 ? Framed.none : contentLength < 0 ? Framed.chunked : Framed.length,
      contentLength,
    );
    this.#phase = contentLength === 0 ? Phase.waiting : Phase.body;
    if (!head.keepsAlive) this.#last = true;
    const request = new H1IncomingRequest(this, head, this.#startedAtMs);
    this.#request = request;
    this.#events.onRequest(request);
  }

  /** Answers a head that cannot be taken, and ends. */
  #refuse(refusal: Refusal): void {
    const lines = this.#lines;
    const error = refusalError(refusal, 'REQUEST_INVALID');
    const head = lines?.startLineDone
      ? {
          method: lines.text(lines.startAt, lines.firstTo),
          target: lines.text(lines.secondFrom, lines.secondTo),
          headers: lines,
        }
      : null;
    const extra: [string, string][] =
      refusal.status === 405 ? [['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']] : [];
    composeAnswer(scratch.open(this), refusal.status, extra, textOf(error), true, false, head?.method === 'HEAD');
    this.#events.onRefused(refusal.status, error, head);
    this.#dropLines();
    this.#linger();
  }

  #upgrade(request: H1IncomingRequest, head: ResponseHead, changes: HeadChanges | null): void {
    composeResponse(scratch.open(this), head, changes, {
      framed: Framed.none,
      length: -1,
      close: false,
      keepAlive: false,
      noLength: true,
    });
    this.#last = true;
    this.#phase = Phase.raw;
    this.expectBody(Framed.close, 0);
    this.openBody(Framed.close, 0);
    request.reopen();
    this.pump();
    if (this.peerEnded) request.handEnd(null);
  }

  /** The client cannot be sure where the next request begins, or was told not to send one. */
  #mustClose(request: H1IncomingRequest): boolean {
    if (this.#last || this.#draining || this.peerEnded) return true;
    if (this.#phase !== Phase.body) return false;
    if (request.head.expectsContinue && !request.continued) return true;
    return this.readLeft > this.#settings.drainBodyBytesMax;
  }

  /** The answer is out, as far as we are concerned. */
  #answered(request: H1IncomingRequest): void {
    request.answered = true;
    if (this.#phase === Phase.waiting) this.#finish(request);
    else this.#finishEarly(request);
  }

  /** Answered before the body was read: the rest of it is thrown away if it is short, else the connection ends. */
  #finishEarly(request: H1IncomingRequest): void {
    this.#request = null;
    request.finish();
    this.paused = false;
    this.#discarded = 0;
    this.#phase = Phase.discarding;
    if (this.#last || this.readLeft > this.#settings.drainBodyBytesMax) this.#linger();
    else {
      // A client that never sends the rest is idle.
      this.expire(this.#settings.idle);
      this.pump();
    }
  }

  #finish(request: H1IncomingRequest): void {
    this.#request = null;
    request.finish();
    if (this.#phase === Phase.raw) return;
    this.#next();
  }

  #next(): void {
    if (this.#last) {
      this.#linger();
      return;
    }
    this.#phase = Phase.head;
    this.paused = false;
    this.expire(this.#draining ? this.#settings.drain : this.#settings.idle);
    this.pump();
  }

  /** Ends our side, and reads on for a while: closing at once would make the kernel throw the answer away. */
  #linger(): void {
    if (this.#phase === Phase.lingering || this.closed) return;
    this.#phase = Phase.lingering;
    this.paused = false;
    scratch.flushOf(this);
    this.#lingerBytes = -1;
    this.expire(this.#settings.linger);
    // When both sides have ended, the stream closes by itself as soon as all is written.
    this.stream.end();
    this.pump();
  }

  /** A client that reads slowly still gets its answer, as long as it reads. */
  #lingered(): void {
    const { bufferedBytes } = this.stream;
    const isStuck = bufferedBytes === this.#lingerBytes && ++this.#stalls > stallsMax;
    if (bufferedBytes === 0 || isStuck) {
      this.stream.destroy();
      return;
    }
    if (bufferedBytes !== this.#lingerBytes) this.#stalls = 0;
    this.#lingerBytes = bufferedBytes;
    this.expire(this.#settings.linger);
  }

  #dropLines(): void {
    if (this.#lines !== null) giveLines(this.#lines);
    this.#lines = null;
  }
}

function lost(reason: string): MeshError {
  return new MeshError('CONNECTION_LOST', { reason });
}

function asMeshError(error: Error): MeshError {
  return isMeshError(error) ? error : MeshError.from(error);
}

function textOf(error: MeshError): Buffer {
  return Buffer.from(`${error.message}\n`);
}
