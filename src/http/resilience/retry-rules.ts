// Whether a try that went wrong is made again: Envoy's conditions (l7.md §4.1) for "would it help?", and a rule of our
// own for "can it do harm?": a request that may have been processed is sent again only if its method is idempotent, if
// it carries an idempotency key, or if the route's author said so in as many words. Pure; one object per rule of a
// route, none per request.
import type { RetryPolicy } from '../../model/route-types.ts';
import { idempotentMethods } from '../../model/routes/retry-options.ts';
import type { RequestHead } from '../message.ts';
import { retriableGrpcCodes } from './grpc-status.ts';

/** How a try ended. */
export type TryEnd =
  /** An answer began; `status` and `grpcStatus` say which. */
  | 'answer'
  /** No connection: TCP, TLS or tunnel. */
  | 'connect-failure'
  /** REFUSED_STREAM, or GOAWAY with the stream beyond its last one: not looked at. */
  | 'refused-stream'
  | 'reset'
  /** The connection, or the request's part of it, ended before an answer. */
  | 'connection-lost'
  | 'per-try-timeout'
  /** A breaker of ours was open: nothing was sent. */
  | 'overflow';

export interface FailedTry {
  readonly end: TryEnd;
  /** Of an answer; 0 without one. */
  readonly status: number;
  /** `grpc-status` of an answer's head (trailers-only); -1 without one. Real trailers are not looked at. */
  readonly grpcStatus: number;
  /** A proxy of ours answered (the node proxy of the destination, say): the application has not seen the request. */
  readonly madeByProxy: boolean;
  /** `x-envoy-ratelimited` on the answer. */
  readonly rateLimited: boolean;
  /** `retry-after` on the answer; 0 without one. */
  readonly retryAfterMs: number;
  /** A byte of the request was handed to the kernel or the tunnel. */
  readonly bytesLeft: boolean;
  /** The endpoint cannot have seen it, as the connection knows (`ResponseHandler.onFailure`). */
  readonly unprocessed: boolean;
  /** All of the body that was sent is at hand again. */
  readonly replayable: boolean;
  /** Nothing of an answer has gone to the client, and the client is there. */
  readonly uncommitted: boolean;
}

export type RetryVerdict =
  | 'retry'
  /** Not a failure that the policy names. */
  | 'no-condition'
  /** Every try is used up: access-log flag RETRY_LIMIT. */
  | 'limit'
  /** It may have been processed, and doing it twice may do harm. */
  | 'unsafe'
  /** An earlier hop of the same mesh tries again already. */
  | 'chain'
  /** The body is too large to be kept, or the answer has begun. */
  | 'impossible'
  /** The destination's retry budget or `maxRetries`, asked last: access-log flag RETRY_REFUSED. */
  | 'refused';

const idempotencyHeaders = ['idempotency-key', 'x-idempotency-key'] as const;
/** Counts the tries of a request; Envoy's name. What a waypoint receives above 1 is being retried by who sent it. */
export const attemptHeader = 'x-envoy-attempt-count';

/** The retry policy of a rule, made ready. Get it from `retryRulesOf`. */
export class RetryRules {
  readonly policy: RetryPolicy;
  readonly #on5xx: boolean;
  readonly #onGateway: boolean;
  readonly #onReset: boolean;
  readonly #onResetBefore: boolean;
  readonly #onConnect: boolean;
  readonly #onLost: boolean;
  readonly #onRefused: boolean;
  readonly #onRateLimited: boolean;
  readonly #on409: boolean;
  readonly #statuses: ReadonlySet<number>;
  readonly #grpcCodes: ReadonlySet<number>;

  constructor(policy: RetryPolicy) {
    this.policy = policy;
    const on = new Set(policy.retryOn);
    this.#on5xx = on.has('5xx');
    this.#onGateway = on.has('gateway-error');
    this.#onReset = on.has('reset');
    this.#onResetBefore = on.has('reset-before-request');
    this.#onConnect = on.has('connect-failure');
    this.#onLost = on.has('connection-lost');
    this.#onRefused = on.has('refused-stream');
    this.#onRateLimited = on.has('envoy-ratelimited');
    this.#on409 = on.has('retriable-4xx');
    this.#statuses = new Set(policy.statuses);
    const named = Object.entries(retriableGrpcCodes).filter(([name]) => on.has(name));
    this.#grpcCodes = new Set(named.map(([, code]) => code));
  }

