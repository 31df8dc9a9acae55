// Adaptive concurrency: how many requests at once a destination takes is found out from its latency (the gradient
// method of Netflix' concurrency-limits, `Gradient2Limit`): while answers take as long as they usually do the limit
// grows, and when they take longer it shrinks. What is over the limit is refused at once with 503 and `retry-after`.
// Opt-in, per destination and waypoint thread.

export interface ConcurrencyPolicy {
  readonly minLimit: number;
  readonly maxLimit: number;
}

/** What a refused client is told to wait, in seconds. */
export const overloadRetryAfterS = 1;

const startLimit = 20;
/** Answers may take this much longer than usual before the limit shrinks. */
const tolerance = 1.5;
/** Share of a new estimate in the limit. */
const smoothing = 0.2;
/** Answers over which "usual" is averaged, once there were so many. */
const longWindow = 600;
/** A limit shrinks to no less than this part at once. */
const gradientMin = 0.5;
/** Usual latency comes down quickly when it was learnt during an overload. */
const recoveryRatio = 2;
const recoveryFactor = 0.95;

/** The limit of one destination, and how much of it is in use. */
export class AdaptiveConcurrency {
  #policy: ConcurrencyPolicy;
  #limit: number;
  #active = 0;
  #usualMs = 0;
  #samples = 0;

  constructor(policy: ConcurrencyPolicy) {
    this.#policy = policy;
    this.#limit = this.#bounded(startLimit);
  }

  get active(): number {
    return this.#active;
  }

  /** As of now, in requests. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  setPolicy(policy: ConcurrencyPolicy): void {
    this.#policy = policy;
    this.#limit = this.#bounded(this.#limit);
  }

  /** Takes a place for a request; false when there is none. */
  tryAcquire(): boolean {
    if (this.#active >= Math.floor(this.#limit)) return false;
    this.#active++;
    return true;
  }

  /** Gives the place back. `latencyMs` is the time to the answer's head; negative when it says nothing (aborted). */
  release(latencyMs: number): void {
    const inUse = this.#active;
    this.#active--;
    if (latencyMs >= 0) this.#learn(latencyMs, inUse);
  }

  #learn(latencyMs: number, inUse: number): void {
    const sample = Math.max(latencyMs, 0.01);
    // An average that is exact at first and forgets exponentially later.
    this.#samples = Math.min(this.#samples + 1, longWindow);
    this.#usualMs += (sample - this.#usualMs) / this.#samples;
    if (this.#usualMs / sample > recoveryRatio) this.#usualMs *= recoveryFactor;
    // A limit that is not in use is not tested by this answer.
    if (inUse < this.#limit / 2) return;
    const gradient = Math.max(gradientMin, Math.min(1, (tolerance * this.#usualMs) / sample));
    const wanted = this.#limit * gradient + Math.sqrt(this.#limit);
    this.#limit = this.#bounded(this.#limit * (1 - smoothing) + wanted * smoothing);
  }

  #bounded(limit: number): number {
    const { minLimit, maxLimit } = this.#policy;
    return Math.min(Math.max(limit, minLimit, 1), Math.max(maxLimit, 1));
  }
}
