// What the mesh means for this node: which of its pods are enrolled, with which identities, and which are left alone.
import { type DesiredCapture, desiredCapture } from '../capture/desired.ts';
import type { NodeConfig } from '../config/node.ts';
import { identityOf } from '../model/mesh-index.ts';
import type { SpiffeId, Workload } from '../model/types.ts';
import type { NodeNetworks } from './network-keeper.ts';

/** The capture that the pods of this node call for. */
export function captureFor(config: NodeConfig, networks: NodeNetworks, pods: Iterable<Workload>): DesiredCapture {
  const { outbound, inbound, hbone } = config.ports;
  const { podCidrs, links } = networks;
  const { failOpen } = config.capture;
  return desiredCapture(pods, { podCidrs, links, ports: { outbound, inbound, hbone }, failOpen });
}

/** Addresses of pods that have one of their own. */
export function podAddresses(pods: Iterable<Workload>): string[] {
  const own = [...pods].filter(({ uid, hostNetwork }) => !hostNetwork && uid.split('/', 3)[2] === 'Pod');
  return own.flatMap(({ addresses }) => addresses);
}

/** Identities of the enrolled pods; a pod that speaks the tunnel protocol itself has a certificate of its own. */
export function localIdentities(pods: Iterable<Workload>): Set<SpiffeId> {
  const identities = new Set<SpiffeId>();
  for (const pod of pods) {
    if (pod.tunnelProtocol === 'HBONE' && !pod.nativeTunnel && !pod.hostNetwork) identities.add(identityOf(pod));
  }
  return identities;
}
