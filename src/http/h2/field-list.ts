// A header list as HPACK delivers it, `[name, value, …]` with names in lower case, seen as `Headers`.
import type { HeadChanges, Headers } from '../message.ts';

/** Headers of one connection alone (RFC 9113 §8.2.2, RFC 9110 §7.6.1): they never cross to the other side. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** The regular fields of a flat list; pseudo-headers stand before `from`. */
export class FieldList implements Headers {
  readonly list: readonly string[];
  readonly from: number;

  constructor(list: readonly string[]) {
    this.list = list;
    let from = 0;
    while (from < list.length && list[from]!.startsWith(':')) from += 2;
    this.from = from;
  }

  get(name: string): string | null {
    const { list } = this;
    let found: string | null = null;
    for (let i = this.from; i < list.length; i += 2) {
      if (list[i] !== name) continue;
      // A client may split its cookies (RFC 9113 §8.2.3).
      found = found === null ? list[i + 1]! : `${found}${name === 'cookie' ? '; ' : ', '}${list[i + 1]}`;
    }
    return found;
  }

  has(name: string): boolean {
    for (let i = this.from; i < this.list.length; i += 2) if (this.list[i] === name) return true;
    return false;
  }

  hasPrefix(prefix: string): boolean {
    for (let i = this.from; i < this.list.length; i += 2) if (this.list[i]!.startsWith(prefix)) return true;
    return false;
  }

  each(visit: (name: string, value: string) => void): void {
    for (let i = this.from; i < this.list.length; i += 2) visit(this.list[i]!, this.list[i + 1]!);
  }
}

/**
 * Appends to `list` what is left of `headers` after `changes`, with names in lower case. What belongs to the other
 * connection alone is left out, and so are `skip` and what an HTTP/1.1 `Connection` header names.
 */
export function appendFields(list: string[], headers: Headers, changes: HeadChanges | null, skip: string): void {
  const removed = changes?.remove ?? none;
  const set = changes?.set ?? none;
  if (headers instanceof FieldList) appendList(list, headers, removed, set, skip);
  else appendForeign(list, headers, removed, set, skip);
  for (const [name, value] of set) list.push(name, value);
  for (const [name, value] of changes?.add ?? none) list.push(name, value);
}

type Pairs = readonly (readonly [name: string, value: string])[];

/** What came over HTTP/2: the session has let no name in upper case pass, and none that `Connection` could nominate. */
function appendList(list: string[], fields: FieldList, removed: readonly string[], set: Pairs, skip: string): void {
  const { list: from } = fields;
  for (let i = fields.from; i < from.length; i += 2) {
    const name = from[i]!;
    if (name === skip || hopByHop.has(name) || isSet(set, name)) continue;
    if (removed.length === 0 || !removed.includes(name)) list.push(name, from[i + 1]!);
  }
}

function isSet(set: Pairs, name: string): boolean {
  for (let i = 0; i < set.length; i++) if (set[i]![0] === name) return true;
  return false;
}

function appendForeign(list: string[], headers: Headers, removed: readonly string[], set: Pairs, skip: string): void {
  const nominated = headers.get('connection')?.toLowerCase() ?? '';
  headers.each((name, value) => {
    const lower = lowerCase(name);
    if (lower === skip || hopByHop.has(lower) || (lower === 'te' && !/^trailers$/i.test(value))) return;
    if (nominated !== '' && names(nominated, lower)) return;
    if (removed.length > 0 && removed.includes(lower)) return;
    if (isSet(set, lower)) return;
    list.push(lower, value);
  });
}

const none: readonly never[] = [];

/** Fields that a `Connection` header cannot take away: who else decides by them must see them. */
const neverNominated: ReadonlySet<string> = new Set(['host', 'content-length', 'authorization', 'te', 'cookie']);

function names(nominated: string, name: string): boolean {
  if (neverNominated.has(name)) return false;
  return nominated.split(',').some((each) => each.trim() === name);
}

function lowerCase(name: string): string {
  // Most peers send lower case already, and what came over HTTP/2 is.
  return /[A-Z]/.test(name) ? name.toLowerCase() : name;
}
