// Which trace stands for a row of requests in OpenMetrics: the newest that was sampled. Requests without a
// `traceparent`, and those that are not sampled, cost nothing here.
import type { RequestRow } from '../../telemetry/request-counters.ts';
import { parseTraceparent } from '../../tunnel/traceparent.ts';

const headerLength = 55;

/** A quick look at the last digit of a `traceparent`: false for nearly all headers that are not sampled. */
export function maySample(header: string): boolean {
  return header.length === headerLength && (header.charCodeAt(headerLength - 1) & 1) === 1;
}

/** Keeps the trace of a request that took `durationMs`, if it is well-formed and sampled. */
export function keepExemplar(row: RequestRow, header: string, durationMs: number): void {
  const parent = parseTraceparent(header);
  if (parent?.sampled === true) row.exemplar = { traceId: parent.traceId, durationMs, atMs: Date.now() };
}
