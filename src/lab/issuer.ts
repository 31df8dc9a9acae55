// The lab's token issuer: what the API server and the kubelet of a cluster do for service-account tokens.
import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
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
  readonly lifetimeS: number;
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

  writeJwks(file: string): void {
    writeFileSync(file, JSON.stringify(jwksOf(this.#publicKey, this.#keyId)));
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
      aud: [spec.audience ?? defaultAudience],
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

function reference(object: KubeObject): { name: string; uid: string } {
  return { name: object.metadata.name, uid: object.metadata.uid ?? '' };
}
