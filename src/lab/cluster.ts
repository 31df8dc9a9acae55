// The control loops of the lab's cluster in one: workloads become pods, pods get nodes, services get endpoints and
// rules.
//
// Level-triggered and coalesced: whatever changes in the store, one pass over everything follows a moment later.
import type { Clock } from '../base/clock.ts';
import type { NodePlan } from './addresses.ts';
import { Coalescer } from './gather.ts';
import type { EndpointSlice, NodeObject, Pod, ServiceObject } from './objects.ts';
import { isTerminating, withCondition } from './pods.ts';
import { chooseNode } from './scheduler.ts';
import { ServiceProxy } from './service-proxy.ts';
import { endpointSlicesOf } from './services.ts';
import type { ObjectStore } from './store.ts';
import { WorkloadControllers } from './workloads.ts';

const managedBy = 'endpointslice.kubernetes.io/managed-by';
const gatherMs = 2;

/** Runs the loops over a store; what they could not do is in `problems()`. */
export class Cluster {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #workloads: WorkloadControllers;
  readonly #first: () => void;
  readonly #proxies: ServiceProxy[] = [];
  readonly #loop: Coalescer;

  /** `first` goes before the loops, in every pass. */
  constructor(
    store: ObjectStore,
    clock: Clock,
    random: () => number,
    log: (line: string) => void,
    first: () => void = () => {},
  ) {
    this.#first = first;
    this.#store = store;
    this.#clock = clock;
    this.#workloads = new WorkloadControllers({ store, now: () => clock.now(), random });
    this.#loop = new Coalescer(
      gatherMs,
      () => this.#pass(),
      (error) => log(`the cluster's control loop: ${String(error)}`),
    );
    store.onChange(() => this.#loop.trigger());
  }

  addNode(plan: NodePlan, log: (line: string) => void): void {
    this.#proxies.push(new ServiceProxy(plan, this.#store, log));
  }

  /** Resolves when the loops and the rules of every node have caught up. */
  async settled(): Promise<void> {
    await this.#loop.settled();
    await Promise.all(this.#proxies.map((proxy) => proxy.settled()));
  }

  /** What the loops could not do. */
  problems(): string[] {
    return this.#proxies.flatMap((proxy) => proxy.problem ?? []);
  }

  close(): void {
    this.#loop.close();
    for (const proxy of this.#proxies) proxy.close();
  }

  #pass(): void {
    this.#first();
    this.#workloads.reconcile();
    this.#schedule();
    this.#endpoints();
    for (const proxy of this.#proxies) proxy.trigger();
  }

  #schedule(): void {
    const waiting = this.#store
      .list<Pod>('Pod')
      .filter((pod) => pod.spec.nodeName === undefined && !isTerminating(pod));
    const nodes = this.#store.list<NodeObject>('Node');
    for (const pod of waiting) {
      const nodeName = chooseNode(pod, nodes, this.#store.list<Pod>('Pod'));
      const nowMs = this.#clock.now();
      if (nodeName === null) {
        const wanted = Object.entries(pod.spec.nodeSelector ?? {}).map(([key, value]) => `${key}=${value}`);
        const message = `no node has the labels ${wanted.join(', ')}`;
        this.#store.update(pod, (each) => withCondition(each, 'PodScheduled', false, nowMs, 'Unschedulable', message));
      } else {
        this.#store.update(pod, (each) =>
          withCondition({ ...each, spec: { ...each.spec, nodeName } }, 'PodScheduled', true, nowMs),
        );
      }
    }
  }

  #endpoints(): void {
    const pods = this.#store.list<Pod>('Pod');
    const wanted = this.#store
      .list<ServiceObject>('Service', undefined, '')
      .flatMap((service) => endpointSlicesOf(service, pods));
    const names = new Set(wanted.map((slice) => `${slice.metadata.namespace}/${slice.metadata.name}`));
    for (const slice of wanted) this.#store.put(slice);
    for (const slice of this.#store.list<EndpointSlice>('EndpointSlice')) {
      const isOurs = slice.metadata.labels?.[managedBy] === 'endpointslice-controller.k8s.io';
      if (isOurs && !names.has(`${slice.metadata.namespace}/${slice.metadata.name}`)) this.#store.remove(slice);
    }
  }
}
