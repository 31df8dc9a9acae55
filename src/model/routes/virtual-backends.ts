// Destinations of a VirtualService: host, subset and port, found or invalid.
import { thereIs } from '../../base/nearest-name.ts';
import { hostnameOf } from '../compile-service.ts';
import type { ResourcePath } from '../resources.ts';
import type { DestinationRuleResource, VirtualDestination } from '../route-resources.ts';
import type { Backend } from '../route-types.ts';
import type { Sought } from '../types.ts';
import { rulesFor } from './compile-destination.ts';
import { portsText } from './gateway-backends.ts';
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
  if (!ports.includes(port)) return invalid(`service ${id} has no port ${port}; it has ${portsText(service.ports)}`);
  const subsets = subset === '' ? null : missingSubset(subset, host, rulesFor(id, scope));
  if (subsets !== null) return invalid(subsets);
  return {
    service: `${service.namespace}/${hostnameOf(service.namespace, service.name, scope.clusterDomain)}`,
    port,
    subset,
    invalid: null,
  };
}

/** Why there is no such subset; null when there is. */
function missingSubset(
  subset: string,
  host: string,
  rules: readonly Pick<DestinationRuleResource, 'name' | 'subsets'>[],
): string | null {
  const names = rules.flatMap((rule) => rule.subsets.map(({ name }) => name));
  if (names.includes(subset)) return null;
  const titles = rules.map(({ name }) => name).join(', ');
  if (titles === '') return `no DestinationRule of ${host} has a subset ${subset}; there is none for it`;
  return `subset ${subset} is not in DestinationRule ${titles}; ${thereIs(subset, names, 'it has')}`;
}

/** The Service that a host names, when it is one of the cluster and not there; null otherwise. */
export function soughtHost(
  written: string,
  namespace: string,
  path: ResourcePath | null,
  scope: RouteScope,
): Sought | null {
  const id = serviceIdOf(fullHost(written, namespace, scope.clusterDomain), scope.clusterDomain);
  if (id === null || scope.service(id) !== undefined) return null;
  const [owner = '', name = ''] = id.split('/');
  return { kind: 'Service', namespace: owner, name, path };
}

/** The subset that a destination names, among those of its rules; null when it names none or it is there. */
export function soughtSubset(
  { host, subset }: VirtualDestination,
  namespace: string,
  path: ResourcePath,
  scope: RouteScope,
): Sought | null {
  const id = serviceIdOf(fullHost(host, namespace, scope.clusterDomain), scope.clusterDomain);
  if (id === null || subset === '') return null;
  const among = rulesFor(id, scope).flatMap((rule) => rule.subsets.map(({ name }) => name));
  return among.includes(subset) ? null : { kind: 'name', name: subset, among, path };
}
