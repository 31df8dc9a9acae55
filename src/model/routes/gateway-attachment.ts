// Where routes of Gateway API attach to a Service (GAMMA, l7.md §1.7): by port, the most specific kind of route winning
// a port, the service's own namespace for everybody and another one for its own clients.
import { didYouMean } from '../../base/nearest-name.ts';
import type { ServicePort, ServiceResource } from '../resources.ts';
import type { GatewayRouteResource, ParentReference } from '../route-resources.ts';
import { portsText } from './gateway-backends.ts';

/** Ports of the Service that a parentRef is about; or why there is none. */
export function portsOfParent(
  parent: ParentReference,
  service: ServiceResource | undefined,
): readonly ServicePort[] | string {
  const title = `Service ${parent.namespace}/${parent.name}`;
  if (service === undefined) return `${title} is not there`;
  if (service.type === 'ExternalName') return `${title} is an ExternalName, which is no parent of routes`;
  if (service.headless) return `${title} is headless, which is no parent of routes`;
  const { port, sectionName } = parent;
  const tcp = service.ports.filter((one) => one.protocol === 'TCP');
  const ports = tcp.filter(
    (one) => (port === null || one.port === port) && (sectionName === null || one.name === sectionName),
  );
  if (ports.length > 0) return ports;
  const names = sectionName === null ? [] : tcp.map((one) => one.name);
  const hint = didYouMean(sectionName ?? '', names);
  return `${title} has no port ${port ?? sectionName ?? 'at all'}; its ports: ${portsText(tcp)}${hint}`;
}

/** The numbers of the Service's ports that the route is attached to by any of its parentRefs. */
export function attachedPorts(route: GatewayRouteResource, service: ServiceResource): Set<number> {
  const numbers = new Set<number>();
  for (const parent of route.parents) {
    if (!isParentService(parent, service)) continue;
    const ports = portsOfParent(parent, service);
    if (typeof ports !== 'string') for (const one of ports) numbers.add(one.port);
  }
  return numbers;
}

/** True for a parentRef to this Service. */
export function isParentService(
  parent: ParentReference,
  service: { readonly namespace: string; readonly name: string },
): boolean {
  const { group, kind, namespace, name } = parent;
  return group === '' && kind === 'Service' && namespace === service.namespace && name === service.name;
}

/** Ports where a GRPCRoute is attached; HTTPRoutes are not heard there. */
export function grpcPorts(routes: Iterable<GatewayRouteResource>, service: ServiceResource): Set<number> {
  const numbers = new Set<number>();
  for (const route of routes) {
    if (route.kind === 'GRPCRoute' && route.unsupported.length === 0) {
      for (const port of attachedPorts(route, service)) numbers.add(port);
    }
  }
  return numbers;
}
