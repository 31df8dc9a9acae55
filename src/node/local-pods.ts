// What the mesh means for this node: which of its pods are enrolled, with which identities, and which are left alone.
import { type DesiredCapture, desiredCapture } from '../capture/desired.ts';
import type { NodeConfig } from '../config/node.ts';
import { identityOf, type MeshIndex } from '../model/mesh-index.ts';
import type { MeshUpdate, SpiffeId, Workload } from '../model/types.ts';

/** The capture that the pods of this node call for. */
export function captureFor(config: NodeConfig, pods: Iterable<Workload>): DesiredCapture {
  const { podCidrs, ports, capture } = config;
  const { outbound, inbound, hbone } = ports;
  return desiredCapture(pods, { podCidrs, ports: { outbound, inbound, hbone }, failOpen: capture.failOpen });
}

/** Identities of the enrolled pods; a pod that speaks the tunnel protocol itself has a certificate of its own. */
export function localIdentities(pods: Iterable<Workload>): Set<SpiffeId> {
  const identities = new Set<SpiffeId>();
  for (const pod of pods) {
    if (pod.tunnelProtocol === 'HBONE' && !pod.nativeTunnel && !pod.hostNetwork) identities.add(identityOf(pod));
  }
  return identities;
}

/** The whole mesh as one update, for a data thread that knows nothing yet. */
export function wholeMesh(index: MeshIndex): MeshUpdate {
  return {
    workloads: [...index.workloads()],
    services: [...index.services()],
    policies: [...index.policies()],
    removedAddresses: [],
    removedPolicies: [],
    complete: true,
  };
}

/** Looks up canonical names by the owner's name, as the edges carry it; built once per scrape. */
export function canonicalNames(
  index: MeshIndex,
): (namespace: string, workload: string) => { service: string; revision: string } | null {
  const names = new Map<string, { service: string; revision: string }>();
  for (const { namespace, workloadName, canonicalName, canonicalRevision } of index.workloads()) {
    names.set(`${namespace}/${workloadName}`, { service: canonicalName, revision: canonicalRevision });
  }
  return (namespace, workload) => names.get(`${namespace}/${workload}`) ?? null;
}
