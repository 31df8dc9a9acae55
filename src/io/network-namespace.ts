// Other network namespaces, entered for the length of one call that does not wait: sockets made meanwhile belong to
// them for good, whichever thread uses them later. Only the calling thread is moved. Node has no way to do it, so the
// C library's own function is called; where that cannot be had, callers say that they cannot work.
import { openSync } from 'node:fs';
import { bindLibc, type Libc } from '../base/libc.ts';

const networkNamespace = 0x4000_0000;
const ownNamespace = '/proc/thread-self/ns/net';

/** One per thread: `networkNamespaces()`. */
export class NetworkNamespaces {
  readonly #enter: Libc<'setns'>['functions']['setns'];
  readonly #home: number;

  constructor({ functions }: Libc<'setns'>, home: number) {
    this.#enter = functions.setns;
    this.#home = home;
  }

  /**
   * What `work` returns, run in the namespace behind the descriptor `fd`. It must not wait for anything. Null when the
   * kernel refuses: the descriptor is of no network namespace, or CAP_SYS_ADMIN is missing.
   */
  within<T>(fd: number, work: () => T): T | null {
    if (this.#enter(fd, networkNamespace) !== 0) return null;
    try {
      return work();
    } finally {
      // A thread that stayed would connect for one pod from the network of another.
      if (this.#enter(this.#home, networkNamespace) !== 0) process.abort();
    }
  }
}

let loaded: NetworkNamespaces | null | undefined;

/** Null when this Node or this system has no way to enter them; whether the kernel lets it shows in `within`. */
export function networkNamespaces(): NetworkNamespaces | null {
  if (loaded === undefined) loaded = load();
  return loaded;
}

function load(): NetworkNamespaces | null {
  const libc = bindLibc({ setns: { arguments: ['i32', 'i32'], return: 'i32' } });
  try {
    return libc === null ? null : new NetworkNamespaces(libc, openSync(ownNamespace, 'r'));
  } catch {
    return null;
  }
}
