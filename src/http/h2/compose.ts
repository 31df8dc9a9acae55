// Heads of any protocol → header lists and blocks of HTTP/2.
import { encodeBlock } from '../../h2/hpack-encoder.ts';
import type { ComposedRequest, HeadChanges, RequestChanges, RequestHead, ResponseHead, Trailers } from '../message.ts';
import { appendFields } from './field-list.ts';

/**
 * Returns the block of a request as it leaves for an endpoint that speaks HTTP/2. It refers to no dynamic table, so the
 * same bytes can be sent again on any connection.
 */
export function composeHttp2(head: RequestHead, changes: RequestChanges): ComposedRequest {
  const method = changes.method ?? head.method;
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
  appendFields(list, head.headers, changes, 'host');
  const { contentLength } = head;
  return { protocol: 'http2', bytes: encodeBlock(list), method, contentLength, upgrade: null };
}

/** Returns the list of a response that passes to a client of HTTP/2. */
export function responseList(head: ResponseHead, changes: HeadChanges | null): string[] {
  const list = [':status', String(head.status)];
  appendFields(list, head.headers, changes, '');
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
