// Named, versioned resources as discovery carries them. A version is a hash of the content, so that it means the same
// to every replica of the controller and across its restarts.
import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { revocationKey } from '../model/revocation.ts';
import type { ServiceRoutes } from '../model/route-types.ts';
import type { NodeNetwork, Policy, Revocation, Service, Workload } from '../model/types.ts';
import { serviceMessage, serviceOf, workloadMessage, workloadOf } from './convert-address.ts';
import { nodeNetworkMessage, nodeNetworkOf } from './convert-node-network.ts';
import { closedStandIn, policyMessage, policyOf } from './convert-policy.ts';
import { revocationMessage, revocationOf } from './convert-revocation.ts';
import { routesMessage, routesOf } from './convert-routes.ts';
import type { Resource } from './generated/ads_pb.ts';
import { type Authorization, AuthorizationSchema } from './generated/authorization_pb.ts';
import { NodeNetworkSchema } from './generated/node_network_pb.ts';
import { CertificateRevocationSchema } from './generated/revocation_pb.ts';
import { ServiceRoutesSchema } from './generated/routes_pb.ts';
import { AddressSchema } from './generated/workload_pb.ts';

export const typeUrls = {
  address: 'type.googleapis.com/istio.workload.Address',
  authorization: 'type.googleapis.com/istio.security.Authorization',
  revocation: 'type.googleapis.com/ambient.mesh.v1alpha1.CertificateRevocation',
  routes: 'type.googleapis.com/ambient.mesh.v1alpha1.ServiceRoutes',
  nodes: 'type.googleapis.com/ambient.mesh.v1alpha1.NodeNetwork',
} as const;
export type TypeUrl = (typeof typeUrls)[keyof typeof typeUrls];

/**
 * Revocations go before all else, since nothing waits for them; policies before the workloads that name them: a proxy
 * never knows of a policy that it has not got. Routes, which have the policies of waypoints, before the services. What
 * the pods' networks are is known before the pods.
 */
export const typeOrder: readonly TypeUrl[] = [
  typeUrls.revocation,
  typeUrls.nodes,
  typeUrls.authorization,
  typeUrls.routes,
  typeUrls.address,
];

/** What every proxy follows and every controller serves; the others are Ambient's own. */
export const commonTypes: readonly TypeUrl[] = [typeUrls.authorization, typeUrls.address];

/**
 * Ends the system version of a response that has another one of the same change behind it. Foreign proxies ignore it.
 */
export const moreSuffix = '+';

export interface EncodedResource {
  readonly name: string;
  readonly version: string;
  /** The message inside the `Any`. */
  readonly bytes: Uint8Array;
  /** `NETWORK/IP` of everything that can be dialled. */
  readonly aliases: readonly string[];
  /** Of a policy; null for what is none. */
  readonly scope: Policy['scope'] | null;
}

export type DecodedResource =
  | { readonly kind: 'workload'; readonly value: Workload }
  | { readonly kind: 'service'; readonly value: Service }
  | { readonly kind: 'policy'; readonly value: Policy }
  | { readonly kind: 'revocation'; readonly value: Revocation }
  | { readonly kind: 'routes'; readonly value: ServiceRoutes }
  | { readonly kind: 'node'; readonly value: NodeNetwork };

/** The resource of a workload, named by its uid. Throws RESOURCE_REFUSED. */
export function encodeWorkload(workload: Workload): EncodedResource {
  const address = create(AddressSchema, { type: { case: 'workload', value: workloadMessage(workload) } });
  const aliases = workload.addresses.map((ip) => `${workload.network}/${ip}`);
  return encoded(workload.uid, toBinary(AddressSchema, address), aliases);
}

/** The resource of a service, named `NAMESPACE/HOSTNAME`. Throws RESOURCE_REFUSED. */
export function encodeService(service: Service): EncodedResource {
  const address = create(AddressSchema, { type: { case: 'service', value: serviceMessage(service) } });
  const aliases = service.addresses.map((ip) => `/${ip}`);
  return encoded(`${service.namespace}/${service.hostname}`, toBinary(AddressSchema, address), aliases);
}

/** The resource of a policy, named `NAMESPACE/NAME`. Throws RESOURCE_REFUSED. */
export function encodePolicy(policy: Policy): EncodedResource {
  return encoded(
    `${policy.namespace}/${policy.name}`,
    toBinary(AuthorizationSchema, policyMessage(policy)),
    [],
    policy.scope,
  );
}

