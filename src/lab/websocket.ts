// WebSocket on the server's side (RFC 6455), as far as the lab needs it: the handshake, and frames one by one. Messages
// are not put together, extensions not offered.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 section 1.3
const payloadMaxBytes = 16 * 1024 * 1024;
/** Codes of frames; `first` of a frame has its bits for the end and extensions too. */
export const opcode = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;
/** The last frame of a message. */
export const final = 0x80;

export interface ReceivedFrame {
  readonly first: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** True for a request that asks for WebSocket. */
export function isHandshake(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket' && request.headers['sec-websocket-key'] !== undefined;
}

/** Protocols that the client offers, the one that it likes best first. */
export function offeredProtocols(request: IncomingMessage): readonly string[] {
  const offered = request.headers['sec-websocket-protocol']?.split(',') ?? [];
  return offered.map((each) => each.trim()).filter((each) => each !== '');
}

/** Answers the handshake, with one of the client's protocols or none, and header lines of one's own. */
export function acceptHandshake(
  request: IncomingMessage,
  socket: Duplex,
  protocol: string | undefined,
  more: readonly string[] = [],
): void {
  const accept = createHash('sha1')
    .update(request.headers['sec-websocket-key'] + acceptGuid)
    .digest('base64');
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`,
      ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
      ...more,
      '\r\n',
    ].join('\r\n'),
  );
}

/**
 * Reads a client's frames from a socket and hands over each; `head` are bytes that came with the request. A client that
 * breaks the rules, or sends too much at once, is told so and closed.
 */
export function onFrames(socket: Duplex, head: Buffer, take: (frame: ReceivedFrame) => void): void {
  let buffered = head;
  const onData = (chunk: Buffer): void => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    for (let used = takeFrame(socket, buffered, take); used > 0; used = takeFrame(socket, buffered, take)) {
      buffered = buffered.subarray(used);
    }
  };
  socket.on('data', onData);
  if (head.length > 0) onData(Buffer.alloc(0));
}

/** Hands over the first whole frame of `input`; returns its length in bytes, 0 when it is not whole yet. */
function takeFrame(socket: Duplex, input: Buffer, take: (frame: ReceivedFrame) => void): number {
  if (input.length < 2 || socket.destroyed) return 0;
  const masked = (input[1]! & 0x80) !== 0;
  let length = input[1]! & 0x7f;
  let at = 2;
  if (length === 126) {
    if (input.length < 4) return 0;
    length = input.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (input.length < 10) return 0;
    length = Number(input.readBigUInt64BE(2));
    at = 10;
  }
  if (!masked || length > payloadMaxBytes) {
    // Too big, or a client that does not mask: RFC 6455 sections 7.4.1 and 5.1.
    socket.end(closeFrame(masked ? 1009 : 1002));
    return 0;
  }
  if (input.length < at + 4 + length) return 0;
  const mask = input.subarray(at, at + 4);
  const payload = Buffer.from(input.subarray(at + 4, at + 4 + length));
  for (let index = 0; index < payload.length; index++) payload[index]! ^= mask[index & 3]!;
  take({ first: input[0]!, opcode: input[0]! & 0x0f, payload });
  return at + 4 + length;
}

/** A frame that says why it is over. */
export function closeFrame(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frame(final | opcode.close, payload);
}

/** A frame of a server: `first` is its opcode, with `final` for the last of a message. */
export function frame(first: number, payload: Buffer): Buffer {
  let head: Buffer;
  if (payload.length < 126) head = Buffer.from([first, payload.length]);
  else if (payload.length < 65_536) {
    head = Buffer.from([first, 126, 0, 0]);
    head.writeUInt16BE(payload.length, 2);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([head, payload]);
}
