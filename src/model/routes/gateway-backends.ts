// The references of HTTPRoute and GRPCRoute to backends: found, or invalid for a reason that its share of the requests
// is answered with.
import { hostnameOf } from '../compile-service.ts';
import type { ServicePort } from '../resources.ts';
import type { BackendReference, GatewayRouteResource } from '../route-resources.ts';
import type { Backend } from '../route-types.ts';
import type { Sought } from '../types.ts';
import type { RouteScope } from './route-scope.ts';

/** Reasons of the condition ResolvedRefs. */
export type RefReason = 'RefNotPermitted' | 'InvalidKind' | 'BackendNotFound';

export interface ResolvedBackend {
  readonly backend: Backend;
  /** Null when it can be used. */
  readonly problem: { readonly reason: RefReason; readonly message: string; readonly sought?: Sought } | null;
}

/** The API group of Gateway API. */
export const gatewayGroup = 'gateway.networking.k8s.io';

/** Looks a backendRef up. */
export function resolveBackend(
  reference: BackendReference,
  route: GatewayRouteResource,
  scope: RouteScope,
): ResolvedBackend {
  const { group, kind, namespace, name } = reference;
  const port = reference.port ?? 0;
  const service = `${namespace}/${hostnameOf(namespace, name, scope.clusterDomain)}`;
  const invalid = (reason: RefReason, message: string, sought?: Sought): ResolvedBackend => ({
    backend: { service, port, subset: '', invalid: { status: 500, reason: message } },
    problem: { reason, message, ...(sought === undefined ? {} : { sought }) },
  });
  if (group !== '' || kind !== 'Service') {
    return invalid('InvalidKind', `${kind}${group === '' ? '' : `.${group}`} is no kind of backend; use Service`);
  }
  const from = { group: gatewayGroup, kind: route.kind, namespace: route.namespace };
  if (!scope.isGranted(from, { namespace, name })) {
    const who = `${route.kind} of ${route.namespace}`;
    const message = `no ReferenceGrant in ${namespace} lets ${who} refer to Service ${name}`;
    return invalid('RefNotPermitted', message);
  }
  const found = scope.service(`${namespace}/${name}`);
  if (found === undefined) {
    const sought: Sought = { kind: 'Service', namespace, name, path: [...reference.path, 'name'] };
    return invalid('BackendNotFound', `Service ${namespace}/${name} is not there`, sought);
  }
  if (found.type === 'ExternalName') {
    return invalid('BackendNotFound', `Service ${namespace}/${name} is an ExternalName, which waypoints do not call`);
  }
  if (!found.ports.some((one) => one.port === port && one.protocol === 'TCP')) {
    const has = portsText(found.ports);
    return invalid('BackendNotFound', `Service ${namespace}/${name} has no port ${port}; it has ${has}`);
  }
  return { backend: { service, port, subset: '', invalid: null }, problem: null };
}

/** `80 (http), 9090`: the ports that routes can lead to. */
export function portsText(ports: readonly ServicePort[]): string {
  const known = ports.flatMap(({ name, port, protocol }) => {
    if (protocol !== 'TCP') return [];
    return name === '' ? String(port) : `${port} (${name})`;
  });
  return known.join(', ') || 'none';
}
