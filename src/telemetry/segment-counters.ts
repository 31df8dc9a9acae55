// Histograms of where the time of requests goes, by segment. A thread counts by bucket in the rows of its requests
// (`request-counters.ts`); a scrape adds the rows of one pair and service up, whatever their requests ended with.
import type { RequestSegments } from './access-record.ts';
import { type EndNames, istioEnd, labelsText, unknown } from './istio-labels.ts';
import { helpOf } from './metric-catalogue.ts';
import type { RequestRow } from './request-counters.ts';

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
const segments = Object.keys(segmentLabels) as (keyof RequestSegments)[];

/** Buckets, which are not cumulative, and sum in milliseconds, of each segment that anything is known of. */
export type SegmentCounts = Partial<Record<keyof RequestSegments, { sumMs: number; readonly buckets: number[] }>>;

/** Counts one request; what is unknown counts nowhere. */
export function countSegments(counts: SegmentCounts, figures: RequestSegments): void {
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at]!;
    const ms = figures[segment];
    if (ms === null) continue;
    let bucket = 0;
    while (bucket < segmentBucketsMs.length && ms > segmentBucketsMs[bucket]!) bucket++;
    const one = countsOf(counts, segment);
    one.buckets[bucket]!++;
    one.sumMs += ms;
  }
}

/** Adds `more` to `sum`. */
export function addSegments(sum: SegmentCounts, more: SegmentCounts): void {
  for (const segment of segments) {
    const added = more[segment];
    if (added === undefined) continue;
    const one = countsOf(sum, segment);
    one.sumMs += added.sumMs;
    for (const [at, count] of added.buckets.entries()) one.buckets[at]! += count;
  }
}

/** The family as the text of a scrape; '' where nothing was counted. */
export function segmentMetricsText(rows: readonly RequestRow[], names: EndNames): string {
  const sums = new Map<string, SegmentCounts>();
  for (const row of rows) {
    const labels = labelsOf(row, names);
    const sum = sums.get(labels) ?? {};
    sums.set(labels, sum);
    addSegments(sum, row.segments);
  }
  const lines: string[] = [];
  for (const [labels, sum] of sums) {
    for (const segment of segments) {
      const counts = sum[segment];
      if (counts !== undefined) histogramLines(lines, `segment="${segmentLabels[segment]}",${labels}`, counts);
    }
  }
  if (lines.length === 0) return '';
  return [`# HELP ${family} ${helpOf(family)}`, `# TYPE ${family} histogram`, ...lines, ''].join('\n');
}

function countsOf(counts: SegmentCounts, segment: keyof RequestSegments) {
  const known = counts[segment];
  if (known !== undefined) return known;
  const made = { sumMs: 0, buckets: new Array<number>(segmentBucketsMs.length + 1).fill(0) };
  counts[segment] = made;
  return made;
}

function histogramLines(lines: string[], labels: string, { buckets, sumMs }: { sumMs: number; buckets: number[] }) {
  let count = 0;
  for (const [at, value] of buckets.entries()) {
    count += value;
    const bound = segmentBucketsMs[at];
    lines.push(`${family}_bucket{${labels},le="${bound === undefined ? '+Inf' : bound / 1000}"} ${count}`);
  }
  lines.push(`${family}_sum{${labels}} ${sumMs / 1000}`, `${family}_count{${labels}} ${count}`);
}

function labelsOf({ key }: RequestRow, names: EndNames): string {
  const from = istioEnd(key.source, names);
  const to = istioEnd(key.destination, names);
  return labelsText({
    source_workload: from.workload,
    source_workload_namespace: from.namespace,
    destination_service_name: key.serviceName || unknown,
    destination_service_namespace: key.serviceNamespace || unknown,
    destination_workload: to.workload,
    destination_workload_namespace: to.namespace,
  });
}
