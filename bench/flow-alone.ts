// What remembering a flow takes, by itself: the loads of `flow-loads.ts` in one process, by turns in all three modes.
import { CpuClock } from './cpu-clock.ts';
import type { FlowKind } from './flow-lab.ts';
import { connectionLoad, type FlowLoad, type Mode, modes, requestLoad } from './flow-loads.ts';
import { type Effect, effectOf, medianOf, shuffled } from './paired.ts';

/** Nanoseconds of CPU time, garbage collection included. */
export interface AloneCost {
  /** What is here of a flow that is not remembered. */
  readonly baseNs: number;
  /** Added to each flow above the limit, of which one in 64 is remembered. */
  readonly sampled: Effect;
  /** Added to a flow that is remembered. */
  readonly each: Effect;
  /** The same, where nothing of it is in the CPU's caches any more, as for flows that come seldom. */
  readonly eachCold: Effect;
}

const loads = { connection: connectionLoad, request: requestLoad } as const satisfies Record<FlowKind, () => FlowLoad>;
/** Some milliseconds. */
const blockOf = { connection: 5_000, request: 1_000 } as const satisfies Record<FlowKind, number>;
const warmUpBlocks = 30;
const coldPairs = 1_500;
/** More than a core has of its own. */
const cacheBytes = 4 * 2 ** 20;
const cacheLineBytes = 64;

/** Takes about ten seconds for 300 rounds. */
export function measureAlone(kind: FlowKind, rounds: number): AloneCost {
  const clock = new CpuClock();
  const load = loads[kind]();
  const perFlow = (mode: Mode, count: number): number => {
    const before = clock.own();
    load.run(mode, count);
    return (clock.own() - before) / count;
  };
  for (let block = 0; block < warmUpBlocks; block++) for (const mode of modes) load.run(mode, blockOf[kind]);
  const taken: Record<Mode, number[]> = { off: [], sampled: [], each: [] };
  for (let round = 0; round < rounds; round++) {
    for (const mode of shuffled(modes)) taken[mode].push(perFlow(mode, blockOf[kind]));
  }
  const added = (mode: Mode): Effect => effectOf(taken[mode].map((ns, at) => ns - taken.off[at]!));
  const other = Buffer.alloc(cacheBytes);
  const cold = (mode: Mode): number => {
    for (let at = 0; at < cacheBytes; at += cacheLineBytes) other[at]! += 1;
    return perFlow(mode, 1);
  };
  const differences = Array.from({ length: coldPairs }, () => {
    const one = { off: 0, each: 0 };
    for (const mode of shuffled(['off', 'each'] as const)) one[mode] = cold(mode);
    return one.each - one.off;
  });
  return {
    baseNs: medianOf(Float64Array.from(taken.off)),
    sampled: added('sampled'),
    each: added('each'),
    eachCold: effectOf(differences),
  };
}
