// The HBONE server: TLS and HTTP/2 on connections that the inbound listener accepted, CONNECT streams handed on.
import type { Socket } from 'node:net';
import { MeshError } from '../base/errors.ts';
import { canonicalIp } from '../base/ip.ts';
import { ErrorCode } from '../h2/constants.ts';
import { H2Session } from '../h2/session.ts';
import { tryParseSpiffeId } from '../identity/spiffe.ts';
import type { TlsConnected } from '../io/connect-tls.ts';
import { serveTls } from '../io/serve-tls.ts';
import type { PeerCertificate } from '../io/tls-peer.ts';
import type { SpiffeId } from '../model/types.ts';
import { atExpiry, expired } from './expiry.ts';
import { Incoming, type IncomingPeer } from './incoming.ts';
import { type Revocations, revokedFault } from './revoked.ts';
import type { IncomingTunnel, TunnelCredentials } from './types.ts';

/** Limits and times are read when they are needed: the object may change them. */
export interface TunnelServerOptions {
  /** From accept to the end of the TLS handshake. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** CONNECT streams at once per session, announced to the peer. Default 256. */
  readonly streamsPerSession?: number;
  /** TLS handshakes at once; a connection above it is reset. Default 1024. */
  readonly handshakesLimit?: number;
  /** TLS handshakes at once with one address; a connection above it is reset. Default 128. */
  readonly handshakesPerSourceLimit?: number;
  /** Sessions at once; a connection above it is reset. Default 16,384. */
  readonly sessionsLimit?: number;
  /** What a stream may hold that nobody reads: the largest that its window grows to. Default 4 MiB. */
  readonly streamWindowBytes?: number;
  /** Keepalive PING and how long its answer may take; defaults 10 s and 20 s. 0 sends none. */
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  /** Certificates of peers that count no more. */
  readonly revocations?: Revocations;
  /** Whether the address, as the kernel says it, is on this machine. Default: none is. */
  readonly isLocal?: (address: string) => boolean;
  /**
   * A connection failed before it could carry a stream, for one access-log line: `TLS_FAILED`, `PEER_IDENTITY`,
   * `CERTIFICATE_REVOKED`,
   * `H2_HANDSHAKE`, `H2_PROTOCOL` or `LIMIT_REACHED`.
   */
  readonly onHandshakeError?: (error: MeshError, remoteAddress: string, localAddress: string) => void;
}

export interface TunnelServerStats {
  readonly sessions: number;
  readonly streams: number;
  readonly handshakes: number;
  readonly sessionsAccepted: number;
  readonly streamsAccepted: number;
}

/** Serves HBONE on accepted connections. One per data thread. */
export interface TunnelServer {
  /**
   * Takes over `rawSocket` (accepted with `pauseOnConnect`), with the certificate of the pod it was accepted for.
   * `onTunnel` is called once per CONNECT; it answers with `accept` or `reject`, at once or later.
   */
  accept(rawSocket: Socket, credentials: TunnelCredentials, onTunnel: (tunnel: IncomingTunnel) => void): void;
  stats(): TunnelServerStats;
  /** The revocations have changed: sessions with a peer whose certificate counts no more end at once. */
  recheck(): void;
  /** GOAWAY to every peer of sessions made to this address, whose pod has gone; what runs on them finishes. */
  drainAddress(address: string): void;
  /** GOAWAY to every peer; resolves when the last session has ended or `deadlineMs` has passed, whichever is first. */
  drain(deadlineMs: number): Promise<void>;
  close(): void;
}

/** Returns a server; it listens on nothing by itself. */
export function createTunnelServer(options: TunnelServerOptions = {}): TunnelServer {
  return new HboneServer(options);
}

const defaults = {
  handshakeTimeoutMs: 10_000,
  streamsPerSession: 256,
  handshakesLimit: 1024,
  handshakesPerSourceLimit: 128,
  sessionsLimit: 16_384,
} as const;
const serverHeaderListBytes = 64 * 1024;

