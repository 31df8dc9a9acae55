// How a certificate shows itself to people: serials and times, never a key.
import { X509Certificate } from 'node:crypto';
import type { SpiffeId } from '../model/types.ts';
import type { CertificateView, KeyholderView } from '../model/views.ts';
import type { IssuedCertificate } from './certificate-manager.ts';
import { splitCertificates } from './pem.ts';

/**
 * Returns the view of `held`, or of its absence with the `reason` of the last failure. An expired one is unavailable.
 */
export function certificateView(
  identity: SpiffeId,
  held: IssuedCertificate | null,
  reason: string | null,
  nowMs: number,
): CertificateView {
  if (held === null) return { identity, state: reason === null ? 'initializing' : 'unavailable', reason, chain: [] };
  const isValid = held.notAfterMs > nowMs;
  return {
    identity,
    state: isValid ? 'available' : 'unavailable',
    reason: reason ?? (isValid ? null : 'it has expired'),
    chain: [
      ...held.chainPem.map((pem, index) => link(index === 0 ? 'leaf' : 'intermediate', pem)),
      ...held.rootsPem.flatMap(splitCertificates).map((pem) => link('root', pem)),
    ],
  };
}

function link(type: 'leaf' | 'intermediate' | 'root', pem: string): CertificateView['chain'][number] {
  return { type, ...keyholderView(new X509Certificate(pem)) };
}

/** Serial and times of a certificate. */
export function keyholderView(certificate: X509Certificate): KeyholderView {
  return {
    serial: certificate.serialNumber.toLowerCase(),
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
  };
}
