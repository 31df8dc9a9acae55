// Certificates for the peers, made with openssl: one P-256 authority, and a leaf for either end of the tunnel.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { command } from './processes.ts';

export interface CertificateFiles {
  readonly roots: string;
  readonly certificate: string;
  readonly key: string;
  /** Certificate and key in one file, as HAProxy reads them. */
  readonly both: string;
}

/** Makes an authority under `dir`, and one leaf per name; each serves as client and as server certificate. */
export function makeCertificates(dir: string, names: readonly string[]): Map<string, CertificateFiles> {
  const roots = path.join(dir, 'roots.pem');
  const rootKey = path.join(dir, 'roots.key');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const root = ['-x509', ...curve, '-days', '2', '-subj', '/CN=bench root', '-keyout', rootKey, '-out', roots];
  command('openssl', ['req', ...root]);
  return new Map(names.map((name) => [name, makeLeaf(dir, name, { roots, rootKey, curve })]));
}

function makeLeaf(
  dir: string,
  name: string,
  authority: { roots: string; rootKey: string; curve: readonly string[] },
): CertificateFiles {
  const file = (ending: string): string => path.join(dir, `${name}.${ending}`);
  command('openssl', ['req', ...authority.curve, '-subj', `/CN=${name}`, '-keyout', file('key'), '-out', file('csr')]);
  const uri = `URI:spiffe://cluster.local/ns/bench/sa/${name}`;
  writeFileSync(file('ext'), `subjectAltName=DNS:${name},${uri}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  const sign = ['-req', '-in', file('csr'), '-CA', authority.roots, '-CAkey', authority.rootKey, '-CAcreateserial'];
  command('openssl', ['x509', ...sign, '-days', '2', '-extfile', file('ext'), '-out', file('crt')]);
  writeFileSync(file('pem'), `${command('cat', [file('crt')])}${command('cat', [file('key')])}`, { mode: 0o600 });
  return { roots: authority.roots, certificate: file('crt'), key: file('key'), both: file('pem') };
}
