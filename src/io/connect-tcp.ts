// Opens a plain TCP connection as a ByteStream, with a deadline of its own.
import { connect, type NetConnectOpts, type TcpNetConnectOpts } from 'node:net';
import { MeshError, messageOf } from '../base/errors.ts';
import { ReadMemory } from './read-memory.ts';
import { ReadPort, TcpStream, type TcpStreamOptions } from './tcp-stream.ts';

export interface ConnectTcpOptions extends TcpStreamOptions {
  /** An address; names are not looked up here. */
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string;
  /** With `localAddress`; several connections may share a port as long as they go to different places. */
  readonly localPort?: number;
  /** A socket that was made elsewhere, neither bound nor connected; it is closed whatever happens. */
  readonly fd?: number;
  readonly timeoutMs: number;
}

/**
 * Connects and calls back exactly once with a stream that reads nothing before `start`, or with `CONNECT_FAILED`
 * (refused, unreachable) or `CONNECT_TIMEOUT`. Returns a function that gives up; after it the callback is not called.
 */
export function connectTcp(
  options: ConnectTcpOptions,
  callback: (error: MeshError | null, stream: TcpStream | null) => void,
): () => void {
  const address = hostPort(options.host, options.port);
  const port = new ReadPort(new ReadMemory(options.memory ?? 'shared'));
  const target: TcpNetConnectOpts & { onread: unknown } = {
    host: options.host,
    port: options.port,
    allowHalfOpen: true,
    autoSelectFamily: false,
    onread: port.onread,
  };
  if (options.localAddress !== undefined) target.localAddress = options.localAddress;
  if (options.localPort !== undefined) target.localPort = options.localPort;
  // Without `pauseOnCreate` Node would read at once from what is not connected yet.
  if (options.fd !== undefined) Object.assign(target, { fd: options.fd, pauseOnCreate: true });
  const socket = connect(target as NetConnectOpts);
  socket.pause();
  let settled = false;
  const settle = (error: MeshError | null): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    socket.off('connect', onConnect);
    if (error !== null) {
      socket.destroy();
      callback(error, null);
      return;
    }
    socket.off('error', onError);
    port.stream = new TcpStream(socket, port.memory, options, null);
    callback(null, port.stream);
  };
  const onConnect = (): void => settle(null);
  const onError = (error: Error): void =>
    settle(new MeshError('CONNECT_FAILED', { address, reason: messageOf(error) }, { cause: error }));
  const timer = setTimeout(
    () => settle(new MeshError('CONNECT_TIMEOUT', { address, timeoutMs: options.timeoutMs })),
    options.timeoutMs,
  );
  socket.on('connect', onConnect);
  socket.on('error', onError);
  return () => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    socket.destroy();
  };
}

/** `ADDRESS:PORT`, IPv6 in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
