// Which nodes had a ready node proxy and have none any more, from the pods of the mesh: so every replica sees all of
// them, and not only the proxies that call it.
import type { Clock } from '../base/clock.ts';
import type { ClusterEvent } from '../kube/event-writer.ts';
import type { MeshUpdate } from '../model/types.ts';

export interface NodeProxyWatchOptions {
  /** `NAMESPACE/SERVICEACCOUNT`s of node proxies. */
  readonly accounts: readonly string[];
  readonly clock: Clock;
  readonly tell: (event: ClusterEvent) => void;
}

/** A proxy that is replaced, or restarts, is back within that. */
const patienceMs = 60_000;

interface NodeState {
  state: 'ready' | 'waiting' | 'lost';
  cancel: (() => void) | null;
}

/** Follows updates of the mesh until `close`. */
export class NodeProxyWatch {
  readonly #options: NodeProxyWatchOptions;
  readonly #proxies = new Map<string, { readonly node: string; readonly isReady: boolean }>();
  /** Nodes that have had a ready proxy. */
  readonly #nodes = new Map<string, NodeState>();

  constructor(options: NodeProxyWatchOptions) {
    this.#options = options;
  }

  /** What changed in the mesh, and the nodes that went. */
  take({ workloads, removedAddresses }: MeshUpdate, goneNodes: readonly string[]): void {
    const touched = new Set<string>();
    for (const { uid, namespace, serviceAccount, node, healthy } of workloads) {
      if (!this.#options.accounts.includes(`${namespace}/${serviceAccount}`) || node === '') continue;
      this.#proxies.set(uid, { node, isReady: healthy });
      touched.add(node);
    }
    for (const uid of removedAddresses) {
      const gone = this.#proxies.get(uid);
      if (gone === undefined) continue;
      this.#proxies.delete(uid);
      touched.add(gone.node);
    }
    for (const node of touched) this.#look(node);
    for (const node of goneNodes) {
      this.#nodes.get(node)?.cancel?.();
      this.#nodes.delete(node);
    }
  }

  /** Idempotent. */
  close(): void {
    for (const { cancel } of this.#nodes.values()) cancel?.();
    this.#nodes.clear();
  }

  #look(node: string): void {
    const known = this.#nodes.get(node);
    const isReady = [...this.#proxies.values()].some((one) => one.node === node && one.isReady);
    if (isReady) {
      known?.cancel?.();
      if (known?.state === 'lost') this.#tell(node, 'Normal', 'NodeProxyReady', 'a node proxy is ready here again');
      this.#nodes.set(node, { state: 'ready', cancel: null });
    } else if (known?.state === 'ready') {
      known.state = 'waiting';
      known.cancel = this.#options.clock.after(patienceMs, () => {
        known.state = 'lost';
        const seconds = patienceMs / 1000;
        const words = `no node proxy has been ready here for ${seconds} s: enrolled pods of this node reach nobody`;
        this.#tell(node, 'Warning', 'NodeProxyLost', words);
      });
    }
  }

  #tell(node: string, type: ClusterEvent['type'], reason: string, note: string): void {
    // As the kubelet speaks of its node.
    const regarding = { apiVersion: 'v1', kind: 'Node', namespace: '', name: node, uid: node };
    this.#options.tell({ regarding, type, reason, note });
  }
}
