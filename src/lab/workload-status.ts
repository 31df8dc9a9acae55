// `status` of workloads, for whoever looks at them with kubectl: how many pods there are, and how many of them are
// ready.
import { isReady, type Pod, type WorkloadObject } from './objects.ts';
import { controllerOf, isTerminating, templateHash } from './pods.ts';
import type { ObjectStore } from './store.ts';

const kinds = ['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet'] as const;
const hashLabel = 'pod-template-hash';

/** Writes the status of every workload; one that has not changed changes nothing. */
export function tellWorkloads(store: ObjectStore): void {
  const bySet = new Map<string, Pod[]>();
  for (const pod of store.list<Pod>('Pod')) {
    const owner = controllerOf(pod);
    if (owner === null || isTerminating(pod)) continue;
    bySet.set(owner.uid, [...(bySet.get(owner.uid) ?? []), pod]);
  }
  for (const kind of kinds) {
    for (const workload of store.list<WorkloadObject>(kind, undefined, 'apps')) {
      const status = statusOf(workload, podsOf(workload, store, bySet));
      store.put({ ...workload, status });
    }
  }
}

function podsOf(workload: WorkloadObject, store: ObjectStore, bySet: ReadonlyMap<string, Pod[]>): Pod[] {
  const uid = workload.metadata.uid ?? '';
  if (workload.kind !== 'Deployment') return bySet.get(uid) ?? [];
  return store
    .list('ReplicaSet', workload.metadata.namespace, 'apps')
    .filter((set) => controllerOf(set)?.uid === uid)
    .flatMap((set) => bySet.get(set.metadata.uid ?? '') ?? []);
}

function statusOf(workload: WorkloadObject, pods: readonly Pod[]): object {
  const ready = pods.filter(isReady).length;
  const hash = templateHash(workload.spec.template);
  const isNew = (pod: Pod): boolean => (pod.metadata.labels?.[hashLabel] ?? hash) === hash;
  const updated = workload.kind === 'Deployment' ? pods.filter(isNew).length : pods.length;
  const observedGeneration = workload.metadata.generation ?? 1;
  if (workload.kind === 'DaemonSet') {
    const wanted = { desiredNumberScheduled: pods.length, currentNumberScheduled: pods.length, numberMisscheduled: 0 };
    const running = { numberReady: ready, numberAvailable: ready, updatedNumberScheduled: updated };
    return { observedGeneration, ...wanted, ...running };
  }
  const replicas = pods.length;
  if (workload.kind === 'ReplicaSet') {
    return { observedGeneration, replicas, readyReplicas: ready, availableReplicas: ready };
  }
  return { observedGeneration, replicas, updatedReplicas: updated, readyReplicas: ready, availableReplicas: ready };
}
