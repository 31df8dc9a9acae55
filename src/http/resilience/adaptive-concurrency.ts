// Adaptive concurrency: how many requests at once a destination takes is found out from its latency (a gradient, as in
// Netflix' concurrency-limits and Envoy's adaptive concurrency filter). While the limit is reached and answers take as
// long as ever it grows; when they take longer it shrinks. Now and then it is halved for a moment, to see how fast
// answers are without a queue: an overload that lasts does not become the new normal. What is over the limit is refused
// at once with 503 and `retry-after`. Opt-in, per destination and waypoint thread.

export interface ConcurrencyPolicy {
  readonly minLimit: number;
  readonly maxLimit: number;
}

/** What a refused client is told to wait, in seconds. */
export const overloadRetryAfterS = 1;

const startLimit = 20;
/** Answers that are judged together. */
const windowAnswers = 100;
/** Answers may take this much longer than usual before the limit shrinks. */
const tolerance = 1.5;
/** Share of a new estimate in the limit. */
const smoothing = 0.5;
/** A limit shrinks to no less than this part at once. */
const gradientMin = 0.5;
/** Windows at the limit between two looks at what is usual. */
const windowsBetweenProbes = 5;
/** Share of a slower window in what is usual; a faster one is taken as it is. */
const forgetting = 0.1;

/** The limit of one destination, and how much of it is in use. */
export class AdaptiveConcurrency {
  #policy: ConcurrencyPolicy;
  #limit: number;
  #active = 0;
  /** Mean latency without a queue; 0 before there was a window. */
  #usualMs = 0;
  #sumMs = 0;
  #answers = 0;
  #wasFull = false;
  #fullWindows = 0;
  #isProbe = false;
  /** Answers that are not looked at. */
  #stale = 0;

  constructor(policy: ConcurrencyPolicy) {
    this.#policy = policy;
    this.#limit = this.#bounded(startLimit);
  }

  get active(): number {
    return this.#active;
  }

  /** As of now, in requests. */
  get limit(): number {
    return Math.floor(this.#isProbe ? this.#bounded(this.#limit / 2) : this.#limit);
  }

  setPolicy(policy: ConcurrencyPolicy): void {
    this.#policy = policy;
    this.#limit = this.#bounded(this.#limit);
  }

  /** Takes a place for a request; false when there is none. */
  tryAcquire(): boolean {
    if (this.#active >= this.limit) {
      this.#wasFull = true;
      return false;
    }
    this.#active++;
    return true;
  }

  /** Gives the place back. `latencyMs` is the time to the answer's head; negative when it says nothing (aborted). */
  release(latencyMs: number): void {
    this.#active--;
    if (latencyMs < 0) return;
    if (this.#stale > 0) {
      this.#stale--;
      return;
    }
    this.#sumMs += Math.max(latencyMs, 0.01);
    if (++this.#answers === windowAnswers) this.#endWindow(this.#sumMs / windowAnswers);
  }

  #endWindow(meanMs: number): void {
    if (this.#isProbe || !this.#wasFull || this.#usualMs === 0) this.#learnUsual(meanMs);
    else {
      const gradient = Math.max(gradientMin, Math.min(1, (tolerance * this.#usualMs) / meanMs));
      const wanted = this.#limit * gradient + Math.sqrt(this.#limit);
      this.#limit = this.#bounded(this.#limit + (wanted - this.#limit) * smoothing);
      this.#fullWindows++;
    }
    this.#isProbe = this.#fullWindows >= windowsBetweenProbes;
    if (this.#isProbe) {
      this.#fullWindows = 0;
      // What is in flight has waited in the queue of before.
      this.#stale = this.#active;
    }
    this.#sumMs = 0;
    this.#answers = 0;
    this.#wasFull = false;
  }

  #learnUsual(meanMs: number): void {
    const isFaster = this.#usualMs === 0 || meanMs < this.#usualMs;
    this.#usualMs = isFaster ? meanMs : this.#usualMs + (meanMs - this.#usualMs) * forgetting;
  }

  #bounded(limit: number): number {
    const { minLimit, maxLimit } = this.#policy;
    return Math.min(Math.max(limit, minLimit, 1), Math.max(maxLimit, 1));
  }
}
