// A mesh to ask "what if" of: resources compiled as the controller compiles them, the index that proxies look things up
// in, and the workloads that the ends of a recorded flow stand for.
import { MeshCompiler } from '../model/compiler.ts';
import { MeshIndex } from '../model/mesh-index.ts';
import { type Resource, type ResourceKind, resourceKey } from '../model/resources.ts';
import type { Workload } from '../model/types.ts';
import type { PeerView } from '../model/views.ts';

export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

const rootNamespaces = ['ambient-system', 'istio-system'];

/** Holds the resources of a mesh, and what they compile to. */
export class SimulatedMesh {
  readonly compiler: MeshCompiler;
  readonly index = new MeshIndex();
  readonly #trustDomain: string;
  readonly #resources = new Map<string, Resource>();
  #byName: Map<string, Workload> | null = null;
  #byOwner: Map<string, Workload> | null = null;
  #byAccount: Map<string, Workload> | null = null;

  constructor(resources: Iterable<Resource>, trustDomain = 'cluster.local') {
    this.#trustDomain = trustDomain;
    const clusterDomain = 'cluster.local';
    const options = { trustDomain, clusterDomain, clusterId: 'Kubernetes', rootNamespaces };
    // What a Gateway or a Deployment will make counts as made.
    this.compiler = new MeshCompiler({ ...options, expandTemplates: true });
    for (const resource of resources) this.#upsert(resource);
    this.compiler.flush();
    this.index.apply(this.compiler.snapshot());
  }

  /** The same mesh, to be changed. */
  copy(): SimulatedMesh {
    return new SimulatedMesh(this.#resources.values(), this.#trustDomain);
  }

  /** Applies objects, as `kubectl apply` would, and takes others away. */
  change(applied: readonly Resource[], deleted: readonly ObjectName[]): void {
    for (const { kind, namespace, name } of deleted) {
      this.#resources.delete(resourceKey({ kind, namespace, name }));
      this.compiler.delete(kind as ResourceKind, namespace, name);
    }
    for (const resource of applied) this.#upsert(withServerFields(resource, this.resource(resource)));
    this.index.apply(this.compiler.flush().update);
    this.#byName = this.#byOwner = this.#byAccount = null;
  }

  /** An object as it is here; null when there is none. */
  resource(object: ObjectName): Resource | null {
    return this.#resources.get(resourceKey(object)) ?? null;
  }

  resources(): Iterable<Resource> {
    return this.#resources.values();
  }

  /**
   * The workload that an end of a flow was: by its name, or, as pods come and go, another of the same owner or of the
   * same service account. Null when nothing is left of it, or nobody knew it.
   */
  workloadOf(end: PeerView): Workload | null {
    const { workload, namespace, identity } = end;
    if (workload === null || namespace === null) return null;
    this.#byName ??= this.#indexed((one) => `${one.namespace}/${one.name}`);
    const known = this.#byName.get(`${namespace}/${workload}`);
    if (known !== undefined) return known;
    this.#byOwner ??= this.#indexed((one) => `${one.namespace}/${one.workloadName}`);
    for (const owner of ownersOf(workload)) {
      const kin = this.#byOwner.get(`${namespace}/${owner}`);
      if (kin !== undefined) return kin;
    }
    const account = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(identity ?? '');
    if (account === null) return null;
    this.#byAccount ??= this.#indexed((one) => `${one.namespace}/${one.serviceAccount}`);
    return this.#byAccount.get(`${account[1]}/${account[2]}`) ?? null;
  }

  #upsert(resource: Resource): void {
    this.#resources.set(resourceKey(resource), resource);
    this.compiler.upsert(resource);
  }

  #indexed(key: (workload: Workload) => string): Map<string, Workload> {
    const map = new Map<string, Workload>();
    for (const workload of this.index.workloads()) {
      const at = key(workload);
      // A healthy one speaks for its kin.
      if (map.get(at)?.healthy !== true) map.set(at, workload);
    }
    return map;
  }
}

/** Names that the owner of a pod may have: `web-7d9f-abcde` is of `web-7d9f` or `web`. */
function ownersOf(pod: string): string[] {
  const words = pod.split('-');
  return [words.slice(0, -2).join('-'), words.slice(0, -1).join('-')].filter((name) => name !== '');
}

/** What the API server and controllers have filled in stays when a manifest is applied over it. */
function withServerFields(resource: Resource, known: Resource | null): Resource {
  if (known === null) return resource;
  const kept = {
    uid: resource.uid || known.uid,
    creationTimestamp: resource.creationTimestamp ?? known.creationTimestamp,
    owners: resource.owners.length > 0 ? resource.owners : known.owners,
  };
  if (resource.kind === 'Service' && known.kind === 'Service' && !resource.headless) {
    return {
      ...resource,
      ...kept,
      clusterIps: resource.clusterIps.length > 0 ? resource.clusterIps : known.clusterIps,
    };
  }
  if (resource.kind === 'Gateway' && known.kind === 'Gateway') {
    return { ...resource, ...kept, addresses: resource.addresses.length > 0 ? resource.addresses : known.addresses };
  }
  if (resource.kind === 'Pod' && known.kind === 'Pod' && !resource.hasStatus) {
    const { hasStatus, phase, addresses, ready } = known;
    const node = resource.spec.node || known.spec.node;
    return { ...resource, ...kept, hasStatus, phase, addresses, ready, spec: { ...resource.spec, node } };
  }
  return { ...resource, ...kept };
}
