// Workloads and services between the model and the wire (istio.workload.Address). Decoding trusts nothing: what cannot
// be read whole is refused whole, with the resource's name.
import { create } from '@bufbuild/protobuf';
import { ipFromBytes, ipToBytes } from '../base/ip.ts';
import type {
  AppProtocol,
  LoadBalancing,
  Locality,
  PortMapping,
  Service,
  WaypointAddress,
  Workload,
} from '../model/types.ts';
import { decodeEnum, enumPairs, refuse } from './enums.ts';
import * as wire from './generated/workload_pb.ts';

const appProtocols = enumPairs<AppProtocol, wire.AppProtocol>({
  unknown: wire.AppProtocol.UNKNOWN,
  http1: wire.AppProtocol.HTTP11,
  http2: wire.AppProtocol.HTTP2,
  grpc: wire.AppProtocol.GRPC,
  tcp: wire.AppProtocol.TCP,
  tls: wire.AppProtocol.TLS,
});
const workloadTypes = enumPairs<Workload['workloadType'], wire.WorkloadType>({
  deployment: wire.WorkloadType.DEPLOYMENT,
  cronjob: wire.WorkloadType.CRONJOB,
  pod: wire.WorkloadType.POD,
  job: wire.WorkloadType.JOB,
});
const tunnelProtocols = enumPairs<Workload['tunnelProtocol'], wire.TunnelProtocol>({
  NONE: wire.TunnelProtocol.NONE,
  HBONE: wire.TunnelProtocol.HBONE,
});
const healthStates = enumPairs<'healthy' | 'unhealthy', wire.WorkloadStatus>({
  healthy: wire.WorkloadStatus.HEALTHY,
  unhealthy: wire.WorkloadStatus.UNHEALTHY,
});
const networkModes = enumPairs<'standard' | 'host', wire.NetworkMode>({
  standard: wire.NetworkMode.STANDARD,
  host: wire.NetworkMode.HOST_NETWORK,
});
const ipFamilies = enumPairs<Service['ipFamilies'], wire.IPFamilies>({
  automatic: wire.IPFamilies.AUTOMATIC,
  ipv4: wire.IPFamilies.IPV4_ONLY,
  ipv6: wire.IPFamilies.IPV6_ONLY,
  dual: wire.IPFamilies.DUAL,
});
const visibilities = enumPairs<Service['visibility'], wire.Visibility>({
  public: wire.Visibility.PUBLIC,
  namespace: wire.Visibility.NAMESPACE,
});
const modes = enumPairs<LoadBalancing['mode'], wire.LoadBalancing_Mode>({
  unspecified: wire.LoadBalancing_Mode.UNSPECIFIED_MODE,
  strict: wire.LoadBalancing_Mode.STRICT,
  failover: wire.LoadBalancing_Mode.FAILOVER,
  passthrough: wire.LoadBalancing_Mode.PASSTHROUGH,
});
const healthPolicies = enumPairs<LoadBalancing['healthPolicy'], wire.LoadBalancing_HealthPolicy>({
  onlyHealthy: wire.LoadBalancing_HealthPolicy.ONLY_HEALTHY,
  allowAll: wire.LoadBalancing_HealthPolicy.ALLOW_ALL,
});
const preferences = enumPairs<LoadBalancing['routingPreference'][number], wire.LoadBalancing_Scope>({
  region: wire.LoadBalancing_Scope.REGION,
  zone: wire.LoadBalancing_Scope.ZONE,
  subzone: wire.LoadBalancing_Scope.SUBZONE,
  node: wire.LoadBalancing_Scope.NODE,
  cluster: wire.LoadBalancing_Scope.CLUSTER,
  network: wire.LoadBalancing_Scope.NETWORK,
});

const defaultTrustDomain = 'cluster.local';
const defaultServiceAccount = 'default';
const defaultClusterId = 'Kubernetes';
const portMax = 65_535;

