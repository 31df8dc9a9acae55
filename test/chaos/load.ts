// The test's end of `pod-load.ts`: load in a pod that reports what became of its streams.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { LabTarget } from '../../src/lab/control-types.ts';
import { enterCommand } from '../../src/lab/enter.ts';
import type { LoadOrder } from './pod-load.ts';
import type { StreamHead } from './stream-pattern.ts';

const program = path.join(import.meta.dirname, 'pod-load.ts');
const answerMs = 60_000;

/** Something that a pod saw and that is not simply counted. */
export interface LoadEvent {
  readonly event: 'early' | 'wrong' | 'intrusion' | 'flip served' | 'flip refused';
  readonly role: 'client' | 'server';
  readonly startedMs: number;
  readonly atMs: number;
  readonly sent: number;
  readonly read: number;
  readonly error: string | null;
  readonly head: StreamHead | null;
}

export interface LoadReport {
  /** Ended streams by `ROLE KIND OUTCOME`. */
  readonly tally: Readonly<Record<string, number>>;
  readonly open: readonly Readonly<Record<string, unknown>>[];
  /** Streams that will be opened after a pause. */
  readonly due: number;
}

/** Load in one pod. It ends with the pod, or by `close`. */
export class PodLoad {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, (result: LoadReport) => void>();
  readonly #ended: Promise<void>;
  #nextId = 1;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
    child.stdin!.on('error', () => undefined);
  }

  /** Starts in `target`; what its streams see goes to `onEvent`. */
  static async start(name: string, target: LabTarget, onEvent: (event: LoadEvent) => void): Promise<PodLoad> {
    const { command, args } = enterCommand(target, [process.execPath, program]);
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...target.env } });
    const load = new PodLoad(name, child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.once('exit', () => reject(new Error(`the load in ${name} ended before it began`)));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const message = JSON.parse(line) as { id?: number; event?: string; result?: LoadReport };
      if (message.id !== undefined) load.#pending.get(message.id)?.(message.result!);
      else if (message.event === 'ready') resolve();
      else onEvent(message as unknown as LoadEvent);
    });
    await promise;
    return load;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  serve(port: number): Promise<LoadReport> {
    return this.#call({ op: 'serve', port });
  }

  run(order: LoadOrder): Promise<LoadReport> {
    return this.#call({ op: 'run', order });
  }

  /** No stream follows those that run. */
  stop(): Promise<LoadReport> {
    return this.#call({ op: 'stop' });
  }

  /** Resets what runs. */
  abort(): Promise<LoadReport> {
    return this.#call({ op: 'abort' });
  }

  report(): Promise<LoadReport> {
    return this.#call({ op: 'report' });
  }

  /** Resolves with the report as soon as no stream is open. */
  async quiet(timeoutMs: number): Promise<LoadReport> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const report = await this.report();
      if (report.open.length + report.due === 0) return report;
      const words = JSON.stringify(report.open.slice(0, 5));
      assert(performance.now() < deadline, `${this.name}: ${report.open.length} streams never ended: ${words}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close(): Promise<void> {
    this.#child.stdin!.end();
    await this.#ended;
  }

  #call(request: object): Promise<LoadReport> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<LoadReport>();
    const timer = setTimeout(() => reject(new Error(`the load in ${this.name} does not answer`)), answerMs);
    this.#pending.set(id, resolve);
    void this.#ended.then(() => reject(new Error(`the load in ${this.name} has ended`)));
    this.#child.stdin!.write(`${JSON.stringify({ id, ...request })}\n`);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#pending.delete(id);
    });
  }
}

/** Sum of the tally's rows that end in `words`. */
export function countOf(reports: readonly LoadReport[], words: string): number {
  const rows = reports.flatMap((report) => Object.entries(report.tally));
  return rows.filter(([name]) => name.endsWith(words)).reduce((sum, [, count]) => sum + count, 0);
}
