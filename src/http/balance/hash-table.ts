// Consistent hashing: which endpoint a key belongs to, so that little moves when endpoints come and go. Two tables: a
// ring with a fixed number of points per endpoint, and Maglev's permutation table.
//
// Both are asked in the same way: `first(hash)` is a slot, `at(slot)` the member there, `next(slot, n)` where to look
// when that one cannot be used. So an ejected member's keys move and no other ones, and nothing is built anew for it.
import { hashText, mixHash } from './hash.ts';

export interface HashMember {
  /** What its place depends on. */
  readonly name: string;
  /** Relative; above 0. */
  readonly weight: number;
}

export interface HashTable {
  /** The slot of a key; -1 in a table without members. */
  first(hash: number): number;
  /** The slot to look at after `slot`; `tries` counts from 1. */
  next(slot: number, tries: number): number;
  /** Index of the member as it was given. */
  at(slot: number): number;
}

/** Points per endpoint of the smallest weight: a quarter of the smallest ring that was asked for, within these. */
const ringPointsMin = 64;
const ringPointsMax = 1024;
/** Weights above this multiple of the smallest count as this much. */
const weightRatioMax = 64;
/** Members beyond it do not fit into a point's number. */
const indexSpan = 2 ** 20;

/**
 * A ring. The points of a member depend on its name and weight alone, so that one that comes takes only what becomes
 * its own, and one that goes leaves the others where they were. `size` is the smallest ring, from four members on.
 */
export function hashRing(members: readonly HashMember[], size: number): HashTable {
  const perMember = Math.min(Math.max(Math.ceil(size / 4), ringPointsMin), ringPointsMax);
  const counts = weightRatios(members).map((ratio) => Math.round(perMember * ratio));
  const points = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let filled = 0;
  for (const [index, member] of members.entries()) {
    const base = hashText(member.name);
    const step = hashText(member.name, 0x9e3779b9) | 1;
    for (let n = 0; n < counts[index]!; n++) {
      // A number holds the point and, below it, whose it is: one native sort does the rest.
      points[filled++] = mixHash(base + Math.imul(step, n)) * indexSpan + index;
    }
  }
  points.sort();
  return {
    first(hash) {
      if (points.length === 0) return -1;
      const wanted = hash * indexSpan;
      let low = 0;
      let high = points.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (points[middle]! < wanted) low = middle + 1;
        else high = middle;
      }
      return low === points.length ? 0 : low;
    },
    next: (slot) => (slot + 1 === points.length ? 0 : slot + 1),
    at: (slot) => points[slot]! % indexSpan,
  };
}

/**
 * Maglev's table (Eisenbud et al. 2016, §3.4): members take turns, weighted, in claiming slots in an order of their
 * own. `size` becomes the next prime. Spreads more evenly than a ring; when members change, a few keys more than needed
 * move.
 */
export function maglevTable(members: readonly HashMember[], size: number): HashTable {
  const slots = primeFrom(Math.max(size, members.length * 2, 3));
  const table = new Int32Array(slots).fill(-1);
  const ratios = weightRatios(members);
  const largest = Math.max(...ratios, 1);
  const places = members.map(({ name }) => hashText(name) % slots);
  const skips = members.map(({ name }) => (hashText(name, 0x5bd1e995) % (slots - 1)) + 1);
  const turns = new Float64Array(members.length);
  for (let filled = 0; filled < slots && members.length > 0; ) {
    for (let index = 0; index < members.length && filled < slots; index++) {
      turns[index]! += ratios[index]! / largest;
      if (turns[index]! < 1) continue;
      turns[index]! -= 1;
      let slot = places[index]!;
      while (table[slot] !== -1) slot = (slot + skips[index]!) % slots;
      table[slot] = index;
      places[index] = (slot + skips[index]!) % slots;
      filled++;
    }
  }
  return {
    first: (hash) => (members.length === 0 ? -1 : mixHash(hash) % slots),
    next: (slot, tries) => mixHash(slot + Math.imul(tries, 0x9e3779b9)) % slots,
    at: (slot) => table[slot]!,
  };
}

function weightRatios(members: readonly HashMember[]): number[] {
  const smallest = Math.min(...members.map((member) => member.weight));
  return members.map((member) => Math.min(member.weight / smallest, weightRatioMax));
}

function primeFrom(start: number): number {
  for (let value = start | 1; ; value += 2) if (isPrime(value)) return value;
}

function isPrime(value: number): boolean {
  for (let divisor = 3; divisor * divisor <= value; divisor += 2) if (value % divisor === 0) return false;
  return value > 1;
}
