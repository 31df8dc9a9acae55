// System tools that Ambient runs (`nft`, `ip`, `perl`, …): found, installed where that is ours to do, named otherwise.
//
// Root on Debian or Ubuntu gets missing tools by apt-get; anybody else gets one TOOL_MISSING error with the line to
// type.
// Called once at the start of a program, so it may block.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../src/base/errors.ts';

/** Where administration programs live; the PATH of an ordinary Debian user leaves these out. */
const systemDirs = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'] as const;
const installTimeoutMs = 300_000;
const policyFile = '/usr/sbin/policy-rc.d';

interface PackageNames {
  readonly apt: string;
  /** Fedora and its relatives, where the name differs. */
  readonly dnf?: string;
  /** Debian starts a daemon when this package arrives, unless told not to. */
  readonly service?: true;
}

const packages: Readonly<Record<string, PackageNames>> = {
  nft: { apt: 'nftables' },
  ip: { apt: 'iproute2', dnf: 'iproute' },
  tc: { apt: 'iproute2', dnf: 'iproute-tc' },
  ss: { apt: 'iproute2', dnf: 'iproute' },
  perl: { apt: 'perl-base', dnf: 'perl-interpreter' },
  mmdebstrap: { apt: 'mmdebstrap' },
  unshare: { apt: 'util-linux' },
  nsenter: { apt: 'util-linux' },
  setpriv: { apt: 'util-linux' },
  mount: { apt: 'mount', dnf: 'util-linux' },
  umount: { apt: 'mount', dnf: 'util-linux' },
  sysctl: { apt: 'procps', dnf: 'procps-ng' },
  hostname: { apt: 'hostname' },
  ps: { apt: 'procps', dnf: 'procps-ng' },
  tcpdump: { apt: 'tcpdump' },
  ping: { apt: 'iputils-ping', dnf: 'iputils' },
  curl: { apt: 'curl' },
  git: { apt: 'git' },
  openssl: { apt: 'openssl' },
  python3: { apt: 'python3' },
  wrk: { apt: 'wrk' },
  h2load: { apt: 'nghttp2-client', dnf: 'nghttp2' },
  haproxy: { apt: 'haproxy', service: true },
  chromium: { apt: 'chromium' },
  nginx: { apt: 'nginx-light', dnf: 'nginx', service: true },
};

/** What `ensureTools` asks of the machine; tests replace it. */
export interface ToolHost {
  readonly isRoot: boolean;
  /** Text of /etc/os-release; '' when there is none. */
  readonly osRelease: string;
  /** The value of PATH. */
  readonly path: string;
  /** True when `file` is a program that may be run. */
  readonly isProgram: (file: string) => boolean;
  readonly run: (command: string, args: readonly string[]) => { readonly ok: boolean; readonly output: string };
  readonly say: (line: string) => void;
  /** Keeps Debian from starting daemons while `work` runs. */
  readonly withoutServices: (work: () => void) => void;
}

/**
 * Makes sure that every named program is there, and returns the absolute path of each.
 * Also appends the system directories to `process.env.PATH`, so that a later `spawn('nft')` finds what was found here.
 * Missing ones are installed with apt-get by root on Debian and Ubuntu (a line on stderr says so).
 * Throws TOOL_MISSING, with the line to type, for what is missing after that.
 */
export function ensureTools(names: readonly string[], host: ToolHost = realHost()): Map<string, string> {
  process.env.PATH = searchPath(process.env.PATH ?? '');
  let missing = names.filter((name) => findTool(name, host) === null);
  let reason = '';
  if (missing.length > 0 && host.isRoot && packageManager(host.osRelease) === 'apt-get') {
    reason = install(missing, host);
    missing = missing.filter((name) => findTool(name, host) === null);
  }
  if (missing.length > 0) {
    const command = installLine(missing, host);
    throw new MeshError('TOOL_MISSING', {
      tool: missing.join(', '),
      command: reason === '' ? command : `${command} (tried: ${reason})`,
    });
  }
  return new Map(names.map((name) => [name, findTool(name, host) as string]));
}

/** Installs Debian packages by name, where `ensureTools` would install too. True when apt-get did so. */
export function installPackages(names: readonly string[], host: ToolHost = realHost()): boolean {
  return host.isRoot && packageManager(host.osRelease) === 'apt-get' && aptInstall(names, false, host) === '';
}

