// A certificate authority for tests: one root, and a key with a certificate for any identity.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createRoot, createWorkloadLeaf, type Issuer } from '../../../src/identity/x509.ts';
import type { ToDataThread } from '../../../src/proxy/messages.ts';

type CertificateMessage = Extract<ToDataThread, { type: 'certificate' }>;

const hourMs = 3_600_000;

export class TestAuthority {
  readonly rootPem: string;
  readonly #issuer: Issuer;

  constructor(trustDomain = 'cluster.local') {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const now = Date.now();
    this.rootPem = createRoot(keys, trustDomain, { notBeforeMs: now - hourMs, notAfterMs: now + hourMs });
    this.#issuer = { certificate: new X509Certificate(this.rootPem), privateKey: keys.privateKey };
  }

  /** The message by which the main thread hands a certificate out; valid for an hour unless said otherwise. */
  issue(identity: string, notAfterMs = Date.now() + hourMs, rootsPem = [this.rootPem]): CertificateMessage {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    const leaf = createWorkloadLeaf(this.#issuer, spki, identity, { notBeforeMs: notAfterMs - 2 * hourMs, notAfterMs });
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { type: 'certificate', identity, keyPem, chainPem: [leaf], rootsPem, notAfterMs };
  }
}
