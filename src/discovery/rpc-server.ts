// The TLS port that proxies call: gRPC over HTTP/2 by connect, and nothing else. Its certificate can be replaced while
// it runs; connections that no longer answer are found by PING and closed.
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { MeshError, messageOf } from '../base/errors.ts';

export interface ServerCredentials {
  readonly keyPem: string;
  /** Leaf, then intermediates. */
  readonly chainPem: readonly string[];
}

export interface RpcServerOptions {
  readonly host: string;
  readonly port: number;
  readonly credentials: ServerCredentials;
  readonly routes: (router: ConnectRouter) => void;
  /** Default: a PING every 10 s, which must be answered within 10 s. */
  readonly pings?: { readonly intervalMs: number; readonly timeoutMs: number };
}

const connectionsMax = 20_000;
/** A connection without a call is kept for so many PINGs: 5 minutes. */
const idlePingsMax = 30;
/** A proxy that is stopped, or whose node has gone, shows as such after both of these at most. */
const defaultPings = { intervalMs: 10_000, timeoutMs: 10_000 } as const;
const tcpKeepAliveMs = 60_000;
const handshakeTimeoutMs = 10_000;
/** Calls at once on one connection: a node's certificate requests and its stream, with room. */
const streamsPerConnectionMax = 100;
const streamWindowBytes = 1024 * 1024;

/** A TLS listener for gRPC, from `start` to `close`. */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #server: Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #sockets = new Set<Socket>();

  constructor(options: RpcServerOptions) {
    this.#options = options;
    const adapter = connectNodeAdapter({ routes: options.routes, grpc: true, grpcWeb: false, connect: false });
    const settings = { maxConcurrentStreams: streamsPerConnectionMax, initialWindowSize: streamWindowBytes };
    const tls = { ...tlsOptions(options.credentials), handshakeTimeout: handshakeTimeoutMs };
    this.#server = createSecureServer({ ...tls, allowHTTP1: false, minVersion: 'TLSv1.2', settings }, adapter);
    this.#server.maxConnections = connectionsMax;
    this.#server.on('connection', (socket: Socket) => this.#track(socket));
    this.#server.on('session', (session) => this.#watch(session));
    this.#server.on('sessionError', () => {}); // each session closes itself
    this.#server.on('tlsClientError', () => {}); // a client that could not agree on TLS is the client's matter
  }

  /** Listens. Returns the bound address. Throws NOT_REACHABLE when the address cannot be had. */
  start(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const hint = 'is another process listening there?';
        reject(
          new MeshError('NOT_REACHABLE', { what: `${host}:${port}`, reason: messageOf(error), hint }, { cause: error }),
        );
      });
      this.#server.listen(port, host, () => {
        const bound = this.#server.address() as AddressInfo;
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  /** New connections get `credentials`; those that are open keep theirs. */
  setCredentials(credentials: ServerCredentials): void {
    this.#server.setSecureContext(tlsOptions(credentials));
  }

  /** Takes no more connections, lets calls under way end for `deadlineMs`, then closes what is left. Idempotent. */
  async close(deadlineMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, deadlineMs);
    await closed;
    clearTimeout(timer);
  }

  #track(socket: Socket): void {
    socket.setKeepAlive(true, tcpKeepAliveMs);
    socket.on('error', () => {}); // the session reports it
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #watch(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on('error', () => {}); // closes by itself
    const { intervalMs, timeoutMs } = this.#options.pings ?? defaultPings;
    let timeout: NodeJS.Timeout | null = null;
    const answered = (): void => {
      if (timeout !== null) clearTimeout(timeout);
      timeout = null;
    };
    let calls = 0;
    let idlePings = 0;
    session.on('stream', (stream) => {
      calls++;
      stream.once('close', () => calls--);
    });
    const interval = setInterval(() => {
      if (session.closed || session.destroyed) return;
      idlePings = calls > 0 ? 0 : idlePings + 1;
      if (idlePings > idlePingsMax) {
        session.close();
        return;
      }
      if (timeout !== null) return;
      timeout = setTimeout(() => session.destroy(), timeoutMs);
      session.ping(answered);
    }, intervalMs);
    session.once('close', () => {
      clearInterval(interval);
      answered();
      this.#sessions.delete(session);
    });
  }
}

function tlsOptions(credentials: ServerCredentials): { readonly key: string; readonly cert: string } {
  return { key: credentials.keyPem, cert: credentials.chainPem.join('') };
}
