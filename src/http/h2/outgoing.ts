// One request on its way to an endpoint of HTTP/2, and its answer. The object itself is the stream's handler, so that a
// chunk costs no closure.
import { MeshError } from '../../base/errors.ts';
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
  readonly #request: ComposedRequest;
  #stream: H2Stream | null = null;
  #headSeen = false;
  #trailers: Trailers = null;
  #over = false;
  /** By the endpoint's SETTINGS, which are an answer. */
  #refused = false;

  constructor(handler: ResponseHandler, request: ComposedRequest) {
    this.#handler = handler;
    this.#request = request;
  }

  /** Opens the stream; false when the session takes none. */
  open(session: H2Session): boolean {
    const { bytes, contentLength, upgrade } = this.#request;
    this.#stream = session.openBlock(bytes, contentLength === 0 && upgrade === null, this);
    this.#stream?.start(this);
    return this.#stream !== null;
  }

  /** Like `open`, for an upgrade that waited until the endpoint has said whether it takes any. */
  openLater(session: H2Session): void {
    if (this.#over) return;
    if (!session.peerSettings.extendedConnect) {
      this.#refused = true;
      const reason = 'the endpoint takes no upgrades over HTTP/2 (SETTINGS_ENABLE_CONNECT_PROTOCOL)';
      this.#fail(new MeshError('RESPONSE_INVALID', { reason }), false);
    } else if (!this.open(session)) {
      this.#fail(new MeshError('CONNECTION_LOST', { reason: 'the connection takes no more requests' }), true);
    }
  }

  /** The request never left: the handler is told after the caller has it. */
  failSoon(error: MeshError): void {
    process.nextTick(() => this.#fail(error, true));
  }

  get bytesLeft(): boolean {
    return this.#stream !== null || this.#refused;
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
    if (this.#request.upgrade !== null && status >= 200 && status < 300) {
      this.#handler.onHead(new H2ResponseHead([...list, ...(this.#request.switched ?? [])], false, 101), false);
      return;
    }
    const bodiless = this.#request.method === 'HEAD' || status === 204 || status === 304;
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
