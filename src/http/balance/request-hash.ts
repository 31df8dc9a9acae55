// The key of a request for consistent hashing: a header, a query parameter, a cookie, or the client's address.
import type { ConsistentHash } from '../../model/route-types.ts';
import type { RequestHead } from '../message.ts';
import { hashText } from './hash.ts';

/** No key: the request has nothing to hash, any endpoint will do. */
export const noHash = -1;

/** The request's hash, or `noHash`. `sourceAddress` is the client's, canonical. */
export function hashOfRequest(hash: ConsistentHash, head: RequestHead, sourceAddress: string): number {
  const value = keyOf(hash.key, head, sourceAddress);
  return value === null || value === '' ? noHash : hashText(value);
}

export interface StickyCookie {
  readonly hash: number;
  /** The value of the `set-cookie` header for the answer. */
  readonly setCookie: string;
}

/**
 * The cookie for a client that brought none, where the policy makes one (a cookie with a time to live; 0 is a session's
 * cookie): the hash that the request goes by, and the header that lets the next one follow it. Null where it does not.
 */
export function newStickyCookie(hash: ConsistentHash, random: () => number): StickyCookie | null {
  const { key } = hash;
  if (key.kind !== 'cookie' || key.ttlMs === null) return null;
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const value = half() + half();
  const age = key.ttlMs === 0 ? '' : `; Max-Age=${Math.ceil(key.ttlMs / 1000)}`;
  const path = key.path === '' ? '' : `; Path=${key.path}`;
  const attributes = (key.attributes ?? []).map((one) => `; ${one}`).join('');
  return { hash: hashText(value), setCookie: `${key.name}="${value}"${age}${path}; HttpOnly${attributes}` };
}

function keyOf(key: ConsistentHash['key'], head: RequestHead, sourceAddress: string): string | null {
  switch (key.kind) {
    case 'header':
      return head.headers.get(key.name.toLowerCase());
    case 'query':
      return queryValue(head.target, key.name);
    case 'cookie':
      return cookieValue(head.headers.get('cookie'), key.name);
    case 'source':
      return sourceAddress;
  }
}

/** The first parameter of that name as it was sent, percent signs and all; null when there is none. */
export function queryValue(target: string, name: string): string | null {
  const question = target.indexOf('?');
  if (question < 0) return null;
  for (let at = question + 1; at <= target.length; ) {
    const ampersand = target.indexOf('&', at);
    const end = ampersand < 0 ? target.length : ampersand;
    const equals = target.indexOf('=', at);
    const nameEnd = equals < 0 || equals > end ? end : equals;
    if (nameEnd - at === name.length && target.startsWith(name, at)) return target.slice(nameEnd + 1, end);
    at = end + 1;
  }
  return null;
}

/** The first cookie of that name, without quotes around it; null when there is none. */
export function cookieValue(cookies: string | null, name: string): string | null {
  if (cookies === null) return null;
  for (let at = 0; at < cookies.length; ) {
    const semicolon = cookies.indexOf(';', at);
    const end = semicolon < 0 ? cookies.length : semicolon;
    while (cookies.charCodeAt(at) === 32) at++;
    if (cookies.startsWith(name, at) && cookies.charAt(at + name.length) === '=' && at + name.length < end) {
      const value = cookies.slice(at + name.length + 1, end).trim();
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
    at = end + 1;
  }
  return null;
}
