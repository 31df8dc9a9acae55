// The answers of lists and watches, checked as far as they are used.
import { MeshError, messageOf } from '../../base/errors.ts';
import { isMapping } from '../object-reader.ts';
import { fieldsOfJson, type Keep, pickJson } from './json-pick.ts';
import type { KubeObject } from './prune.ts';

export interface ListPage {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  /** Token of the next page; '' on the last one. */
  readonly next: string;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  /** A `Status` for ERROR. */
  readonly object: KubeObject;
}

const nothing = Buffer.from('null');
const types: readonly string[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'];

/** What is kept of a page, when `keep` is kept of each of its objects. */
export function pageKeep(keep: Keep): Keep {
  const items = typeof keep === 'function' ? (list: unknown) => (Array.isArray(list) ? list.map(keep) : list) : keep;
  return { metadata: { resourceVersion: true, continue: true }, items };
}

/**
 * One page of a list, in UTF-8, cut down to what `pageKeep` said. Throws NOT_REACHABLE for what is none: something else
 * than an API server answered.
 */
export function listOf(answer: Buffer, keep: Keep, path: string): ListPage {
  let page: unknown;
  try {
    page = pickJson(answer, keep);
  } catch (error) {
    throw odd(path, `what it answered is no JSON: ${messageOf(error)}`);
  }
  const fields = isMapping(page) ? page : {};
  const metadata = isMapping(fields['metadata']) ? fields['metadata'] : {};
  const { resourceVersion, continue: next } = metadata;
  // `items: null` is what some servers make of an empty list.
  const items = fields['items'] ?? [];
  if (typeof resourceVersion !== 'string' || resourceVersion === '' || !Array.isArray(items) || !items.every(isObject))
    throw odd(path, 'what it answered is no list of objects');
  return { items, resourceVersion, next: typeof next === 'string' ? next : '' };
}

/** One line of a watch, its object cut down to `keep`. Throws NOT_REACHABLE for what is no event. */
export function eventOf(line: Buffer, keep: Keep, path: string): WatchEvent {
  let type: unknown;
  let object: unknown;
  try {
    const fields = fieldsOfJson(line);
    type = pickJson(fields.get('type') ?? nothing, true);
    const isWhole = type === 'BOOKMARK' || type === 'ERROR';
    object = pickJson(fields.get('object') ?? nothing, isWhole ? true : keep);
  } catch (error) {
    throw odd(path, `an event is no JSON: ${messageOf(error)}`);
  }
  if (typeof type !== 'string' || !types.includes(type)) throw odd(path, 'an event has no type that is known');
  const isNameless = type === 'BOOKMARK' || type === 'ERROR';
  if (isNameless ? !isMapping(object) : !isObject(object)) throw odd(path, `an event of type ${type} has no object`);
  if (type === 'BOOKMARK' && !isMapping((object as Record<string, unknown>)['metadata']))
    throw odd(path, 'a bookmark says no version');
  return { type, object } as WatchEvent;
}

function isObject(value: unknown): value is KubeObject {
  return isMapping(value) && isMapping(value['metadata']) && typeof value['metadata']['name'] === 'string';
}

function odd(path: string, reason: string): MeshError {
  return new MeshError('NOT_REACHABLE', { what: path, reason, hint: 'it is asked again' });
}