/** The wire message of a workload. Throws RESOURCE_REFUSED when an address of it is none. */
export function workloadMessage(workload: Workload): wire.Workload {
  const { uid } = workload;
  const services: Record<string, wire.PortList> = {};
  // Sorted, so that equal workloads are equal bytes and have one version.
  for (const key of Object.keys(workload.services).sort()) {
    services[key] = create(wire.PortListSchema, { ports: (workload.services[key] ?? []).map(portMessage) });
  }
  const message = create(wire.WorkloadSchema, {
    uid,
    name: workload.name,
    namespace: workload.namespace,
    addresses: workload.addresses.map((address) => addressBytes(uid, address)),
    network: workload.network,
    tunnelProtocol: tunnelProtocols.byWord[workload.tunnelProtocol],
    trustDomain: workload.trustDomain,
    serviceAccount: workload.serviceAccount,
    node: workload.node,
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    workloadType: workloadTypes.byWord[workload.workloadType],
    workloadName: workload.workloadName,
    nativeTunnel: workload.nativeTunnel,
    authorizationPolicies: [...workload.policies],
    status: healthStates.byWord[workload.healthy ? 'healthy' : 'unhealthy'],
    clusterId: workload.clusterId,
    services,
    networkMode: networkModes.byWord[workload.hostNetwork ? 'host' : 'standard'],
    capacity: workload.capacity,
    labels: workload.labels ?? {},
  });
  if (workload.waypoint !== null) message.waypoint = gatewayMessage(uid, workload.waypoint);
  if (workload.locality !== null) message.locality = create(wire.LocalitySchema, { ...workload.locality });
  return message;
}

/** The workload of a wire message, with the defaults of the public API. Throws RESOURCE_REFUSED. */
export function workloadOf(message: wire.Workload): Workload {
  const { uid } = message;
  if (uid === '') throw refuse('a workload', 'it has no uid');
  if (message.namespace === '') throw refuse(uid, 'it has no namespace');
  const services: Record<string, PortMapping[]> = {};
  for (const [key, list] of Object.entries(message.services)) {
    services[key] = list.ports.map((port) => portOf(uid, port));
  }
  return {
    uid,
    name: message.name,
    namespace: message.namespace,
    addresses: message.addresses.map((bytes) => addressText(uid, bytes)),
    network: message.network,
    tunnelProtocol: decodeEnum(tunnelProtocols, message.tunnelProtocol, uid, 'tunnel protocol'),
    trustDomain: message.trustDomain || defaultTrustDomain,
    serviceAccount: message.serviceAccount || defaultServiceAccount,
    node: message.node,
    canonicalName: message.canonicalName,
    canonicalRevision: message.canonicalRevision,
    workloadType: decodeEnum(workloadTypes, message.workloadType, uid, 'workload type'),
    workloadName: message.workloadName,
    nativeTunnel: message.nativeTunnel,
    policies: message.authorizationPolicies,
    healthy: decodeEnum(healthStates, message.status, uid, 'status') === 'healthy',
    clusterId: message.clusterId || defaultClusterId,
    locality: message.locality === undefined ? null : localityOf(message.locality),
    hostNetwork: decodeEnum(networkModes, message.networkMode, uid, 'network mode') === 'host',
    capacity: message.capacity ?? 1,
    ...(Object.keys(message.labels).length === 0 ? {} : { labels: message.labels }),
    waypoint: message.waypoint === undefined ? null : waypointOf(uid, message.waypoint),
    services,
  };
}

/** The wire message of a service. Throws RESOURCE_REFUSED when an address of it is none. */
export function serviceMessage(service: Service): wire.Service {
  const resource = `${service.namespace}/${service.hostname}`;
  const message = create(wire.ServiceSchema, {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    addresses: service.addresses.map((address) => networkAddressMessage(resource, '', address)),
    ports: service.ports.map(portMessage),
    subjectAltNames: [...service.subjectAltNames],
    ipFamilies: ipFamilies.byWord[service.ipFamilies],
    canonical: service.canonical,
    visibility: visibilities.byWord[service.visibility],
  });
  if (service.waypoint !== null) message.waypoint = gatewayMessage(resource, service.waypoint);
  if (service.loadBalancing !== null) message.loadBalancing = loadBalancingMessage(service.loadBalancing);
  return message;
}

/** The service of a wire message. Throws RESOURCE_REFUSED. */
export function serviceOf(message: wire.Service): Service {
  const resource = `${message.namespace}/${message.hostname}`;
  if (message.hostname === '') throw refuse(resource, 'it has no host name');
  return {
    name: message.name,
    namespace: message.namespace,
    hostname: message.hostname,
    addresses: message.addresses.map((address) => networkAddressText(resource, address)),
    ports: message.ports.map((port) => portOf(resource, port)),
    subjectAltNames: message.subjectAltNames,
    waypoint: message.waypoint === undefined ? null : waypointOf(resource, message.waypoint),
    loadBalancing: message.loadBalancing === undefined ? null : loadBalancingOf(resource, message.loadBalancing),
    ipFamilies: decodeEnum(ipFamilies, message.ipFamilies, resource, 'IP families'),
    canonical: message.canonical,
    visibility: decodeEnum(visibilities, message.visibility, resource, 'visibility'),
  };
}

