// How the network of this machine looks, as `ip` tells it: links, addresses, routes. Read whole, and again when the
// kernel says that something changed (`follow-network.ts`); what it means for pods is in `pod-networks.ts`.
import { existsSync } from 'node:fs';
import { MeshError } from '../base/errors.ts';
import { parseCidr } from '../base/ip.ts';
import { type CommandRunner, failed } from './command.ts';
import { families } from './routes.ts';

export interface NodeLink {
  readonly name: string;
  /** As the kernel names the driver: `veth`, `bridge`, `vxlan`, …; '' for a physical one. */
  readonly kind: string;
  /** The link that it is a port of; '' for none. */
  readonly master: string;
  readonly mac: string;
  /** Its other end is in another network namespace. */
  readonly leadsElsewhere: boolean;
  /** `ADDRESS/LENGTH`, the address whole. */
  readonly addresses: readonly string[];
}

export interface NodeRoute {
  /** `ADDRESS/LENGTH`, canonical; of the default route `0.0.0.0/0` or `::/0`. */
  readonly to: string;
  readonly link: string;
  /** Through another machine. */
  readonly viaGateway: boolean;
}

export interface NodeNetworkReading {
  readonly links: readonly NodeLink[];
  /** Of all tables, without those that the kernel makes of its own addresses. */
  readonly routes: readonly NodeRoute[];
  /** `br_netfilter` is there and on. */
  readonly bridgeHooks: boolean;
}

type Json = Readonly<Record<string, unknown>>;

/** Reads it from the kernel. Throws `CAPTURE_FAILED` or `TOOL_MISSING`. */
export async function readNodeNetwork(run: CommandRunner): Promise<NodeNetworkReading> {
  const answers = [
    await listOf(run, ['-d', 'address', 'show']),
    ...(await Promise.all(
      families().map((family) => listOf(run, [family, 'route', 'show', 'table', 'all', 'type', 'unicast'])),
    )),
  ];
  const [links = [], ...routes] = answers;
  return {
    links: links.map(linkOf),
    routes: routes.flatMap((list, at) =>
      list.map((route) => routeOf(route, at === 0 ? 4 : 6)).filter((one) => one !== null),
    ),
    bridgeHooks: existsSync('/proc/sys/net/bridge'),
  };
}

async function listOf(run: CommandRunner, args: readonly string[]): Promise<readonly Json[]> {
  const { exitCode, stdout, stderr } = await run('ip', ['-j', ...args]);
  if (exitCode !== 0) throw failed('ip', stderr);
  if (stdout.trim() === '') return [];
  try {
    const list: unknown = JSON.parse(stdout);
    if (Array.isArray(list)) return list.filter(isObject);
  } catch {
    // No list either way.
  }
  const hint = 'iproute2 4.18 or newer is needed, which has -j';
  throw new MeshError('CAPTURE_FAILED', { reason: `ip -j ${args.join(' ')} printed no list`, hint });
}

function linkOf(link: Json): NodeLink {
  const info = isObject(link['linkinfo']) ? link['linkinfo'] : {};
  const addresses = Array.isArray(link['addr_info']) ? link['addr_info'].filter(isObject) : [];
  return {
    name: text(link['ifname']),
    kind: text(info['info_kind']),
    master: text(link['master']),
    mac: text(link['address']),
    leadsElsewhere: link['link_netnsid'] !== undefined,
    addresses: addresses.map((one) => `${text(one['local'])}/${String(one['prefixlen'])}`),
  };
}

function routeOf(route: Json, family: 4 | 6): NodeRoute | null {
  const dst = text(route['dst']);
  const to = dst === 'default' ? (family === 4 ? '0.0.0.0/0' : '::/0') : (parseCidr(dst)?.text ?? null);
  // A route over several links at once leads to no pod.
  if (to === null || route['dev'] === undefined) return null;
  return { to, link: text(route['dev']), viaGateway: route['gateway'] !== undefined || route['via'] !== undefined };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
