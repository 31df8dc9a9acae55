// Node, Namespace, ServiceAccount, Pod and everything that makes pods: from an object to what the model keeps of it.

import { parseCidr } from '../base/ip.ts';
import type {
  ContainerPort,
  Labels,
  NamespaceResource,
  NodeResource,
  PodPhase,
  PodResource,
  PodSpec,
  ResourceMeta,
  ServiceAccountResource,
  TemplateKind,
  TemplateResource,
} from '../model/resources.ts';
import type { ObjectReader } from './object-reader.ts';

const phases = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const satisfies readonly PodPhase[];
const anyPort = { min: 1, max: 65535 };

/**
 * A Node, its pod networks canonical. Throws CONFIG_INVALID with the place of what is wrong, as all readers here do.
 */
export function readNode(object: ObjectReader, meta: ResourceMeta): NodeResource {
  const spec = object.object('spec');
  const texts = spec.has('podCIDRs') ? spec.strings('podCIDRs') : spec.has('podCIDR') ? [spec.string('podCIDR')] : [];
  const podCidrs = texts.map((text) => {
    return parseCidr(text)?.text ?? spec.fail('podCIDRs', `must be networks such as 10.0.0.0/24, not "${text}"`);
  });
  const addresses = object.object('status').objects('addresses');
  const internal = addresses.filter((address) => address.string('type', '') === 'InternalIP');
  return { ...meta, kind: 'Node', podCidrs, addresses: internal.map((address) => address.ip('address')) };
}

/** A Namespace: its labels are all there is to it. */
export function readNamespace(_object: ObjectReader, meta: ResourceMeta): NamespaceResource {
  return { ...meta, kind: 'Namespace' };
}

/** A ServiceAccount: its name is all there is to it. */
export function readServiceAccount(_object: ObjectReader, meta: ResourceMeta): ServiceAccountResource {
  return { ...meta, kind: 'ServiceAccount' };
}

/** A Pod with what its status says; without a status it is pending and not ready. */
export function readPod(object: ObjectReader, meta: ResourceMeta): PodResource {
  const status = object.object('status');
  const conditions = status.objects('conditions');
  const isReady = conditions.some((one) => one.fields['type'] === 'Ready' && one.fields['status'] === 'True');
  return {
    ...meta,
    kind: 'Pod',
    spec: readPodSpec(object.object('spec')),
    hasStatus: status.has('phase') || status.has('conditions'),
    phase: status.oneOf('phase', phases, 'Pending'),
    addresses: podAddresses(status),
    ready: isReady,
  };
}

/** The reader of a kind that makes pods; where Kubernetes has defaults they stand in. */
export function readTemplate(kind: TemplateKind): (object: ObjectReader, meta: ResourceMeta) => TemplateResource {
  return (object, meta) => {
    const spec = object.object('spec');
    const template = spec.object('template');
    const templateMeta = template.object('metadata');
    const labels: Labels = templateMeta.labels('labels');
    return {
      ...meta,
      kind,
      replicas: spec.integer('replicas', { min: 0, max: 2 ** 31 }, 1),
      templateLabels: labels,
      templateAnnotations: templateMeta.labels('annotations'),
      template: readPodSpec(template.object('spec')),
    };
  };
}

function podAddresses(status: ObjectReader): readonly string[] {
  const several = status.objects('podIPs').map((one) => one.ip('ip'));
  if (several.length > 0) return [...new Set(several)];
  return status.has('podIP') && status.fields['podIP'] !== '' ? [status.ip('podIP')] : [];
}

function readPodSpec(spec: ObjectReader): PodSpec {
  const account = spec.has('serviceAccountName') ? 'serviceAccountName' : 'serviceAccount';
  return {
    serviceAccount: spec.fields[account] === '' ? 'default' : spec.name(account, 'default'),
    node: spec.string('nodeName', ''),
    hostNetwork: spec.boolean('hostNetwork', false),
    ports: [...spec.objects('containers'), ...spec.objects('initContainers').filter(isSidecar)].flatMap(containerPorts),
  };
}

/** An init container that keeps running beside the others. */
function isSidecar(container: ObjectReader): boolean {
  return container.fields['restartPolicy'] === 'Always';
}

function containerPorts(container: ObjectReader): ContainerPort[] {
  return container.objects('ports').map((port) => ({
    name: port.string('name', ''),
    port: port.integer('containerPort', anyPort),
    protocol: port.string('protocol', 'TCP'),
  }));
}
