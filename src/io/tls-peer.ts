// Who is at the other end of a TLS connection, and whether TLS has verified it.
import type { TLSSocket } from 'node:tls';

/**
 * Returns '' when the handshake of a server-side TLSSocket verified the client's certificate against our roots,
 * otherwise why not. A TLSSocket that wraps a raw socket does not do so itself: its `authorized` stays false and
 * `rejectUnauthorized` only demands that there is a certificate. The verdict is had from `ssl.verifyError()`, which
 * Node does not document: where it is missing, nobody is let in.
 */
export function clientVerifyFault(socket: TLSSocket): string {
  const { ssl } = socket as unknown as { ssl?: { verifyError?: () => Error | null } | null };
  if (typeof ssl?.verifyError !== 'function') return 'this Node does not tell whether the certificate was verified';
  const fault = ssl.verifyError();
  if (fault !== null && fault !== undefined) return fault.message;
  if (socket.getPeerX509Certificate() === undefined) return 'no client certificate';
  return sessionFault(socket);
}

/**
 * Returns '' when protocol and ALPN are those of the tunnel and the session is a fresh one, otherwise what is wrong.
 */
export function sessionFault(socket: TLSSocket): string {
  if (socket.getProtocol() !== 'TLSv1.3') return `protocol ${socket.getProtocol()}`;
  if (socket.alpnProtocol !== 'h2') return 'ALPN did not agree on h2';
  return socket.isSessionReused() ? 'a resumed session' : '';
}

/** What the verified certificate of a peer says. Times are in milliseconds since the epoch. */
export interface PeerCertificate {
  /** URI subject alternative names, in its order. */
  readonly uris: readonly string[];
  /** Hexadecimal digits, as Node writes them. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Returns what the peer's certificate says; without one, a certificate of nobody that has ended long ago. */
export function peerCertificate(socket: TLSSocket): PeerCertificate {
  const shown = socket.getPeerX509Certificate();
  if (shown === undefined) return { uris: [], serial: '', notBeforeMs: 0, notAfterMs: 0 };
  const { subjectAltName = '', serialNumber: serial, validFromDate, validToDate } = shown;
  return { uris: urisOf(subjectAltName), serial, notBeforeMs: +validFromDate, notAfterMs: +validToDate };
}

/**
 * Reads the URIs from Node's text form of the extension, `URI:a, DNS:b`. Names with characters that could be mistaken
 * for the list's own are in double quotes there: no SPIFFE id has any, so those are skipped.
 */
export function urisOf(subjectAltName: string): string[] {
  const uris: string[] = [];
  const entry = /([^:]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;
  for (let match = entry.exec(subjectAltName); match !== null; match = entry.exec(subjectAltName)) {
    if (match[1] === 'URI' && !match[2]!.startsWith('"')) uris.push(match[2]!);
  }
  return uris;
}
