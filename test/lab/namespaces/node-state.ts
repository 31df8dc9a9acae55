// Everything of a node that capture may touch, as text, so that before and after can be compared byte by byte.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const commands = {
  'nft list ruleset': ['nft', 'list', 'ruleset'],
  'ip rule': ['ip', 'rule'],
  'ip -6 rule': ['ip', '-6', 'rule'],
  'ip route show table all': ['ip', 'route', 'show', 'table', 'all'],
  'ip -6 route show table all': ['ip', '-6', 'route', 'show', 'table', 'all'],
  'ip link': ['ip', '-o', 'link'],
  'ip address': ['ip', '-o', 'address'],
} as const;
const sysctlFolders = ['net/ipv4', 'net/ipv6', 'net/bridge', 'net/netfilter'];
/** These count or breathe by themselves, link-local addresses while they are being tried. */
const restless = /conntrack_count|fe80::|ff00::/;

/** What `run` prints of the node: rules, routes, links, settings of the kernel, files under `/run`. */
export function nodeState(run: (argv: readonly string[]) => string): Record<string, string> {
  const shown = Object.entries(commands).map(([name, argv]) => [name, sorted(run(argv))]);
  const settings = run(['sh', '-c', `cd /proc/sys && grep -rs . ${sysctlFolders.join(' ')} || true`]);
  const files = run(['sh', '-c', 'find /run -not -path "/run/netns/*" -not -path "/run/mesh*" | sort']);
  return { ...Object.fromEntries(shown), sysctl: sorted(settings), '/run': files };
}

/** That of this process's own namespaces. */
export function ownState(): Record<string, string> {
  return nodeState(([command = '', ...args]) => execFileSync(command, args, { encoding: 'utf8' }));
}

function sorted(text: string): string {
  return text
    .split('\n')
    .filter((line) => !restless.test(line))
    .map((line) => line.replace(/ expires \d+sec/, ''))
    .sort()
    .join('\n');
}

/** What a file of the proxy's state holds, without its first line, which is about the file. */
export function savedState(folder: string, name: string): string {
  try {
    const text = readFileSync(path.join(folder, name), 'utf8');
    return text.slice(text.indexOf('\n') + 1);
  } catch {
    return '';
  }
}
