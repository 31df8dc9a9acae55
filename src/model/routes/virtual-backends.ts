// Destinations of a VirtualService: host, subset and port, found or invalid.
import { hostnameOf } from '../compile-service.ts';
import type { VirtualDestination } from '../route-resources.ts';
import type { Backend } from '../route-types.ts';
import { rulesFor } from './compile-destination.ts';
import { fullHost, serviceIdOf, unknownHost } from './hosts.ts';
import type { RouteScope } from './route-scope.ts';

/** Asked for where only the findings count: a destination without a port is taken to have the right one. */
export const anyPort = 0;

/**
 * Looks a destination up from the namespace of the VirtualService. Without a port it is the service's only one, else
 * the one that was asked for. What is not there is answered with 503, as by Istio.
 */
export function resolveDestination(
  destination: VirtualDestination,
  namespace: string,
  askedPort: number,
  scope: RouteScope,
): Backend {
  const host = fullHost(destination.host, namespace, scope.clusterDomain);
  const { subset } = destination;
  const id = serviceIdOf(host, scope.clusterDomain);
  const invalid = (reason: string): Backend => ({
    service: `${id?.split('/')[0] ?? namespace}/${host}`,
    port: destination.port ?? askedPort,
    subset,
    invalid: { status: 503, reason },
  });
  const service = id === null ? undefined : scope.service(id);
  if (id === null || service === undefined) {
    return invalid(unknownHost(destination.host, host, scope.clusterDomain));
  }
  if (service.type === 'ExternalName') return invalid(`host ${host} is an ExternalName, which waypoints do not call`);
  const ports = service.ports.filter((one) => one.protocol === 'TCP').map((one) => one.port);
  const port = destination.port ?? (ports.length === 1 || askedPort === anyPort ? (ports[0] ?? 0) : askedPort);
  if (!ports.includes(port)) return invalid(`service ${id} has no port ${port}`);
  if (subset !== '' && !rulesFor(id, scope).some((rule) => rule.subsets.some((one) => one.name === subset))) {
    return invalid(`no DestinationRule of ${host} has a subset ${subset}`);
  }
  return {
    service: `${service.namespace}/${hostnameOf(service.namespace, service.name, scope.clusterDomain)}`,
    port,
    subset,
    invalid: null,
  };
}
