// What becomes of a VirtualService as a whole: findings for its author, and conditions.
import { type Condition, conditionOf, type ObjectStatus } from '../conditions.ts';
import type { IssueList } from '../issues.ts';
import type { VirtualServiceResource } from '../route-resources.ts';
import type { RouteRule } from '../route-types.ts';
import type { Sought } from '../types.ts';
import { coversHost, fullHost, serviceIdOf, unknownHost } from './hosts.ts';
import type { RouteScope } from './route-scope.ts';
import { anyPort, soughtHost } from './virtual-backends.ts';
import { branchesOf, isCatchAll, isForMesh, placedRules, reasonAgainst } from './virtual-routes.ts';
import { compileVirtualRule } from './virtual-rules.ts';
import { waypointConditions } from './waypoint-conditions.ts';

/** Reports on a VirtualService; returns its status. */
export function virtualStatus(virtual: VirtualServiceResource, scope: RouteScope, list: IssueList): ObjectStatus {
  for (const { path, message } of virtual.unsupported) list.add('AMB0501', path, message, 'the rest of it is done');
  const services = virtual.hosts.flatMap((host, at) => servicesOf(virtual, host, at, scope, list));
  const rules = compileOwn(virtual, scope, list);
  reportUnreachable(virtual, scope, list);
  const isDelegate = virtual.hosts.length === 0;
  const isAccepted = isDelegate || services.length > 0 || !isForMesh(virtual.gateways);
  const invalid = rules.flatMap(({ action }) =>
    action.kind === 'forward' ? action.backends.flatMap((one) => one.invalid?.reason ?? []) : [],
  )[0];
  const conditions: Condition[] = [
    isAccepted
      ? conditionOf(virtual, 'Accepted', true, 'Accepted', isDelegate ? 'it is a delegate' : 'the routes are valid')
      : conditionOf(virtual, 'Accepted', false, 'TargetNotFound', 'none of its hosts is a service that it holds for'),
    invalid === undefined
      ? conditionOf(virtual, 'ResolvedRefs', true, 'ResolvedRefs', 'all destinations are found')
      : conditionOf(virtual, 'ResolvedRefs', false, 'BackendNotFound', invalid),
    ...(isDelegate ? [] : waypointConditions(virtual, isAccepted, services, scope)),
    ...partlyInvalid(virtual),
  ];
  const { kind, namespace, name } = virtual;
  return { kind, namespace, name, conditions, parents: [] };
}

/** The condition that names what is left out; none where everything is done. */
export function partlyInvalid(resource: Pick<VirtualServiceResource, 'raw' | 'unsupported'>): Condition[] {
  const first = resource.unsupported[0];
  if (first === undefined) return [];
  return [conditionOf(resource, 'PartiallyInvalid', true, 'UnsupportedValue', `Fall Back: ${first.message}`)];
}

/** The services of a host that the VirtualService holds for. */
function servicesOf(
  virtual: VirtualServiceResource,
  written: string,
  at: number,
  scope: RouteScope,
  list: IssueList,
): string[] {
  if (!isForMesh(virtual.gateways)) return [];
  const host = fullHost(written, virtual.namespace, scope.clusterDomain);
  const path = ['spec', 'hosts', at];
  if (host.startsWith('*')) return scope.servicesUnder(host, coversHost);
  const id = serviceIdOf(host, scope.clusterDomain);
  const service = id === null ? undefined : scope.service(id);
  if (id === null || service === undefined) {
    const message = `${unknownHost(written, host, scope.clusterDomain)}: nothing is done for it`;
    const sought = soughtHost(written, virtual.namespace, path, scope);
    list.add('AMB0502', path, message, 'name a Service, in full or of this namespace', sought);
    return [];
  }
  const reason = reasonAgainst(virtual, service, scope);
  if (reason !== null) {
    list.add(
      'AMB0503',
      path,
      `does not hold for host ${host}: ${reason}`,
      'move or export it, or use a waypoint there',
    );
    return [];
  }
  if (scope.routesOf(id).size > 0) {
    const message = `service ${id} has HTTPRoutes or GRPCRoutes too, which are tried first`;
    list.add('AMB0504', path, message, 'write all of its routes in one of the two APIs');
  }
  return [id];
}

function compileOwn(virtual: VirtualServiceResource, scope: RouteScope, list: IssueList): RouteRule[] {
  const dropped = (at: number, reason: string): void => {
    const path = ['spec', 'http', at, 'delegate'];
    const delegate = virtual.http[at]?.delegate ?? null;
    const isThere = delegate === null || scope.virtualService(`${delegate.namespace}/${delegate.name}`) !== undefined;
    const sought: Sought | null = isThere ? null : { kind: 'VirtualService', ...delegate, path: [...path, 'name'] };
    list.add('AMB0505', path, `rule ${at} is left out: ${reason}`, 'see docs/routes.md', sought);
  };
  placedRules(virtual, scope, dropped);
  const own = virtual.http.flatMap((rule, at) => (rule.delegate === null ? [{ rule, resource: virtual, at }] : []));
  for (const { rule, at } of own) {
    for (const [branch, match] of rule.matches.entries()) {
      if (match.gateways.length > 0 && !isForMesh(match.gateways)) {
        const path = ['spec', 'http', at, 'match', branch, 'gateways'];
        list.add('AMB0506', path, 'is about a gateway, and not about traffic within the mesh', 'nothing to do');
      }
    }
  }
  return own.map((placed) => compileVirtualRule(placed, anyPort, scope, list));
}

/** What stands behind a rule that takes everything is never reached (istioctl's IST0130). */
function reportUnreachable(virtual: VirtualServiceResource, scope: RouteScope, list: IssueList): void {
  const placed = placedRules(virtual, scope);
  const end = placed.findIndex(
    ({ rule }) => rule.matches.every((one) => one.port === 0) && branchesOf(rule, anyPort).some(isCatchAll),
  );
  if (end < 0) return;
  for (const { resource, at } of placed.slice(end + 1)) {
    if (resource !== virtual) continue;
    const message = `rule ${at} is never reached: a rule before it takes every request`;
    list.add('AMB0507', ['spec', 'http', at], message, 'move it up, or narrow the other one');
  }
}
