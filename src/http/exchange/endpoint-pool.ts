// The connections to one endpoint in one protocol. HTTP/1.1: a stack of idle ones, the one used last on top, so that
// those not needed grow old and go. HTTP/2: a few, the one with the fewest streams first. Who finds none waits, within
// limits, for one that is opened or comes free.
import { MeshError } from '../../base/errors.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import { DeadlineEntry, type Deadlines } from '../../io/deadlines.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { ClientConnection, ClientConnectionEvents, HttpProtocol } from '../message.ts';
import type { BreakerLimit, Breakers } from '../resilience/breakers.ts';

/** Who wants a connection: told once, unless it gives up. `reused`: it has served before, so it may be dead. */
export interface PoolUser {
  onConnection(connection: ClientConnection, reused: boolean): void;
  onNoConnection(error: MeshError): void;
}

/** What the pools of a destination share. */
export interface PoolEnvironment {
  readonly serviceName: string;
  readonly breakers: Breakers;
  /** A connection without a request is closed when this has passed `idleLooks` times. */
  readonly idle: Deadlines;
  readonly http2ConnectionsMax: number;
  open(endpoint: Endpoint, callback: (error: MeshError | null, stream: ByteStream | null) => void): () => void;
  speak(protocol: HttpProtocol, stream: ByteStream, events: ClientConnectionEvents, peer: string): ClientConnection;
}

/** Connections are looked at so often per idle time-out; a request only clears what was seen. */
export const idleLooks = 4;
/** HTTP/2: with this many streams on each, another connection is opened, as long as there may be one. */
const streamsBeforeAnother = 100;

/** A connection as its pool knows it. */
class Pooled implements ClientConnectionEvents {
  readonly connection: ClientConnection;
  readonly #pool: EndpointPool;
  /** It has a place among `maxConnections`. */
  readonly isCounted: boolean;
  isIdle = false;
  looks = 0;

  constructor(pool: EndpointPool, stream: ByteStream, environment: PoolEnvironment, isCounted: boolean) {
    this.isCounted = isCounted;
    this.#pool = pool;
    this.connection = environment.speak(pool.protocol, stream, this, pool.endpoint.title);
  }

  onFree(): void {
    this.#pool.freed(this);
  }

  onClose(): void {
    this.#pool.closed(this);
  }
}

/** Connections to one endpoint. */
export class EndpointPool extends DeadlineEntry {
  readonly endpoint: Endpoint;
  readonly protocol: HttpProtocol;
  readonly #environment: PoolEnvironment;
  readonly #open = new Set<Pooled>();
  /** HTTP/1.1 alone; the last is the one used last. */
  readonly #idle: Pooled[] = [];
  readonly #waiting: PoolUser[] = [];
  readonly #opening = new Set<Opening>();
  #closing = false;

  constructor(endpoint: Endpoint, protocol: HttpProtocol, environment: PoolEnvironment) {
    super();
    this.endpoint = endpoint;
    this.protocol = protocol;
    this.#environment = environment;
  }

  /** Open ones, and those that are being opened. */
  get connections(): number {
    return this.#open.size + this.#opening.size;
  }

