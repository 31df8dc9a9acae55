// One request on its way to an endpoint of HTTP/2, and its answer. The object itself is the stream's handler, so that a
// chunk costs no closure.
import type { MeshError } from '../../base/errors.ts';
import { ErrorCode } from '../../h2/constants.ts';
import { contentLengthOf } from '../../h2/header-check.ts';
import { ProtocolError } from '../../h2/protocol-error.ts';
import type { H2Session } from '../../h2/session.ts';
import type { H2Stream, StreamEvents, StreamFailure } from '../../h2/stream.ts';
import { type ByteStreamHandler, Took } from '../../io/byte-stream.ts';
import type { ComposedRequest, OutgoingRequest, ResponseHandler, Trailers } from '../message.ts';
import { trailerList, trailerPairs } from './compose.ts';
import { FieldList } from './field-list.ts';
import { H2ResponseHead } from './heads.ts';

/** A request sent by a client connection, which makes it. */
export class H2Outgoing implements OutgoingRequest, StreamEvents, ByteStreamHandler {
  readonly #handler: ResponseHandler;
  readonly #isHead: boolean;
  #stream: H2Stream | null = null;
  #headSeen = false;
  #trailers: Trailers = null;
  #over = false;

  constructor(handler: ResponseHandler, isHead: boolean) {
    this.#handler = handler;
    this.#isHead = isHead;
  }

  /** Opens the stream; false when the session takes none. */
  open(session: H2Session, request: ComposedRequest): boolean {
    this.#stream = session.openBlock(request.bytes, request.contentLength === 0, this);
    this.#stream?.start(this);
    return this.#stream !== null;
  }

  /** The request never left: the handler is told after the caller has it. */
  failSoon(error: MeshError): void {
    process.nextTick(() => this.#fail(error, true));
  }

  get bytesLeft(): boolean {
    return this.#stream !== null;
  }

  write(chunk: Buffer): number {
    return this.#stream?.write(chunk) ?? Took.All;
  }

  end(trailers: Trailers): void {
    const list = trailerList(trailers);
    if (list === null) this.#stream?.end();
    else this.#stream?.endWith(list);
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  cancel(): void {
    this.#over = true;
    this.#stream?.abort(ErrorCode.Cancel);
  }

  // ---- for the stream ----

  onInform(_stream: H2Stream, list: readonly string[]): void {
    if (!this.#over) this.#handler.onInform(Number(list[1]), new FieldList(list));
  }

  onHeaders(stream: H2Stream, list: readonly string[], endStream: boolean): void {
    if (this.#over) return;
    if (this.#headSeen) {
      this.#trailers = trailerPairs(list);
      return;
    }
    this.#headSeen = true;
    const status = Number(list[1]);
    const bodiless = this.#isHead || status === 204 || status === 304;
    const head = new H2ResponseHead(list, bodiless || endStream);
    if (status === 101 || contentLengthOf(list) < -1) {
      stream.abort(ErrorCode.ProtocolError);
      const reason = status === 101 ? '101 in HTTP/2' : 'content-length';
      this.#fail(new ProtocolError(ErrorCode.ProtocolError, reason), false);
      return;
    }
    if (!bodiless) stream.contentLeft = contentLengthOf(list);
    this.#handler.onHead(head, endStream);
  }

  onFailed(_stream: H2Stream, failure: StreamFailure): void {
    this.#fail(failure.error, failure.retryable);
  }

  onData(chunk: Buffer): number {
    return this.#over ? Took.All : this.#handler.onData(chunk);
  }

  onEnd(): void {
    if (this.#over) return;
    this.#over = true;
    this.#handler.onEnd(this.#trailers);
  }

  onDrain(): void {
    if (!this.#over) this.#handler.onDrain();
  }

  onClose(error: Error | null): void {
    if (error !== null) this.#fail(error as MeshError, false);
  }

  #fail(error: MeshError, unprocessed: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#handler.onFailure(error, unprocessed);
  }
}
