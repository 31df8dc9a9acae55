// Options of sockets that Node has no way to set, by the C library's own function on their descriptors. Where that
// cannot be had, callers do without.
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { bindLibc, type Libc } from '../base/libc.ts';

/** Linux on x64 and arm64. */
const tcpLevel = 6;
const congestionControl = 13;
const notSentLowWater = 25;
const intBytes = 4;
/** TCP_CA_NAME_MAX of Linux. */
const textBytes = 16;

/** One per thread: `socketOptions()`. */
export class SocketOptions {
  readonly #set: Libc<'setsockopt'>['functions']['setsockopt'];
  /** Options are read from here: outside of the garbage-collected heap, so that it never moves. */
  readonly #number = new Int32Array(new ArrayBuffer(intBytes));
  readonly #text = Buffer.from(new ArrayBuffer(textBytes));
  readonly #numberAt: bigint;
  readonly #textAt: bigint;

  constructor({ functions, ffi }: Libc<'setsockopt'>) {
    this.#set = functions.setsockopt;
    this.#numberAt = ffi.getRawPointer(this.#number.buffer);
    this.#textAt = ffi.getRawPointer(this.#text.buffer as ArrayBuffer);
  }

  /** False when the kernel refuses. */
  setNumber(fd: number, level: number, option: number, value: number): boolean {
    this.#number[0] = value;
    return this.#set(fd, level, option, this.#numberAt, intBytes) === 0;
  }

  /** `text` is a name of at most 15 ASCII characters. */
  setText(fd: number, level: number, option: number, text: string): boolean {
    return this.#set(fd, level, option, this.#textAt, this.#text.write(text, 'latin1')) === 0;
  }
}

let loaded: SocketOptions | null | undefined;

/** Null when this Node or this system has no way to set them. */
export function socketOptions(): SocketOptions | null {
  if (loaded === undefined) {
    const libc = bindLibc({
      setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
    });
    loaded = libc === null ? null : new SocketOptions(libc);
  }
  return loaded;
}

let isPaced: boolean | undefined;

/**
 * For a connection that never leaves the machine, proxy and pod of one node; at any time, or on a listening socket
 * for all that it accepts. Where the system paces what TCP sends (BBR), a timer of the kernel for every few segments
 * costs a third of such a connection's CPU time and finds out nothing: `reno`, which every kernel has, does not. No
 * effect elsewhere, or where the kernel refuses.
 */
export function unpace(fd: number): void {
  isPaced ??= defaultCongestionControl().startsWith('bbr');
  if (isPaced && fd >= 0) socketOptions()?.setText(fd, tcpLevel, congestionControl, 'reno');
}

/** What new sockets get in the network namespace of this process; '' when that cannot be told. */
function defaultCongestionControl(): string {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'latin1').trim();
  } catch {
    return '';
  }
}

/**
 * Bytes of a tunnel that the kernel takes beyond those that are on their way. Its send buffer grows to megabytes, and a
 * small request's frame stands behind all that a bulk stream has put there; in our own queue it stands behind
 * `highWaterMarkBytes` of `session-options.ts`, and every stream has its turn.
 */
const unsentBytes = 128 * 1024;

/**
 * Keeps the kernel's part of the queue of a tunnel's connection short, and the connection unpaced where it `isLocal`.
 * No effect where that cannot be done.
 */
export function tuneTunnel(socket: Socket, isLocal: boolean): void {
  const fd = descriptorOf(socket);
  if (fd < 0) return;
  socketOptions()?.setNumber(fd, tcpLevel, notSentLowWater, unsentBytes);
  if (isLocal) unpace(fd);
}

/** Undocumented; negative where it is not as expected, or where the socket has none yet. */
function descriptorOf(socket: Socket): number {
  const { fd } = (socket as unknown as { _handle: { fd?: unknown } | null })._handle ?? {};
  return typeof fd === 'number' ? fd : -1;
}
