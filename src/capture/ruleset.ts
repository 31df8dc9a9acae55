// The whole nftables rule set of a node as text, a pure function of what is desired. Applied by `nft -f -` as one
// transaction.
//
// A packet meets, in prerouting:
//   mangle (-150)      before kube-proxy's DNAT: what is the proxy's already, tunnels to local pods, traffic from pods
//   dstnat - 1 (-101)  keeps what was captured out of kube-proxy's DNAT
//   dstnat + 1 (-99)   after DNAT: traffic to local pods, also what came through a ClusterIP or NodePort
// in forward what would reach a pod that is too new for its address to be known, and in output what this machine sends
// to its own pods by way of a ClusterIP or NodePort.
// Behind each `tproxy` stands a reset: `tproxy` does nothing when no socket listens, and evaluation goes on.
import { bridgeRefillLines, bridgeRemovalText, bridgeText, onceMore } from './bridge-rules.ts';
import type { DesiredCapture } from './desired.ts';
import { quoted, type RuleFamily, refillLines, ruleFamilies, setLines, tableName } from './rule-text.ts';

/** On packets that the routing table below delivers to this machine whatever their destination. */
export const fwmark = 0x539;
export const routeTable = 539;
/** On packets of connections that the proxy makes from the address of a client. */
export const clientAddressMark = 0x53a;

/** Destinations that are left alone: they answer for the link or the machine, and some trust whoever can reach them. */
export const neverCaptured = {
  4: [
    // Link-local: gateways, node-local DNS, instance metadata, which would answer the proxy with the node's own rights.
    '169.254.0.0/16',
    '168.63.129.16', // Azure's host agent
  ],
  6: [
    'fe80::/10', // link-local
    'fd00:ec2::254', // instance metadata of AWS
    'fd20:ce::254', // instance metadata of Google Cloud
  ],
} as const;

const ownerPrefix = 'owner_';
/** Empty chains too: what they remember lasts exactly as long as the rules, and as what was changed. */
const settingPrefix = 'was_';
const ourMark = `meta mark 0x${fwmark.toString(16)}`;
const setMark = `meta mark set 0x${fwmark.toString(16)}`;
const mark = `${setMark} accept`;
/**
 * On connections that the proxy made from a client's address. `here`: to this very machine, by way of a NodePort, so
 * that their replies must be turned round on their way out.
 */
export const connectionMarks = { away: `0x${fwmark.toString(16)}`, here: '0x53b' } as const;
/**
 * A reply to such a connection. It comes to this machine also when no socket is left: what the pod still sends is
 * answered by a reset, and never goes on to the client past the tunnel.
 */
const replyToUs = `ct direction reply ct mark { ${connectionMarks.away}, ${connectionMarks.here} }`;
/** A packet towards the destination that kube-proxy chose for it. */
const dnatted = 'ct direction original ct status dnat';

/**
 * The name of the empty chain that says which proxy made the rules: the one that started last wins when two overlap.
 */
export function ownerChain(ownerMs: number | ''): string {
  return `${ownerPrefix}${ownerMs}`;
}

/** The start time in a chain's name, or null when it is not an owner's chain. */
export function ownerOf(chain: string): number | null {
  if (!chain.startsWith(ownerPrefix)) return null;
  const value = Number(chain.slice(ownerPrefix.length));
  return Number.isSafeInteger(value) ? value : null;
}

/** The setting and its former value in a chain's name, or null when it is about none. */
export function settingOf(chain: string): readonly [name: string, value: string] | null {
  const found = chain.startsWith(settingPrefix) ? /^([a-z_]+)_(\d+)$/.exec(chain.slice(settingPrefix.length)) : null;
  return found === null ? null : [found[1] ?? '', found[2] ?? ''];
}

/** What goes into the table besides the rules. */
export interface TableNotes {
  /** When this proxy started. */
  readonly ownerMs: number;
  /** There is a table of the bridge family from before. */
  readonly hasBridgeTable?: boolean;
  /** What settings of the kernel were before this proxy, or an earlier one, changed them. */
  readonly settings?: KernelSettings;
}

/** Names of settings, of lower-case letters and `_`, and their values, which are numbers. */
export type KernelSettings = Readonly<Record<string, string>>;

