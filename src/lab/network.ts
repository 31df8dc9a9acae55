// The lab's network: the fabric with its bridge, a namespace per node, a namespace per pod on a routed veth pair.
//
//   fabric (the lab's own namespace)         node-NAME                          pod-ID
//   fabric0 10.80.0.1 ── NODE ⇄ eth0 10.80.0.11 ── forwards, services ── vID ⇄ eth0 10.244.1.2/32
//
// How pods hang on their node is in `pod-links.ts`. Commands are gathered and run in batches, pods of one node
// together.
import { existsSync } from 'node:fs';
import { fabricAddresses, fabricMac, type NodePlan } from './addresses.ts';
import { bridgeCommands, linkCommands, type PodLink, podCommands, podDevice, podNetns } from './pod-links.ts';
import { inNetns, ipBatch, netnsPath, run } from './run.ts';

const bridge = 'fabric0';

export const nodeNetns = (nodeName: string) => `node-${nodeName}`;

/** The device of a node in the fabric. */
export const nodeLink = (node: NodePlan) => `node${node.index}`;

/** What makes a node's device in the fabric, however it came there, a port of the bridge. */
export const placeNodeDevice = (node: NodePlan) => [
  `link set ${nodeLink(node)} master ${bridge} addrgenmode none`,
  `link set ${nodeLink(node)} up`,
];

/** True when the kernel speaks IPv6 at all. */
export function hasIpv6(): boolean {
  return existsSync('/proc/sys/net/ipv6');
}

const sysctls = {
  'net/ipv4/ip_forward': 1,
  'net/ipv6/conf/all/forwarding': 1,
  'net/ipv4/conf/all/rp_filter': 0,
  'net/ipv4/conf/default/rp_filter': 0,
  'net/ipv4/conf/all/send_redirects': 0,
  'net/ipv4/conf/default/send_redirects': 0,
  // Replacing a proxy moves its waiting connections to the new one instead of resetting them.
  'net/ipv4/tcp_migrate_req': 1,
  'net/ipv4/ip_unprivileged_port_start': 0,
  // As kubeadm wants it; where there is no bridge it says nothing.
  'net/bridge/bridge-nf-call-iptables': 1,
  'net/bridge/bridge-nf-call-ip6tables': 1,
} as const;

/** Writes sysctls in a network namespace; one that a kernel does not have is left out. */
function sysctlScript(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `[ -w /proc/sys/${name} ] && echo ${value} > /proc/sys/${name}`)
    .concat('true')
    .join('\n');
}

/** Builds the fabric and the nodes: devices are up before any route is put on them. */
export async function createTopology(nodes: readonly NodePlan[]): Promise<void> {
  await ipBatch(null, [
    'link set lo up',
    `link add ${bridge} address ${fabricMac} type bridge`,
    `link set ${bridge} addrgenmode none`,
    `link set ${bridge} up`,
    `addr add ${fabricAddresses[0]}/24 dev ${bridge}`,
    ...(hasIpv6() ? [`addr add ${fabricAddresses[1]}/64 dev ${bridge} nodad`] : []),
  ]);
  await run(['sh', '-s'], sysctlScript(sysctls));
  await addNodes(nodes, []);
}

/** Adds nodes to a fabric that has `existing` ones. */
export async function addNodes(nodes: readonly NodePlan[], existing: readonly NodePlan[]): Promise<void> {
  await ipBatch(
    null,
    nodes.flatMap((node) => [
      `netns add ${nodeNetns(node.name)}`,
      `link add ${nodeLink(node)} type veth peer name eth0 netns ${nodeNetns(node.name)}`,
      ...placeNodeDevice(node),
    ]),
  );
  const all = [...existing, ...nodes];
  await Promise.all(
    nodes.map(async (node) => {
      await run([...inNetns(nodeNetns(node.name)), 'sh', '-s'], sysctlScript(sysctls));
      await ipBatch(nodeNetns(node.name), nodeCommands(node, all));
    }),
  );
  await ipBatch(
    null,
    nodes.flatMap((node) => routesTo(node)),
  );
  await Promise.all(
    existing.map((each) =>
      ipBatch(
        nodeNetns(each.name),
        nodes.flatMap((node) => routesTo(node)),
      ),
    ),
  );
}

function nodeCommands(node: NodePlan, all: readonly NodePlan[]): string[] {
  const [v4, v6] = node.addresses;
  const six = hasIpv6();
  return [
    'link set lo up',
    'link set eth0 up',
    `addr add ${v4}/24 dev eth0`,
    ...(six ? [`addr add ${v6}/64 dev eth0 nodad`] : []),
    `route add default via ${fabricAddresses[0]}`,
    ...(six ? [`route add default via ${fabricAddresses[1]}`] : []),
    ...(node.podNetwork === 'bridge'
      ? bridgeCommands(node, six)
      : // An address of this node that no pod has is refused here instead of going round to the fabric and back.
        node.podCidrs.filter((cidr) => six || !cidr.includes(':')).map((cidr) => `route add unreachable ${cidr}`)),
    ...all.filter((each) => each !== node).flatMap((each) => routesTo(each)),
  ];
}

function routesTo(node: NodePlan): string[] {
  const [v4, v6] = node.addresses;
  return node.podCidrs
    .filter((cidr) => hasIpv6() || !cidr.includes(':'))
    .map((cidr) => `route add ${cidr} via ${cidr.includes(':') ? v6 : v4}`);
}

/** Makes namespaces, links, addresses and routes of pods, the pods of one node in one go. */
export async function addPods(pods: readonly PodLink[]): Promise<void> {
  await ipBatch(
    null,
    pods.map((pod) => `netns add ${podNetns(pod.uid)}`),
  );
  const nodes = new Map<string, PodLink[]>();
  for (const pod of pods) nodes.set(pod.node.name, [...(nodes.get(pod.node.name) ?? []), pod]);
  await Promise.all([...nodes].map(([name, links]) => ipBatch(nodeNetns(name), links.flatMap(linkCommands))));
  await Promise.all(pods.map((pod) => ipBatch(podNetns(pod.uid), podCommands(pod))));
}

/** Takes a pod's namespace and link away; the kernel removes its routes with the link. */
export async function removePod(pod: PodLink): Promise<void> {
  await ipBatch(nodeNetns(pod.node.name), [`link del ${podDevice(pod.uid)}`]);
  await ipBatch(null, [`netns del ${podNetns(pod.uid)}`]);
}

/** True when the namespace of the pod is there. */
export function hasPodNetns(podUid: string): boolean {
  return existsSync(netnsPath(podNetns(podUid)));
}
