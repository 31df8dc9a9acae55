// Which labels of workloads waypoints have to know: those by which subsets choose endpoints, and those that routes ask
// of clients. Few pods carry more than one or two of them on the wire.
import { hostnameOf } from '../compile-service.ts';
import type { Labels } from '../resources.ts';
import type { VirtualServiceResource } from '../route-resources.ts';
import { patternsOf } from './hosts.ts';
import type { RouteStore } from './route-store.ts';

/** Keeps count of the labels that are asked for. */
export class WantedLabels {
  /** How many VirtualServices ask clients for a label. */
  readonly #ofClients = new Map<string, number>();

  /** Returns true when the set of labels that clients are asked for has changed. */
  note(virtual: VirtualServiceResource, change: 'add' | 'delete'): boolean {
    let hasChanged = false;
    for (const { matches } of virtual.http) {
      for (const key of matches.flatMap((match) => Object.keys(match.sourceLabels))) {
        const before = this.#ofClients.get(key) ?? 0;
        const now = before + (change === 'add' ? 1 : -1);
        if (now === 0) this.#ofClients.delete(key);
        else this.#ofClients.set(key, now);
        hasChanged ||= before === 0 || now === 0;
      }
    }
    return hasChanged;
  }

  /** Of a workload's labels, those that somebody asks for; null for none. */
  pick(labels: Labels, serviceIds: Iterable<string>, store: RouteStore): Labels | null {
    const keys = new Set(this.#ofClients.keys());
    if (store.destinationRules.size > 0) {
      for (const id of serviceIds) for (const key of subsetKeys(id, store)) keys.add(key);
    }
    const picked = [...keys].sort().flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]] as const]));
    return picked.length === 0 ? null : Object.fromEntries(picked);
  }
}

function* subsetKeys(serviceId: string, store: RouteStore): Generator<string> {
  const [namespace = '', name = ''] = serviceId.split('/');
  for (const pattern of patternsOf(hostnameOf(namespace, name, store.options.clusterDomain))) {
    for (const id of store.rulesByHost.get(pattern)) {
      for (const subset of store.destinationRules.get(id)!.subsets) yield* Object.keys(subset.labels);
    }
  }
}
