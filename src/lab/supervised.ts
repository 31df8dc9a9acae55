// A program of the mesh under supervision: started again when it ends, signalled, and replaced by a second one beside
// it.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { inNetns } from './run.ts';

export interface SupervisedOptions {
  /** For the log. */
  readonly name: string;
  /** Network namespace, null for the fabric. */
  readonly netns: string | null;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called when the process ended without having been asked to, and is about to be started again. */
  readonly onEnd: (message: string) => void;
}

/** A process that another has taken the place of. */
export interface Replaced {
  readonly pid: number;
  /** Resolves with its exit code, null after a signal. */
  readonly ended: Promise<{ readonly code: number | null }>;
}

const restartFirstMs = 50;
const restartCapMs = 5_000;
const stableMs = 10_000;

/** One program; `start` begins, `close` ends it for good. */
export class Supervised {
  readonly #options: SupervisedOptions;
  readonly #backoff: Backoff;
  #current: ChildProcess | null = null;
  #startedAtMs = 0;
  #closed = false;
  #held = false;
  #cancel: (() => void) | null = null;

  constructor(options: SupervisedOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: restartFirstMs, capMs: restartCapMs, jitter: 0, random: options.random });
  }

  /** Process id of the one in charge, null between two. */
  get pid(): number | null {
    return this.#current?.pid ?? null;
  }

  start(): void {
    if (!this.#closed && !this.#held) this.#current = this.#spawn();
  }

  /** Sends a signal; false when there is no process. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#current?.kill(signal) ?? false;
  }

  /** Ends the process at once, and starts no other until `release`. */
  hold(): void {
    this.#held = true;
    this.#current?.kill('SIGKILL');
  }

  /** Starts a process again after `hold`. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#backoff.reset();
    if (this.#current === null) this.start();
  }

  /** Ends the process; the supervisor starts the next one. Resolves when the old one has gone. */
  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const old = this.#current;
    if (old === null) return;
    this.#backoff.reset();
    const ended = whenEnded(old);
    old.kill(signal);
    await ended;
  }

  /**
   * Starts a second process beside the first, puts it in charge when `ready` resolves, then asks the first to end.
   * Resolves with the first, null when it had ended before.
   */
  async replace(ready: (pid: number) => Promise<void>): Promise<Replaced | null> {
    const old = this.#current;
    const next = this.#spawn();
    try {
      await ready(next.pid ?? 0);
    } catch (error) {
      next.kill('SIGKILL');
      throw error;
    }
    this.#current = next;
    if (old === null || old.exitCode !== null || old.signalCode !== null) return null;
    const ended = whenEnded(old).then(() => ({ code: old.exitCode }));
    old.kill('SIGTERM');
    return { pid: old.pid ?? 0, ended };
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#current?.kill('SIGKILL');
  }

  #spawn(): ChildProcess {
    const { netns, argv, env, logFile } = this.#options;
    const [command = '', ...args] = [...inNetns(netns), ...argv];
    const log = openSync(logFile, 'a');
    const child = spawn(command, args, { stdio: ['ignore', log, log], env: { ...env }, cwd: '/' });
    closeSync(log);
    this.#startedAtMs = this.#options.clock.now();
    child.on('error', (error) => this.#ended(child, error.message));
    child.on('exit', (code, signal) => this.#ended(child, signal ?? `exit code ${code}`));
    return child;
  }

  #ended(child: ChildProcess, how: string): void {
    if (child !== this.#current || this.#closed) return;
    this.#current = null;
    if (this.#held) return;
    const { clock, onEnd, name } = this.#options;
    if (clock.now() - this.#startedAtMs > stableMs) this.#backoff.reset();
    const delayMs = this.#backoff.next();
    onEnd(`${name} ended (${how}) and starts again in ${Math.round(delayMs)} ms`);
    this.#cancel = clock.after(delayMs, () => this.start());
  }
}

function whenEnded(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}