function portMessage(port: PortMapping): wire.Port {
  const appProtocol = appProtocols.byWord[port.appProtocol];
  return create(wire.PortSchema, { servicePort: port.servicePort, targetPort: port.targetPort, appProtocol });
}

function portOf(resource: string, port: wire.Port): PortMapping {
  const { servicePort, targetPort } = port;
  if (servicePort > portMax || targetPort > portMax)
    throw refuse(resource, `port ${servicePort}:${targetPort} is out of range`);
  // A hint only: a protocol that we do not know yet is forwarded as it is.
  return { servicePort, targetPort, appProtocol: appProtocols.byNumber.get(port.appProtocol) ?? 'unknown' };
}

function gatewayMessage(resource: string, waypoint: WaypointAddress): wire.GatewayAddress {
  const message = create(wire.GatewayAddressSchema, { hboneMtlsPort: waypoint.hbonePort });
  if (waypoint.hostname !== undefined) {
    return create(wire.GatewayAddressSchema, {
      destination: { case: 'hostname', value: { ...waypoint.hostname } },
      hboneMtlsPort: waypoint.hbonePort,
    });
  }
  if (waypoint.address === undefined) return message;
  const { network, address } = waypoint.address;
  message.destination = { case: 'address', value: networkAddressMessage(resource, network, address) };
  return message;
}

/** A waypoint that cannot be read is no reason to go around it: the whole resource is refused. */
function waypointOf(resource: string, message: wire.GatewayAddress): WaypointAddress {
  const hbonePort = message.hboneMtlsPort;
  if (hbonePort > portMax) throw refuse(resource, `waypoint port ${hbonePort} is out of range`);
  const { destination } = message;
  switch (destination.case) {
    case 'hostname':
      return { hostname: { namespace: destination.value.namespace, hostname: destination.value.hostname }, hbonePort };
    case 'address': {
      const { network } = destination.value;
      return { address: { network, address: networkAddressText(resource, destination.value) }, hbonePort };
    }
    default:
      throw refuse(resource, 'its waypoint has neither host name nor address');
  }
}

function loadBalancingMessage(balancing: LoadBalancing): wire.LoadBalancing {
  return create(wire.LoadBalancingSchema, {
    routingPreference: balancing.routingPreference.map((scope) => preferences.byWord[scope]),
    mode: modes.byWord[balancing.mode],
    healthPolicy: healthPolicies.byWord[balancing.healthPolicy],
  });
}

function loadBalancingOf(resource: string, message: wire.LoadBalancing): LoadBalancing {
  return {
    mode: decodeEnum(modes, message.mode, resource, 'load-balancing mode'),
    routingPreference: message.routingPreference.map((scope) =>
      decodeEnum(preferences, scope, resource, 'routing preference'),
    ),
    healthPolicy: decodeEnum(healthPolicies, message.healthPolicy, resource, 'health policy'),
  };
}

function localityOf(message: Locality): Locality {
  return { region: message.region, zone: message.zone, subzone: message.subzone };
}

function networkAddressMessage(resource: string, network: string, address: string): wire.NetworkAddress {
  return create(wire.NetworkAddressSchema, { network, address: addressBytes(resource, address) });
}

/**
 * Services over whole networks exist in the public API and not in ours: one that is not a single address is refused.
 */
function networkAddressText(resource: string, message: wire.NetworkAddress): string {
  const bitsWhole = message.address.length * 8;
  if (message.length !== undefined && message.length !== bitsWhole)
    throw refuse(resource, 'an address of it is a network');
  return addressText(resource, message.address);
}

function addressBytes(resource: string, text: string): Uint8Array {
  const bytes = ipToBytes(text);
  if (bytes === null) throw refuse(resource, `${JSON.stringify(text)} is no IP address`);
  return bytes;
}

function addressText(resource: string, bytes: Uint8Array): string {
  const text = ipFromBytes(bytes);
  if (text === null) throw refuse(resource, `an address of ${bytes.length} bytes`);
  return text;
}
