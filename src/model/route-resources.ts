// The resources about HTTP, narrowed to what Ambient reads of them: Gateway API routes, Istio's traffic API, and our
// own two policies. Readers in `kube/` make them; `model/routes/` compiles them. What a reader understood and Ambient
// does not do is kept in `unsupported`, so that the compiler can refuse it by name.
import type { Labels, Resource, ResourceMeta, ResourcePath } from './resources.ts';
import type {
  ConsistentHash,
  CorsPolicy,
  FaultPolicy,
  HeaderEdits,
  LocalityRules,
  NamedMatch,
  PathMatch,
  RouteMatch,
  ValueMatch,
} from './route-types.ts';

/** Something that is valid and that Ambient does not do. */
export interface Unsupported {
  readonly path: ResourcePath;
  readonly message: string;
}

/** A reference of Gateway API, its namespace filled in; '' is the core group. */
export interface ObjectReference {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface ParentReference extends ObjectReference {
  /** As written, or as the API's default has it: `core`, or Gateway API's own, is taken for that of a Service. */
  readonly writtenGroup: string;
  readonly port: number | null;
  readonly sectionName: string | null;
}

export interface BackendReference extends ObjectReference {
  readonly port: number | null;
  readonly weight: number;
  readonly filters: readonly RouteFilter[];
  readonly path: ResourcePath;
}

export type PathChange = { readonly kind: 'full' | 'prefix'; readonly value: string } | null;

export type RouteFilter =
  | { readonly type: 'RequestHeaderModifier'; readonly edits: HeaderEdits }
  | { readonly type: 'ResponseHeaderModifier'; readonly edits: HeaderEdits }
  | {
      readonly type: 'RequestRedirect';
      readonly scheme: string | null;
      readonly hostname: string | null;
      readonly port: number | null;
      readonly path: PathChange;
      readonly status: number;
    }
  | { readonly type: 'URLRewrite'; readonly hostname: string | null; readonly path: PathChange }
  | { readonly type: 'RequestMirror'; readonly backend: BackendReference; readonly fraction: number }
  | { readonly type: 'CORS'; readonly cors: CorsPolicy }
  | { readonly type: 'ExtensionRef'; readonly reference: ObjectReference };

export interface GatewayMatch {
  readonly path: PathMatch;
  readonly method: string | null;
  readonly headers: readonly NamedMatch[];
  readonly query: readonly NamedMatch[];
  /** GRPCRoute: characters of service and method for precedence; null for HTTPRoute. */
  readonly grpc: { readonly service: number; readonly method: number } | null;
}

export interface GatewayRetry {
  readonly codes: readonly number[];
  readonly attempts: number | null;
  readonly backoffMs: number | null;
}

export interface GatewayRule {
  readonly name: string | null;
  /** At least one. */
  readonly matches: readonly GatewayMatch[];
  readonly filters: readonly RouteFilter[];
  readonly backends: readonly BackendReference[];
  readonly requestTimeoutMs: number | null;
  readonly backendTimeoutMs: number | null;
  readonly retry: GatewayRetry | null;
}

/** HTTPRoute and GRPCRoute differ in their matches alone. */
export interface GatewayRouteResource extends ResourceMeta {
  readonly kind: 'HTTPRoute' | 'GRPCRoute';
  readonly parents: readonly ParentReference[];
  readonly hostnames: readonly string[];
  readonly rules: readonly GatewayRule[];
  readonly unsupported: readonly Unsupported[];
  /** What is well and has no meaning within a mesh. */
  readonly meaningless: readonly Unsupported[];
}

export interface ReferenceGrantResource extends ResourceMeta {
  readonly kind: 'ReferenceGrant';
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
  /** `name` null is every object of that kind. */
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name: string | null }[];
}

export interface VirtualMatch extends RouteMatch {
  readonly name: string;
  /** 0 for any. */
  readonly port: number;
  /** Empty: those of the VirtualService. */
  readonly gateways: readonly string[];
}

export interface VirtualDestination {
  readonly host: string;
  readonly subset: string;
  readonly port: number | null;
}

export interface VirtualBackend extends VirtualDestination {
  readonly weight: number;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  /** From `headers.request.set` of `host` or `:authority`. */
  readonly authority: string | null;
  readonly path: ResourcePath;
}

export interface VirtualRetries {
  readonly attempts: number;
  readonly perTryTimeoutMs: number;
  /** Null for the default list. */
  readonly retryOn: readonly string[] | null;
  readonly backoffMs: number | null;
}

export interface VirtualRedirect {
  readonly path: PathChange;
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly port: number | 'request' | 'scheme' | null;
  readonly status: number;
}

export interface VirtualRewrite {
  readonly uri: string | null;
  readonly authority: string | null;
  readonly regex: { readonly pattern: string; readonly value: string } | null;
}

export interface VirtualMirror extends VirtualDestination {
  readonly fraction: number;
  readonly path: ResourcePath;
}

export interface VirtualRule {
  readonly name: string | null;
  /** Empty matches everything. */
  readonly matches: readonly VirtualMatch[];
  readonly route: readonly VirtualBackend[];
  readonly redirect: VirtualRedirect | null;
  readonly direct: { readonly status: number; readonly body: string } | null;
  readonly delegate: { readonly namespace: string; readonly name: string } | null;
  readonly rewrite: VirtualRewrite | null;
  /** Null: not said, and taken from the root of a delegation. */
  readonly timeoutMs: number | null;
  readonly retries: VirtualRetries | null;
  readonly fault: FaultPolicy | null;
  readonly mirrors: readonly VirtualMirror[];
  readonly cors: CorsPolicy | null;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly authority: string | null;
}

