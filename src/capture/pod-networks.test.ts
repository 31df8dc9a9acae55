// What is made of the networks of real nodes: cut down from what `ip -j` prints with the usual network plug-ins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeLink, NodeNetworkReading, NodeRoute } from './node-network.ts';
import { type KnownPods, podNetworks, podNetworksUnseen } from './pod-networks.ts';

const mac = '02:00:00:00:00:01';
const link = (name: string, kind: string, addresses: string[] = [], more: Partial<NodeLink> = {}): NodeLink => {
  return { name, kind, master: '', mac, leadsElsewhere: kind === 'veth', addresses, ...more };
};
const to = (dst: string, dev: string, viaGateway = false): NodeRoute => ({ to: dst, link: dev, viaGateway });
const eth0 = link('eth0', '', ['192.168.0.10/24', 'fe80::1/64']);
const uplink = [to('0.0.0.0/0', 'eth0', true), to('192.168.0.0/24', 'eth0')];

interface Row {
  readonly name: string;
  readonly links: NodeLink[];
  readonly routes: NodeRoute[];
  readonly known?: Partial<KnownPods>;
  readonly networks: string[];
  readonly bridges?: string[];
  readonly others?: string[];
}

const rows: Row[] = [
  {
    name: 'Calico: a route to each pod, addresses outside of what the Node object says',
    links: [
      eth0,
      link('cali1', 'veth', ['fe80::ecee:eeff:feee:eeee/64']),
      link('cali2', 'veth'),
      link('tunl0', 'ipip', ['10.50.1.0/32']),
    ],
    routes: [
      ...uplink,
      to('10.50.1.2/32', 'cali1'),
      to('fd50::2/128', 'cali1'),
      to('fe80::/64', 'cali1'),
      to('10.50.1.3/32', 'cali2'),
      to('10.50.7.0/26', 'tunl0', true),
    ],
    known: { networks: ['10.244.1.0/24'] },
    networks: ['10.50.1.2', '10.50.1.3', '10.244.1.0/24', 'fd50::2'],
  },
  {
    name: 'AWS VPC CNI: addresses of the network of the node itself',
    links: [eth0, link('eni1', 'veth'), link('eth1', '', ['192.168.0.11/24'])],
    routes: [...uplink, to('192.168.0.77/32', 'eni1'), to('0.0.0.0/0', 'eth1', true)],
    networks: ['192.168.0.77'],
  },
  {
    name: 'kindnet: each link has the address of the gateway; the node hangs on a veth itself',
    links: [
      link('eth0', 'veth', ['172.18.0.2/16']),
      link('veth1', 'veth', ['10.244.0.1/32']),
      link('veth2', 'veth', ['10.244.0.1/32']),
    ],
    routes: [
      to('0.0.0.0/0', 'eth0', true),
      to('172.18.0.0/16', 'eth0'),
      to('10.244.0.2/32', 'veth1'),
      to('10.244.0.3/32', 'veth2'),
    ],
    networks: ['10.244.0.2', '10.244.0.3'],
    others: ['eth0'],
  },
  {
    name: 'flannel: pods on cni0, and on docker0 no pod',
    links: [
      eth0,
      link('cni0', 'bridge', ['10.244.1.1/24', 'fd00:10:244:1::1/64', 'fe80::2/64']),
      link('veth1', 'veth', [], { master: 'cni0' }),
      link('docker0', 'bridge', ['172.17.0.1/16']),
      link('flannel.1', 'vxlan', ['10.244.1.0/32']),
    ],
    routes: [...uplink, to('10.244.1.0/24', 'cni0'), to('10.244.2.0/24', 'flannel.1', true)],
    networks: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
    bridges: ['cni0'],
  },
  {
    name: 'a bridge of another name: by the network of the Node object',
    links: [eth0, link('br-pods', 'bridge', ['10.9.3.1/24'])],
    routes: [...uplink, to('10.9.3.0/24', 'br-pods')],
    known: { networks: ['10.9.0.0/16'] },
    networks: ['10.9.0.0/16'],
    bridges: ['br-pods'],
  },
  {
    name: 'a bridge of another name: by a pod that is on it',
    links: [eth0, link('br-pods', 'bridge', ['10.9.3.1/24'])],
    routes: uplink,
    known: { addresses: ['10.9.3.44'] },
    networks: ['10.9.3.0/24'],
    bridges: ['br-pods'],
  },
  {
    name: 'the bridge that the machine itself hangs on is no bridge of pods: there are other machines on it',
    links: [link('br0', 'bridge', ['192.168.0.10/24'])],
    routes: [to('0.0.0.0/0', 'br0', true)],
    known: { addresses: ['192.168.0.44'] },
    networks: ['192.168.0.44'],
  },
  {
    name: 'Cilium: its own routes to the pods of this node, not to those of others',
    links: [
      eth0,
      link('cilium_host', 'veth', ['10.0.1.5/32'], { leadsElsewhere: false }),
      link('cilium_net', 'veth', [], { leadsElsewhere: false }),
      link('lxc1', 'veth'),
    ],
    routes: [...uplink, to('10.0.1.0/24', 'cilium_host', true), to('10.0.2.0/24', 'cilium_host', true)],
    networks: ['10.0.1.0/24'],
    others: ['cilium_host', 'cilium_net'],
  },
  {
    name: 'a container that systemd made hangs on a network of its own',
    links: [eth0, link('ve-box', 'veth', ['192.168.99.1/28'])],
    routes: [...uplink, to('192.168.99.0/28', 've-box')],
    networks: [],
    others: ['ve-box'],
  },
  {
    name: 'nothing but what is known',
    links: [],
    routes: [],
    known: { networks: ['10.1.0.0/24'], addresses: ['10.1.0.7', 'fd00::7'] },
    networks: ['10.1.0.0/24', 'fd00::7'],
  },
];

for (const { name, links, routes, known = {}, networks, bridges = [], others = [] } of rows) {
  test(name, () => {
    const reading: NodeNetworkReading = { links, routes, bridgeHooks: false };
    const found = podNetworks(reading, { networks: [], addresses: [], ...known });
    assert.deepEqual(found.networks, networks);
    assert.deepEqual(
      found.links.bridges.map((bridge) => bridge.name),
      bridges,
    );
    assert.deepEqual(found.links.otherLinks, others);
  });
}

test('a node that cannot be looked at: what is known, and links tell nothing', () => {
  assert.deepEqual(podNetworksUnseen({ networks: ['10.1.0.0/24'], addresses: ['10.1.0.7', '10.2.0.7'] }), [
    '10.1.0.0/24',
    '10.2.0.7',
  ]);
});
