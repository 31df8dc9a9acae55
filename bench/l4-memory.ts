// What connections that do nothing cost a pair of proxies in memory: at rest, held, and when they have gone.
import { setTimeout as delay } from 'node:timers/promises';
import { type HeldConnections, holdConnections } from './load.ts';
import type { RunningPath } from './paths/path.ts';
import { usageOf } from './processes.ts';
import type { MetricName } from './report.ts';

export interface MemoryPlan {
  /** Before each look. */
  readonly settleMs: number;
  /** Held before one is counted, so that what grows once, with the first use, is not taken for their cost. */
  readonly firstConnections: number;
  /** Held in all. */
  readonly heldConnections: number;
  /** Between their end and the last look; null for no such look. */
  readonly afterMs: number | null;
}

type Found = Partial<Record<MetricName, number>>;

/** Figures up to the end of the held connections; the last look comes when its time has come. */
export async function measureMemory(
  running: RunningPath,
  plan: MemoryPlan,
): Promise<{ held: Found; after: Promise<Found> }> {
  const { settleMs, firstConnections, heldConnections, afterMs } = plan;
  const hold = (count: number): Promise<HeldConnections> =>
    holdConnections(running.topology.client, `${running.origin}/`, count);
  await delay(settleMs);
  const rest = bytesOf(running);
  const first = await hold(firstConnections);
  await delay(settleMs);
  const few = bytesOf(running);
  const more = await hold(heldConnections - firstConnections);
  await delay(settleMs);
  const many = bytesOf(running);
  const held = {
    rssMB: mean(rest) / 1e6,
    ...(afterMs !== null && { rssHeldMB: mean(many) / 1e6 }),
    kbPerIdleConnection: (sum(many) - sum(few)) / 1024 / more.count,
    kbPerIdleEntry: ((many[0] ?? 0) - (few[0] ?? 0)) / 1024 / more.count,
    kbPerIdleExit: ((many[1] ?? 0) - (few[1] ?? 0)) / 1024 / more.count,
  };
  await Promise.all([first.release(), more.release()]);
  if (afterMs === null) return { held, after: Promise.resolve({}) };
  const after = delay(afterMs).then(() => ({ rssAfterMB: mean(bytesOf(running)) / 1e6 }));
  return { held, after };
}

/** Resident memory of each proxy of the path. */
function bytesOf({ proxies }: RunningPath): number[] {
  return proxies.map(({ pid }) => usageOf([pid]).rssBytes);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