/** Whom a session was accepted from, by what certificate, and at which address. */
interface AcceptedFrom {
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly certificate: PeerCertificate;
}

class HboneServer implements TunnelServer {
  readonly #options: TunnelServerOptions;
  readonly #sessions = new Map<H2Session, AcceptedFrom>();
  /** Handshakes under way: what gives each of them up. */
  readonly #handshakes = new Set<() => void>();
  /** How many of them by the peer's address. */
  readonly #handshakesBySource = new Map<string, number>();
  #sessionsAccepted = 0;
  #streamsAccepted = 0;
  #draining = false;
  #closed = false;
  #onEmpty: (() => void) | null = null;

  constructor(options: TunnelServerOptions) {
    this.#options = options;
  }

  accept(rawSocket: Socket, credentials: TunnelCredentials, onTunnel: (tunnel: IncomingTunnel) => void): void {
    const remoteAddress = rawSocket.remoteAddress ?? '';
    const localAddress = rawSocket.localAddress ?? '';
    const peer: Omit<IncomingPeer, 'identity'> = { remoteAddress, remotePort: rawSocket.remotePort ?? 0, localAddress };
    const refusal = this.#refusal(remoteAddress);
    // One that was accepted before a drain is served like any other, and told of the drain when it is up.
    if (this.#closed || refusal !== null) {
      rawSocket.on('error', () => undefined);
      rawSocket.resetAndDestroy();
      if (refusal !== null) this.#options.onHandshakeError?.(refusal, remoteAddress, localAddress);
      return;
    }
    const handshakeTimeoutMs = this.#options.handshakeTimeoutMs ?? defaults.handshakeTimeoutMs;
    const { secureContext } = credentials;
    const isLocal = this.#options.isLocal?.(remoteAddress) ?? false;
    const cancel = serveTls(
      rawSocket,
      { secureContext, handshakeTimeoutMs, address: remoteAddress, isLocal },
      (error, connected) => {
        this.#handshakes.delete(cancel);
        this.#countHandshake(remoteAddress, -1);
        const fault = error ?? this.#faultOf(connected!.certificate, credentials, remoteAddress);
        if (fault === null) {
          this.#serve(connected!, { ...peer, identity: firstIdentity(connected!.certificate.uris)! }, onTunnel);
          return;
        }
        connected?.stream.destroy();
        this.#options.onHandshakeError?.(fault, remoteAddress, localAddress);
      },
    );
    this.#handshakes.add(cancel);
    this.#countHandshake(remoteAddress, 1);
  }

