// Turns Deployments, ReplicaSets, StatefulSets and DaemonSets into Pods, as their controllers in a cluster do.
//
// Level-triggered: `reconcile()` compares what should be with what is and takes the next step; it is called after every
// change of a workload or a pod, so that rolling replacement goes on by itself as pods become ready.
import {
  isReady,
  type KubeObject,
  matches,
  type NodeObject,
  type Pod,
  type WorkloadObject,
  type WorkloadSpec,
} from './objects.ts';
import {
  controllerOf,
  isTerminating,
  ownerReferenceTo,
  podFromTemplate,
  randomSuffix,
  templateHash,
  terminated,
} from './pods.ts';
import type { ObjectStore } from './store.ts';

export interface WorkloadOptions {
  readonly store: ObjectStore;
  readonly now: () => number;
  readonly random: () => number;
}

const suffixLength = 5;

/** The workload controllers over one store. */
export class WorkloadControllers {
  readonly #store: ObjectStore;
  readonly #options: WorkloadOptions;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** Takes the next step of every workload. */
  reconcile(): void {
    this.#collectGarbage();
    for (const deployment of this.#store.list<WorkloadObject>('Deployment')) this.#deployment(deployment);
    for (const replicaSet of this.#store.list<WorkloadObject>('ReplicaSet')) this.#replicaSet(replicaSet);
    for (const set of this.#store.list<WorkloadObject>('StatefulSet')) this.#statefulSet(set);
    for (const set of this.#store.list<WorkloadObject>('DaemonSet')) this.#daemonSet(set);
  }

  /** What an owner that has gone leaves behind. */
  #collectGarbage(): void {
    for (const kind of ['ReplicaSet', 'Pod']) {
      for (const object of this.#store.list(kind)) {
        const owner = controllerOf(object);
        if (owner === null) continue;
        const live = this.#store.get(owner.kind, object.metadata.namespace ?? '', owner.name);
        if (live?.metadata.uid === owner.uid) continue;
        if (kind === 'Pod') this.#terminate(object as Pod);
        else this.#store.remove(object);
      }
    }
  }

  #deployment(deployment: WorkloadObject): void {
    const { namespace = '', name } = deployment.metadata;
    const hash = templateHash(deployment.spec.template);
    const owned = this.#store
      .list<WorkloadObject>('ReplicaSet', namespace)
      .filter((each) => controllerOf(each)?.uid === deployment.metadata.uid);
    const current = owned.find((each) => each.metadata.name === `${name}-${hash}`);
    const old = owned.filter((each) => each !== current);
    const pods = (sets: readonly WorkloadObject[]) => sets.flatMap((set) => this.#livePodsOf(set));
    const oldPods = pods(old);
    const newPods = current === undefined ? [] : pods([current]);
    const plan = rollout(deployment.spec, newPods, oldPods);
    this.#store.put(replicaSetOf(deployment, hash, plan.newReplicas, current));
    for (const pod of plan.remove) this.#terminate(pod);
    for (const set of old) {
      const left = this.#livePodsOf(set).length;
      // A set of an earlier template goes with its last pod: the lab keeps no history.
      if (left === 0 && !this.#podsOf(set).length) this.#store.remove(set);
      else this.#store.put({ ...set, spec: { ...set.spec, replicas: left } } as WorkloadObject);
    }
  }

  #replicaSet(set: WorkloadObject): void {
    const pods = this.#livePodsOf(set);
    const wanted = set.spec.replicas ?? 1;
    for (let count = pods.length; count < wanted; count++) {
      this.#create(set, `${set.metadata.name}-${this.#suffix()}`, {});
    }
    for (const pod of surplus(pods, wanted)) this.#terminate(pod);
  }

  #statefulSet(set: WorkloadObject & { spec: { podManagementPolicy?: string } }): void {
    const wanted = set.spec.replicas ?? 1;
    const hash = templateHash(set.spec.template);
    const pods = this.#podsOf(set);
    const isParallel = set.spec.podManagementPolicy === 'Parallel';
    for (let ordinal = 0; ordinal < wanted; ordinal++) {
      const name = `${set.metadata.name}-${ordinal}`;
      const pod = pods.find((each) => each.metadata.name === name);
      if (pod === undefined) {
        const labels = {
          'statefulset.kubernetes.io/pod-name': name,
          'apps.kubernetes.io/pod-index': String(ordinal),
          'controller-revision-hash': `${set.metadata.name}-${hash}`,
        };
        this.#create(set, name, labels, {
          hostname: name,
          ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}),
        });
      }
      if (!isParallel && (pod === undefined || !isReady(pod))) return;
    }
    for (const pod of pods) if (ordinalOf(pod) >= wanted) this.#terminate(pod);
    const outdated = pods.filter(
      (pod) => pod.metadata.labels?.['controller-revision-hash'] !== `${set.metadata.name}-${hash}`,
    );
    const last = outdated.sort((a, b) => ordinalOf(b) - ordinalOf(a))[0];
    // One at a time, from the highest ordinal down, and only while all the others are ready.
    if (last !== undefined && pods.every((pod) => pod === last || (isReady(pod) && !isTerminating(pod))))
      this.#terminate(last);
  }

  #daemonSet(set: WorkloadObject): void {
    const selector = set.spec.template.spec.nodeSelector ?? {};
    const pods = this.#livePodsOf(set);
    const hash = templateHash(set.spec.template);
    for (const node of this.#store.list<NodeObject>('Node')) {
      const isWanted = matches({ matchLabels: selector }, node.metadata.labels);
      const here = pods.filter((pod) => pod.spec.nodeName === node.metadata.name);
      const current = here.filter((pod) => pod.metadata.labels?.['pod-template-generation'] === hash);
      for (const pod of isWanted ? here.filter((each) => !current.includes(each)) : here) this.#terminate(pod);
      if (!isWanted || current.length > 0) continue;
      const name = `${set.metadata.name}-${this.#suffix()}`;
      this.#create(set, name, { 'pod-template-generation': hash }, { nodeName: node.metadata.name });
    }
  }

  #create(
    owner: WorkloadObject,
    name: string,
    labels: Record<string, string>,
    spec: Record<string, unknown> = {},
  ): void {
    const { template } = owner.spec;
    const origin = { namespace: owner.metadata.namespace ?? '', name, owner, labels, nowMs: this.#options.now() };
    this.#store.put(podFromTemplate({ ...template, spec: { ...template.spec, ...spec } }, origin));
  }

  #terminate(pod: Pod): void {
    this.#store.update(pod, (current) => terminated(current, this.#options.now()));
  }

  #podsOf(owner: KubeObject): Pod[] {
    return this.#store
      .list<Pod>('Pod', owner.metadata.namespace)
      .filter((pod) => controllerOf(pod)?.uid === owner.metadata.uid);
  }

  #livePodsOf(owner: KubeObject): Pod[] {
    return this.#podsOf(owner).filter((pod) => !isTerminating(pod));
  }

  #suffix(): string {
    return randomSuffix(suffixLength, this.#options.random);
  }
}

