// Times as counts in classes that are each 8 % wider than the one before: what quantiles need, small enough to be kept
// per edge, and the same whatever the order in which times came.

const growth = Math.log(1.08);
/** Shorter times are all alike. */
const leastMs = 0.001;

/** Weighted counts of times. */
export class Histogram {
  readonly #counts = new Map<number, number>();
  #total = 0;
  /** By class; null when something has come since. */
  #sorted: readonly (readonly [number, number])[] | null = null;

  add(ms: number, weight: number): void {
    this.#count(Math.round(Math.log(Math.max(ms, leastMs) / leastMs) / growth), weight);
  }

  /** Adds what another has; with `sign` -1 takes it out again. */
  merge(other: Histogram, sign: 1 | -1 = 1): void {
    for (const [at, weight] of other.#counts) this.#count(at, sign * weight);
  }

  /** Milliseconds that at least the share `q` of all did not exceed, to 4 %; null without any. */
  quantile(q: number): number | null {
    if (this.#total === 0) return null;
    let below = 0;
    let last = 0;
    this.#sorted ??= [...this.#counts].sort(([a], [b]) => a - b);
    for (const [at, weight] of this.#sorted) {
      below += weight;
      last = at;
      if (below >= q * this.#total) break;
    }
    return rounded(leastMs * Math.exp(last * growth));
  }

  #count(at: number, weight: number): void {
    const count = (this.#counts.get(at) ?? 0) + weight;
    if (count > 0) this.#counts.set(at, count);
    else this.#counts.delete(at);
    this.#total += weight;
    this.#sorted = null;
  }
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}
