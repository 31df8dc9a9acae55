// One request of an HTTP/2 client, until its exchange is over: a stream of the session as `IncomingRequest`. The object
// itself is the stream's handler, so that a chunk costs no closure.
import type { MeshError } from '../../base/errors.ts';
import { ErrorCode } from '../../h2/constants.ts';
import type { H2Stream, StreamEvents } from '../../h2/stream.ts';
import { type ByteStreamHandler, Took } from '../../io/byte-stream.ts';
import { grpcAnswer } from '../grpc.ts';
import type {
  HeadChanges,
  Headers,
  IncomingRequest,
  RequestHandler,
  RequestHead,
  ResponseHead,
  Trailers,
} from '../message.ts';
import { responseList, trailerList, trailerPairs } from './compose.ts';

/** A request on `stream`; made by the server connection alone. */
export class H2Incoming implements IncomingRequest, StreamEvents, ByteStreamHandler {
  readonly head: RequestHead;
  readonly startedAtMs: number = performance.now();
  readonly #stream: H2Stream;
  #handler: RequestHandler | null = null;
  #trailers: Trailers = null;
  #over = false;

  /** `endStream`: the request has no body. */
  constructor(stream: H2Stream, head: RequestHead, endStream: boolean) {
    this.#stream = stream;
    this.head = head;
    stream.events = this;
    // What the client still sends for an exchange that is answered in full is not waited for (RFC 9113 §8.1).
    stream.resetsAfterEnd = !endStream;
  }

  get unanswered(): boolean {
    return !this.#stream.headersSent;
  }

  get bytesReceived(): number {
    return this.#stream.bytesRead;
  }

  get bytesSent(): number {
    return this.#stream.bytesWritten;
  }

  start(handler: RequestHandler): void {
    const first = this.#handler === null;
    this.#handler = handler;
    if (!first) return;
    this.#stream.start(this);
    if (this.#isHeld) this.#stream.pause();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#isHeld) this.#stream.resume();
  }

  inform(status: number, headers: Headers | null): void {
    const list = [':status', String(status)];
    headers?.each((name, value) => list.push(name.toLowerCase(), value));
    this.#stream.inform(list);
  }

  respond(head: ResponseHead, changes: HeadChanges | null, endStream: boolean): void {
    const wasHeld = this.#isHeld;
    this.#stream.respond(responseList(head, changes), endStream);
    if (wasHeld) this.#stream.resume();
  }

  answer(status: number, headers: readonly (readonly [name: string, value: string])[], body: string): void {
    if (this.head.grpc) {
      this.#stream.respond([':status', '200', ...grpcAnswer(status, headers, body).flat()], true);
      return;
    }
    const bytes = Buffer.from(body);
    const list = [':status', String(status), ...headers.flat()];
    if (status !== 204 && status !== 304) list.push('content-length', String(bytes.length));
    const bodiless = bytes.length === 0 || this.head.method === 'HEAD';
    this.#stream.respond(list, bodiless);
    if (bodiless) return;
    this.#stream.write(bytes);
    this.#stream.end();
  }

  write(chunk: Buffer): number {
    return this.#stream.write(chunk);
  }

  end(trailers: Trailers): void {
    const list = trailerList(trailers);
    if (list === null) this.#stream.end();
    else this.#stream.endWith(list);
  }

  reset(_error: MeshError): void {
    this.#over = true;
    this.#stream.abort(ErrorCode.InternalError);
  }

  /** What a client sends for the other protocol before anybody has taken to it. */
  get #isHeld(): boolean {
    return this.head.upgrade !== null && !this.#stream.headersSent;
  }

  // ---- for the stream ----

  onHeaders(_stream: H2Stream, headers: readonly string[]): void {
    this.#trailers = trailerPairs(headers);
  }

  onFailed(_stream: H2Stream, failure: { readonly error: MeshError }): void {
    if (this.#handler !== null) this.onClose(failure.error, true);
  }

  onData(chunk: Buffer): number {
    return this.#over ? Took.All : this.#handler!.onData(chunk);
  }

  onEnd(): void {
    if (!this.#over) this.#handler!.onEnd(this.#trailers);
  }

  onDrain(): void {
    if (!this.#over) this.#handler!.onDrain();
  }

  onClose(error: Error | null, wasReset: boolean): void {
    if (this.#over) return;
    this.#over = true;
    if (error !== null) this.#handler!.onAbort(error as MeshError, wasReset);
  }
}
