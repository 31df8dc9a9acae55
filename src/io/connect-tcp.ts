// Opens a plain TCP connection as a ByteStream, with a deadline of its own.
import { connect, isIP, type NetConnectOpts, type TcpNetConnectOpts } from 'node:net';
import { MeshError, messageOf } from '../base/errors.ts';
import { DeadlineEntry, DeadlineLists } from './deadlines.ts';
import { rawBinding } from './raw-handles.ts';
import { RawConnect } from './raw-stream.ts';
import { ReadMemory } from './read-memory.ts';
import { ReadPort, SocketStream } from './socket-stream.ts';
import { tcpBackend } from './tcp-backend.ts';
import type { TcpStream, TcpStreamOptions } from './tcp-stream.ts';

export interface ConnectTcpOptions extends TcpStreamOptions {
  /** An address; names are not looked up here. */
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string;
  /** With `localAddress`; several connections may share a port as long as they go to different places. */
  readonly localPort?: number;
  /**
   * An address of the pod of this node in whose network the connection is to begin, where capture is there; not for
   * `connectTcp` itself.
   */
  readonly inside?: string;
  /** A socket that was made elsewhere, neither bound nor connected; it is closed whatever happens. */
  readonly fd?: number;
  readonly timeoutMs: number;
}

type ConnectCallback = (error: MeshError | null, stream: TcpStream | null) => void;
type Opened = (error: Error | null, stream: TcpStream | null) => void;

/**
 * Connects and calls back exactly once with a stream that reads nothing before `start`, or with `CONNECT_FAILED`
 * (refused, unreachable) or `CONNECT_TIMEOUT`. Returns a function that gives up; after it the callback is not called.
 */
export function connectTcp(options: ConnectTcpOptions, callback: ConnectCallback): () => void {
  return new Connecting(options, callback).cancel;
}

/** Opens with raw handles, whatever the back end of the thread is: for its self-test. */
export function connectRaw(options: ConnectTcpOptions, callback: ConnectCallback): () => void {
  return new Connecting(options, callback, true).cancel;
}

const deadlines = new DeadlineLists();
/** How long a connection that was given up may take to be heard of. */
const cancelledMs = 100;

class Connecting extends DeadlineEntry {
  readonly #options: ConnectTcpOptions;
  readonly #callback: ConnectCallback;
  readonly #giveUp: () => void;
  #settled = false;

  constructor(options: ConnectTcpOptions, callback: ConnectCallback, isRaw = tcpBackend().name === 'raw') {
    super();
    this.#options = options;
    this.#callback = callback;
    deadlines.of(options.timeoutMs).set(this);
    const raw = isRaw && isIP(options.host) !== 0 ? rawBinding() : null;
    const opened: Opened = (error, stream) => this.#opened(error, stream);
    if (raw === null) {
      this.#giveUp = connectSocket(options, opened);
    } else {
      const attempt = new RawConnect(raw, options, opened);
      this.#giveUp = () => attempt.cancel();
    }
  }

  readonly cancel = (): void => {
    if (this.#settled) return;
    this.#settle();
    this.#giveUp();
  };

  onDeadline(): void {
    if (this.#settled) return;
    this.#settle();
    this.#giveUp();
    const { host, port, timeoutMs } = this.#options;
    this.#callback(new MeshError('CONNECT_TIMEOUT', { address: hostPort(host, port), timeoutMs }), null);
  }

  #opened(error: Error | null, stream: TcpStream | null): void {
    if (this.#settled) return;
    this.#settle();
    if (error === null) {
      this.#callback(null, stream);
      return;
    }
    const address = hostPort(this.#options.host, this.#options.port);
    const reason = messageOf(error);
    this.#callback(new MeshError('CONNECT_FAILED', { address, reason }, { cause: error }), null);
  }

  #settle(): void {
    this.#settled = true;
    this.deadlineList?.lift(this);
  }
}

/** By `net.connect`. Returns what gives up. */
function connectSocket(options: ConnectTcpOptions, opened: Opened): () => void {
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
  const onError = (error: Error): void => {
    socket.destroy();
    opened(error, null);
  };
  socket.on('error', onError);
  socket.once('connect', () => {
    port.stream = new SocketStream(socket, port.memory, options, null);
    socket.off('error', onError);
    opened(null, port.stream);
  });
  return () => {
    // It may have connected just now: a reset, since an end in good order would say that this was all. Node sends it
    // when it hears of the connection, and the rest is given up.
    socket.resetAndDestroy();
    const giveUp = setTimeout(() => socket.destroy(), cancelledMs);
    giveUp.unref();
    socket.once('close', () => clearTimeout(giveUp));
  };
}

/** `ADDRESS:PORT`, IPv6 in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
