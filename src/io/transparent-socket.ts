// Sockets that may connect from an address which is not this machine's. Node has no way to set IP_TRANSPARENT, so the
// socket is made by the C library's own functions and handed to `node:net` as a descriptor; where they cannot be had,
// the caller does without.
import { closeSync } from 'node:fs';
import { bindLibc, type Libc } from '../base/libc.ts';

/** Linux on x64 and arm64. */
const constants = {
  families: { 4: 2, 6: 10 },
  streamNonblockCloexec: 1 | 0o4000 | 0o2000000,
  socketLevel: 1,
  mark: 36,
  transparent: { 4: [0, 19], 6: [41, 75] },
} as const;
const intBytes = 4;

type Functions = Libc<'socket' | 'setsockopt'>['functions'];

/** One per thread. */
export class TransparentSockets {
  readonly #libc: Functions;
  /** Options are read from here: outside of the garbage-collected heap, so that it never moves. */
  readonly #value = new Int32Array(new ArrayBuffer(intBytes));
  readonly #pointer: bigint;

  private constructor({ functions, ffi }: Libc<'socket' | 'setsockopt'>) {
    this.#libc = functions;
    this.#pointer = ffi.getRawPointer(this.#value.buffer);
  }

  /** Null when this Node cannot make them; whether the kernel lets it shows in `create`. */
  static load(): TransparentSockets | null {
    const libc = bindLibc({
      socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
      setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
    });
    return libc === null ? null : new TransparentSockets(libc);
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
