// The conditions of HTTPRoute and GRPCRoute, per parent (l7.md §1.6, §1.7).
import { type Condition, conditionOf, controllerName, type ObjectStatus, type ParentStatus } from '../conditions.ts';
import type { IssueList } from '../issues.ts';
import type { GatewayRouteResource, ParentReference } from '../route-resources.ts';
import type { Sought } from '../types.ts';
import { grpcPorts, portsOfParent } from './gateway-attachment.ts';
import { gatewayGroup } from './gateway-backends.ts';
import type { CompiledRules } from './gateway-rules.ts';
import type { RouteScope } from './route-scope.ts';
import { notAccepted, waypointConditions } from './waypoint-conditions.ts';

/** The status of a route; parents that are no Service belong to someone else and are left out. */
export function gatewayStatus(
  route: GatewayRouteResource,
  rules: CompiledRules,
  scope: RouteScope,
  list: IssueList,
): ObjectStatus {
  const { kind, namespace, name } = route;
  const parents = route.parents.flatMap((parent, at) => {
    if (parent.group === '' && parent.kind === 'Service') return [parentStatus(route, parent, rules, scope, list)];
    if (isOurGateway(parent, scope)) return [gatewayParentStatus(route, parent, at, list)];
    reportForeign(parent, at, list);
    return [];
  });
  if (route.parents.length === 0) {
    const fix = 'parentRefs: [{group: "", kind: Service, name: NAME}]';
    list.add('AMB0401', ['spec'], 'names no parent: it holds for nothing', fix);
  }
  if (parents.length > 0) {
    for (const { path, message } of route.meaningless) list.add('AMB0405', path, message, 'nothing to do');
  }
  return { kind, namespace, name, conditions: [], parents };
}

function isOurGateway({ group, kind, namespace, name }: ParentReference, scope: RouteScope): boolean {
  return group === gatewayGroup && kind === 'Gateway' && scope.isWaypoint(`${namespace}/${name}`);
}

/** Routes are attached to the services behind a waypoint, not to the waypoint. */
function gatewayParentStatus(
  route: GatewayRouteResource,
  parent: ParentReference,
  at: number,
  list: IssueList,
): ParentStatus {
  const message = `Gateway ${parent.namespace}/${parent.name} is a waypoint, whose listener takes no routes`;
  const fix = 'name the Services behind it: {group: "", kind: Service, name: NAME}';
  list.add('AMB0402', ['spec', 'parentRefs', at], message, fix);
  const conditions = [
    conditionOf(route, 'Accepted', false, 'NotAllowedByListeners', message),
    conditionOf(route, 'ResolvedRefs', true, 'ResolvedRefs', 'nothing is referred to'),
    ...notAccepted(route),
  ];
  return { parentRef: writtenParent(parent), controllerName, conditions };
}

/** A parent that somebody else may know what to do with. */
function reportForeign(parent: ParentReference, at: number, list: IssueList): void {
  const { group, kind, namespace, name } = parent;
  const title = `${kind}.${group} ${namespace}/${name}`;
  const message = `parent ${title} is not for the mesh: waypoints obey routes of a Service`;
  const fix = 'for traffic within the mesh: {group: "", kind: Service, name: NAME}';
  list.add('AMB0403', ['spec', 'parentRefs', at], message, fix);
}

function parentStatus(
  route: GatewayRouteResource,
  parent: ParentReference,
  rules: CompiledRules,
  scope: RouteScope,
  list: IssueList,
): ParentStatus {
  const { namespace, name } = parent;
  const accepted = acceptance(route, parent, rules, scope);
  if (!accepted.isTrue && rules.refused === null) {
    const at = route.parents.indexOf(parent);
    const path = ['spec', 'parentRefs', at];
    const isThere = scope.service(`${namespace}/${name}`) !== undefined;
    const sought: Sought = { kind: 'Service', namespace, name, path: [...path, 'name'] };
    list.add('AMB0404', path, accepted.message, 'the route does nothing for this parent', isThere ? null : sought);
  }
  const conditions: Condition[] = [
    conditionOf(route, 'Accepted', accepted.isTrue, accepted.reason, accepted.message),
    rules.unresolved === null
      ? conditionOf(route, 'ResolvedRefs', true, 'ResolvedRefs', 'all references are found')
      : conditionOf(route, 'ResolvedRefs', false, rules.unresolved.reason, rules.unresolved.message),
    ...waypointConditions(route, accepted.isTrue, [`${namespace}/${name}`], scope),
  ];
  return { parentRef: writtenParent(parent), controllerName, conditions };
}

function writtenParent({
  writtenGroup,
  kind,
  namespace,
  name,
  port,
  sectionName,
}: ParentReference): ParentStatus['parentRef'] {
  return {
    ...{ group: writtenGroup, kind, namespace, name },
    ...(port === null ? {} : { port }),
    ...(sectionName === null ? {} : { sectionName }),
  };
}

interface Acceptance {
  readonly isTrue: boolean;
  readonly reason: string;
  readonly message: string;
}

function acceptance(
  route: GatewayRouteResource,
  parent: ParentReference,
  rules: CompiledRules,
  scope: RouteScope,
): Acceptance {
  if (rules.refused !== null) return { isTrue: false, reason: 'UnsupportedValue', message: rules.refused };
  const id = `${parent.namespace}/${parent.name}`;
  const service = scope.service(id);
  const ports = portsOfParent(parent, service);
  if (typeof ports === 'string' || service === undefined) {
    return { isTrue: false, reason: 'NoMatchingParent', message: String(ports) };
  }
  const fine = { isTrue: true, reason: 'Accepted', message: 'the route is valid' };
  if (route.kind === 'GRPCRoute') return fine;
  const taken = grpcPorts(scope.gatewayRoutesOf(id), service);
  const lost = ports.filter((one) => taken.has(one.port)).map((one) => one.port);
  if (lost.length === 0) return fine;
  const message = `a GRPCRoute has port ${lost.join(', ')} of Service ${id}`;
  if (lost.length === ports.length) return { isTrue: false, reason: 'Conflicted', message };
  return { ...fine, message: `the route is valid; ${message}` };
}
