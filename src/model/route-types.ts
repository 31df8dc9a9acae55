// The L7 part of the mesh as data: what HTTPRoute, GRPCRoute, VirtualService, DestinationRule and our own policies
// compile to, what discovery carries to waypoints, and what `http/` matches requests against. Plain objects: no
// compiled patterns, no methods. All durations are milliseconds; 0 is "none" where a field says so.
import type { NamespacedKey, Policy, SourcePlace } from './types.ts';

/** The rule of a resource that something came from; `rule` counts from 0 as written. */
export interface RouteOrigin {
  readonly kind: 'HTTPRoute' | 'GRPCRoute' | 'VirtualService' | 'Service';
  readonly namespace: string;
  readonly name: string;
  readonly rule: number;
  readonly ruleName: string | null;
  readonly place: SourcePlace | null;
}

/** `regex` is RE2 syntax and matches the whole value; `present` asks only whether there is one. */
export interface ValueMatch {
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'regex' | 'present';
  readonly value: string;
  readonly ignoreCase: boolean;
}

export interface PathMatch {
  /** `segments` is Gateway API's PathPrefix (whole path elements), `prefix` VirtualService's (any string prefix). */
  readonly kind: 'exact' | 'segments' | 'prefix' | 'regex';
  readonly value: string;
  readonly ignoreCase: boolean;
}

export interface NamedMatch {
  /** Header names in lower case; query names as written. */
  readonly name: string;
  readonly match: ValueMatch;
  /** VirtualService `withoutHeaders`. */
  readonly invert: boolean;
}

/** One branch; what is null or empty asks nothing. */
export interface RouteMatch {
  readonly path: PathMatch | null;
  readonly method: ValueMatch | null;
  readonly scheme: ValueMatch | null;
  readonly authority: ValueMatch | null;
  readonly headers: readonly NamedMatch[];
  readonly query: readonly NamedMatch[];
  /** Claims of the verified token: path of keys. */
  readonly claims: readonly {
    readonly path: readonly string[];
    readonly match: ValueMatch;
    readonly invert: boolean;
  }[];
  /** '' for any. */
  readonly sourceNamespace: string;
  /** Labels of the client's workload. */
  readonly sourceLabels: Readonly<Record<string, string>>;
}

/** Applied in Envoy's order: remove, then set, then add. Names in lower case. */
export interface HeaderEdits {
  readonly remove: readonly string[];
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
}

/** Where a request may go. Port is the service's port. */
export interface Backend {
  readonly service: NamespacedKey;
  readonly port: number;
  /** Subset of a DestinationRule; '' for all endpoints. */
  readonly subset: string;
  /** Why it cannot be used (unknown service, reference not granted, unknown kind, unknown subset); null when it can. */
  readonly invalid: { readonly status: 500 | 503; readonly reason: string } | null;
}

export interface WeightedBackend extends Backend {
  readonly weight: number;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  /** What else happens to requests that are drawn for it, after what the rule does. Absent for nothing. */
  readonly filters?: BackendFilters;
}

/** Filters of one backend of an HTTPRoute or GRPCRoute. */
export interface BackendFilters {
  /** It is answered instead; the backend is not asked. */
  readonly redirect: Redirect | null;
  /** Takes the place of what the rule's rewrite says about the same. */
  readonly rewrite: Rewrite | null;
  /** Beside those of the rule. */
  readonly mirrors: readonly Mirror[];
  /** Judged beside the rule's. */
  readonly cors: CorsPolicy | null;
}

export interface Redirect {
  readonly scheme: string | null;
  readonly authority: string | null;
  readonly port: number | 'request' | 'scheme' | null;
  /** `full`: the whole path; `prefix`: what the match's prefix is replaced by; null: kept. */
  readonly path: { readonly kind: 'full' | 'prefix'; readonly value: string } | null;
  readonly status: number;
}

export interface Rewrite {
  readonly authority: string | null;
  readonly path:
    | { readonly kind: 'full' | 'prefix'; readonly value: string }
    | { readonly kind: 'regex'; readonly pattern: string; readonly value: string }
    | null;
}

export interface Mirror {
  readonly backend: Backend;
  /** 0 to 1. */
  readonly fraction: number;
  /** VirtualService mirrors send `HOST-shadow`. */
  readonly shadowSuffix: boolean;
}

export interface CorsPolicy {
  readonly allowOrigins: readonly ValueMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  /** Seconds; null for no header. */
  readonly maxAgeS: number | null;
  readonly allowCredentials: boolean;
  readonly unmatchedPreflights: 'forward' | 'ignore';
}

