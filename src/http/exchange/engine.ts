// What all requests of a thread share: destinations and their connections, routes as compiled, limits, figures.
import { DeadlineLists } from '../../io/deadlines.ts';
import { serviceKey } from '../../model/mesh-index.ts';
import type { Backend, Destination as DestinationRules, ServiceRoutes } from '../../model/route-types.ts';
import { defaultPolicy, defaultServiceRoutes } from '../../model/routes/route-defaults.ts';
import type { NamespacedKey, Service } from '../../model/types.ts';
import type { Tracer } from '../../telemetry/traces/tracer.ts';
import type { Destination } from '../balance/destination.ts';
import { Destinations } from '../balance/destinations.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { ComposedRequest, HttpProtocol, RequestChanges, RequestHead } from '../message.ts';
import { RateLimiter } from '../resilience/rate-limits.ts';
import { compileRoutes, type RouteTable } from '../routes/route-table.ts';
import { composeHead, speakHttp } from './codecs.ts';
import type { ClientInfo, HttpServiceContext, RequestJudge } from './context.ts';
import { EndpointPool, idleLooks, type PoolEnvironment } from './endpoint-pool.ts';
import type { Exchange } from './exchange.ts';
import type { ExchangeTimer } from './exchange-timers.ts';
import type { HttpLimits } from './limits.ts';
import { LiveRequests } from './live-requests.ts';
import type { Mirror, MirrorOwner } from './mirror.ts';
import { noticeOutlier } from './notices.ts';
import { RequestRows } from './request-rows.ts';

/** One per thread. */
export class Engine implements MirrorOwner {
  readonly context: HttpServiceContext;
  readonly limits: HttpLimits;
  readonly random: () => number;
  readonly judge: RequestJudge | null;
  /** Null: nothing is traced. */
  readonly tracer: Tracer | null;
  readonly deadlines = new DeadlineLists();
  readonly rateLimiter = new RateLimiter();
  readonly rows: RequestRows;
  readonly live = new LiveRequests();
  retries = 0;
  /** By service, `NAMESPACE/NAME`. */
  readonly retriesRefused = new Map<string, number>();
  ejections = 0;
  mirrorsDropped = 0;
  /** By the name of the limit: requests that it refused, or refused another try. */
  readonly limited = new Map<string, number>();
  #mirrors = 0;
  onIdle: (() => void) | null = null;
  readonly #destinations: Destinations;
  readonly #pools = new Map<Endpoint, EndpointPool[]>();
  readonly #environments = new WeakMap<Destination, PoolEnvironment>();
  readonly #tables = new WeakMap<ServiceRoutes, RouteTable>();
  readonly #keys = new WeakMap<Service, NamespacedKey>();
  readonly #defaults = new WeakMap<Service, ServiceRoutes>();
  /** How services are called that routes of other services name. */
  #otherRules = new Map<NamespacedKey, DestinationRules>();

