// Accepts TCP connections as ByteStreams: a `net.Server` whose connections never become a `net.Socket` where the thread
// uses raw handles.
import { createServer, type Server } from 'node:net';
import { rawBinding } from './raw-handles.ts';
import { acceptRaw } from './raw-stream.ts';
import { acceptedSocket } from './socket-stream.ts';
import { tcpBackend } from './tcp-backend.ts';
import type { TcpStream, TcpStreamOptions } from './tcp-stream.ts';

/**
 * Returns a server that hands each connection to `accept`, as a stream that reads nothing before `start`. The caller
 * makes it listen, and has chosen the back end before (`chooseTcpBackend`).
 */
export function createTcpServer(accept: (stream: TcpStream) => void, options: TcpStreamOptions = {}): Server {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
    accept(acceptedSocket(socket, options)),
  );
  // Comes before the first connection: both are events of the loop, and this one is a tick.
  server.once('listening', () => {
    const raw = tcpBackend().name === 'raw' ? rawBinding() : null;
    if (raw !== null) acceptRaw(raw, server, accept, options);
  });
  return server;
}
