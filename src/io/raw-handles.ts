// Node's TCP handles without `net.Socket` around them: what they look like, and how to get at them. They are not
// documented, so everything that knows their shape is in here and in `raw-stream.ts`; `tcp-backend.ts` tries them
// before anybody relies on them.
import type { Server } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A request that runs in the kernel: `oncomplete` is called when it is done, with a negative number for an error. */
export interface HandleRequest {
  oncomplete: ((this: HandleRequest, status: number) => void) | null;
  /** Whoever waits for it. */
  waiter: unknown;
}

export interface AddressOut {
  address?: string;
  port?: number;
}

/** libuv's TCP handle as Node wraps it. Functions answer 0, or a negative error number. */
export interface TcpHandle {
  /** -1 where there is none: not yet, or not any more. */
  readonly fd: number;
  onread: (this: TcpHandle) => Buffer | undefined;
  /** Of a listening handle. */
  onconnection: ((this: TcpHandle, status: number, accepted?: unknown) => void) | null;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: HandleRequest, bytes: Buffer): number;
  /** 1: done at once. */
  shutdown(request: HandleRequest): number;
  /** Not while a shutdown is under way. */
  reset(onClosed: (this: TcpHandle) => void): number;
  close(onClosed: (this: TcpHandle) => void): void;
  useUserBuffer(memory: Buffer): void;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, delayS: number): number;
  /** Takes over a descriptor. */
  open(fd: number): number;
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  connect(request: HandleRequest, address: string, port: number): number;
  connect6(request: HandleRequest, address: string, port: number): number;
  getsockname(out: AddressOut): number;
  getpeername(out: AddressOut): number;
  /** Ours: the stream that reads and writes it. */
  stream: unknown;
}

/** The parts of Node's bindings that are used. */
export interface RawBinding {
  readonly newHandle: () => TcpHandle;
  readonly isHandle: (handle: unknown) => handle is TcpHandle;
  readonly newConnect: () => HandleRequest;
  readonly newWrite: () => HandleRequest;
  readonly newShutdown: () => HandleRequest;
  /** Where the binding leaves the results of the call or event at hand. */
  readonly state: Int32Array;
  readonly readBytesOrError: number;
  readonly lastWriteWasAsync: number;
}

const handleMethods = [
  'readStart',
  'readStop',
  'writeBuffer',
  'shutdown',
  'reset',
  'close',
  'useUserBuffer',
  'setNoDelay',
  'setKeepAlive',
  'open',
  'bind',
  'bind6',
  'connect',
  'connect6',
  'getsockname',
  'getpeername',
] as const;

let binding: RawBinding | null = null;

/** Node's bindings, loaded at the first call; null when they do not look as expected. */
export function rawBinding(): RawBinding | null {
  binding ??= loadBinding();
  return binding;
}

type Constructor = new (kind?: number) => unknown;

function loadBinding(): RawBinding | null {
  const { binding: bindingOf } = process as unknown as { binding?: (name: string) => Record<string, unknown> };
  if (typeof bindingOf !== 'function') return null;
  try {
    const tcp = bindingOf.call(process, 'tcp_wrap');
    const stream = bindingOf.call(process, 'stream_wrap');
    const names = [tcp.TCP, tcp.TCPConnectWrap, stream.WriteWrap, stream.ShutdownWrap];
    const { streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = stream;
    if (names.some((name) => typeof name !== 'function') || !(streamBaseState instanceof Int32Array)) return null;
    if (typeof kReadBytesOrError !== 'number' || typeof kLastWriteWasAsync !== 'number') return null;
    const [TCP, TCPConnectWrap, WriteWrap, ShutdownWrap] = names as Constructor[];
    const kind = (tcp.constants as Record<string, number> | undefined)?.SOCKET;
    const newHandle = (): TcpHandle => new TCP!(kind) as TcpHandle;
    const probe = newHandle();
    const complete = handleMethods.every((name) => typeof probe[name] === 'function') && typeof probe.fd === 'number';
    probe.close(() => undefined);
    if (!complete) return null;
    return {
      newHandle,
      isHandle: (handle): handle is TcpHandle => handle instanceof TCP!,
      newConnect: () => new TCPConnectWrap!() as HandleRequest,
      newWrite: () => new WriteWrap!() as HandleRequest,
      newShutdown: () => new ShutdownWrap!() as HandleRequest,
      state: streamBaseState,
      readBytesOrError: kReadBytesOrError,
      lastWriteWasAsync: kLastWriteWasAsync,
    };
  } catch {
    return null;
  }
}

interface WithHandle {
  _handle: unknown;
}

/**
 * The handle of a listening server whose connections can be taken before they become sockets; null when they cannot.
 */
export function listeningHandle(raw: RawBinding, server: Server): TcpHandle | null {
  const { _handle: handle } = server as unknown as WithHandle;
  return raw.isHandle(handle) && typeof handle.onconnection === 'function' ? handle : null;
}

/** The error for a negative number of libuv. */
export function handleError(status: number, what: string): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${what} ${code}`), { code, errno: status, syscall: what });
}
