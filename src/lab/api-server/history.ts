// What happened to the objects, in order: from it watches begin in the past, and lists are answered as of then. What is
// older than the limit, or was compacted, is forgotten: 410, as with etcd.
import type { KubeObject } from '../objects.ts';
import { groupOf } from '../objects.ts';
import type { Change, ObjectStore } from '../store.ts';
import type { ResourceType } from './resources.ts';

export interface HistoryEvent {
  readonly version: number;
  readonly action: Change['action'];
  /** After the change; of a deleted object its last state, with the version of the deletion. */
  readonly object: KubeObject;
  readonly previous: KubeObject | null;
}

type Listener = (event: HistoryEvent) => void;

/** `KIND.GROUP`, for every version of a kind. */
function kindKey(kind: string, group: string): string {
  return `${kind}.${group}`;
}

/** The changes of a store since a version. */
export class History {
  readonly #store: ObjectStore;
  readonly #eventsMax: number;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #stop: () => void;
  #events: HistoryEvent[] = [];
  #forgottenTo: number;

  constructor(store: ObjectStore, eventsMax: number) {
    this.#store = store;
    this.#eventsMax = eventsMax;
    this.#forgottenTo = store.version;
    this.#stop = store.onChange((change) => this.#note(change));
  }

  get version(): number {
    return this.#store.version;
  }

  /** What happened up to this version is not known any more. */
  get forgottenTo(): number {
    return this.#forgottenTo;
  }

  /** Forgets what happened up to `version`, by default everything. */
  forget(version: number = this.version): void {
    this.#forgottenTo = Math.max(this.#forgottenTo, version);
    this.#events = this.#events.filter((event) => event.version > this.#forgottenTo);
  }

  /** Events of a kind after `version`, which must not be forgotten. */
  since(type: ResourceType, version: number): HistoryEvent[] {
    const key = kindKey(type.kind, type.group);
    return this.#events.slice(this.#firstAfter(version)).filter((event) => keyOfObject(event.object) === key);
  }

  /** Objects of a kind as they were at `version`, which must not be forgotten, by namespace and name. */
  at(type: ResourceType, version: number): KubeObject[] {
    const objects = new Map<string, KubeObject>();
    for (const object of this.#store.list(type.kind, undefined, type.group)) objects.set(pathOf(object), object);
    for (const { object, previous } of this.since(type, version).reverse()) {
      if (previous === null) objects.delete(pathOf(object));
      else objects.set(pathOf(object), previous);
    }
    // Separators sort before what names are made of, as in etcd's keys.
    return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Calls `listener` for every change of a kind from now on; the returned function ends that. */
  listen(type: ResourceType, listener: Listener): () => void {
    const key = kindKey(type.kind, type.group);
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Lets go of the store. */
  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  #note({ action, object, previous, version }: Change): void {
    const seen = action === 'deleted' ? withVersion(object, version) : object;
    const event = { version, action, object: seen, previous };
    this.#events.push(event);
    // In steps, so that dropping the oldest costs little per event.
    if (this.#events.length > this.#eventsMax * 1.25) {
      const dropped = this.#events.length - this.#eventsMax;
      this.#forgottenTo = this.#events[dropped - 1]?.version ?? this.#forgottenTo;
      this.#events = this.#events.slice(dropped);
    }
    for (const listener of this.#listeners.get(keyOfObject(object)) ?? []) listener(event);
  }

  #firstAfter(version: number): number {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle] as HistoryEvent).version <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function keyOfObject(object: KubeObject): string {
  return kindKey(object.kind, groupOf(object));
}

function pathOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function withVersion(object: KubeObject, version: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}
