// Keeps the Service path of every node in step with services and endpoints: one transaction per node and change.
import { messageOf } from '../base/errors.ts';
import type { NodePlan } from './addresses.ts';
import { Coalescer } from './gather.ts';
import { nodeNetns } from './network.ts';
import type { EndpointSlice, Pod, ServiceObject } from './objects.ts';
import { inNetns, run } from './run.ts';
import { serviceRules } from './service-rules.ts';
import type { ObjectStore } from './store.ts';

const gatherMs = 5;

/** The rules of one node; `problem` says why they are out of date. */
export class ServiceProxy {
  readonly #node: NodePlan;
  readonly #store: ObjectStore;
  readonly #coalescer: Coalescer;
  #applied = '';
  #problem: string | null = null;

  constructor(node: NodePlan, store: ObjectStore, log: (line: string) => void) {
    this.#node = node;
    this.#store = store;
    const failed = (error: unknown) => {
      this.#problem = `services of node ${node.name}: ${messageOf(error)}`;
      log(this.#problem);
    };
    this.#coalescer = new Coalescer(gatherMs, () => this.#apply(), failed);
  }

  /** Something that services depend on may have changed. */
  trigger(): void {
    this.#coalescer.trigger();
  }

  /** Why the rules in place are not those that should be; null when they are. */
  get problem(): string | null {
    return this.#problem;
  }

  settled(): Promise<void> {
    return this.#coalescer.settled();
  }

  close(): void {
    this.#coalescer.close();
  }

  async #apply(): Promise<void> {
    const { name: nodeName, addresses: nodeAddresses } = this.#node;
    const rules = serviceRules({
      nodeName,
      nodeAddresses,
      services: this.#store.list<ServiceObject>('Service', undefined, ''),
      slices: this.#store.list<EndpointSlice>('EndpointSlice'),
      localPods: this.#store
        .list<Pod>('Pod')
        .filter((pod) => pod.spec.nodeName === nodeName && pod.spec.hostNetwork !== true),
    });
    if (rules === this.#applied) return;
    await run([...inNetns(nodeNetns(nodeName)), 'nft', '-f', '-'], rules);
    this.#applied = rules;
    this.#problem = null;
  }
}
