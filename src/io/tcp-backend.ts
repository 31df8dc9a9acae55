// Which back end TCP streams have in this thread: Node's raw handles where a self-test says that they behave, the
// documented `net.Socket` until then and otherwise.
import { adoptUsable } from './adopt.ts';

export interface TcpBackend {
  readonly name: 'raw' | 'socket';
  /** Why it is `socket`; for `raw` why the death of the thread would not reset its streams; '' where all is well. */
  readonly reason: string;
}

let backend: TcpBackend = { name: 'socket', reason: 'not tried yet' };

/** The back end of new connections of this thread. */
export function tcpBackend(): TcpBackend {
  return backend;
}

/** Raw handles from now on, or, with a reason, sockets; `deathFault` is raw's reason. For `tcp-self-test.ts` alone. */
export function setTcpBackend(reason: string, deathFault = ''): TcpBackend {
  backend = reason === '' ? { name: 'raw', reason: deathFault } : { name: 'socket', reason };
  return backend;
}

/** Says why raw handles are out of the question here; '' when they may be tried. */
export function rawForbidden(): string {
  return adoptUsable() ? '' : 'AMBIENT_DOCUMENTED_IO=1, or sockets that are not as expected';
}

/** `raw`, `raw (no resets at its death: WHY)`, or `socket (WHY)`: for people. */
export function tcpBackendName(): string {
  const { name, reason } = backend;
  if (reason === '') return name;
  return name === 'raw' ? `raw (no resets at its death: ${reason})` : `socket (${reason})`;
}
