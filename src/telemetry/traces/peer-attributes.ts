// Who is at an end of a request or a connection, as spans say it.
import type { PeerView } from '../../model/views.ts';
import type { Attributes } from './span.ts';

/** Adds what is known of a peer under `PREFIX.workload`, `.namespace`, `.identity`. */
export function addPeer(all: Attributes, prefix: 'ambient.source' | 'ambient.destination', peer: PeerView): void {
  const { workload, namespace, identity } = peer;
  if (workload !== null) all[`${prefix}.workload`] = workload;
  if (namespace !== null) all[`${prefix}.namespace`] = namespace;
  if (identity !== null) all[`${prefix}.identity`] = identity;
}
