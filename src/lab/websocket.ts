// WebSocket as a server speaks it (RFC 6455): the handshake's answer and frames, for the echo and for the lab's API.
import { createHash } from 'node:crypto';

const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 section 1.3
export const webSocketOpcode = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

/** Reasons of a close frame (RFC 6455 section 7.4.1). */
export const webSocketClose = { normal: 1000, protocolError: 1002, tooBig: 1009 } as const;

/** The value of `Sec-WebSocket-Accept` for a client's key. */
export function webSocketAccept(key: string): string {
  return createHash('sha1')
    .update(key + acceptGuid)
    .digest('base64');
}

/** The head of the answer that makes a connection a WebSocket of `protocol`. */
export function webSocketSwitch(key: string, protocol: string): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${webSocketAccept(key)}`,
    `Sec-WebSocket-Protocol: ${protocol}`,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** One frame of a client. */
export interface WebSocketFrame {
  readonly isLast: boolean;
  readonly opcode: number;
  /** Unmasked. */
  readonly payload: Buffer;
  /** Of the whole frame, in bytes. */
  readonly length: number;
}

/** The first frame in `input`: null when it is not whole yet, a reason to close when it is none that may be. */
export function readWebSocketFrame(input: Buffer, payloadMaxBytes: number): WebSocketFrame | number | null {
  if (input.length < 2) return null;
  const isMasked = (input[1]! & 0x80) !== 0;
  let length = input[1]! & 0x7f;
  let at = 2;
  if (length === 126) {
    if (input.length < 4) return null;
    length = input.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (input.length < 10) return null;
    length = Number(input.readBigUInt64BE(2));
    at = 10;
  }
  // A client has to mask (RFC 6455 section 5.1).
  if (!isMasked) return webSocketClose.protocolError;
  if (length > payloadMaxBytes) return webSocketClose.tooBig;
  if (input.length < at + 4 + length) return null;
  const mask = input.subarray(at, at + 4);
  const payload = Buffer.from(input.subarray(at + 4, at + 4 + length));
  for (let index = 0; index < payload.length; index++) payload[index]! ^= mask[index & 3]!;
  return { isLast: (input[0]! & 0x80) !== 0, opcode: input[0]! & 0x0f, payload, length: at + 4 + length };
}

/** A frame of a server; `first` is its first byte: whether it is the last of its message, and the opcode. */
export function webSocketFrame(first: number, payload: Buffer): Buffer {
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

/** A close frame. */
export function webSocketCloseFrame(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return webSocketFrame(0x80 | webSocketOpcode.close, payload);
}
