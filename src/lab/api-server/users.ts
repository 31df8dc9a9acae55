// Who calls: by client certificate (CN and O), by a service account's token that is still good, by a token that was
// given out at the start, or anonymous. A token that is wrong is refused; nobody falls back to being anonymous with
// one.
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { IssuedClaims, TokenIssuer } from '../issuer.ts';
import type { KubeObject } from '../objects.ts';
import type { ObjectStore } from '../store.ts';
import { unauthorized } from './failure.ts';

export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

const authenticated = 'system:authenticated';
export const mastersGroup = 'system:masters';
const anonymous: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

export interface AuthenticatorOptions {
  readonly store: ObjectStore;
  readonly issuer: TokenIssuer;
  /** Users by token. */
  readonly tokens: ReadonlyMap<string, UserInfo>;
  /** For whom a token has to be that opens this API server. */
  readonly audience: string;
}

/** Tells users by what they bring. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** The user of a connection and its `Authorization` header. Throws 401 for a token that is not good. */
  userOf(socket: TLSSocket, authorization: string | undefined): UserInfo {
    const token = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token !== undefined) {
      const user = this.#options.tokens.get(token) ?? this.userOfToken(token, [this.#options.audience])?.user;
      if (user === undefined) throw unauthorized();
      return user;
    }
    if (authorization !== undefined && authorization !== '') throw unauthorized();
    // Node checks the certificate against the CA of the server; `authorized` says what came of it.
    const certificate = socket.authorized ? socket.getPeerX509Certificate?.() : undefined;
    return certificate === undefined ? anonymous : userOfCertificate(certificate);
  }

  /** The service account of a token for one of `audiences`; null when it is not good, or not any more. */
  userOfToken(token: string, audiences: readonly string[]): { user: UserInfo; audiences: readonly string[] } | null {
    const claims = this.#claimsOf(token);
    if (claims === null || !this.#isBoundWell(claims)) return null;
    const shared = claims.aud.filter((audience) => audiences.includes(audience));
    if (shared.length === 0) return null;
    const { namespace, serviceaccount, pod, node } = claims['kubernetes.io'];
    const extra: Record<string, readonly string[]> = {
      'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`],
    };
    for (const [name, bound] of Object.entries({ pod, node })) {
      if (bound === undefined) continue;
      extra[`authentication.kubernetes.io/${name}-name`] = [bound.name];
      extra[`authentication.kubernetes.io/${name}-uid`] = [bound.uid];
    }
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, authenticated];
    return { user: { username: claims.sub, uid: serviceaccount.uid, groups, extra }, audiences: shared };
  }

  #claimsOf(token: string): IssuedClaims | null {
    try {
      return this.#options.issuer.claimsOf(token);
    } catch {
      return null; // Not made of what tokens are made of.
    }
  }

  /** A token ends with its account, and with the pod that it was made for. */
  #isBoundWell({ 'kubernetes.io': bound }: IssuedClaims): boolean {
    const { store } = this.#options;
    const { namespace, serviceaccount, pod } = bound;
    const account = store.get('ServiceAccount', namespace, serviceaccount.name, '');
    if (account?.metadata.uid !== serviceaccount.uid) return false;
    return pod === undefined || isSame(store.get('Pod', namespace, pod.name, ''), pod.uid);
  }
}

function isSame(object: KubeObject | undefined, uid: string): boolean {
  return object?.metadata.uid === uid;
}

function userOfCertificate(certificate: X509Certificate): UserInfo {
  const fields = certificate.subject.split('\n').map((line) => {
    const at = line.indexOf('=');
    return [line.slice(0, at), line.slice(at + 1)] as const;
  });
  const of = (wanted: string) => fields.flatMap(([name, value]) => (name === wanted ? [value] : []));
  return { username: of('CN')[0] ?? '', groups: [...of('O'), authenticated] };
}
