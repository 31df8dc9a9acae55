// The nftables rules inside the network namespace of one pod, as text: a pure function of what is desired.
//
// What the pod sends meets the output hook, is marked, and comes back in by way of `lo`, where `tproxy` hands it to
// the proxy. What comes to the pod meets the prerouting hook. Behind each `tproxy` stands a reset, as in `ruleset.ts`.
import { isIPv6 } from 'node:net';
import { bridgeRemovalText } from './bridge-rules.ts';
import type { CapturePorts } from './desired.ts';
import { tableName } from './rule-text.ts';
import {
  clientAddressMark,
  fwmark,
  neverCaptured,
  noteLines,
  ownerChain,
  removalText,
  type TableNotes,
} from './ruleset.ts';

export interface PodRules {
  readonly ports: CapturePorts;
  readonly failOpen: boolean;
  /** The node's own addresses: what comes from them is the kubelet, or another process of the node, and passes. */
  readonly nodeAddresses: readonly string[];
}

/**
 * DSCP of packets to pods of this node whose addresses were translated on the node: they may bear its own address, and
 * come from anywhere (`translatedText`). A number of the local-use range (RFC 2474 §6).
 */
const translatedDscp = '0x2f';
const ourMark = `meta mark 0x${fwmark.toString(16)}`;
const setMark = `meta mark set 0x${fwmark.toString(16)}`;
const proxysMark = `meta mark 0x${clientAddressMark.toString(16)}`;
/** On connections that the proxy makes in here, and on those that it has captured. */
const connectionMarks = { proxys: `0x${fwmark.toString(16)}`, captured: '0x53c' } as const;

/** The text that replaces whatever table the namespace has, atomically. `ownerMs` is when this proxy started. */
export function podRulesetText(rules: PodRules, ownerMs: number): string {
  return [
    removalText(),
    `table inet ${tableName} {`,
    `  chain ${ownerChain(ownerMs)} {}`,
    ...sets(rules),
    ...arriving(rules),
    ...leaving(),
    '}',
    '',
  ].join('\n');
}

/**
 * The text for a pod that leaves the mesh: what was captured is reset instead of going on in the clear, what is new
 * passes.
 */
export function endingText(ownerMs: number): string {
  const marked = `ct mark { ${connectionMarks.proxys}, ${connectionMarks.captured} }`;
  return [
    removalText(),
    `table inet ${tableName} {`,
    `  chain ${ownerChain(ownerMs)} {}`,
    '  chain ending {',
    '    type filter hook output priority mangle; policy accept;',
    '    meta l4proto != tcp accept',
    `    ${proxysMark} accept`,
    `    ct direction reply ct mark ${connectionMarks.captured} accept`, // the proxy's own last words to the pod
    `    ${marked} reject with tcp reset`,
    '  }',
    '}',
    '',
  ].join('\n');
}

/**
 * The table of the node itself: it captures nothing, and tells pods which packets only seem to come from the node.
 * kube-proxy gives the node's address to what comes by way of a NodePort; a pod that took that for the kubelet would be
 * open to everybody.
 */
export function translatedText(podCidrs: readonly string[], notes: TableNotes): string {
  const { v4, v6 } = byFamily(podCidrs);
  const mark = (ip: 'ip' | 'ip6', cidrs: readonly string[]): string[] => {
    if (cidrs.length === 0) return [];
    const toPods = `${ip} daddr { ${cidrs.join(', ')} } meta l4proto tcp ct direction original`;
    return ['dnat', 'snat'].map((what) => `    ${toPods} ct status ${what} ${ip} dscp set ${translatedDscp}`);
  };
  return [
    removalText(),
    ...(notes.hasBridgeTable ? [bridgeRemovalText()] : []),
    `table inet ${tableName} {`,
    ...noteLines(notes),
    '  chain translated {',
    '    type filter hook postrouting priority srcnat + 10; policy accept;',
    ...mark('ip', v4),
    ...mark('ip6', v6),
    '  }',
    '}',
    '',
  ].join('\n');
}

function sets({ nodeAddresses }: PodRules): string[] {
  const { v4, v6 } = byFamily(nodeAddresses);
  return [`  set node4 { type ipv4_addr;${elements(v4)} }`, `  set node6 { type ipv6_addr;${elements(v6)} }`];
}

function arriving({ ports, failOpen }: PodRules): string[] {
  const sent = `iif lo ${ourMark} meta l4proto tcp`;
  return [
    '  chain arriving {',
    '    type filter hook prerouting priority mangle; policy accept;',
    '    meta l4proto != tcp accept',
    `    ct direction reply ct mark ${connectionMarks.proxys} ${setMark} accept`,
    `    socket transparent 1 socket wildcard 0 ${setMark} accept`,
    '    ct direction reply accept',
    ...capture(`${sent} ct mark set ${connectionMarks.captured}`, sent, ports.outbound, failOpen),
    '    iif lo accept',
    '    fib daddr type != local accept', // it only passes through this pod
    // Nobody but the proxy listens there; the kernel refuses while it does not.
    `    tcp dport ${ports.hbone} accept`,
    ...families.map((ip) => `    ${ip.name} saddr @node${ip.set} ${ip.name} dscp != ${translatedDscp} accept`),
    ...capture('meta l4proto tcp', 'meta l4proto tcp', ports.inbound, failOpen),
    '  }',
  ];
}

/** Hands what fits to the proxy; where none listens, `tproxy` does nothing, and what follows resets. */
function capture(match: string, matchAgain: string, port: number, failOpen: boolean): string[] {
  const hand = families.map(({ name, proto }) => {
    return `    meta nfproto ${proto} ${match} tproxy ${name} to :${port} ${setMark} accept`;
  });
  return failOpen ? hand : [...hand, `    ${matchAgain} counter reject with tcp reset`];
}

function leaving(): string[] {
  return [
    '  chain leaving {',
    '    type route hook output priority mangle; policy accept;',
    '    meta l4proto != tcp accept',
    `    ${proxysMark} ct state new ct mark set ${connectionMarks.proxys}`,
    `    ${proxysMark} accept`,
    `    ct direction reply ct mark ${connectionMarks.proxys} ${setMark} accept`, // to whom the proxy speaks for
    '    ct direction reply accept',
    '    fib daddr type local accept', // the pod itself
    `    ip daddr { ${neverCaptured[4].join(', ')} } accept`,
    `    ip6 daddr { ${neverCaptured[6].join(', ')} } accept`,
    `    ${setMark}`,
    '  }',
  ];
}

const families = [
  { name: 'ip', set: '4', proto: 'ipv4' },
  { name: 'ip6', set: '6', proto: 'ipv6' },
] as const;

function elements(values: readonly string[]): string {
  return values.length === 0 ? '' : ` elements = { ${values.join(', ')} };`;
}

function byFamily(values: readonly string[]): { v4: string[]; v6: string[] } {
  const six = (value: string) => isIPv6(value.split('/')[0] ?? '');
  return { v4: values.filter((value) => !six(value)), v6: values.filter(six) };
}
