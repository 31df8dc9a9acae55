// WebSocket on the echo's HTTP/1.1 side (RFC 6455): every text and binary frame comes back, pings are answered, a
// close is returned.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { acceptHandshake, final, frame, isHandshake, offeredProtocols, onFrames, opcode } from '../websocket.ts';
import type { EchoState } from './http.ts';
import { peerOf } from './peer.ts';

/** Answers an upgrade on any path. What is no WebSocket handshake is answered 400. */
export function acceptWebSocket(state: EchoState, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  if (!isHandshake(request)) {
    socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    return;
  }
  state.log(`Echoing back request made to ${request.url} to client (${peerOf(request.socket)})`);
  acceptHandshake(request, socket, offeredProtocols(request)[0], [`X-Echo-Pod: ${state.identity.pod}`]);
  onFrames(socket, head, ({ first, opcode: code, payload }) => {
    if (code === opcode.close) socket.end(frame(final | opcode.close, payload));
    else if (code === opcode.ping) socket.write(frame(final | opcode.pong, payload));
    else if (code !== opcode.pong) socket.write(frame(first, payload));
  });
  socket.on('end', () => socket.end());
}
