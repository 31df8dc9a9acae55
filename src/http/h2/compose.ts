// Heads of any protocol → header lists and blocks of HTTP/2.
import { encodeBlock } from '../../h2/hpack-encoder.ts';
import type { ComposedRequest, HeadChanges, RequestChanges, RequestHead, ResponseHead, Trailers } from '../message.ts';
import { webSocketAccept, webSocketAnswer, webSocketKey } from '../upgrade.ts';
import { appendFields } from './field-list.ts';

/**
 * Returns the block of a request as it leaves for an endpoint that speaks HTTP/2. It refers to no dynamic table, so the
 * same bytes can be sent again on any connection. An upgrade is CONNECT with `:protocol` (RFC 8441).
 */
export function composeHttp2(head: RequestHead, changes: RequestChanges): ComposedRequest {
  const { contentLength, upgrade } = head;
  const method = upgrade === null ? (changes.method ?? head.method) : 'CONNECT';
  const list = [
    ':method',
    method,
    ':scheme',
    head.scheme,
    ':authority',
    changes.authority ?? head.authority,
    ':path',
    changes.target ?? head.target,
  ];
  if (upgrade === null) {
    appendFields(list, head.headers, changes, 'host');
    return { protocol: 'http2', bytes: encodeBlock(list), method, contentLength, upgrade };
  }
  list.push(':protocol', upgrade);
  const key = head.headers.get(webSocketKey);
  appendFields(list, head.headers, { ...changes, remove: [...changes.remove, webSocketKey] }, 'host');
  const switched = ['upgrade', upgrade];
  if (key !== null) switched.push(webSocketAccept, webSocketAnswer(key));
  return { protocol: 'http2', bytes: encodeBlock(list), method, contentLength, upgrade, switched };
}

/** Returns the list of a response that passes to a client of HTTP/2, to which a 101 is a 200. */
export function responseList(head: ResponseHead, changes: HeadChanges | null): string[] {
  const isSwitch = head.status === 101;
  const list = [':status', isSwitch ? '200' : String(head.status)];
  appendFields(list, head.headers, changes, isSwitch ? webSocketAccept : '');
  return list;
}

/** Fields that frame or route a message may not come after it (RFC 9110 §6.5.1). */
const notInTrailers: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'host',
  'keep-alive',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Returns trailers as a list; null where none are left that may be sent. */
export function trailerList(trailers: Trailers): string[] | null {
  if (trailers === null) return null;
  const list: string[] = [];
  for (const [name, value] of trailers) if (!notInTrailers.has(name)) list.push(name, value);
  return list.length === 0 ? null : list;
}

/** Returns a list without pseudo-headers as pairs. */
export function trailerPairs(list: readonly string[]): Trailers {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) pairs.push([list[i]!, list[i + 1]!]);
  return pairs;
}
