// One container: a process in the pod's network namespace, with mount, hostname and process namespaces of its own.
//
//   nsenter (network) ─▶ unshare (mount, uts, pid) ─▶ sh, which waits
//                                                   └▶ sh: /proc, hostname, bind mounts, cd ─▶ exec the command, as
// process 1
//
// Having a process namespace of its own, a container takes everything it has started with it when it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { firstChildOf } from './enter.ts';
import { enterRoot, type Rootfs, rootMounts } from './rootfs.ts';
import { inNetns, shellQuote } from './run.ts';
import type { Mount } from './volumes.ts';

export interface ContainerPlan {
  readonly netns: string;
  readonly hostname: string;
  readonly mounts: readonly Mount[];
  /** Folder that becomes `/run`. */
  readonly runDir: string;
  readonly argv: readonly string[];
  /** Whose root file system it sees and whose rights it has; null for the host's. */
  readonly image: Rootfs | null;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly logFile: string;
}

/** `code` as a shell has it: 128 + N for signal N. */
export interface ContainerExit {
  readonly code: number;
}

/** What the container's shell exits with when the container could not be set up. */
export const setupFailed = 125;
const startedFd = 3;

export interface ContainerEvents {
  /** The command was started: whoever enters the container from now on finds all of it. */
  readonly onStart: () => void;
  /** Once, the last of all. */
  readonly onExit: (exit: ContainerExit) => void;
}

/** A container's process. */
export class ContainerProcess {
  readonly #child: ChildProcess;
  #exited = false;

  constructor(plan: ContainerPlan, { onStart, onExit }: ContainerEvents) {
    mkdirSync(path.dirname(plan.logFile), { recursive: true });
    const log = openSync(plan.logFile, 'a');
    const [command = '', ...args] = [
      ...inNetns(plan.netns),
      ...['unshare', '--mount', '--uts', '--pid', '--', 'sh', '-c', waitScript],
      ...['sh', '-c', setupScript(plan), 'lab', ...enterImage(plan), ...plan.argv],
    ];
    const stdio = ['ignore', log, log, 'pipe'] as const;
    this.#child = spawn(command, args, { stdio: [...stdio], env: { ...plan.env }, detached: true, cwd: '/' });
    closeSync(log);
    // What sets the container up holds the other end, and lets it go with the command's start.
    const settingUp = this.#child.stdio[startedFd] as Readable | null | undefined;
    settingUp?.on('close', () => this.#exited || onStart()).resume();
    const finish = (code: number) => {
      if (this.#exited) return;
      this.#exited = true;
      onExit({ code });
    };
    this.#child.on('error', () => finish(setupFailed));
    this.#child.on('exit', (code, signal) => finish(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)));
  }

  /** The container's first process, or null before it has been forked and after it has ended. */
  get pid(): number | null {
    if (this.#exited || this.#child.pid === undefined) return null;
    return firstChildOf(this.#child.pid);
  }

  get exited(): boolean {
    return this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    const { pid } = this;
    try {
      if (pid !== null) process.kill(pid, signal);
    } catch {
      // It ended in this very moment.
    }
  }
}

/**
 * Its one child is the first process of the new namespace; it ends with that one's code. (`unshare --fork` may lose
 * it.)
 */
const waitScript = `"$0" "$@" & exec 2>/dev/null ${startedFd}>&-; wait $!; exit $?`;

function setupScript(plan: ContainerPlan): string {
  const bind = plan.mounts.map(({ source, target }) => `mount --bind ${shellQuote(source)} ${shellQuote(target)}`);
  const steps = [
    'mount -t proc proc /proc',
    `hostname ${shellQuote(plan.hostname)}`,
    ...bind,
    // Last, since the sources of the mounts above lie below the lab's own /run.
    `mount --rbind ${shellQuote(plan.runDir)} /run`,
    ...(plan.image === null ? [] : rootMounts(plan.image.dir, ownFiles)),
    `cd ${shellQuote(plan.cwd)}`,
  ];
  return `{ ${steps.join(' && ')}; } || { echo 'lab: the container could not be set up' >&2; exit ${setupFailed}; }\nexec "$@" ${startedFd}>&-`;
}

/** What the container has of its own by now, seen below the image's root too. */
function ownFiles(root: string): string[] {
  const etc = ['resolv.conf', 'hosts', 'hostname'].map((name) => `/etc/${name}`);
  return [`mount --rbind /run ${root}/run`, ...etc.map((file) => `mount --bind ${file} ${root}${file}`)];
}

function enterImage({ image }: ContainerPlan): string[] {
  return image === null ? [] : enterRoot(image.dir, image.controller);
}

/** `nsenter` words that join a container: everything but the user namespace. */
export const containerNamespaces = ['--mount', '--uts', '--net', '--pid'] as const;
