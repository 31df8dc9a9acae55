// Header lists of HTTP/2 as the heads that the exchange sees. What a session lets pass is well formed (RFC 9113 §8.2,
// §8.3); here is what only HTTP asks: a target, one authority, limits with names.
import { MeshError } from '../../base/errors.ts';
import { contentLengthOf, headerOf } from '../../h2/header-check.ts';
import { entryOverheadBytes } from '../../h2/hpack-decoder.ts';
import type { Headers, RequestHead, ResponseHead } from '../message.ts';
import { FieldList } from './field-list.ts';

/** Limits of a request's head; what is above is answered with the status beside it. */
export interface HeadLimits {
  /** Names and values with 32 bytes each (RFC 9113 §6.5.2): 431. */
  readonly headerBytes: number;
  /** Fields: 431. */
  readonly headerCount: number;
  /** Path with query: 414. */
  readonly targetBytes: number;
}

export const defaultHeadLimits: HeadLimits = { headerBytes: 64 * 1024, headerCount: 128, targetBytes: 16 * 1024 };

/**
 * A request's head. CONNECT with `:protocol` (RFC 8441) is what GET with `Upgrade` is in HTTP/1.1, and seen as that.
 */
export class H2RequestHead implements RequestHead {
  readonly protocol = 'http2';
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: Headers;
  readonly contentLength: number;
  readonly expectsContinue: boolean;
  readonly upgrade: string | null;
  readonly grpc: boolean;
  readonly headBytes: number;

  constructor(list: readonly string[], endStream: boolean) {
    const fields = new FieldList(list);
    this.headers = fields;
    const protocol = headerOf(list, ':protocol').toLowerCase();
    this.upgrade = protocol === '' ? null : protocol;
    this.method = this.upgrade === null ? headerOf(list, ':method') : 'GET';
    this.target = headerOf(list, ':path');
    this.authority = headerOf(list, ':authority') || headerOf(list, 'host');
    this.scheme = headerOf(list, ':scheme');
    this.contentLength = endStream || this.upgrade !== null ? 0 : contentLengthOf(list);
    const expected = endStream ? '' : headerOf(list, 'expect');
    this.expectsContinue = expected !== '' && /^100-continue$/i.test(expected);
    this.grpc = isGrpc(headerOf(list, 'content-type'));
    this.headBytes = listBytes(list);
  }
}

/** A response's head. */
export class H2ResponseHead implements ResponseHead {
  readonly protocol = 'http2';
  readonly status: number;
  readonly headers: Headers;
  readonly contentLength: number;
  readonly headBytes: number;

  /** `bodiless`: no body by rule, or END_STREAM came with the head. `status` instead of the list's. */
  constructor(list: readonly string[], bodiless: boolean, status: number = Number(headerOf(list, ':status'))) {
    this.status = status;
    this.headers = new FieldList(list);
    this.contentLength = bodiless ? 0 : contentLengthOf(list);
    this.headBytes = listBytes(list);
  }
}

/** `application/grpc`, `application/grpc+proto`, not `application/grpc-web`. */
export function isGrpc(contentType: string): boolean {
  return contentType === 'application/grpc' || /^application\/grpc(?:$|[+;])/i.test(contentType);
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** What a request's list is refused with, or null; `status` is what the client is told. */
export function headRefusal(
  list: readonly string[],
  limits: HeadLimits,
): { readonly status: number; readonly error: MeshError } | null {
  const fields = new FieldList(list);
  const count = (list.length - fields.from) / 2;
  if (count > limits.headerCount) return overLimit(431, 'headerCount', limits.headerCount);
  const target = headerOf(list, ':path');
  if (target.length > limits.targetBytes) return overLimit(414, 'targetBytes', limits.targetBytes);
  const method = headerOf(list, ':method');
  // A tunnel inside the tunnel would be traffic that nobody has judged.
  const protocol = headerOf(list, ':protocol');
  if (method === 'CONNECT' && protocol === '') return malformed(405, 'CONNECT is not served');
  if (protocol !== '' && !token.test(protocol)) return malformed(400, 'a :protocol with other than token characters');
  if (method !== 'POST' && method !== 'GET' && !token.test(method))
    return malformed(400, 'a method with other than token characters');
  if (target === '*' ? method !== 'OPTIONS' : !/^\/[\x21-\x7e\x80-\xff]*$/.test(target)) {
    return malformed(400, 'a :path that is no path');
  }
  if (target.includes('#')) return malformed(400, 'a :path with a fragment');
  return authorityRefusal(list);
}

function authorityRefusal(list: readonly string[]): { status: number; error: MeshError } | null {
  const authority = headerOf(list, ':authority');
  let host: string | null = null;
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] !== 'host') continue;
    if (host !== null) return malformed(400, 'several host headers');
    host = list[i + 1]!;
  }
  if (authority !== '' && host !== null && host.toLowerCase() !== authority.toLowerCase()) {
    return malformed(400, ':authority and host disagree');
  }
  const name = authority || host || '';
  // RFC 9113 §8.3.1: no user information.
  if (!/^[A-Za-z0-9\-._~%!$&'()*+,;=:[\]]*$/.test(name)) return malformed(400, 'an authority that is none');
  return null;
}

/** The refusal of a list that was cut at its limit. */
export function overLimit(status: number, limit: string, value: number): { status: number; error: MeshError } {
  return { status, error: new MeshError('LIMIT_REACHED', { limit, value, what: 'the head of a request' }) };
}

function malformed(status: number, reason: string): { status: number; error: MeshError } {
  return { status, error: new MeshError('H2_PROTOCOL', { reason }) };
}

function listBytes(list: readonly string[]): number {
  let bytes = (list.length / 2) * entryOverheadBytes;
  for (const text of list) bytes += text.length;
  return bytes;
}
