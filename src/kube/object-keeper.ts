// Keeps objects in the cluster as they are wanted, by server-side apply under our field manager: made when they are
// missing, healed when somebody edits them away, deleted when their owner does not want them any more. What bears a
// name and is not ours is left alone, and said.
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { resourceKey } from '../model/resources.ts';
import type { ApiClient } from './api/api-client.ts';
import { failureOf } from './api/api-error.ts';
import type { KubeObject } from './api/prune.ts';
import { apiVersionOf, pathOfWritten, type WrittenKind } from './api/written-kinds.ts';
import { digestOfContent, isCovered, isSealedAs, sealed } from './in-order.ts';
import { fieldManager } from './status-writer.ts';
import { controllerUidOf, managedLabels, type WrittenObjects } from './written-objects.ts';

/** An object as it is to stand in the cluster. */
export interface WantedObject {
  readonly kind: WrittenKind;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly object[];
  };
  readonly [field: string]: unknown;
}

/** The object that a set is made for, and where it is. */
export interface SetOwner {
  readonly uid: string;
  readonly path: string;
}

/** Objects that are made together, or not at all. */
export interface ObjectSet {
  readonly id: string;
  /** In the order in which they are made. */
  readonly objects: readonly WantedObject[];
  /** May an object that stands there already be written? */
  readonly isOurs: (there: KubeObject) => boolean;
  /** What this owner controls and is not in `objects` is deleted; null for none. */
  readonly owner: SetOwner | null;
  /** Keys of further objects that are deleted. */
  readonly extra?: readonly string[];
}

export interface SetProblem {
  /** `taken`: somebody else's object has the name. `failed`: the API server did not do it. */
  readonly what: 'taken' | 'failed';
  readonly message: string;
}

export interface ObjectKeeperOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly there: WrittenObjects;
  /** Called when the problem of a set is another one; null when it has none any more. */
  readonly problem: (id: string, problem: SetProblem | null) => void;
}

const atOnceMax = 4;
/** Also for what is somebody else's: that has no label of ours, so nobody tells when it goes. */
const retryMs = 5_000;

/** Writes while it is on; everything is looked at again when it is switched on again. */
export class ObjectKeeper {
  readonly #options: ObjectKeeperOptions;
  readonly #sets = new Map<string, PreparedSet>();
  /** What was last settled, as a text, by set. */
  readonly #settled = new Map<string, string>();
  /** Which set wants an object, and whose objects are whose. */
  readonly #setOfKey = new Map<string, string>();
  readonly #setOfOwner = new Map<string, string>();
  /** Digests of objects as the API server answered our apply: it may write values in another way than we do. */
  readonly #answered = new Map<string, string>();
  readonly #problems = new Map<string, SetProblem>();
  readonly #queue = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, () => void>();
  #isOn = false;

