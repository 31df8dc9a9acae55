// Objects of the API server cut down to what the readers look at, before they are kept: of a pod a tenth, and nothing
// that changes without meaning (heartbeats, `managedFields`). Kinds of policies and routes keep their whole spec, since
// their readers refuse what they do not know.
import { type Keep, pickJson } from './json-pick.ts';

/** An object as the API server sends it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

/** What `kubectl apply` keeps for itself: the whole object again, as a text. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

const metadata: Keep = {
  name: true,
  namespace: true,
  uid: true,
  resourceVersion: true,
  labels: true,
  annotations: (value) => without(value, lastApplied),
  creationTimestamp: true,
  deletionTimestamp: true,
  ownerReferences: { kind: true, name: true, uid: true, controller: true },
};
const containers: Keep = { ports: { name: true, containerPort: true, protocol: true }, restartPolicy: true };

const podKeep: Keep = {
  metadata,
  spec: {
    serviceAccountName: true,
    serviceAccount: true,
    nodeName: true,
    hostNetwork: true,
    containers,
    initContainers: containers,
  },
  status: {
    phase: true,
    podIP: true,
    podIPs: { ip: true },
    conditions: (value) => list(value).flatMap(({ type, status }) => (type === 'Ready' ? [{ type, status }] : [])),
  },
};

const endpointKeep: Keep = {
  addresses: true,
  conditions: { ready: true, terminating: true },
  nodeName: true,
  zone: true,
  targetRef: { kind: true, namespace: true, name: true },
};

/** By kind; any other keeps its metadata and spec, and its generation, which conditions speak of. */
const keepByKind: Readonly<Record<string, Keep>> = {
  Pod: podKeep,
  Node: { metadata, spec: { podCIDR: true, podCIDRs: true }, status: { addresses: { type: true, address: true } } },
  Namespace: { metadata },
  Service: { metadata, spec: true },
  EndpointSlice: {
    metadata,
    addressType: true,
    ports: { name: true, port: true, protocol: true },
    endpoints: endpointKeep,
  },
  NetworkPolicy: {
    metadata: { name: true, namespace: true, resourceVersion: true, generation: true },
    // Ports alone: whom they are for, the linter does not judge.
    spec: { podSelector: true, policyTypes: true, ingress: { ports: true }, egress: { ports: true } },
  },
  Gateway: { metadata: { ...metadata, generation: true }, spec: true, status: { addresses: true } },
};
const otherwise: Keep = { metadata: { ...metadata, generation: true }, spec: true };

/** What the readers of a kind look at. */
export function keepOf(kind: string): Keep {
  return keepByKind[kind] ?? otherwise;
}

/** A copy with what the readers of its kind look at; the kind and version are those given. */
export function prune(object: unknown, kind: string, apiVersion: string): KubeObject {
  return { apiVersion, kind, ...(pickJson(Buffer.from(JSON.stringify(object)), keepOf(kind)) as KubeObject) };
}

function list(value: unknown): readonly Fields[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is Fields => typeof item === 'object' && item !== null);
}

function without(value: unknown, field: string): unknown {
  if (typeof value !== 'object' || value === null || !(field in value)) return value;
  const { [field]: _, ...rest } = value as Fields;
  return rest;
}
