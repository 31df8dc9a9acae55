// How long to wait before trying again: doubling from a first delay to a cap, with jitter so that many clients spread
// out.

export interface BackoffOptions {
  readonly firstMs: number;
  readonly capMs: number;
  /** Share of the delay that is random, 0 to 1: with 0.2 a delay of 100 ms becomes 80 to 100 ms. */
  readonly jitter: number;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

/**
 * A series of delays. `next()` returns the delay before the next try in milliseconds, `reset()` begins anew after a
 * success.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #delayMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#delayMs = options.firstMs;
  }

  next(): number {
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, this.#options.capMs);
    return delayMs * (1 - this.#options.jitter * this.#options.random());
  }

  reset(): void {
    this.#delayMs = this.#options.firstMs;
  }
}
