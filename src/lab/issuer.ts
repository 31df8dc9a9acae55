// The lab's token issuer: what the API server and the kubelet of a cluster do for service-account tokens.
import { createHash, generateKeyPairSync, type KeyObject, randomUUID, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { MeshError } from '../base/errors.ts';
import { jwksOf, signJwt } from '../identity/jwt.ts';
import type { KubeObject, Pod } from './objects.ts';
import type { ObjectStore } from './store.ts';

export const issuerName = 'https://kubernetes.default.svc.cluster.local';
const defaultAudience = issuerName;
const lifetimeMinS = 600;
const lifetimeMaxS = 86_400;

export interface TokenSpec {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: Pod | null;
  readonly audience: string | undefined;
  /** For several; then `audience` does not count. */
  readonly audiences?: readonly string[];
  readonly lifetimeS: number;
}

/** What stands in a token of this issuer. */
export interface IssuedClaims {
  readonly aud: readonly string[];
  readonly sub: string;
  /** Seconds since the epoch. */
  readonly exp: number;
  readonly jti: string;
  readonly 'kubernetes.io': {
    readonly namespace: string;
    readonly serviceaccount: BoundTo;
    readonly pod?: BoundTo;
    readonly node?: BoundTo;
  };
}

interface BoundTo {
  readonly name: string;
  readonly uid: string;
}

/** Holds the key in memory only; the public half goes into a JWKS file for the controller. */
export class TokenIssuer {
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #keyId: string;
  readonly #store: ObjectStore;
  readonly #now: () => number;

  constructor(store: ObjectStore, now: () => number) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#privateKey = privateKey;
    this.#publicKey = publicKey;
    this.#keyId = createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64url')
      .slice(0, 16);
    this.#store = store;
    this.#now = now;
  }

  /**
   * The claims of a token that this issuer made and that has not ended; null for any other. Whether what it is bound to
   * is still there, is for the caller to say.
   */
  claimsOf(token: string): IssuedClaims | null {
    const [head = '', body = '', signature = '', ...more] = token.split('.');
    if (signature === '' || more.length > 0) return null;
    const signed = Buffer.from(`${head}.${body}`, 'ascii');
    const key = { key: this.#publicKey, dsaEncoding: 'ieee-p1363' } as const;
    if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) return null;
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as IssuedClaims;
    return claims.exp * 1000 > this.#now() ? claims : null;
  }

  writeJwks(file: string): void {
    writeFileSync(file, JSON.stringify(this.jwks()));
  }

  /** The public key as a JWKS document. */
  jwks(): object {
    return jwksOf(this.#publicKey, this.#keyId);
  }

  /** A bound token with the claims of Kubernetes. Throws `NOT_FOUND` when there is no such service account. */
  token(spec: TokenSpec): string {
    const { namespace, serviceAccount: name, pod } = spec;
    const account = this.#store.get('ServiceAccount', namespace, name, '');
    if (account === undefined) {
      throw new MeshError('NOT_FOUND', {
        what: `service account ${namespace}/${name}`,
        hint: 'see: ambientctl lab get serviceaccounts -A',
      });
    }
    const nowS = Math.floor(this.#now() / 1000);
    const lifetimeS = Math.min(Math.max(spec.lifetimeS, lifetimeMinS), lifetimeMaxS);
    const node = pod?.spec.nodeName === undefined ? undefined : this.#store.get('Node', '', pod.spec.nodeName, '');
    const claims = {
      iss: issuerName,
      aud: spec.audiences ?? [spec.audience ?? defaultAudience],
      sub: `system:serviceaccount:${namespace}:${name}`,
      iat: nowS,
      nbf: nowS,
      exp: nowS + lifetimeS,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace,
        serviceaccount: reference(account),
        ...(pod === null ? {} : { pod: reference(pod) }),
        ...(node === undefined ? {} : { node: reference(node) }),
      },
    };
    return signJwt(claims, this.#privateKey, this.#keyId);
  }
}

function reference(object: KubeObject): BoundTo {
  return { name: object.metadata.name, uid: object.metadata.uid ?? '' };
}
