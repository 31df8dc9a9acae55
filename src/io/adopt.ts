// An accepted socket cannot be given `onread` by any documented means, since `net.Server` makes it. This file takes the
// handle out of the accepted socket and puts it into a new one that has `onread`: `handle` is an option of `net.Socket`
// that Node itself uses and does not document. Everything undocumented about plain sockets is in here; where it does not
// work as expected, `adopt` returns null and the caller reads by 'data' events.
import { Socket } from 'node:net';
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
