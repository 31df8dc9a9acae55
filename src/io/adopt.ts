// `onread` for sockets that cannot be given it by any documented means: accepted ones, which `net.Server` makes, and
// server-side TLS over them. An accepted socket's handle is moved into a new socket (`handle` is an option of
// `net.Socket` that Node itself uses and does not document); a TLSSocket gets the very properties that its own `onread`
// would set. Everything undocumented about reading is in here; where Node is not as expected, the caller reads by
// 'data' events.
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { OnRead } from './read-memory.ts';

interface WithHandle {
  _handle: unknown;
}

interface HandleLike {
  readStart: unknown;
  readStop: unknown;
  useUserBuffer: unknown;
  reset: unknown;
}

let usable = process.env.AMBIENT_DOCUMENTED_IO !== '1';

/** False when this Node's sockets are not as expected, or `AMBIENT_DOCUMENTED_IO=1` asks for documented APIs alone. */
export function adoptUsable(): boolean {
  return usable;
}

/**
 * Returns a paused socket with `onread` that owns the connection of `accepted`, which is dead afterwards;
 * null when that cannot be done, and then `accepted` is untouched.
 */
export function adopt(accepted: Socket, onread: OnRead): Socket | null {
  if (!usable || accepted.destroyed || accepted.readableLength > 0 || accepted.writableLength > 0) return null;
  if (accepted.readableEnded || accepted.writableEnded) return null;
  const holder = accepted as unknown as WithHandle;
  const handle = holder._handle;
  if (!isHandle(handle)) {
    usable = false;
    return null;
  }
  const options = { handle, onread, allowHalfOpen: true, pauseOnCreate: true };
  holder._handle = null;
  const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
  if ((socket as unknown as WithHandle)._handle !== handle) {
    holder._handle = handle;
    usable = false;
    return null;
  }
  // Without a handle this closes nothing; it lets the server forget the socket that it made.
  accepted.destroy();
  return socket;
}

function isHandle(handle: unknown): handle is HandleLike {
  if (typeof handle !== 'object' || handle === null) return false;
  const names = ['readStart', 'readStop', 'useUserBuffer', 'reset'] as const;
  return names.every((name) => typeof (handle as HandleLike)[name] === 'function');
}

/**
 * Makes a TLSSocket of which nothing was read yet read by `onread`. False when that cannot be done, and then nothing is
 * changed.
 */
export function adoptTlsReads(socket: TLSSocket, onread: OnRead): boolean {
  if (!usable || socket.readableLength > 0) return false;
  const handle = (socket as unknown as WithHandle)._handle as { useUserBuffer?: (memory: Buffer) => void } | null;
  if (typeof handle?.useUserBuffer !== 'function') return false;
  const symbols = new Map(Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]));
  const [buffer, callback, generator] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) => symbols.get(name));
  if (buffer === undefined || callback === undefined || generator === undefined) return false;
  const fields = socket as unknown as Record<symbol, unknown>;
  const memory = onread.buffer();
  fields[buffer] = memory;
  fields[callback] = onread.callback;
  fields[generator] = onread.buffer;
  handle.useUserBuffer(memory);
  return true;
}