  /** Calls `user` back at once or later. With `fresh`, no connection that has served before. */
  acquire(user: PoolUser, fresh: boolean): void {
    const found = fresh ? null : this.#take();
    if (found !== null) {
      user.onConnection(found.connection, found.connection.served > 0);
      return;
    }
    if (this.#closing) {
      user.onNoConnection(this.#gone());
      return;
    }
    const { breakers } = this.#environment;
    if (!breakers.tryAcquire('maxPendingRequests')) {
      user.onNoConnection(this.#overflow('maxPendingRequests'));
      return;
    }
    this.#waiting.push(user);
    this.#openAsNeeded();
  }

  /** `user` waits no more. */
  giveUp(user: PoolUser): void {
    const at = this.#waiting.indexOf(user);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#environment.breakers.release('maxPendingRequests');
  }

  /** The endpoint has gone: what is idle closes now, what is busy when it is done, and who waits is told. */
  close(): void {
    this.#closing = true;
    this.deadlineList?.lift(this);
    for (const pooled of [...this.#open]) {
      if (pooled.connection.active === 0) pooled.connection.destroy();
      else pooled.connection.drain();
    }
    for (const opening of [...this.#opening]) opening.cancel();
    this.#failWaiting(this.#gone(), this.#waiting.length);
  }

  /** Everything at once. */
  destroy(): void {
    this.close();
    for (const pooled of [...this.#open]) pooled.connection.destroy();
  }

  /** A look at the connections: those that were idle at several in a row are closed. */
  onDeadline(): void {
    let isAnyIdle = false;
    for (const pooled of [...this.#open]) {
      if (!pooled.isIdle) continue;
      if (++pooled.looks > idleLooks) pooled.connection.destroy();
      else isAnyIdle = true;
    }
    if (isAnyIdle) this.#environment.idle.set(this);
  }

  // ---- told by connections ----

  freed(pooled: Pooled): void {
    const { connection } = pooled;
    if (!this.#open.has(pooled)) return;
    // What it has goes on; who waits gets another one.
    if (connection.retired) this.#openAsNeeded();
    if (connection.room <= 0) return;
    if (this.#closing || this.#isUsedUp(connection)) {
      if (connection.active === 0) connection.destroy();
      else connection.drain();
      return;
    }
    this.#serveWaiting(pooled);
    if (connection.active === 0) this.#rest(pooled);
  }

  closed(pooled: Pooled): void {
    if (!this.#open.delete(pooled)) return;
    this.#unrest(pooled);
    if (pooled.isCounted) this.#environment.breakers.release('maxConnections');
    this.#openAsNeeded();
  }

  // ---- told by openings ----

  opened(opening: Opening, error: MeshError | null, stream: ByteStream | null): void {
    this.#opening.delete(opening);
    if (stream === null) {
      if (opening.isCounted) this.#environment.breakers.release('maxConnections');
      // Each connection was opened for one that waits; many may wait for one of HTTP/2.
      this.#failWaiting(MeshError.from(error), this.protocol === 'http2' ? this.#waiting.length : 1);
      this.#openAsNeeded();
      return;
    }
    const pooled = new Pooled(this, stream, this.#environment, opening.isCounted);
    this.#open.add(pooled);
    this.#serveWaiting(pooled);
    if (pooled.connection.active === 0) this.#rest(pooled);
  }

  cancelled(opening: Opening): void {
    this.#opening.delete(opening);
    if (opening.isCounted) this.#environment.breakers.release('maxConnections');
  }

  // ---- inside ----

  #take(): Pooled | null {
    if (this.protocol === 'http1') {
      const pooled = this.#idle.pop() ?? null;
      if (pooled === null) return null;
      pooled.isIdle = false;
      return pooled;
    }
    let best: Pooled | null = null;
    for (const pooled of this.#open) {
      const { connection } = pooled;
      if (connection.room <= 0 || this.#isUsedUp(connection)) continue;
      if (best === null || connection.active < best.connection.active) best = pooled;
    }
    if (best === null) return null;
    if (best.connection.active >= streamsBeforeAnother && this.#opening.size === 0) this.#openAnother();
    this.#unrest(best);
    return best;
  }

  #serveWaiting(pooled: Pooled): void {
    const { connection } = pooled;
    while (connection.room > 0 && this.#waiting.length > 0 && !this.#isUsedUp(connection)) {
      this.#unrest(pooled);
      const user = this.#waiting.shift()!;
      this.#environment.breakers.release('maxPendingRequests');
      user.onConnection(connection, connection.served > 0);
    }
  }

  #rest(pooled: Pooled): void {
    if (pooled.isIdle || !this.#open.has(pooled)) return;
    pooled.isIdle = true;
    pooled.looks = 0;
    if (this.protocol === 'http1') this.#idle.push(pooled);
    if (this.deadlineList === null) this.#environment.idle.set(this);
  }

  #unrest(pooled: Pooled): void {
    if (!pooled.isIdle) return;
    pooled.isIdle = false;
    const at = this.#idle.lastIndexOf(pooled);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #isUsedUp(connection: ClientConnection): boolean {
    const max = this.#environment.breakers.policy.maxRequestsPerConnection;
    return max > 0 && connection.served >= max;
  }

  #openAsNeeded(): void {
    if (this.#closing) return;
    const isMultiplexed = this.protocol === 'http2';
    while (this.#opening.size < (isMultiplexed ? Math.min(this.#waiting.length, 1) : this.#waiting.length)) {
      if (!this.#openAnother()) return;
    }
  }

  #openAnother(): boolean {
    const { breakers, http2ConnectionsMax } = this.#environment;
    if (this.protocol === 'http2' && this.#lasting() >= http2ConnectionsMax) return false;
    const isCounted = breakers.tryAcquire('maxConnections');
    // At the limit because of other endpoints: one is allowed all the same, or who waits here would wait for ever.
    if (!isCounted && this.connections > 0) return false;
    const opening = new Opening(this, isCounted);
    this.#opening.add(opening);
    opening.begin(this.#environment);
    return true;
  }

  /** Connections that take requests, now or later, and those being opened. */
  #lasting(): number {
    let count = this.#opening.size;
    for (const { connection } of this.#open) if (!connection.retired) count++;
    return count;
  }

  #failWaiting(error: MeshError, count: number): void {
    for (const user of this.#waiting.splice(0, count)) {
      this.#environment.breakers.release('maxPendingRequests');
      user.onNoConnection(error);
    }
  }

  #gone(): MeshError {
    return new MeshError('WORKLOAD_GONE', { workload: this.endpoint.title });
  }

  #overflow(limit: BreakerLimit): MeshError {
    const { breakers, serviceName } = this.#environment;
    return new MeshError('UPSTREAM_OVERFLOW', { limit, value: breakers.policy[limit], service: serviceName });
  }
}

/** A connection that is being opened. */
class Opening {
  readonly #pool: EndpointPool;
  readonly isCounted: boolean;
  #giveUp: (() => void) | null = null;
  #over = false;

  constructor(pool: EndpointPool, isCounted: boolean) {
    this.#pool = pool;
    this.isCounted = isCounted;
  }

  begin(environment: PoolEnvironment): void {
    const giveUp = environment.open(this.#pool.endpoint, (error, stream) => {
      if (this.#over) {
        stream?.destroy();
        return;
      }
      this.#over = true;
      this.#pool.opened(this, error, stream);
    });
    if (!this.#over) this.#giveUp = giveUp;
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#giveUp?.();
    this.#pool.cancelled(this);
  }
}
