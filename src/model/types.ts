// The mesh as data: what the controller compiles, what discovery carries, what the data path looks things up in.
// Plain objects without methods; keys and enum words are those of the workload-discovery API (istio.workload,
// istio.security).
import type { FindingCode, Severity } from './finding-codes.ts';
import type { ServiceRoutes } from './route-types.ts';

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`. */
export type SpiffeId = string;
/** `NAMESPACE/NAME` of a policy, `NAMESPACE/HOSTNAME` of a service. */
export type NamespacedKey = string;

export interface PortMapping {
  readonly servicePort: number;
  /** 0 when only the endpoint knows it (a named target port). */
  readonly targetPort: number;
  readonly appProtocol: AppProtocol;
}
export type AppProtocol = 'unknown' | 'http1' | 'http2' | 'grpc' | 'tcp' | 'tls';

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** Where a waypoint is: by service host name, or by address. */
export interface WaypointAddress {
  readonly hostname?: { readonly namespace: string; readonly hostname: string };
  readonly address?: { readonly network: string; readonly address: string };
  readonly hbonePort: number;
}

export interface Workload {
  /** `CLUSTER/GROUP/KIND/NAMESPACE/NAME`; the resource name in discovery. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  /** Canonical text form, IPv4 and IPv6. */
  readonly addresses: readonly string[];
  readonly network: string;
  readonly tunnelProtocol: 'HBONE' | 'NONE';
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly node: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadType: 'deployment' | 'cronjob' | 'pod' | 'job';
  readonly workloadName: string;
  /** Speaks HBONE itself (a waypoint). */
  readonly nativeTunnel: boolean;
  /** Selector policies that apply, by key; namespace and mesh policies apply without being listed. */
  readonly policies: readonly NamespacedKey[];
  readonly healthy: boolean;
  readonly clusterId: string;
  readonly locality: Locality | null;
  readonly hostNetwork: boolean;
  /** Load-balancing weight. */
  readonly capacity: number;
  readonly waypoint: WaypointAddress | null;
  /** Its labels as far as a route or subset asks for them; absent where none does. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Services that this workload is an endpoint of, with the ports as this endpoint has them. */
  readonly services: Readonly<Record<NamespacedKey, readonly PortMapping[]>>;
}

export interface LoadBalancing {
  readonly mode: 'unspecified' | 'strict' | 'failover' | 'passthrough';
  readonly routingPreference: readonly ('region' | 'zone' | 'subzone' | 'node' | 'cluster' | 'network')[];
  readonly healthPolicy: 'onlyHealthy' | 'allowAll';
}

export interface Service {
  readonly name: string;
  readonly namespace: string;
  /** `NAME.NAMESPACE.svc.DOMAIN`. */
  readonly hostname: string;
  /** VIPs in canonical text; empty for a headless service. */
  readonly addresses: readonly string[];
  readonly ports: readonly PortMapping[];
  readonly subjectAltNames: readonly SpiffeId[];
  readonly waypoint: WaypointAddress | null;
  readonly loadBalancing: LoadBalancing | null;
  readonly ipFamilies: 'automatic' | 'ipv4' | 'ipv6' | 'dual';
  readonly canonical: boolean;
  readonly visibility: 'public' | 'namespace';
}

export type StringMatch =
  | { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly value: string }
  | { readonly kind: 'presence' };

/**
 * A field that is empty constrains nothing. A `Match` with no field at all matches nothing (ambient-l4 semantics of
 * ztunnel).
 */
export interface PolicyMatch {
  readonly namespaces?: readonly StringMatch[];
  readonly notNamespaces?: readonly StringMatch[];
  /** Compared with `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, without the scheme. */
  readonly principals?: readonly StringMatch[];
  readonly notPrincipals?: readonly StringMatch[];
  /** `ADDRESS/LENGTH`, canonical. */
  readonly sourceIps?: readonly string[];
  readonly notSourceIps?: readonly string[];
  readonly destinationIps?: readonly string[];
  readonly notDestinationIps?: readonly string[];
  readonly destinationPorts?: readonly number[];
  readonly notDestinationPorts?: readonly number[];
  readonly serviceAccounts?: readonly { readonly namespace: string; readonly serviceAccount: string }[];
  readonly notServiceAccounts?: readonly { readonly namespace: string; readonly serviceAccount: string }[];
  /** Of the identity; in policies for waypoints, since L4 knows of one trust domain alone. */
  readonly trustDomains?: readonly StringMatch[];
  readonly notTrustDomains?: readonly StringMatch[];
  // What only HTTP has: in policies for waypoints. Where there is no request, an ALLOW with one of these matches
  // nothing, and a DENY matches as if it were not there.
  /** Without regard to case, with or without the port. */
  readonly hosts?: readonly StringMatch[];
  readonly notHosts?: readonly StringMatch[];
  readonly methods?: readonly StringMatch[];
  readonly notMethods?: readonly StringMatch[];
  readonly paths?: readonly PathPattern[];
  readonly notPaths?: readonly PathPattern[];
  /** `ISSUER/SUBJECT` of the token. */
  readonly requestPrincipals?: readonly StringMatch[];
  readonly notRequestPrincipals?: readonly StringMatch[];
  /** The client as `x-forwarded-for` says. */
  readonly remoteIps?: readonly string[];
  readonly notRemoteIps?: readonly string[];
  readonly headers?: readonly NamedValues[];
  readonly notHeaders?: readonly NamedValues[];
  readonly audiences?: readonly StringMatch[];
  readonly notAudiences?: readonly StringMatch[];
  readonly presenters?: readonly StringMatch[];
  readonly notPresenters?: readonly StringMatch[];
  readonly claims?: readonly ClaimValues[];
  readonly notClaims?: readonly ClaimValues[];
}

