// How a pod hangs on its node, as commands for `ip`: the node's side and the pod's.
//
//   routed   the next hop is link-local with a permanent neighbour entry, every packet is routed by the node (Calico)
//   ptp      the node's end of the link has the gateway's address, with a route to the pod (kindnet, the plug-in `ptp`)
//   bridge   all pods on cni0, which has the gateway's address; among each other they are bridged (flannel, kubenet)
import { createHash } from 'node:crypto';
import { formatIp, parseCidr, parseIp } from '../base/ip.ts';
import { type NodePlan, podGatewayMac, podGateways } from './addresses.ts';

/** Of each node whose pods are bridged. */
export const podBridge = 'cni0';

export interface PodLink {
  readonly uid: string;
  readonly node: NodePlan;
  /** IPv4, IPv6: either may be missing where a node has no range of that family. */
  readonly addresses: readonly string[];
}

/** A word for a pod's namespace and device, from its uid: devices have names of at most 15 letters. */
export function podNetworkId(podUid: string): string {
  return createHash('sha256').update(podUid).digest('hex').slice(0, 12);
}

export const podNetns = (podUid: string) => `pod-${podNetworkId(podUid)}`;

/** The device of a pod in its node's namespace. */
export const podDevice = (podUid: string) => `v${podNetworkId(podUid)}`;

/** The bridge of a node. Its hardware address is its own: left to itself it would be that of a port that may go. */
export function bridgeCommands(node: NodePlan, hasIpv6: boolean): string[] {
  const mac = `0a:58:0a:50:00:${(10 + node.index).toString(16).padStart(2, '0')}`;
  return [
    `link add ${podBridge} address ${mac} type bridge`,
    `link set ${podBridge} up`,
    ...gatewaysOf(node)
      .filter((gateway) => hasIpv6 || !gateway.address.includes(':'))
      .map(({ address, length }) => {
        return `addr add ${address}/${length} dev ${podBridge}${address.includes(':') ? ' nodad' : ''}`;
      }),
  ];
}

/** The node's side of a pod's link. */
export function linkCommands(pod: PodLink): string[] {
  const device = podDevice(pod.uid);
  return [`link add ${device} type veth peer name eth0 netns ${podNetns(pod.uid)}`, ...placePodDevice(pod)];
}

/** What makes the node's device of a pod, however it came there, the way to this pod. */
export function placePodDevice(pod: PodLink): string[] {
  const device = podDevice(pod.uid);
  const { podNetwork, addresses } = pod.node;
  if (podNetwork === 'bridge')
    return [`link set ${device} master ${podBridge} addrgenmode none`, `link set ${device} up`];
  if (podNetwork === 'ptp') {
    return [
      `link set ${device} addrgenmode none`,
      `link set ${device} up`,
      ...pod.addresses.flatMap((address) => {
        const { address: gateway = '' } = gatewayFor(pod.node, address) ?? {};
        const six = address.includes(':');
        return [
          `addr replace ${gateway}/${six ? 128 : 32} dev ${device}${six ? ' nodad' : ''}`,
          `route replace ${address} dev ${device}`,
        ];
      }),
    ];
  }
  const mac = podMac(pod);
  const [v4, v6] = addresses;
  return [
    `link set ${device} address ${podGatewayMac} addrgenmode none`,
    `link set ${device} up`,
    ...pod.addresses.flatMap((address) => [
      `route replace ${address} dev ${device} src ${address.includes(':') ? v6 : v4}`,
      `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`,
    ]),
  ];
}

/** The pod's side: the device takes its hardware address from the pod's own address, as many network plug-ins do it. */
export function podCommands(pod: PodLink): string[] {
  return [
    'link set lo up',
    `link set eth0 address ${podMac(pod)} addrgenmode none`,
    'link set eth0 up',
    ...pod.addresses.flatMap((address) => addressCommands(pod.node, address)),
  ];
}

function addressCommands(node: NodePlan, address: string): string[] {
  const six = address.includes(':');
  const [nodad, alone] = six ? [' nodad', 128] : ['', 32];
  const own = gatewayFor(node, address);
  if (node.podNetwork === 'bridge' && own !== null) {
    return [`addr add ${address}/${own.length} dev eth0${nodad}`, `route add default via ${own.address}`];
  }
  if (node.podNetwork === 'ptp' && own !== null) {
    return [
      `addr add ${address}/${alone} dev eth0${nodad}`,
      `route add ${own.address} dev eth0`,
      `route add default via ${own.address}`,
    ];
  }
  const gateway = podGateways[six ? 1 : 0];
  return [
    `addr add ${address}/${alone} dev eth0${nodad}`,
    `neigh add ${gateway} lladdr ${podGatewayMac} dev eth0 nud permanent`,
    `route add default via ${gateway} dev eth0 onlink`,
  ];
}

interface Gateway {
  readonly address: string;
  readonly length: number;
}

/** The first address of each range of a node. */
function gatewaysOf(node: NodePlan): Gateway[] {
  return node.podCidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    const ip = cidr === null ? null : parseIp(cidr.address);
    if (cidr === null || ip === null) return [];
    const first = ip.family === 4 ? { family: 4, value: ip.value + 1 } : { family: 6, value: ip.value + 1n };
    return [{ address: formatIp(first as typeof ip), length: cidr.length }];
  });
}

function gatewayFor(node: NodePlan, address: string): Gateway | null {
  return gatewaysOf(node).find((gateway) => gateway.address.includes(':') === address.includes(':')) ?? null;
}

function podMac(pod: PodLink): string {
  const v4 = pod.addresses.find((address) => !address.includes(':'));
  const ip = v4 === undefined ? null : parseIp(v4);
  const value = ip?.family === 4 ? ip.value : Number.parseInt(podNetworkId(pod.uid).slice(0, 8), 16);
  const bytes = [24, 16, 8, 0].map((shift) => ((value >>> shift) & 255).toString(16).padStart(2, '0'));
  return `0a:58:${bytes.join(':')}`;
}
