// One CONNECT that a peer sent, until it is answered.
import { ErrorCode } from '../h2/constants.ts';
import { headerOf, joinedHeader } from '../h2/header-check.ts';
import { answeredEvents, type H2Stream, type StreamEvents } from '../h2/stream.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import type { SpiffeId } from '../model/types.ts';
import {
  baggageHeader,
  forwardedHeader,
  servesHeader,
  servesNode,
  timingHeader,
  timingVersion,
  traceparentHeader,
} from './names.ts';
import type { IncomingTunnel } from './types.ts';

export interface IncomingPeer {
  readonly identity: SpiffeId;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
}

/** The server's side of a CONNECT; a request with another method is one too, for the server to refuse. */
export class Incoming implements IncomingTunnel, StreamEvents {
  onAbort: (() => void) | null = null;
  readonly authority: string;
  readonly baggage: string;
  readonly forwarded: string;
  readonly traceparent: string;
  readonly isConnect: boolean;
  readonly #timed: boolean;
  readonly #stream: H2Stream;
  readonly #peer: IncomingPeer;
  #answered = false;

  constructor(stream: H2Stream, headers: readonly string[], peer: IncomingPeer) {
    this.#stream = stream;
    this.#peer = peer;
    this.isConnect = headerOf(headers, ':method') === 'CONNECT';
    this.authority = headerOf(headers, ':authority');
    this.baggage = joinedHeader(headers, baggageHeader);
    this.forwarded = headerOf(headers, forwardedHeader);
    this.traceparent = headerOf(headers, traceparentHeader);
    this.#timed = headerOf(headers, timingHeader) === timingVersion;
    stream.events = this;
  }

  onHeaders(): void {}

  onFailed(): void {
    if (this.#answered) return;
    this.#answered = true;
    this.onAbort?.();
  }

  get peerIdentity(): SpiffeId {
    return this.#peer.identity;
  }

  get remoteAddress(): string {
    return this.#peer.remoteAddress;
  }

  get remotePort(): number {
    return this.#peer.remotePort;
  }

  get localAddress(): string {
    return this.#peer.localAddress;
  }

  accept(baggage: string, timed = false, isForNode = true): ByteStream {
    if (!this.#answered) {
      this.#answered = true;
      const headers = [':status', '200'];
      if (isForNode) headers.push(servesHeader, servesNode);
      if (baggage !== '') headers.push(baggageHeader, baggage);
      if (timed && this.#timed) {
        headers.push(timingHeader, timingVersion);
        this.#stream.agreeOnTiming(0);
      }
      this.#stream.events = answeredEvents;
      this.#stream.respond(headers, false);
    }
    return this.#stream;
  }

  reject(status: 400 | 401 | 503): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#stream.respond([':status', String(status)], true);
    this.#stream.abort(ErrorCode.NoError);
  }
}
