// What the mesh means for this node: which of its pods are enrolled, with which identities, and which are left alone.
import { type DesiredCapture, desiredCapture } from '../capture/desired.ts';
import type { NodeConfig } from '../config/node.ts';
import { identityOf } from '../model/mesh-index.ts';
import type { SpiffeId, Workload } from '../model/types.ts';

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