  stats(): TunnelServerStats {
    let streams = 0;
    for (const session of this.#sessions.keys()) streams += session.streamCount;
    return {
      sessions: this.#sessions.size,
      streams,
      handshakes: this.#handshakes.size,
      sessionsAccepted: this.#sessionsAccepted,
      streamsAccepted: this.#streamsAccepted,
    };
  }

  recheck(): void {
    for (const [session, { certificate, remoteAddress }] of [...this.#sessions]) {
      const fault = revokedFault(this.#options.revocations, certificate, remoteAddress);
      if (fault !== null) session.close(fault, ErrorCode.InadequateSecurity);
    }
  }

  drainAddress(address: string): void {
    for (const [session, { localAddress }] of [...this.#sessions]) {
      if (canonicalIp(localAddress) === address) session.drain();
    }
  }

  drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    for (const session of [...this.#sessions.keys()]) session.drain();
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    this.#draining = true;
    this.#closed = true;
    for (const cancel of [...this.#handshakes]) cancel();
    this.#handshakes.clear();
    for (const session of [...this.#sessions.keys()]) session.close();
  }

  #faultOf(certificate: PeerCertificate, credentials: TunnelCredentials, address: string): MeshError | null {
    return (
      identityFault(certificate, credentials, address) ?? revokedFault(this.#options.revocations, certificate, address)
    );
  }

  #countHandshake(source: string, change: 1 | -1): void {
    const count = (this.#handshakesBySource.get(source) ?? 0) + change;
    if (count === 0) this.#handshakesBySource.delete(source);
    else this.#handshakesBySource.set(source, count);
  }

  #refusal(what: string): MeshError | null {
    const handshakes = this.#options.handshakesLimit ?? defaults.handshakesLimit;
    const perSource = this.#options.handshakesPerSourceLimit ?? defaults.handshakesPerSourceLimit;
    const sessions = this.#options.sessionsLimit ?? defaults.sessionsLimit;
    const reached = (limit: string, value: number) => new MeshError('LIMIT_REACHED', { limit, value, what });
    if (this.#handshakes.size >= handshakes) return reached('handshakesMax', handshakes);
    if ((this.#handshakesBySource.get(what) ?? 0) >= perSource) return reached('handshakesPerSourceMax', perSource);
    return this.#sessions.size >= sessions ? reached('acceptedSessionsMax', sessions) : null;
  }

  #serve(connected: TlsConnected, peer: IncomingPeer, onTunnel: (tunnel: IncomingTunnel) => void): void {
    const options = this.#options;
    const { certificate } = connected;
    let ready = false;
    const session: H2Session = new H2Session({
      role: 'server',
      transport: connected.stream,
      peer: peer.remoteAddress,
      settings: {
        maxConcurrentStreams: options.streamsPerSession ?? defaults.streamsPerSession,
        maxHeaderListBytes: serverHeaderListBytes,
      },
      ...(options.streamWindowBytes === undefined ? {} : { streamWindowMaxBytes: options.streamWindowBytes }),
      ...(options.pingIntervalMs === undefined ? {} : { pingIntervalMs: options.pingIntervalMs }),
      ...(options.pingTimeoutMs === undefined ? {} : { pingTimeoutMs: options.pingTimeoutMs }),
      events: {
        onStream: (stream, headers) => {
          this.#streamsAccepted++;
          const incoming = new Incoming(stream, headers, peer);
          if (incoming.isConnect) onTunnel(incoming);
          else incoming.reject(400);
        },
        onReady: () => {
          ready = true;
        },
        onCapacity: () => undefined,
        onRetired: () => undefined,
        onClose: (error) => {
          stopWaiting();
          this.#sessions.delete(session);
          if (!ready) options.onHandshakeError?.(notStarted(error, peer), peer.remoteAddress, peer.localAddress);
          if (this.#sessions.size === 0) this.#onEmpty?.();
        },
      },
    });
    const stopWaiting = atExpiry(certificate.notAfterMs, () => session.close(expired));
    const { localAddress, remoteAddress } = peer;
    this.#sessions.set(session, { localAddress, remoteAddress, certificate });
    this.#sessionsAccepted++;
    session.start();
    if (this.#draining) session.drain();
  }
}

function notStarted(error: MeshError | null, peer: IncomingPeer): MeshError {
  const reason = error?.message ?? 'the peer closed the connection';
  return new MeshError('H2_HANDSHAKE', { address: peer.remoteAddress, reason }, { cause: error });
}

/** The identity that policy and logs see: the first URI SAN that is a SPIFFE id. */
function firstIdentity(uris: readonly SpiffeId[]): SpiffeId | null {
  return uris.find((uri) => tryParseSpiffeId(uri) !== null) ?? null;
}

/** A client of another trust domain, or without an identity, gets no further than TLS (ambient-l4 §1.2). */
function identityFault({ uris }: PeerCertificate, credentials: TunnelCredentials, address: string): MeshError | null {
  const identity = firstIdentity(uris);
  const trustDomain = identity === null ? '' : tryParseSpiffeId(identity)!.trustDomain;
  if (identity !== null && trustDomain === credentials.trustDomain) return null;
  const actual = identity ?? 'a certificate without a SPIFFE id';
  return new MeshError('PEER_IDENTITY', { address, actual, expected: `an identity of ${credentials.trustDomain}` });
}
