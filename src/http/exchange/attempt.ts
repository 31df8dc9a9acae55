// One try of a request: from the wish for a connection to the end of the endpoint's answer. It tells its exchange what
// happens, and keeps apart what the exchange must not mix up: tries that are over say nothing any more.
import type { MeshError } from '../../base/errors.ts';
import { Took } from '../../io/byte-stream.ts';
import type { StreamTiming } from '../../io/stream-timing.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type {
  ClientConnection,
  ComposedRequest,
  Headers,
  HttpProtocol,
  OutgoingRequest,
  ResponseHandler,
  ResponseHead,
  Trailers,
} from '../message.ts';
import type { EndpointPool, PoolUser } from './endpoint-pool.ts';
import type { TimedTry } from './segments.ts';

/** Who makes tries. */
export interface AttemptOwner {
  compose(protocol: HttpProtocol): ComposedRequest;
  /** The head is on its way: the body may follow. */
  onSent(attempt: Attempt, outgoing: OutgoingRequest): void;
  /** The connection was dead before anything left on it: the body is needed again from its start. */
  onUnsent(attempt: Attempt): void;
  onInform(attempt: Attempt, status: number, headers: Headers): void;
  onAnswer(attempt: Attempt, head: ResponseHead, endStream: boolean): void;
  onAnswerData(chunk: Buffer): number;
  onAnswerEnd(attempt: Attempt, trailers: Trailers): void;
  onAnswerDrain(): void;
  onTryFailed(attempt: Attempt, error: MeshError, stage: 'connect' | 'exchange', unprocessed: boolean): void;
}

/** Body of a refused answer that is read to its end so that the connection can be used again. */
const discardBytesMax = 64 * 1024;

/** A try at one endpoint. */
export class Attempt implements ResponseHandler, PoolUser, TimedTry {
  readonly endpoint: Endpoint;
  /** When it began, and when the head of its answer came; 0 before. */
  readonly startedAtMs: number;
  headAtMs = 0;
  readonly #owner: AttemptOwner;
  readonly #pool: EndpointPool;
  #connection: ClientConnection | null = null;
  /** Requests that its connection had been given by then, it among them; 0 where others were under way. */
  #servedAlone = 0;
  #outgoing: OutgoingRequest | null = null;
  #state: 'waiting' | 'sent' | 'answering' | 'discarding' | 'over' = 'waiting';
  #reused = false;
  #secondConnection = false;
  #discarded = 0;

  constructor(owner: AttemptOwner, pool: EndpointPool, nowMs: number) {
    this.#owner = owner;
    this.#pool = pool;
    this.endpoint = pool.endpoint;
    this.startedAtMs = nowMs;
  }

  get outgoing(): OutgoingRequest | null {
    return this.#outgoing;
  }

  get timing(): StreamTiming | null {
    return this.#connection?.timing ?? null;
  }

  get alone(): boolean {
    return this.#connection?.served === this.#servedAlone;
  }

  /** Any byte of the request has left for the endpoint. */
  get bytesLeft(): boolean {
    return this.#outgoing?.bytesLeft ?? false;
  }

  begin(): void {
    this.#pool.acquire(this, false);
  }

  /** Gives the try up, at whatever point it is. */
  cancel(): void {
    if (this.#state === 'over') return;
    this.#pool.giveUp(this);
    this.#state = 'over';
    this.#outgoing?.cancel();
  }

  /** The answer is not wanted: a short one is read to its end, for the sake of the connection. */
  discard(head: ResponseHead, endStream: boolean, isRequestSent: boolean): void {
    const isShort = head.contentLength >= 0 && head.contentLength <= discardBytesMax;
    if (isRequestSent && (endStream || isShort)) this.#state = endStream ? 'over' : 'discarding';
    else this.cancel();
  }

  // ---- told by the pool ----

  onConnection(connection: ClientConnection, reused: boolean): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'sent';
    this.#reused = reused;
    const outgoing = connection.send(this.#owner.compose(connection.protocol), this);
    this.#outgoing = outgoing;
    this.#connection = connection;
    this.#servedAlone = connection.active === 1 ? connection.served : 0;
    this.#owner.onSent(this, outgoing);
  }

  onNoConnection(error: MeshError): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'over';
    this.#owner.onTryFailed(this, error, 'connect', true);
  }

  // ---- told by the connection ----

  onInform(status: number, headers: Headers): void {
    if (this.#state === 'sent') this.#owner.onInform(this, status, headers);
  }

  onHead(head: ResponseHead, endStream: boolean): void {
    if (this.#state !== 'sent') return;
    this.#state = 'answering';
    this.#owner.onAnswer(this, head, endStream);
  }

  onData(chunk: Buffer): number {
    if (this.#state === 'answering') return this.#owner.onAnswerData(chunk);
    if (this.#state === 'discarding') {
      this.#discarded += chunk.length;
      if (this.#discarded > discardBytesMax) this.cancel();
    }
    return Took.All;
  }

  onEnd(trailers: Trailers): void {
    const before = this.#state;
    this.#state = 'over';
    if (before === 'answering') this.#owner.onAnswerEnd(this, trailers);
  }

  onDrain(): void {
    if (this.#state !== 'over' && this.#state !== 'discarding') this.#owner.onAnswerDrain();
  }

  onFailure(error: MeshError, unprocessed: boolean): void {
    const before = this.#state;
    if (before === 'over' || before === 'discarding') {
      this.#state = 'over';
      return;
    }
    if (before === 'sent' && unprocessed && this.#reused && !this.#secondConnection) {
      // It had died while it was idle: that is no try of the endpoint. A fresh connection will tell.
      this.#secondConnection = true;
      this.#state = 'waiting';
      this.#outgoing = null;
      this.#owner.onUnsent(this);
      if (this.#isWaiting()) this.#pool.acquire(this, true);
      return;
    }
    this.#state = 'over';
    this.#owner.onTryFailed(this, error, 'exchange', unprocessed);
  }

  #isWaiting(): boolean {
    return this.#state === 'waiting';
  }
}
