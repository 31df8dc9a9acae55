// Lists of networks as sets: what is said twice, or lies within another, is dropped.
import { parseCidr, parseIp } from './ip.ts';

interface Range {
  readonly text: string;
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * The networks and addresses of `texts` without those that lie within another, sorted by family and address. An
 * address stands without a length; what is neither is left out.
 */
export function disjointNetworks(texts: Iterable<string>): string[] {
  const ranges = [...new Set(texts)].map(rangeOf).filter((range) => range !== null);
  ranges.sort((a, b) => a.family - b.family || compare(a.first, b.first) || compare(b.last, a.last));
  const kept: Range[] = [];
  for (const range of ranges) {
    const before = kept.at(-1);
    if (before === undefined || before.family !== range.family || range.first > before.last) kept.push(range);
  }
  return kept.map(({ text }) => text);
}

function rangeOf(text: string): Range | null {
  const cidr = parseCidr(text);
  const ip = cidr === null ? null : parseIp(cidr.address);
  if (cidr === null || ip === null) return null;
  const bits = (cidr.family === 4 ? 32 : 128) - cidr.length;
  const first = BigInt(ip.value);
  const last = first + (1n << BigInt(bits)) - 1n;
  return { text: bits === 0 ? cidr.address : cidr.text, family: cidr.family, first, last };
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
