// Rate limits of routes: token buckets, one per limit and key (everyone, the client's identity, a header's value).
// Local to a waypoint thread. State goes by what a limit says, not by the object that says it, so that a new route
// table fills no bucket.
import type { RateLimit } from '../../model/route-types.ts';
import type { SpiffeId } from '../../model/types.ts';
import type { RequestHead } from '../message.ts';

/** Buckets of one limit; keys beyond share one bucket, so that inventing keys gets nobody around a limit. */
export const rateLimitKeysMax = 10_000;
/** Limits that are not asked any more are forgotten beyond this number. */
const limitsMax = 4096;

export interface RateRefusal {
  readonly limit: RateLimit;
  /** Until one more request would be let through, in milliseconds. */
  readonly retryAfterMs: number;
}

interface Bucket {
  tokens: number;
  filledMs: number;
}

class LimitState {
  readonly perMs: number;
  readonly capacity: number;
  readonly #by: RateLimit['by'];
  readonly #buckets = new Map<string, Bucket>();
  readonly #rest: Bucket;
  #sweptMs: number;

  constructor(limit: RateLimit, nowMs: number) {
    this.perMs = limit.requests / limit.perMs;
    this.capacity = Math.max(limit.burst > 0 ? limit.burst : limit.requests, 1);
    this.#by = limit.by;
    this.#rest = { tokens: this.capacity, filledMs: nowMs };
    this.#sweptMs = nowMs;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** The bucket of a request, filled up to now. */
  bucketOf(identity: SpiffeId | null, head: RequestHead, nowMs: number): Bucket {
    const key = this.#keyOf(identity, head);
    const known = this.#buckets.get(key);
    if (known !== undefined) return this.#fill(known, nowMs);
    if (this.#buckets.size >= rateLimitKeysMax && !this.#sweep(nowMs)) return this.#fill(this.#rest, nowMs);
    const bucket = { tokens: this.capacity, filledMs: nowMs };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #keyOf(identity: SpiffeId | null, head: RequestHead): string {
    if (this.#by.length === 1) return partOf(this.#by[0]!, identity, head);
    let key = '';
    for (const part of this.#by) key += `${partOf(part, identity, head)}\n`;
    return key;
  }

  #fill(bucket: Bucket, nowMs: number): Bucket {
    const grown = Math.max(nowMs - bucket.filledMs, 0) * this.perMs;
    bucket.tokens = Math.min(bucket.tokens + grown, this.capacity);
    bucket.filledMs = nowMs;
    return bucket;
  }

  /** Drops buckets that are full again, which are as good as none; at most once in the time that fills one. */
  #sweep(nowMs: number): boolean {
    if (nowMs - this.#sweptMs < this.capacity / this.perMs) return false;
    this.#sweptMs = nowMs;
    for (const [key, bucket] of this.#buckets) {
      if (this.#fill(bucket, nowMs).tokens >= this.capacity) this.#buckets.delete(key);
    }
    return this.#buckets.size < rateLimitKeysMax;
  }
}

/** All rate limits of a thread. */
export class RateLimiter {
  readonly #states = new Map<string, LimitState>();
  #byLimit = new WeakMap<RateLimit, LimitState>();

  /**
   * Takes a token from each of the limits if all of them have one, and returns null; otherwise takes none and returns
   * the refusal that lasts longest.
   */
  check(limits: readonly RateLimit[], identity: SpiffeId | null, head: RequestHead, nowMs: number): RateRefusal | null {
    let refusal: RateRefusal | null = null;
    for (const limit of limits) {
      const state = this.#stateOf(limit, nowMs);
      const { tokens } = state.bucketOf(identity, head, nowMs);
      if (tokens >= 1) continue;
      const retryAfterMs = (1 - tokens) / state.perMs;
      if (refusal === null || retryAfterMs > refusal.retryAfterMs) refusal = { limit, retryAfterMs };
    }
    if (refusal !== null) return refusal;
    for (const limit of limits) this.#stateOf(limit, nowMs).bucketOf(identity, head, nowMs).tokens -= 1;
    return null;
  }

  /** Keys that are held for a limit. */
  keysOf(limit: RateLimit): number {
    return this.#byLimit.get(limit)?.size ?? 0;
  }

  #stateOf(limit: RateLimit, nowMs: number): LimitState {
    const known = this.#byLimit.get(limit);
    if (known !== undefined) return known;
    const id = JSON.stringify([limit.policy, limit.by, limit.requests, limit.perMs, limit.burst]);
    const state = this.#states.get(id) ?? new LimitState(limit, nowMs);
    this.#states.delete(id);
    this.#states.set(id, state);
    const [oldest] = this.#states.keys();
    if (this.#states.size > limitsMax && oldest !== undefined) this.#states.delete(oldest);
    this.#byLimit.set(limit, state);
    return state;
  }
}

/**
 * The headers of a 429: `retry-after` (RFC 9110 §10.2.3), `ratelimit` and `ratelimit-policy`
 * (draft-ietf-httpapi-ratelimit-headers), and Envoy's `x-ratelimit-*` and `x-envoy-ratelimited`. Times in seconds.
 */
export function rateLimitHeaders(refusal: RateRefusal): readonly (readonly [name: string, value: string])[] {
  const { limit, retryAfterMs } = refusal;
  const waitS = Math.max(Math.ceil(retryAfterMs / 1000), 1);
  const windowS = Math.max(Math.ceil(limit.perMs / 1000), 1);
  const name = JSON.stringify(limit.policy);
  return [
    ['retry-after', String(waitS)],
    ['ratelimit-policy', `${name};q=${limit.requests};w=${windowS}`],
    ['ratelimit', `${name};r=0;t=${waitS}`],
    ['x-ratelimit-limit', `${limit.requests}, ${limit.requests};w=${windowS}`],
    ['x-ratelimit-remaining', '0'],
    ['x-ratelimit-reset', String(waitS)],
    ['x-envoy-ratelimited', 'true'],
  ];
}

/** Requests without identity, or without the header, share a bucket. */
function partOf(part: RateLimit['by'][number], identity: SpiffeId | null, head: RequestHead): string {
  switch (part.kind) {
    case 'all':
      return '';
    case 'identity':
      return identity ?? '';
    case 'header':
      return head.headers.get(part.name.toLowerCase()) ?? '';
  }
}
