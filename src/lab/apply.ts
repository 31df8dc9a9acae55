// What `apply` and `delete` do to the lab's objects: all of it or nothing, kind by kind as an API server would.
import { placedError } from '../config/yaml.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { ApplyResult } from './control-types.ts';
import type { PlacedObject } from './manifests.ts';
import { groupOf, type KubeObject, type Pod, type ServiceObject } from './objects.ts';
import { podFromManifest, terminated } from './pods.ts';
import type { ServiceAllocator } from './services.ts';
import type { ChangeAction, ObjectStore } from './store.ts';

type Applied = ApplyResult['applied'][number];

export interface ApplierOptions {
  readonly store: ObjectStore;
  readonly services: ServiceAllocator;
  readonly now: () => number;
}

/** Writes manifests into the store. */
export class Applier {
  readonly #options: ApplierOptions;
  readonly #store: ObjectStore;
  /** Bare pods whose manifest changed: the new one comes when the old one has gone. */
  readonly #replacements = new Map<string, KubeObject>();
  /** Each bare pod's manifest as it was applied, to see whether it changed. */
  readonly #podManifests = new Map<string, string>();

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#store.onChange(({ action, object }) => {
      if (action === 'deleted' && object.kind === 'Pod') this.#replace(object);
    });
  }

  /** Applies objects that have been found good. */
  apply(objects: readonly PlacedObject[]): Applied[] {
    const inOrder = [...objects].sort((a, b) => rank(a.object) - rank(b.object));
    return inOrder.map(({ object }) => this.#applyOne(object));
  }

  /** Deletes what is there of these; what is not there is left out. */
  delete(objects: readonly KubeObject[]): Applied[] {
    const inOrder = [...objects].sort((a, b) => rank(b) - rank(a));
    return inOrder.flatMap((object) => this.#deleteOne(object));
  }

  #applyOne(manifest: KubeObject): Applied {
    const namespace = manifest.metadata.namespace ?? '';
    if (namespace !== '') this.ensureNamespace(namespace);
    const { status: _, ...object } = manifest as KubeObject & { status?: unknown };
    if (manifest.kind === 'Pod') return applied(manifest, this.#applyPod(manifest));
    if (manifest.kind === 'Namespace') return applied(manifest, this.#applyNamespace(object));
    if (manifest.kind === 'Service' && manifest.apiVersion === 'v1') {
      const previous = this.#store.get<ServiceObject>('Service', namespace, manifest.metadata.name, '');
      return applied(manifest, this.#store.put(this.#options.services.allocate(object as ServiceObject, previous)));
    }
    if (manifest.kind === 'Node') {
      const { metadata } = manifest;
      const present = this.#store.get('Node', '', metadata.name, '');
      const labels = { ...metadata.labels, 'kubernetes.io/hostname': metadata.name };
      return applied(
        manifest,
        this.#store.put({
          ...present,
          ...object,
          status: present?.status,
          metadata: { ...metadata, labels },
        } as KubeObject),
      );
    }
    // The status is not the author's to take away.
    const { status } = this.#store.get(manifest.kind, namespace, manifest.metadata.name, groupOf(manifest)) ?? {};
    return applied(manifest, this.#store.put(status === undefined ? object : { ...object, status }));
  }

  /** A namespace that something lives in is there, with its default account. */
  ensureNamespace(name: string): void {
    if (this.#store.get('Namespace', '', name, '') !== undefined) return;
    this.#applyNamespace({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }

  #applyNamespace(object: KubeObject): ChangeAction {
    const { name, labels } = object.metadata;
    const action = this.#store.put({
      ...object,
      metadata: { ...object.metadata, labels: { ...labels, 'kubernetes.io/metadata.name': name } },
    });
    if (this.#store.get('ServiceAccount', name, 'default', '') === undefined) {
      this.#store.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } });
    }
    return action;
  }

  #applyPod(manifest: KubeObject): ChangeAction {
    const key = podKey(manifest);
    const text = JSON.stringify([manifest.metadata, manifest.spec]);
    const present = this.#store.get<Pod>('Pod', manifest.metadata.namespace ?? '', manifest.metadata.name, '');
    if (present === undefined) {
      this.#podManifests.set(key, text);
      return this.#store.put(podFromManifest(manifest));
    }
    if (this.#podManifests.get(key) === text && !this.#replacements.has(key)) return 'unchanged';
    this.#podManifests.set(key, text);
    if (isSameSpec(present, manifest)) {
      this.#store.update(present, (pod) => ({ ...pod, metadata: { ...pod.metadata, ...manifest.metadata } }));
      return 'changed';
    }
    this.#replacements.set(key, manifest);
    this.#store.update(present, (pod) => terminated(pod, this.#options.now()));
    return 'changed';
  }

  #replace(gone: KubeObject): void {
    const key = podKey(gone);
    const manifest = this.#replacements.get(key);
    this.#replacements.delete(key);
    if (manifest !== undefined) this.#store.put(podFromManifest(manifest));
    else this.#podManifests.delete(key);
  }

  #deleteOne(manifest: KubeObject): Applied[] {
    const { kind, metadata } = manifest;
    const present = this.#store.get(kind, metadata.namespace ?? '', metadata.name, groupOf(manifest));
    if (present === undefined) return [];
    if (kind === 'Pod') {
      this.#replacements.delete(podKey(manifest));
      this.#store.update(present as Pod, (pod) => terminated(pod, this.#options.now()));
      return [applied(manifest, 'deleted')];
    }
    if (kind === 'Service') this.#options.services.release(present as ServiceObject);
    const inside = kind === 'Namespace' ? this.#everythingIn(metadata.name) : [];
    this.#store.remove(present);
    return [applied(manifest, 'deleted'), ...this.delete(inside)];
  }

  #everythingIn(namespace: string): KubeObject[] {
    return [...new Set(this.#store.kinds())].flatMap((kind) => this.#store.list(kind, namespace));
  }
}

