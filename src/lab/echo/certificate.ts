// The certificate of an echo's TLS ports: the one it was given, or one that it signs for itself.
import { existsSync, readFileSync } from 'node:fs';
import { ApiCredentials, type KeyPairPem } from '../api-server/credentials.ts';

/** PEM of certificate and key, from files where both are there; otherwise one for `names` that nobody else trusts. */
export function echoCertificate(certFile: string, keyFile: string, names: readonly string[]): KeyPairPem {
  if (certFile !== '' && existsSync(certFile) && existsSync(keyFile)) {
    return { certPem: readFileSync(certFile, 'utf8'), keyPem: readFileSync(keyFile, 'utf8') };
  }
  return new ApiCredentials(Date.now()).server(names);
}
