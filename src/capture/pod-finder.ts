// Finds the network namespaces of pods among the files of a folder (`/run/netns`, where container runtimes keep them),
// and what is in them. A file is taken for nothing but a name: what counts is the namespace behind it, and the
// addresses that it has.
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { type Cidr, canonicalIp, cidrContains } from '../base/ip.ts';
import type { NetworkNamespaces } from '../io/network-namespace.ts';
import type { Family } from './routes.ts';

/** A namespace with addresses of the node's pod networks. `fd` belongs to whoever keeps it. */
export interface FoundNamespace {
  readonly file: string;
  readonly inode: number;
  readonly fd: number;
  readonly addresses: readonly string[];
  readonly families: readonly Family[];
}

/** Of `statfs`, for the file of a namespace. */
const namespaceFileSystem = 0x6e73_6673;
/** Namespaces of the network plug-in itself, with an address of the pods' networks. */
const notPods: ReadonlySet<string> = new Set(['cilium-health']);

/** The names of the files in `folder`; throws what the system says when it cannot be read. */
export function namespaceFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => !notPods.has(name));
}

/** The number of the namespace behind a file, or null when there is none (yet). */
export function inodeOf(file: string): number | null {
  try {
    return statfsSync(file).type === namespaceFileSystem ? statSync(file).ino : null;
  } catch {
    return null;
  }
}

/**
 * Looks into the namespace behind `file`. Null when it has no address of `podCidrs` (yet), or is this process's own;
 * `refused` when it may not be entered.
 */
export function lookInto(
  file: string,
  podCidrs: readonly Cidr[],
  namespaces: NetworkNamespaces,
): FoundNamespace | 'refused' | null {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return null; // it has just gone
  }
  const { ino: inode } = fstatSync(fd);
  const seen = inode === ownInode() ? undefined : namespaces.within(fd, () => contentOf(podCidrs));
  if (seen !== undefined && seen !== null && seen.addresses.length > 0) return { file, inode, fd, ...seen };
  closeSync(fd);
  return seen === null && inodeOf(file) !== null ? 'refused' : null;
}

/**
 * The addresses of `podCidrs`, or all when that is null, that the namespace behind `fd` has now; null when it cannot be
 * entered.
 */
export function addressesIn(
  fd: number,
  podCidrs: readonly Cidr[] | null,
  namespaces: NetworkNamespaces,
): readonly string[] | null {
  return namespaces.within(fd, () => contentOf(podCidrs).addresses);
}

function ownInode(): number | null {
  return inodeOf(path.join('/proc', String(process.pid), 'ns', 'net'));
}

/** To be called inside. */
function contentOf(podCidrs: readonly Cidr[] | null): Pick<FoundNamespace, 'addresses' | 'families'> {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .flatMap(({ address, internal }) => (internal ? [] : (canonicalIp(address) ?? [])))
    .filter((address) => podCidrs === null || podCidrs.some((cidr) => cidrContains(cidr, address)));
  return { addresses: addresses.sort(), families: hasIpv6() ? ['-4', '-6'] : ['-4'] };
}

/** `/proc/sys/net` is that of the namespace of the thread that reads. */
function hasIpv6(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv6/conf/lo/disable_ipv6', 'latin1').trim() === '0';
  } catch {
    return false;
  }
}
