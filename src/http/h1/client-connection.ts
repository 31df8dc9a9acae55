// A connection to an endpoint over HTTP/1.1: one request at a time, kept for the next as long as both sides agree on
// where the last answer ended. Whenever that is in doubt it is closed.
import { isMeshError, MeshError } from '../../base/errors.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import { DeadlineLists, type Deadlines } from '../../io/deadlines.ts';
import type { StreamTiming } from '../../io/stream-timing.ts';
import type {
  ClientConnection,
  ClientConnectionEvents,
  ComposedRequest,
  OutgoingRequest,
  ResponseHandler,
  Trailers,
} from '../message.ts';
import { Framed, H1Connection } from './connection.ts';
import { Framing } from './framing.ts';
import { giveLines, type HeadLines, takeLines } from './head-lines.ts';
import { HeadParser, incomplete } from './head-parser.ts';
import { answerKeepsAlive, answerLength, H1ResponseHead } from './heads.ts';
import {
  defaultH1Limits,
  type H1Limits,
  malformed,
  oncePerOptions,
  type Refusal,
  refusalError,
  tooMuch,
} from './limits.ts';
import { scratch } from './out-scratch.ts';
import { H1OutgoingRequest } from './outgoing-request.ts';

export interface H1ClientOptions {
  readonly limits?: Partial<H1Limits>;
  /** A connection without a request is closed after so long; keep it below the endpoint's own. 0: never. */
  readonly idleTimeoutMs?: number;
}

const defaultIdleTimeoutMs = 55_000;

/** Where the connection is. */
const Phase = { idle: 0, head: 1, body: 2, raw: 3 } as const;

const deadlines = new DeadlineLists();
const framing = new Framing();

class Settings {
  readonly limits: H1Limits;
  readonly parser: HeadParser;
  readonly idle: Deadlines | null;

  constructor(options: H1ClientOptions) {
    this.limits = { ...defaultH1Limits, ...options.limits };
    this.parser = new HeadParser(this.limits, false);
    const idleTimeoutMs = options.idleTimeoutMs ?? defaultIdleTimeoutMs;
    this.idle = idleTimeoutMs === 0 ? null : deadlines.of(idleTimeoutMs);
  }
}

const settingsOf = oncePerOptions((options: H1ClientOptions) => new Settings(options));
const noOptions: H1ClientOptions = {};

/**
 * Speaks HTTP/1.1 on `stream`, which it starts and which is connected. It has room at once; `onFree` tells of later
 * ones. Give the same `options` object to many connections: they share what is made of it.
 */
export function createClientConnection(
  stream: ByteStream,
  events: ClientConnectionEvents,
  options: H1ClientOptions = noOptions,
): H1ClientConnection {
  return new H1ClientConnection(stream, events, settingsOf(options));
}

/** Made by `createClientConnection`. */
export class H1ClientConnection extends H1Connection implements ClientConnection {
  readonly protocol = 'http1';
  served = 0;
  readonly #events: ClientConnectionEvents;
  readonly #settings: Settings;
  #phase: number = Phase.idle;
  #request: H1OutgoingRequest | null = null;
  #method = '';
  #lines: HeadLines | null = null;
  #informs = 0;
  #keepAlive = true;
  #requestEnded = false;
  #draining = false;
  #freeDue = false;
  #bytesBefore = 0;
  #answerBegan = false;
  #error: MeshError | null = null;
  #closeReported = false;

  constructor(stream: ByteStream, events: ClientConnectionEvents, settings: Settings) {
    super(stream, settings.limits);
    this.#events = events;
    this.#settings = settings;
    this.expire(settings.idle);
    stream.start(this);
  }

  get timing(): StreamTiming | null {
    return this.stream.timing ?? null;
  }

  get room(): number {
    return this.#phase === Phase.idle && !this.retired ? 1 : 0;
  }

  get retired(): boolean {
    return this.closed || this.#draining || this.peerEnded;
  }

  get active(): number {
    return this.#request === null ? 0 : 1;
  }

  send(composed: ComposedRequest, handler: ResponseHandler): OutgoingRequest {
    const request = new H1OutgoingRequest(this, handler, composed.upgrade);
    if (this.room === 0) {
      process.nextTick(failUnsent, request);
      return request;
    }
    this.expire(null);
    this.served++;
    this.#freeDue = false;
    this.#request = request;
    this.#phase = Phase.head;
    this.#method = composed.method;
    this.#informs = 0;
    this.#answerBegan = false;
    this.#bytesBefore = this.stream.bytesWritten;
    this.paused = false;
    this.resumeStream();
    const { bytes, contentLength } = composed;
    this.#requestEnded = contentLength === 0;
    if (contentLength === 0) {
      this.openBody(Framed.none, 0);
      this.writeScratch(bytes);
    } else {
      this.openBody(contentLength < 0 ? Framed.chunked : Framed.length, contentLength);
      scratch.open(this).copy(bytes, 0, bytes.length);
    }
    return request;
  }

