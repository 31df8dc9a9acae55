// One `open` of the pool, from the request to the peer's answer, over at most two sessions.
import { MeshError } from '../base/errors.ts';
import { headerOf, joinedHeader } from '../h2/header-check.ts';
import { answeredEvents, type H2Stream, type StreamEvents, type StreamFailure } from '../h2/stream.ts';
import { DeadlineEntry } from '../io/deadlines.ts';
import {
  baggageHeader,
  forwardedHeader,
  servesHeader,
  servesNode,
  timingHeader,
  timingVersion,
  traceparentHeader,
} from './names.ts';
import { type PooledSession, startError } from './pooled-session.ts';
import type { TunnelOpened, TunnelRequest } from './types.ts';

/** What an attempt needs of the pool. */
export interface AttemptOwner {
  /** The peer serves every pod of its identity on its node. */
  servesNode(entry: PooledSession): void;
  /** Finds another session for it, not `entry`. */
  retry(attempt: Attempt, entry: PooledSession): void;
  /** The attempt is over, whatever came of it. */
  settled(attempt: Attempt): void;
}

/** One request for a stream. Its callback is called once, unless `cancel` comes first. */
export class Attempt extends DeadlineEntry implements StreamEvents {
  readonly request: TunnelRequest;
  /** The session it waits for, or has a stream on. */
  entry: PooledSession | null = null;
  retried = false;
  reused = false;
  done = false;
  readonly #owner: AttemptOwner;
  readonly #callback: (error: MeshError | null, opened: TunnelOpened | null) => void;
  readonly #startedAtMs: number = performance.now();
  #stream: H2Stream | null = null;

  constructor(
    request: TunnelRequest,
    owner: AttemptOwner,
    callback: (error: MeshError | null, opened: TunnelOpened | null) => void,
  ) {
    super();
    this.request = request;
    this.#owner = owner;
    this.#callback = callback;
  }

  /** Sends CONNECT on `entry`; false when it takes no stream. */
  begin(entry: PooledSession): boolean {
    const { request } = this;
    const headers = [':method', 'CONNECT', ':authority', request.authority];
    if (request.baggage !== '') headers.push(baggageHeader, request.baggage);
    if (request.forwarded !== '') headers.push(forwardedHeader, request.forwarded);
    if (request.traceparent !== '') headers.push(traceparentHeader, request.traceparent);
    if (request.timed === true) headers.push(timingHeader, timingVersion);
    this.entry = entry;
    this.reused = entry.streamsOpened > 0;
    this.#stream = entry.open(headers, this);
    return this.#stream !== null;
  }

  onHeaders(stream: H2Stream, headers: readonly string[]): void {
    if (this.done) return;
    const status = headerOf(headers, ':status');
    const entry = this.entry!;
    if (status !== '200') {
      this.#stream = null;
      stream.destroy();
      const { authority } = this.request;
      this.fail(new MeshError('TUNNEL_REJECTED', { address: entry.address, status: Number(status), authority }));
      return;
    }
    if (headerOf(headers, servesHeader) === servesNode) this.#owner.servesNode(entry);
    if (this.request.timed === true && headerOf(headers, timingHeader) === timingVersion) {
      stream.agreeOnTiming(performance.now() - this.#startedAtMs);
    }
    this.#settle();
    stream.events = answeredEvents; // a stream outlives by far what it took to open it
    this.#callback(null, {
      stream,
      baggage: joinedHeader(headers, baggageHeader),
      peerIdentity: entry.peerIdentity,
      reusedSession: this.reused,
    });
  }

  onFailed(_stream: H2Stream, failure: StreamFailure): void {
    if (this.done) return;
    const entry = this.entry!;
    this.#stream = null;
    // No byte of the client was sent yet. A session that had been in use and is found dead says nothing about the peer.
    const stale = this.reused && failure.error.code === 'TUNNEL_LOST';
    if ((failure.retryable || stale) && !this.retried) {
      this.retried = true;
      this.#owner.retry(this, entry);
      return;
    }
    this.fail(entry.ready ? failure.error : startError(failure.error, entry.address));
  }

  fail(error: MeshError): void {
    if (this.done) return;
    this.#settle();
    this.#callback(error, null);
  }

  /** The caller has lost interest: no callback from now on. */
  cancel(): void {
    if (this.done) return;
    this.#settle();
    this.#stream?.destroy();
  }

  /** The whole time is up: what it was spent on says who did not answer. */
  onDeadline(): void {
    if (this.done) return;
    const { timeoutMs, authority } = this.request;
    const address = this.entry?.address ?? authority;
    const stream = this.#stream;
    this.#stream = null;
    let error = new MeshError('TUNNEL_CONNECT_TIMEOUT', { address, timeoutMs });
    if (stream !== null && this.entry?.ready === true) {
      error = new MeshError('CONNECT_TIMEOUT', { address: `${authority} by way of ${address}`, timeoutMs });
    } else if (stream !== null) {
      error = new MeshError('H2_HANDSHAKE', { address, reason: `no SETTINGS in ${timeoutMs} ms` });
    } else if (this.entry?.tcpConnected === true) {
      error = new MeshError('TLS_FAILED', { address, reason: `no end of the handshake in ${timeoutMs} ms` });
    }
    this.fail(error);
    stream?.destroy();
  }

  #settle(): void {
    this.done = true;
    this.deadlineList?.lift(this);
    this.#owner.settled(this);
  }
}
