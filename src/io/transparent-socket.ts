// Sockets that may connect from an address which is not this machine's. Node has no way to set IP_TRANSPARENT, so the
// socket is made by the C library's own functions and handed to `node:net` as a descriptor; where they cannot be had,
// the caller does without.
import { closeSync } from 'node:fs';
import { bindLibc, type Libc } from '../base/libc.ts';
import { networkNamespaces } from './network-namespace.ts';
import { type SocketOptions, socketOptions, unpace } from './socket-options.ts';

/** Linux on x64 and arm64. */
const constants = {
  families: { 4: 2, 6: 10 },
  streamNonblockCloexec: 1 | 0o4000 | 0o2000000,
  socketLevel: 1,
  mark: 36,
  transparent: { 4: [0, 19], 6: [41, 75] },
} as const;

/** One per thread. */
export class TransparentSockets {
  readonly #libc: Libc<'socket'>['functions'];
  readonly #options: SocketOptions;

  private constructor({ functions }: Libc<'socket'>, options: SocketOptions) {
    this.#libc = functions;
    this.#options = options;
  }

  /** Null when this Node cannot make them; whether the kernel lets it shows in `create`. */
  static load(): TransparentSockets | null {
    const libc = bindLibc({ socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' } });
    const options = socketOptions();
    return libc === null || options === null ? null : new TransparentSockets(libc, options);
  }

  /**
   * The descriptor of a new TCP socket whose packets carry `mark`, neither bound nor connected; the caller owns it.
   * `isLocal`: what it will be connected to is on this machine. `namespace`: a descriptor of the network namespace that
   * it is made in; null for this thread's own.
   * Null when the kernel refuses: no descriptor is left, or CAP_NET_ADMIN is missing.
   */
  create(family: 4 | 6, mark: number, isLocal = false, namespace: number | null = null): number | null {
    const make = (): number => this.#libc.socket(constants.families[family], constants.streamNonblockCloexec, 0);
    const fd = namespace === null ? make() : (networkNamespaces()?.within(namespace, make) ?? -1);
    if (fd < 0) return null;
    const [level, option] = constants.transparent[family];
    const options = this.#options;
    if (options.setNumber(fd, level, option, 1) && options.setNumber(fd, constants.socketLevel, constants.mark, mark)) {
      if (isLocal) unpace(fd);
      return fd;
    }
    closeSync(fd);
    return null;
  }
}