  drain(): void {
    this.#draining = true;
    if (this.#phase === Phase.idle) this.#close();
  }

  destroy(): void {
    this.stream.destroy();
  }

  onDeadline(): void {
    if (this.#phase === Phase.idle) this.#close();
  }

  onClose(error: Error | null, _wasReset: boolean): void {
    if (this.#closeReported) return;
    this.#closeReported = true;
    this.#error ??= error === null ? null : isMeshError(error) ? error : MeshError.from(error);
    if (this.#request !== null) {
      this.#fail(this.#error ?? lost('the endpoint closed the connection'));
    }
    this.shut();
    this.#dropLines();
    this.#events.onClose(this, this.#error);
  }

  // ---- of the request ----

  bytesLeft(request: H1OutgoingRequest): boolean {
    if (request !== this.#request) return true;
    return this.stream.bytesWritten - this.stream.bufferedBytes > this.#bytesBefore;
  }

  write(request: H1OutgoingRequest, chunk: Buffer): number {
    return request === this.#request ? this.writeBody(chunk) : 0;
  }

  end(request: H1OutgoingRequest, trailers: Trailers): void {
    if (request !== this.#request || this.closed) return;
    if (this.#phase === Phase.raw) {
      if (this.#requestEnded) return;
      this.#requestEnded = true;
      scratch.flushOf(this);
      this.stream.end();
      if (this.peerEnded) this.#request = null;
    } else if (!this.#requestEnded && this.endBody(trailers)) {
      this.#requestEnded = true;
    }
  }

  pauseBody(request: H1OutgoingRequest): void {
    if (request === this.#request) this.pauseReading();
  }

  resumeBody(request: H1OutgoingRequest): void {
    if (request === this.#request) this.resumeReading();
  }

  cancel(request: H1OutgoingRequest): void {
    if (request !== this.#request) return;
    request.left = this.bytesLeft(request);
    this.#request = null;
    this.#abort(null);
  }

  // ---- bytes ----

  protected consume(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && !this.closed) {
      switch (this.#phase) {
        case Phase.head:
          this.#answerBegan = true;
          at = this.#readHead(chunk, at);
          break;
        case Phase.body:
        case Phase.raw:
          if (this.paused) return at;
          at = this.readBody(chunk, at);
          break;
        default:
          // Nobody asked: whatever it is, the next answer could be mistaken for it.
          this.#abort(new MeshError('RESPONSE_INVALID', { reason: 'bytes without a request' }));
          return chunk.length;
      }
    }
    return at;
  }

  protected settled(): void {
    if (!this.#freeDue || this.#phase !== Phase.idle || this.hasRest) return;
    this.#freeDue = false;
    this.#events.onFree(this);
  }

  protected deliver(slice: Buffer): number {
    return this.#request?.hand(slice) ?? 0;
  }

  protected bodyDone(trailers: Trailers): void {
    this.#complete(trailers);
  }

  protected bodyBroken(refusal: Refusal): void {
    this.#fail(refusalError(refusal, 'RESPONSE_INVALID'));
  }

  protected bodyMismatch(): void {
    this.#fail(new MeshError('REQUEST_INVALID', { reason: 'the body is not as long as its head says' }));
  }

  protected drained(): void {
    this.#request?.drained();
  }

  protected ended(): void {
    const request = this.#request;
    if (request === null) {
      this.#close();
      return;
    }
    if (this.#phase === Phase.raw) {
      request.handEnd(null);
      if (this.#requestEnded) this.#request = null;
      return;
    }
    if (this.#phase === Phase.body && this.reading === Framed.close) {
      this.#complete(null);
      return;
    }
    const where =
      this.#phase === Phase.body ? 'inside the body of' : this.#lines === null ? 'before' : 'inside the head of';
    this.#fail(lost(`the endpoint ended ${where} an answer`));
  }

  #readHead(chunk: Buffer, at: number): number {
    const { parser } = this.#settings;
    const { headBytesMax } = this.limits;
    let lines = this.#lines;
    if (lines === null) {
      lines = takeLines();
      lines.memory = chunk;
      lines.base = at;
      const length = parser.parse(lines, Math.min(chunk.length - at, headBytesMax + 1));
      if (length > incomplete) {
        this.#headDone(lines);
        return at + length;
      }
      if (length < incomplete) {
        giveLines(lines);
        this.#fail(refusalError(parser.refusal, 'RESPONSE_INVALID'));
        return chunk.length;
      }
      lines.keep(chunk, at, chunk.length);
      this.#lines = lines;
      return chunk.length;
    }
    const before = lines.held;
    const to = Math.min(chunk.length, at + headBytesMax + 1 - before);
    lines.keep(chunk, at, to);
    if (lines.held <= headBytesMax && chunk.indexOf(10, at) < 0) return to;
    const length = parser.parse(lines, lines.held);
    if (length > incomplete) {
      this.#lines = null;
      this.#headDone(lines);
      return at + length - before;
    }
    if (length < incomplete) this.#fail(refusalError(parser.refusal, 'RESPONSE_INVALID'));
    return to;
  }

  #headDone(lines: HeadLines): void {
    const refusal = framing.read(lines, this.limits) ?? this.#whyNot(lines);
    if (refusal !== null) {
      giveLines(lines);
      this.#fail(refusalError(refusal, 'RESPONSE_INVALID'));
      return;
    }
    if (lines.status < 200 && lines.status !== 101) {
      this.#request?.inform(lines.status, lines);
      giveLines(lines);
      return;
    }
    this.#final(lines);
  }

  #whyNot(lines: HeadLines): Refusal | null {
    const { status } = lines;
    if (status === 101) {
      const isAsked = this.#request !== null && this.#request.upgrade !== null && framing.upgradeLine >= 0;
      return isAsked ? null : malformed('101 that nobody asked for');
    }
    const { informsMax } = this.limits;
    if (status < 200 && ++this.#informs > informsMax)
      return tooMuch('informsMax', informsMax, 'the answers before one');
    return null;
  }

  #final(lines: HeadLines): void {
    const isRaw = lines.status === 101;
    const length = isRaw ? -1 : answerLength(lines, framing, this.#method);
    this.#keepAlive = !isRaw && answerKeepsAlive(lines, framing);
    const isChunked = framing.chunked;
    if (isRaw || (length < 0 && !isChunked)) {
      this.#keepAlive = false;
      this.expectBody(Framed.close, 0);
    } else {
      this.expectBody(length === 0 ? Framed.none : length < 0 ? Framed.chunked : Framed.length, length);
    }
    this.#phase = isRaw ? Phase.raw : Phase.body;
    if (isRaw) {
      this.#requestEnded = false;
      this.openBody(Framed.close, 0);
    }
    const head = new H1ResponseHead(lines, length);
    this.#request?.handHead(head, length === 0);
    head.lines = null;
    giveLines(lines);
    if (length === 0 && this.#phase === Phase.body) this.#complete(null);
  }

  /** The answer is whole. */
  #complete(trailers: Trailers): void {
    const request = this.#request;
    if (request === null) return;
    this.#request = null;
    this.#phase = Phase.idle;
    const isReusable = this.#keepAlive && this.#requestEnded && !this.#draining && !this.peerEnded;
    // With a body under way nobody knows what the endpoint has read of it.
    if (!isReusable) this.#close();
    else {
      this.#freeDue = true;
      this.paused = false;
      this.resumeStream();
      this.expire(this.#settings.idle);
    }
    request.handEnd(trailers);
  }

  /** The exchange fails, and the connection with it. */
  #fail(error: MeshError): void {
    const request = this.#request;
    const left = request === null || this.#answerBegan || this.bytesLeft(request);
    if (request !== null) request.left = left;
    this.#request = null;
    this.#abort(error);
    request?.fail(error, !left);
  }

  #abort(error: MeshError | null): void {
    this.#error ??= error;
    if (!this.shut()) return;
    this.#dropLines();
    this.stream.reset();
  }

  /** Nothing is under way. */
  #close(): void {
    if (!this.shut()) return;
    scratch.flushOf(this);
    this.stream.end();
    this.stream.destroy();
  }

  #dropLines(): void {
    if (this.#lines !== null) giveLines(this.#lines);
    this.#lines = null;
  }
}

function lost(reason: string): MeshError {
  return new MeshError('CONNECTION_LOST', { reason });
}

function failUnsent(request: H1OutgoingRequest): void {
  request.left = false;
  request.fail(lost('the connection was closed before the request was sent'), true);
}