  constructor(options: ObjectKeeperOptions) {
    this.#options = options;
    options.there.on('changed', (keys) => this.#look(keys));
  }

  /** All sets that there shall be. What belonged to a set that is not named any more is let be. */
  want(sets: readonly ObjectSet[]): void {
    const before = new Map(this.#sets);
    this.#sets.clear();
    this.#setOfKey.clear();
    this.#setOfOwner.clear();
    for (const set of sets) {
      const known = before.get(set.id);
      const prepared = known?.set === set ? known : preparedSet(set);
      this.#sets.set(set.id, prepared);
      for (const object of prepared.objects) this.#setOfKey.set(keyOf(object), set.id);
      if (set.owner !== null) this.#setOfOwner.set(set.owner.uid, set.id);
      before.delete(set.id);
      if (this.#settled.get(set.id) !== prepared.text) this.#queue.add(set.id);
    }
    for (const id of before.keys()) this.#forget(id);
    this.#work();
  }

  /** Begins to write what differs, or stops. */
  switch(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    if (!isOn) {
      for (const cancel of this.#retries.values()) cancel();
      this.#retries.clear();
      return;
    }
    this.#settled.clear();
    for (const id of this.#sets.keys()) this.#queue.add(id);
    this.#work();
  }

  /** Why a set is not as it should be; null when nothing is known against it. */
  problemOf(id: string): SetProblem | null {
    return this.#problems.get(id) ?? null;
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.switch(false);
    await Promise.all(this.#running.values());
  }

  #forget(id: string): void {
    this.#settled.delete(id);
    this.#queue.delete(id);
    this.#retries.get(id)?.();
    this.#retries.delete(id);
    this.#tell(id, null);
  }

  /** Something has changed in the cluster: whose it is and no longer in order is looked at. */
  #look(keys: readonly string[]): void {
    for (const key of keys) {
      const object = this.#options.there.get(key);
      const id = this.#setOfKey.get(key) ?? this.#setOfOwner.get(controllerUidOf(object) ?? '');
      const wanted = id === undefined ? undefined : this.#sets.get(id)?.objects.find((one) => keyOf(one) === key);
      const isFine = object !== undefined && wanted !== undefined && this.#isInOrder(wanted, object);
      if (id !== undefined && (!isFine || this.#problems.has(id))) this.#queue.add(id);
    }
    this.#work();
  }

  #work(): void {
    for (const id of this.#queue) {
      if (!this.#isOn || this.#running.size >= atOnceMax) return;
      // Once more when it is through.
      if (this.#running.has(id)) continue;
      this.#queue.delete(id);
      const job = this.#settle(id).finally(() => {
        this.#running.delete(id);
        this.#work();
      });
      this.#running.set(id, job);
    }
  }

  async #settle(id: string): Promise<void> {
    const prepared = this.#sets.get(id);
    if (prepared === undefined) return;
    this.#retries.get(id)?.();
    this.#retries.delete(id);
    let problem: SetProblem | null;
    try {
      problem = await this.#make(prepared);
    } catch (error) {
      problem = { what: 'failed', message: messageOf(error) };
    }
    if (this.#sets.get(id)?.text !== prepared.text) {
      // It is wanted in another way by now.
      if (this.#sets.has(id)) this.#queue.add(id);
      return;
    }
    this.#tell(id, problem);
    if (problem === null) this.#settled.set(id, prepared.text);
    else this.#later(id);
  }

  /** Null when everything stands there; throws what the client throws for what cannot be looked at. */
  async #make({ set, objects }: PreparedSet): Promise<SetProblem | null> {
    // What goes with its owner must not be made again before we hear of that.
    if (set.owner !== null && !(await this.#isThere(set.owner))) return null;
    const found: (readonly [wanted: WantedObject, there: KubeObject | null])[] = [];
    for (const object of objects) found.push([object, await this.#find(object)]);
    const foreign = found.find(([, there]) => there !== null && !set.isOurs(there));
    // All or nothing: a program must not run under an account that is somebody else's.
    if (foreign !== undefined) {
      const message = `${titleOf(foreign[0])} is there already and belongs to somebody else: it is left alone`;
      return { what: 'taken', message };
    }
    let problem: SetProblem | null = null;
    const attempt = async (job: () => Promise<void>): Promise<void> => {
      if (!this.#isOn) return;
      try {
        await job();
      } catch (error) {
        problem ??= { what: 'failed', message: messageOf(error) };
      }
    };
    for (const [wanted, there] of found) {
      if (there === null || !this.#isInOrder(wanted, there)) await attempt(() => this.#apply(wanted, there));
    }
    const keys = new Set(objects.map(keyOf));
    const owned = set.owner === null ? [] : this.#options.there.ofOwner(set.owner.uid);
    for (const key of [...owned, ...(set.extra ?? [])]) {
      if (!keys.has(key)) await attempt(() => this.#delete(key));
    }
    return problem;
  }

  async #isThere({ uid, path }: SetOwner): Promise<boolean> {
    const object = (await this.#ask(path)) ?? { metadata: { name: '' } };
    return object.metadata.uid === uid && object.metadata['deletionTimestamp'] === undefined;
  }

  /** As it stands in the cluster; null when it does not. */
  async #find({ kind, metadata }: WantedObject): Promise<KubeObject | null> {
    const { namespace = '', name } = metadata;
    const known = this.#options.there.get(resourceKey({ kind, namespace, name }));
    if (known !== undefined) return known;
    // One without our label is not known, and there all the same.
    return this.#ask(pathOfWritten(kind, namespace, name));
  }

  async #ask(path: string): Promise<KubeObject | null> {
    return (await this.#options.client.json({ path }).catch((error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    })) as KubeObject | null;
  }

  async #apply(wanted: WantedObject, there: KubeObject | null): Promise<void> {
    const { kind, metadata } = wanted;
    const path = pathOfWritten(kind, metadata.namespace ?? '', metadata.name);
    // Another one that took its place in between makes this one fail.
    const uid = there?.metadata.uid;
    const body = { ...wanted, metadata: { ...metadata, ...(uid === undefined ? {} : { uid }) } };
    const query = { fieldManager, force: 'true' };
    const contentType = 'application/apply-patch+yaml';
    const answer = await this.#options.client.json({ method: 'PATCH', path, query, contentType, body });
    this.#answered.set(keyOf(wanted), digestOfContent(answer as KubeObject));
  }

  async #delete(key: string): Promise<void> {
    const object = this.#options.there.get(key);
    const { uid, name, namespace = '', deletionTimestamp } = object?.metadata ?? { name: '' };
    if (object === undefined || deletionTimestamp !== undefined) return;
    const kind = object.kind as WrittenKind;
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid }, propagationPolicy: 'Background' };
    const path = pathOfWritten(kind, namespace, name);
    await this.#options.client.json({ method: 'DELETE', path, body }).catch((error: unknown) => {
      if (failureOf(error)?.status !== 404) throw error;
    });
  }

  #isInOrder(wanted: WantedObject, there: KubeObject): boolean {
    if (there.metadata['deletionTimestamp'] !== undefined) return false;
    if (isCovered(wanted, there)) return true;
    return isSealedAs(wanted, there) && this.#answered.get(keyOf(wanted)) === digestOfContent(there);
  }

  #later(id: string): void {
    const cancel = this.#options.clock.after(retryMs, () => {
      this.#retries.delete(id);
      this.#queue.add(id);
      this.#work();
    });
    this.#retries.set(id, cancel);
  }

  #tell(id: string, problem: SetProblem | null): void {
    if (JSON.stringify(this.#problems.get(id) ?? null) === JSON.stringify(problem)) return;
    if (problem === null) this.#problems.delete(id);
    else this.#problems.set(id, problem);
    this.#options.problem(id, problem);
  }
}

interface PreparedSet {
  readonly set: ObjectSet;
  readonly objects: readonly WantedObject[];
  /** Of all that is wanted, to compare with. */
  readonly text: string;
}

function preparedSet(set: ObjectSet): PreparedSet {
  const objects = set.objects.map(prepared);
  return { set, objects, text: JSON.stringify([objects, set.owner, set.extra ?? []]) };
}

/** With our label, by which it is found again, and the digest of all that is said. */
function prepared(object: WantedObject): WantedObject {
  const { kind, metadata } = object;
  const labels = { ...metadata.labels, ...managedLabels };
  return sealed({ ...object, apiVersion: apiVersionOf(kind), metadata: { ...metadata, labels } });
}

function keyOf({ kind, metadata: { namespace = '', name } }: WantedObject): string {
  return resourceKey({ kind, namespace, name });
}

function titleOf({ kind, metadata: { namespace, name } }: WantedObject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
