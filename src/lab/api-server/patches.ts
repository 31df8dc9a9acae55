// What a PATCH makes of an object: JSON patch (RFC 6902), merge patch (RFC 7396), and Kubernetes' strategic merge patch
// as far as `kubectl apply` and our own writers need it ($patch, $deleteFromPrimitiveList, $setElementOrder,
// $retainKeys).
import { isDeepStrictEqual } from 'node:util';
import { ApiFailure, badRequest } from './failure.ts';
import { fieldPlace, itemPlace, listKindAt, type Place } from './list-types.ts';
import { isFields } from './structural-schema.ts';

type Fields = Record<string, unknown>;

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const result: Fields = isFields(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

const operationsMax = 10_000;

/** RFC 6902. Throws 400 for a patch that is none, 422 for one that does not fit. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations');
  if (patch.length > operationsMax) {
    const message = `The allowed maximum operations in a JSON patch is ${operationsMax}, got ${patch.length}`;
    throw new ApiFailure(413, 'RequestEntityTooLarge', message);
  }
  let result = structuredClone(target);
  for (const operation of patch) result = operate(result, isFields(operation) ? operation : {});
  return result;
}

function operate(root: unknown, operation: Fields): unknown {
  const path = pointer(operation.path);
  switch (operation.op) {
    case 'add':
      return put(root, path, structuredClone(operation.value), 'add');
    case 'replace':
      at(root, path);
      return put(root, path, structuredClone(operation.value), 'replace');
    case 'remove':
      at(root, path);
      return put(root, path, undefined, 'remove');
    case 'test':
      if (!isDeepStrictEqual(at(root, path), operation.value))
        throw unfit(`testing value ${String(operation.path)} failed: test failed`);
      return root;
    case 'move': {
      const from = pointer(operation.from);
      const value = at(root, from);
      return put(put(root, from, undefined, 'remove'), path, value, 'add');
    }
    case 'copy':
      return put(root, path, structuredClone(at(root, pointer(operation.from))), 'add');
    default:
      throw unfit(`Unexpected kind: ${String(operation.op)}`);
  }
}

function pointer(text: unknown): string[] {
  if (typeof text !== 'string' || (text !== '' && !text.startsWith('/'))) throw unfit('a path begins with /');
  return text === ''
    ? []
    : text
        .slice(1)
        .split('/')
        .map((word) => word.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function at(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const word of path) {
    const inner = Array.isArray(value) ? value[indexOf(word)] : isFields(value) ? value[word] : undefined;
    if (inner === undefined) throw unfit(`the path /${path.join('/')} does not exist`);
    value = inner;
  }
  return value;
}

function put(root: unknown, path: readonly string[], value: unknown, how: 'add' | 'replace' | 'remove'): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = at(root, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : indexOf(last);
    if (index > parent.length) throw unfit(`index ${last} is out of bounds`);
    if (how === 'add') parent.splice(index, 0, value);
    else if (how === 'remove') parent.splice(index, 1);
    else parent[index] = value;
  } else if (isFields(parent)) {
    if (how === 'remove') delete parent[last];
    else parent[last] = value;
  } else throw unfit(`the path /${path.join('/')} leads into a value`);
  return root;
}

function indexOf(word: string): number {
  if (!/^\d+$/.test(word)) throw unfit(`${word} is no index of a list`);
  return Number(word);
}

function unfit(message: string): ApiFailure {
  return new ApiFailure(
    422,
    'Invalid',
    `the server rejected our request due to an error in our request: ${message}`,
    {},
  );
}

/** Strategic merge patch: lists of the kinds that have keys merge item by item. */
export function strategicPatch(target: unknown, patch: unknown, place: Place): unknown {
  if (!isFields(patch)) return patch;
  if (patch.$patch === 'replace') return withoutDirectives(patch);
  if (patch.$patch === 'delete') return undefined;
  const result: Fields = isFields(target) ? { ...target } : {};
  const retained = patch.$retainKeys;
  if (Array.isArray(retained)) {
    for (const name of Object.keys(result)) if (!retained.includes(name)) delete result[name];
  }
  for (const [name, value] of Object.entries(patch)) {
    const inner = fieldPlace(place, name);
    if (name.startsWith('$deleteFromPrimitiveList/')) dropFrom(result, name.slice(name.indexOf('/') + 1), value);
    else if (name.startsWith('$')) continue;
    else if (value === null) delete result[name];
    else if (Array.isArray(value)) result[name] = patchList(result[name], value, inner, patch);
    else {
      const merged = strategicPatch(result[name], value, inner);
      if (merged === undefined) delete result[name];
      else result[name] = merged;
    }
  }
  return result;
}

function dropFrom(result: Fields, name: string, values: unknown): void {
  const list = result[name];
  if (!Array.isArray(list) || !Array.isArray(values)) return;
  result[name] = list.filter((item) => !values.includes(item));
}

function patchList(target: unknown, patch: readonly unknown[], place: Place, parent: Fields): unknown {
  const kind = patchKeyAt(place);
  const list: readonly unknown[] = Array.isArray(target) ? target : [];
  if (kind === 'atomic' || patch.some((item) => isFields(item) && item.$patch === 'replace'))
    return patch.filter((item) => !(isFields(item) && item.$patch === 'replace')).map(withoutDirectives);
  if (kind === 'set') return [...list, ...patch.filter((item) => !list.includes(item))];
  const merged = [...list];
  for (const item of patch) {
    if (!isFields(item)) continue;
    const index = merged.findIndex((each) => isFields(each) && each[kind] === item[kind]);
    if (item.$patch === 'delete') {
      if (index >= 0) merged.splice(index, 1);
    } else if (index < 0) merged.push(withoutDirectives(strategicPatch({}, item, itemPlace(place))));
    else merged[index] = strategicPatch(merged[index], item, itemPlace(place));
  }
  const order = parent[`$setElementOrder/${place.fields.at(-1)}`];
  return Array.isArray(order) ? inOrder(merged, order, kind) : merged;
}

/** The one key by which a strategic patch knows items; it is the first of those that apply goes by. */
function patchKeyAt(place: Place): string {
  const kind = listKindAt(place);
  return typeof kind === 'string' ? kind : (kind[0] ?? 'atomic');
}

function inOrder(items: readonly unknown[], order: readonly unknown[], key: string): unknown[] {
  const rankOf = (item: unknown): number => {
    const rank = order.findIndex((each) => isFields(each) && isFields(item) && each[key] === item[key]);
    return rank < 0 ? order.length : rank;
  };
  return [...items].sort((a, b) => rankOf(a) - rankOf(b));
}

function withoutDirectives(value: unknown): unknown {
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith('$')));
}
