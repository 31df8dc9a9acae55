// What holds where nobody said anything: retries, time-outs, how a destination is called, and the table of a service
// without routes. Defaults of Istio (l7.md §3.2 to §3.5), but where issue and docs/routes.md say otherwise.
import { matchAnything, noEdits } from '../route-resources.ts';
import type {
  ConnectionPoolPolicy,
  Destination,
  DestinationPolicy,
  PortRoutes,
  RetryPolicy,
  RouteOrigin,
  RouteRule,
  RouteTimeouts,
  ServiceRoutes,
  WeightedBackend,
} from '../route-types.ts';
import type { LoadBalancing, NamespacedKey, Service } from '../types.ts';

/** Istio's list without status codes: nothing that a server may have worked on. */
export const safeRetryOn: readonly string[] = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'];
/** Of a VirtualService that says how often and not when. */
export const defaultRetryOn: readonly string[] = [...safeRetryOn, 'retriable-status-codes'];
export const defaultAttempts = 2;
export const defaultBackoffBaseMs = 25;
export const backoffMaxFactor = 10;

export const defaultRetry: RetryPolicy = {
  attempts: defaultAttempts,
  perTryTimeoutMs: 0,
  // Beyond Istio's: pods that end while they are asked are daily business, and what may do harm is never sent twice.
  retryOn: [...defaultRetryOn, 'connection-lost'],
  statuses: [],
  backoffBaseMs: defaultBackoffBaseMs,
  backoffMaxMs: defaultBackoffBaseMs * backoffMaxFactor,
  nonIdempotent: false,
  evenIfRetried: false,
  from: 'default',
};

export const noTimeouts: RouteTimeouts = { requestMs: 0, perTryMs: 0, idleMs: 0, maxStreamMs: 0 };

export const defaultConnectionPool: ConnectionPoolPolicy = {
  maxConnections: 0,
  connectTimeoutMs: 10_000,
  maxPendingRequests: 0,
  maxRequests: 0,
  maxRequestsPerConnection: 0,
  maxRetries: 0,
  idleTimeoutMs: 3_600_000,
  upgradeToHttp2: false,
};

/** How a service is called when no DestinationRule and no TrafficPolicy is about it. */
export function defaultPolicy(loadBalancing: LoadBalancing | null): DestinationPolicy {
  const localities = (loadBalancing?.routingPreference ?? []).filter((one) => one !== 'network' && one !== 'cluster');
  return {
    loadBalancing: { algorithm: 'least-request', hash: null, localityPreference: localities, slowStart: null },
    connectionPool: defaultConnectionPool,
    outlier: null,
    retryBudget: { ratio: 0.2, perSecond: 3, minConcurrency: 0 },
    healthPaths: [],
    adaptiveConcurrency: null,
    from: [],
  };
}

/** The destination that a service is without any rule. */
export function defaultDestination(service: NamespacedKey, loadBalancing: LoadBalancing | null): Destination {
  return { service, policy: defaultPolicy(loadBalancing), portPolicies: [], subsets: [] };
}

/** A backend that gets all requests. */
export function wholeBackend(service: NamespacedKey, port: number): WeightedBackend {
  return { service, port, subset: '', invalid: null, weight: 1, requestHeaders: noEdits, responseHeaders: noEdits };
}

/** A rule that does nothing but forward. */
export function plainRule(origin: RouteOrigin, backends: readonly WeightedBackend[]): RouteRule {
  return {
    origin,
    grpc: false,
    action: { kind: 'forward', backends },
    requestHeaders: noEdits,
    responseHeaders: noEdits,
    rewrite: null,
    mirrors: [],
    cors: null,
    fault: null,
    timeouts: noTimeouts,
    retry: defaultRetry,
    rateLimits: [],
  };
}

/** The table of a port that no route is attached to: every request goes to the service itself. */
export function plainPort(
  service: { readonly namespace: string; readonly name: string; readonly key: NamespacedKey },
  port: number,
  protocol: PortRoutes['protocol'],
): PortRoutes {
  const { namespace, name, key } = service;
  const origin: RouteOrigin = { kind: 'Service', namespace, name, rule: 0, ruleName: null, place: null };
  const rules = [plainRule(origin, [wholeBackend(key, port)])];
  return { port, protocol, rules, entries: [{ match: matchAnything, rule: 0 }], attached: false, tcpBackends: [] };
}

/** Routes that lead nowhere, for who wants to say something else under this key. */
export function noRoutes(key: NamespacedKey): ServiceRoutes {
  const destination = defaultDestination(key, null);
  return { service: key, ports: [], destination, otherDestinations: [], serverTiming: false };
}

/** What a waypoint does for a service that discovery has no routes of. */
export function defaultServiceRoutes(service: Service): ServiceRoutes {
  const { namespace, name, hostname } = service;
  const key = `${namespace}/${hostname}`;
  return {
    service: key,
    ports: service.ports.map((port) => plainPort({ namespace, name, key }, port.servicePort, port.appProtocol)),
    destination: defaultDestination(key, service.loadBalancing),
    otherDestinations: [],
    serverTiming: false,
  };
}
