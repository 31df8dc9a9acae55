// The objects in the cluster that the controller has made, found by their label, and the GatewayClasses: what stands
// there is compared with what is wanted, and whoever edits it is noticed.
import { EventEmitter } from 'node:events';
import { MultiMap } from '../base/multi-map.ts';
import { resourceKey } from '../model/resources.ts';
import type { ApiClient } from './api/api-client.ts';
import type { Keep } from './api/json-pick.ts';
import type { KubeObject } from './api/prune.ts';
import { type ObjectChange, Reflector, type ReflectorTimes } from './api/reflector.ts';
import { type WrittenKind, writtenKinds } from './api/written-kinds.ts';
import { isMapping } from './object-reader.ts';

export interface WrittenObjectsEvents {
  /** Keys (`KIND/NAMESPACE/NAME`) of objects that came, changed or went. */
  changed: [keys: readonly string[]];
  /** A kind cannot be followed, and why. */
  trouble: [kind: WrittenKind, reason: string];
}

export interface WrittenObjectsOptions {
  readonly client: ApiClient;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly times?: Partial<ReflectorTimes>;
}

/** On everything that the controller makes. */
export const managedLabels = { 'app.kubernetes.io/managed-by': 'ambient-controller' } as const;
const labelSelector = Object.entries(managedLabels)
  .map((entry) => entry.join('='))
  .join(',');

/** Of a status, only what says whether pods are there. */
const keep: Keep = (value) => {
  const { metadata, status, ...content } = value as KubeObject;
  const { managedFields: _, ...kept } = metadata;
  const { availableReplicas } = isMapping(status) ? status : {};
  return { ...content, metadata: kept, ...(availableReplicas === undefined ? {} : { status: { availableReplicas } }) };
};

/** Follows every written kind from `start` to `close`. */
export class WrittenObjects extends EventEmitter<WrittenObjectsEvents> {
  readonly #reflectors = new Map<WrittenKind, Reflector>();
  readonly #objects = new Map<string, KubeObject>();
  readonly #keysByOwner = new MultiMap<string, string>();

  constructor({ client, random, times = {} }: WrittenObjectsOptions) {
    super();
    for (const kind of writtenKinds) {
      const which = kind.ofCluster ? {} : { labelSelector };
      const reflector = new Reflector({ client, kind, random, times, keep, ...which });
      reflector.on('changed', (change) => this.#take(kind.kind, change));
      reflector.on('state', ({ phase, problem }) => {
        if (phase === 'refused') this.emit('trouble', kind.kind, problem);
        else this.emit('changed', []);
      });
      this.#reflectors.set(kind.kind, reflector);
    }
  }

  start(): void {
    for (const reflector of this.#reflectors.values()) reflector.start();
  }

  /** True when the API server has this kind, and all of its objects are known. */
  isKnown(kind: WrittenKind): boolean {
    return this.#reflectors.get(kind)?.state.phase === 'synced';
  }

  get(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  /** Those of one kind; few, unless it is asked often. */
  *ofKind(kind: WrittenKind): Generator<KubeObject> {
    for (const [key, object] of this.#objects) if (key.startsWith(`${kind}/`)) yield object;
  }

  /** Keys of what an owner controls. */
  ofOwner(uid: string): readonly string[] {
    return [...this.#keysByOwner.get(uid)];
  }

  /** Resolves when nothing is under way any more; idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#reflectors.values()].map((reflector) => reflector.close()));
  }

  #take(kind: WrittenKind, { upserts, deletes }: ObjectChange): void {
    const keys: string[] = [];
    for (const { namespace, name } of deletes) {
      const key = resourceKey({ kind, namespace, name });
      this.#set(key, null);
      keys.push(key);
    }
    for (const object of upserts) {
      const { namespace = '', name } = object.metadata;
      const key = resourceKey({ kind, namespace, name });
      this.#set(key, object);
      keys.push(key);
    }
    this.emit('changed', keys);
  }

  #set(key: string, object: KubeObject | null): void {
    const before = controllerUidOf(this.#objects.get(key));
    if (before !== null) this.#keysByOwner.delete(before, key);
    if (object === null) this.#objects.delete(key);
    else {
      this.#objects.set(key, object);
      const owner = controllerUidOf(object);
      if (owner !== null) this.#keysByOwner.add(owner, key);
    }
  }
}

/** The owner that controls an object; null for none. */
export function controllerOf(object: KubeObject | undefined): Readonly<Record<string, unknown>> | null {
  const owners = object?.metadata['ownerReferences'];
  const found = Array.isArray(owners) ? owners.filter(isMapping).find((one) => one['controller'] === true) : undefined;
  return found ?? null;
}

/** Uid of the owner that controls an object; null for none. */
export function controllerUidOf(object: KubeObject | undefined): string | null {
  const uid = controllerOf(object)?.['uid'];
  return typeof uid === 'string' ? uid : null;
}
