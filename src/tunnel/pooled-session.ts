// One HBONE session of the pool: from the first SYN to the last stream. It knows which attempts wait for it to connect.
import { MeshError } from '../base/errors.ts';
import { ErrorCode } from '../h2/constants.ts';
import { H2Session } from '../h2/session.ts';
import type { SessionOptions } from '../h2/session-options.ts';
import type { H2Stream, StreamEvents } from '../h2/stream.ts';
import { hostPort } from '../io/connect-tcp.ts';
import { connectTls, type TlsConnected } from '../io/connect-tls.ts';
import { DeadlineEntry } from '../io/deadlines.ts';
import type { PeerCertificate } from '../io/tls-peer.ts';
import type { SpiffeId } from '../model/types.ts';
import { atExpiry, expired } from './expiry.ts';
import { type Revocations, revokedFault } from './revoked.ts';
import type { TunnelRequest } from './types.ts';

/** What the session tells the pool. */
export interface PooledSessionOwner {
  /** TLS is up and the peer is who it should be: streams may be opened. */
  onConnected(entry: PooledSession): void;
  /** The peer's SETTINGS are in. */
  onReady(entry: PooledSession): void;
  /** A stream ended, or the peer allows more. */
  onCapacity(entry: PooledSession): void;
  /** The session takes no new streams, or it is over. `error` says why it never came up. */
  onGone(entry: PooledSession, error: MeshError | null): void;
  onIdle(entry: PooledSession): void;
}

/** One TLS connection to one peer address under one source identity, with its HTTP/2 session once it is up. */
export class PooledSession extends DeadlineEntry {
  readonly key: string;
  readonly address: string;
  readonly node: string;
  readonly workloadUid: string;
  readonly sourceIdentity: SpiffeId;
  readonly generation: number;
  /** Keys under which the pool lists it beside its own. */
  nodeKey = '';
  peerIdentity: SpiffeId = '';
  session: H2Session | null = null;
  /** Opens no stream before it knows how many the peer allows. */
  cautious = false;
  tcpConnected = false;
  /** The peer has sent its SETTINGS: it has accepted our certificate. */
  ready = false;
  /** Streams that were opened on it, ever. */
  streamsOpened = 0;
  readonly #owner: PooledSessionOwner;
  readonly #revocations: Revocations | undefined;
  #certificate: PeerCertificate | null = null;
  #cancel: (() => void) | null = null;

  constructor(key: string, request: TunnelRequest, owner: PooledSessionOwner, revocations: Revocations | undefined) {
    super();
    this.#revocations = revocations;
    this.key = key;
    this.address = hostPort(request.host, request.port);
    this.node = request.node;
    this.workloadUid = request.workloadUid;
    this.sourceIdentity = request.credentials.identity;
    this.generation = request.credentials.generation;
    this.#owner = owner;
  }

  get canOpen(): boolean {
    return !this.connecting && (this.session?.canOpen ?? false);
  }

  /** Attempts wait for it: TCP and TLS are under way, or, when it is cautious, the peer's SETTINGS. */
  get connecting(): boolean {
    return this.#cancel !== null || (this.cautious && !this.ready && this.session?.over === false);
  }

  /** `isLocal`: the peer is on this machine. */
  connect(request: TunnelRequest, isLocal: boolean, options: Partial<SessionOptions>): void {
    const { credentials, host, port, timeoutMs } = request;
    const onTcpConnected = (): void => {
      this.tcpConnected = true;
    };
    const { secureContext } = credentials;
    this.#cancel = connectTls(
      {
        host,
        port,
        isLocal,
        secureContext,
        connectTimeoutMs: timeoutMs,
        handshakeTimeoutMs: timeoutMs,
        onTcpConnected,
      },
      (error, connected) => {
        this.#cancel = null;
        const fault = error === null ? this.#faultOf(connected!, request) : tunnelError(error, this.address);
        if (fault !== null) {
          connected?.stream.destroy();
          this.#owner.onGone(this, fault);
          return;
        }
        this.peerIdentity = connected!.certificate.uris.find((uri) => request.acceptIdentities.includes(uri))!;
        this.#begin(connected!, options);
      },
    );
  }

  open(headers: readonly string[], events: StreamEvents): H2Stream | null {
    const stream = this.session?.open(headers, false, events) ?? null;
    if (stream === null) return null;
    this.streamsOpened++;
    this.deadlineList?.lift(this);
    return stream;
  }

  /** Ends the session if the certificate of its peer was revoked. */
  recheck(): void {
    if (this.#certificate === null) return;
    const fault = revokedFault(this.#revocations, this.#certificate, this.address);
    if (fault !== null) this.session?.close(fault, ErrorCode.InadequateSecurity);
  }

  /** Gives up connecting, or ends the session at once. */
  close(): void {
    this.deadlineList?.lift(this);
    this.#cancel?.();
    this.#cancel = null;
    this.session?.close();
  }

  /** The session has been without a stream for long enough. */
  onDeadline(): void {
    this.#owner.onIdle(this);
  }

  #faultOf({ certificate }: TlsConnected, request: TunnelRequest): MeshError | null {
    return (
      identityFault(certificate, request, this.address) ?? revokedFault(this.#revocations, certificate, this.address)
    );
  }

  #begin(connected: TlsConnected, options: Partial<SessionOptions>): void {
    const session = new H2Session({
      ...options,
      role: 'client',
      transport: connected.stream,
      peer: this.address,
      events: {
        onStream: () => undefined,
        onReady: () => {
          this.ready = true;
          this.#owner.onReady(this);
        },
        onCapacity: () => this.#owner.onCapacity(this),
        onRetired: () => this.#owner.onGone(this, null),
        onClose: (error) => {
          stopWaiting();
          this.#owner.onGone(this, this.ready ? null : startError(error, this.address));
        },
      },
    });
    this.session = session;
    this.#certificate = connected.certificate;
    const stopWaiting = atExpiry(connected.certificate.notAfterMs, () => session.close(expired));
    session.start();
    this.#owner.onConnected(this);
  }
}

/** The server must be one of those that the destination may be, as whole strings (ambient-l4 §1.2). */
function identityFault({ uris }: PeerCertificate, request: TunnelRequest, address: string): MeshError | null {
  if (uris.some((uri) => request.acceptIdentities.includes(uri))) return null;
  const actual = uris.join(', ') || 'a certificate without a SPIFFE id';
  return new MeshError('PEER_IDENTITY', { address, actual, expected: request.acceptIdentities.join(' or ') });
}

/** A session that ended before the peer's SETTINGS: TLS 1.3 tells a client late that its certificate was refused. */
export function startError(error: MeshError | null, address: string): MeshError {
  if (error !== null && error.code !== 'TUNNEL_LOST') {
    return new MeshError('H2_HANDSHAKE', { address, reason: error.message }, { cause: error });
  }
  const how = error?.details.reason ?? 'the peer closed the connection';
  const reason = `${how} right after the handshake; the peer may refuse our certificate`;
  return new MeshError('TLS_FAILED', { address, reason }, { cause: error });
}

function tunnelError(error: MeshError, address: string): MeshError {
  if (error.code !== 'CONNECT_TIMEOUT') return error;
  return new MeshError(
    'TUNNEL_CONNECT_TIMEOUT',
    { address, timeoutMs: error.details.timeoutMs ?? 0 },
    { cause: error },
  );
}
