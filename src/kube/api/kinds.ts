// Which kinds a cluster is followed for, where the API server has them, and what it means when one cannot be had.
import type { ResourceKind } from '../../model/resources.ts';
import { groupOf } from '../manifests.ts';

export interface WatchedKind {
  readonly kind: string;
  readonly group: string;
  /** The one that is liked best first. */
  readonly versions: readonly string[];
  readonly plural: string;
  /** Defined by a CustomResourceDefinition: it may not be there, and may come and go. */
  readonly isCustom: boolean;
  /**
   * `always`: without it there is no mesh, or somebody may do more than he should, and proxies are served when it is
   * known. `ifAllowed`: when the API server keeps it from us, the rest works without.
   */
  readonly needed: 'always' | 'ifAllowed';
}

/**
 * Templates of pods and ServiceAccounts are read from manifests alone: in a cluster, pods themselves say everything.
 * What is needed always either makes the mesh, or restricts who may do what in it.
 */
const watched = {
  Namespace: { plural: 'namespaces', needed: 'always' },
  Node: { plural: 'nodes', needed: 'ifAllowed' },
  Pod: { plural: 'pods', needed: 'always' },
  Service: { plural: 'services', needed: 'always' },
  EndpointSlice: { plural: 'endpointslices', needed: 'always' },
  Gateway: { plural: 'gateways', needed: 'always', isCustom: true },
  PeerAuthentication: { plural: 'peerauthentications', needed: 'always', isCustom: true },
  AuthorizationPolicy: { plural: 'authorizationpolicies', needed: 'always', isCustom: true },
  RequestAuthentication: { plural: 'requestauthentications', needed: 'always', isCustom: true },
  CertificateRevocation: { plural: 'certificaterevocations', needed: 'always', isCustom: true },
  HTTPRoute: { plural: 'httproutes', needed: 'ifAllowed', isCustom: true },
  GRPCRoute: { plural: 'grpcroutes', needed: 'ifAllowed', isCustom: true },
  ReferenceGrant: { plural: 'referencegrants', needed: 'ifAllowed', isCustom: true },
  VirtualService: { plural: 'virtualservices', needed: 'ifAllowed', isCustom: true },
  DestinationRule: { plural: 'destinationrules', needed: 'ifAllowed', isCustom: true },
  RateLimitPolicy: { plural: 'ratelimitpolicies', needed: 'ifAllowed', isCustom: true },
  TrafficPolicy: { plural: 'trafficpolicies', needed: 'ifAllowed', isCustom: true },
} as const satisfies Partial<
  Record<ResourceKind, { plural: string; needed: WatchedKind['needed']; isCustom?: boolean }>
>;

/** Every kind that the model of a cluster is made from. */
export const watchedKinds: readonly WatchedKind[] = Object.entries(watched).map(([kind, entry]) => ({
  isCustom: false,
  ...entry,
  kind,
  ...groupOf(kind as ResourceKind),
}));

/** Kinds that nothing is compiled from and the linter looks at: followed while somebody wants to know what it says. */
export const asideKinds: readonly WatchedKind[] = [
  {
    ...{ kind: 'NetworkPolicy', group: 'networking.k8s.io', versions: ['v1'], plural: 'networkpolicies' },
    ...{ isCustom: false, needed: 'ifAllowed' },
  },
];

const admitted: readonly ResourceKind[] = [
  'Gateway',
  'HTTPRoute',
  'GRPCRoute',
  'PeerAuthentication',
  'AuthorizationPolicy',
  'RequestAuthentication',
  'VirtualService',
  'DestinationRule',
  'RateLimitPolicy',
  'TrafficPolicy',
  'CertificateRevocation',
];

/** The kinds that an API server asks the webhook about. */
export const admittedKinds: readonly WatchedKind[] = watchedKinds.filter(({ kind }) =>
  (admitted as readonly string[]).includes(kind),
);

/** The path of a kind's list over all namespaces. */
export function listPath(kind: WatchedKind, version: string): string {
  return `${rootPath(kind, version)}/${kind.plural}`;
}

/** The path of everything of a kind's group in a version. */
export function rootPath({ group }: WatchedKind, version: string): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

/** As `kubectl` names a kind in full: `httproutes.gateway.networking.k8s.io`. */
export function fullName({ group, plural }: WatchedKind): string {
  return group === '' ? plural : `${plural}.${group}`;
}
