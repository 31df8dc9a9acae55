// Who this node proxy says it is.
import { hostname } from 'node:os';
import { version } from '../base/version.ts';
import type { NodeConfig } from '../config/node.ts';
import type { ProxyNode } from '../discovery/proxy-node.ts';
import { ownAddresses } from '../proxy/own-addresses.ts';

/** The kubelet sets POD_NAME through the manifest; elsewhere the name follows the node's. */
export function proxyNode(config: NodeConfig): ProxyNode {
  const { nodeName, clusterId, systemNamespace: namespace } = config;
  const name = process.env.POD_NAME ?? `ambient-node-${nodeName || hostname()}`;
  const instance = `${process.pid}.${Date.now()}`;
  return { kind: 'node', instance, name, namespace, nodeName, addresses: ownAddresses(), clusterId, version };
}
