// Service-account tokens: JWTs signed with ES256 or RS256, verified against a JWKS file that is read again when it
// changes. `signJwt` is the other half, for an issuer of one's own such as the lab's.
import { createPublicKey, type KeyObject, sign, verify, type webcrypto } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { MeshError, messageOf } from '../base/errors.ts';

/** What a verified service-account token says (Kubernetes bound tokens). */
export interface TokenClaims {
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly expiresAtMs: number;
  /** Of the claim `kubernetes.io`; null when the token is not bound to such a thing. */
  readonly namespace: string | null;
  readonly serviceAccount: { readonly name: string; readonly uid: string } | null;
  readonly pod: { readonly name: string; readonly uid: string } | null;
  readonly node: { readonly name: string; readonly uid: string } | null;
}

export interface JwtVerifierOptions {
  readonly issuer: string;
  readonly jwksFile: string;
  /** A token must name one of these. */
  readonly audiences: readonly string[];
  readonly clock: Clock;
}

const tokenLengthMax = 16 * 1024;
const keysMax = 100;
/** Clocks differ by minutes: how far in the future a token may begin. Its end has no such grace. */
const leewayMs = 300_000;

type Jwk = webcrypto.JsonWebKey & { readonly kid: string };
type Algorithm = 'ES256' | 'RS256';
interface VerifyingKey {
  readonly id: string | null;
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
}

/** Verifies tokens of one issuer; reads its keys again whenever their file changes. */
export class JwtVerifier {
  readonly #options: JwtVerifierOptions;
  #keys: readonly VerifyingKey[] = [];
  #stamp = '';

  constructor(options: JwtVerifierOptions) {
    this.#options = options;
  }

  /**
   * Returns the claims of `token` when it is signed by a key of the JWKS file, from our issuer, for one of our
   * audiences, and valid now. Throws CALLER_REFUSED with the reason; INPUT_UNREADABLE when the JWKS file cannot be
   * read.
   */
  verify(token: string): TokenClaims {
    const [headerText = '', claimsText = '', signatureText = '', ...more] =
      token.length > tokenLengthMax ? [] : token.split('.');
    if (signatureText === '' || more.length > 0) throw refused('the token is no JWT');
    const header = jsonOf(headerText);
    const algorithm = header.alg;
    if (algorithm !== 'ES256' && algorithm !== 'RS256')
      throw refused(`the token is signed with ${String(algorithm).slice(0, 20)}`);
    if (header.crit !== undefined) throw refused('the token has critical headers');
    const signed = Buffer.from(`${headerText}.${claimsText}`, 'ascii');
    const signature = Buffer.from(signatureText, 'base64url');
    const candidates = this.#current().filter((key) => {
      return key.algorithm === algorithm && (header.kid === undefined || key.id === null || key.id === header.kid);
    });
    if (candidates.length === 0) throw refused('the token is signed by a key that is not in the JWKS file');
    if (!candidates.some(({ key }) => verifySignature(algorithm, key, signed, signature))) {
      throw refused('the signature of the token is wrong');
    }
    return this.#checked(jsonOf(claimsText));
  }

  #checked(claims: Json): TokenClaims {
    const { issuer, audiences: accepted, clock } = this.#options;
    const nowMs = clock.now();
    if (claims.iss !== issuer) throw refused(`the token is from the issuer ${JSON.stringify(claims.iss)}`);
    const audiences = (Array.isArray(claims.aud) ? claims.aud : [claims.aud]).filter((one) => typeof one === 'string');
    if (!audiences.some((one) => accepted.includes(one)))
      throw refused(`the token is for the audience ${audiences.join(', ')}`);
    if (typeof claims.exp !== 'number') throw refused('the token has no end');
    const expiresAtMs = claims.exp * 1000;
    if (nowMs >= expiresAtMs) throw refused(`the token expired at ${timeText(expiresAtMs)}`);
    if (claims.nbf !== undefined && !(typeof claims.nbf === 'number' && claims.nbf * 1000 <= nowMs + leewayMs)) {
      throw refused('the token is not valid yet');
    }
    if (typeof claims.sub !== 'string' || claims.sub === '') throw refused('the token has no subject');
    const bound = objectOf(claims['kubernetes.io']);
    return {
      subject: claims.sub,
      audiences,
      expiresAtMs,
      namespace: typeof bound.namespace === 'string' ? bound.namespace : null,
      serviceAccount: namedOf(bound.serviceaccount),
      pod: namedOf(bound.pod),
      node: namedOf(bound.node),
    };
  }

  /** The keys of the file as it is now; one `stat` per call, so a rotated key counts at once. */
  #current(): readonly VerifyingKey[] {
    const { jwksFile } = this.#options;
    try {
      const { mtimeMs, size, ino } = statSync(jwksFile);
      const stamp = `${mtimeMs}:${size}:${ino}`;
      if (stamp !== this.#stamp) {
        this.#keys = keysOf(readFileSync(jwksFile, 'utf8'));
        this.#stamp = stamp;
      }
    } catch (error) {
      // A file that is being replaced, or broken: the keys that were good stay good.
      if (this.#stamp === '')
        throw new MeshError('INPUT_UNREADABLE', { place: jwksFile, reason: messageOf(error) }, { cause: error });
    }
    return this.#keys;
  }
}

