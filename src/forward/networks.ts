// Where pods are, as the data path asks: is this address, which nobody knows, one of this node's pods, or one of the
// mesh? It changes when the main thread finds other networks.
import { CidrTable } from '../base/cidr-table.ts';
import { MeshError } from '../base/errors.ts';
import { parseCidr } from '../base/ip.ts';

/** Networks of this node's pods and of the whole mesh, `ADDRESS/LENGTH`. */
export interface NetworksInput {
  readonly podCidrs: readonly string[];
  readonly meshCidrs: readonly string[];
  /** Capture knows pods by their links: whoever is captured is one, whatever its address. */
  readonly byLinks: boolean;
}

/** `set` replaces everything. */
export class Networks {
  #pods = new CidrTable<true>();
  #mesh = new CidrTable<true>();
  #byLinks = false;

  constructor(input: NetworksInput) {
    this.set(input);
  }

  /** Throws CONFIG_INVALID for what is no network; then nothing has changed. */
  set({ podCidrs, meshCidrs, byLinks }: NetworksInput): void {
    const [pods, mesh] = [tableOf(podCidrs), tableOf(meshCidrs)];
    this.#pods = pods;
    this.#mesh = mesh;
    this.#byLinks = byLinks;
  }

  /** True when somebody who was captured with this source may be a pod of this node. */
  maySend(address: string): boolean {
    return this.#byLinks || this.#pods.lookup(address) === true;
  }

  /** True when a pod of this node may have the address. */
  isPod(address: string): boolean {
    return this.#pods.lookup(address) === true;
  }

  /** True when the address belongs to the mesh, a pod's of any node or a service's. */
  isMesh(address: string): boolean {
    return this.#mesh.lookup(address) === true;
  }
}

function tableOf(texts: readonly string[]): CidrTable<true> {
  const table = new CidrTable<true>();
  for (const text of texts) {
    const cidr = parseCidr(text);
    if (cidr === null) throw new MeshError('CONFIG_INVALID', { place: 'podCidrs', reason: `${text} is no network` });
    table.set(cidr, true);
  }
  return table;
}