/** `template` has segments `{*}` (one, not empty) and `{**}` (any number from one on). The query does not count. */
export type PathPattern = StringMatch | { readonly kind: 'template'; readonly value: string };

/** A header, in lower case, that has one of the values. */
export interface NamedValues {
  readonly name: string;
  readonly values: readonly StringMatch[];
}

/** A claim, keys from the outside in, that is or contains one of the values. */
export interface ClaimValues {
  readonly path: readonly string[];
  readonly values: readonly StringMatch[];
}

/** rules: OR · clauses of a rule: AND · matches of a clause: OR · fields of a match: AND. */
export interface PolicyRule {
  readonly clauses: readonly { readonly matches: readonly PolicyMatch[] }[];
}

export interface Policy {
  readonly name: string;
  readonly namespace: string;
  readonly scope: 'global' | 'namespace' | 'workload';
  /** `audit` decides nothing; it is for waypoints. */
  readonly action: 'allow' | 'deny' | 'audit';
  readonly rules: readonly PolicyRule[];
  readonly dryRun: boolean;
  /** A `deny` that was CUSTOM when it was written: nobody asks an authorizer. */
  readonly custom?: true;
}

/** Certificates that count no more, though they are in date: by serial, or by identity and time of issue. */
export interface Revocation {
  readonly namespace: string;
  readonly name: string;
  /** As `canonicalSerial` writes them. */
  readonly serials: readonly string[];
  readonly identities: readonly RevokedIdentity[];
}

export interface RevokedIdentity {
  readonly identity: SpiffeId;
  /** Certificates whose validity begins before this count no more; milliseconds since the epoch. */
  readonly issuedBeforeMs: number;
}

/** The pods' networks of a node, as its Node object says. */
export interface NodeNetwork {
  readonly name: string;
  /** `ADDRESS/LENGTH`, canonical. */
  readonly podCidrs: readonly string[];
}

/** A change of the mesh. Every upsert replaces the whole object; removals are resource names. */
export interface MeshUpdate {
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly policies: readonly Policy[];
  /** Workload uids and `NAMESPACE/HOSTNAME`s that are gone. */
  readonly removedAddresses: readonly string[];
  /** `NAMESPACE/NAME`s that are gone. */
  readonly removedPolicies: readonly NamespacedKey[];
  /** Absent: nothing is said about revocations, not even in a complete update. */
  readonly revocations?: readonly Revocation[];
  /** `NAMESPACE/NAME`s of revocations that are gone. */
  readonly removedRevocations?: readonly NamespacedKey[];
  /** What waypoints do for services; a service without an entry has the defaults. Absent for none. */
  readonly routes?: readonly ServiceRoutes[];
  /** `NAMESPACE/HOSTNAME`s of services whose routes are gone. */
  readonly removedRoutes?: readonly NamespacedKey[];
  /** Absent: nothing is said about nodes, not even in a complete update. */
  readonly nodes?: readonly NodeNetwork[];
  /** Names of nodes that are gone. */
  readonly removedNodes?: readonly string[];
  /** True when this update is the whole mesh, and what it does not name is gone. */
  readonly complete: boolean;
}

/** A finding about a resource: refused, ignored, or accepted with something the author should know. */
export interface ResourceIssue {
  /** `AMB0xxx`; see docs/findings. */
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly message: string;
  /** What to write instead. */
  readonly fix: string;
  readonly place: SourcePlace | null;
  /** The value it is about, such as `spec.rules[0].to`; '' for the object as a whole. */
  readonly field: string;
  /** What was looked for in vain; not there where the finding is told, which then says what was meant. */
  readonly sought?: Sought;
}

/** A name that is not there: another one may be meant. */
export type Sought = SoughtObject | SoughtName;

/** One of a few names, which the finding lists already. */
export interface SoughtName {
  readonly kind: 'name';
  readonly name: string;
  readonly among: readonly string[];
  readonly path: readonly (string | number)[];
}

/** An object that somebody named: others of its kind and namespace are known where the finding is told. */
export interface SoughtObject {
  readonly kind: 'Service' | 'Gateway' | 'VirtualService' | 'HTTPRoute' | 'GRPCRoute';
  readonly namespace: string;
  readonly name: string;
  /** Where the name is written, if it is written in this object: keys and list positions. */
  readonly path: readonly (string | number)[] | null;
}

export interface SourcePlace {
  /** For an object of a cluster its kind and name, and the line is 0. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}
