// From a process without listening sockets to one that has them: the proxy replaces itself with the launcher, which
// opens them and becomes the proxy again (`native-free/launcher.pl`).
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeshError } from '../base/errors.ts';
import type { NodeConfig } from '../config/node.ts';
import { availableCpus } from './available-cpus.ts';
import { spareListenersPerThread } from './listeners.ts';

const launcher = fileURLToPath(new URL('../../native-free/launcher.pl', import.meta.url));
const netAdminBit = 12n;

/**
 * Does not return: the process becomes the launcher with `command` behind it.
 * Throws `TOOL_MISSING` without perl, `CAPTURE_FAILED` without the privilege to capture.
 */
export function becomeLauncher(config: NodeConfig, command: readonly string[]): never {
  const perl = findPerl(process.env.PATH);
  if (perl === null) throw new MeshError('TOOL_MISSING', { tool: 'perl', command: 'apt-get install -y perl-base' });
  const plain = config.capture.backend === 'none';
  if (!plain && !mayAdministerNetwork()) {
    const hint = 'run as root, or with CAP_NET_ADMIN in the network namespace';
    throw new MeshError('CAPTURE_FAILED', { reason: 'CAP_NET_ADMIN is missing', hint });
  }
  const args = launcherArguments(config, command);
  // Compiled code is kept beside the state: it halves the time until a restarted proxy serves.
  const cache = config.stateDir === '' ? {} : { NODE_COMPILE_CACHE: path.join(config.stateDir, 'compile-cache') };
  const env = Object.entries({ ...cache, ...process.env }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const execve = process.execve?.bind(process);
  if (execve === undefined) {
    throw new MeshError('USAGE', {
      reason: `Node ${process.version} cannot replace its process; use Node 24 or newer`,
    });
  }
  execve(perl, [perl, ...args], Object.fromEntries(env));
  throw new MeshError('INTERNAL', { reason: 'execve returned' });
}

/** The launcher's own command line, without perl. */
export function launcherArguments(config: NodeConfig, command: readonly string[]): string[] {
  const { ports, capture, threads } = config;
  const listen = (['outbound', 'inbound', 'hbone'] as const).flatMap((name) => ['--listen', `${name}=${ports[name]}`]);
  return [
    launcher,
    '--threads',
    String(threads || availableCpus()),
    '--spares',
    String(spareListenersPerThread),
    ...(capture.backend === 'none' ? ['--plain'] : []),
    ...listen,
    '--',
    ...command,
  ];
}

function findPerl(searchPath = ''): string | null {
  for (const folder of [...searchPath.split(':'), '/usr/bin', '/usr/local/bin']) {
    const file = path.join(folder, 'perl');
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not there.
    }
  }
  return null;
}

/** True unless the kernel says that this process has no CAP_NET_ADMIN. */
function mayAdministerNetwork(): boolean {
  try {
    const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return mask === undefined || ((BigInt(`0x${mask}`) >> netAdminBit) & 1n) === 1n;
  } catch {
    return true; // the launcher will tell
  }
}
