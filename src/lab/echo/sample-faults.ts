// What can be wrong with a sample service, on purpose: it fails one request in so many, before or after it has done
// its work, or it is slow. Set by the environment, and changed while it runs (`PUT /faults`).
import { MeshError } from '../../base/errors.ts';
import { durationOf } from './duration.ts';

/** Whether a request that fails has done its work (`after`) or not (`before`). */
export type FailWhen = 'before' | 'after';

export interface SampleFaults {
  /** 0: none. 5: each fifth request, counted over the whole process, is answered 503. */
  readonly failOneIn: number;
  readonly failWhen: FailWhen;
  /** Every answer is late by this much. */
  readonly delayMs: number;
}

export const noFaults: SampleFaults = { failOneIn: 0, failWhen: 'before', delayMs: 0 };

/**
 * Reads `fail-one-in`, `fail-when` and `delay`, each of which may be absent (`base` has its value then). Throws
 * CONFIG_INVALID with `place`.
 */
export function readFaults(value: (name: string) => string | null, base: SampleFaults, place: string): SampleFaults {
  const invalid = (reason: string): MeshError => new MeshError('CONFIG_INVALID', { place, reason });
  const failOneIn = Number(value('fail-one-in') ?? base.failOneIn);
  if (!Number.isInteger(failOneIn) || failOneIn < 0) throw invalid('fail-one-in is no whole number');
  const failWhen = value('fail-when') ?? base.failWhen;
  if (failWhen !== 'before' && failWhen !== 'after') throw invalid(`fail-when is 'before' or 'after'`);
  const delay = value('delay');
  return { failOneIn, failWhen, delayMs: delay === null ? base.delayMs : durationOf(delay, place) };
}

/** The faults of one process, and which requests they hit. */
export class FaultSwitch {
  faults: SampleFaults;
  /** Requests so far; those for health, faults and books do not count. */
  seen = 0;

  constructor(faults: SampleFaults) {
    this.faults = faults;
  }

  /** Counts a request; null where it is to succeed. */
  next(): FailWhen | null {
    const { failOneIn, failWhen } = this.faults;
    this.seen++;
    return failOneIn > 0 && this.seen % failOneIn === 0 ? failWhen : null;
  }
}
