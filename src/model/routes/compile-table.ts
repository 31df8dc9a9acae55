// The routes of one service, put together: for each port the entries in the order in which they are tried.
import { compileService, hostnameOf } from '../compile-service.ts';
import type { ServiceResource } from '../resources.ts';
import { exactly, type GatewayMatch, type GatewayRouteResource, matchAnything } from '../route-resources.ts';
import type { Destination, PortRoutes, RouteEntry, RouteMatch, RouteRule, ServiceRoutes } from '../route-types.ts';
import { attachedPorts, grpcPorts } from './gateway-attachment.ts';
import type { CompiledRules } from './gateway-rules.ts';
import { compareMatches, type RankedMatch } from './precedence.ts';
import { defaultDestination, plainPort, plainRule } from './route-defaults.ts';
import { policiesOfService, type RulePolicies } from './route-policies.ts';
import type { RouteScope } from './route-scope.ts';

export interface AttachedRoute {
  readonly route: GatewayRouteResource;
  readonly rules: readonly RouteRule[];
}

export const serverTimingAnnotation = 'ambient.mesh/server-timing';

/** The table of a service; null where everything is as by default. */
export function compileTable(
  service: ServiceResource,
  scope: RouteScope,
  compiledOf: (routeId: string) => { route: GatewayRouteResource; rules: CompiledRules } | undefined,
): ServiceRoutes | null {
  const compiled = compileService(service, scope.clusterDomain, null);
  if (compiled === null) return null;
  const id = `${service.namespace}/${service.name}`;
  const attached: AttachedRoute[] = [];
  for (const routeId of scope.routesOf(id)) {
    const found = compiledOf(routeId);
    if (found !== undefined && found.rules.refused === null)
      attached.push({ route: found.route, rules: found.rules.rules });
  }
  const policies = policiesOfService(scope, id);
  const serverTiming = [service, ...attached.map((one) => one.route)].some(
    (one) => one.annotations[serverTimingAnnotation] === 'true',
  );
  const isPlain = attached.length === 0 && policies.rateLimits.length === 0 && policies.traffic === null;
  if (isPlain && !serverTiming) return null;
  const key = `${service.namespace}/${hostnameOf(service.namespace, service.name, scope.clusterDomain)}`;
  const builder = new TableBuilder(service, key, attached, policies);
  const ports = compiled.ports.map((port) => builder.port(port.servicePort, port.appProtocol));
  const destination: Destination = defaultDestination(key, compiled.loadBalancing);
  return { service: key, ports, destination, otherDestinations: [], serverTiming };
}

class TableBuilder {
  readonly #service: ServiceResource;
  readonly #key: string;
  readonly #attached: readonly { readonly one: AttachedRoute; readonly ports: ReadonlySet<number> }[];
  readonly #grpcPorts: ReadonlySet<number>;
  readonly #policies: RulePolicies;

  constructor(service: ServiceResource, key: string, attached: readonly AttachedRoute[], policies: RulePolicies) {
    this.#service = service;
    this.#key = key;
    this.#attached = attached.map((one) => ({ one, ports: attachedPorts(one.route, service) }));
    this.#grpcPorts = grpcPorts(
      attached.map((one) => one.route),
      service,
    );
    this.#policies = policies;
  }

  port(port: number, protocol: PortRoutes['protocol']): PortRoutes {
    const { namespace, name } = this.#service;
    const plain = plainPort({ namespace, name, key: this.#key }, port, protocol);
    const isGrpc = this.#grpcPorts.has(port);
    const routes = this.#attached
      .filter(({ one, ports }) => ports.has(port) && (!isGrpc || one.route.kind === 'GRPCRoute'))
      .map(({ one }) => one);
    if (routes.length === 0) return { ...plain, rules: plain.rules.map((rule) => withPolicies(rule, this.#policies)) };
    const list = new EntryList(this.#policies);
    const consumers = [...new Set(routes.map((one) => one.route.namespace))].filter((one) => one !== namespace).sort();
    for (const consumer of consumers) {
      list.addGateway(
        routes.filter((one) => one.route.namespace === consumer),
        consumer,
      );
      list.add({ ...matchAnything, sourceNamespace: consumer }, missRule(plain.rules[0]!, consumer));
    }
    list.addGateway(
      routes.filter((one) => one.route.namespace === namespace),
      '',
    );
    // With consumer routes alone everybody else goes to the service as before.
    const isForAll = routes.some((one) => one.route.namespace === namespace);
    if (!isForAll) list.add(matchAnything, withPolicies(plain.rules[0]!, this.#policies));
    return { ...plain, rules: list.rules, entries: list.entries, attached: true };
  }
}

class EntryList {
  readonly rules: RouteRule[] = [];
  readonly entries: RouteEntry[] = [];
  readonly #policies: RulePolicies;
  readonly #indexOf = new Map<RouteRule, number>();

  constructor(policies: RulePolicies) {
    this.#policies = policies;
  }

  add(match: RouteMatch, rule: RouteRule): void {
    let index = this.#indexOf.get(rule);
    if (index === undefined) {
      index = this.rules.push(withPolicies(rule, this.#policies)) - 1;
      this.#indexOf.set(rule, index);
    }
    this.entries.push({ match, rule: index });
  }

  /** Routes of one group, in the order of their precedence. */
  addGateway(routes: readonly AttachedRoute[], sourceNamespace: string): void {
    const ranked: (RankedMatch & { readonly rule: RouteRule })[] = routes.flatMap(({ route, rules }) =>
      route.rules.flatMap((written, ruleAt) =>
        written.matches.map((match, matchAt) => ({ route, match, ruleAt, matchAt, rule: rules[ruleAt]! })),
      ),
    );
    for (const { match, rule } of ranked.sort(compareMatches)) this.add(matchOf(match, sourceNamespace), rule);
  }
}

function matchOf(match: GatewayMatch, sourceNamespace: string): RouteMatch {
  const { path, method, headers, query } = match;
  return { ...matchAnything, path, method: method === null ? null : exactly(method), headers, query, sourceNamespace };
}

/** Clients of a namespace with routes of its own get 404 for what these do not match. */
function missRule(plain: RouteRule, consumer: string): RouteRule {
  const reason = `no route of namespace ${consumer} matches`;
  return { ...plainRule(plain.origin, []), action: { kind: 'invalid', status: 404, reason } };
}

function withPolicies(rule: RouteRule, policies: RulePolicies): RouteRule {
  const { rateLimits, traffic, idleTimeoutMs, maxStreamMs } = policies;
  if (rateLimits.length === 0 && traffic === null) return rule;
  const { retry, timeouts } = rule;
  return {
    ...rule,
    rateLimits: [...rule.rateLimits, ...rateLimits],
    timeouts: {
      ...timeouts,
      idleMs: timeouts.idleMs || idleTimeoutMs,
      maxStreamMs: timeouts.maxStreamMs || maxStreamMs,
    },
    retry: {
      ...retry,
      nonIdempotent: retry.nonIdempotent || traffic?.retryNonIdempotent === true,
      evenIfRetried: retry.evenIfRetried || traffic?.retryEvenIfRetried === true,
    },
  };
}