/** Returns `claims` as a JWT signed with ES256 (`privateKey` P-256) under the key id `keyId`. */
export function signJwt(claims: Readonly<Record<string, unknown>>, privateKey: KeyObject, keyId: string): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'ES256', typ: 'JWT', kid: keyId })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

/** Returns the JWKS document with `publicKey` (P-256) under `keyId`: what `JwtVerifier` reads. */
export function jwksOf(publicKey: KeyObject, keyId: string): { readonly keys: readonly Jwk[] } {
  return { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyId, alg: 'ES256', use: 'sig' }] };
}

function keysOf(text: string): VerifyingKey[] {
  const document = objectOf(JSON.parse(text));
  if (!Array.isArray(document.keys))
    throw new MeshError('INPUT_UNREADABLE', { place: 'JWKS', reason: 'it has no list `keys`' });
  const keys: VerifyingKey[] = [];
  for (const entry of document.keys.slice(0, keysMax)) {
    const jwk = objectOf(entry);
    const algorithm = algorithmOf(jwk);
    if (algorithm === null || (jwk.use !== undefined && jwk.use !== 'sig')) continue; // a key for something else
    const key = createPublicKey({ key: jwk as webcrypto.JsonWebKey, format: 'jwk' });
    keys.push({ id: typeof jwk.kid === 'string' ? jwk.kid : null, algorithm, key });
  }
  return keys;
}

function algorithmOf(jwk: Json): Algorithm | null {
  if (jwk.kty === 'EC' && jwk.crv === 'P-256' && (jwk.alg ?? 'ES256') === 'ES256') return 'ES256';
  if (jwk.kty === 'RSA' && (jwk.alg ?? 'RS256') === 'RS256') return 'RS256';
  return null;
}

function verifySignature(algorithm: Algorithm, key: KeyObject, signed: Buffer, signature: Buffer): boolean {
  return algorithm === 'ES256'
    ? verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
    : verify('sha256', signed, key, signature);
}

type Json = Readonly<Record<string, unknown>>;

function jsonOf(part: string): Json {
  try {
    return objectOf(JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
  } catch {
    throw refused('the token is no JWT');
  }
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function namedOf(value: unknown): { readonly name: string; readonly uid: string } | null {
  const { name, uid } = objectOf(value);
  return typeof name === 'string' && typeof uid === 'string' && name !== '' && uid !== '' ? { name, uid } : null;
}

function timeText(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : 'no time at all';
}

function refused(reason: string): MeshError {
  return new MeshError('CALLER_REFUSED', { reason });
}
