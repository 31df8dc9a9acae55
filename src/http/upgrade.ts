// Upgrades whose two halves are of different HTTP versions: `Upgrade` and 101 there, CONNECT with `:protocol` and 200
// here (RFC 8441). Of WebSocket only HTTP/1.1 has the key and its answer (RFC 6455 §4), so a proxy between the two asks
// and answers in place of whoever does not.
import { createHash, randomBytes } from 'node:crypto';
import { MeshError } from '../base/errors.ts';
import type { RequestHead, ResponseHead } from './message.ts';

export const webSocketKey = 'sec-websocket-key';
export const webSocketAccept = 'sec-websocket-accept';
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const keyBytes = 16;

/** A key as a client of HTTP/1.1 makes it. */
export function newWebSocketKey(): string {
  return randomBytes(keyBytes).toString('base64');
}

/** What a server of HTTP/1.1 answers to `key`. */
export function webSocketAnswer(key: string): string {
  return createHash('sha1')
    .update(key + guid)
    .digest('base64');
}

/**
 * Why an answer cannot be passed on; null when it can. A client of HTTP/2 takes every 2xx for the other protocol's
 * beginning (RFC 8441 §5), where one of HTTP/1.1 has the 101 to go by.
 */
export function misfit(request: RequestHead, { status }: ResponseHead): MeshError | null {
  if (request.upgrade === null || request.protocol === 'http1' || status >= 300 || status === 101) return null;
  return new MeshError('RESPONSE_INVALID', { reason: `an upgrade was answered with ${status}` });
}
