// WebSocket on the echo's HTTP/1.1 side (RFC 6455): every text and binary frame comes back, pings are answered, a
// close is returned.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  readWebSocketFrame,
  webSocketAccept,
  webSocketCloseFrame,
  webSocketFrame,
  webSocketOpcode,
} from '../websocket.ts';
import type { EchoState } from './http.ts';
import { peerOf } from './peer.ts';

const payloadMaxBytes = 16 * 1024 * 1024;

/** Answers an upgrade on any path. What is no WebSocket handshake is answered 400. */
export function acceptWebSocket(state: EchoState, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    return;
  }
  state.log(`Echoing back request made to ${request.url} to client (${peerOf(request.socket)})`);
  const accept = webSocketAccept(key);
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
  if (socket.destroyed) return 0;
  const frame = readWebSocketFrame(input, payloadMaxBytes);
  if (frame === null) return 0;
  if (typeof frame === 'number') {
    socket.end(webSocketCloseFrame(frame));
    return 0;
  }
  const { opcode, payload, length } = frame;
  if (opcode === webSocketOpcode.close) socket.end(webSocketFrame(0x80 | opcode, payload));
  else if (opcode === webSocketOpcode.ping) socket.write(webSocketFrame(0x80 | webSocketOpcode.pong, payload));
  else if (opcode !== webSocketOpcode.pong) socket.write(webSocketFrame(input[0]!, payload));
  return length;
}