  constructor(context: HttpServiceContext) {
    this.context = context;
    this.limits = context.limits;
    this.random = context.random;
    this.judge = context.judge;
    this.tracer = context.tracer ?? null;
    this.rows = new RequestRows(context.counters);
    this.#destinations = new Destinations({
      index: context.index,
      rulesOf: (service) => context.routesOf(service)?.destination ?? this.#otherRules.get(service) ?? null,
      defaultPolicy: defaultPolicy(null),
      labelsOf: (workload) => workload.labels ?? {},
      self: context.self,
      random: context.random,
      onGone: (endpoint) => this.#gone(endpoint),
      onOutlier: (destination, event) => {
        if (event.kind === 'ejected') this.ejections++;
        if (context.notice !== undefined) noticeOutlier(context.notice, destination, event);
      },
    });
  }

  get mirrorBodyBytes(): number {
    return this.limits.mirrorBodyBytes;
  }

  get mirrorTimeoutMs(): number {
    return this.limits.mirrorTimeoutMs;
  }

  get upstreamConnections(): number {
    let count = 0;
    for (const pools of this.#pools.values()) for (const pool of pools) count += pool.connections;
    return count;
  }

  nowMs(): number {
    return performance.now();
  }

  routesOf(client: ClientInfo): RouteTable {
    const routes = this.context.routesOf(this.#keyOf(client.service)) ?? this.#defaultRoutes(client);
    const known = this.#tables.get(routes);
    if (known !== undefined) return known;
    const made = compileRoutes(routes);
    for (const other of routes.otherDestinations) this.#otherRules.set(other.service, other);
    this.#tables.set(routes, made);
    return made;
  }

  #keyOf(service: Service): NamespacedKey {
    let key = this.#keys.get(service);
    if (key === undefined) {
      key = serviceKey(service);
      this.#keys.set(service, key);
    }
    return key;
  }

  #defaultRoutes(client: ClientInfo): ServiceRoutes {
    const known = this.#defaults.get(client.service);
    if (known !== undefined) return known;
    const routes = defaultServiceRoutes(client.service);
    this.#defaults.set(client.service, routes);
    return routes;
  }

  destinationOf(backend: Backend, nowMs: number): Destination | null {
    return this.#destinations.of(backend.service, backend.port, backend.subset, nowMs);
  }

  destinations(): readonly Destination[] {
    return this.#destinations.values();
  }

  poolOf(destination: Destination, endpoint: Endpoint, protocol: HttpProtocol): EndpointPool {
    const pools = this.#pools.get(endpoint);
    if (pools !== undefined) for (const pool of pools) if (pool.protocol === protocol) return pool;
    const made = new EndpointPool(endpoint, protocol, this.#environmentOf(destination));
    if (pools === undefined) this.#pools.set(endpoint, [made]);
    else pools.push(made);
    return made;
  }

  #environmentOf(destination: Destination): PoolEnvironment {
    const known = this.#environments.get(destination);
    if (known !== undefined) return known;
    const { limits, context, deadlines } = this;
    const idleMs = (): number => {
      const own = destination.policy.connectionPool.idleTimeoutMs;
      return own > 0 ? Math.min(own, limits.upstreamIdleMs) : limits.upstreamIdleMs;
    };
    const environment: PoolEnvironment = {
      serviceName: destination.service.hostname,
      breakers: destination.breakers,
      get idle() {
        return deadlines.of(idleMs() / idleLooks);
      },
      http2ConnectionsMax: limits.http2ConnectionsPerEndpoint,
      open: (endpoint, callback) => {
        const { service, policy } = destination;
        const timeoutMs = policy.connectionPool.connectTimeoutMs || limits.connectTimeoutMs;
        const { workload, address, port: targetPort } = endpoint;
        return context.connect({ service, workload, address, targetPort, timeoutMs }, callback);
      },
      speak: speakHttp,
    };
    this.#environments.set(destination, environment);
    return environment;
  }

  compose(protocol: HttpProtocol, head: RequestHead, changes: RequestChanges): ComposedRequest {
    return composeHead(protocol, head, changes);
  }

  countLimit(limit: string): void {
    this.limited.set(limit, (this.limited.get(limit) ?? 0) + 1);
  }

  countRetryRefused({ namespace, name }: Service): void {
    const service = `${namespace}/${name}`;
    this.retriesRefused.set(service, (this.retriesRefused.get(service) ?? 0) + 1);
  }

  /** Takes a request in, until it calls `finished`. */
  begin(exchange: Exchange): void {
    this.live.add(exchange);
    exchange.proceed();
  }

  finished(exchange: Exchange): void {
    this.live.delete(exchange);
    if (this.live.size === 0) this.onIdle?.();
  }

  // ---- mirrors ----

  admitMirror(): boolean {
    if (this.#mirrors < this.limits.mirrorsInFlight) {
      this.#mirrors++;
      return true;
    }
    this.mirrorsDropped++;
    return false;
  }

  onMirrorEnd(_mirror: Mirror, isWhole: boolean): void {
    this.#mirrors--;
    if (!isWhole) this.mirrorsDropped++;
  }

  deadline(timer: ExchangeTimer, ms: number): void {
    this.deadlines.of(ms).set(timer);
  }

  // ---- changes and the end ----

  meshChanged(): void {
    this.#destinations.refresh(this.nowMs());
  }

  policiesChanged(): void {
    if (this.judge !== null) this.live.policiesChanged(this.judge);
  }

  close(): void {
    for (const pools of this.#pools.values()) for (const pool of pools) pool.destroy();
    this.#pools.clear();
    this.deadlines.close();
  }

  #gone(endpoint: Endpoint): void {
    for (const pool of this.#pools.get(endpoint) ?? []) pool.close();
    this.#pools.delete(endpoint);
  }
}
