// The server side of the tunnel's TLS on a connection that was accepted as plain TCP: HBONE clients send no SNI, so the
// caller chooses the certificate by the address that the connection was accepted on.
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { MeshError, messageOf } from '../base/errors.ts';
import { adoptTlsReads } from './adopt.ts';
import type { TlsConnected } from './connect-tls.ts';
import { ReadMemory, tlsReadBytes } from './read-memory.ts';
import { tuneTunnel } from './socket-options.ts';
import { clientVerifyFault, peerCertificate } from './tls-peer.ts';
import { TlsStream } from './tls-stream.ts';

export interface ServeTlsOptions {
  readonly secureContext: SecureContext;
  readonly handshakeTimeoutMs: number;
  /** The peer's address, for error words. */
  readonly address: string;
  /** The peer is on this machine. */
  readonly isLocal?: boolean;
}

/**
 * Takes over `raw` and calls back exactly once: with a stream over TLS 1.3 whose client showed a certificate that our
 * roots vouch for, or with TLS_FAILED. Returns a function that gives up.
 */
export function serveTls(
  raw: Socket,
  options: ServeTlsOptions,
  callback: (error: MeshError | null, connected: TlsConnected | null) => void,
): () => void {
  raw.setNoDelay(true);
  tuneTunnel(raw, options.isLocal ?? false);
  // The kernel finds out about peers that have vanished; PING does where HTTP/2 has begun.
  raw.setKeepAlive(true, keepAliveMs);
  raw.on('error', () => undefined);
  raw.allowHalfOpen = false;
  const socket = new TLSSocket(raw, {
    isServer: true,
    secureContext: options.secureContext,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
  });
  let settled = false;
  let stream: TlsStream | null = null;
  const settle = (error: MeshError | null): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    if (error !== null) {
      socket.destroy();
      raw.destroy();
      callback(error, null);
      return;
    }
    socket.pause();
    stream = serverStream(socket, raw);
    callback(null, { stream, certificate: peerCertificate(socket) });
  };
  const fail = (reason: string, cause?: unknown): void =>
    settle(new MeshError('TLS_FAILED', { address: options.address, reason }, { cause }));
  const timer = setTimeout(
    () => fail(`no end of the handshake in ${options.handshakeTimeoutMs} ms`),
    options.handshakeTimeoutMs,
  );
  const onTlsError = (error: Error): void => {
    if (stream === null) fail(messageOf(error), error);
    else stream.fail(error);
  };
  socket.on('error', onTlsError);
  // A TLSSocket that no tls.Server made reports errors after the handshake by this event alone.
  socket.on('_tlsError', onTlsError);
  socket.on('close', () => fail('closed by the peer'));
  socket.on('secure', () => {
    const fault = clientVerifyFault(socket);
    if (fault !== '') fail(fault);
    else settle(null);
  });
  return () => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    socket.destroy();
    raw.destroy();
  };
}

const keepAliveMs = 180_000;

/** The stream over a socket whose handshake is done: it reads by `onread`, or by 'data' events. */
function serverStream(socket: TLSSocket, raw: Socket): TlsStream {
  let stream: TlsStream | null = null;
  const memory = new ReadMemory('own', tlsReadBytes);
  const adopted = adoptTlsReads(socket, {
    buffer: () => memory.current(),
    callback: (bytes, chunk) =>
      stream?.received((bytes === chunk.length ? chunk : chunk.subarray(0, bytes)) as Buffer) ?? false,
  });
  const opened = new TlsStream(socket, raw, adopted ? memory : null);
  stream = opened;
  if (adopted) return opened;
  socket.on('data', (chunk: Buffer) => {
    if (!opened.received(chunk)) socket.pause();
  });
  socket.pause();
  return opened;
}
