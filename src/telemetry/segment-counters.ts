// Histograms of where the time of requests goes, by segment alone. A thread counts by bucket; its figures travel among
// its counters, and become one family in a scrape.
import type { RequestSegments } from './access-record.ts';
import { helpOf } from './metric-catalogue.ts';

/** Upper bounds; the last bucket has none. */
export const segmentBucketsMs = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000,
] as const;

const segmentLabels = {
  clientProxy: 'client_proxy',
  wire: 'wire',
  waypoint: 'waypoint',
  destinationProxy: 'destination_proxy',
  application: 'application',
} as const satisfies Record<keyof RequestSegments, string>;

const family = 'ambient_request_segment_seconds';
/** Of counters that are the family's: `…/SEGMENT/BUCKET`, and `…/SEGMENT/sum` in milliseconds. */
export const segmentCounterPrefix = 'ambient_request_segment_total/';

const segments = Object.keys(segmentLabels) as (keyof RequestSegments)[];

/** The histograms of one thread. */
export class SegmentCounters {
  readonly #buckets = segments.map(() => new Array<number>(segmentBucketsMs.length + 1).fill(0));
  readonly #sumsMs = segments.map(() => 0);

  /** Counts one request; what is unknown counts nowhere. */
  count(figures: RequestSegments): void {
    for (let at = 0; at < segments.length; at++) {
      const ms = figures[segments[at]!];
      if (ms === null) continue;
      let bucket = 0;
      while (bucket < segmentBucketsMs.length && ms > segmentBucketsMs[bucket]!) bucket++;
      this.#buckets[at]![bucket]!++;
      this.#sumsMs[at]! += ms;
    }
  }

  /** What was counted, by the names that a scrape understands. */
  counters(): Record<string, number> {
    const named: Record<string, number> = {};
    for (const [at, segment] of segments.entries()) {
      const prefix = `${segmentCounterPrefix}${segmentLabels[segment]}/`;
      if (this.#buckets[at]!.every((count) => count === 0)) continue;
      for (const [bucket, count] of this.#buckets[at]!.entries()) if (count > 0) named[`${prefix}${bucket}`] = count;
      named[`${prefix}sum`] = this.#sumsMs[at]!;
    }
    return named;
  }
}

/** The family as the text of a scrape; '' where nothing was counted. */
export function segmentMetricsText(counters: ReadonlyMap<string, number>): string {
  const lines: string[] = [];
  for (const label of Object.values(segmentLabels)) {
    const sumMs = counters.get(`${segmentCounterPrefix}${label}/sum`);
    if (sumMs === undefined) continue;
    let count = 0;
    for (let bucket = 0; bucket <= segmentBucketsMs.length; bucket++) {
      count += counters.get(`${segmentCounterPrefix}${label}/${bucket}`) ?? 0;
      const bound = segmentBucketsMs[bucket];
      const le = bound === undefined ? '+Inf' : bound / 1000;
      lines.push(`${family}_bucket{segment="${label}",le="${le}"} ${count}`);
    }
    lines.push(`${family}_sum{segment="${label}"} ${sumMs / 1000}`, `${family}_count{segment="${label}"} ${count}`);
  }
  if (lines.length === 0) return '';
  return [`# HELP ${family} ${helpOf(family)}`, `# TYPE ${family} histogram`, ...lines, ''].join('\n');
}
