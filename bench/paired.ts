// What a change adds, out of measurements by turns: each pair is one with and one without, right after one another, so
// that whatever else the machine does hits both. The middle of the differences, and how far it can be trusted.

/** Of the same unit as the differences; the middle would be between `low` and `high` in 95 of 100 such measurements. */
export interface Effect {
  readonly middle: number;
  readonly low: number;
  readonly high: number;
  readonly pairs: number;
}

const resamples = 2_000;
const confidence = 0.95;

/** The median of `differences`, with its interval by the bootstrap. `random`: in [0, 1). Throws RangeError for none. */
export function effectOf(differences: readonly number[], random: () => number = Math.random): Effect {
  if (differences.length === 0) throw new RangeError('nothing was measured');
  const count = differences.length;
  const medians = Array.from({ length: resamples }, () =>
    medianOf(Float64Array.from({ length: count }, () => differences[Math.floor(random() * count)]!)),
  ).toSorted((a, b) => a - b);
  const at = (share: number): number => medians[Math.round((resamples - 1) * share)]!;
  const tail = (1 - confidence) / 2;
  return { middle: medianOf(Float64Array.from(differences)), low: at(tail), high: at(1 - tail), pairs: count };
}

/** Of another unit: every figure times `factor`. */
export function scaled({ middle, low, high, pairs }: Effect, factor: number): Effect {
  return { middle: middle * factor, low: low * factor, high: high * factor, pairs };
}

/** Sorts `values` in place. */
export function medianOf(values: Float64Array): number {
  values.sort();
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}

/** A copy in another order, each as likely. */
export function shuffled<T>(values: readonly T[], random: () => number = Math.random): T[] {
  const copy = [...values];
  for (let at = copy.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [copy[at], copy[other]] = [copy[other]!, copy[at]!];
  }
  return copy;
}
