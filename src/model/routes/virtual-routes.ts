// The VirtualServices of a service: which of them hold for it, delegates put in place, and their rules in order (l7.md
// §3.1).
import { hostnameOf } from '../compile-service.ts';
import type { ServiceResource } from '../resources.ts';
import type { VirtualBackend, VirtualMatch, VirtualRule, VirtualServiceResource } from '../route-resources.ts';
import { matchAnything } from '../route-resources.ts';
import type { RouteMatch, WeightedBackend } from '../route-types.ts';
import { isExported, patternsOf } from './hosts.ts';
import { compareAge } from './precedence.ts';
import type { RouteScope } from './route-scope.ts';
import { resolveDestination } from './virtual-backends.ts';
import { mergeRules } from './virtual-merge.ts';
import type { PlacedRule } from './virtual-rules.ts';

const meshGateway = 'mesh';

/** The VirtualServices that hold for a service, the oldest first. */
export function virtualServicesOf(service: ServiceResource, scope: RouteScope): VirtualServiceResource[] {
  const hostname = hostnameOf(service.namespace, service.name, scope.clusterDomain);
  const found = new Map<string, VirtualServiceResource>();
  for (const pattern of patternsOf(hostname)) {
    for (const one of scope.virtualServices(pattern)) found.set(`${one.namespace}/${one.name}`, one);
  }
  return [...found.values()].filter((one) => reasonAgainst(one, service, scope) === null).sort(compareAge);
}

/** Why a VirtualService that names a service's host does not hold for it; null when it does. */
export function reasonAgainst(
  virtual: VirtualServiceResource,
  service: ServiceResource,
  scope: RouteScope,
): string | null {
  const id = `${service.namespace}/${service.name}`;
  if (!isForMesh(virtual.gateways)) return `its gateways do not name ${meshGateway}`;
  if (!isExported(virtual.exportTo, virtual.namespace, service.namespace))
    return `it is not exported to ${service.namespace}`;
  const places = [service.namespace, ...scope.waypointNamespaces(id)];
  if (places.includes(virtual.namespace)) return null;
  return `a waypoint obeys the VirtualServices of its own namespace and of ${service.namespace}, where service ${id} is`;
}

/** True for rules about traffic within the mesh. */
export function isForMesh(gateways: readonly string[]): boolean {
  return gateways.length === 0 || gateways.includes(meshGateway);
}

/** The rules of a VirtualService in order, delegates in their place; `dropped` hears of what fits nowhere. */
export function placedRules(
  virtual: VirtualServiceResource,
  scope: RouteScope,
  dropped?: (at: number, reason: string) => void,
): PlacedRule[] {
  return virtual.http.flatMap((rule, at) => {
    if (rule.delegate === null) return [{ rule, resource: virtual, at }];
    const id = `${rule.delegate.namespace}/${rule.delegate.name}`;
    const delegate = scope.virtualService(id);
    const reason = delegateProblem(virtual, delegate, id);
    if (delegate === undefined || reason !== null) {
      dropped?.(at, reason ?? '');
      return [];
    }
    return delegate.http.flatMap((child, childAt) => {
      const merged = mergeRules(rule, child);
      if (merged === null) {
        dropped?.(at, `no match of rule ${childAt} of the delegate ${id} fits into those of this rule`);
        return [];
      }
      return [{ rule: merged, resource: delegate, at: childAt }];
    });
  });
}

function delegateProblem(
  root: VirtualServiceResource,
  delegate: VirtualServiceResource | undefined,
  id: string,
): string | null {
  if (delegate === undefined) return `the delegate VirtualService ${id} is not there`;
  if (delegate.hosts.length > 0) return `VirtualService ${id} has hosts, so that it is no delegate`;
  if (!isExported(delegate.exportTo, delegate.namespace, root.namespace)) {
    return `the delegate VirtualService ${id} is not exported to ${root.namespace}`;
  }
  return null;
}

/** The branches of a rule that can match at a port; none when the rule holds elsewhere only. */
export function branchesOf(rule: VirtualRule, port: number): readonly RouteMatch[] {
  if (rule.matches.length === 0) return [matchAnything];
  return rule.matches
    .filter((match) => isForMesh(match.gateways) && (match.port === 0 || match.port === port))
    .map(plain);
}

function plain(match: VirtualMatch): RouteMatch {
  const { path, method, scheme, authority, headers, query, claims, sourceNamespace, sourceLabels } = match;
  return { path, method, scheme, authority, headers, query, claims, sourceNamespace, sourceLabels };
}

/** True for a branch that every request matches, so that what follows it is never reached. */
export function isCatchAll(match: RouteMatch): boolean {
  const { path, method, scheme, authority, headers, query, claims, sourceNamespace, sourceLabels } = match;
  const asksNothing = [method, scheme, authority].every((one) => one === null) && sourceNamespace === '';
  const lists = headers.length + query.length + claims.length + Object.keys(sourceLabels).length;
  return asksNothing && lists === 0 && (path === null || coversAll(path));
}

function coversAll({ kind, value }: NonNullable<RouteMatch['path']>): boolean {
  if (kind === 'regex') return value === '.*';
  return value === '/' && kind !== 'exact';
}

/** Where a TCP or TLS port of a service leads; TLS rules go first, and the first that matches counts. */
export function tcpBackendsOf(
  virtuals: readonly VirtualServiceResource[],
  hostname: string,
  port: number,
  scope: RouteScope,
): readonly WeightedBackend[] {
  const rules = virtuals.flatMap((resource) => resource.tcp.map((rule) => ({ rule, resource })));
  const ordered = [
    ...rules.filter(({ rule }) => rule.protocol === 'tls'),
    ...rules.filter(({ rule }) => rule.protocol === 'tcp'),
  ];
  for (const { rule, resource } of ordered) {
    const isHit =
      rule.matches.length === 0 ||
      rule.matches.some(
        (match) =>
          !match.isNever &&
          isForMesh(match.gateways) &&
          (match.port === 0 || match.port === port) &&
          (match.sniHosts === null || match.sniHosts.includes(hostname)),
      );
    if (isHit) return rule.route.map((one) => tcpBackend(one, rule.route.length, resource.namespace, port, scope));
  }
  return [];
}

function tcpBackend(
  one: VirtualBackend,
  count: number,
  namespace: string,
  port: number,
  scope: RouteScope,
): WeightedBackend {
  const { requestHeaders, responseHeaders } = one;
  const backend = resolveDestination(one, namespace, port, scope);
  return { ...backend, weight: count === 1 ? 1 : one.weight, requestHeaders, responseHeaders };
}