/** The chains that say them. */
export function noteLines({ ownerMs, settings = {} }: TableNotes): string[] {
  const former = Object.entries(settings).map(([name, value]) => `  chain ${settingPrefix}${name}_${value} {}`);
  return [`  chain ${ownerChain(ownerMs)} {}`, ...former];
}

/** The text that replaces whatever tables are there by the desired ones, atomically. */
export function rulesetText(desired: DesiredCapture, notes: TableNotes): string {
  const { hasBridgeTable = false } = notes;
  const bridges = bridgeText(desired);
  return [
    removalText(),
    // A kernel may lack the family; then nothing of it is said.
    ...(hasBridgeTable || bridges !== '' ? [bridgeRemovalText()] : []),
    `table inet ${tableName} {`,
    ...noteLines(notes),
    ...sets(desired),
    ...beforeDnat(desired),
    ...withoutDnat(),
    ...afterDnat(desired),
    ...unknownPods(desired),
    ...output(desired),
    ...onceMore(desired, ourMark, (ip) => assignments(desired, ip)),
    '}',
    bridges,
  ].join('\n');
}

/** The text that replaces only the addresses in the sets of tables that are in place, atomically. */
export function addressesText(desired: DesiredCapture): string {
  const lines = [
    ...refillLines('inet', 'pods', desired.podCidrs),
    ...refillLines('inet', 'bypass', desired.bypass),
    ...bridgeRefillLines(desired),
  ];
  return `${lines.join('\n')}\n`;
}

/** The text that removes the table; valid also when there is none. */
export function removalText(): string {
  return `table inet ${tableName} {}\ndelete table inet ${tableName}`;
}

function sets(desired: DesiredCapture): string[] {
  return [...setLines('pods', desired.podCidrs, ' flags interval;'), ...setLines('bypass', desired.bypass)];
}

function beforeDnat(desired: DesiredCapture): string[] {
  const { hbone, outbound } = desired.ports;
  return [
    '  chain before_dnat {',
    '    type filter hook prerouting priority mangle; policy accept;',
    ...alreadyOurs(),
    ...capture(desired, (ip) => `${toPods(ip)} tcp dport ${hbone}`, hbone),
    `    iif lo ct direction original ct mark ${connectionMarks.away} ct mark set ${connectionMarks.here}`,
    '    iif lo accept',
    `    ip daddr { ${neverCaptured[4].join(', ')} } accept`,
    `    ip6 daddr { ${neverCaptured[6].join(', ')} } accept`,
    ...capture(desired, fromPods, outbound),
    ...byLinks(desired).flatMap((link) => {
      return capture(desired, (ip) => `${link} ${ip.name} saddr != @bypass${ip.set}`, outbound);
    }),
    '  }',
  ];
}

/** Matches of what comes in by the links of pods, whatever address it bears; none where links tell nothing. */
function byLinks({ links: { bridges, otherLinks } }: DesiredCapture): string[] {
  if (otherLinks === null) return [];
  const names = (links: readonly string[]) => `{ ${links.map(quoted).join(', ')} }`;
  const veth = `meta iifkind "veth"${otherLinks.length === 0 ? '' : ` iifname != ${names(otherLinks)}`}`;
  return [veth, ...(bridges.length === 0 ? [] : [`iifname ${names(bridges.map(({ name }) => name))}`])];
}

/**
 * A pod may be called before its address has been read from the node: what is not captured, and not for a pod that is
 * known to be outside the mesh, waits for its sender to say it again.
 */
function unknownPods(desired: DesiredCapture): string[] {
  const { otherLinks } = desired.links;
  if (otherLinks === null || desired.failOpen) return [];
  const others = otherLinks.length === 0 ? '' : ` oifname != { ${otherLinks.map(quoted).join(', ')} }`;
  return [
    '  chain unknown_pods {',
    '    type filter hook forward priority filter; policy accept;',
    '    meta l4proto != tcp accept',
    '    ct direction reply accept',
    ...ruleFamilies.map((ip) => `    meta oifkind "veth"${others} ${ip.name} daddr != @bypass${ip.set} counter drop`),
    '  }',
  ];
}