/** What may not be done at run time, as findings. */
export function refusals(objects: readonly PlacedObject[], store: ObjectStore): ResourceIssue[] {
  return objects.flatMap(({ object, place }) => {
    if (object.kind !== 'Node' || store.get('Node', '', object.metadata.name, '') !== undefined) return [];
    const message = `node ${object.metadata.name} is not part of this lab`;
    const fix = 'nodes are made when the lab starts: end it and start it with this manifest';
    return [
      {
        code: 'AMB0003',
        severity: 'error',
        kind: 'Node',
        namespace: '',
        name: object.metadata.name,
        message,
        fix,
        place,
        field: '',
      },
    ];
  });
}

/** Throws `CONFIG_INVALID` for two manifests of one object, which cannot both be meant. */
export function refuseDuplicates(objects: readonly PlacedObject[]): void {
  const seen = new Set<string>();
  for (const { object, place } of objects) {
    const key = `${groupOf(object)}/${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    if (seen.has(key) && place !== null)
      throw placedError('CONFIG_INVALID', place, `${object.kind} ${object.metadata.name} stands here a second time`);
    seen.add(key);
  }
}

function applied(object: KubeObject, action: ChangeAction): Applied {
  return { kind: object.kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name, action };
}

/** What others stand on comes first: namespaces, then configuration and accounts, then services, then what runs. */
function rank(object: KubeObject): number {
  const order = [
    'Namespace',
    'Node',
    'ServiceAccount',
    'ConfigMap',
    'Secret',
    'PeerAuthentication',
    'AuthorizationPolicy',
    'Service',
    'EndpointSlice',
  ];
  const index = order.indexOf(object.kind);
  return index < 0 ? order.length : index;
}

function podKey(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function isSameSpec(pod: Pod, manifest: KubeObject): boolean {
  const { nodeName: _, ...running } = pod.spec;
  const { nodeName: __, ...wanted } = podFromManifest(manifest).spec;
  return JSON.stringify(running) === JSON.stringify(wanted);
}
