// Which pod of this node has an address; a pod that is too new to be known is waited for.
import { MeshError } from '../base/errors.ts';
import type { Workload } from '../model/types.ts';
import type { Pending } from './pending.ts';

/**
 * The pod of this node at `address`. Null when it is not known yet: the connection is held, and `again` is called when
 * the mesh has news of the address. Throws UNKNOWN_DESTINATION for an address that cannot be a pod of this node.
 */
export function localPod(pending: Pending, address: string, again: () => void): Workload | null {
  const { index, config, networks } = pending.context;
  const workload = index.workloadByAddress(address);
  if (workload !== null && workload.node === config.nodeName) return workload;
  const unknown = new MeshError('UNKNOWN_DESTINATION', { address });
  if (workload !== null || !networks.isPod(address)) throw unknown;
  pending.hold(address, unknown, again);
  return null;
}
