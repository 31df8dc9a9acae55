// Changes of an object that mend a finding and have one meaning: what `analyze --fix` writes. A name is only taken for
// another one when it is a slip of it: one letter, and no other name as near. What decides who is let in, or whether a
// policy is enforced at all, is left to people.
import { slipOf } from '../base/nearest-name.ts';
import { type NamesOf, namesIn } from '../model/issues.ts';
import type { ResourcePath } from '../model/resources.ts';
import type { Sought, SourcePlace } from '../model/types.ts';

export type Change =
  /** The word `from` of a value becomes `to`; the rest of the value stays. */
  | { readonly kind: 'value'; readonly path: ResourcePath; readonly from: string; readonly to: string }
  /** The key at the path becomes `to`. */
  | { readonly kind: 'key'; readonly path: ResourcePath; readonly to: string }
  /** The key at the path becomes `to`, and its mapping the one element of a list. */
  | { readonly kind: 'list'; readonly path: ResourcePath; readonly to: string }
  /** The mapping at the path gets one more key. */
  | { readonly kind: 'entry'; readonly path: ResourcePath; readonly key: string; readonly value: string };

/** A change with the place of the value that its path leads to, in a file. */
export type PlacedChange = Change & { readonly place: SourcePlace };

/** The change for a name that is not there; null when it is no slip of one that is. */
export function changeFor(sought: Sought, namesOf: NamesOf): Change | null {
  const { name, path } = sought;
  if (path === null) return null;
  const names = sought.kind === 'name' ? sought.among : namesIn(namesOf(sought.kind), sought.namespace);
  return renamed(name, names, path);
}

/** The change of a value that is a slip of one of some names; null for one that is not. */
export function renamed(from: string, names: Iterable<string>, path: ResourcePath): Change | null {
  const to = slipOf(from, names);
  return to === null ? null : { kind: 'value', path, from, to };
}
