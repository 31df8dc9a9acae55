// Which backend a request goes to: drawn for each request, exactly by weight.
import type { WeightedBackend } from '../../model/route-types.ts';

/** Draws by weight; what has weight 0 is never drawn. */
export class WeightedDraw {
  readonly #backends: readonly WeightedBackend[];
  /** Sum of the weights up to and with each. */
  readonly #sums: readonly number[];
  readonly #total: number;

  constructor(backends: readonly WeightedBackend[]) {
    this.#backends = backends.filter((one) => one.weight > 0);
    let total = 0;
    this.#sums = this.#backends.map((one) => {
      total += one.weight;
      return total;
    });
    this.#total = total;
  }

  /** `random` is from 0 to below 1. Null when there is nothing to draw. */
  draw(random: number): WeightedBackend | null {
    const backends = this.#backends;
    if (backends.length <= 1) return backends[0] ?? null;
    const point = random * this.#total;
    for (let at = 0; at < backends.length; at++) if (point < this.#sums[at]!) return backends[at]!;
    return backends.at(-1)!;
  }
}
