// The resources of a cluster, kept up to date while they change. What an object says is read by the same readers as a
// manifest; one that cannot be read keeps what it said last, and is named until it is repaired.
import { EventEmitter } from 'node:events';
import { MeshError, messageOf } from '../base/errors.ts';
import { placeOf } from '../config/yaml.ts';
import { type Resource, type ResourceKind, resourceKey } from '../model/resources.ts';
import type { SourceView } from '../model/views.ts';
import type { ApiClient } from './api/api-client.ts';
import { fullName, rootPath, type WatchedKind, watchedKinds } from './api/kinds.ts';
import type { KubeObject } from './api/prune.ts';
import { type ObjectChange, Reflector, type ReflectorPhase, type ReflectorTimes } from './api/reflector.ts';
import { type Aside, ClusterAside } from './aside.ts';
import { readKubeObject, standInFor } from './kube-object.ts';
import type { SourceError } from './manifest-files.ts';
import type { MeshSource, SourceChange, SourceEvents } from './mesh-source.ts';

export interface KubeSourceOptions {
  readonly client: ApiClient;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly kinds?: readonly WatchedKind[];
  readonly times?: Partial<ReflectorTimes>;
}

/** An object that cannot be read any more, in another way than before, or again. */
export interface Reading {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Null when it can be read again. */
  readonly problem: string | null;
  /** What holds while it cannot be read: what it said last, or what stands in for it, or nothing. */
  readonly inForce: 'former' | 'strictest' | 'nothing';
}

export interface KubeSourceEvents extends SourceEvents {
  /** Not for what is found so by the first list: that was told when it came about. */
  reading: [Reading];
}

/** Events that come together are compiled together. */
const gatherMs = 10;
const notes: Readonly<Partial<Record<ReflectorPhase, string>>> = {
  waiting: 'is being listed for the first time',
  absent: 'is not defined in this cluster',
};
/** How long a kind that the mesh can do without is waited for when its list fails. */
const patienceMs = 30_000;

interface Followed {
  readonly reflector: Reflector;
  /** By `KIND/NAMESPACE/NAME`: the objects that cannot be read. */
  readonly broken: Map<string, SourceError>;
  /** The objects that the mesh knows, some of them as they were before they broke. */
  readonly told: Set<string>;
  /** Those of them that could be read once. */
  readonly read: Set<string>;
}

/** Every watched kind of one cluster. `changed` comes for the first time when all kinds are known. */
export class KubeSource extends EventEmitter<KubeSourceEvents> implements MeshSource {
  readonly #options: KubeSourceOptions;
  readonly #followed: readonly Followed[];
  readonly #synced = Promise.withResolvers<void>();
  readonly #upserts = new Map<string, Resource>();
  readonly #deletes = new Map<string, SourceChange['deletes'][number]>();
  #isSynced = false;
  #isTold = false;
  #isPatient = true;
  #gathering: NodeJS.Timeout | null = null;
  #patience: NodeJS.Timeout | null = null;
  #lastViews = '';
  #isClosed = false;

  constructor(options: KubeSourceOptions) {
    super();
    this.#options = options;
    const { client, random, kinds = watchedKinds, times = {} } = options;
    this.#followed = kinds.map((kind) => {
      const reflector = new Reflector({ client, kind, random, times });
      const followed = { reflector, broken: new Map(), told: new Set<string>(), read: new Set<string>() };
      reflector.on('changed', (change) => this.#take(followed, change));
      reflector.on('state', () => this.#look());
      return followed;
    });
  }

  /** Resolves after the first `changed`. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get isComplete(): boolean {
    return this.#isSynced;
  }

  /** What cannot be listed is never told as gone, so nothing has to be kept back later. */
  get isWithholding(): boolean {
    return false;
  }

