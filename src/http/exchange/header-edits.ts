// Header edits of a route and of the backend that was drawn, as one set of changes. The rule's come first, the
// backend's after them (l7.md §1.6); within each: remove, then set, then add.
import type { HeaderEdits } from '../../model/route-types.ts';
import type { HeadChanges } from '../message.ts';

type Pair = readonly [name: string, value: string];

export const noEdits: HeaderEdits = { remove: [], set: [], add: [] };

/** What does the same as `first` and then `second`. Returns one of them where the other is empty. */
export function chainEdits(first: HeaderEdits, second: HeaderEdits): HeaderEdits {
  if (isEmpty(second)) return first;
  if (isEmpty(first)) return second;
  const replaced = new Set([...second.remove, ...second.set.map(([name]) => name)]);
  const survives = ([name]: Pair): boolean => !replaced.has(name);
  return {
    remove: [...first.remove, ...second.remove],
    set: [...first.set.filter(survives), ...second.set],
    add: [...first.add.filter(survives), ...second.add],
  };
}

/** True when it changes nothing. */
export function isEmpty(edits: HeadChanges): boolean {
  return edits.remove.length === 0 && edits.set.length === 0 && edits.add.length === 0;
}

/** The authority that edits set (`host`, `:authority`); null when they leave it. */
export function authorityOf(edits: HeaderEdits): string | null {
  for (const [name, value] of edits.set) if (isAuthority(name)) return value;
  for (const [name, value] of edits.add) if (isAuthority(name)) return value;
  return null;
}

/** Edits without names that no edit may touch: pseudo-headers and `host`. `edits` itself where none is there. */
export function withoutReserved(edits: HeaderEdits): HeaderEdits {
  const reserved = (name: string): boolean => name.startsWith(':') || name === 'host';
  const bad = edits.remove.some(reserved) || [...edits.set, ...edits.add].some(([name]) => reserved(name));
  if (!bad) return edits;
  return {
    remove: edits.remove.filter((name) => !reserved(name)),
    set: edits.set.filter(([name]) => !reserved(name)),
    add: edits.add.filter(([name]) => !reserved(name)),
  };
}

function isAuthority(name: string): boolean {
  return name === 'host' || name === ':authority';
}
