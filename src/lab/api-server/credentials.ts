// The API server's own CA, its certificate, and what a person or a program needs to be let in: a client certificate, a
// token, a kubeconfig.
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { ipToBytes } from '../../base/ip.ts';
import { createClientLeaf, createRoot, createServerLeaf, type Issuer } from '../../identity/x509.ts';

const dayMs = 86_400_000;
const lifetimeDays = 365;
const tokenBytes = 24;

export interface KeyPairPem {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Signs for one API server; its key is in memory only. */
export class ApiCredentials {
  readonly #issuer: Issuer;
  readonly #validity: { readonly notBeforeMs: number; readonly notAfterMs: number };
  readonly caPem: string;

  constructor(nowMs: number) {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#validity = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + lifetimeDays * dayMs };
    this.caPem = createRoot(keys, 'kubernetes', this.#validity);
    this.#issuer = { certificate: new X509Certificate(this.caPem), privateKey: keys.privateKey };
  }

  /** A certificate for names and addresses of the server. */
  server(names: readonly string[]): KeyPairPem {
    const ips = names.flatMap((name) => ipToBytes(name) ?? []);
    const dns = names.filter((name) => ipToBytes(name) === null);
    return this.#pair((spki) => createServerLeaf(this.#issuer, spki, { dns, ips }, this.#validity));
  }

  /** A certificate that makes its holder `user`, in `groups`. */
  client(user: string, groups: readonly string[]): KeyPairPem {
    return this.#pair((spki) => createClientLeaf(this.#issuer, spki, { commonName: user, groups }, this.#validity));
  }

  #pair(leaf: (spki: Uint8Array) => string): KeyPairPem {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
    return { certPem: leaf(spki), keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
  }
}

/** A token that nobody guesses. */
export function randomToken(): string {
  return randomBytes(tokenBytes).toString('base64url');
}

/** A kubeconfig as text: one cluster, one user with a token, one context of the name given. */
export function kubeconfig(
  name: string,
  { url, caPem, token }: { readonly url: string; readonly caPem: string; readonly token: string },
): string {
  // JSON is YAML, and leaves no question of quoting.
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': Buffer.from(caPem).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