  /** Begins to list and to watch; does not wait for the answers. */
  async start(): Promise<void> {
    for (const { reflector } of this.#followed) reflector.start();
    this.#patience = setTimeout(() => {
      this.#isPatient = false;
      this.#look();
    }, patienceMs);
  }

  /** One view of the cluster as a whole, and one per kind. */
  views(): readonly SourceView[] {
    const outage = this.#followed.find(({ reflector }) => reflector.state.isOutage)?.reflector.state.problem;
    const error = outage === undefined ? null : { file: 'kubernetes', line: 0, column: 0, message: outage };
    return [{ path: 'kubernetes', ok: error === null, error, ignored: [] }, ...this.#kindViews()];
  }

  #kindViews(): SourceView[] {
    return this.#followed.map(({ reflector, broken }) => {
      const path = `kubernetes/${fullName(reflector.kind)}`;
      const error = errorOf(reflector, broken, path);
      const note = error === null ? notes[reflector.state.phase] : undefined;
      return { path, ok: error === null, error, ignored: [], ...(note === undefined ? {} : { note }) };
    });
  }

  /** Where the API server has an object of a kind that could be listed; null for any other. */
  objectPlace(
    kind: string,
    namespace: string,
    name: string,
  ): { readonly path: string; readonly apiVersion: string } | null {
    const reflector = this.#followed.find((one) => one.reflector.kind.kind === kind)?.reflector;
    if (reflector?.state.phase !== 'synced') return null;
    const { kind: entry, version } = reflector;
    const apiVersion = entry.group === '' ? version : `${entry.group}/${version}`;
    return { path: `${rootPath(entry, version)}/namespaces/${namespace}/${entry.plural}/${name}`, apiVersion };
  }

  followAside(changed: () => void): Aside {
    const { client, random, times = {} } = this.#options;
    return new ClusterAside({ client, random, times, changed });
  }

  /** Ends all lists and watches; the client stays open. Idempotent. */
  close(): void {
    this.#isClosed = true;
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    if (this.#patience !== null) clearTimeout(this.#patience);
    for (const { reflector } of this.#followed) void reflector.close();
  }

  #take(followed: Followed, { upserts, deletes }: ObjectChange): void {
    const kind = followed.reflector.kind.kind as ResourceKind;
    for (const { namespace, name } of deletes) {
      const key = resourceKey({ kind, namespace, name });
      followed.broken.delete(key);
      followed.read.delete(key);
      this.#upserts.delete(key);
      if (followed.told.delete(key)) this.#deletes.set(key, { kind, namespace, name });
    }
    for (const object of upserts) this.#read(followed, kind, object);
    this.#look();
    if (this.#isSynced) this.#gathering ??= setTimeout(() => this.#tell(), gatherMs);
  }

  #read(followed: Followed, kind: ResourceKind, object: KubeObject): void {
    const { namespace = '', name } = object.metadata;
    const key = resourceKey({ kind, namespace, name });
    const before = followed.broken.get(key)?.message ?? null;
    const wasRead = followed.read.has(key);
    let resource: Resource | null;
    try {
      resource = readKubeObject(object);
      followed.broken.delete(key);
      followed.read.add(key);
    } catch (error) {
      followed.broken.set(key, sourceError(error, `${kind} ${namespace}/${name}`));
      // What it said last stays in force; where it never said anything, whatever is the strictest.
      resource = wasRead ? null : standInFor(object);
    }
    const problem = followed.broken.get(key)?.message ?? null;
    if (problem !== before && this.#isSynced) {
      const inForce = wasRead ? 'former' : resource === null ? 'nothing' : 'strictest';
      const { apiVersion = '', metadata } = object;
      this.emit('reading', { apiVersion, kind, namespace, name, uid: metadata.uid ?? '', problem, inForce });
    }
    if (resource === null) return;
    followed.told.add(key);
    this.#deletes.delete(key);
    this.#upserts.set(key, resource);
  }

  #tell(): void {
    this.#gathering = null;
    const isFirst = !this.#isTold;
    this.#isTold = true;
    if (this.#isClosed || (!isFirst && this.#upserts.size === 0 && this.#deletes.size === 0)) return;
    const change = { upserts: [...this.#upserts.values()], deletes: [...this.#deletes.values()] };
    this.#upserts.clear();
    this.#deletes.clear();
    this.emit('changed', change);
  }

  /** Tells the first change when it is time, and that the views are others. */
  #look(): void {
    if (this.#isClosed) return;
    if (!this.#isSynced && this.#followed.every(({ reflector }) => this.#isKnown(reflector))) {
      this.#isSynced = true;
      this.#tell();
      this.#synced.resolve();
    }
    const views = JSON.stringify(this.views());
    if (views === this.#lastViews) return;
    this.#lastViews = views;
    this.emit('status');
  }

  /** True when the mesh need not wait for a kind any more. */
  #isKnown({ kind, state: { phase, problem } }: Reflector): boolean {
    if (phase === 'synced' || phase === 'absent') return true;
    return kind.needed === 'ifAllowed' && (phase === 'refused' || (problem !== '' && !this.#isPatient));
  }
}

function errorOf(reflector: Reflector, broken: ReadonlyMap<string, SourceError>, path: string): SourceError | null {
  const { problem, isOutage } = reflector.state;
  if (problem !== '' && !isOutage) return { file: path, line: 0, column: 0, message: problem };
  const [first] = broken.values();
  if (first === undefined || broken.size === 1) return first ?? null;
  return { ...first, message: `${first.message} (and ${broken.size - 1} more that cannot be read)` };
}

function sourceError(error: unknown, title: string): SourceError {
  const place = placeOf(error) ?? { file: title, line: 0, column: 0 };
  const reason = MeshError.from(error).details['reason'];
  return { ...place, message: typeof reason === 'string' ? reason : messageOf(error) };
}
