// The network that every path is measured in: client pod, node A, node B, server pod, each a network namespace.
//
//   client 10.244.1.2 ──veth── node A ══veth══ node B ──veth── server 10.244.2.2
//                              10.80.0.11     10.80.0.12
//
// Pods hang on routed veths, as most CNIs do it. Proxies run in the nodes. The run's own namespace reaches each node
// over
// a link of its own (10.81.K.1 ↔ 10.81.K.2), which carries control traffic only.
import { command } from './processes.ts';

export const clientAddress = '10.244.1.2';
export const serverAddress = '10.244.2.2';
const waypointAddress = '10.244.2.3';
export const nodeAddresses = { a: '10.80.0.11', b: '10.80.0.12' } as const;
const podGateway = '169.254.1.1';

export interface Topology {
  readonly client: string;
  readonly nodeA: string;
  readonly nodeB: string;
  readonly server: string;
  /** Of the run's own namespace on the link to node A and to node B. */
  readonly controlAddresses: readonly [string, string];
}

/** Makes the four namespaces `PREFIX-…` with their links and routes. `index` (0, 1, …) keeps control networks apart. */
export function makeTopology(prefix: string, index: number): Topology {
  const names = { client: `${prefix}-c`, nodeA: `${prefix}-a`, nodeB: `${prefix}-b`, server: `${prefix}-s` };
  for (const name of Object.values(names)) addNamespace(name);
  link(names.nodeA, 'to-b', names.nodeB, 'to-a');
  ip(names.nodeA, `addr add ${nodeAddresses.a}/24 dev to-b`, `route add 10.244.2.0/24 via ${nodeAddresses.b}`);
  ip(names.nodeB, `addr add ${nodeAddresses.b}/24 dev to-a`, `route add 10.244.1.0/24 via ${nodeAddresses.a}`);
  attachPod(names.nodeA, names.client, clientAddress);
  attachPod(names.nodeB, names.server, serverAddress);
  const controlAddresses = [names.nodeA, names.nodeB].map((node, at) => controlLink(node, index * 2 + at + 1));
  return { ...names, controlAddresses: controlAddresses as [string, string] };
}

/** Another pod of a topology, for a waypoint. */
export interface WaypointPod {
  readonly netns: string;
  readonly address: string;
  /** Of the run's own namespace on the pod's control link. */
  readonly controlAddress: string;
}

/** Adds a pod to node B, with a control link of its own. `index` is as for `makeTopology`, and no topology's. */
export function addWaypointPod(prefix: string, { nodeB }: Topology, index: number): WaypointPod {
  const netns = `${prefix}-w`;
  addNamespace(netns);
  attachPod(nodeB, netns, waypointAddress, 'waypoint');
  return { netns, address: waypointAddress, controlAddress: controlLink(netns, index * 2 + 1) };
}

/** Lets the run's own namespace and the topology's pods reach each other too; for one topology of a run. */
export function routeToPods({ controlAddresses: [a, b] }: Topology): void {
  command('ip', ['route', 'add', `${clientAddress}/32`, 'via', gatewayOn(a)]);
  command('ip', ['route', 'add', `${serverAddress}/32`, 'via', gatewayOn(b)]);
}

/** The node's own address on the control link on which ours is `controlAddress`. */
export function gatewayOn(controlAddress: string): string {
  return controlAddress.replace(/1$/, '2');
}

function addNamespace(name: string): void {
  command('ip', ['netns', 'add', name]);
  ip(name, 'link set lo up');
  // Room for many short connections, and nothing that drops what a transparent proxy sends.
  const settings = [
    'net.ipv4.ip_forward=1',
    'net.ipv4.conf.all.rp_filter=0',
    'net.ipv4.conf.default.rp_filter=0',
    'net.ipv4.ip_local_port_range=20000 65000',
    'net.ipv4.tcp_tw_reuse=1',
    'net.core.somaxconn=4096',
    'net.ipv4.tcp_max_syn_backlog=4096',
  ];
  command('nsenter', [`--net=/run/netns/${name}`, '--', 'sysctl', '-q', '-w', ...settings]);
}

function link(left: string, leftName: string, right: string, rightName: string): void {
  command('ip', ['link', 'add', leftName, 'netns', left, 'type', 'veth', 'peer', 'name', rightName, 'netns', right]);
  ip(left, `link set ${leftName} up`);
  ip(right, `link set ${rightName} up`);
}

function attachPod(node: string, pod: string, address: string, device = 'pod'): void {
  link(node, device, pod, 'eth0');
  ip(node, `addr add ${podGateway}/32 dev ${device}`, `route add ${address}/32 dev ${device}`);
  ip(
    pod,
    `addr add ${address}/32 dev eth0`,
    `route add ${podGateway}/32 dev eth0`,
    `route add default via ${podGateway} dev eth0 src ${address}`,
  );
}

function controlLink(node: string, number: number): string {
  const own = `10.81.${number}.1`;
  const name = `control${number}`;
  command('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'control', 'netns', node]);
  command('ip', ['addr', 'add', `${own}/30`, 'dev', name]);
  command('ip', ['link', 'set', name, 'up']);
  ip(node, `addr add 10.81.${number}.2/30 dev control`, 'link set control up');
  return own;
}

function ip(netns: string, ...lines: string[]): void {
  command('ip', ['-netns', netns, '-batch', '-'], `${lines.join('\n')}\n`);
}
