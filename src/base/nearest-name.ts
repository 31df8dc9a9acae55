// The nearest known name to a mistyped one, for errors that help: unknown fields, names of objects that are not there.

/** How many names a message lists before it only counts them. */
const listedNames = 6;

/** Names that differ in fewer letters than this are too short for one wrong letter to be a slip. */
const slipLengthMin = 4;

interface Near {
  readonly name: string;
  readonly distance: number;
}

/**
 * The candidate that is at most a third of its letters away from `word`, or null. Case does not count; of two that are
 * equally near it is the one that stands next to the word in the order of the alphabet (`v2` for `v3` of `v1, v2`).
 */
export function nearestName(word: string, candidates: Iterable<string>): string | null {
  const best = nearestOf(word, candidates);
  return best[0]?.name ?? null;
}

/**
 * The candidate that `word` is a slip of: one letter too many, too few, wrong, or two swapped, and no other candidate
 * is as near. Null when it may as well be a name of its own: a short one, or one that differs in a number (`v1`, `v2`).
 */
export function slipOf(word: string, candidates: Iterable<string>): string | null {
  const [best, second] = nearestOf(word, candidates);
  if (best === undefined || second !== undefined || best.distance > 1) return null;
  if (best.name.toLowerCase() === word.toLowerCase()) return best.name;
  if (Math.min(best.name.length, word.length) < slipLengthMin) return null;
  return digitsOf(best.name) === digitsOf(word) ? best.name : null;
}

/** `; did you mean X?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const nearest = nearestName(word, candidates);
  return nearest === null ? '' : `; did you mean ${nearest}?`;
}

/** `v1, v2`, the first few and how many more; '' for none. */
export function namesText(names: Iterable<string>): string {
  const all = [...names].sort();
  const more = all.length - listedNames;
  return more > 0 ? `${all.slice(0, listedNames).join(', ')} and ${more} more` : all.join(', ');
}

/** What there is instead of `word`, and which of it was meant: `it has v1, v2; did you mean v2?`, or `it has none`. */
export function thereIs(word: string, names: Iterable<string>, has: string): string {
  const all = [...new Set(names)];
  return all.length === 0 ? `${has} none` : `${has} ${namesText(all)}${didYouMean(word, all)}`;
}

/** The nearest candidates: more than one when they are equally near, the one that stands next to the word first. */
function nearestOf(word: string, candidates: Iterable<string>): readonly Near[] {
  const wanted = word.toLowerCase();
  let nearest: Near[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const name of new Set(candidates)) {
    const most = Math.min(least, Math.max(1, Math.floor(Math.max(name.length, word.length) / 3)));
    if (Math.abs(name.length - word.length) > most) continue;
    const distance = editDistance(wanted, name.toLowerCase(), most);
    if (distance > most) continue;
    if (distance < least) nearest = [];
    least = distance;
    nearest.push({ name, distance });
  }
  if (nearest.length < 2) return nearest;
  const before = nearest.filter(({ name }) => name < word).sort((a, b) => (a.name < b.name ? 1 : -1));
  const after = nearest.filter(({ name }) => name >= word).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...before, ...after];
}

function digitsOf(name: string): string {
  return name.replace(/\D/g, '');
}

/**
 * Optimal string alignment: an insertion, deletion, replacement or swap of neighbours costs 1. More than `most` is
 * said as soon as it is sure, and not how much more.
 */
function editDistance(a: string, b: string, most: number): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
      least = Math.min(least, cost);
    }
    // A swap reaches back two rows, so one row beyond the limit is not yet the end of it.
    if (least > most + 1) return least;
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
