// What of a cluster stands around an API server and is not the same everywhere: who gives services their addresses,
// what may be created, what objects look like. The lab has its own; tests take `defaultRules`.
import type { KubeObject, ServiceObject } from '../objects.ts';
import { podFromManifest } from '../pods.ts';
import { ServiceAllocator } from '../services.ts';

/** Every method may throw an `ApiFailure`. */
export interface ClusterRules {
  /** The object as it is to be stored, given what an author wrote; `previous` is null for a new one. */
  complete(object: KubeObject, previous: KubeObject | null): KubeObject;
  /** Refuses what may not be there. Called after everything else, with what would be stored. */
  check(object: KubeObject, previous: KubeObject | null): void;
  /** True for an object that somebody runs, who takes it away when it is asked to end, however soon. */
  isHeld(object: KubeObject): boolean;
  /** After an object has gone. */
  removed(object: KubeObject): void;
  /** The object as callers see it. */
  shown(object: KubeObject): KubeObject;
}

/** A cluster without nodes of its own: services get addresses, pods wait for somebody to say how they are. */
export function defaultRules(services: ServiceAllocator = new ServiceAllocator()): ClusterRules {
  return {
    complete: (object, previous) => completed(object, previous, services),
    check: () => {},
    isHeld: () => false,
    removed: (object) => {
      if (object.kind === 'Service') services.release(object as ServiceObject);
    },
    shown: (object) => object,
  };
}

function completed(object: KubeObject, previous: KubeObject | null, services: ServiceAllocator): KubeObject {
  const { apiVersion, kind } = object;
  if (apiVersion === 'v1' && kind === 'Pod') return previous === null ? newPod(object) : object;
  if (apiVersion === 'v1' && kind === 'Service') return completeService(object, previous, services);
  if (apiVersion === 'v1' && kind === 'Namespace') return completeNamespace(object, previous);
  if (apiVersion === 'v1' && kind === 'Secret') return completeSecret(object);
  if (apiVersion === 'apps/v1' && (kind === 'Deployment' || kind === 'StatefulSet' || kind === 'ReplicaSet')) {
    return { ...object, spec: { replicas: 1, ...(object.spec as object) }, status: object.status ?? {} };
  }
  return object;
}

function newPod(object: KubeObject): KubeObject {
  const { metadata, ...pod } = podFromManifest(object);
  const spec = {
    schedulerName: 'default-scheduler',
    enableServiceLinks: true,
    securityContext: {},
    ...pod.spec,
    serviceAccount: pod.spec.serviceAccountName,
  };
  return { ...pod, metadata, spec, status: { phase: 'Pending', conditions: [] } } as KubeObject;
}

function completeService(object: KubeObject, previous: KubeObject | null, services: ServiceAllocator): KubeObject {
  const service = services.allocate(object as ServiceObject, (previous as ServiceObject | null) ?? undefined);
  const type = service.spec.type ?? 'ClusterIP';
  const shared = { sessionAffinity: 'None', type };
  const isLocal = type !== 'ExternalName';
  const rest = isLocal ? { internalTrafficPolicy: 'Cluster', ipFamilyPolicy: 'SingleStack' } : {};
  return { ...service, spec: { ...shared, ...rest, ...service.spec }, status: service.status ?? { loadBalancer: {} } };
}

function completeNamespace(object: KubeObject, previous: KubeObject | null): KubeObject {
  const { name, labels } = object.metadata;
  const held = previous === null ? { finalizers: ['kubernetes'] } : {};
  return {
    ...object,
    metadata: { ...object.metadata, labels: { ...labels, 'kubernetes.io/metadata.name': name } },
    spec: { ...held, ...(object.spec as object | undefined) },
    status: object.status ?? { phase: 'Active' },
  };
}

function completeSecret(object: KubeObject): KubeObject {
  const { stringData, ...secret } = object as KubeObject & {
    readonly stringData?: Readonly<Record<string, string>>;
    readonly data?: Readonly<Record<string, string>>;
    readonly type?: string;
  };
  const added = Object.entries(stringData ?? {}).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  const data = added.length === 0 ? {} : { data: { ...secret.data, ...Object.fromEntries(added) } };
  const type = secret.type ?? 'Opaque';
  const whole = { ...secret, ...data, type };
  return whole;
}
