// Longest-prefix look-up: from an address to the value of the narrowest network that holds it. One map per prefix
// length and family, so that a look-up costs one map access per length in use, whatever the number of networks.
import { type Cidr, type IpValue, maskIpv4, maskIpv6, parseIp } from './ip.ts';

interface Level<Key, Value> {
  readonly length: number;
  readonly entries: Map<Key, { readonly cidr: Cidr; readonly value: Value }>;
}

/** Networks with a value each; a network is held once, the last `set` wins. */
export class CidrTable<Value> {
  /** Longest prefix first. */
  readonly #ipv4: Level<number, Value>[] = [];
  readonly #ipv6: Level<bigint, Value>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds the network, or replaces its value. */
  set(cidr: Cidr, value: Value): void {
    const ip = parseIp(cidr.address);
    if (ip === null) return;
    const entries = ip.family === 4 ? levelFor(this.#ipv4, cidr.length) : levelFor(this.#ipv6, cidr.length);
    const map = entries as Map<number | bigint, { cidr: Cidr; value: Value }>;
    if (!map.has(ip.value)) this.#size++;
    map.set(ip.value, { cidr, value });
  }

  /** The value of exactly this network. */
  get(cidr: Cidr): Value | undefined {
    const ip = parseIp(cidr.address);
    if (ip === null) return undefined;
    if (ip.family === 4) return this.#ipv4.find((level) => level.length === cidr.length)?.entries.get(ip.value)?.value;
    return this.#ipv6.find((level) => level.length === cidr.length)?.entries.get(ip.value)?.value;
  }

  /** Removes exactly this network; false when it was not there. */
  delete(cidr: Cidr): boolean {
    const ip = parseIp(cidr.address);
    if (ip === null) return false;
    const removed =
      ip.family === 4 ? removeFrom(this.#ipv4, cidr.length, ip.value) : removeFrom(this.#ipv6, cidr.length, ip.value);
    if (removed) this.#size--;
    return removed;
  }

  /** The value of the narrowest network that contains the address; undefined when none does or it is no address. */
  lookup(address: string | IpValue): Value | undefined {
    return this.match(address)?.value;
  }

  /** As `lookup`, with the network that matched. */
  match(address: string | IpValue): { readonly cidr: Cidr; readonly value: Value } | undefined {
    const ip = typeof address === 'string' ? parseIp(address) : address;
    if (ip === null) return undefined;
    if (ip.family === 4) {
      for (const level of this.#ipv4) {
        const found = level.entries.get(maskIpv4(ip.value, level.length));
        if (found !== undefined) return found;
      }
      return undefined;
    }
    for (const level of this.#ipv6) {
      const found = level.entries.get(maskIpv6(ip.value, level.length));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Every network that contains the address, narrowest first. */
  matches(address: string): { readonly cidr: Cidr; readonly value: Value }[] {
    const ip = parseIp(address);
    if (ip === null) return [];
    const found =
      ip.family === 4
        ? this.#ipv4.map((level) => level.entries.get(maskIpv4(ip.value, level.length)))
        : this.#ipv6.map((level) => level.entries.get(maskIpv6(ip.value, level.length)));
    return found.filter((entry) => entry !== undefined);
  }

  *entries(): Generator<readonly [Cidr, Value]> {
    for (const level of [...this.#ipv4, ...this.#ipv6]) {
      for (const entry of level.entries.values()) yield [entry.cidr, entry.value];
    }
  }
}

function levelFor<Key, Value>(levels: Level<Key, Value>[], length: number): Level<Key, Value>['entries'] {
  const at = levels.findIndex((level) => level.length <= length);
  const there = levels[at];
  if (there?.length === length) return there.entries;
  const level: Level<Key, Value> = { length, entries: new Map() };
  levels.splice(at < 0 ? levels.length : at, 0, level);
  return level.entries;
}

function removeFrom<Key, Value>(levels: Level<Key, Value>[], length: number, key: Key): boolean {
  const at = levels.findIndex((level) => level.length === length);
  const level = levels[at];
  if (level === undefined || !level.entries.delete(key)) return false;
  if (level.entries.size === 0) levels.splice(at, 1);
  return true;
}
