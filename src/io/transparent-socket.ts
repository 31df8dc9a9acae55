// Sockets that may connect from an address which is not this machine's. Node has no way to set IP_TRANSPARENT, so the
// socket is made by the C library's own functions, through `node:ffi` (Node 26.1 or newer, still experimental), and
// handed to `node:net` as a descriptor. Everything native is in this file; where it cannot be had, the caller does
// without.
import { closeSync } from 'node:fs';

/** Linux on x64 and arm64. */
const constants = {
  families: { 4: 2, 6: 10 },
  streamNonblockCloexec: 1 | 0o4000 | 0o2000000,
  socketLevel: 1,
  mark: 36,
  transparent: { 4: [0, 19], 6: [41, 75] },
} as const;
const supportedArchitectures: readonly string[] = ['x64', 'arm64'];
const intBytes = 4;

interface Libc {
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly setsockopt: (fd: number, level: number, option: number, value: bigint, length: number) => number;
}

/** One per thread. */
export class TransparentSockets {
  readonly #libc: Libc;
  /** Options are read from here: outside of the garbage-collected heap, so that it never moves. */
  readonly #value = new Int32Array(new ArrayBuffer(intBytes));
  readonly #pointer: bigint;

  private constructor(libc: Libc, ffi: typeof import('node:ffi')) {
    this.#libc = libc;
    this.#pointer = ffi.getRawPointer(this.#value.buffer);
  }

  /** Null when this Node cannot make them; whether the kernel lets it shows in `create`. */
  static load(): TransparentSockets | null {
    if (process.platform !== 'linux' || !supportedArchitectures.includes(process.arch)) return null;
    try {
      const ffi = quietly(() => process.getBuiltinModule('node:ffi'));
      if (ffi === undefined) return null;
      const { functions } = ffi.dlopen(null, {
        socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
        setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
      });
      return new TransparentSockets(functions, ffi);
    } catch {
      return null;
    }
  }

  /**
   * The descriptor of a new TCP socket whose packets carry `mark`, neither bound nor connected; the caller owns it.
   * Null when the kernel refuses: no descriptor is left, or CAP_NET_ADMIN is missing.
   */
  create(family: 4 | 6, mark: number): number | null {
    const fd = this.#libc.socket(constants.families[family], constants.streamNonblockCloexec, 0);
    if (fd < 0) return null;
    const [level, option] = constants.transparent[family];
    if (this.#set(fd, level, option, 1) && this.#set(fd, constants.socketLevel, constants.mark, mark)) return fd;
    closeSync(fd);
    return null;
  }

  #set(fd: number, level: number, option: number, value: number): boolean {
    this.#value[0] = value;
    return this.#libc.setsockopt(fd, level, option, this.#pointer, intBytes) === 0;
  }
}

/** Without Node's warning that the module is experimental: there is a test of it at start, and a way without. */
function quietly<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}
