// The mesh as data threads and the CLI look things up in it: every look-up is a map access.
import { MeshError } from '../base/errors.ts';
import type { MeshUpdate, NamespacedKey, Policy, PortMapping, Service, SpiffeId, Workload } from './types.ts';

export interface ApplyChange {
  readonly changedWorkloads: readonly Workload[];
  readonly removedWorkloads: readonly Workload[];
  readonly policiesChanged: boolean;
}

/** The policies that judge connections to a workload, and the keys that it names and nobody knows. */
export interface EffectivePolicies {
  readonly policies: readonly Policy[];
  readonly missing: readonly NamespacedKey[];
}

export interface ServiceEndpoint {
  readonly workload: Workload;
  readonly ports: readonly PortMapping[];
}

/** Holds a mesh; `apply` changes it, everything else reads. */
export class MeshIndex {
  apply(_update: MeshUpdate): ApplyChange {
    return notYet();
  }

  workloadByUid(_uid: string): Workload | null {
    return notYet();
  }

  /** By canonical address; pods before others, enrolled before others. Host-network workloads are not found by address. */
  workloadByAddress(_ip: string): Workload | null {
    return notYet();
  }

  /** `clientNamespace` null: the client is unknown, and every service is visible. */
  serviceByVip(_ip: string, _clientNamespace: string | null): Service | null {
    return notYet();
  }

  /** By `NAMESPACE/HOSTNAME`. */
  serviceByKey(_key: NamespacedKey): Service | null {
    return notYet();
  }

  serviceByHostname(_hostname: string, _clientNamespace: string | null): Service | null {
    return notYet();
  }

  /** Every endpoint, healthy or not. The array is the same until something about it changes. */
  endpointsOf(_serviceKey: NamespacedKey): readonly ServiceEndpoint[] {
    return notYet();
  }

  /** Cached: the same object until a policy or the workload changes. */
  policiesFor(_workload: Workload): EffectivePolicies {
    return notYet();
  }

  workloadsOnNode(_node: string): readonly Workload[] {
    return notYet();
  }

  workloads(): IterableIterator<Workload> {
    return notYet();
  }

  services(): IterableIterator<Service> {
    return notYet();
  }

  policies(): IterableIterator<Policy> {
    return notYet();
  }
}

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT` of a workload. */
export function identityOf(workload: Workload): SpiffeId {
  const { trustDomain, namespace, serviceAccount } = workload;
  return `spiffe://${trustDomain || 'cluster.local'}/ns/${namespace}/sa/${serviceAccount || 'default'}`;
}

/** `NAMESPACE/HOSTNAME`, the resource name of a service. */
export function serviceKey(service: { namespace: string; hostname: string }): NamespacedKey {
  return `${service.namespace}/${service.hostname}`;
}

/** `NAMESPACE/NAME`, the resource name of a policy. */
export function policyKey(policy: { namespace: string; name: string }): NamespacedKey {
  return `${policy.namespace}/${policy.name}`;
}

function notYet(): never {
  throw new MeshError('INTERNAL', { reason: 'the index is not there yet' });
}
