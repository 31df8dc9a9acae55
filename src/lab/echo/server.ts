// The listeners of an echo process: one `net.Server` per port, dual stack, which hands each connection to the
// protocol that it speaks. The first bytes decide between HTTP/2 with prior knowledge and HTTP/1.1, so that one port
// serves both, as real applications do.
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { MeshError, messageOf } from '../../base/errors.ts';
import { EchoCalls } from './calls.ts';
import { echoCertificate } from './certificate.ts';
import { EchoState, handleHttp } from './http.ts';
import type { EchoOptions, EchoPort } from './options.ts';
import { serveTcp } from './tcp.ts';
import { acceptWebSocket } from './websocket.ts';

const http2Preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** A client that says nothing for this long on an HTTP port is dropped. */
const firstByteTimeoutMs = 300_000;

/** A running echo process. `ports` are the bound ones, by the index of the options' ports. */
export interface EchoServer {
  readonly ports: readonly number[];
  readonly state: EchoState;
  /** Closes listeners and connections; resolves when all are gone. */
  close(): Promise<void>;
}

/**
 * Starts every port of `options`; port 0 binds a free one. `log` gets one line per request. Throws CONFIG_INVALID
 * when a port is taken.
 */
export async function startEcho(options: EchoOptions, log: (line: string) => void = () => {}): Promise<EchoServer> {
  const calls = new EchoCalls(options.calls);
  const state = new EchoState(options, calls, log);
  const sockets = new Set<Socket>();
  const http1 = createHttp1Server({ requestTimeout: 0, headersTimeout: 60_000, keepAliveTimeout: 75_000 });
  http1.on('request', (request, response) => handleHttp(state, request, response));
  http1.on('upgrade', (request, socket, head) => acceptWebSocket(state, request, socket, head));
  http1.on('clientError', (_error, socket) => socket.destroy());
  const http2 = createHttp2Server();
  http2.on('request', (request, response) => handleHttp(state, request, response));
  http2.on('sessionError', () => {}); // a broken session ends by itself; the listener keeps it from ending the process

  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  let made: SecureContext | null = null;
  const context = (): SecureContext => {
    made ??= contextOf(options);
    return made;
  };
  const servers: Server[] = [];
  for (const port of options.ports) {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      track(socket);
      if (port.mode === 'http') sniff(socket, http1, http2);
      else if (port.mode === 'https') sniff(overTls(socket, context()), http1, http2);
      else serveTcp(socket, port.mode, options.identity, log);
    });
    await listen(server, port);
    servers.push(server);
  }
  const ticker = options.callsEveryMs > 0 ? setInterval(() => calls.tick(log), options.callsEveryMs) : undefined;
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    state,
    close: async () => {
      clearInterval(ticker);
      calls.close();
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function contextOf({ certificate: { certFile, keyFile }, identity }: EchoOptions): SecureContext {
  const { certPem, keyPem } = echoCertificate(certFile, keyFile, ['localhost', identity.pod]);
  return createSecureContext({ cert: certPem, key: keyPem });
}

function overTls(socket: Socket, secureContext: SecureContext): Socket {
  const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['h2', 'http/1.1'] });
  secure.on('error', () => socket.destroy());
  return secure;
}

function sniff(
  socket: Socket,
  http1: { emit(event: 'connection', socket: Socket): boolean },
  http2: typeof http1,
): void {
  let seen: Buffer = Buffer.alloc(0);
  socket.setTimeout(firstByteTimeoutMs, () => socket.destroy());
  const decide = (isHttp2: boolean): void => {
    socket.off('data', onData);
    socket.off('end', onEnd);
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(seen);
    (isHttp2 ? http2 : http1).emit('connection', socket);
    if (!isHttp2) socket.resume();
  };
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const known = Math.min(seen.length, http2Preface.length);
    const mayBeHttp2 = seen.compare(http2Preface, 0, known, 0, known) === 0;
    if (!mayBeHttp2) decide(false);
    else if (known === http2Preface.length) decide(true);
  };
  const onEnd = (): void => {
    socket.end();
  };
  socket.on('data', onData);
  socket.on('end', onEnd);
}

async function listen(server: Server, port: EchoPort): Promise<void> {
  const attempt = (host: string): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port: port.port, backlog: 4096 }, () => {
        server.off('error', reject);
        server.on('error', () => {}); // accept failures (EMFILE) must not end the process
        resolve();
      });
    });
  try {
    await attempt('::');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    try {
      if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error;
      await attempt('0.0.0.0');
    } catch (last) {
      throw new MeshError('CONFIG_INVALID', { place: `port ${port.port}`, reason: messageOf(last) }, { cause: last });
    }
  }
}
