// Service and EndpointSlice: from an object to what the model keeps of it.
import type {
  EndpointSliceResource,
  ResourceMeta,
  ServicePort,
  ServiceResource,
  SliceEndpoint,
} from '../model/resources.ts';
import type { ObjectReader } from './object-reader.ts';

const anyPort = { min: 1, max: 65535 };
const types = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const;
const headlessAddress = 'None';

/** A Service, its addresses canonical. Throws CONFIG_INVALID with the place of what is wrong. */
export function readService(object: ObjectReader, meta: ResourceMeta): ServiceResource {
  const spec = object.object('spec');
  const selector = spec.labels('selector');
  const families = spec.strings('ipFamilies').filter((one) => one === 'IPv4' || one === 'IPv6');
  return {
    ...meta,
    kind: 'Service',
    type: spec.oneOf('type', types, 'ClusterIP'),
    clusterIps: clusterIps(spec),
    headless: spec.string('clusterIP', '') === headlessAddress,
    selector: Object.keys(selector).length === 0 ? null : selector,
    ports: spec.objects('ports').map(readServicePort),
    ipFamilies: families,
    trafficDistribution: spec.has('trafficDistribution') ? spec.string('trafficDistribution') : null,
    internalTrafficPolicy: spec.oneOf('internalTrafficPolicy', ['Cluster', 'Local'], 'Cluster'),
    publishNotReadyAddresses: spec.boolean('publishNotReadyAddresses', false),
  };
}

/** An EndpointSlice, its addresses canonical. Throws CONFIG_INVALID with the place of what is wrong. */
export function readEndpointSlice(object: ObjectReader, meta: ResourceMeta): EndpointSliceResource {
  const addressType = object.oneOf('addressType', ['IPv4', 'IPv6', 'FQDN']);
  return {
    ...meta,
    kind: 'EndpointSlice',
    service: meta.labels['kubernetes.io/service-name'] ?? '',
    addressType,
    // A port without a number stands for all ports; nobody can be sent to it.
    ports: object
      .objects('ports')
      .filter((port) => port.has('port'))
      .map((port) => ({
        name: port.string('name', ''),
        port: port.integer('port', anyPort),
        protocol: port.string('protocol', 'TCP'),
      })),
    endpoints: object.objects('endpoints').map((one) => readSliceEndpoint(one, addressType, meta.namespace)),
  };
}

function clusterIps(spec: ObjectReader): readonly string[] {
  if (spec.string('clusterIP', '') === headlessAddress) return [];
  if (spec.list('clusterIPs').length > 0) return [...new Set(spec.ips('clusterIPs'))];
  return spec.string('clusterIP', '') === '' ? [] : [spec.ip('clusterIP')];
}

function readServicePort(port: ObjectReader): ServicePort {
  const number = port.integer('port', anyPort);
  const target = port.fields['targetPort'];
  const isNamed = typeof target === 'string' && target !== '';
  return {
    name: port.string('name', ''),
    port: number,
    protocol: port.string('protocol', 'TCP'),
    targetPort: isNamed ? target : target === 0 || target === '' ? number : port.integer('targetPort', anyPort, number),
    appProtocol: port.has('appProtocol') ? port.string('appProtocol') : null,
    nodePort: port.integer('nodePort', { min: 0, max: 65535 }, 0),
  };
}

function readSliceEndpoint(endpoint: ObjectReader, addressType: string, namespace: string): SliceEndpoint {
  const conditions = endpoint.object('conditions');
  const target = endpoint.object('targetRef');
  const isPod = target.fields['kind'] === 'Pod';
  return {
    addresses: addressType === 'FQDN' ? endpoint.strings('addresses') : endpoint.ips('addresses'),
    ready: conditions.boolean('ready', true),
    terminating: conditions.boolean('terminating', false),
    node: endpoint.string('nodeName', ''),
    zone: endpoint.string('zone', ''),
    pod: isPod ? `${target.string('namespace', namespace)}/${target.string('name')}` : null,
  };
}
