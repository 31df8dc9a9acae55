// Listening sockets that take connections to whatever address, as the launcher makes them, but made while the process
// runs, in the network namespace that the thread is in. Node can listen on their descriptors in any thread.
import { closeSync } from 'node:fs';
import { bindLibc, type Libc } from '../base/libc.ts';
import { type SocketOptions, socketOptions } from './socket-options.ts';

/** Linux on x64 and arm64. */
const constants = {
  families: { 4: 2, 6: 10 },
  streamNonblockCloexec: 1 | 0o4000 | 0o2000000,
  duplicateCloexec: 1030,
  /** Level and number of each option that is set to 1. */
  always: [
    [1, 2], // SO_REUSEADDR
    [1, 15], // SO_REUSEPORT
    [0, 19], // IP_TRANSPARENT
  ],
  transparentV6: [41, 75],
  onlyV6: [41, 26],
  /** The kernel caps it at net.core.somaxconn. */
  backlog: 4096,
} as const;
const addressBytes = { 4: 16, 6: 28 } as const;
const portAt = 2;

type Names = 'socket' | 'bind' | 'listen' | 'fcntl';

/** What a listener could not be opened for; or its descriptor. */
export type Opened = { readonly fd: number } | { readonly failed: 'socket' | 'option' | 'port' };

/** One per thread: `transparentListeners()`. */
export class TransparentListeners {
  readonly #libc: Libc<Names>['functions'];
  readonly #options: SocketOptions;
  /** Outside of the garbage-collected heap, so that it never moves. */
  readonly #address = Buffer.from(new ArrayBuffer(addressBytes[6]));
  readonly #addressAt: bigint;

  constructor({ functions, ffi }: Libc<Names>, options: SocketOptions) {
    this.#libc = functions;
    this.#options = options;
    this.#addressAt = ffi.getRawPointer(this.#address.buffer as ArrayBuffer);
  }

  /**
   * A socket that listens on `port` of every address of both families, IPv4 alone where there is no IPv6. The caller
   * owns the descriptor. Several may listen on one port, and share what comes.
   */
  open(port: number): Opened {
    const six = this.#open(6, port);
    return 'failed' in six && six.failed === 'socket' ? this.#open(4, port) : six;
  }

  /** Another descriptor of the same socket; null when none is left. */
  duplicate(fd: number): number | null {
    const copy = this.#libc.fcntl(fd, constants.duplicateCloexec, 0);
    return copy < 0 ? null : copy;
  }

  #open(family: 4 | 6, port: number): Opened {
    const fd = this.#libc.socket(constants.families[family], constants.streamNonblockCloexec, 0);
    if (fd < 0) return { failed: 'socket' };
    const failed = this.#prepare(fd, family, port);
    if (failed === null) return { fd };
    closeSync(fd);
    return { failed };
  }

  #prepare(fd: number, family: 4 | 6, port: number): 'option' | 'port' | null {
    for (const [level, option] of constants.always) if (!this.#options.setNumber(fd, level, option, 1)) return 'option';
    if (family === 6) {
      const [level, option] = constants.transparentV6;
      if (!this.#options.setNumber(fd, level, option, 1)) return 'option';
      if (!this.#options.setNumber(fd, constants.onlyV6[0], constants.onlyV6[1], 0)) return 'option';
    }
    this.#address.fill(0).writeUInt16LE(constants.families[family]);
    this.#address.writeUInt16BE(port, portAt);
    if (this.#libc.bind(fd, this.#addressAt, addressBytes[family]) !== 0) return 'port';
    return this.#libc.listen(fd, constants.backlog) === 0 ? null : 'port';
  }
}

/** Null when this Node or this system has no way to make them. */
export function transparentListeners(): TransparentListeners | null {
  const options = socketOptions();
  const libc = bindLibc({
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    bind: { arguments: ['i32', 'pointer', 'u32'], return: 'i32' },
    listen: { arguments: ['i32', 'i32'], return: 'i32' },
    fcntl: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  });
  return libc === null || options === null ? null : new TransparentListeners(libc, options);
}
