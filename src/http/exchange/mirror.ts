// A copy of a request to somewhere else, whose answer nobody reads. It never holds the request up: what the mirror
// cannot take at once waits in memory up to a limit, and beyond it the mirror is given up.
import type { MeshError } from '../../base/errors.ts';
import { Took } from '../../io/byte-stream.ts';
import type { Destination } from '../balance/destination.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { ClientConnection, ComposedRequest, OutgoingRequest, ResponseHandler, Trailers } from '../message.ts';
import type { EndpointPool, PoolUser } from './endpoint-pool.ts';
import { ExchangeTimer } from './exchange-timers.ts';

/** Who makes mirrors. */
export interface MirrorOwner {
  readonly mirrorBodyBytes: number;
  /** How long one may take in all. */
  readonly mirrorTimeoutMs: number;
  onMirrorEnd(mirror: Mirror, isWhole: boolean): void;
  deadline(timer: ExchangeTimer, ms: number): void;
}

/** One mirrored request. */
export class Mirror implements ResponseHandler, PoolUser {
  readonly #owner: MirrorOwner;
  readonly #destination: Destination;
  readonly #endpoint: Endpoint;
  readonly #pool: EndpointPool;
  readonly #request: ComposedRequest;
  readonly #timer = new ExchangeTimer({ onTimer: () => this.giveUp() }, 'request');
  #outgoing: OutgoingRequest | null = null;
  #kept: Buffer[] = [];
  #waitingBytes = 0;
  #blocked = true;
  #ended: { readonly trailers: Trailers } | null = null;
  #over = false;

  constructor(owner: MirrorOwner, destination: Destination, pool: EndpointPool, request: ComposedRequest) {
    this.#owner = owner;
    this.#destination = destination;
    this.#endpoint = pool.endpoint;
    this.#pool = pool;
    this.#request = request;
  }

  begin(): void {
    this.#destination.begin(this.#endpoint);
    this.#owner.deadline(this.#timer, this.#owner.mirrorTimeoutMs);
    if (this.#request.contentLength === 0) this.#ended = { trailers: null };
    this.#pool.acquire(this, false);
  }

  /** Body as it comes; the memory is the caller's again afterwards. */
  write(chunk: Buffer): void {
    if (this.#over) return;
    const copy = Buffer.from(chunk);
    if (this.#outgoing !== null && !this.#blocked) {
      this.#blocked = (this.#outgoing.write(copy) & Took.Pause) !== 0;
      return;
    }
    this.#waitingBytes += copy.length;
    if (this.#waitingBytes > this.#owner.mirrorBodyBytes) {
      this.giveUp();
      return;
    }
    this.#kept.push(copy);
  }

  end(trailers: Trailers): void {
    this.#ended ??= { trailers };
    if (this.#outgoing !== null && this.#kept.length === 0) this.#outgoing.end(trailers);
  }

  /** The request it copies broke off, it takes too much, or too long. */
  giveUp(): void {
    if (this.#over) return;
    this.#pool.giveUp(this);
    this.#outgoing?.cancel();
    this.#finish(false);
  }

  onConnection(connection: ClientConnection): void {
    if (this.#over) return;
    this.#outgoing = connection.send(this.#request, this);
    this.#blocked = false;
    this.#flush();
  }

  onNoConnection(_error: MeshError): void {
    this.#finish(false);
  }

  onDrain(): void {
    this.#blocked = false;
    this.#flush();
  }

  onInform(): void {}

  onHead(): void {}

  onData(): number {
    return Took.All;
  }

  onEnd(): void {
    if (this.#ended === null) this.#outgoing?.cancel();
    this.#finish(true);
  }

  onFailure(): void {
    this.#finish(false);
  }

  #flush(): void {
    const outgoing = this.#outgoing!;
    while (this.#kept.length > 0 && !this.#blocked) {
      const chunk = this.#kept.shift()!;
      this.#waitingBytes -= chunk.length;
      this.#blocked = (outgoing.write(chunk) & Took.Pause) !== 0;
    }
    if (this.#kept.length === 0 && this.#ended !== null) outgoing.end(this.#ended.trailers);
  }

  #finish(isWhole: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#kept = [];
    this.#timer.lift();
    this.#destination.end(this.#endpoint);
    this.#owner.onMirrorEnd(this, isWhole);
  }
}
