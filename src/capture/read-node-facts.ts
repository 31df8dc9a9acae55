// Reads of a node what `node-check.ts` judges: with `ip` and `nft`, and from /proc and /sys. Changes nothing; what
// cannot be read (no right to, no such tool) says nothing.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import { type CommandRunner, runCommand } from './command.ts';
import type { NodeFacts } from './node-check.ts';
import { type NodeNetworkReading, readNodeNetwork } from './node-network.ts';
import { podNetworks } from './pod-networks.ts';
import { families } from './routes.ts';
import { tableName } from './rule-text.ts';

const settingNames = [
  'net/ipv4/ip_forward',
  'net/ipv4/conf/all/rp_filter',
  'net/ipv4/conf/all/src_valid_mark',
  'net/ipv4/conf/all/route_localnet',
  'net/bridge/bridge-nf-call-iptables',
];
const pinFolder = '/sys/fs/bpf';
const pinDepth = 3;
const pinsMax = 200;
/** Checked by the kernel and thrown away: `nft -c`. */
const trial = (family: string, priority: string, rules: readonly string[]): string =>
  [
    `table ${family} ambient_trial {`,
    'chain c {',
    `type filter hook prerouting priority ${priority};`,
    ...rules,
    '}',
    '}',
    '',
  ].join('\n');
const tproxyTrial = trial('inet', 'mangle', [
  'socket transparent 1 socket wildcard 0 accept',
  'meta l4proto tcp tproxy ip to :15001',
]);
const bridgeTrial = trial('bridge', '-300', [
  'ip saddr 192.0.2.0/24 ether daddr set 02:00:00:00:00:01 meta pkttype set host accept',
]);

/** The facts of the node that this process runs on, for the capture that is chosen. Throws nothing. */
export async function readNodeFacts(
  backend: NodeFacts['backend'],
  run: CommandRunner = runCommand,
  root = '',
): Promise<NodeFacts> {
  const network = await readNodeNetwork(run).catch(
    (): NodeNetworkReading => ({ links: [], routes: [], bridgeHooks: false }),
  );
  const policyRules: string[] = [];
  for (const family of families())
    policyRules.push(...((await said(run, 'ip', [family, 'rule', 'show'])) ?? '').split('\n'));
  return {
    backend,
    links: network.links,
    pinned: pinnedBelow(path.join(root, pinFolder)),
    settings: Object.fromEntries(
      settingNames.flatMap((name) => {
        const value = textOf(path.join(root, '/proc/sys', name));
        return value === null ? [] : [[name, value]];
      }),
    ),
    rules: withoutOurs(await said(run, 'nft', ['list', 'ruleset'])),
    legacyTables: ['ip', 'ip6'].flatMap((family) => {
      return (textOf(path.join(root, '/proc/net', `${family}_tables_names`)) ?? '').split('\n').filter(Boolean);
    }),
    policyRules: policyRules.filter((line) => line !== ''),
    kernel: { tproxy: await refusal(run, tproxyTrial), bridge: await refusal(run, bridgeTrial) },
    bridges: podNetworks(network, { networks: [], addresses: [] }).links.bridges.map(({ name }) => name),
    tracked: trackedOf(root),
  };
}

async function said(run: CommandRunner, tool: 'ip' | 'nft', args: readonly string[]): Promise<string | null> {
  try {
    const { exitCode, stdout } = await run(tool, args);
    return exitCode === 0 ? stdout : null;
  } catch {
    return null;
  }
}

/** Why the kernel refuses these rules; null when it takes them. */
async function refusal(run: CommandRunner, rules: string): Promise<string | null> {
  try {
    const { exitCode, stderr } = await run('nft', ['-c', '-f', '-'], rules);
    return exitCode === 0 ? null : (stderr.trim().split('\n')[0] ?? 'it was refused');
  } catch (error) {
    return messageOf(error);
  }
}

function pinnedBelow(folder: string, prefix = '', depth = pinDepth): string[] {
  if (depth === 0) return [];
  try {
    return readdirSync(folder, { withFileTypes: true })
      .slice(0, pinsMax)
      .flatMap((entry) => {
        const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
        const below = entry.isDirectory() ? pinnedBelow(path.join(folder, entry.name), name, depth - 1) : [];
        return [name, ...below];
      });
  } catch {
    return [];
  }
}

/** The rules of others: our tables would be taken for a stranger's use of our marks. */
function withoutOurs(ruleset: string | null): string | null {
  return ruleset?.replace(new RegExp(`^table (inet|bridge) ${tableName} \\{[^]*?^\\}\\n?`, 'gm'), '') ?? null;
}

function trackedOf(root: string): NodeFacts['tracked'] {
  const [count, max] = ['nf_conntrack_count', 'nf_conntrack_max'].map((name) => {
    return Number(textOf(path.join(root, '/proc/sys/net/netfilter', name)) ?? Number.NaN);
  });
  return Number.isFinite(count) && Number.isFinite(max) ? { count: count!, max: max! } : null;
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}
