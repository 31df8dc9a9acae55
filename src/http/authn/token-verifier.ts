// Verifies the tokens of requests (RequestAuthentication; l7.md §5.5). A token that was verified before is known again
// without waiting until it expires or the keys change; else the signature is checked by `jose`, off the event loop.
import type { JwtRule } from '../../model/route-types.ts';
import { claimTexts, type TokenFacts } from '../../policy/match-request.ts';
import type { KeySet, KeySets } from './key-sets.ts';
import { jose } from './packages.ts';
import type { FoundToken } from './token-places.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** A token that is believed. */
export interface VerifiedToken {
  readonly rule: JwtRule;
  readonly token: string;
  readonly facts: TokenFacts;
  /** Claims as they were written. */
  readonly claims: Claims;
  /** Milliseconds since the epoch; Infinity for a token that does not say. */
  readonly expiresMs: number;
  readonly notBeforeMs: number;
}

/** Why a token is not believed, in Envoy's words. */
export interface TokenRefusal {
  readonly status: 401 | 403;
  readonly message: string;
  readonly rule: JwtRule;
}

export type TokenOutcome = VerifiedToken | TokenRefusal;

const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Clocks may differ by this much (Envoy's default). */
const clockSkewMs = 60_000;
/** Characters of the tokens that are remembered for one rule, and rules that tokens are remembered for. */
const rememberedLengthMax = 512 * 1024;
const rememberedRulesMax = 128;

interface Remembered {
  readonly verified: VerifiedToken;
  readonly keys: KeySet;
}

/** Tokens that were believed by one rule, the oldest first. */
class TokenMemory {
  /** Stands for all rules that say the same: every service has its own copy, and a new one with each change. */
  readonly rule: JwtRule;
  readonly #byToken = new Map<string, Remembered>();
  #length = 0;

  constructor(rule: JwtRule) {
    this.rule = rule;
  }

  get size(): number {
    return this.#byToken.size;
  }

  get(token: string): Remembered | undefined {
    return this.#byToken.get(token);
  }

  set(token: string, remembered: Remembered): void {
    this.delete(token);
    this.#byToken.set(token, remembered);
    this.#length += token.length;
    for (const oldest of this.#byToken.keys()) {
      if (this.#length <= rememberedLengthMax) break;
      this.delete(oldest);
    }
  }

  delete(token: string): void {
    if (this.#byToken.delete(token)) this.#length -= token.length;
  }
}

/** Verifies, and remembers. One per thread. */
export class TokenVerifier {
  readonly #keySets: KeySets;
  readonly #memories = new Map<string, TokenMemory>();
  #memoryOf = new WeakMap<JwtRule, TokenMemory>();

  constructor(keySets: KeySets) {
    this.#keySets = keySets;
  }

  /** Tokens that are remembered. */
  get size(): number {
    return [...this.#memories.values()].reduce((sum, memory) => sum + memory.size, 0);
  }

  /**
   * The first of the tokens that is believed, else why the first one is not. At once when it is known already or cannot
   * be believed by its looks; a promise, which never rejects, otherwise. `nowMs` is since the epoch.
   */
  verify(found: readonly FoundToken[], nowMs: number): TokenOutcome | Promise<TokenOutcome> {
    for (const { rule, token } of found) {
      const known = this.#recall(rule, token, nowMs);
      if (known !== null) return known;
    }
    let refusal: TokenRefusal | null = null;
    const open: { readonly rule: JwtRule; readonly token: string; readonly claims: Claims }[] = [];
    for (const { rule, token } of found) {
      const claims = claimsOf(token);
      const message = claims === null ? badForm : rule.issuers.includes(String(claims['iss'])) ? '' : strangeIssuer;
      if (message === '') open.push({ rule, token, claims: claims! });
      // What stands there for another rule is not judged by this one; an issuer that nobody knows is told last.
      else if (refusal === null) refusal = { status: 401, message, rule };
    }
    if (open.length === 0) return refusal!;
    return this.#verifyAny(open, nowMs);
  }

  async #verifyAny(
    open: readonly { readonly rule: JwtRule; readonly token: string; readonly claims: Claims }[],
    nowMs: number,
  ): Promise<TokenOutcome> {
    let refusal: TokenRefusal | null = null;
    for (const { rule, token, claims } of open) {
      const outcome = await this.#verifyOne(rule, token, claims, nowMs);
      if ('facts' in outcome) return outcome;
      refusal ??= outcome;
    }
    return refusal!;
  }

  async #verifyOne(rule: JwtRule, token: string, claims: Claims, nowMs: number): Promise<TokenOutcome> {
    const verified = verifiedOf(rule, token, claims);
    const untimely = timeProblem(verified, nowMs);
    if (untimely !== null) return { status: 401, message: untimely, rule };
    const memory = this.#memoryFor(rule);
    let keys: KeySet;
    try {
      keys = await this.#keySets.get(memory.rule, nowMs);
    } catch {
      return { status: 401, message: 'Jwks remote fetch is failed', rule };
    }
    const message = await this.#checkSignature(memory.rule, token, keys, nowMs);
    if (typeof message === 'string') return { status: 401, message, rule };
    if (!hasAudience(rule, verified.facts)) return { status: 403, message: 'Audiences in Jwt are not allowed', rule };
    memory.set(token, { verified, keys: message.keys });
    return verified;
  }

  /** The keys that the signature is good by, or what is wrong with it. */
  async #checkSignature(
    rule: JwtRule,
    token: string,
    keys: KeySet,
    nowMs: number,
  ): Promise<{ readonly keys: KeySet } | string> {
    const problem = await signatureProblem(token, keys);
    if (problem === null) return { keys };
    if (problem !== noSuchKey) return problem;
    // The issuer may have changed its keys.
    try {
      const newer = await this.#keySets.again(rule, nowMs);
      return newer === null ? problem : ((await signatureProblem(token, newer)) ?? { keys: newer });
    } catch {
      return problem;
    }
  }

  #recall(rule: JwtRule, token: string, nowMs: number): VerifiedToken | null {
    const memory = this.#memoryFor(rule);
    const known = memory.get(token);
    if (known === undefined) return null;
    const keys = this.#keySets.get(memory.rule, nowMs);
    if (keys instanceof Promise) keys.catch(() => undefined);
    // With other keys it has to prove itself again.
    if (known.keys === keys && timeProblem(known.verified, nowMs) === null) return known.verified;
    memory.delete(token);
    return null;
  }

  #memoryFor(rule: JwtRule): TokenMemory {
    const known = this.#memoryOf.get(rule);
    if (known !== undefined) return known;
    const id = JSON.stringify(rule);
    const memory = this.#memories.get(id) ?? new TokenMemory(rule);
    this.#memories.delete(id);
    this.#memories.set(id, memory);
    this.#memoryOf.set(rule, memory);
    const [oldest] = this.#memories.keys();
    if (this.#memories.size > rememberedRulesMax && oldest !== undefined) {
      this.#memories.delete(oldest);
      this.#memoryOf = new WeakMap([[rule, memory]]);
    }
    return memory;
  }
}

