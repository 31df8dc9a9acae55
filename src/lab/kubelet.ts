// The kubelets of all nodes: a runner for every scheduled pod, addresses from the node's ranges, pod networks made in
// batches.
import type { Clock } from '../base/clock.ts';
import { AddressPool, type NodePlan } from './addresses.ts';
import type { NodeAgent } from './agent.ts';
import { Gatherer } from './gather.ts';
import { addPods, hasIpv6, removePod } from './network.ts';
import { type KubeObject, type Pod, podIps, type ServiceObject } from './objects.ts';
import type { PodLink } from './pod-links.ts';
import { PodRunner } from './pod-runner.ts';
import { isTerminating } from './pods.ts';
import type { Rootfs } from './rootfs.ts';
import { endpointSlicesOf } from './services.ts';
import type { Change, ObjectStore } from './store.ts';
import type { VolumeInput } from './volumes.ts';

export interface KubeletOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly images: Readonly<Record<string, string>>;
  readonly rootfs: Rootfs | null;
  readonly logsDir: string;
  readonly podsDir: string;
  readonly admitted: (nodeName: string) => Promise<void>;
  /** Resolves when the Service path of every node has caught up with the endpoints. */
  readonly servicesSettled: () => Promise<void>;
  readonly volumes: (pod: Pod) => Pick<VolumeInput, 'token' | 'clusterRoots' | 'dns'>;
}

/** Pods with this annotation are run by someone else (the mesh's own programs). */
export const unmanagedAnnotation = 'lab.ambient.mesh/unmanaged';

/** True for a pod that no kubelet of the lab runs. */
export function isUnmanaged(pod: KubeObject): boolean {
  return pod.metadata.annotations?.[unmanagedAnnotation] !== undefined;
}

interface KubeletNode {
  readonly plan: NodePlan;
  readonly agent: NodeAgent;
  readonly pools: readonly AddressPool[];
}

const servicesSettleMaxMs = 1_000;
const tokenRefreshMs = 10 * 60_000;
/** The first two addresses of a range are the network's and, by custom, the gateway's. */
const addressesSkipped = 2;

/** Runs every pod of the store that has one of its nodes, and tells the pods' state in their objects. */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #nodes = new Map<string, KubeletNode>();
  readonly #runners = new Map<string, PodRunner>();
  readonly #network = new Gatherer<PodLink>((links) => addPods(links));
  #cancelRefresh: (() => void) | null = null;

  constructor(options: KubeletOptions) {
    this.#options = options;
    options.store.onChange((change) => {
      this.#podChanged(change);
      this.#filesChanged(change);
    });
    this.#refreshLater();
  }

  addNode(plan: NodePlan, agent: NodeAgent): void {
    const cidrs = plan.podCidrs.filter((cidr) => hasIpv6() || !cidr.includes(':'));
    this.#nodes.set(plan.name, { plan, agent, pools: cidrs.map((cidr) => new AddressPool(cidr, addressesSkipped)) });
  }

  runnerOf(pod: Pod): PodRunner | null {
    return this.#runners.get(pod.metadata.uid ?? '') ?? null;
  }

  /** Stops refreshing; the pods end with the lab. */
  close(): void {
    this.#cancelRefresh?.();
  }

  #podChanged({ action, object }: Change): void {
    if (
      object.kind !== 'Pod' ||
      action === 'deleted' ||
      object.metadata.annotations?.[unmanagedAnnotation] !== undefined
    )
      return;
    const pod = object as Pod;
    const uid = pod.metadata.uid ?? '';
    const runner = this.#runners.get(uid);
    if (isTerminating(pod)) {
      if (runner === undefined) this.#options.store.remove(pod);
      else void this.#end(runner, uid, pod);
      return;
    }
    const node = pod.spec.nodeName === undefined ? undefined : this.#nodes.get(pod.spec.nodeName);
    if (runner !== undefined || node === undefined) return;
    const created = new PodRunner(pod, this.#hostOf(node, pod));
    this.#runners.set(uid, created);
    void created.start();
  }

  /** A cluster's kubelet takes up to a minute for this; nobody waits for that in a lab. */
  #filesChanged({ action, object }: Change): void {
    const { kind, metadata } = object;
    if (action === 'deleted' || (kind !== 'ConfigMap' && kind !== 'Secret')) return;
    for (const runner of this.#runners.values()) {
      if (runner.namespace === metadata.namespace) runner.refreshFiles(kind, metadata.name);
    }
  }

  /** Services let go of a pod before it is asked to end: nobody is sent to one that has just gone. */
  async #end(runner: PodRunner, uid: string, pod: Pod): Promise<void> {
    const late = new Promise<void>((resolve) => this.#options.clock.after(servicesSettleMaxMs, resolve));
    await Promise.race([this.#options.servicesSettled(), late]);
    await runner.stop();
    this.#gone(uid, pod);
  }

  #gone(uid: string, pod: Pod): void {
    if (!this.#runners.delete(uid)) return;
    const { store } = this.#options;
    const { namespace = '', name } = pod.metadata;
    const current = store.get<Pod>('Pod', namespace, name, '');
    if (current?.metadata.uid === uid) store.remove(current);
  }

  #hostOf(node: KubeletNode, pod: Pod) {
    const { store, clock, random, images, rootfs, logsDir, podsDir, volumes } = this.#options;
    const { plan, agent, pools } = node;
    return {
      node: plan,
      agent,
      clock,
      random,
      images,
      rootfs,
      logsDir,
      podsDir,
      volumes,
      takeAddresses: () => pools.map((pool) => pool.take()),
      releaseAddresses: (addresses: readonly string[]) => {
        for (const address of addresses) for (const pool of pools) pool.release(address);
      },
      connect: (link: PodLink) => this.#network.add(link),
      disconnect: (link: PodLink) => removePod(link),
      admitted: () => this.#options.admitted(plan.name),
      lookup:
        (namespace: string) =>
        (kind: string, name: string): KubeObject | undefined =>
          store.get(kind, namespace, name, ''),
      appProtocols: (each: Pod) => appProtocolsOf(each, store),
      update: (change: (current: Pod) => Pod) => store.update(pod, change) ?? null,
    };
  }

  #refreshLater(): void {
    this.#cancelRefresh = this.#options.clock.after(tokenRefreshMs, () => {
      for (const runner of this.#runners.values()) runner.refreshTokens();
      this.#refreshLater();
    });
  }
}

/** What services in front of a pod say about its ports, by container port. */
function appProtocolsOf(pod: Pod, store: ObjectStore): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  // Before it has an address a pod is in no slice; any address will do to ask which ports services see.
  const addressed = podIps(pod).length > 0 ? pod : { ...pod, status: { ...pod.status, podIPs: [{ ip: '0.0.0.0' }] } };
  for (const service of store.list<ServiceObject>('Service', pod.metadata.namespace, '')) {
    for (const slice of endpointSlicesOf(service, [addressed])) {
      for (const { port, appProtocol } of slice.ports ?? []) {
        if (port !== undefined && appProtocol !== undefined) found.set(port, appProtocol);
      }
    }
  }
  return found;
}