/**
 * How many pods of the new template there should be now, and which of the old ones go: the Deployment controller's
 * rolling update.
 */
export function rollout(
  spec: WorkloadSpec,
  newPods: readonly Pod[],
  oldPods: readonly Pod[],
): { newReplicas: number; remove: Pod[] } {
  const wanted = spec.replicas ?? 1;
  if (spec.strategy?.type === 'Recreate') {
    return { newReplicas: oldPods.length > 0 ? newPods.length : wanted, remove: [...oldPods] };
  }
  const surge = share(spec.strategy?.rollingUpdate?.maxSurge ?? '25%', wanted, Math.ceil);
  const unavailable = share(spec.strategy?.rollingUpdate?.maxUnavailable ?? '25%', wanted, Math.floor);
  // Both zero would never move.
  const most = wanted + (surge === 0 && unavailable === 0 ? 1 : surge);
  const newReplicas = Math.min(wanted, Math.max(newPods.length, most - oldPods.length));
  const ready = newPods.filter(isReady).length + oldPods.filter(isReady).length;
  const spare = Math.max(0, ready - (wanted - unavailable));
  const unready = oldPods.filter((pod) => !isReady(pod));
  const readyOld = oldPods.filter(isReady);
  return { newReplicas, remove: [...unready, ...readyOld.slice(0, spare)] };
}

function share(value: number | string, whole: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  return percent === undefined ? 0 : round((Number(percent) * whole) / 100);
}

/** Which pods a set that has too many gives up: those not ready first, then the youngest. */
function surplus(pods: readonly Pod[], wanted: number): Pod[] {
  if (pods.length <= wanted) return [];
  const byWorth = [...pods].sort((a, b) => Number(isReady(a)) - Number(isReady(b)) || age(b) - age(a));
  return byWorth.slice(0, pods.length - wanted);
}

function age(pod: Pod): number {
  return Number(pod.metadata.resourceVersion ?? 0);
}

function ordinalOf(pod: Pod): number {
  return Number(pod.metadata.labels?.['apps.kubernetes.io/pod-index'] ?? 0);
}

function replicaSetOf(
  deployment: WorkloadObject,
  hash: string,
  replicas: number,
  current: WorkloadObject | undefined,
): WorkloadObject {
  const { template, selector } = deployment.spec;
  const label = { 'pod-template-hash': hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      ...current?.metadata,
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? '',
      labels: { ...template.metadata?.labels, ...label },
      ownerReferences: [ownerReferenceTo(deployment)],
    },
    spec: {
      replicas,
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, ...label } },
      template: { ...template, metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...label } } },
    },
    ...(current?.status === undefined ? {} : { status: current.status }),
  };
}
