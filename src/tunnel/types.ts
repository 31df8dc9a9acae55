// What the data path sees of the tunnel: it asks for a stream to an authority, or is handed one that a peer opened.
import type { SecureContext } from 'node:tls';
import type { MeshError } from '../base/errors.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import type { SpiffeId } from '../model/types.ts';

/** Key, chain and roots of one identity, ready for TLS. `roots` also verify the peer. */
export interface TunnelCredentials {
  readonly identity: SpiffeId;
  readonly trustDomain: string;
  readonly secureContext: SecureContext;
  /** Changes whenever the certificate was renewed or the roots changed: new sessions use the new one. */
  readonly generation: number;
  readonly notAfterMs: number;
}

export interface TunnelRequest {
  readonly credentials: TunnelCredentials;
  /** Who may answer, as whole SPIFFE ids; more than one where a service lists extra subject names. */
  readonly acceptIdentities: readonly SpiffeId[];
  /** Where the peer proxy is reached: the endpoint's address and 15008. */
  readonly host: string;
  readonly port: number;
  /** `IP:port`, IPv6 in brackets: the authority of the CONNECT. */
  readonly authority: string;
  /** uid of the destination workload: sessions to it are purged when it goes. */
  readonly workloadUid: string;
  /**
   * Node of the destination workload, '' when unknown: lets one session serve every pod of one identity on a peer node
   * of ours.
   */
  readonly node: string;
  readonly baggage: string;
  readonly forwarded: string;
  readonly traceparent: string;
  /** Offers the peer to time the requests that the stream carries. */
  readonly timed?: boolean;
  /** Whole time until the CONNECT is answered: TCP, TLS, HTTP/2 and the peer's own connect. */
  readonly timeoutMs: number;
}

export interface TunnelOpened {
  readonly stream: ByteStream;
  /** `baggage` of the answer, '' when none. */
  readonly baggage: string;
  readonly peerIdentity: SpiffeId;
  readonly reusedSession: boolean;
}

/** Opens CONNECT streams over pooled sessions. One pool per data thread. */
export interface TunnelPool {
  /**
   * Calls back exactly once. The error says whether another endpoint may be tried: `CONNECT_FAILED`,
   * `TUNNEL_CONNECT_TIMEOUT`,
   * `TLS_FAILED`, `CERTIFICATE_REVOKED`, `H2_HANDSHAKE` came before any byte of the client was sent; `PEER_IDENTITY`,
   * `TUNNEL_REJECTED` carry what the peer said
   * (`TUNNEL_REJECTED` has details `status`).
   * Returns a function that gives the attempt up; after it the callback is not called.
   */
  open(request: TunnelRequest, callback: (error: MeshError | null, opened: TunnelOpened | null) => void): () => void;
  /**
   * Closes sessions to a workload that has gone: no new stream, running ones end by themselves or with their TCP
   * connection.
   */
  purgeWorkload(uid: string): void;
  /** The revocations have changed: sessions with a peer whose certificate counts no more end at once. */
  recheck(): void;
  stats(): {
    readonly sessions: number;
    readonly streams: number;
    readonly sessionsOpened: number;
    readonly streamsOpened: number;
  };
  /** No new sessions; resolves when the last stream has ended or `deadlineMs` has passed, whichever is first. */
  drain(deadlineMs: number): Promise<void>;
  close(): void;
}

/** A CONNECT that a peer sent; answered exactly once with `accept` or `reject`. */
export interface IncomingTunnel {
  /** Verified: first SPIFFE URI SAN of the peer's certificate. */
  readonly peerIdentity: SpiffeId;
  /** TCP peer and the address the TLS connection was accepted on (the pod's, or the node's own). */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly authority: string;
  readonly baggage: string;
  readonly forwarded: string;
  readonly traceparent: string;
  /**
   * Sends 200 (with `baggage` when not empty) and returns the stream; its handler is attached with `start`. `timed`: it
   * carries requests, and they are timed if the peer offers it. `isForNode`, the default: the session is announced as
   * one for every pod of its identity on this node.
   */
  accept(baggage: string, timed?: boolean, isForNode?: boolean): ByteStream;
  /** Sends the status with END_STREAM, then RST_STREAM(NO_ERROR). */
  reject(status: 400 | 401 | 503): void;
  /** Called when the peer gives up before an answer. */
  onAbort: (() => void) | null;
}
