// One tree for all variants of an object: what is there only with a switch on, or off, says so.
import { isDeepStrictEqual } from 'node:util';
import { MeshError } from '../../src/base/errors.ts';

export type Tree = unknown;

/** A part that is there when all conditions hold. */
export interface Guarded {
  readonly key: string;
  readonly when: readonly string[];
  readonly node: Node;
}

export type Node =
  | { readonly is: 'scalar'; readonly value: unknown }
  | { readonly is: 'mapping' | 'list'; readonly parts: readonly Guarded[] }
  | { readonly is: 'either'; readonly when: string; readonly ifOn: Node; readonly ifOff: Node };

export interface Variant {
  /** The condition that does not hold in this variant, and does in the whole. */
  readonly off: string;
  readonly tree: Tree;
}

/**
 * Joins a tree, made with every switch on, with those of which one is off.
 * @throws MeshError USAGE for a difference that no condition of one switch can say; `at` is for the words.
 */
export function joined(whole: Tree, variants: readonly Variant[], at: string): Node {
  const others = variants.filter(({ tree }) => !isDeepStrictEqual(tree, whole));
  for (const [is, partsOf] of [['mapping', entriesOf] as const, ['list', itemsOf] as const]) {
    const parts = partsOf(whole);
    if (parts === null || others.some(({ tree }) => partsOf(tree) === null)) continue;
    return {
      is,
      parts: joinedParts(
        parts,
        others.map(({ off, tree }) => ({ off, parts: partsOf(tree)! })),
        at,
      ),
    };
  }
  if (others.length === 0) return { is: 'scalar', value: whole };
  const [{ off, tree }] = others as [Variant];
  if (others.length > 1) throw new MeshError('USAGE', { reason: `${at} depends on ${others.map((one) => one.off)}` });
  return { is: 'either', when: off, ifOn: joined(whole, [], at), ifOff: joined(tree, [], at) };
}

function joinedParts(
  whole: ReadonlyMap<string, Tree>,
  others: readonly { readonly off: string; readonly parts: ReadonlyMap<string, Tree> }[],
  at: string,
): Guarded[] {
  const guarded: Guarded[] = [...whole].map(([key, tree]) => {
    const when = others.filter(({ parts }) => !parts.has(key)).map(({ off }) => off);
    const rest = others.flatMap(({ off, parts }) => (parts.has(key) ? [{ off, tree: parts.get(key) }] : []));
    return { key, when, node: joined(tree, rest, `${at}.${key}`) };
  });
  for (const { off, parts } of others) {
    let after = 0;
    for (const [key, tree] of parts) {
      const known = guarded.findIndex((one) => one.key === key);
      if (known >= 0) after = known + 1;
      else guarded.splice(after++, 0, { key, when: [opposite(off)], node: joined(tree, [], `${at}.${key}`) });
    }
  }
  return guarded;
}

/** `ne` and `eq` are each other's. */
function opposite(condition: string): string {
  return condition.startsWith('ne ') ? `eq ${condition.slice(3)}` : `not (${condition})`;
}

function entriesOf(tree: Tree): ReadonlyMap<string, Tree> | null {
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) return null;
  return new Map(Object.entries(tree).filter(([, value]) => value !== undefined));
}

/** Items of a list are the same when they have the same name, or are all the same. */
function itemsOf(tree: Tree): ReadonlyMap<string, Tree> | null {
  if (!Array.isArray(tree)) return null;
  const items = new Map<string, Tree>();
  for (const item of tree as unknown[]) {
    const named = (item as { name?: unknown } | null)?.name;
    let key = typeof named === 'string' ? named : JSON.stringify(item);
    while (items.has(key)) key += "'";
    items.set(key, item);
  }
  return items;
}
