// Service → service, and the ports of a service as one endpoint has them.
import type { EndpointSliceResource, PodSpec, ServicePort, ServiceResource } from './resources.ts';
import type { AppProtocol, LoadBalancing, NamespacedKey, PortMapping, Service, WaypointAddress } from './types.ts';

/** `NAME.NAMESPACE.svc.DOMAIN`. */
export function hostnameOf(namespace: string, name: string, clusterDomain: string): string {
  return `${name}.${namespace}.svc.${clusterDomain}`;
}

/** The service, or null for one that is only a name for something else. */
export function compileService(
  resource: ServiceResource,
  clusterDomain: string,
  waypoint: WaypointAddress | null,
): Service | null {
  if (resource.type === 'ExternalName') return null;
  return {
    name: resource.name,
    namespace: resource.namespace,
    hostname: hostnameOf(resource.namespace, resource.name, clusterDomain),
    addresses: resource.clusterIps,
    ports: tcpPorts(resource).map((port) => mapping(port, typeof port.targetPort === 'number' ? port.targetPort : 0)),
    subjectAltNames: [],
    waypoint,
    loadBalancing: loadBalancingOf(resource),
    ipFamilies: familiesOf(resource),
    canonical: true,
    visibility: visibilityOf(resource),
  };
}

/** The ports as a pod that the selector found has them; a named port that the pod does not have is left out. */
export function portsOnPod(service: ServiceResource, pod: PodSpec): PortMapping[] {
  const ports: PortMapping[] = [];
  for (const port of tcpPorts(service)) {
    const { targetPort } = port;
    if (typeof targetPort === 'number') ports.push(mapping(port, targetPort));
    else {
      const named = pod.ports.find((one) => one.name === targetPort && one.protocol === 'TCP');
      if (named !== undefined) ports.push(mapping(port, named.port));
    }
  }
  return ports;
}

/** The ports as the endpoints of a slice have them: matched by name. */
export function portsOfSlice(service: ServiceResource, slice: EndpointSliceResource): PortMapping[] {
  const ports: PortMapping[] = [];
  for (const port of tcpPorts(service)) {
    const named = slice.ports.find((one) => one.name === port.name && one.protocol === 'TCP');
    if (named !== undefined) ports.push(mapping(port, named.port));
  }
  return ports;
}

function tcpPorts(service: ServiceResource): readonly ServicePort[] {
  return service.ports.filter((port) => port.protocol === 'TCP');
}

function mapping(port: ServicePort, targetPort: number): PortMapping {
  return { servicePort: port.port, targetPort, appProtocol: appProtocolOf(port) };
}

const protocolWords = new Map<string, AppProtocol>(
  Object.entries<AppProtocol>({
    http: 'http1',
    http2: 'http2',
    'kubernetes.io/h2c': 'http2',
    'kubernetes.io/ws': 'http1',
    'kubernetes.io/wss': 'tls',
    grpc: 'grpc',
    'grpc-web': 'http1',
    tcp: 'tcp',
    tls: 'tls',
    https: 'tls',
    mongo: 'tcp',
    mysql: 'tcp',
    redis: 'tcp',
  }),
);

/** `appProtocol` first, then the port's name up to its first dash. */
function appProtocolOf(port: ServicePort): AppProtocol {
  const nameWord = /^(grpc-web|[^-]*)(-|$)/.exec(port.name)?.[1] ?? '';
  const word = port.appProtocol ?? nameWord;
  return protocolWords.get(word.toLowerCase()) ?? 'unknown';
}

/** Where the endpoints of a service are preferred (ambient-l4 §3.5); null for anywhere. */
function loadBalancingOf(resource: ServiceResource): LoadBalancing | null {
  const healthPolicy = resource.publishNotReadyAddresses ? 'allowAll' : 'onlyHealthy';
  if (resource.internalTrafficPolicy === 'Local') return { mode: 'strict', routingPreference: ['node'], healthPolicy };
  switch (resource.trafficDistribution) {
    case 'PreferClose':
    case 'PreferSameZone':
      return { mode: 'failover', routingPreference: ['network', 'region', 'zone'], healthPolicy };
    case 'PreferSameNode':
      return { mode: 'failover', routingPreference: ['network', 'region', 'zone', 'subzone', 'node'], healthPolicy };
    default:
      if (healthPolicy === 'onlyHealthy') return null;
      return { mode: 'unspecified', routingPreference: [], healthPolicy };
  }
}

function familiesOf(resource: ServiceResource): Service['ipFamilies'] {
  const [first, second] = resource.ipFamilies;
  if (first === undefined) return 'automatic';
  if (second !== undefined && second !== first) return 'dual';
  return first === 'IPv4' ? 'ipv4' : 'ipv6';
}

/** Anything but an export to everybody stays in its namespace. */
function visibilityOf(resource: ServiceResource): Service['visibility'] {
  const exportTo = resource.annotations['networking.istio.io/exportTo'];
  if (exportTo === undefined) return 'public';
  return exportTo.split(',').some((one) => one.trim() === '*') ? 'public' : 'namespace';
}

/** `NAMESPACE/NAME` of `NAMESPACE/NAME.NAMESPACE.svc.DOMAIN`. */
export function idOfService(key: NamespacedKey): string {
  const dot = key.indexOf('.');
  return dot < 0 ? key : key.slice(0, dot);
}
