// The conditions that say whether a waypoint does what a route or policy asks for.
import { type Condition, conditionOf } from '../conditions.ts';
import type { ResourceMeta } from '../resources.ts';
import type { RouteScope } from './route-scope.ts';

/** WaypointAccepted and Programmed, for what is about these Services; `isAccepted` says whether it is valid at all. */
export function waypointConditions(
  resource: Pick<ResourceMeta, 'raw'>,
  isAccepted: boolean,
  serviceIds: readonly string[],
  scope: RouteScope,
): Condition[] {
  const bound = serviceIds.filter((id) => scope.waypointOf(id) !== null);
  const condition = (type: 'WaypointAccepted' | 'Programmed', isTrue: boolean, reason: string, message: string) =>
    conditionOf(resource, type, isTrue, reason, message);
  if (!isAccepted) return notAccepted(resource);
  if (serviceIds.length === 0) {
    const message = 'it is about no service';
    return [
      condition('WaypointAccepted', false, 'TargetNotFound', message),
      condition('Programmed', false, 'Invalid', message),
    ];
  }
  if (bound.length === 0) {
    const message = `no waypoint stands before Service ${shortList(serviceIds)}; label it ambient.mesh/use-waypoint`;
    return [
      condition('WaypointAccepted', false, 'AncestorNotBound', message),
      condition('Programmed', false, 'NoResources', message),
    ];
  }
  const waypoints = bound.map((id) => scope.waypointOf(id)!).map((one) => `${one.namespace}/${one.name}`);
  const message = `bound to waypoint ${shortList([...new Set(waypoints)].sort())}`;
  return [
    condition('WaypointAccepted', true, 'Accepted', message),
    condition('Programmed', true, 'Programmed', message),
  ];
}

/** WaypointAccepted and Programmed of what is not accepted. */
export function notAccepted(resource: Pick<ResourceMeta, 'raw'>): Condition[] {
  const message = 'it is not accepted';
  return [
    conditionOf(resource, 'WaypointAccepted', false, 'Invalid', message),
    conditionOf(resource, 'Programmed', false, 'Invalid', message),
  ];
}

const listedMax = 5;

function shortList(names: readonly string[]): string {
  const more = names.length - listedMax;
  return `${names.slice(0, listedMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
