// The pods' networks of every node, as their Node objects say: a node proxy finds its own pods by them, and tells what
// belongs to the mesh from what does not.
import { isDeepStrictEqual } from 'node:util';
import type { MeshUpdate, NodeNetwork } from './types.ts';

/** By the node's name; `apply` changes it. */
export class NodeNetworks {
  readonly #byName = new Map<string, NodeNetwork>();

  /** Takes the nodes of a change in; true when anything changed. */
  apply({ complete, nodes, removedNodes = [] }: Partial<MeshUpdate>): boolean {
    let isChanged = false;
    for (const node of nodes ?? []) {
      if (isDeepStrictEqual(this.#byName.get(node.name), node)) continue;
      this.#byName.set(node.name, node);
      isChanged = true;
    }
    const named = new Set(nodes?.map(({ name }) => name));
    const isWhole = complete === true && nodes !== undefined;
    const gone = isWhole ? [...this.#byName.keys()].filter((name) => !named.has(name)) : removedNodes;
    for (const name of gone) isChanged = this.#byName.delete(name) || isChanged;
    return isChanged;
  }

  values(): NodeNetwork[] {
    return [...this.#byName.values()];
  }

  /** `ADDRESS/LENGTH` of one node's pods; empty where nobody has said. */
  of(name: string): readonly string[] {
    return this.#byName.get(name)?.podCidrs ?? [];
  }

  /** Those of all nodes. */
  all(): string[] {
    return this.values().flatMap(({ podCidrs }) => podCidrs);
  }
}
