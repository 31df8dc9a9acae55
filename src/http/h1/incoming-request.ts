// A request as the exchange holds it: the contract's face of a server connection, for as long as the request is its
// current one.
import type { MeshError } from '../../base/errors.ts';
import { Took } from '../../io/byte-stream.ts';
import type { HeadChanges, Headers, IncomingRequest, RequestHandler, ResponseHead, Trailers } from '../message.ts';
import type { H1RequestHead } from './heads.ts';
import type { H1ServerConnection } from './server-connection.ts';

/** Made by the connection, which calls the methods below the line. */
export class H1IncomingRequest implements IncomingRequest {
  readonly head: H1RequestHead;
  readonly startedAtMs: number;
  unanswered = true;
  bytesReceived = 0;
  bytesSent = 0;
  /** The client was told to send the body that it holds back. */
  continued = false;
  /** The answer is whole. */
  answered = false;
  readonly #connection: H1ServerConnection;
  #handler: RequestHandler | null = null;
  #bodyEnded = false;
  #over = false;
  #aborted: { readonly error: MeshError; readonly wasReset: boolean } | null = null;

  constructor(connection: H1ServerConnection, head: H1RequestHead, startedAtMs: number) {
    this.#connection = connection;
    this.head = head;
    this.startedAtMs = startedAtMs;
  }

  start(handler: RequestHandler): void {
    const isFirst = this.#handler === null;
    this.#handler = handler;
    if (!isFirst) return;
    if (this.#aborted !== null) process.nextTick(reportAbort, this);
    else this.#connection.begin(this);
  }

  pause(): void {
    this.#connection.pauseBody(this);
  }

  resume(): void {
    this.#connection.resumeBody(this);
  }

  inform(status: number, headers: Headers | null): void {
    if (status === 100) {
      if (!this.head.expectsContinue || this.continued) return;
      this.continued = true;
    }
    this.#connection.inform(this, status, headers);
  }

  respond(head: ResponseHead, changes: HeadChanges | null, endStream: boolean): void {
    if (!this.#begin()) return;
    this.#connection.respond(this, head, changes, endStream);
  }

  answer(status: number, headers: readonly (readonly [name: string, value: string])[], body: string): void {
    if (!this.#begin()) return;
    this.#connection.answer(this, status, headers, body);
  }

  write(chunk: Buffer): number {
    if (this.#over || this.answered) return Took.All;
    this.bytesSent += chunk.length;
    return this.#connection.write(this, chunk);
  }

  end(trailers: Trailers): void {
    if (this.#over || this.answered || this.unanswered) return;
    this.#connection.end(this, trailers);
  }

  reset(_error: MeshError): void {
    this.#connection.reset(this);
  }

  // ---- of the connection ----

  get started(): boolean {
    return this.#handler !== null;
  }

  /** Body bytes; returns a mask of `Took`. */
  hand(slice: Buffer): number {
    this.bytesReceived += slice.length;
    return this.#handler!.onData(slice);
  }

  handEnd(trailers: Trailers): void {
    if (this.#bodyEnded || this.#over || this.#handler === null) return;
    this.#bodyEnded = true;
    this.#handler.onEnd(trailers);
  }

  /** A 101 went out: what follows is another body. */
  reopen(): void {
    this.#bodyEnded = false;
  }

  drained(): void {
    this.#handler?.onDrain();
  }

  /** The request ended other than well. */
  abort(error: MeshError, wasReset: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#aborted = { error, wasReset };
    if (this.#handler !== null) this.reportAbort();
    this.head.release();
  }

  /** For the tick alone. */
  reportAbort(): void {
    if (this.#aborted !== null) this.#handler?.onAbort(this.#aborted.error, this.#aborted.wasReset);
  }

  /** Nothing more happens. */
  finish(): void {
    this.#over = true;
    this.head.release();
  }

  /** True the first time. */
  #begin(): boolean {
    if (this.#over || !this.unanswered) return false;
    this.unanswered = false;
    return true;
  }
}

function reportAbort(request: H1IncomingRequest): void {
  request.reportAbort();
}
