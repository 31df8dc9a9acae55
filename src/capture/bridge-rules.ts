// Pods on a Linux bridge: what they send each other is bridged and would meet no rule for IP. A small table of the
// bridge family hands the TCP of captured pods up to this machine, as if it had been sent to its gateway; everything
// else stays on the bridge. From then on the rules of `ruleset.ts` hold.
//
// With `br_netfilter` the rules for IP see a bridged packet once, still on the bridge, and the kernel forgets the
// proxy's socket (`tproxy`) when the packet comes up. The first of all chains, before the one that skips the rules the
// second time, gives it back (`onceMore`).
import type { DesiredCapture } from './desired.ts';
import { quoted, type RuleFamily, refillLines, ruleFamilies, setLines, tableName } from './rule-text.ts';

/** Before everything: `br_netfilter` registers at the same priority, and who came last is asked first. */
const firstPriority = -(2 ** 31);

/** The text that removes the table of the bridge family; valid also when there is none. */
export function bridgeRemovalText(): string {
  return `table bridge ${tableName} {}\ndelete table bridge ${tableName}`;
}

/** The table of the bridge family; '' where no pod hangs on a bridge. */
export function bridgeText(desired: DesiredCapture): string {
  const { bridges } = desired.links;
  if (bridges.length === 0) return '';
  return [
    `table bridge ${tableName} {`,
    ...setLines('bypass', desired.bypass),
    '  chain up {',
    '    type filter hook prerouting priority -300; policy accept;',
    ...bridges.flatMap(({ mac, networks }) => networks.flatMap((network) => upLines(mac, network))),
    '  }',
    '}',
    '',
  ].join('\n');
}

/** The text that replaces only the addresses in the table. */
export function bridgeRefillLines(desired: DesiredCapture): string[] {
  return desired.links.bridges.length === 0 ? [] : refillLines('bridge', 'bypass', desired.bypass);
}

/** The chain of the table for IP that gives a packet from a bridge its socket; none where no pod hangs on one. */
export function onceMore(
  desired: DesiredCapture,
  ourMark: string,
  assign: (ip: RuleFamily) => readonly string[],
): string[] {
  const { bridges } = desired.links;
  if (bridges.length === 0) return [];
  return [
    '  chain once_more {',
    `    type filter hook prerouting priority ${firstPriority}; policy accept;`,
    `    ${ourMark} iifname { ${bridges.map(({ name }) => quoted(name)).join(', ')} } meta l4proto tcp goto by_bridge`,
    '  }',
    '  chain by_bridge {',
    '    socket transparent 1 socket wildcard 0 accept',
    ...ruleFamilies.flatMap(assign),
    '  }',
  ];
}

/** To whom the frame is addressed, this machine is who gets it. */
function upLines(mac: string, network: string): string[] {
  const ip: RuleFamily = network.includes(':') ? ruleFamilies[1] : ruleFamilies[0];
  const up = `meta l4proto tcp ether daddr set ${mac} meta pkttype set host accept`;
  return ['saddr', 'daddr'].map(
    (end) => `    ${ip.name} ${end} ${network} ${ip.name} ${end} != @bypass${ip.set} ${up}`,
  );
}
