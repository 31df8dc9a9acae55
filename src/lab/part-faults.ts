// Faults of the lab's programs: stopped, slow, a full disk for the state of a node's proxy, a controller that talks
// garbage.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import { modulePath } from '../base/project-files.ts';
import { paths } from './private-files.ts';
import { run } from './run.ts';
import { nodeFiles, ports, systemFiles } from './system-config.ts';

/** Sends a signal to the part, whatever process it is now; throws when it has none. */
export type SendSignal = (signal: NodeJS.Signals) => void;

const slowPeriodMs = 100;
const diskBytes = 1024 * 1024;
const fillBytes = 4096;
const garbagePort = 15013;
const garbageTable = 'ambient_lab_garbage';
const garbageStartMs = 10_000;

interface Halted {
  readonly send: SendSignal;
  readonly words: string;
  readonly timers: NodeJS.Timeout[];
}

/** The faults of parts that are in force. */
export class PartFaults {
  readonly #halted = new Map<string, Halted>();
  readonly #full = new Set<string>();
  /** What is in force until its function has been called, by part and words. */
  readonly #undone = new Map<string, { readonly part: string; readonly words: string; readonly undo: () => void }>();
  #garbage: ChildProcess | null = null;

  /** SIGSTOP until `goOn`. */
  stop(name: string, send: SendSignal): void {
    this.#forget(name);
    send('SIGSTOP');
    this.#halted.set(name, { send, words: `${name} is stopped`, timers: [] });
  }

  /** Lets the part run for this part of each tenth of a second. */
  slow(name: string, send: SendSignal, ratio: number): void {
    if (!(ratio > 0 && ratio < 1)) throw new MeshError('USAGE', { reason: `'slow' wants more than 0 and less than 1` });
    this.goOn(name);
    const halted: Halted = { send, words: `${name} runs ${Number((ratio * 100).toFixed(2))}% of the time`, timers: [] };
    const attempt = (signal: NodeJS.Signals): void => {
      try {
        send(signal);
      } catch {
        // It is between two lives.
      }
    };
    const period = setInterval(() => {
      attempt('SIGSTOP');
      halted.timers[1] = setTimeout(() => attempt('SIGCONT'), slowPeriodMs * (1 - ratio));
    }, slowPeriodMs);
    halted.timers.push(period);
    this.#halted.set(name, halted);
  }

  /** SIGCONT: it runs as it likes again. */
  goOn(name: string): void {
    const halted = this.#forget(name);
    try {
      halted?.send('SIGCONT');
    } catch {
      // Whatever took its place was never stopped.
    }
  }

  /** Something that was done to a part, and how it is undone. */
  hold(part: string, words: string, undo: () => void): void {
    this.#forget(part);
    this.#undone.set(words, { part, words, undo });
  }

  /** What is killed starts anew, and runs. */
  killed(name: string): void {
    if (this.#halted.get(name)?.timers.length === 0) this.#forget(name);
  }

  /** The state folder of a node's proxy becomes a file system without room, with what is in it now. */
  async fillDisk(node: string): Promise<void> {
    if (this.#full.has(node)) return;
    const { stateDir } = nodeFiles(node);
    const copy = path.join(paths.system, `copy-${node}`);
    cpSync(stateDir, copy, { recursive: true });
    await run(['mount', '-t', 'tmpfs', '-o', `mode=0700,size=${usedBytes(copy) + diskBytes}`, 'tmpfs', stateDir]);
    cpSync(copy, stateDir, { recursive: true });
    rmSync(copy, { recursive: true });
    this.#full.add(node);
    const filler = path.join(stateDir, 'filler');
    try {
      for (;;) writeFileSync(filler, Buffer.alloc(fillBytes), { flag: 'a' });
    } catch {
      // Full, as it should be.
    }
  }

  /** Answers for the controller with bytes that are no messages; `restart` ends the connections to the real one. */
  async talkGarbage(restart: () => Promise<unknown>): Promise<void> {
    if (this.#garbage !== null) return;
    const program = modulePath('src/lab/garbage-main.ts');
    const words = ['--disable-warning=ExperimentalWarning', program, systemFiles.caDir, String(garbagePort)];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#garbage = child;
    await once(child.stdout, 'data', { signal: AbortSignal.timeout(garbageStartMs) });
    const rule = `iifname fabric0 tcp dport ${ports.discovery} redirect to :${garbagePort}`;
    const chain = `chain in {\ntype nat hook prerouting priority -100;\n${rule}\n}`;
    await run(['nft', '-f', '-'], `table inet ${garbageTable} {\n${chain}\n}\n`);
    await restart();
  }

  /** Ends the faults of one part, or all. */
  async heal(name: string | null): Promise<void> {
    for (const halted of [...this.#halted.keys()]) if (name === null || name === halted) this.goOn(halted);
    for (const [key, { part, undo }] of this.#undone) {
      if (name !== null && name !== part) continue;
      this.#undone.delete(key);
      undo();
    }
    for (const node of [...this.#full]) if (name === null || name === `node/${node}`) await this.#emptyDisk(node);
    if (this.#garbage !== null && (name === null || name === 'controller')) await this.#talkSense(this.#garbage);
  }

  /** What is in force, a line for each. */
  active(): string[] {
    return [
      ...[...this.#halted.values()].map(({ words }) => words),
      ...[...this.#undone.values()].map(({ words }) => words),
      ...[...this.#full].map((node) => `node/${node} has a full disk for its state`),
      ...(this.#garbage === null ? [] : ['controller talks garbage']),
    ];
  }

  async #emptyDisk(node: string): Promise<void> {
    const { stateDir } = nodeFiles(node);
    this.#full.delete(node);
    unlinkSync(path.join(stateDir, 'filler'));
    await run(['mount', '-o', 'remount,size=50%', stateDir]);
  }

  async #talkSense(child: ChildProcess): Promise<void> {
    this.#garbage = null;
    await run(['nft', 'delete', 'table', 'inet', garbageTable]).catch(() => undefined);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  #forget(name: string): Halted | null {
    const halted = this.#halted.get(name) ?? null;
    for (const timer of halted?.timers ?? []) clearTimeout(timer);
    this.#halted.delete(name);
    return halted;
  }
}

/** What the files of a folder take on a tmpfs. */
function usedBytes(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sizes = entries.map((entry) => statSync(path.join(folder, entry)).size);
  return sizes.reduce((sum, size) => sum + Math.ceil(size / fillBytes) * fillBytes, 0);
}