const badForm = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';
const strangeIssuer = 'Jwt issuer is not configured';
const noSuchKey = "Jwks doesn't have key to match kid or alg from Jwt";

async function signatureProblem(token: string, keys: KeySet): Promise<string | null> {
  const { compactVerify, errors } = jose();
  try {
    await compactVerify(token, keys, { algorithms });
    return null;
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return noSuchKey;
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return 'Jwt verification fails';
    for await (const key of error) {
      const isGood = await compactVerify(token, key, { algorithms }).then(
        () => true,
        () => false,
      );
      if (isGood) return null;
    }
    return 'Jwt verification fails';
  }
}

/** The claims of a token that nobody has verified yet; null for what is no token. */
function claimsOf(token: string): Claims | null {
  const parts = token.split('.');
  if (parts.length !== 3 || parts.some((part) => part === '' || !/^[\w-]+$/.test(part))) return null;
  try {
    const value: unknown = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : null;
  } catch {
    return null;
  }
}

function verifiedOf(rule: JwtRule, token: string, claims: Claims): VerifiedToken {
  const { iss, sub, aud, azp, exp, nbf } = claims;
  const audiences = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string');
  const principal = typeof iss === 'string' && typeof sub === 'string' ? `${iss}/${sub}` : null;
  const facts: TokenFacts = {
    principal,
    audiences,
    presenter: typeof azp === 'string' ? azp : null,
    claims: withLists(claims, rule.spaceDelimitedClaims),
  };
  // A time that cannot be read counts as long ago, or as far off: the token is not good now.
  const expiresMs = exp === undefined ? Number.POSITIVE_INFINITY : typeof exp === 'number' ? exp * 1000 : 0;
  const notBeforeMs = nbf === undefined ? 0 : typeof nbf === 'number' ? nbf * 1000 : Number.POSITIVE_INFINITY;
  return { rule, token, facts, claims, expiresMs, notBeforeMs };
}

function withLists(claims: Claims, delimited: readonly string[]): Claims {
  if (delimited.length === 0) return claims;
  const lists = delimited.flatMap((name) => {
    const value = claims[name];
    return typeof value === 'string' ? [[name, value.split(' ')] as const] : [];
  });
  return { ...claims, ...Object.fromEntries(lists) };
}

function timeProblem({ expiresMs, notBeforeMs }: VerifiedToken, nowMs: number): string | null {
  if (nowMs >= expiresMs + clockSkewMs) return 'Jwt is expired';
  return nowMs < notBeforeMs - clockSkewMs ? 'Jwt not yet valid' : null;
}

function hasAudience(rule: JwtRule, facts: TokenFacts): boolean {
  if (rule.audiences.length === 0) return true;
  return facts.audiences.some((audience) => rule.audiences.includes(audience));
}

/** A claim as a header carries it: a text as it is, a list or object as JSON in base64url; null where there is none. */
export function claimHeader(claims: Claims, path: readonly string[]): string | null {
  let value: unknown = claims;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return null;
    value = (value as Claims)[key];
  }
  if (typeof value === 'object' && value !== null) return Buffer.from(JSON.stringify(value)).toString('base64url');
  const [text] = claimTexts({ value }, ['value']);
  // No byte of a claim may end the header, or begin another one.
  return text === undefined || !/^[\x20-\x7e\x80-\xff]*$/.test(text) ? null : text;
}
