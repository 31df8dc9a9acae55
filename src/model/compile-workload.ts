// Pod → workload. A template without pods stands as a pod too, offline; both come here as a `PodView`.
import { isEnrolled } from './enrolment.ts';
import type {
  EndpointSliceResource,
  Labels,
  NodeResource,
  OwnerReference,
  PodResource,
  PodSpec,
  TemplateResource,
} from './resources.ts';
import type { Locality, NamespacedKey, PortMapping, SpiffeId, WaypointAddress, Workload } from './types.ts';

/** What the compiler needs of anything that runs as a pod. */
export interface PodView {
  /** Unique among views: `NAMESPACE/NAME`, with the kind in it for a template. */
  readonly id: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly spec: PodSpec;
  readonly addresses: readonly string[];
  readonly healthy: boolean;
  readonly owner: Owner;
}

export interface Owner {
  readonly kind: string;
  readonly name: string;
}

/** Everything around a pod that its workload depends on. */
export interface WorkloadContext {
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly systemNamespace: string;
  readonly namespaceLabels: Labels;
  readonly node: NodeResource | null;
  readonly policies: readonly NamespacedKey[];
  readonly services: Readonly<Record<NamespacedKey, readonly PortMapping[]>>;
  readonly waypoint: WaypointAddress | null;
  /** It is a waypoint, which speaks the tunnel protocol itself. */
  readonly isWaypoint: boolean;
  /** Labels that routes and subsets ask for; null for none. */
  readonly wantedLabels: Labels | null;
}

/** The workload of a pod. */
export function compileWorkload(pod: PodView, context: WorkloadContext): Workload {
  const { hostNetwork, serviceAccount, node } = pod.spec;
  const { isWaypoint } = context;
  const enrolled = isWaypoint || isEnrolled({ ...pod, hostNetwork, ...context });
  const { labels } = pod;
  return {
    uid: pod.uid,
    name: pod.name,
    namespace: pod.namespace,
    addresses: pod.addresses,
    network: '',
    tunnelProtocol: enrolled ? 'HBONE' : 'NONE',
    trustDomain: context.trustDomain,
    serviceAccount,
    node,
    canonicalName:
      labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? pod.owner.name,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ??
      labels['app.kubernetes.io/version'] ??
      labels['version'] ??
      'latest',
    workloadType: workloadTypeOf(pod.owner.kind),
    workloadName: pod.owner.name,
    nativeTunnel: isWaypoint,
    policies: context.policies,
    healthy: pod.healthy,
    clusterId: context.clusterId,
    locality: localityOf(context.node),
    hostNetwork,
    capacity: 1,
    waypoint: context.waypoint,
    ...(context.wantedLabels === null ? {} : { labels: context.wantedLabels }),
    services: context.services,
  };
}

/** Null for a pod that is no workload: finished, or in a cluster and without an address. */
export function viewOfPod(pod: PodResource, clusterId: string, isOffline: boolean): PodView | null {
  const { namespace, name } = pod;
  if (pod.phase === 'Succeeded' || pod.phase === 'Failed') return null;
  const isManifest = isOffline && !pod.hasStatus;
  if (pod.addresses.length === 0 && !isManifest) return null;
  return {
    id: `${namespace}/${name}`,
    uid: `${clusterId}//Pod/${namespace}/${name}`,
    namespace,
    name,
    labels: pod.labels,
    annotations: pod.annotations,
    spec: pod.spec,
    addresses: pod.addresses,
    healthy: (pod.ready || isManifest) && pod.deletionTimestamp === null,
    owner: ownerOf(pod),
  };
}

/** The one pod that stands for those a template would make. */
export function viewOfTemplate(template: TemplateResource, clusterId: string): PodView {
  const { kind, namespace, name } = template;
  const group = kind === 'Job' ? 'batch' : 'apps';
  return {
    id: templateId(kind, namespace, name),
    uid: `${clusterId}/${group}/${kind}/${namespace}/${name}`,
    namespace,
    name,
    labels: template.templateLabels,
    annotations: template.templateAnnotations,
    spec: template.template,
    addresses: [],
    healthy: template.deletionTimestamp === null,
    owner: { kind, name },
  };
}

/** The id of the view of a template; no pod has it, as `:` is in no name. */
export function templateId(kind: string, namespace: string, name: string): string {
  return `${namespace}/${kind}:${name}`;
}

/** What made the pod, in the end: a Deployment rather than its ReplicaSet, a CronJob rather than its Job. */
export function ownerOf(pod: {
  readonly name: string;
  readonly labels: Labels;
  readonly owners: readonly OwnerReference[];
}): Owner {
  const owner = pod.owners.find((one) => one.controller) ?? pod.owners[0];
  if (owner === undefined) return { kind: 'Pod', name: pod.name };
  const { kind, name } = owner;
  if (kind === 'ReplicaSet') {
    const hash = pod.labels['pod-template-hash'];
    if (hash !== undefined && name.endsWith(`-${hash}`)) {
      return { kind: 'Deployment', name: name.slice(0, -hash.length - 1) };
    }
    // Kubernetes makes its hashes of these letters alone.
    const stripped = /^(.+)-[bcdfghjklmnpqrstvwxz2456789]{5,10}$/.exec(name)?.[1];
    return stripped === undefined ? { kind, name } : { kind: 'Deployment', name: stripped };
  }
  const scheduled = kind === 'Job' ? /^(.+)-\d{8,10}$/.exec(name)?.[1] : undefined;
  return scheduled === undefined ? { kind, name } : { kind: 'CronJob', name: scheduled };
}

/** The SPIFFE id that a service account has. */
export function spiffeIdOf(trustDomain: string, namespace: string, serviceAccount: string): SpiffeId {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/** Region, zone and subzone by the labels of the node (as Istio); null when it has none of them. */
export function localityOf(node: NodeResource | null): Locality | null {
  const region = node?.labels['topology.kubernetes.io/region'] ?? '';
  const zone = node?.labels['topology.kubernetes.io/zone'] ?? '';
  const subzone = node?.labels['topology.istio.io/subzone'] ?? '';
  return region === '' && zone === '' && subzone === '' ? null : { region, zone, subzone };
}

function workloadTypeOf(kind: string): Workload['workloadType'] {
  if (kind === 'Deployment') return 'deployment';
  if (kind === 'CronJob') return 'cronjob';
  return kind === 'Job' ? 'job' : 'pod';
}

/** What answers at an address of a slice, where no pod is known to. */
export function sliceWorkload(
  { clusterId, trustDomain }: { readonly clusterId: string; readonly trustDomain: string },
  slice: EndpointSliceResource,
  address: string,
  { node, healthy }: { readonly node: string; readonly healthy: boolean },
): Workload {
  return {
    uid: `${clusterId}/discovery.k8s.io/EndpointSlice/${slice.namespace}/${slice.name}/${address}`,
    name: slice.name,
    namespace: slice.namespace,
    addresses: [address],
    network: '',
    tunnelProtocol: 'NONE',
    trustDomain,
    serviceAccount: '',
    node,
    canonicalName: slice.service,
    canonicalRevision: 'latest',
    workloadType: 'pod',
    workloadName: slice.service,
    nativeTunnel: false,
    policies: [],
    healthy,
    clusterId,
    locality: null,
    hostNetwork: false,
    capacity: 1,
    waypoint: null,
    services: {},
  };
}
