import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNode, type NodeFacts } from './node-check.ts';
import type { NodeLink } from './node-network.ts';

const link = (name: string, kind = ''): NodeLink => {
  return { name, kind, master: '', mac: '', leadsElsewhere: false, addresses: [] };
};
const kubeProxy = 'table ip nat {\n chain KUBE-SERVICES {\n }\n}\n';
/** A node where nothing is in the way. */
const good: NodeFacts = {
  backend: 'host',
  links: [link('lo'), link('eth0'), link('cali1', 'veth')],
  pinned: [],
  settings: { 'net/ipv4/ip_forward': '1', 'net/ipv4/conf/all/rp_filter': '1', 'net/ipv4/conf/all/src_valid_mark': '0' },
  rules: kubeProxy,
  legacyTables: [],
  policyRules: ['0:\tfrom all lookup local', '90:\tfrom all fwmark 0x539 lookup 539', '32766:\tfrom all lookup main'],
  kernel: { tproxy: null, bridge: null },
  bridges: [],
  tracked: { count: 10, max: 262_144 },
};
const cilium = { links: [...good.links, link('cilium_host', 'veth'), link('lxc1', 'veth')] };

const rows: { name: string; facts: Partial<NodeFacts>; found: string[]; set?: string[] }[] = [
  { name: 'a node in good order', facts: {}, found: [] },
  {
    name: 'Cilium without kube-proxy',
    facts: { ...cilium, rules: '' },
    found: ['error cilium-host-routing', 'error cilium-socket-lb'],
    set: ['bpf.hostLegacyRouting=true', 'socketLB.hostNamespaceOnly=true'],
  },
  {
    name: 'Cilium without kube-proxy, captured inside of pods: the sockets are still translated',
    facts: { ...cilium, rules: '', backend: 'pod' },
    found: ['error cilium-socket-lb'],
  },
  {
    name: 'Cilium, known by its pins',
    facts: { pinned: ['tc/globals/cilium_calls'], rules: '' },
    found: ['error cilium-host-routing', 'error cilium-socket-lb'],
  },
  { name: 'Cilium with kube-proxy', facts: cilium, found: [] },
  { name: 'Cilium, and rules that do not show', facts: { ...cilium, rules: '', legacyTables: ['nat'] }, found: [] },
  {
    name: 'Cilium with netkit',
    facts: { links: [...cilium.links, link('lxc2', 'netkit')] },
    found: ['error cilium-host-routing', 'warning links-unseen'],
  },
  {
    name: 'Calico with eBPF',
    facts: { links: [...good.links, link('bpfin.cali', 'veth')] },
    found: ['error calico-ebpf'],
    set: ['linuxDataplane=Iptables'],
  },
  {
    name: 'Open vSwitch',
    facts: { links: [...good.links, link('ovs-system', 'openvswitch')] },
    found: ['error open-vswitch'],
    set: ['capture.backend=pod'],
  },
  { name: 'no kube-proxy at all', facts: { rules: '' }, found: ['info kube-proxy-missing'] },
  {
    name: 'a kernel without tproxy',
    facts: { kernel: { tproxy: 'No such file', bridge: null } },
    found: ['error kernel-tproxy'],
  },
  {
    name: 'a kernel without rules for bridges, and nobody needs them',
    facts: { kernel: { tproxy: null, bridge: 'no' } },
    found: [],
  },
  {
    name: 'a kernel without rules for bridges',
    facts: { kernel: { tproxy: null, bridge: 'no' }, bridges: ['cni0'] },
    found: ['error kernel-bridge'],
  },
  {
    name: 'marks that count for the way back, and a strict filter',
    facts: { settings: { ...good.settings, 'net/ipv4/conf/all/src_valid_mark': '1' } },
    found: ['error rp-filter'],
    set: ['net.ipv4.conf.all.rp_filter=2'],
  },
  { name: 'no forwarding', facts: { settings: { 'net/ipv4/ip_forward': '0' } }, found: ['error ip-forward'] },
  {
    name: 'a policy rule before ours',
    facts: { policyRules: ['9:\tfrom all fwmark 0x200/0xf00 lookup 2004'] },
    found: ['warning policy-rules'],
  },
  {
    name: 'our table is taken',
    facts: { policyRules: ['100:\tfrom 10.0.0.0/8 lookup 539'] },
    found: ['error mark-taken'],
  },
  { name: 'our mark is taken', facts: { rules: `${kubeProxy} meta mark set 0x00000539` }, found: ['error mark-taken'] },
  {
    name: 'a firewall',
    facts: { rules: `${kubeProxy} type filter hook input priority filter; policy drop;` },
    found: ['warning firewall-input'],
  },
  {
    name: 'connection tracking is full',
    facts: { tracked: { count: 99, max: 100 } },
    found: ['warning conntrack-full'],
  },
  { name: 'nothing is captured', facts: { ...cilium, rules: '', backend: 'none' }, found: [] },
];

for (const { name, facts, found, set } of rows) {
  test(name, () => {
    const findings = checkNode({ ...good, ...facts });
    assert.deepEqual(
      findings.map(({ severity, id }) => `${severity} ${id}`),
      found,
    );
    if (set !== undefined)
      assert.deepEqual(
        findings.flatMap((one) => one.set),
        set,
      );
    for (const { text, fix, hint } of findings) assert(text !== '' && fix !== '' && hint.includes('#'));
  });
}
