// What the API server and the endpoint-slice controller of a cluster do for Services: cluster addresses, node ports,
// EndpointSlices.
import { familyOf } from '../base/ip.ts';
import { AddressPool, nodePortRange, serviceCidrs } from './addresses.ts';
import {
  type Endpoint,
  type EndpointSlice,
  isReady,
  type Pod,
  podIps,
  type ServiceObject,
  type ServicePort,
  type ServiceSpec,
} from './objects.ts';
import { isTerminating, ownerReferenceTo } from './pods.ts';

/** Gives services their addresses and node ports, the same ones again when a manifest is applied again. */
export class ServiceAllocator {
  readonly #pools = serviceCidrs.map((range) => new AddressPool(range, 100));
  readonly #nodePorts = new Set<number>();
  #nextNodePort: number = nodePortRange.first;

  /** The service with cluster addresses and node ports filled in, those of `previous` kept. */
  allocate(service: ServiceObject, previous: ServiceObject | undefined): ServiceObject {
    const spec = service.spec ?? {};
    if (spec.type === 'ExternalName') return service;
    const clusterIPs = this.#clusterIps(spec, previous?.spec);
    const first = clusterIPs[0];
    const families = first === 'None' ? this.#families(spec) : clusterIPs.map((ip) => familyOf(ip));
    const ipFamilies = families.map((family) => (family === 4 ? 'IPv4' : 'IPv6'));
    const ports = this.#ports(spec, previous?.spec);
    return {
      ...service,
      spec: {
        type: 'ClusterIP',
        ...spec,
        ports,
        clusterIPs,
        ipFamilies,
        ...(first === undefined ? {} : { clusterIP: first }),
      },
    };
  }

  release(service: ServiceObject): void {
    for (const ip of service.spec.clusterIPs ?? []) for (const pool of this.#pools) pool.release(ip);
    for (const port of service.spec.ports ?? []) if (port.nodePort !== undefined) this.#nodePorts.delete(port.nodePort);
  }

  #clusterIps(spec: ServiceSpec, previous: ServiceSpec | undefined): readonly string[] {
    const asked = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
    if (asked.length > 0) {
      for (const ip of asked) for (const pool of this.#pools) pool.reserve(ip);
      return asked;
    }
    const families = this.#families(spec);
    const kept = (previous?.clusterIPs ?? []).filter((ip) => ip !== 'None' && families.includes(familyOf(ip)));
    return families.map((family) => {
      const same = kept.find((ip) => familyOf(ip) === family);
      return same ?? (this.#pools.find((pool) => pool.family === family) as AddressPool).take();
    });
  }

  /**
   * As in a dual-stack cluster: one family, IPv4 unless the service says otherwise; both where it prefers or requires
   * both.
   */
  #families(spec: ServiceSpec): readonly (4 | 6)[] {
    const asked = (spec.ipFamilies ?? []).map((family) => (family === 'IPv6' ? 6 : 4));
    const isDual = spec.ipFamilyPolicy === 'PreferDualStack' || spec.ipFamilyPolicy === 'RequireDualStack';
    if (isDual) return asked[0] === 6 ? [6, 4] : [4, 6];
    return asked.length > 0 ? asked : [4];
  }

  #ports(spec: ServiceSpec, previous: ServiceSpec | undefined): ServicePort[] {
    const isOpen = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
    return (spec.ports ?? []).map((port) => {
      const whole = { protocol: 'TCP', ...port, targetPort: port.targetPort ?? port.port };
      if (!isOpen) return whole;
      if (port.nodePort !== undefined) this.#nodePorts.add(port.nodePort);
      const kept = previous?.ports?.find((each) => each.name === port.name && each.port === port.port)?.nodePort;
      return { ...whole, nodePort: port.nodePort ?? kept ?? this.#takeNodePort() };
    });
  }

  #takeNodePort(): number {
    while (this.#nodePorts.has(this.#nextNodePort)) this.#nextNodePort++;
    const port = this.#nextNodePort;
    this.#nodePorts.add(port);
    return port;
  }
}

/**
 * The EndpointSlices of a service with a selector: one per address family and per way in which its named ports
 * resolve.
 */
export function endpointSlicesOf(service: ServiceObject, pods: readonly Pod[]): EndpointSlice[] {
  const { spec, metadata } = service;
  const selector = spec.selector ?? {};
  if (Object.keys(selector).length === 0 || spec.type === 'ExternalName') return [];
  const selected = pods.filter(
    (pod) =>
      pod.metadata.namespace === metadata.namespace &&
      podIps(pod).length > 0 &&
      pod.status.phase !== 'Succeeded' &&
      pod.status.phase !== 'Failed' &&
      Object.entries(selector).every(([key, value]) => pod.metadata.labels?.[key] === value),
  );
  const groups = new Map<string, { ports: EndpointSlice['ports']; pods: Pod[] }>();
  for (const pod of selected) {
    const ports = resolvedPorts(spec, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, pods: [] };
    group.pods.push(pod);
    groups.set(key, group);
  }
  // A service without pods has an empty slice, which is how the mesh knows it has none.
  if (groups.size === 0) groups.set('', { ports: [], pods: [] });
  const families = (spec.ipFamilies ?? ['IPv4']) as readonly ('IPv4' | 'IPv6')[];
  return families.flatMap((family) =>
    [...groups.values()].map((group, index) => slice(service, family, index, group.ports ?? [], group.pods)),
  );
}

function slice(
  service: ServiceObject,
  family: 'IPv4' | 'IPv6',
  index: number,
  ports: NonNullable<EndpointSlice['ports']>,
  pods: readonly Pod[],
): EndpointSlice {
  const { name, namespace = '' } = service.metadata;
  const wanted = family === 'IPv4' ? 4 : 6;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${family.toLowerCase()}${index === 0 ? '' : `-${index}`}`,
      namespace,
      labels: {
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        ...(service.spec.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {}),
      },
      ownerReferences: [ownerReferenceTo(service)],
    },
    addressType: family,
    ports,
    endpoints: pods.flatMap((pod) => {
      const addresses = podIps(pod)
        .filter((ip) => familyOf(ip) === wanted)
        .slice(0, 1);
      return addresses.length === 0 ? [] : [endpoint(service, pod, addresses)];
    }),
  };
}

function endpoint(service: ServiceObject, pod: Pod, addresses: readonly string[]): Endpoint {
  const serving = isReady(pod);
  const terminating = isTerminating(pod);
  const hostname = pod.spec.subdomain === service.metadata.name ? pod.spec.hostname : undefined;
  return {
    addresses,
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    ...(hostname === undefined ? {} : { hostname }),
    targetRef: {
      kind: 'Pod',
      name: pod.metadata.name,
      namespace: pod.metadata.namespace ?? '',
      uid: pod.metadata.uid ?? '',
    },
  };
}

/** The service's ports as this pod has them; a named port that the pod does not have is left out. */
function resolvedPorts(spec: ServiceSpec, pod: Pod): NonNullable<EndpointSlice['ports']> {
  return (spec.ports ?? []).flatMap((port) => {
    const protocol = port.protocol ?? 'TCP';
    const number = targetPortOf(port, pod);
    if (number === null) return [];
    const appProtocol = port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol };
    return [{ name: port.name ?? '', port: number, protocol, ...appProtocol }];
  });
}

function targetPortOf(port: ServicePort, pod: Pod): number | null {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target;
  for (const container of pod.spec.containers) {
    const found = container.ports?.find(
      (each) => each.name === target && (each.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    if (found !== undefined) return found.containerPort;
  }
  return null;
}
