// What a cluster's controllers do: a new namespace gets its default account; after a deletion dependents go after their
// owner, with it, or are let go of; a namespace ends with what is in it. A moment later, as there.
import type { KubeObject } from '../objects.ts';
import { groupOf } from '../objects.ts';
import type { Change, ObjectStore } from '../store.ts';
import { type FullMeta, metaOf, withMeta } from './metadata.ts';
import type { ResourceRegistry, ResourceType } from './resources.ts';
import { collectorFinalizers, type Writer } from './writer.ts';

export interface GarbageParts {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
  readonly writer: Writer;
}

type Owner = NonNullable<FullMeta['ownerReferences']>[number];

/** Collects until it is closed. */
export class GarbageCollector {
  readonly #parts: GarbageParts;
  readonly #stop: () => void;
  /** Deleted, and their dependents not yet looked at. */
  #gone: KubeObject[] = [];
  #fresh: string[] = [];
  /** Asked to end, and waiting for others. */
  readonly #ending = new Map<string, KubeObject>();
  /** By the uid of an owner, since clusters are large and deletions many. */
  readonly #dependents = new Map<string, Map<string, KubeObject>>();
  #isArmed = false;

  constructor(parts: GarbageParts) {
    this.#parts = parts;
    for (const type of this.#kinds()) {
      for (const object of parts.store.list(type.kind, undefined, type.group)) this.#index(object);
    }
    this.#stop = parts.store.onChange((change) => this.#note(change));
  }

  close(): void {
    this.#stop();
    this.#gone = [];
    this.#ending.clear();
  }

  #note({ action, object, previous }: Change): void {
    if (previous !== null) this.#unindex(previous);
    if (action !== 'deleted') this.#index(object);
    if (action === 'created' && isNamespace(object)) this.#fresh.push(object.metadata.name);
    const { uid = '', deletionTimestamp } = object.metadata;
    if (action === 'deleted') {
      this.#gone.push(object);
      this.#ending.delete(uid);
    } else if (deletionTimestamp !== undefined && isOurs(object)) this.#ending.set(uid, object);
    else if (this.#ending.size === 0 && this.#fresh.length === 0) return;
    this.#arm();
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    setImmediate(() => {
      this.#isArmed = false;
      this.#pass();
    });
  }