/** The resource of a revocation, named `NAMESPACE/NAME`. */
export function encodeRevocation(revocation: Revocation): EncodedResource {
  const bytes = toBinary(CertificateRevocationSchema, revocationMessage(revocation));
  return encoded(revocationKey(revocation), bytes, []);
}

/** The resource of a node's networks, named as the node. */
export function encodeNode(node: NodeNetwork): EncodedResource {
  return encoded(node.name, toBinary(NodeNetworkSchema, nodeNetworkMessage(node)), []);
}

/** The resource of a service's routes, named `NAMESPACE/HOSTNAME`. */
export function encodeRoutes(routes: ServiceRoutes): EncodedResource {
  return encoded(routes.service, toBinary(ServiceRoutesSchema, routesMessage(routes)), []);
}

/**
 * Decodes what a response of type `typeUrl` carries under `resource.name`. Throws RESOURCE_REFUSED, naming the
 * resource.
 */
export function decodeResource(typeUrl: string, resource: Resource): DecodedResource {
  try {
    if (resource.resource?.typeUrl !== typeUrl)
      throw new MeshError('RESOURCE_REFUSED', misnamed(resource, 'another type'));
    const bytes = resource.resource.value;
    const decoded = decode(typeUrl, bytes);
    if (nameOf(decoded) !== resource.name) throw new MeshError('RESOURCE_REFUSED', misnamed(resource, nameOf(decoded)));
    return decoded;
  } catch (error) {
    if (isMeshError(error)) throw error;
    throw new MeshError('RESOURCE_REFUSED', { resource: resource.name, reason: messageOf(error) }, { cause: error });
  }
}

/** The closed stand-in for a policy that `decodeResource` refused; see `closedStandIn`. */
export function standInFor(resource: Resource): Policy {
  let message: Authorization | null = null;
  try {
    message = fromBinary(AuthorizationSchema, resource.resource?.value ?? new Uint8Array());
  } catch {
    // Nothing of it can be read: the narrowest scope that its name tells of is its namespace.
  }
  const slash = resource.name.indexOf('/');
  return closedStandIn(resource.name.slice(0, Math.max(slash, 0)), resource.name.slice(slash + 1), message);
}

/** The resource name of what was decoded. */
export function nameOf(decoded: DecodedResource): string {
  switch (decoded.kind) {
    case 'workload':
      return decoded.value.uid;
    case 'service':
      return `${decoded.value.namespace}/${decoded.value.hostname}`;
    case 'policy':
      return `${decoded.value.namespace}/${decoded.value.name}`;
    case 'revocation':
      return revocationKey(decoded.value);
    case 'routes':
      return decoded.value.service;
    case 'node':
      return decoded.value.name;
  }
}

function decode(typeUrl: string, bytes: Uint8Array): DecodedResource {
  switch (typeUrl) {
    case typeUrls.authorization:
      return { kind: 'policy', value: policyOf(fromBinary(AuthorizationSchema, bytes)) };
    case typeUrls.revocation:
      return { kind: 'revocation', value: revocationOf(fromBinary(CertificateRevocationSchema, bytes)) };
    case typeUrls.routes:
      return { kind: 'routes', value: routesOf(fromBinary(ServiceRoutesSchema, bytes)) };
    case typeUrls.nodes:
      return { kind: 'node', value: nodeNetworkOf(fromBinary(NodeNetworkSchema, bytes)) };
    default:
      return decodeAddress(bytes);
  }
}

function decodeAddress(bytes: Uint8Array): DecodedResource {
  const { type } = fromBinary(AddressSchema, bytes);
  if (type.case === 'workload') return { kind: 'workload', value: workloadOf(type.value) };
  if (type.case === 'service') return { kind: 'service', value: serviceOf(type.value) };
  throw new MeshError('RESOURCE_REFUSED', { resource: 'an address', reason: 'it is neither workload nor service' });
}

function misnamed(resource: Resource, found: string): { resource: string; reason: string } {
  return { resource: resource.name, reason: `its content is ${found}` };
}

/** 96 bits: enough that two contents of one resource never share a version, short enough to echo thousands of them. */
function encoded(
  name: string,
  bytes: Uint8Array,
  aliases: readonly string[],
  scope: EncodedResource['scope'] = null,
): EncodedResource {
  const version = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
  return { name, version, bytes, aliases, scope };
}