export interface FaultPolicy {
  readonly delay: { readonly fraction: number; readonly delayMs: number } | null;
  readonly abort: { readonly fraction: number; readonly status: number; readonly grpcStatus: number | null } | null;
}

export interface RetryPolicy {
  /** Retries after the first try; 0 for none. */
  readonly attempts: number;
  /** 0 for none but the request's own. */
  readonly perTryTimeoutMs: number;
  /** Words of l7.md §4.1. */
  readonly retryOn: readonly string[];
  readonly statuses: readonly number[];
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** `ambient.mesh/retry-non-idempotent: "true"`. */
  readonly nonIdempotent: boolean;
  /** Also where an earlier hop has retried already. */
  readonly evenIfRetried: boolean;
  /** Where it was written, or that it is the default. */
  readonly from: 'route' | 'default';
}

export interface RouteTimeouts {
  /** All tries together; 0 for none. */
  readonly requestMs: number;
  readonly perTryMs: number;
  /** No byte either way; 0 for the waypoint's default. */
  readonly idleMs: number;
  readonly maxStreamMs: number;
}

export interface RateLimit {
  /** What shares a bucket: everything, or requests alike in these. */
  readonly by: readonly ({ readonly kind: 'all' | 'identity' } | { readonly kind: 'header'; readonly name: string })[];
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
  /** The RateLimitPolicy that says so. */
  readonly policy: NamespacedKey;
}

export type RouteAction =
  | { readonly kind: 'forward'; readonly backends: readonly WeightedBackend[] }
  | { readonly kind: 'redirect'; readonly redirect: Redirect }
  | { readonly kind: 'direct'; readonly status: number; readonly body: string; readonly contentType: string }
  /** Nothing usable was written (all weights zero, no backend): this status. */
  | { readonly kind: 'invalid'; readonly status: number; readonly reason: string };

/** What happens to requests that match. */
export interface RouteRule {
  readonly origin: RouteOrigin;
  readonly grpc: boolean;
  readonly action: RouteAction;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly rewrite: Rewrite | null;
  readonly mirrors: readonly Mirror[];
  readonly cors: CorsPolicy | null;
  readonly fault: FaultPolicy | null;
  readonly timeouts: RouteTimeouts;
  readonly retry: RetryPolicy;
  readonly rateLimits: readonly RateLimit[];
}

/** One entry of a port's table: the first whose match holds wins; the order is the precedence already. */
export interface RouteEntry {
  readonly match: RouteMatch;
  /** Index into `rules`. */
  readonly rule: number;
}

export interface PortRoutes {
  readonly port: number;
  /** What is spoken there, said by appProtocol or the port's name; `unknown` is to be sniffed. */
  readonly protocol: 'unknown' | 'http1' | 'http2' | 'grpc' | 'tcp' | 'tls';
  readonly rules: readonly RouteRule[];
  readonly entries: readonly RouteEntry[];
  /** Whether any route is attached: what matches none gets 404 (gRPC: status 12), else it goes to the service. */
  readonly attached: boolean;
  /** TCP and TLS routes of VirtualService; [] for none. */
  readonly tcpBackends: readonly WeightedBackend[];
}

export interface ConsistentHash {
  readonly key:
    | { readonly kind: 'header' | 'query'; readonly name: string }
    | {
        readonly kind: 'cookie';
        readonly name: string;
        readonly path: string;
        readonly ttlMs: number | null;
        /** `NAME` or `NAME=VALUE` each, such as `SameSite=Lax`. Absent for none. */
        readonly attributes?: readonly string[];
      }
    | { readonly kind: 'source' };
  readonly table: 'ring' | 'maglev';
  /** Smallest ring, or the Maglev table's size. */
  readonly size: number;
}

/** Where traffic goes by locality beyond "the nearest first". A locality is `REGION/ZONE/SUBZONE`, `*` for any rest. */
export interface LocalityRules {
  /** When nothing near is left, endpoints of the region `to` go before those of others. */
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  /** The first whose `from` has the proxy's locality decides; what is in none of its `to` gets nothing. */
  readonly distribute: readonly {
    readonly from: string;
    readonly to: readonly (readonly [locality: string, weight: number])[];
  }[];
}

