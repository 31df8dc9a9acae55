// The pods of this node whose network namespaces this thread may make sockets in: where capture is inside of pods.
import { closeSync, fstatSync, openSync } from 'node:fs';

/** What a thread is told of one pod. */
export interface PodNetworkInput {
  readonly id: number;
  readonly addresses: readonly string[];
  /** A descriptor of this process, and the number of the namespace that must be behind it. */
  readonly namespace: { readonly fd: number; readonly inode: number };
}

/** One pod's network. */
export class PodNetwork {
  readonly id: number;
  readonly addresses: readonly string[];
  /** This thread's own descriptor of the namespace; the system closes it with the thread. */
  readonly fd: number;

  constructor(id: number, addresses: readonly string[], fd: number) {
    this.id = id;
    this.addresses = addresses;
    this.fd = fd;
  }

  /** True for an address of the pod, canonical. */
  has(address: string): boolean {
    return this.addresses.includes(address);
  }
}

/** All of them, by address. One per data thread. */
export class PodNetworks {
  readonly #byId = new Map<number, PodNetwork>();
  readonly #byAddress = new Map<string, PodNetwork>();

  /** Takes a pod in, in place of an earlier one with its id. Null when its namespace has gone already. */
  add({ id, addresses, namespace }: PodNetworkInput): PodNetwork | null {
    this.remove(id);
    const fd = reopened(namespace);
    if (fd === null) return null;
    const pod = new PodNetwork(id, addresses, fd);
    this.#byId.set(id, pod);
    for (const address of addresses) this.#byAddress.set(address, pod);
    return pod;
  }

  /** Lets go of its namespace; null when there is no such pod. */
  remove(id: number): PodNetwork | null {
    const pod = this.#byId.get(id);
    if (pod === undefined) return null;
    this.#byId.delete(id);
    for (const address of pod.addresses) {
      if (this.#byAddress.get(address) === pod) this.#byAddress.delete(address);
    }
    closeSync(pod.fd);
    return pod;
  }

  /** The descriptor of the namespace of the pod with this address; null when there is none. */
  fdOf(address: string): number | null {
    return this.#byAddress.get(address)?.fd ?? null;
  }
}

/** Its number may belong to something else by now: then null. */
function reopened({ fd, inode }: PodNetworkInput['namespace']): number | null {
  let own: number | null = null;
  try {
    own = openSync(`/proc/self/fd/${fd}`, 'r');
    if (fstatSync(own).ino === inode) return own;
  } catch {
    // It has gone.
  }
  if (own !== null) closeSync(own);
  return null;
}
