// Processes of one bench run: started inside a network namespace, measured through /proc, ended in reverse order.
//
// The run has a pid namespace of its own (see `sandbox.ts`), so that whatever is missed here ends with it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { MeshError, messageOf } from '../src/base/errors.ts';

const commandTimeoutMs = 120_000;
const stopTimeoutMs = 3_000;
/** Linux reports CPU time to user space in hundredths of a second, on every architecture. */
const ticksPerSecond = 100;

/** Runs a command to its end and returns what it printed. Throws NOT_REACHABLE with its last words when it fails. */
export function command(program: string, args: readonly string[], input = ''): string {
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    input,
    timeout: commandTimeoutMs,
    maxBuffer: 64 * 2 ** 20,
  });
  if (result.status === 0) return result.stdout;
  const words = (result.error?.message ?? `${result.stdout}${result.stderr}`).trim().split('\n').slice(-3).join(' · ');
  throw new MeshError('NOT_REACHABLE', {
    what: `${program} ${args.slice(0, 3).join(' ')}`,
    reason: words || `exit ${result.status}`,
    hint: 'run it by hand to see more',
  });
}

/** The words that put a command into network namespace `netns`; none for the run's own. */
export function inNamespace(netns: string | null, words: readonly string[]): [string, ...string[]] {
  const full = netns === null ? [...words] : ['nsenter', `--net=/run/netns/${netns}`, '--', ...words];
  return full as [string, ...string[]];
}

export interface ServiceOptions {
  readonly name: string;
  /** Network namespace; null for the run's own. */
  readonly netns: string | null;
  readonly words: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A program that runs until it is stopped. */
export class Service {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #exited: Promise<void>;

  /** Starts it at once. */
  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.#logFile = options.logFile;
    const log = openSync(options.logFile, 'a');
    const [program, ...args] = inNamespace(options.netns, options.words);
    this.#child = spawn(program, args, { stdio: ['ignore', log, log], env: { ...process.env, ...options.env } });
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Throws NOT_REACHABLE with the end of its log when it is no longer running. */
  assertRunning(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.pid !== 0) return;
    throw new MeshError('NOT_REACHABLE', {
      what: this.name,
      reason: `it ended with ${this.#child.signalCode ?? this.#child.exitCode}: ${this.logTail()}`,
      hint: `its log was ${this.#logFile}`,
    });
  }

  /** The last lines of what it wrote. */
  logTail(lines = 4): string {
    return readFileSync(this.#logFile, 'utf8').trim().split('\n').slice(-lines).join(' · ');
  }

  /** SIGTERM, then SIGKILL after a while. Resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }
}

export interface Usage {
  /** User and system time so far, seconds. */
  readonly cpuS: number;
  readonly rssBytes: number;
}

/** CPU time and resident memory of the processes `pids` and of all that descend from them. */
export function usageOf(pids: readonly number[]): Usage {
  const wanted = withDescendants(pids);
  let ticks = 0;
  let rssBytes = 0;
  for (const { pid, fields } of wanted) {
    ticks += Number(fields[11]) + Number(fields[12]);
    rssBytes += rssOf(pid);
  }
  return { cpuS: ticks / ticksPerSecond, rssBytes };
}

interface ProcessStat {
  readonly pid: number;
  /** Of /proc/PID/stat, from the state on: [0] state, [1] parent, [11] user ticks, [12] system ticks. */
  readonly fields: readonly string[];
}

function withDescendants(pids: readonly number[]): ProcessStat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const fields = statFields(Number(name));
      return fields === null ? [] : [{ pid: Number(name), fields }];
    });
  const chosen = new Set(pids);
  for (let grown = true; grown; ) {
    const before = chosen.size;
    for (const { pid, fields } of all) if (chosen.has(Number(fields[1]))) chosen.add(pid);
    grown = chosen.size > before;
  }
  return all.filter(({ pid }) => chosen.has(pid));
}

function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null; // it has just ended
  }
}

function rssOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0; // it has just ended
  }
}

/**
 * Calls `probe` until it does not throw. Throws TIMED_OUT with the last failure, and NOT_REACHABLE at once when one of
 * `services` has ended, since waiting will not bring it back.
 */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  services: readonly Service[],
  probe: () => T | Promise<T>,
  pollMs = 100,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      for (const service of services) service.assertRunning();
      if (performance.now() > deadline) {
        throw new MeshError('TIMED_OUT', { what, timeoutMs, hint: messageOf(error) }, { cause: error });
      }
      await delay(pollMs);
    }
  }
}