/** As the rules have decided about a packet that they have marked, once more. */
function assignments(desired: DesiredCapture, ip: RuleFamily): string[] {
  const { hbone, outbound, inbound } = desired.ports;
  const [, ...links] = byLinks(desired);
  const rows = [
    [`${toPods(ip)} tcp dport ${hbone}`, hbone],
    [fromPods(ip), outbound],
    ...links.map((link) => [`${link} ${ip.name} saddr != @bypass${ip.set}`, outbound] as const),
    [toPods(ip), inbound],
  ] as const;
  return rows.map(([match, port]) => `    ${match} meta l4proto tcp tproxy ${ip.name} to :${port} accept`);
}

/**
 * NAT to the very destination a packet already has: it settles the connection's NAT before kube-proxy's chains are
 * asked.
 */
function withoutDnat(): string[] {
  return [
    '  chain without_dnat {',
    '    type nat hook prerouting priority dstnat - 1; policy accept;',
    ...ruleFamilies.map((ip) => `    ${ourMark} dnat ${ip.name} to ${ip.name} daddr`),
    '  }',
  ];
}

function afterDnat(desired: DesiredCapture): string[] {
  const fromHere = (ip: RuleFamily) => `iif lo ${ourMark} ${dnatted} ${toPods(ip)}`;
  return [
    '  chain after_dnat {',
    '    type filter hook prerouting priority dstnat + 1; policy accept;',
    ...alreadyOurs(),
    ...capture(desired, fromHere, desired.ports.inbound),
    `    ${ourMark} accept`,
    '    iif lo accept',
    '    fib daddr type local accept', // the node's own addresses may lie in the pod range (a bridge)
    ...capture(desired, toPods, desired.ports.inbound),
    '  }',
  ];
}

/**
 * What this machine itself sends to a pod on it is not captured (the kubelet's probes), with two exceptions: the tunnel
 * port, where nothing in the pod listens but the proxy does; and what kube-proxy turned into the pod's address. That
 * would be a way around the pod's policy: a pod that asks for a NodePort of its own node is passed through by the
 * proxy, and goes on from this machine.
 *
 * What the proxy connects from a client's address is remembered, so that it gets its replies: those that arrive, and
 * those that this machine itself gives.
 */
function output(desired: DesiredCapture): string[] {
  const { hbone } = desired.ports;
  return [
    '  chain output {',
    '    type route hook output priority mangle; policy accept;',
    // Not where the client has a connection of its own from the same port: `socket transparent` finds its replies.
    `    meta mark 0x${clientAddressMark.toString(16)} ct state new ct mark set ${connectionMarks.away}`,
    `    ct direction reply ct mark ${connectionMarks.here} ${setMark}`,
    ...ruleFamilies.map((ip) => `    ${toPods(ip)} tcp dport ${hbone} ${setMark}`),
    '  }',
    '  chain output_after_dnat {',
    '    type route hook output priority -99; policy accept;',
    ...ruleFamilies.map((ip) => `    meta l4proto tcp ${dnatted} ${toPods(ip)} ${setMark}`),
    '  }',
  ];
}

/**
 * Only TCP is captured. A packet of an accepted connection is marked; `wildcard 0` keeps the proxy's listeners out,
 * which would otherwise claim every packet to their port numbers, transit traffic included. Replies of connections
 * that were opened towards a pod pass; a packet that conntrack knows nothing about is no reply and goes on to the
 * capture rules.
 */
function alreadyOurs(): string[] {
  return [
    '    meta l4proto != tcp accept',
    `    ${replyToUs} ${mark}`,
    `    socket transparent 1 socket wildcard 0 ${mark}`,
    '    ct direction reply accept',
  ];
}

function toPods(ip: RuleFamily): string {
  return `${ip.name} daddr @pods${ip.set} ${ip.name} daddr != @bypass${ip.set}`;
}

function fromPods(ip: RuleFamily): string {
  return `${ip.name} saddr @pods${ip.set} ${ip.name} saddr != @bypass${ip.set}`;
}

function capture(desired: DesiredCapture, match: (ip: RuleFamily) => string, port: number): string[] {
  return ruleFamilies.flatMap((ip) => {
    const lines = [`    ${match(ip)} meta l4proto tcp tproxy ${ip.name} to :${port} ${mark}`];
    if (!desired.failOpen) lines.push(`    ${match(ip)} counter reject with tcp reset`);
    return lines;
  });
}