export interface VirtualTcpRule {
  readonly matches: readonly {
    /** Null for any; TLS only. */
    readonly sniHosts: readonly string[] | null;
    readonly port: number;
    readonly gateways: readonly string[];
    /** It asks for what cannot be seen. */
    readonly isNever: boolean;
  }[];
  readonly route: readonly VirtualBackend[];
  readonly protocol: 'tls' | 'tcp';
  readonly path: ResourcePath;
}

export interface VirtualServiceResource extends ResourceMeta {
  readonly kind: 'VirtualService';
  /** As written; empty for a delegate. */
  readonly hosts: readonly string[];
  readonly gateways: readonly string[];
  readonly exportTo: readonly string[];
  readonly http: readonly VirtualRule[];
  readonly tcp: readonly VirtualTcpRule[];
  readonly unsupported: readonly Unsupported[];
}

/** Settings of a DestinationRule at one level; what is null was not written there. */
export interface TrafficSettings {
  readonly loadBalancer: {
    readonly algorithm: 'least-request' | 'round-robin' | 'random' | 'passthrough' | null;
    readonly hash: ConsistentHash | null;
    readonly locality: ({ readonly enabled: boolean } & LocalityRules) | null;
    readonly warmup: { readonly windowMs: number; readonly minPercent: number; readonly aggression: number } | null;
  } | null;
  readonly connectionPool: {
    readonly maxConnections: number;
    readonly connectTimeoutMs: number;
    readonly maxPendingRequests: number;
    readonly maxRequests: number;
    readonly maxRequestsPerConnection: number;
    readonly maxRetries: number;
    readonly idleTimeoutMs: number;
    readonly upgradeToHttp2: boolean;
  } | null;
  readonly outlier: {
    readonly consecutive5xx: number | null;
    readonly consecutiveGatewayErrors: number | null;
    readonly consecutiveLocalFailures: number | null;
    readonly splitLocalFailures: boolean;
    readonly intervalMs: number | null;
    readonly baseEjectionMs: number | null;
    readonly maxEjectionPercent: number | null;
    readonly minHealthPercent: number | null;
  } | null;
  readonly retryBudget: { readonly percent: number; readonly minConcurrency: number } | null;
}

export interface TrafficLevel extends TrafficSettings {
  readonly ports: readonly { readonly port: number; readonly settings: TrafficSettings }[];
}

export interface DestinationRuleResource extends ResourceMeta {
  readonly kind: 'DestinationRule';
  readonly host: string;
  readonly exportTo: readonly string[];
  /** Null where none is written. */
  readonly traffic: TrafficLevel | null;
  readonly subsets: readonly {
    readonly name: string;
    readonly labels: Labels;
    readonly traffic: TrafficLevel | null;
  }[];
  /** Null for every client. */
  readonly workloadSelector: Labels | null;
  readonly unsupported: readonly Unsupported[];
}

/** What a policy of ours is about: a Service, or a route (or one named rule of it) in the policy's namespace. */
export interface PolicyTarget extends ObjectReference {
  readonly sectionName: string | null;
}

export interface RateLimitPolicyResource extends ResourceMeta {
  readonly kind: 'RateLimitPolicy';
  readonly targets: readonly PolicyTarget[];
  readonly limits: readonly {
    readonly by: readonly (
      | { readonly kind: 'all' | 'identity' }
      | { readonly kind: 'header'; readonly name: string }
    )[];
    readonly requests: number;
    readonly perMs: number;
    readonly burst: number;
  }[];
}

export interface TrafficPolicyResource extends ResourceMeta {
  readonly kind: 'TrafficPolicy';
  readonly targets: readonly PolicyTarget[];
  readonly retryBudget: {
    readonly ratio: number;
    readonly perSecond: number;
    readonly minConcurrency: number;
  } | null;
  readonly healthPaths: readonly string[] | null;
  readonly adaptiveConcurrency: { readonly minLimit: number; readonly maxLimit: number } | null;
  readonly slowStart: { readonly windowMs: number; readonly minPercent: number; readonly aggression: number } | null;
  readonly retryNonIdempotent: boolean | null;
  readonly retryEvenIfRetried: boolean | null;
  readonly idleTimeoutMs: number | null;
  readonly maxStreamMs: number | null;
}

export type RouteResource =
  | GatewayRouteResource
  | ReferenceGrantResource
  | VirtualServiceResource
  | DestinationRuleResource
  | RateLimitPolicyResource
  | TrafficPolicyResource;

export const routeKinds = [
  'HTTPRoute',
  'GRPCRoute',
  'ReferenceGrant',
  'VirtualService',
  'DestinationRule',
  'RateLimitPolicy',
  'TrafficPolicy',
] as const satisfies readonly RouteResource['kind'][];

/** True for the kinds of this file. */
export function isRouteKind(kind: string): kind is RouteResource['kind'] {
  return (routeKinds as readonly string[]).includes(kind);
}

/** True for resources of the kinds of this file. */
export function isRouteResource(resource: Resource): resource is RouteResource {
  return isRouteKind(resource.kind);
}

/** The match that asks for nothing. */
export const matchAnything: RouteMatch = {
  path: null,
  method: null,
  scheme: null,
  authority: null,
  headers: [],
  query: [],
  claims: [],
  sourceNamespace: '',
  sourceLabels: {},
};

/** A value that has to be this one. */
export function exactly(value: string): ValueMatch {
  return { kind: 'exact', value, ignoreCase: false };
}

export const noEdits: HeaderEdits = { remove: [], set: [], add: [] };
