// From a process without listening sockets to one that has them: the proxy replaces itself with the launcher, which
// opens them and becomes the proxy again (`native-free/launcher.pl`).
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import { projectFile } from '../base/project-files.ts';
import type { NodeConfig } from '../config/node.ts';
import { availableCpus } from './available-cpus.ts';
import { warmCompileCache } from './compile-cache.ts';
import { spareListenersPerThread } from './listeners.ts';

const launcher = projectFile('native-free/launcher.pl');
const configVariable = 'AMBIENT_CONFIG';
const netAdminBit = 12n;
/**
 * glibc: few arenas, and what is freed goes back to the system also after large blocks were freed (its thresholds
 * would grow with the largest of them).
 */
const leanMemory = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '131072' };

export interface ReadConfig {
  readonly config: NodeConfig;
  /** SHA-256 of the file that it was read from. */
  readonly digest: string;
}

/**
 * Does not return: the process becomes the launcher, and then Node again with its own arguments.
 * Throws `TOOL_MISSING` without perl, `CAPTURE_FAILED` without the privilege to capture.
 */
export function becomeLauncher(read: ReadConfig, command: readonly string[]): never {
  const { config } = read;
  const perl = findPerl(process.env.PATH);
  if (perl === null) throw new MeshError('TOOL_MISSING', { tool: 'perl', command: 'apt-get install -y perl-base' });
  const plain = config.capture.backend === 'none';
  if (!plain && !mayAdministerNetwork()) {
    const hint = 'run as root, or with CAP_NET_ADMIN in the network namespace';
    throw new MeshError('CAPTURE_FAILED', { reason: 'CAP_NET_ADMIN is missing', hint });
  }
  const args = launcherArguments(config, command);
  const env = Object.entries({ ...environmentOf(config), [configVariable]: JSON.stringify(read) }).filter(
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

/** What the proxy inherits: where compiled code is kept, and a C heap that does not grow with the number of threads. */
function environmentOf(config: NodeConfig): NodeJS.ProcessEnv {
  // Kept beside the state: it halves the time until a restarted proxy serves.
  const cache =
    process.env.NODE_COMPILE_CACHE ?? (config.stateDir === '' ? '' : path.join(config.stateDir, 'compile-cache'));
  if (cache === '') return { ...leanMemory, ...process.env };
  warmCompileCache(cache, process.argv[1] ?? '');
  return { ...leanMemory, ...process.env, NODE_COMPILE_CACHE: cache };
}

/** The configuration that the process before this one has read and checked, or null. Removes it from `env`. */
export function takeConfig(env: NodeJS.ProcessEnv): ReadConfig | null {
  const text = env[configVariable];
  delete env[configVariable];
  return text === undefined ? null : (JSON.parse(text, (_name, value: unknown) => Object.freeze(value)) as ReadConfig);
}

/** The launcher's own command line, without perl. */
export function launcherArguments(config: NodeConfig, command: readonly string[]): string[] {
  const { ports, capture, threads } = config;
  const names = capture.backend === 'pod' ? [] : (['outbound', 'inbound', 'hbone'] as const); // pods have their own
  const listen = names.flatMap((name) => ['--listen', `${name}=${ports[name]}`]);
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