/** The absolute path of a program in PATH or the system directories; null when it is in neither. */
export function findTool(name: string, host: Pick<ToolHost, 'path' | 'isProgram'> = realHost()): string | null {
  for (const dir of searchPath(host.path).split(':')) {
    const file = path.join(dir, name);
    if (host.isProgram(file)) return file;
  }
  return null;
}

/** `current` (a PATH) with the system directories that it lacks appended. */
export function searchPath(current: string): string {
  const dirs = current.split(':').filter((dir) => dir !== '');
  for (const dir of systemDirs) if (!dirs.includes(dir)) dirs.push(dir);
  return dirs.join(':');
}

/** The line a person types to install `names` on this distribution. */
export function installLine(names: readonly string[], host: Pick<ToolHost, 'isRoot' | 'osRelease'>): string {
  const manager = packageManager(host.osRelease);
  const list = packageList(names, manager).join(' ');
  const sudo = host.isRoot ? '' : 'sudo ';
  if (manager === 'dnf') return `${sudo}dnf install -y ${list}`;
  if (manager === 'apk') return `${sudo}apk add ${list}`;
  if (manager === 'pacman') return `${sudo}pacman -S ${list}`;
  return `${sudo}apt-get install -y ${list}`;
}

function packageList(names: readonly string[], manager: ReturnType<typeof packageManager>): string[] {
  const list = names.map((name) => {
    const known = packages[name];
    return (manager === 'dnf' ? (known?.dnf ?? known?.apt) : known?.apt) ?? name;
  });
  return [...new Set(list)].sort();
}

function packageManager(osRelease: string): 'apt-get' | 'dnf' | 'apk' | 'pacman' | 'unknown' {
  const ids = [...osRelease.matchAll(/^ID(?:_LIKE)?=(.*)$/gm)].flatMap(
    (m) => m[1]?.replaceAll('"', '').split(' ') ?? [],
  );
  if (ids.some((id) => id === 'debian' || id === 'ubuntu')) return 'apt-get';
  if (ids.some((id) => id === 'fedora' || id === 'rhel' || id === 'centos')) return 'dnf';
  if (ids.includes('alpine')) return 'apk';
  if (ids.includes('arch')) return 'pacman';
  return 'unknown';
}

/** Returns '' when apt-get was content, otherwise the last line of what it said. */
function install(missing: readonly string[], host: ToolHost): string {
  const bringsDaemon = missing.some((name) => packages[name]?.service);
  return aptInstall(packageList(missing, 'apt-get'), bringsDaemon, host);
}

function aptInstall(list: readonly string[], bringsDaemon: boolean, host: ToolHost): string {
  const waitForLock = ['-o', 'DPkg::Lock::Timeout=120'];
  host.say(`installing ${list.join(', ')} with apt-get (once)`);
  let failure = '';
  const work = (): void => {
    // A failing update is no reason to give up: the lists on the machine may be good enough.
    const update = host.run('apt-get', ['-qq', ...waitForLock, 'update']);
    const result = host.run('apt-get', ['-qq', '-y', '--no-install-recommends', ...waitForLock, 'install', ...list]);
    if (!result.ok) failure = lastLine(result.output) || lastLine(update.output) || 'apt-get failed without a word';
  };
  if (bringsDaemon) host.withoutServices(work);
  else work();
  return failure;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}

function realHost(): ToolHost {
  return {
    isRoot: isRealRoot(),
    osRelease: readIfThere('/etc/os-release'),
    path: process.env.PATH ?? '',
    isProgram,
    run: runTool,
    say: (line) => process.stderr.write(`ambient: ${line}\n`),
    withoutServices,
  };
}

/** True for uid 0 of the machine; uid 0 of a user namespace cannot install anything. */
function isRealRoot(): boolean {
  if (process.getuid?.() !== 0) return false;
  const map = readIfThere('/proc/self/uid_map').trim().split(/\s+/);
  return map.length < 3 || (map[0] === '0' && map[1] === '0');
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false; // not there, or not for us: the next directory may have it
  }
}

function runTool(command: string, args: readonly string[]): { ok: boolean; output: string } {
  const result: SpawnSyncReturns<string> = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: installTimeoutMs,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
  });
  const output = result.error ? result.error.message : `${result.stdout}${result.stderr}`;
  return { ok: result.status === 0, output };
}

/** A policy-rc.d that says no is Debian's own way to install a daemon without starting it. One that is there stays. */
function withoutServices(work: () => void): void {
  const ours = !existsSync(policyFile);
  if (ours) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    work();
  } finally {
    if (ours) rmSync(policyFile, { force: true });
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // an absent file says as much as an empty one here
  }
}
