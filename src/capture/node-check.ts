// What of a node stands in the way of capture, judged from what was read there (`read-node-facts.ts`): pure, so that
// `ambient-node check`, the dump of the node proxy and `ambientctl check` say the same. A finding says what to set.
import type { NodeFinding } from '../model/views.ts';
import type { NodeLink } from './node-network.ts';

/** What is looked at. What could not be read is null, and says nothing. */
export interface NodeFacts {
  readonly backend: 'host' | 'pod' | 'none';
  readonly links: readonly NodeLink[];
  /** Names of what is pinned under `/sys/fs/bpf`, such as `cilium` or `tc/globals/cilium_calls`. */
  readonly pinned: readonly string[];
  /** Names and values of kernel settings, such as `net/ipv4/conf/all/rp_filter`. */
  readonly settings: Readonly<Record<string, string>>;
  /** `nft list ruleset` without our own tables. */
  readonly rules: string | null;
  /** Tables of iptables-legacy, whose rules `nft` does not show. */
  readonly legacyTables: readonly string[];
  /** Lines of `ip rule`, both families. */
  readonly policyRules: readonly string[];
  /** The kernel takes the expressions that capture is made of, by a trial that changes nothing. */
  readonly kernel: { readonly tproxy: string | null; readonly bridge: string | null };
  readonly bridges: readonly string[];
  /** Packets that connection tracking follows, and the most that it can; null where it does not say. */
  readonly tracked: { readonly count: number; readonly max: number } | null;
}

type Check = (facts: NodeFacts) => NodeFinding | null;

const ourPreference = 90;
const conntrackShare = 0.9;
const hint = 'docs/node-proxy.md#what-a-node-needs';

/** The findings about a node, those that keep the mesh from working first. */
export function checkNode(facts: NodeFacts): NodeFinding[] {
  if (facts.backend === 'none') return [];
  const found = checks.map((check) => check(facts)).filter((finding) => finding !== null);
  const weight = { error: 0, warning: 1, info: 2 } as const;
  return found.sort((a, b) => weight[a.severity] - weight[b.severity]);
}

const names = ({ links }: NodeFacts) => links.map(({ name }) => name);
const isCilium = (facts: NodeFacts): boolean =>
  names(facts).includes('cilium_host') || facts.pinned.some((name) => /(^|\/)cilium/.test(name));
const inPods = 'or set node.config.capture.backend to pod, which captures inside of pods';

/** Null where nobody can tell: rules of iptables-legacy do not show. */
function hasKubeProxy({ rules, legacyTables }: NodeFacts): boolean | null {
  if (rules !== null && /\bKUBE-(SERVICES|SVC|PROXY)|table \S+ kube-proxy/.test(rules)) return true;
  return rules === null || legacyTables.length > 0 ? null : false;
}

function finding(
  id: string,
  severity: NodeFinding['severity'],
  text: string,
  fix: string,
  set: readonly string[] = [],
): NodeFinding {
  return { id, severity, text, fix, set, hint };
}

