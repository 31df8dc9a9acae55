// The scale of a workload, as `kubectl scale` and autoscalers see it: how many there are to be, and how many there are.
import type { KubeObject } from '../objects.ts';
import { badRequest } from './failure.ts';
import type { ResourceType } from './resources.ts';
import { isFields } from './structural-schema.ts';

const scalable = new Set(['Deployment', 'ReplicaSet', 'StatefulSet']);

/** True for the kinds that have a scale. */
export function hasScale({ group, kind }: Pick<ResourceType, 'group' | 'kind'>): boolean {
  return group === 'apps' && scalable.has(kind);
}

/** The `Scale` (autoscaling/v1) of an object. */
export function scaleOf(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '', creationTimestamp = '' } = object.metadata;
  const spec = object.spec as { replicas?: number; selector?: { matchLabels?: Readonly<Record<string, string>> } };
  const status = (object.status ?? {}) as { replicas?: number };
  const labels = Object.entries(spec.selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: spec.replicas ?? 1 },
    status: { replicas: status.replicas ?? 0, selector: labels.join(',') },
  };
}

/** The object with as many replicas as `scale` says. Throws 400. */
export function scaledTo(object: KubeObject, scale: unknown): KubeObject {
  const replicas = isFields(scale) && isFields(scale.spec) ? (scale.spec.replicas ?? 0) : undefined;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0)
    throw badRequest('spec.replicas of a Scale is a whole number from 0');
  // The version that the author of the scale names is the object's.
  const { resourceVersion } = isFields(scale) && isFields(scale.metadata) ? scale.metadata : {};
  const version = typeof resourceVersion === 'string' ? { resourceVersion } : {};
  const metadata = { ...object.metadata, ...version };
  return { ...object, metadata, spec: { ...(object.spec as object), replicas } };
}
