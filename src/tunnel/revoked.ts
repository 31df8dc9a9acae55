// Certificates that were revoked: asked of a peer's at every handshake, and of every session's when the list changes.
// Each side judges the other; nobody ends a session for its own certificate, which it renews.
import { MeshError } from '../base/errors.ts';
import type { PeerCertificate } from '../io/tls-peer.ts';
import { type CertificateFacts, canonicalSerial } from '../model/revocation.ts';
import type { NamespacedKey } from '../model/types.ts';

/** What a pool and a server ask: `RevocationList`. */
export interface Revocations {
  /** The revocation that a certificate falls under, or null. */
  find(certificate: CertificateFacts): NamespacedKey | null;
}

/** CERTIFICATE_REVOKED when the certificate of the peer at `address` counts no more, else null. */
export function revokedFault(
  revocations: Revocations | undefined,
  certificate: PeerCertificate,
  address: string,
): MeshError | null {
  if (revocations === undefined) return null;
  const serial = canonicalSerial(certificate.serial) ?? '';
  const revocation = revocations.find({ ...certificate, serial });
  if (revocation === null) return null;
  const identity = certificate.uris[0] ?? 'nobody';
  return new MeshError('CERTIFICATE_REVOKED', { serial, identity, address, revocation });
}
