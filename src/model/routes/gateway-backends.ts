// The references of HTTPRoute and GRPCRoute to backends: found, or invalid for a reason that its share of the requests
// is answered with.
import { hostnameOf } from '../compile-service.ts';
import type { BackendReference, GatewayRouteResource } from '../route-resources.ts';
import type { Backend } from '../route-types.ts';
import type { RouteScope } from './route-scope.ts';

/** Reasons of the condition ResolvedRefs. */
export type RefReason = 'RefNotPermitted' | 'InvalidKind' | 'BackendNotFound';

export interface ResolvedBackend {
  readonly backend: Backend;
  /** Null when it can be used. */
  readonly problem: { readonly reason: RefReason; readonly message: string } | null;
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
  const invalid = (reason: RefReason, message: string): ResolvedBackend => ({
    backend: { service, port, subset: '', invalid: { status: 500, reason: message } },
    problem: { reason, message },
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
  if (found === undefined) return invalid('BackendNotFound', `Service ${namespace}/${name} is not there`);
  if (found.type === 'ExternalName') {
    return invalid('BackendNotFound', `Service ${namespace}/${name} is an ExternalName, which waypoints do not call`);
  }
  if (!found.ports.some((one) => one.port === port && one.protocol === 'TCP')) {
    return invalid('BackendNotFound', `Service ${namespace}/${name} has no port ${port}`);
  }
  return { backend: { service, port, subset: '', invalid: null }, problem: null };
}