export interface LoadBalancingPolicy {
  readonly algorithm: 'least-request' | 'round-robin' | 'random' | 'hash';
  readonly hash: ConsistentHash | null;
  /** Nearest first; [] for no preference. */
  readonly localityPreference: readonly ('region' | 'zone' | 'subzone' | 'node')[];
  /** Absent for none. */
  readonly localities?: LocalityRules;
  readonly slowStart: { readonly windowMs: number; readonly minPercent: number; readonly aggression: number } | null;
}

/** Infinity does not travel in JSON: 0 is "no limit". */
export interface ConnectionPoolPolicy {
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRequestsPerConnection: number;
  readonly maxRetries: number;
  readonly idleTimeoutMs: number;
  readonly upgradeToHttp2: boolean;
}

export interface OutlierPolicy {
  /** 0 switches one off. */
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalFailures: number;
  readonly splitLocalFailures: boolean;
  readonly successRate: {
    readonly minimumHosts: number;
    readonly requestVolume: number;
    readonly stdevFactor: number;
  } | null;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionPercent: number;
  readonly minHealthPercent: number;
}

export interface RetryBudgetPolicy {
  /** Share of the requests in flight, 0 to 1. */
  readonly ratio: number;
  readonly perSecond: number;
  readonly minConcurrency: number;
}

/** How a destination (a service, or a subset of it) is called; the whole, with every default filled in. */
export interface DestinationPolicy {
  readonly loadBalancing: LoadBalancingPolicy;
  readonly connectionPool: ConnectionPoolPolicy;
  /** Null: nothing is ejected. */
  readonly outlier: OutlierPolicy | null;
  readonly retryBudget: RetryBudgetPolicy;
  /** Paths (exact) whose requests count in no statistics; kubelet probes are known by their user agent as well. */
  readonly healthPaths: readonly string[];
  readonly adaptiveConcurrency: { readonly minLimit: number; readonly maxLimit: number } | null;
  /** The resources that said so, `KIND/NAMESPACE/NAME`. */
  readonly from: readonly string[];
}

export interface Subset {
  readonly name: string;
  /** Labels that an endpoint's workload must carry. */
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: DestinationPolicy;
  /** Ports with a policy of their own. */
  readonly portPolicies: readonly { readonly port: number; readonly policy: DestinationPolicy }[];
}

/** How a service is called; everyone's rules that name it, merged. */
export interface Destination {
  readonly service: NamespacedKey;
  readonly policy: DestinationPolicy;
  readonly portPolicies: readonly { readonly port: number; readonly policy: DestinationPolicy }[];
  readonly subsets: readonly Subset[];
}

/** Whose tokens are believed, and where they are looked for (RequestAuthentication; l7.md §5.5). */
export interface JwtRule {
  /** Claim `iss` is one of these. */
  readonly issuers: readonly string[];
  /** Claim `aud` has one of these; [] asks nothing. */
  readonly audiences: readonly string[];
  /** A JWK set as text; '' where it is fetched. */
  readonly jwks: string;
  /** '' with `jwks` '': found through the issuer (OpenID Connect discovery). */
  readonly jwksUri: string;
  /** No place at all stands for `authorization: Bearer` and the parameter `access_token`. Names in lower case. */
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly forwardOriginalToken: boolean;
  /** '' for none; in lower case. */
  readonly outputPayloadToHeader: string;
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: readonly string[] }[];
  /** Claims that hold several values in one text, beside `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly string[];
  /** For fetching keys. */
  readonly timeoutMs: number;
  /** The RequestAuthentication that says so. */
  readonly policy: NamespacedKey;
}

/** All that a waypoint does for one service. The resource `NAMESPACE/HOSTNAME` of the route type in discovery. */
export interface ServiceRoutes {
  readonly service: NamespacedKey;
  readonly ports: readonly PortRoutes[];
  readonly destination: Destination;
  /** Destinations that its routes name beyond itself. */
  readonly otherDestinations: readonly Destination[];
  /** `ambient.mesh/server-timing: "true"`. */
  readonly serverTiming: boolean;
  /** `ambient.mesh/trace-sampling-percent` of its namespace; absent for what the waypoint is configured to. */
  readonly tracePercent?: number;
  /** What judges its requests: policies on the service, on its waypoint, on the class of it. Absent for none. */
  readonly policies?: readonly Policy[];
  /** Absent: tokens mean nothing. */
  readonly jwtRules?: readonly JwtRule[];
  /**
   * Set where these are no routes of a service but what judges calls to pods by their own addresses: for the waypoint
   * `NAMESPACE/NAME`, under the key of its own service.
   */
  readonly podsOf?: NamespacedKey;
}