  #pass(): void {
    const { store } = this.#parts;
    for (const namespace of this.#fresh.splice(0)) {
      if (store.get('Namespace', '', namespace, '') === undefined) continue;
      if (store.get('ServiceAccount', namespace, 'default', '') !== undefined) continue;
      store.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } });
    }
    const gone = this.#gone;
    this.#gone = [];
    if (gone.length > 0) {
      const uids = new Set(gone.map(({ metadata }) => metadata.uid ?? ''));
      for (const dependent of this.#dependentsOf(uids)) this.#letGo(dependent, uids);
    }
    for (const object of [...this.#ending.values()]) {
      if (object.kind === 'Namespace') this.#endNamespace(object);
      else this.#endOwner(object);
    }
  }

  /** A dependent goes when no owner is left. */
  #letGo(dependent: KubeObject, gone: ReadonlySet<string>): void {
    const left = ownersOf(dependent).filter((owner) => !gone.has(owner.uid) && this.#isThere(owner, dependent));
    if (left.length === 0) this.#delete(dependent, 'Background');
    else this.#parts.store.put(withOwners(dependent, left));
  }

  #endOwner(object: KubeObject): void {
    const { uid = '', finalizers = [] } = metaOf(object);
    const dependents = this.#dependentsOf(new Set([uid]));
    if (finalizers.includes(collectorFinalizers.Orphan)) {
      for (const each of dependents) {
        this.#parts.store.put(
          withOwners(
            each,
            ownersOf(each).filter((owner) => owner.uid !== uid),
          ),
        );
      }
      this.#released(object, collectorFinalizers.Orphan);
      return;
    }
    if (!finalizers.includes(collectorFinalizers.Foreground)) return;
    const blocking = dependents.filter((each) =>
      ownersOf(each).some(
        (owner) => owner.uid === uid && (owner as { blockOwnerDeletion?: boolean }).blockOwnerDeletion,
      ),
    );
    if (blocking.length === 0) this.#released(object, collectorFinalizers.Foreground);
    else
      for (const each of dependents) {
        if (each.metadata.deletionTimestamp === undefined) this.#delete(each, 'Foreground');
      }
  }

  /** Takes a finalizer away, and the object with the last one. */
  #released(object: KubeObject, finalizer: string): void {
    this.#ending.delete(object.metadata.uid ?? '');
    const { finalizers = [], ...rest } = metaOf(object);
    const left = finalizers.filter((each) => each !== finalizer);
    this.#parts.store.put(withMeta(object, left.length === 0 ? rest : { ...rest, finalizers: left }));
    if (left.length === 0) this.#delete(object, 'Background');
  }

  #endNamespace(namespace: KubeObject): void {
    const { name } = namespace.metadata;
    let isEmpty = true;
    for (const type of this.#kinds()) {
      if (!type.namespaced) continue;
      for (const object of this.#parts.store.list(type.kind, name, type.group)) {
        if (object.metadata.deletionTimestamp === undefined) this.#delete(object, 'Background');
        isEmpty &&= this.#parts.store.get(type.kind, name, object.metadata.name, type.group) === undefined;
      }
    }
    if (!isEmpty) return;
    this.#ending.delete(namespace.metadata.uid ?? '');
    const { spec: _, ...released } = namespace;
    this.#parts.store.put({ ...released, spec: {} });
    this.#delete(namespace, 'Background');
  }

  #delete(object: KubeObject, propagationPolicy: 'Background' | 'Foreground'): void {
    const type = this.#parts.registry.byKind(groupOf(object), object.kind);
    if (type !== undefined) this.#parts.writer.deleteNow(type, object, { propagationPolicy });
  }

  #dependentsOf(uids: ReadonlySet<string>): KubeObject[] {
    return [...uids].flatMap((uid) => [...(this.#dependents.get(uid)?.values() ?? [])]);
  }

  #index(object: KubeObject): void {
    for (const { uid } of ownersOf(object)) {
      const own = this.#dependents.get(uid) ?? new Map<string, KubeObject>();
      this.#dependents.set(uid, own.set(object.metadata.uid ?? '', object));
    }
  }

  #unindex(object: KubeObject): void {
    for (const { uid } of ownersOf(object)) {
      const own = this.#dependents.get(uid);
      own?.delete(object.metadata.uid ?? '');
      if (own?.size === 0) this.#dependents.delete(uid);
    }
  }

  #isThere(owner: Owner, dependent: KubeObject): boolean {
    const namespace = dependent.metadata.namespace ?? '';
    const { store } = this.#parts;
    const found = store.get(owner.kind, namespace, owner.name) ?? store.get(owner.kind, '', owner.name);
    return found?.metadata.uid === owner.uid;
  }

  /** Every kind once, whatever its versions. */
  #kinds(): ResourceType[] {
    return [...new Map(this.#parts.registry.all().map((type) => [`${type.group}/${type.kind}`, type])).values()];
  }
}

function ownersOf(object: KubeObject): readonly Owner[] {
  return object.metadata.ownerReferences ?? [];
}

function withOwners(object: KubeObject, owners: readonly Owner[]): KubeObject {
  const { ownerReferences: _, ...rest } = metaOf(object);
  return withMeta(object, owners.length === 0 ? rest : { ...rest, ownerReferences: owners });
}

function isOurs(object: KubeObject): boolean {
  if (isNamespace(object)) return true;
  const { finalizers = [] } = metaOf(object);
  return finalizers.includes(collectorFinalizers.Foreground) || finalizers.includes(collectorFinalizers.Orphan);
}

function isNamespace(object: KubeObject): boolean {
  return object.kind === 'Namespace' && object.apiVersion === 'v1';
}
