// The loop of a fuzzer: pick an input, mutate it, run it, keep it when something new came of it. No coverage: what is
// new is the target's own word for the outcome, which costs nothing and works in any process.
import { createHash } from 'node:crypto';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { messageOf } from '../../src/base/errors.ts';
import { Random } from '../support/random.ts';
import { mutate } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

export interface FuzzOptions {
  readonly target: FuzzTarget;
  readonly inputs: number;
  readonly seed: number;
  /** Kept inputs of earlier runs; each is run as it is before anything is mutated. */
  readonly corpus: readonly Buffer[];
  /** Called with each input before it runs, so that somebody else knows which one hangs. */
  readonly beforeInput: (input: Buffer) => void;
}

export interface Finding {
  readonly kind: 'crash' | 'slow' | 'growth';
  readonly what: string;
  readonly input: Buffer;
}

export interface FuzzReport {
  readonly runs: number;
  readonly outcomes: number;
  /** Inputs with an outcome that no input of the corpus had, in the order found. */
  readonly fresh: readonly Buffer[];
  readonly findings: readonly Finding[];
  /** Memory of the isolate after the warm-up and at the end, in bytes. */
  readonly memory: readonly [before: number, after: number];
}

/** A single input that takes longer three times in a row is too slow; ours take microseconds. */
const inputTimeMs = 500;
const poolMax = 1024;
const outcomesMax = 20_000;
const freshMax = 1000;
const findingsMax = 10;
/** Caches, tables and compiled code may fill while a run goes on. */
const growthBytes = 24 * 1024 * 1024;
const yieldEvery = 256;

/** Runs one target. Yields to the event loop now and then. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const run = new FuzzRun(options);
  for (const input of run.firstInputs()) run.take(input, false);
  const warm = Math.min(Math.floor(options.inputs / 5), 50_000);
  let before = 0;
  for (let i = run.runs; i < options.inputs && run.findings.length < findingsMax; i++) {
    run.step();
    if (i % yieldEvery === 0) await new Promise((resolve) => setImmediate(resolve));
    if (i === warm) before = memoryBytes();
  }
  const after = memoryBytes();
  if (before > 0 && after - before > growthBytes) {
    run.findings.push({ kind: 'growth', what: `${before} bytes became ${after}`, input: Buffer.alloc(0) });
  }
  return {
    runs: run.runs,
    outcomes: run.outcomes.size,
    fresh: run.fresh,
    findings: run.findings,
    memory: [before, after],
  };
}

class FuzzRun {
  runs = 0;
  /** Hashes: a run of millions must not hold its own words. */
  readonly outcomes = new Set<number>();
  readonly fresh: Buffer[] = [];
  readonly findings: Finding[] = [];
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #pool: Buffer[] = [];
  readonly #seen = new Set<string>();

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  firstInputs(): readonly Buffer[] {
    const { target, corpus } = this.#options;
    return [...target.seeds.map((seed) => Buffer.from(seed as Buffer)), ...corpus];
  }

  step(): void {
    const { target } = this.#options;
    const from = this.#random.pick(this.#pool);
    this.take(mutate(target, from, this.#random.pick(this.#pool), this.#random), true);
  }

  /** Runs `input`; keeps it when it is one of the first or its outcome is new. */
  take(input: Buffer, mutated: boolean): void {
    this.runs++;
    this.#options.beforeInput(input);
    const startMs = performance.now();
    let outcome: string;
    try {
      outcome = this.#options.target.run(input);
    } catch (error) {
      this.#found('crash', `${messageOf(error)}\n${error instanceof Error ? error.stack : ''}`, input);
      return;
    }
    if (performance.now() - startMs > inputTimeMs) this.#checkSlow(input);
    const hash = hashOf(outcome);
    const isNew = this.outcomes.size < outcomesMax && !this.outcomes.has(hash);
    if (isNew) this.outcomes.add(hash);
    if (mutated && !isNew) return;
    if (mutated && this.fresh.length < freshMax) this.fresh.push(ownCopy(input));
    if (this.#pool.length < poolMax) this.#pool.push(ownCopy(input));
    else this.#pool[this.#random.below(poolMax)] = ownCopy(input);
  }

  /** A busy machine is no slow input: it has to be slow each time. */
  #checkSlow(input: Buffer): void {
    const { run } = this.#options.target;
    let bestMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      const startMs = performance.now();
      run(input);
      bestMs = Math.min(bestMs, performance.now() - startMs);
    }
    if (bestMs > inputTimeMs) this.#found('slow', `${Math.round(bestMs)} ms`, input);
  }

  #found(kind: Finding['kind'], what: string, input: Buffer): void {
    const key = createHash('sha1')
      .update(`${kind} ${what.replaceAll(/\d+/g, '#')}`)
      .digest('hex');
    if (this.#seen.has(key) || this.findings.length >= findingsMax) return;
    this.#seen.add(key);
    const small = kind === 'crash' ? shrink(input, (candidate) => this.#crashes(candidate, what)) : input;
    this.findings.push({ kind, what, input: Buffer.from(small) });
  }

  #crashes(input: Buffer, what: string): boolean {
    try {
      this.#options.target.run(input);
      return false;
    } catch (error) {
      return messageOf(error) === what.split('\n', 1)[0];
    }
  }
}

/** In memory of its own: a piece of a pooled slab would hold the whole slab. */
function ownCopy(input: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(input.length);
  input.copy(copy);
  return copy;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** Leaves pieces of `input` out, from half of it down to single bytes, as long as it `fails`. */
export function shrink(input: Buffer, fails: (candidate: Buffer) => boolean): Buffer {
  let best = input;
  for (let piece = Math.ceil(best.length / 2); piece >= 1; piece = piece === 1 ? 0 : Math.ceil(piece / 2)) {
    for (let at = 0; at + piece <= best.length; ) {
      const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + piece)]);
      if (fails(candidate)) best = candidate;
      else at += piece;
    }
  }
  return best;
}

let collect: (() => void) | null = null;

function memoryBytes(): number {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  collect();
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
