// Times as counts in classes that are each 8 % wider than the one before: what quantiles need, small enough to be kept
// per edge, and the same whatever the order in which times came.

const growth = Math.log(1.08);
/** Shorter times are all alike. */
const leastMs = 0.001;

/** Weighted counts of times. */
export class Histogram {
  readonly #counts = new Map<number, number>();
  #total = 0;

  add(ms: number, weight: number): void {
    const at = Math.round(Math.log(Math.max(ms, leastMs) / leastMs) / growth);
    this.#counts.set(at, (this.#counts.get(at) ?? 0) + weight);
    this.#total += weight;
  }

  merge(other: Histogram): void {
    for (const [at, weight] of other.#counts) this.#counts.set(at, (this.#counts.get(at) ?? 0) + weight);
    this.#total += other.#total;
  }

  /** Milliseconds that at least the share `q` of all did not exceed, to 4 %; null without any. */
  quantile(q: number): number | null {
    if (this.#total === 0) return null;
    let below = 0;
    let last = 0;
    for (const [at, weight] of [...this.#counts].sort(([a], [b]) => a - b)) {
      below += weight;
      last = at;
      if (below >= q * this.#total) break;
    }
    return rounded(leastMs * Math.exp(last * growth));
  }
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}
