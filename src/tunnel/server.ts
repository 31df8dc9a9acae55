// The HBONE server: TLS and HTTP/2 on connections that the inbound listener accepted, CONNECT streams handed on.
import type { Socket } from 'node:net';
import { MeshError } from '../base/errors.ts';
import type { IncomingTunnel, TunnelCredentials } from './types.ts';

export interface TunnelServerOptions {
  /** From accept to the end of the TLS handshake. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** CONNECT streams at once per session, announced to the peer. Default 256. */
  readonly streamsPerSession?: number;
  /** TLS handshakes at once; a connection above it is reset. Default 1024. */
  readonly handshakesLimit?: number;
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  /**
   * A connection failed before it could carry a stream (TLS, peer identity, HTTP/2 preface): for one access-log line.
   * `TLS_FAILED`, `PEER_IDENTITY`, `H2_HANDSHAKE` or `LIMIT_REACHED`.
   */
  readonly onHandshakeError?: (error: MeshError, remoteAddress: string, localAddress: string) => void;
}

/** Serves HBONE on accepted connections. One per data thread. */
export interface TunnelServer {
  /**
   * Takes over `rawSocket` (accepted with `pauseOnConnect` and `allowHalfOpen`), with the certificate of the pod it was
   * accepted for. `onTunnel` is called once per CONNECT; it answers with `accept` or `reject`, then or later.
   */
  accept(rawSocket: Socket, credentials: TunnelCredentials, onTunnel: (tunnel: IncomingTunnel) => void): void;
  stats(): {
    readonly sessions: number;
    readonly streams: number;
    readonly handshakes: number;
    readonly sessionsAccepted: number;
    readonly streamsAccepted: number;
  };
  /** GOAWAY to every peer; resolves when the last stream has ended or `deadlineMs` has passed, whichever is first. */
  drain(deadlineMs: number): Promise<void>;
  close(): void;
}

/** Returns a server; it listens on nothing by itself. */
export function createTunnelServer(_options: TunnelServerOptions = {}): TunnelServer {
  throw new MeshError('INTERNAL', { reason: 'the tunnel server is not there yet' });
}
