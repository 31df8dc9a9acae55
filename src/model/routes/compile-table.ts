// The routes of one service, put together: for each port the entries in the order in which they are tried.
import { compileService, hostnameOf } from '../compile-service.ts';
import type { ServiceResource } from '../resources.ts';
import {
  exactly,
  type GatewayMatch,
  type GatewayRouteResource,
  matchAnything,
  type VirtualServiceResource,
} from '../route-resources.ts';
import type {
  Backend,
  Destination,
  PortRoutes,
  RouteEntry,
  RouteMatch,
  RouteRule,
  ServiceRoutes,
} from '../route-types.ts';
import { traceSamplingOf } from '../trace-sampling.ts';
import { compileDestination } from './compile-destination.ts';
import { attachedPorts, grpcPorts } from './gateway-attachment.ts';
import type { CompiledRules } from './gateway-rules.ts';
import { serviceIdOf } from './hosts.ts';
import { compareMatches, type RankedMatch } from './precedence.ts';
import { plainPort, plainRule } from './route-defaults.ts';
import { policiesOfService, type RulePolicies } from './route-policies.ts';
import type { RouteScope } from './route-scope.ts';
import { branchesOf, isCatchAll, placedRules, tcpBackendsOf, virtualServicesOf } from './virtual-routes.ts';
import { compileVirtualRule } from './virtual-rules.ts';

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
    if (found !== undefined && found.rules.refused === null) {
      attached.push({ route: found.route, rules: found.rules.rules });
    }
  }
  const virtuals = virtualServicesOf(service, scope);
  const policies = policiesOfService(scope, id);
  const authors = [service, ...attached.map((one) => one.route), ...virtuals];
  const serverTiming = authors.some((one) => one.annotations[serverTimingAnnotation] === 'true');
  const destination = compileDestination(id, compiled.loadBalancing, scope);
  const isPlain = attached.length + virtuals.length + policies.rateLimits.length + destination.policy.from.length === 0;
  const tracePercent = traceSamplingOf(scope.annotationsOf(service.namespace));
  if (isPlain && !serverTiming && tracePercent === null) return null;
  const key = `${service.namespace}/${hostnameOf(service.namespace, service.name, scope.clusterDomain)}`;
  const builder = new TableBuilder({ service, key, scope, policies, attached, virtuals });
  const ports = compiled.ports.map((port) => builder.port(port.servicePort, port.appProtocol));
  const table = { service: key, ports, destination, otherDestinations: otherDestinations(key, ports, scope) };
  return { ...table, serverTiming, ...(tracePercent === null ? {} : { tracePercent }) };
}

/** How the backends of the rules are called, but for the service itself. */
function otherDestinations(key: string, ports: readonly PortRoutes[], scope: RouteScope): Destination[] {
  const named = new Set<string>();
  for (const { rules, tcpBackends } of ports) {
    for (const { action, mirrors } of rules) {
      const backends: Backend[] = [
        ...(action.kind === 'forward' ? action.backends : []),
        ...mirrors.map((one) => one.backend),
        ...(action.kind === 'forward' ? action.backends : []).flatMap((one) =>
          (one.filters?.mirrors ?? []).map((mirror) => mirror.backend),
        ),
      ];
      for (const one of backends) if (one.invalid === null) named.add(one.service);
    }
    for (const one of tcpBackends) if (one.invalid === null) named.add(one.service);
  }
  named.delete(key);
  return [...named].sort().flatMap((one) => {
    const id = serviceIdOf(one.slice(one.indexOf('/') + 1), scope.clusterDomain);
    const service = id === null ? undefined : scope.service(id);
    const compiled = service === undefined ? null : compileService(service, scope.clusterDomain, null);
    return id === null || compiled === null ? [] : [compileDestination(id, compiled.loadBalancing, scope)];
  });
}

interface TableInput {
  readonly service: ServiceResource;
  readonly key: string;
  readonly scope: RouteScope;
  readonly policies: RulePolicies;
  readonly attached: readonly AttachedRoute[];
  readonly virtuals: readonly VirtualServiceResource[];
}

class TableBuilder {
  readonly #input: TableInput;
  readonly #attached: readonly { readonly one: AttachedRoute; readonly ports: ReadonlySet<number> }[];
  readonly #grpcPorts: ReadonlySet<number>;

  constructor(input: TableInput) {
    const { service, attached } = input;
    this.#input = input;
    this.#attached = attached.map((one) => ({ one, ports: attachedPorts(one.route, service) }));
    this.#grpcPorts = grpcPorts(
      attached.map((one) => one.route),
      service,
    );
  }

  port(port: number, protocol: PortRoutes['protocol']): PortRoutes {
    const { service, key, policies, virtuals, scope } = this.#input;
    const { namespace, name } = service;
    const plain = plainPort({ namespace, name, key }, port, protocol);
    const tcpBackends = tcpBackendsOf(virtuals, key.slice(namespace.length + 1), port, scope);
    const plainRules = plain.rules.map((rule) => withPolicies(rule, policies));
    if (protocol === 'tcp' || protocol === 'tls') return { ...plain, rules: plainRules, tcpBackends };
    const list = new EntryList(policies);
    const isGatewayEnd = this.#addGateway(list, port, plain.rules[0]!);
    if (!isGatewayEnd) this.#addVirtual(list, port);
    if (list.entries.length === 0) return { ...plain, rules: plainRules, tcpBackends };
    // With consumer routes alone everybody else goes to the service as before.
    if (!list.isForAll) list.add(matchAnything, plain.rules[0]!);
    return { ...plain, rules: list.rules, entries: list.entries, attached: true, tcpBackends };
  }

  /** Returns true when no request can get past these entries. */
  #addGateway(list: EntryList, port: number, plain: RouteRule): boolean {
    const { namespace } = this.#input.service;
    const isGrpc = this.#grpcPorts.has(port);
    const routes = this.#attached
      .filter(({ one, ports }) => ports.has(port) && (!isGrpc || one.route.kind === 'GRPCRoute'))
      .map(({ one }) => one);
    const inNamespace = (wanted: string): AttachedRoute[] => routes.filter((one) => one.route.namespace === wanted);
    const consumers = [...new Set(routes.map((one) => one.route.namespace))].filter((one) => one !== namespace).sort();
    for (const consumer of consumers) {
      list.addGateway(inNamespace(consumer), consumer);
      list.add({ ...matchAnything, sourceNamespace: consumer }, missRule(plain, consumer));
    }
    const producers = inNamespace(namespace);
    list.addGateway(producers, '');
    if (producers.length > 0) list.isForAll = true;
    return list.entries.some(({ match }) => isCatchAll(match));
  }

  #addVirtual(list: EntryList, port: number): void {
    const { virtuals, scope } = this.#input;
    for (const placed of virtuals.flatMap((virtual) => placedRules(virtual, scope))) {
      const branches = branchesOf(placed.rule, port);
      if (branches.length === 0) continue;
      list.isForAll = true;
      const rule = compileVirtualRule(placed, port, scope, null);
      for (const match of branches) list.add(match, rule);
      // What follows is never reached.
      if (branches.some(isCatchAll)) return;
    }
  }
}

class EntryList {
  readonly rules: RouteRule[] = [];
  readonly entries: RouteEntry[] = [];
  /** Some entry is not only about the clients of one namespace. */
  isForAll = false;
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
