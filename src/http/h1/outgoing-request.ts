// A request under way to an endpoint: the contract's face of a client connection, for as long as the request is its
// current one.
import type { MeshError } from '../../base/errors.ts';
import { Took } from '../../io/byte-stream.ts';
import type { Headers, OutgoingRequest, ResponseHandler, ResponseHead, Trailers } from '../message.ts';
import type { H1ClientConnection } from './client-connection.ts';

/** Made by the connection, which calls the methods below the line. */
export class H1OutgoingRequest implements OutgoingRequest {
  readonly upgrade: string | null;
  /** Whether bytes have left, once that cannot change any more. */
  left: boolean | null = null;
  readonly #connection: H1ClientConnection;
  #handler: ResponseHandler | null;

  constructor(connection: H1ClientConnection, handler: ResponseHandler, upgrade: string | null) {
    this.#connection = connection;
    this.#handler = handler;
    this.upgrade = upgrade;
  }

  get bytesLeft(): boolean {
    return this.left ?? this.#connection.bytesLeft(this);
  }

  write(chunk: Buffer): number {
    return this.#connection.write(this, chunk);
  }

  end(trailers: Trailers): void {
    this.#connection.end(this, trailers);
  }

  pause(): void {
    this.#connection.pauseBody(this);
  }

  resume(): void {
    this.#connection.resumeBody(this);
  }

  cancel(): void {
    this.#handler = null;
    this.#connection.cancel(this);
  }

  // ---- of the connection ----

  inform(status: number, headers: Headers): void {
    this.#handler?.onInform(status, headers);
  }

  handHead(head: ResponseHead, endStream: boolean): void {
    this.#handler?.onHead(head, endStream);
  }

  hand(slice: Buffer): number {
    return this.#handler?.onData(slice) ?? Took.All;
  }

  handEnd(trailers: Trailers): void {
    this.#handler?.onEnd(trailers);
  }

  drained(): void {
    this.#handler?.onDrain();
  }

  fail(error: MeshError, unprocessed: boolean): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onFailure(error, unprocessed);
  }
}
