// The system programs that a lab is made of, and the very line that installs one that is missing.
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';

/** Program, and the Debian/Ubuntu package that brings it. */
const packageOf = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  hostname: 'hostname',
  ip: 'iproute2',
  nft: 'nftables',
  perl: 'perl-base',
} as const satisfies Record<string, string>;

/** Folders of system programs that an ordinary user's PATH may lack. */
const systemFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** PATH with the folders of system programs behind it. */
export function systemPath(): string {
  const own = (process.env.PATH ?? '').split(':').filter((folder) => folder !== '');
  return [...own, ...systemFolders.filter((folder) => !own.includes(folder))].join(':');
}

/** Throws `TOOL_MISSING` for what is not installed, all of it in one line to type. */
export function requireTools(): void {
  const missing = Object.keys(packageOf).filter((tool) => !isInstalled(tool));
  if (missing.length === 0) return;
  const packages = new Set(missing.map((tool) => packageOf[tool as keyof typeof packageOf]));
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  throw new MeshError('TOOL_MISSING', {
    tool: missing.join(', '),
    command: `${sudo}apt-get install -y ${[...packages].join(' ')}`,
  });
}

function isInstalled(tool: string): boolean {
  return systemPath()
    .split(':')
    .some((folder) => {
      try {
        accessSync(path.join(folder, tool), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
