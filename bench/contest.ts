// Paths that are measured in turns: which of them still run, which were left out and why, and the samples of each.
import { messageOf } from '../src/base/errors.ts';
import type { Service } from './processes.ts';
import type { ReportRow } from './report.ts';
import { spreadOf } from './statistics.ts';

/** What takes part. */
export interface Contestant {
  readonly name: string;
  /** One that has ended is left out. */
  readonly services: readonly Service[];
}

export type Samples<Metric extends string> = Record<Metric, number[]> & { errors: number };

/** The state of one run. */
export class Contest<Metric extends string> {
  readonly leftOut: { path: string; reason: string }[] = [];
  readonly #metrics: readonly Metric[];
  readonly #say: (line: string) => void;
  readonly #samples = new Map<string, Samples<Metric>>();

  constructor(metrics: readonly Metric[], say: (line: string) => void) {
    this.#metrics = metrics;
    this.#say = say;
  }

  /** Those of `all` that have not been left out. */
  alive<Path extends Contestant>(all: readonly Path[]): Path[] {
    return all.filter(({ name }) => !this.leftOut.some((left) => left.path === name));
  }

  leaveOut(name: string, error: unknown): void {
    const reason = messageOf(error);
    this.#say(`${name} is left out: ${reason}`);
    this.leftOut.push({ path: name, reason });
  }

  /** Does `work`, unless the path was left out; leaves it out when that fails or one of its services has ended. */
  async attempt(path: Contestant, work: () => Promise<unknown>): Promise<void> {
    if (this.leftOut.some((left) => left.path === path.name)) return;
    try {
      await work();
      for (const service of path.services) service.assertRunning();
    } catch (error) {
      this.leaveOut(path.name, error);
    }
  }

  /** Every measurement on every path, in another order each round, so that a slow hour of the machine hits all. */
  async rounds<Path extends Contestant>(
    count: number,
    paths: readonly Path[],
    measures: readonly ((path: Path) => Promise<void>)[],
  ): Promise<void> {
    for (let round = 0; round < count; round++) {
      this.#say(`round ${round + 1} of ${count}`);
      for (const measure of measures) {
        const alive = this.alive(paths);
        const first = round % Math.max(alive.length, 1);
        for (const path of [...alive.slice(first), ...alive.slice(0, first)]) {
          await this.attempt(path, () => measure(path));
        }
      }
    }
  }

  samplesOf(name: string): Samples<Metric> {
    const known = this.#samples.get(name);
    if (known !== undefined) return known;
    const empty = Object.fromEntries(this.#metrics.map((metric) => [metric, [] as number[]]));
    const samples = Object.assign(empty as Record<Metric, number[]>, { errors: 0 });
    this.#samples.set(name, samples);
    return samples;
  }

  /** The medians of those that came through. */
  rows(paths: readonly Contestant[]): ReportRow<Metric>[] {
    return this.alive(paths).map(({ name }) => {
      const samples = this.samplesOf(name);
      const metrics = Object.fromEntries(this.#metrics.map((metric) => [metric, spreadOf(samples[metric])]));
      return { path: name, metrics: metrics as ReportRow<Metric>['metrics'], socketErrors: samples.errors };
    });
  }
}
