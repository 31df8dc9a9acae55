// The Kubernetes resources that Ambient reads, narrowed to what it reads of them. `kube/manifests.ts` makes them from
// text; the compiler turns them into workloads, services and policies. `raw` is the whole object, for who needs more of
// it (the lab).
import type { RouteResource } from './route-resources.ts';
import type { RevokedIdentity, SourcePlace } from './types.ts';

/** Keys and list positions from the root of an object to a value in it. */
export type ResourcePath = readonly (string | number)[];

/** `spec.rules[0].from` */
export function pathText(path: ResourcePath): string {
  return path.map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`)).join('');
}

/** Where an object and its values stand in the text they were read from. Looked up when asked for, not before. */
export interface SourcePlaces {
  readonly object: SourcePlace | null;
  /** The place of the value at the path, or of the nearest value around it. */
  at(path: ResourcePath): SourcePlace | null;
}

export type Labels = Readonly<Record<string, string>>;

export interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: boolean;
}

export interface ResourceMeta {
  readonly apiVersion: string;
  /** '' for what has no namespace (Node, Namespace). */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** RFC 3339, or null when the object was never in a cluster. */
  readonly creationTimestamp: string | null;
  readonly deletionTimestamp: string | null;
  readonly owners: readonly OwnerReference[];
  readonly places: SourcePlaces;
  readonly raw: Readonly<Record<string, unknown>>;
}

export interface NodeResource extends ResourceMeta {
  readonly kind: 'Node';
  readonly podCidrs: readonly string[];
  /** Internal addresses, canonical. */
  readonly addresses: readonly string[];
}

export interface NamespaceResource extends ResourceMeta {
  readonly kind: 'Namespace';
}

export interface ServiceAccountResource extends ResourceMeta {
  readonly kind: 'ServiceAccount';
}

export interface ContainerPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** What matters of a pod's spec, in a Pod and in every template of one. */
export interface PodSpec {
  readonly serviceAccount: string;
  /** '' until scheduled. */
  readonly node: string;
  readonly hostNetwork: boolean;
  readonly ports: readonly ContainerPort[];
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

export interface PodResource extends ResourceMeta {
  readonly kind: 'Pod';
  readonly spec: PodSpec;
  /** False for a manifest that was never in a cluster. */
  readonly hasStatus: boolean;
  readonly phase: PodPhase;
  /** Canonical. */
  readonly addresses: readonly string[];
  readonly ready: boolean;
}

export type TemplateKind = 'Deployment' | 'ReplicaSet' | 'StatefulSet' | 'DaemonSet' | 'Job';

/** Anything that makes pods from a template. */
export interface TemplateResource extends ResourceMeta {
  readonly kind: TemplateKind;
  readonly replicas: number;
  readonly templateLabels: Labels;
  readonly templateAnnotations: Labels;
  readonly template: PodSpec;
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  /** A number, or the name of a container port. */
  readonly targetPort: number | string;
  /** As written; null when absent. */
  readonly appProtocol: string | null;
  /** 0 when there is none. */
  readonly nodePort: number;
}

export interface ServiceResource extends ResourceMeta {
  readonly kind: 'Service';
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** Canonical; empty for a headless service and for one that has none yet. */
  readonly clusterIps: readonly string[];
  readonly headless: boolean;
  /** Null when its endpoints are kept by someone else. */
  readonly selector: Labels | null;
  readonly ports: readonly ServicePort[];
  readonly ipFamilies: readonly ('IPv4' | 'IPv6')[];
  readonly trafficDistribution: string | null;
  readonly internalTrafficPolicy: 'Cluster' | 'Local';
  readonly publishNotReadyAddresses: boolean;
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly node: string;
  readonly zone: string;
  /** `NAMESPACE/NAME` of the pod behind it, or null. */
  readonly pod: string | null;
}

export interface EndpointSliceResource extends ResourceMeta {
  readonly kind: 'EndpointSlice';
  /** Name of the Service in the same namespace; '' when it belongs to none. */
  readonly service: string;
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[];
  readonly endpoints: readonly SliceEndpoint[];
}

export type MtlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerAuthenticationResource extends ResourceMeta {
  readonly kind: 'PeerAuthentication';
  /** Null or without a label: the whole namespace, or in a root namespace the whole mesh. */
  readonly selector: Labels | null;
  readonly mtls: MtlsMode;
  readonly portLevelMtls: readonly { readonly port: number; readonly mode: MtlsMode }[];
}

/** An attribute of a source, operation or condition with its values as written; its name is that of the API. */
export type Attributes = Readonly<Record<string, readonly string[]>>;

export interface AuthorizationCondition {
  readonly key: string;
  readonly values: readonly string[] | null;
  readonly notValues: readonly string[] | null;
}

/** Null where the field is left out; an empty list is something else, and an error. */
export interface AuthorizationRule {
  readonly from: readonly Attributes[] | null;
  readonly to: readonly Attributes[] | null;
  readonly when: readonly AuthorizationCondition[] | null;
}

/** What a policy is attached to: `targetRef` or an element of `targetRefs`. */
export interface WaypointTarget {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  /** As written; null where it is left out. */
  readonly namespace: string | null;
}

export interface AuthorizationPolicyResource extends ResourceMeta {
  readonly kind: 'AuthorizationPolicy';
  readonly selector: Labels | null;
  /** For waypoints; [] when it has neither `targetRef` nor `targetRefs`. */
  readonly targets: readonly WaypointTarget[];
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  readonly rules: readonly AuthorizationRule[];
}

/** A rule of a RequestAuthentication as written; '' and [] where a field is left out. */
export interface WrittenJwtRule {
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly jwks: string;
  readonly jwksUri: string;
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly forwardOriginalToken: boolean;
  readonly outputPayloadToHeader: string;
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[];
  readonly spaceDelimitedClaims: readonly string[];
  readonly timeoutMs: number;
}

export interface RequestAuthenticationResource extends ResourceMeta {
  readonly kind: 'RequestAuthentication';
  readonly selector: Labels | null;
  readonly targets: readonly WaypointTarget[];
  readonly rules: readonly WrittenJwtRule[];
}

/** A listener of a Gateway, as far as waypoints need it. */
export interface GatewayListener {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  /** Whose routes and clients it takes: `allowedRoutes.namespaces.from`. */
  readonly from: 'Same' | 'All' | 'Selector' | 'None';
  /** With `Selector`: labels that the namespace must carry. */
  readonly selector: Labels;
}

/** `spec.infrastructure`: about what is made for a Gateway. */
export interface GatewayInfrastructure {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly parametersRef: { readonly group: string; readonly kind: string; readonly name: string } | null;
}

export interface GatewayResource extends ResourceMeta {
  readonly kind: 'Gateway';
  readonly gatewayClassName: string;
  readonly listeners: readonly GatewayListener[];
  readonly infrastructure: GatewayInfrastructure;
  /** Of its status: host names and addresses as written. */
  readonly addresses: readonly string[];
}

/** `ambient.mesh/v1alpha1`, a kind of our own. */
export interface CertificateRevocationResource extends ResourceMeta {
  readonly kind: 'CertificateRevocation';
  /** As `canonicalSerial` writes them. */
  readonly serials: readonly string[];
  readonly identities: readonly RevokedIdentity[];
}

export type Resource =
  | NodeResource
  | NamespaceResource
  | ServiceAccountResource
  | PodResource
  | TemplateResource
  | ServiceResource
  | EndpointSliceResource
  | GatewayResource
  | PeerAuthenticationResource
  | AuthorizationPolicyResource
  | RequestAuthenticationResource
  | CertificateRevocationResource
  | RouteResource;
export type ResourceKind = Resource['kind'];

/** `KIND/NAMESPACE/NAME`: what an object is called among all objects. */
export function resourceKey(resource: { kind: string; namespace: string; name: string }): string {
  return `${resource.kind}/${resource.namespace}/${resource.name}`;
}