  /**
   * Judges a failed try. `retriesMade` are those this proxy has made of the request. The budget and the breakers are
   * asked afterwards (`Destination.beginRetry`).
   */
  decide(head: RequestHead, failed: FailedTry, retriesMade: number): RetryVerdict {
    if (!this.#names(failed)) return 'no-condition';
    if (!failed.uncommitted || !failed.replayable) return 'impossible';
    if (!this.policy.evenIfRetried && attemptOf(head) > 1) return 'chain';
    if (!isUntouched(failed) && !this.#mayRepeat(head)) return 'unsafe';
    return retriesMade < this.policy.attempts ? 'retry' : 'limit';
  }

  /** Whether the policy asks for a retry after such a failure, whatever else speaks against it. */
  #names(failed: FailedTry): boolean {
    switch (failed.end) {
      case 'answer':
        return this.#namesAnswer(failed);
      case 'connect-failure':
        return this.#onConnect || this.#on5xx || this.#onGateway || this.#onReset;
      case 'refused-stream':
        return this.#onRefused || this.#on5xx || this.#onGateway || this.#onReset;
      case 'connection-lost':
      case 'reset':
        if (this.#onLost && failed.end === 'connection-lost') return true;
        if (this.#on5xx || this.#onGateway || this.#onReset) return true;
        if (failed.unprocessed && this.#onRefused) return true;
        return !failed.bytesLeft && (this.#onResetBefore || this.#onConnect);
      case 'per-try-timeout':
        return this.#on5xx || this.#onGateway || this.#onReset;
      case 'overflow':
        return false;
    }
  }

  #namesAnswer({ status, grpcStatus, rateLimited, madeByProxy }: FailedTry): boolean {
    if (rateLimited) return this.#onRateLimited;
    if (grpcStatus > 0) return this.#grpcCodes.has(grpcStatus);
    if (this.#statuses.has(status)) return true;
    if (status >= 500 && this.#on5xx) return true;
    if (status >= 502 && status <= 504 && this.#onGateway) return true;
    // The other proxy could not connect either: the same failure, one hop further on.
    if (status === 503 && madeByProxy && this.#onConnect) return true;
    return status === 409 && this.#on409;
  }

  #mayRepeat(head: RequestHead): boolean {
    if (this.policy.nonIdempotent || idempotentMethods.has(head.method)) return true;
    return idempotencyHeaders.some((name) => head.headers.has(name));
  }
}

const known = new WeakMap<RetryPolicy, RetryRules>();

/** The rules of a policy; made once per policy object. */
export function retryRulesOf(policy: RetryPolicy): RetryRules {
  const there = known.get(policy);
  if (there !== undefined) return there;
  const rules = new RetryRules(policy);
  known.set(policy, rules);
  return rules;
}

/** The application cannot have begun to process the request. */
export function isUntouched(failed: FailedTry): boolean {
  switch (failed.end) {
    case 'connect-failure':
    case 'refused-stream':
    case 'overflow':
      return true;
    case 'answer':
      return failed.madeByProxy && failed.status === 503;
    default:
      return failed.unprocessed || !failed.bytesLeft;
  }
}

/** Which try of the request this is according to who sent it, from 1. */
export function attemptOf(head: RequestHead): number {
  const text = head.headers.get(attemptHeader);
  if (text === null || !/^\d{1,6}$/.test(text)) return 1;
  return Math.max(Number(text), 1);
}

/**
 * How long to wait before retry number `retry` (from 1), in milliseconds: anything up to a bound that doubles, so that
 * clients that failed together do not come back together (full jitter, as Envoy: `[0, (2^n - 1) * base)`, capped).
 */
export function backoffMs(policy: RetryPolicy, retry: number, random: () => number): number {
  const bound = (2 ** Math.min(retry, 30) - 1) * policy.backoffBaseMs;
  return Math.min(bound, policy.backoffMaxMs) * random();
}
