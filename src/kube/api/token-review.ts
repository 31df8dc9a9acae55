// Service-account tokens, judged by the API server that issued them (TokenReview, authentication.k8s.io/v1). It knows
// what a signature alone does not: that the pod, node and account a token is bound to are still there.
import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/errors.ts';
import type { TokenClaims } from '../../identity/jwt.ts';
import { isMapping } from '../object-reader.ts';
import type { ApiClient } from './api-client.ts';

export interface TokenReviewerOptions {
  readonly client: ApiClient;
  /** A token must be meant for one of these. */
  readonly audiences: readonly string[];
  readonly clock: Clock;
}

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const tokenLengthMax = 16 * 1024;
/** How long an answer counts: a token that is withdrawn works no longer than that. */
const goodForMs = 30_000;
const badForMs = 5_000;
const answersMax = 10_000;
/** Strangers must not be able to keep the API server busy through us. */
const reviewsAtOnceMax = 32;
const reviewTimeoutMs = 10_000;
/** Its end is for the API server's clock to judge, which may be minutes behind ours. */
const skewMaxMs = 300_000;
/** `user.extra` of tokens that are bound, since Kubernetes 1.30 with the node too. */
const boundPrefix = 'authentication.kubernetes.io/';

interface Answer {
  readonly result: Promise<TokenClaims>;
  /** When it has to be asked again; null while it is being asked. */
  untilMs: number | null;
}

/** Asks the API server about tokens, once for each in a while. */
export class TokenReviewer {
  readonly #options: TokenReviewerOptions;
  /** By the token's hash, oldest first. */
  readonly #answers = new Map<string, Answer>();
  #underWay = 0;

  constructor(options: TokenReviewerOptions) {
    this.#options = options;
  }

  /**
   * The claims of `token`, when the API server takes it for one of our audiences. Throws CALLER_REFUSED with the
   * reason, LIMIT_REACHED when too many are asked about, and what the client throws when there is no answer.
   */
  verify(token: string): Promise<TokenClaims> {
    const { audiences, clock } = this.#options;
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#answers.get(key);
    if (known !== undefined && (known.untilMs === null || clock.now() < known.untilMs)) return known.result;
    let expiresAtMs: number;
    try {
      // Nothing of this is proven; but what fails here would fail there too.
      expiresAtMs = expiryOf(token, audiences, clock.now());
      if (this.#underWay >= reviewsAtOnceMax)
        throw new MeshError('LIMIT_REACHED', { limit: 'reviewsAtOnceMax', value: reviewsAtOnceMax, what: 'tokens' });
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#ask(key, token, expiresAtMs);
  }

  #ask(key: string, token: string, expiresAtMs: number): Promise<TokenClaims> {
    const { clock } = this.#options;
    const answer: Answer = { result: this.#review(token, expiresAtMs), untilMs: null };
    this.#underWay++;
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    if (this.#answers.size > answersMax) this.#answers.delete(this.#answers.keys().next().value!);
    const settle = (isGood: boolean, isAnswer: boolean): void => {
      this.#underWay--;
      const nowMs = clock.now();
      if (isAnswer) answer.untilMs = isGood ? Math.min(nowMs + goodForMs, expiresAtMs) : nowMs + badForMs;
      else if (this.#answers.get(key) === answer) this.#answers.delete(key);
    };
    answer.result.then(
      () => settle(true, true),
      (error: unknown) => settle(false, error instanceof MeshError && error.code === 'CALLER_REFUSED'),
    );
    return answer.result;
  }

  async #review(token: string, expiresAtMs: number): Promise<TokenClaims> {
    const { client, audiences } = this.#options;
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } };
    const answer = await client.json({ method: 'POST', path, body, timeoutMs: reviewTimeoutMs });
    const status = fieldsOf(fieldsOf(answer)['status']);
    if (status['authenticated'] !== true) throw refused(`the API server says ${textOf(status['error']) || 'no'}`);
    const accepted = listOf(status['audiences']);
    // An API server that does not know audiences names none, and then the token may be for anybody.
    if (!accepted.some((one) => audiences.includes(one))) throw refused('the token is for another audience');
    return claimsOf(fieldsOf(status['user']), accepted, expiresAtMs);
  }
}

function claimsOf(user: Fields, audiences: readonly string[], expiresAtMs: number): TokenClaims {
  const subject = textOf(user['username']);
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(subject) ?? [];
  const extra = fieldsOf(user['extra']);
  const boundTo = (what: string): { readonly name: string; readonly uid: string } | null => {
    const [name = '', ...others] = listOf(extra[`${boundPrefix}${what}-name`]);
    const [uid = ''] = listOf(extra[`${boundPrefix}${what}-uid`]);
    return name === '' || uid === '' || others.length > 0 ? null : { name, uid };
  };
  return {
    subject,
    audiences,
    expiresAtMs,
    namespace: namespace ?? null,
    serviceAccount: account === undefined ? null : { name: account, uid: textOf(user['uid']) },
    pod: boundTo('pod'),
    node: boundTo('node'),
  };
}

/** When the token ends, as it says itself. Throws CALLER_REFUSED for what cannot be good. */
function expiryOf(token: string, audiences: readonly string[], nowMs: number): number {
  const parts = token.length > tokenLengthMax ? [] : token.split('.');
  let claims: Fields = {};
  try {
    if (parts.length === 3) claims = fieldsOf(JSON.parse(Buffer.from(parts[1]!, 'base64url').toString('utf8')));
  } catch {
    // As if it said nothing.
  }
  const { aud, exp } = claims;
  if (typeof exp !== 'number') throw refused('the token is no JWT, or has no end');
  if (exp * 1000 + skewMaxMs <= nowMs) throw refused('the token expired');
  if (!(Array.isArray(aud) ? aud : [aud]).some((one) => audiences.includes(one))) {
    throw refused(`the token is for the audience ${String(aud).slice(0, 200)}`);
  }
  return exp * 1000;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return isMapping(value) ? value : {};
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 300) : '';
}

function refused(reason: string): MeshError {
  return new MeshError('CALLER_REFUSED', { reason });
}
