// How many retries a destination can take: a share of what is in flight to it, and a few per second besides, so that
// retries help while little fails and cannot make a storm of it when everything does.
import type { RetryBudgetPolicy } from '../../model/route-types.ts';

/** Counts the retries in flight of one destination. */
export class RetryBudget {
  #policy: RetryBudgetPolicy;
  #active = 0;
  #tokens: number;
  #filledMs: number;

  constructor(policy: RetryBudgetPolicy, nowMs: number) {
    this.#policy = policy;
    this.#tokens = policy.perSecond;
    this.#filledMs = nowMs;
  }

  /** Retries between their decision and their end. */
  get active(): number {
    return this.#active;
  }

  setPolicy(policy: RetryBudgetPolicy): void {
    this.#policy = policy;
  }

  /**
   * Takes a place for a retry; false when there is none. `inFlight` are the requests at the destination, the one that
   * asks among them. Each place is given back with `release`.
   */
  tryAcquire(inFlight: number, nowMs: number): boolean {
    const { ratio, minConcurrency } = this.#policy;
    const concurrent = Math.max(Math.floor(ratio * inFlight), minConcurrency);
    if (this.#active >= concurrent && !this.#takeToken(nowMs)) return false;
    this.#active++;
    return true;
  }

  /** A place without asking: for a retry that adds nothing to what the endpoints get. */
  acquire(): void {
    this.#active++;
  }

  release(): void {
    this.#active--;
  }

  #takeToken(nowMs: number): boolean {
    const { perSecond } = this.#policy;
    const grown = Math.max(nowMs - this.#filledMs, 0) * (perSecond / 1000);
    this.#tokens = Math.min(this.#tokens + grown, perSecond);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
