// The answers of lists and watches, checked as far as they are used.
import { MeshError, messageOf } from '../../base/errors.ts';
import { isMapping } from '../object-reader.ts';
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

const types: readonly string[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'];

/** One page of a list. Throws NOT_REACHABLE for what is none: something else than an API server answered. */
export function listOf(answer: unknown, path: string): ListPage {
  const fields = isMapping(answer) ? answer : {};
  const metadata = isMapping(fields['metadata']) ? fields['metadata'] : {};
  const { resourceVersion, continue: next } = metadata;
  // `items: null` is what some servers make of an empty list.
  const items = fields['items'] ?? [];
  if (typeof resourceVersion !== 'string' || resourceVersion === '' || !Array.isArray(items) || !items.every(isObject))
    throw odd(path, 'what it answered is no list of objects');
  return { items, resourceVersion, next: typeof next === 'string' ? next : '' };
}

/** One line of a watch. Throws NOT_REACHABLE for what is no event. */
export function eventOf(line: string, path: string): WatchEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw odd(path, `an event is no JSON: ${messageOf(error)}`);
  }
  const { type, object } = isMapping(event) ? event : {};
  if (typeof type !== 'string' || !types.includes(type)) throw odd(path, 'an event has no type that is known');
  const isNameless = type === 'BOOKMARK' || type === 'ERROR';
  if (isNameless ? !isMapping(object) : !isObject(object)) throw odd(path, `an event of type ${type} has no object`);
  if (type === 'BOOKMARK' && !isMapping((object as Record<string, unknown>)['metadata']))
    throw odd(path, 'a bookmark says no version');
  return event as WatchEvent;
}

function isObject(value: unknown): value is KubeObject {
  return isMapping(value) && isMapping(value['metadata']) && typeof value['metadata']['name'] === 'string';
}

function odd(path: string, reason: string): MeshError {
  return new MeshError('NOT_REACHABLE', { what: path, reason, hint: 'it is asked again' });
}
