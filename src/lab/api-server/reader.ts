// Get and list: what the store has, now or as of a version, whole or in pages.
//
//   resourceVersion   unset → the newest · 0 → whatever there is (here the newest) · N → N or newer, or exactly N
//   limit, continue   pages of one version; a token of a forgotten version → 410, with one that goes on from there
import type { KubeObject } from '../objects.ts';
import type { ObjectStore } from '../store.ts';
import { badRequest, expired, notFound, tooLargeVersion } from './failure.ts';
import type { History } from './history.ts';
import { numberOf } from './request.ts';
import type { ResourceType } from './resources.ts';
import { fieldSelector, labelSelector, nameOfSelector, type Predicate } from './selectors.ts';

export interface ListPage {
  readonly version: number;
  readonly items: readonly KubeObject[];
  readonly continueToken: string | null;
  /** How many more match; null when that would have to be counted. */
  readonly remaining: number | null;
}

interface ContinueToken {
  readonly v: 'meta.k8s.io/v1';
  /** -1 for a page that may be of another version than those before. */
  readonly rv: number;
  readonly start: string;
}

const lateVersion = 'The provided continue parameter is too old to display a consistent list result. ';
const goOn =
  'You can start a new list without the continue parameter, or use the continue token in this response to retrieve ' +
  'the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that ' +
  'were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

/** Reads a store as an API server does. */
export class Reader {
  readonly #store: ObjectStore;
  readonly #history: History;
  /** Sorted lists of the last versions, since a paged list asks for the same one again and again. */
  readonly #sorted = new Map<string, readonly KubeObject[]>();
  readonly #sortedMax = 8;

  constructor(store: ObjectStore, history: History) {
    this.#store = store;
    this.#history = history;
  }

  /** Throws 404. */
  get(type: ResourceType, namespace: string, name: string): KubeObject {
    const object = this.find(type, namespace, name);
    if (object === undefined) throw notFound(type, name);
    return object;
  }

  find(type: ResourceType, namespace: string, name: string): KubeObject | undefined {
    return this.#store.get(type.kind, namespace, name, type.group);
  }

  /** Throws 504 for a version that is not there yet. */
  checkNotNewer(query: URLSearchParams): void {
    const wanted = numberOf(query, 'resourceVersion') ?? 0;
    if (wanted > this.#history.version) throw tooLargeVersion(wanted, this.#history.version);
  }

  /** Throws 400 for a bad query, 410 for a version that is forgotten, 504 for one that is not there yet. */
  list(type: ResourceType, namespace: string | null, query: URLSearchParams): ListPage {
    const token = query.get('continue') ?? '';
    const limit = numberOf(query, 'limit') ?? 0;
    const place = token === '' ? null : readToken(token);
    if (place !== null && (numberOf(query, 'resourceVersion') ?? 0) > 0)
      throw badRequest('specifying resource version is not allowed when using continue');
    const version = place === null ? this.#versionFor(query) : this.#versionOfToken(place);
    const matches = predicateOf(type, namespace, query);
    const all = this.#at(type, version);
    const start = place === null ? 0 : all.findIndex((object) => sortKey(object) >= place.start);
    const from = start < 0 ? all.length : start;
    // A list of version 0 comes out of the cache, which knows no pages.
    const pageSize = isFromCache(query) || limit === 0 ? Number.POSITIVE_INFINITY : limit;
    const items: KubeObject[] = [];
    let at = from;
    for (; at < all.length && items.length < pageSize; at++) {
      const object = all[at] as KubeObject;
      if (matches(object)) items.push(object);
    }
    const next = at;
    const isMore = all.slice(next).some((object) => namespace === null || object.metadata.namespace === namespace);
    const hasSelector = (query.get('labelSelector') ?? '') !== '' || (query.get('fieldSelector') ?? '') !== '';
    if (!isMore) return { version, items, continueToken: null, remaining: null };
    return {
      version,
      items,
      continueToken: tokenFor(version, all[next] as KubeObject),
      remaining: hasSelector ? null : all.slice(next).filter(matches).length,
    };
  }

  #versionFor(query: URLSearchParams): number {
    const wanted = numberOf(query, 'resourceVersion');
    const match = query.get('resourceVersionMatch') ?? '';
    const current = this.#history.version;
    if (match !== '' && wanted === undefined)
      throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided');
    if (wanted === undefined || wanted === 0) {
      if (match === 'Exact') throw badRequest('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
      return current;
    }
    if (wanted > current) throw tooLargeVersion(wanted, current);
    // With a limit and no other word, a version is meant exactly.
    const isExact = match === 'Exact' || (match === '' && (numberOf(query, 'limit') ?? 0) > 0);
    if (!isExact) return current;
    if (wanted < this.#history.forgottenTo) {
      throw expired(`The resourceVersion for the provided list is too old.`);
    }
    return wanted;
  }

  #versionOfToken({ rv, start }: ContinueToken): number {
    if (rv === -1) return this.#history.version;
    if (rv >= this.#history.forgottenTo) return rv;
    throw expired(lateVersion + goOn, encodeToken({ v: 'meta.k8s.io/v1', rv: -1, start }));
  }

  #at(type: ResourceType, version: number): readonly KubeObject[] {
    const key = `${type.group}/${type.kind}@${version}`;
    const known = this.#sorted.get(key);
    if (known !== undefined) return known;
    const found = this.#history.at(type, version);
    if (this.#sorted.size >= this.#sortedMax) this.#sorted.delete(this.#sorted.keys().next().value as string);
    this.#sorted.set(key, found);
    return found;
  }
}

/** What the selectors and the namespace of a request let through. */
export function predicateOf(type: ResourceType, namespace: string | null, query: URLSearchParams): Predicate {
  const labels = labelSelector(query.get('labelSelector') ?? '');
  const fields = query.get('fieldSelector') ?? '';
  const fieldsMatch = fieldSelector(fields, type);
  const name = nameOfSelector(fields);
  return (object) => {
    if (name !== null && object.metadata.name !== name) return false;
    return (namespace === null || object.metadata.namespace === namespace) && labels(object) && fieldsMatch(object);
  };
}

function isFromCache(query: URLSearchParams): boolean {
  return query.get('resourceVersion') === '0';
}

function sortKey({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function tokenFor(version: number, next: KubeObject): string {
  return encodeToken({ v: 'meta.k8s.io/v1', rv: version, start: sortKey(next) });
}

function encodeToken(token: ContinueToken): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function readToken(text: string): ContinueToken {
  try {
    const token = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Partial<ContinueToken>;
    if (typeof token.rv === 'number' && typeof token.start === 'string') return token as ContinueToken;
  } catch {
    // It is refused below.
  }
  throw badRequest('continue key is not valid: it was not made here');
}
