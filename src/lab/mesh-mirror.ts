// The mesh as the lab's own objects say it should be: what a manifest is checked against before it is applied, and
// what the controller must have compiled before the lab calls anything in step.
import { isDeepStrictEqual } from 'node:util';
import { readManifests } from '../kube/manifests.ts';
import { MeshCompiler } from '../model/compiler.ts';
import type { Resource, ResourceKind } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { MeshView } from '../model/views.ts';
import type { KubeObject } from './objects.ts';
import { type ShownStatus, StatusKeeper } from './status-keeper.ts';
import { type Change, type ObjectStore, rfc3339 } from './store.ts';

export interface MirrorOptions {
  readonly store: ObjectStore;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly rootNamespaces: readonly string[];
  readonly now: () => number;
}

/** Follows a store. Compiles when asked, and then only what changed. */
export class MeshMirror {
  readonly #options: MirrorOptions;
  readonly #compiler: MeshCompiler;
  /** By store key: the object as it is now, null when it went. */
  readonly #changed = new Map<string, { object: KubeObject; deleted: boolean }>();
  #enrolled = new Map<string, boolean>();
  readonly #statuses = new StatusKeeper();

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#compiler = this.#newCompiler();
    options.store.onChange((change) => this.#note(change));
  }

  /** The mesh of the objects as they are now. */
  mesh(): MeshView {
    this.#catchUp();
    return this.#compiler.mesh();
  }

  /** Findings about `resources` if they were applied now, those of other objects left out. */
  check(resources: readonly Resource[]): readonly ResourceIssue[] {
    const trial = this.#newCompiler();
    const { store } = this.#options;
    for (const kind of new Set(store.kinds())) for (const object of store.list(kind)) upsert(trial, object);
    for (const resource of resources) trial.upsert(resource);
    trial.flush();
    const own = new Set(resources.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`));
    return trial.issues().filter((issue) => own.has(`${issue.kind}/${issue.namespace}/${issue.name}`));
  }

  /** True when the mesh carries this pod's traffic. */
  isEnrolled(namespace: string, name: string): boolean {
    this.#catchUp();
    return this.#enrolled.get(`${namespace}/${name}`) ?? false;
  }

  /** The conditions of an object as it is now; null for one that carries none. */
  statusOf(kind: string, namespace: string, name: string): ShownStatus | null {
    this.#catchUp();
    return this.#statuses.statusOf(kind, namespace, name);
  }

  /** True when another's mesh is this one. */
  agreesWith(other: MeshView): boolean {
    const own = this.mesh();
    return isDeepStrictEqual(indexed(own), indexed(other));
  }

  #note({ action, object }: Change): void {
    const key = `${object.kind}/${object.apiVersion}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    this.#changed.set(key, { object, deleted: action === 'deleted' });
  }

  #catchUp(): void {
    if (this.#changed.size === 0) return;
    for (const { object, deleted } of this.#changed.values()) {
      const { namespace = '', name } = object.metadata;
      if (deleted) this.#compiler.delete(object.kind as ResourceKind, namespace, name);
      else upsert(this.#compiler, object);
    }
    this.#changed.clear();
    this.#compiler.flush();
    this.#statuses.update(this.#compiler.statuses(), rfc3339(this.#options.now()));
    const { workloads } = this.#compiler.mesh();
    this.#enrolled = new Map(
      workloads.map((workload) => [`${workload.namespace}/${workload.name}`, workload.tunnelProtocol === 'HBONE']),
    );
  }

  #newCompiler(): MeshCompiler {
    const { trustDomain, clusterId, clusterDomain, rootNamespaces } = this.#options;
    return new MeshCompiler({ trustDomain, clusterId, clusterDomain, rootNamespaces, expandTemplates: false });
  }
}

/** An object that the mesh does not read changes nothing. */
function upsert(compiler: MeshCompiler, object: KubeObject): void {
  const { resources } = readManifests([
    { file: `${object.kind} ${object.metadata.name}`, text: JSON.stringify(object) },
  ]);
  for (const resource of resources) compiler.upsert(resource);
}

/** By name, and without the order of lists that have none. */
function indexed(mesh: MeshView): unknown {
  const plain = JSON.parse(JSON.stringify(mesh)) as MeshView;
  return {
    workloads: new Map(plain.workloads.map((each) => [each.uid, sorted(each)])),
    services: new Map(plain.services.map((each) => [`${each.namespace}/${each.hostname}`, sorted(each)])),
    policies: new Map(plain.policies.map((each) => [`${each.namespace}/${each.name}`, sorted(each)])),
    routes: new Map((plain.routes ?? []).map((each) => [each.service, sorted(each)])),
  };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => JSON.stringify(sorted(each))).sort();
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      // The same object was read from another file.
      .filter(([key]) => key !== 'place')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
