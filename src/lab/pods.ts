// Makes Pod objects: from the template of a workload or from a bare Pod, with what the API server would fill in.
import { createHash } from 'node:crypto';
import type { KubeObject, OwnerReference, Pod, PodCondition, PodSpec, PodStatus, PodTemplate } from './objects.ts';
import { rfc3339 } from './store.ts';

/** No vowels and no look-alikes, as Kubernetes does it, so that no name spells a word. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** `length` letters for the end of a generated name. */
export function randomSuffix(length: number, random: () => number): string {
  return Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
}

/** The `pod-template-hash` of a template: equal templates, equal hashes. */
export function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256').update(stableJson(template)).digest();
  return Array.from(digest.subarray(0, 10), (byte) => alphabet[byte % alphabet.length]).join('');
}

/** JSON with sorted keys, so that the order in which a manifest is written does not matter. */
function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

export interface PodOrigin {
  readonly namespace: string;
  readonly name: string;
  readonly owner: KubeObject | null;
  /** Labels beside those of the template. */
  readonly labels: Readonly<Record<string, string>>;
  readonly nowMs: number;
}

/** A new Pod that nobody has scheduled yet. */
export function podFromTemplate(template: PodTemplate, origin: PodOrigin): Pod {
  const { owner } = origin;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: origin.name,
      namespace: origin.namespace,
      labels: { ...template.metadata?.labels, ...origin.labels },
      ...(template.metadata?.annotations === undefined ? {} : { annotations: template.metadata.annotations }),
      ...(owner === null ? {} : { ownerReferences: [ownerReferenceTo(owner)] }),
    },
    spec: defaultedSpec(template.spec),
    status: initialStatus(),
  };
}

/**
 * A bare Pod as a manifest has it, made ready to be scheduled; a status in the manifest does not count, since it is
 * the lab that runs the pod.
 */
export function podFromManifest(manifest: KubeObject): Pod {
  const { uid: _uid, ...metadata } = manifest.metadata;
  return { ...manifest, metadata, spec: defaultedSpec(manifest.spec as PodSpec), status: initialStatus() };
}

function defaultedSpec(spec: PodSpec): PodSpec {
  return {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    ...spec,
    serviceAccountName: spec.serviceAccountName ?? 'default',
    containers: spec.containers ?? [],
  };
}

function initialStatus(): PodStatus {
  return { phase: 'Pending', conditions: [] };
}

/** The reference by which `owner` controls an object. */
export function ownerReferenceTo(owner: KubeObject): OwnerReference {
  const { apiVersion, kind, metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true };
}

/** The owner that controls an object, or null. */
export function controllerOf(object: KubeObject): OwnerReference | null {
  return object.metadata.ownerReferences?.find((each) => each.controller === true) ?? null;
}

/** The pod with one condition set; the time moves only when the status does. */
export function withCondition(
  pod: Pod,
  type: string,
  isTrue: boolean,
  nowMs: number,
  reason?: string,
  message?: string,
): Pod {
  const status = isTrue ? 'True' : 'False';
  const before = pod.status.conditions.find((each) => each.type === type);
  const condition: PodCondition = {
    type,
    status,
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : rfc3339(nowMs),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
  const conditions =
    before === undefined
      ? [...pod.status.conditions, condition]
      : pod.status.conditions.map((each) => (each === before ? condition : each));
  return { ...pod, status: { ...pod.status, conditions } };
}

/** True when the pod is on its way out. */
export function isTerminating(pod: KubeObject): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** The pod, asked to end. */
export function terminated(pod: Pod, nowMs: number): Pod {
  if (isTerminating(pod)) return pod;
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: rfc3339(nowMs) } };
}
