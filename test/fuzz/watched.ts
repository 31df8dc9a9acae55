// Runs a target in a thread of its own and watches it, so that an input that never ends is a finding too.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Finding, FuzzReport } from './engine.ts';
import type { FuzzTarget } from './target.ts';
import { headerBytes, type WorkerRequest } from './worker-memory.ts';

export interface WatchOptions {
  /** From this folder. */
  readonly module?: string;
  /** No input may take this long, on a machine however busy. Default 20 s. */
  readonly hangMs?: number;
}

const defaults = { module: './targets.ts', hangMs: 20_000 } as const;
const corpusDir = path.join(import.meta.dirname, 'corpus');

/** Runs `target` with `inputs` inputs. A hang ends the thread, and is the only finding then. */
export async function fuzzWatched(
  target: FuzzTarget,
  inputs: number,
  seed: number,
  options: WatchOptions = {},
): Promise<FuzzReport> {
  const { module, hangMs } = { ...defaults, ...options };
  const shared = new SharedArrayBuffer(headerBytes + target.bytesMax);
  const numbers = new Int32Array(shared, 0, 2);
  const request: WorkerRequest = { module, target: target.name, inputs, seed, corpus: readCorpus(target), shared };
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: request });
  const { promise, resolve, reject } = Promise.withResolvers<FuzzReport>();
  let begun = -1;
  const timer = setInterval(() => {
    const now = Atomics.load(numbers, 0);
    if (now === begun) resolve(hangReport(shared, now, hangMs));
    begun = now;
  }, hangMs);
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', (code) => reject(new Error(`the thread ended with ${code}`)));
  try {
    return received(await promise);
  } finally {
    clearInterval(timer);
    await worker.terminate();
  }
}

function hangReport(shared: SharedArrayBuffer, runs: number, hangMs: number): FuzzReport {
  const length = Atomics.load(new Int32Array(shared, 0, 2), 1);
  const input = Buffer.from(new Uint8Array(shared, headerBytes, length).slice());
  const hang: Finding = { kind: 'slow', what: `no end within ${hangMs / 1000} s`, input };
  return { runs, outcomes: 0, fresh: [], findings: [hang], memory: [0, 0] };
}

/** Buffers arrive as plain byte arrays. */
function received(report: FuzzReport): FuzzReport {
  return {
    ...report,
    fresh: report.fresh.map((input) => Buffer.from(input)),
    findings: report.findings.map((finding) => ({ ...finding, input: Buffer.from(finding.input) })),
  };
}

/** The kept inputs of a target, in the order of their names. */
export function readCorpus(target: FuzzTarget): Buffer[] {
  const folder = path.join(corpusDir, target.name);
  try {
    return readdirSync(folder)
      .sort()
      .map((name) => readFileSync(path.join(folder, name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Keeps an input as a file of the corpus; returns its path from the project's root. */
export function keepInput(target: FuzzTarget, input: Buffer, prefix = ''): string {
  const folder = path.join(corpusDir, target.name);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, prefix + createHash('sha256').update(input).digest('hex').slice(0, 12));
  writeFileSync(file, input);
  return path.relative(path.join(import.meta.dirname, '..', '..'), file);
}
