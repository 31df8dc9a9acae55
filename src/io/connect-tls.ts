// Opens a TLS connection to a peer proxy as a ByteStream: TCP, handshake, and who the peer is.
import { type ConnectionOptions, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { MeshError, messageOf } from '../base/errors.ts';
import { hostPort } from './connect-tcp.ts';
import { type OnRead, ReadMemory, tlsReadBytes } from './read-memory.ts';
import { tuneTunnel } from './socket-options.ts';
import { type PeerCertificate, peerCertificate, sessionFault } from './tls-peer.ts';
import { TlsStream } from './tls-stream.ts';

export interface ConnectTlsOptions {
  /** An address. */
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string;
  /** The peer is on this machine. */
  readonly isLocal?: boolean;
  readonly secureContext: SecureContext;
  /** Until TCP is connected, and from then until TLS is. */
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** TCP is connected, the handshake begins. */
  readonly onTcpConnected?: () => void;
}

export interface TlsConnected {
  readonly stream: TlsStream;
  /** The verified one. */
  readonly certificate: PeerCertificate;
}

/**
 * Calls back exactly once: with a stream over verified TLS 1.3 (chain and dates; whose it is says `certificate`,
 * for the caller to judge), or with CONNECT_FAILED, CONNECT_TIMEOUT or TLS_FAILED. Returns a function that gives up.
 */
export function connectTls(
  options: ConnectTlsOptions,
  callback: (error: MeshError | null, connected: TlsConnected | null) => void,
): () => void {
  const address = hostPort(options.host, options.port);
  const memory = new ReadMemory('own', tlsReadBytes);
  let stream: TlsStream | null = null;
  const socket = tlsSocket(options, {
    buffer: () => memory.current(),
    callback: (bytes, chunk) =>
      stream?.received((bytes === chunk.length ? chunk : chunk.subarray(0, bytes)) as Buffer) ?? false,
  });
  let settled = false;
  let connected = false;
  const settle = (error: MeshError | null): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    if (error !== null) {
      socket.destroy();
      callback(error, null);
      return;
    }
    socket.pause();
    stream = new TlsStream(socket, null, memory);
    callback(null, { stream, certificate: peerCertificate(socket) });
  };
  const fail = (reason: string, cause: unknown): void =>
    settle(new MeshError(connected ? 'TLS_FAILED' : 'CONNECT_FAILED', { address, reason }, { cause }));
  let timer = setTimeout(() => {
    settle(new MeshError('CONNECT_TIMEOUT', { address, timeoutMs: options.connectTimeoutMs }));
  }, options.connectTimeoutMs);
  socket.setNoDelay(true);
  socket.on('connect', () => {
    connected = true;
    tuneTunnel(socket, options.isLocal ?? false);
    options.onTcpConnected?.();
    clearTimeout(timer);
    timer = setTimeout(
      () => fail(`no end of the handshake in ${options.handshakeTimeoutMs} ms`, undefined),
      options.handshakeTimeoutMs,
    );
  });
  socket.on('error', (error: Error) => fail(messageOf(error), error));
  socket.on('close', () => fail('closed by the peer', undefined));
  socket.on('secureConnect', () => {
    const fault = socket.authorized ? sessionFault(socket) : `not authorized: ${socket.authorizationError}`;
    if (fault !== '') fail(fault, undefined);
    else settle(null);
  });
  return () => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    socket.destroy();
  };
}

function tlsSocket(options: ConnectTlsOptions, onread: OnRead): TLSSocket {
  const settings: ConnectionOptions & { onread: OnRead; localAddress?: string } = {
    host: options.host,
    port: options.port,
    secureContext: options.secureContext,
    servername: '',
    ALPNProtocols: ['h2'],
    rejectUnauthorized: true,
    // The identity is in the URI SAN, not in a host name: the caller compares it.
    checkServerIdentity: () => undefined,
    onread,
  };
  if (options.localAddress !== undefined) settings.localAddress = options.localAddress;
  return connect(settings);
}
