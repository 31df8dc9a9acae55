// What the limits of one destination refuse, and since when: a run of refusals that nothing interrupts for a while.
// Looked at when somebody asks; noting one is a few additions.
import type { RefusingView } from '../../model/views.ts';

export type RefusingLimit = RefusingView['limit'];

/** Refusals of one limit, one soon after the other. */
export interface RefusalRun {
  readonly limit: RefusingLimit;
  readonly sinceMs: number;
  readonly lastMs: number;
  readonly refused: number;
}

/** A run without a refusal for so long is over. */
export const refusalQuietMs = 10_000;

/** Of one destination. */
export class Refusals {
  readonly #runs = new Map<RefusingLimit, { sinceMs: number; lastMs: number; refused: number }>();

  /** A request, or another try of one, was refused. */
  note(limit: RefusingLimit, nowMs: number): void {
    const run = this.#runs.get(limit);
    if (run === undefined) this.#runs.set(limit, { sinceMs: nowMs, lastMs: nowMs, refused: 1 });
    else if (nowMs - run.lastMs > refusalQuietMs) Object.assign(run, { sinceMs: nowMs, lastMs: nowMs, refused: 1 });
    else {
      run.lastMs = nowMs;
      run.refused++;
    }
  }

  /** The runs that are not over. */
  running(nowMs: number): RefusalRun[] {
    const all = Array.from(this.#runs, ([limit, run]) => ({ limit, ...run }));
    return all.filter(({ lastMs }) => nowMs - lastMs <= refusalQuietMs);
  }
}
