// The lab's API server in small: every object by kind, namespace and name, and each one as a file that the controller
// watches.
//
//   manifests ─▶ apply ─▶ ObjectStore ─▶ one JSON file per object, moved into place whole
//   workloads, scheduler, kubelet, endpoints ─▶ put/remove ─▲
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { groupOf, type KubeObject, type Pod } from './objects.ts';

export type ChangeAction = 'created' | 'changed' | 'unchanged' | 'deleted';

/** A change that has happened: the object after it, or, for `deleted`, the last one before it. */
export interface Change {
  readonly action: Exclude<ChangeAction, 'unchanged'>;
  readonly object: KubeObject;
  readonly previous: KubeObject | null;
  /** The store's version from this change on. */
  readonly version: number;
}

export interface StoreOptions {
  /** Folder of the files, of all but Events, created if need be; null keeps objects in memory only. */
  readonly dir: string | null;
  readonly now: () => number;
}

/**
 * Objects by (group, kind), namespace and name. Listeners are called after each change, in order, and must not throw.
 */
export class ObjectStore {
  readonly #options: StoreOptions;
  readonly #byKind = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(change: Change) => void>();
  #version = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    if (options.dir !== null) {
      mkdirSync(options.dir, { recursive: true });
      mkdirSync(stagingDir(options.dir), { recursive: true });
    }
  }

  /** Counts changes; an object's `resourceVersion` is the one that it came with. */
  get version(): number {
    return this.#version;
  }

  /** Calls `listener` after every change; the returned function ends that. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get<T extends KubeObject = KubeObject>(kind: string, namespace: string, name: string, group?: string): T | undefined {
    for (const [key, objects] of this.#byKind) {
      if (!isKind(key, kind, group)) continue;
      const object = objects.get(`${namespace}/${name}`);
      if (object !== undefined) return object as T;
    }
    return undefined;
  }

  /** Objects of a kind, of every API group unless one is named, oldest first. */
  list<T extends KubeObject = KubeObject>(kind: string, namespace?: string, group?: string): T[] {
    const found: T[] = [];
    for (const [key, objects] of this.#byKind) {
      if (!isKind(key, kind, group)) continue;
      for (const object of objects.values()) {
        if (namespace === undefined || object.metadata.namespace === namespace) found.push(object as T);
      }
    }
    return found;
  }

  /** Every kind that has an object, as it is spelled. */
  kinds(): string[] {
    return [...this.#byKind].filter(([, objects]) => objects.size > 0).map(([key]) => key.split('.', 1)[0] as string);
  }

  /**
   * Creates or replaces. The store gives uid and creation time, and keeps both over a replacement; an object that says
   * nothing new changes nothing.
   */
  put(object: KubeObject): ChangeAction {
    const kindKey = keyOfKind(object);
    let objects = this.#byKind.get(kindKey);
    if (objects === undefined) {
      objects = new Map();
      this.#byKind.set(kindKey, objects);
    }
    const key = keyOf(object);
    const previous = objects.get(key) ?? null;
    const complete = this.#complete(object, previous);
    if (previous !== null && isDeepStrictEqual(withoutVersion(previous), withoutVersion(complete))) return 'unchanged';
    this.#version++;
    objects.set(key, complete);
    this.#write(complete);
    const action = previous === null ? 'created' : 'changed';
    this.#tell({ action, object: complete, previous, version: this.#version });
    return action;
  }

  /** Replaces the pod by what `change` makes of it, if it is still there (the same uid). */
  update(pod: Pod, change: (pod: Pod) => Pod): Pod | undefined {
    const current = this.get<Pod>('Pod', pod.metadata.namespace ?? '', pod.metadata.name, '');
    if (current === undefined || current.metadata.uid !== pod.metadata.uid) return undefined;
    this.put(change(current));
    return this.get<Pod>('Pod', pod.metadata.namespace ?? '', pod.metadata.name, '');
  }

  remove(object: KubeObject): ChangeAction {
    const objects = this.#byKind.get(keyOfKind(object));
    const previous = objects?.get(keyOf(object));
    if (objects === undefined || previous === undefined) return 'unchanged';
    objects.delete(keyOf(object));
    if (this.#options.dir !== null) rmSync(path.join(this.#options.dir, fileNameOf(previous)), { force: true });
    this.#version++;
    this.#tell({ action: 'deleted', object: previous, previous, version: this.#version });
    return 'deleted';
  }

  #complete(object: KubeObject, previous: KubeObject | null): KubeObject {
    const { metadata } = object;
    const kept = previous?.metadata;
    return {
      ...object,
      metadata: {
        ...metadata,
        uid: metadata.uid ?? kept?.uid ?? randomUUID(),
        creationTimestamp: metadata.creationTimestamp ?? kept?.creationTimestamp ?? rfc3339(this.#options.now()),
        resourceVersion: String(this.#version + 1),
        generation: generationOf(object, previous),
      },
    };
  }

  #write(object: KubeObject): void {
    const { dir } = this.#options;
    if (dir === null || object.kind === 'Event') return;
    const staged = path.join(stagingDir(dir), fileNameOf(object));
    writeFileSync(staged, JSON.stringify(object));
    renameSync(staged, path.join(dir, fileNameOf(object)));
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** Counts the versions of what an author wrote: neither metadata nor status. */
function generationOf(object: KubeObject, previous: KubeObject | null): number {
  const before = previous?.metadata.generation ?? 0;
  if (previous === null) return 1;
  const isSame = isDeepStrictEqual(writtenOf(object), writtenOf(previous));
  return isSame ? before : before + 1;
}

function writtenOf(object: KubeObject): object {
  const { metadata: _metadata, status: _status, ...written } = object as KubeObject & { readonly status?: unknown };
  return written;
}

/** The second's precision that Kubernetes writes. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

const fileNameMax = 240;

/**
 * The file of an object, a plain name: what could be a path is replaced, what is too long for a file name is hashed.
 */
export function fileNameOf(object: KubeObject): string {
  const { namespace = '', name } = object.metadata;
  const group = groupOf(object);
  const words = [object.kind, ...(group === '' ? [] : [group]), namespace === '' ? '_' : namespace, name];
  const plain = words.join('.').replaceAll(/[^\w.-]/g, '_');
  if (plain.length <= fileNameMax) return `${plain}.json`;
  return `${plain.slice(0, fileNameMax - 65)}.${createHash('sha256').update(plain).digest('hex')}.json`;
}

function stagingDir(dir: string): string {
  return `${dir}.staging`;
}

function keyOfKind(object: KubeObject): string {
  return `${object.kind}.${groupOf(object)}`;
}

function isKind(key: string, kind: string, group: string | undefined): boolean {
  return group === undefined ? key.startsWith(`${kind}.`) : key === `${kind}.${group}`;
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function withoutVersion(object: KubeObject): KubeObject {
  const { resourceVersion: _, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as KubeObject['metadata'] };
}
