// The pods' networks of a node between the model and the wire (ambient.mesh.v1alpha1).
import { create } from '@bufbuild/protobuf';
import { parseCidr } from '../base/ip.ts';
import type { NodeNetwork } from '../model/types.ts';
import { refuse } from './enums.ts';
import { type NodeNetwork as NodeNetworkMessage, NodeNetworkSchema } from './generated/node_network_pb.ts';

/** The wire message of a node's networks. */
export function nodeNetworkMessage({ name, podCidrs }: NodeNetwork): NodeNetworkMessage {
  return create(NodeNetworkSchema, { name, podCidrs: [...podCidrs] });
}

/** The networks of a wire message. Throws RESOURCE_REFUSED for a node without a name, and for what is no network. */
export function nodeNetworkOf({ name, podCidrs }: NodeNetworkMessage): NodeNetwork {
  if (name === '') throw refuse('a node', 'it has no name');
  for (const text of podCidrs) {
    if (parseCidr(text)?.text !== text) throw refuse(name, `${JSON.stringify(text.slice(0, 80))} is no network`);
  }
  return { name, podCidrs: [...podCidrs] };
}
