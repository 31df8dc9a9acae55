// Sets of fields of an object, as managers own them: paths to leaves, and FieldsV1 from and to them.
//
// A step is `f:NAME`, `k:{"name":"x"}` (an item under its keys) or `v:"x"` (an item of a set); `.` is an item itself.
import { fieldPlace, isAtomicMap, itemPlace, keysOf, listKindAt, type Place } from './list-types.ts';
import type { FieldTree } from './metadata.ts';
import { isFields } from './structural-schema.ts';

/** Steps to a leaf, as one text. */
export type FieldPath = string;

const joint = '\0';

/** Fields that no manager owns. */
const unowned = new Set([
  'f:apiVersion',
  'f:kind',
  ...[
    'name',
    'namespace',
    'uid',
    'resourceVersion',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'managedFields',
    'selfLink',
  ].map((name) => `f:metadata${joint}f:${name}`),
]);

/** Every leaf of a value with what is there. */
export function leavesOf(value: unknown, place: Place): Map<FieldPath, unknown> {
  const leaves = new Map<FieldPath, unknown>();
  collect(value, place, '', leaves);
  for (const path of leaves.keys()) {
    if (unowned.has(path.split(joint).slice(0, 2).join(joint)) || unowned.has(path)) leaves.delete(path);
  }
  return leaves;
}

function collect(value: unknown, place: Place, path: string, leaves: Map<FieldPath, unknown>): void {
  const at = (step: string): string => (path === '' ? step : `${path}${joint}${step}`);
  if (isFields(value) && !isAtomicMap(place) && (Object.keys(value).length > 0 || path === '')) {
    for (const [name, inner] of Object.entries(value)) collect(inner, fieldPlace(place, name), at(`f:${name}`), leaves);
    return;
  }
  if (Array.isArray(value)) {
    const kind = listKindAt(place);
    if (kind === 'set') {
      for (const item of value) leaves.set(at(`v:${JSON.stringify(item)}`), item);
      return;
    }
    if (kind !== 'atomic') {
      for (const item of value) {
        const step = at(`k:${JSON.stringify(keysOf(item, kind))}`);
        leaves.set(`${step}${joint}.`, true);
        collect(item, itemPlace(place), step, leaves);
      }
      return;
    }
  }
  leaves.set(path, value);
}

/** FieldsV1 of a set. */
export function treeOf(paths: Iterable<FieldPath>): FieldTree {
  const tree: Record<string, unknown> = {};
  for (const path of [...paths].sort()) {
    let at = tree;
    for (const step of path.split(joint)) {
      at[step] ??= {};
      at = at[step] as Record<string, unknown>;
    }
  }
  return tree as FieldTree;
}

/** The set of FieldsV1. */
export function pathsOf(tree: FieldTree, path = ''): Set<FieldPath> {
  const paths = new Set<FieldPath>();
  for (const [step, inner] of Object.entries(tree)) {
    const at = path === '' ? step : `${path}${joint}${step}`;
    if (Object.keys(inner).length === 0) paths.add(at);
    else for (const each of pathsOf(inner, at)) paths.add(each);
  }
  return paths;
}

/** `.spec.ports[port=80,protocol="TCP"].name`: how conflicts name a field. */
export function pathText(path: FieldPath): string {
  return path
    .split(joint)
    .filter((step) => step !== '.')
    .map((step) => {
      const rest = step.slice(2);
      if (step.startsWith('f:')) return `.${rest}`;
      if (step.startsWith('v:')) return `[=${rest}]`;
      const keys = JSON.parse(rest) as Record<string, unknown>;
      const words = Object.entries(keys).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      return `[${words.join(',')}]`;
    })
    .join('');
}

/** The value without the leaves at `paths`; what becomes empty by that goes too. */
export function without(value: unknown, paths: ReadonlySet<FieldPath>, place: Place, path = ''): unknown {
  const at = (step: string): string => (path === '' ? step : `${path}${joint}${step}`);
  if (paths.has(path)) return undefined;
  if (isFields(value) && !isAtomicMap(place)) {
    const kept = Object.entries(value).flatMap(([name, inner]) => {
      const left = without(inner, paths, fieldPlace(place, name), at(`f:${name}`));
      return left === undefined ? [] : [[name, left] as const];
    });
    const isEmptied = kept.length === 0 && Object.keys(value).length > 0 && path !== '';
    return isEmptied ? undefined : Object.fromEntries(kept);
  }
  if (!Array.isArray(value)) return value;
  const kind = listKindAt(place);
  if (kind === 'atomic') return value;
  const kept = value.flatMap((item) => {
    if (kind === 'set') return paths.has(at(`v:${JSON.stringify(item)}`)) ? [] : [item];
    const keys = keysOf(item, kind);
    const step = at(`k:${JSON.stringify(keys)}`);
    if (paths.has(`${step}${joint}.`)) return [];
    const left = without(item, paths, itemPlace(place), step);
    return left === undefined ? [] : [left];
  });
  return kept.length === 0 && value.length > 0 ? undefined : kept;
}

/** True when `path` leads into what is at `above`. */
export function isBelow(path: FieldPath, above: FieldPath): boolean {
  return path.startsWith(`${above}${joint}`);
}

/** True when one of `paths` is at `path`, above or below it. */
export function touches(paths: ReadonlySet<FieldPath>, path: FieldPath): boolean {
  if (paths.has(path)) return true;
  for (const each of paths) if (isBelow(each, path) || isBelow(path, each)) return true;
  return false;
}