const checks: readonly Check[] = [
  (facts) => {
    // Cilium passes packets by itself only where it stands in for kube-proxy.
    const isNetkit = facts.links.some(({ kind }) => kind === 'netkit');
    if (facts.backend !== 'host' || !isCilium(facts) || (hasKubeProxy(facts) !== false && !isNetkit)) return null;
    const text = 'Cilium passes packets between pods and the network in eBPF, past the rules of this node';
    const set = ['bpf.hostLegacyRouting=true'];
    return finding('cilium-host-routing', 'error', text, `set in Cilium ${set[0]}, ${inPods}`, set);
  },
  (facts) => {
    if (!isCilium(facts) || hasKubeProxy(facts) !== false) return null;
    const text =
      'Cilium translates addresses of services in the sockets of pods, before the mesh sees which was called';
    const set = ['socketLB.hostNamespaceOnly=true'];
    return finding('cilium-socket-lb', 'error', text, `set in Cilium ${set[0]}`, set);
  },
  (facts) => {
    if (isCilium(facts) || hasKubeProxy(facts) !== false) return null;
    const text = 'there are no rules of kube-proxy on this node: who translates addresses of services is not known';
    return finding('kube-proxy-missing', 'info', text, 'nothing, if pods reach services without the mesh');
  },
  (facts) => {
    const isCalico = facts.links.some(({ name }) => name === 'bpfin.cali' || name === 'bpfout.cali');
    if (!isCalico || facts.backend !== 'host') return null;
    const text = 'Calico passes packets of pods in eBPF, past the rules of this node';
    return finding('calico-ebpf', 'error', text, `set in Calico linuxDataplane: Iptables, ${inPods}`, [
      'linuxDataplane=Iptables',
    ]);
  },
  (facts) => {
    if (
      facts.backend !== 'host' ||
      !names(facts).some((name) => /^(ovs-system|ovn-k8s-mp0|antrea-gw0|kube-ovn.*)$/.test(name))
    )
      return null;
    const text = 'pods hang on Open vSwitch, which passes packets between them past the rules of this node';
    return finding('open-vswitch', 'error', text, 'set node.config.capture.backend to pod', ['capture.backend=pod']);
  },
  (facts) => {
    if (
      facts.backend !== 'host' ||
      !facts.links.some(({ kind }) => kind === 'ipvlan' || kind === 'macvlan' || kind === 'netkit')
    )
      return null;
    const text = 'links of the kind ipvlan, macvlan or netkit: pods on them do not pass the rules of this node';
    return finding('links-unseen', 'warning', text, 'set node.config.capture.backend to pod if pods hang on them', [
      'capture.backend=pod',
    ]);
  },
  ({ backend, kernel }) => {
    if (backend !== 'host' || kernel.tproxy === null) return null;
    const text = `the kernel does not take the rules of capture: ${kernel.tproxy}`;
    return finding(
      'kernel-tproxy',
      'error',
      text,
      'load the modules nft_tproxy and nft_socket: modprobe -a nft_tproxy nft_socket',
    );
  },
  ({ backend, kernel, bridges }) => {
    if (backend !== 'host' || kernel.bridge === null || bridges.length === 0) return null;
    const text = `pods hang on ${bridges.join(', ')}, and the kernel takes no rules for bridges: ${kernel.bridge}`;
    return finding('kernel-bridge', 'error', text, 'use a kernel with NF_TABLES_BRIDGE, or capture.backend: pod', [
      'capture.backend=pod',
    ]);
  },
  ({ settings }) => {
    const value = (name: string): number => Number(settings[`net/ipv4/conf/all/${name}`] ?? 0);
    if (value('src_valid_mark') !== 1 || value('rp_filter') !== 1) return null;
    const text = 'net.ipv4.conf.all.src_valid_mark=1 together with rp_filter=1 drops captured packets';
    return finding('rp-filter', 'error', text, 'set net.ipv4.conf.all.rp_filter to 2', [
      'net.ipv4.conf.all.rp_filter=2',
    ]);
  },
  ({ settings }) => {
    if (settings['net/ipv4/ip_forward'] !== '0') return null;
    return finding(
      'ip-forward',
      'error',
      'this node does not forward packets: its pods reach nobody',
      'set net.ipv4.ip_forward to 1',
      ['net.ipv4.ip_forward=1'],
    );
  },
  ({ policyRules, backend }) => {
    const before = policyRules.filter((line) => {
      const preference = Number(/^(\d+):/.exec(line)?.[1] ?? Number.NaN);
      return preference > 0 && preference < ourPreference && !/lookup (local|539)\b/.test(line);
    });
    if (backend !== 'host' || before.length === 0) return null;
    const what = `policy rules before ours (${ourPreference})`;
    const text = `${what} may send captured packets elsewhere: ${before[0]!.trim()}`;
    return finding('policy-rules', 'warning', text, 'move them behind 90, where they do not match mark 0x539');
  },
  ({ rules, policyRules }) => {
    const foreign = policyRules.some((line) => /lookup 539\b/.test(line) && !/fwmark 0x539 lookup/.test(line));
    const marks = rules !== null && /(mark set (0x0*539|0x0*53[ab])\b|--set-x?mark 0x53[9ab]\b)/.test(rules);
    if (!foreign && !marks) return null;
    const text = 'somebody else uses the mark 0x539 or the routing table 539, which are those of capture';
    return finding('mark-taken', 'error', text, 'let the other program use another mark or table');
  },
  ({ rules }) => {
    if (rules === null || !/hook input[^;]*;\s*policy drop/.test(rules)) return null;
    const text = 'a firewall of this node drops by default what comes in; it must accept mark 0x539';
    return finding(
      'firewall-input',
      'warning',
      text,
      'accept packets with mark 0x539 there, and with 0x53a on the way out',
    );
  },
  ({ tracked }) => {
    if (tracked === null || tracked.count < tracked.max * conntrackShare) return null;
    const text = `connection tracking is nearly full: ${tracked.count} of ${tracked.max}`;
    return finding('conntrack-full', 'warning', text, 'raise net.netfilter.nf_conntrack_max', [
      `net.netfilter.nf_conntrack_max=${tracked.max * 2}`,
    ]);
  },
];
