// Makes a ByteStream of a connection that a `net.Server` accepted.
import type { Socket } from 'node:net';
import { acceptedRaw } from './raw-stream.ts';
import { acceptedSocket } from './socket-stream.ts';
import { tcpBackend } from './tcp-backend.ts';
import type { TcpStream, TcpStreamOptions } from './tcp-stream.ts';

/**
 * Wraps a socket that a `net.Server` accepted (which should have `pauseOnConnect` and `allowHalfOpen`).
 * The caller must not use `socket` afterwards; its addresses are on the stream.
 */
export function acceptedTcp(socket: Socket, options: TcpStreamOptions = {}): TcpStream {
  const raw = tcpBackend().name === 'raw' ? acceptedRaw(socket, options) : null;
  return raw ?? acceptedSocket(socket, options);
}
