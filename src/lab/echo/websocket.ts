// WebSocket on the echo's HTTP/1.1 side (RFC 6455): every text and binary frame comes back, pings are answered, a
// close is returned.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { EchoState } from './http.ts';
import { peerOf } from './peer.ts';

const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 section 1.3
const payloadMaxBytes = 16 * 1024 * 1024;
const opcode = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Answers an upgrade on any path. What is no WebSocket handshake is answered 400. */
export function acceptWebSocket(state: EchoState, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    return;
  }
  state.log(`Echoing back request made to ${request.url} to client (${peerOf(request.socket)})`);
  const accept = createHash('sha1')
    .update(key + acceptGuid)
    .digest('base64');
  const protocol = request.headers['sec-websocket-protocol']?.split(',')[0]?.trim();
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`,
      ...(protocol ? [`Sec-WebSocket-Protocol: ${protocol}`] : []),
      `X-Echo-Pod: ${state.identity.pod}`,
      '\r\n',
    ].join('\r\n'),
  );
  let buffered = head;
  const onData = (chunk: Buffer): void => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    for (let used = answerFrame(socket, buffered); used > 0; used = answerFrame(socket, buffered)) {
      buffered = buffered.subarray(used);
    }
  };
  socket.on('data', onData);
  socket.on('end', () => socket.end());
  if (head.length > 0) onData(Buffer.alloc(0));
}

/** Answers the first whole frame of `input`; returns its length in bytes, 0 when it is not whole yet. */
function answerFrame(socket: Duplex, input: Buffer): number {
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
  const code = input[0]! & 0x0f;
  if (code === opcode.close) socket.end(frame(0x80 | opcode.close, payload));
  else if (code === opcode.ping) socket.write(frame(0x80 | opcode.pong, payload));
  else if (code !== opcode.pong) socket.write(frame(input[0]!, payload));
  return at + 4 + length;
}

function closeFrame(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frame(0x80 | opcode.close, payload);
}

function frame(first: number, payload: Buffer): Buffer {
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
