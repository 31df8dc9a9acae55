// What the kernel has, from `nft -j list table`: reduced to what must be equal, so that two readings can be compared.
import { createHash } from 'node:crypto';
import { tableName } from './rule-text.ts';
import { type KernelSettings, ownerOf, settingOf } from './ruleset.ts';

export interface TableReading {
  /**
   * Digest of chains, rules and sets without handles, counters, notes and addresses; equal digests mean equal
   * behaviour.
   */
  readonly structure: string;
  /** How many chains, rules and sets the digest covers. */
  readonly entries: number;
  /** Start time of the proxy that made the table, ms; null when it does not say. */
  readonly ownerMs: number | null;
  /** What settings of the kernel were before they were changed. */
  readonly settings: KernelSettings;
  /** Networks and addresses in the sets of pods, sorted; null where the table has no such sets. */
  readonly pods: readonly string[] | null;
  /** Addresses in the bypass sets, sorted. */
  readonly bypass: readonly string[];
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Reads the output of `nft -j list table inet ambient`. Returns null when it is not such an output. */
export function readTable(text: string): TableReading | null {
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    return null;
  }
  const list = isObject(parsed) ? parsed['nftables'] : null;
  if (!Array.isArray(list)) return null;
  const kept: string[] = [];
  const bypass: string[] = [];
  let pods: string[] | null = null;
  const settings: Record<string, string> = {};
  let ownerMs: number | null = null;
  for (const entry of list) {
    if (!isObject(entry)) return null;
    const { chain, set } = entry;
    const owner = isObject(chain) ? ownerOf(String(chain['name'])) : null;
    const setting = isObject(chain) ? settingOf(String(chain['name'])) : null;
    const setName = isObject(set) ? String(set['name']) : '';
    if (owner !== null) {
      ownerMs = owner;
    } else if (setting !== null) {
      settings[setting[0]] = setting[1];
    } else if (isObject(set) && (setName.startsWith('bypass') || setName.startsWith('pods'))) {
      if (setName.startsWith('pods')) pods = [...(pods ?? []), ...addresses(set['elem'])];
      else bypass.push(...addresses(set['elem']));
    } else if (!('metainfo' in entry)) {
      kept.push(JSON.stringify(withoutVolatile(entry)));
    }
  }
  const structure = createHash('sha256').update(kept.join('\n')).digest('hex');
  return { structure, entries: kept.length, ownerMs, settings, pods: pods?.sort() ?? null, bypass: bypass.sort() };
}

/** The arguments of `nft` that print what `readTable` reads, of either table. */
export const listArguments = (family: 'inet' | 'bridge') => ['-j', 'list', 'table', family, tableName] as const;

function addresses(elements: Json | undefined): string[] {
  if (!Array.isArray(elements)) return [];
  return elements.map((element) => {
    if (typeof element === 'string') return element;
    const prefix = isObject(element) ? element['prefix'] : undefined;
    return isObject(prefix) ? `${String(prefix['addr'])}/${String(prefix['len'])}` : JSON.stringify(element);
  });
}

function withoutVolatile(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutVolatile);
  if (!isObject(value)) return value;
  const kept: { [key: string]: Json } = {};
  for (const key of Object.keys(value).sort()) {
    if (key === 'handle') continue;
    kept[key] = key === 'counter' ? null : withoutVolatile(value[key] ?? null);
  }
  return kept;
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
