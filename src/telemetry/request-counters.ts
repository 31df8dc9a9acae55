// Plain numeric counters of a thread that serves HTTP, one row per (reporter, source, destination, service, protocol,
// code, flag). The main thread adds the rows of all threads up and turns them into Istio's metrics. All figures only
// ever grow. A row is looked up when its labels first meet, never per request: who counts keeps it.
import type { Flag } from '../base/flags.ts';
import type { EdgeEnd } from './edge-counters.ts';
import { addSegments, type SegmentCounts } from './segment-counters.ts';

export interface RequestKey {
  readonly reporter: 'waypoint' | 'destination';
  readonly source: EdgeEnd;
  readonly destination: EdgeEnd;
  /** Host name, name and namespace of the service that was called. */
  readonly service: string;
  readonly serviceName: string;
  readonly serviceNamespace: string;
  readonly protocol: 'http' | 'grpc';
  /** 0 where the client left before an answer. */
  readonly code: number;
  /** -1 for none. */
  readonly grpcStatus: number;
  readonly flag: Flag;
  readonly mutualTls: boolean;
}

/** Upper bounds of the histograms, as Istio's; the last bucket has no bound. */
export const durationBucketsMs = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
] as const;
export const sizeBucketsBytes = durationBucketsMs;

/** What stands behind a bucket of the duration histogram. */
export interface Exemplar {
  readonly traceId: string;
  readonly durationMs: number;
  readonly atMs: number;
}

/** One row of counters, written by `countRequest`. Buckets are not cumulative. */
export interface RequestRow {
  readonly key: RequestKey;
  /** The newest sampled trace; null for none. */
  exemplar: Exemplar | null;
  requests: number;
  durationSumMs: number;
  requestBytes: number;
  responseBytes: number;
  requestMessages: number;
  responseMessages: number;
  readonly durationBuckets: number[];
  readonly requestBuckets: number[];
  readonly responseBuckets: number[];
  /** Where the time went; written by `countSegments`. */
  readonly segments: SegmentCounts;
}

/** Rows of one thread; above this many, what is new is counted under nameless ends, so that memory stays bounded. */
export const requestRowsMax = 20_000;

const nobody: EdgeEnd = { workload: '', namespace: '', identity: '' };

/** The request counters of one thread. */
export class RequestCounters {
  readonly #rowsMax: number;
  readonly #rows = new Map<string, RequestRow>();

  /** Look-ups of rows that there was no room for. */
  folded = 0;

  constructor(rowsMax = requestRowsMax) {
    this.#rowsMax = rowsMax;
  }

  /** The row to count on; made when it is not there yet. */
  row(key: RequestKey): RequestRow {
    const text = textOf(key);
    const found = this.#rows.get(text);
    if (found !== undefined) return found;
    if (this.#rows.size < this.#rowsMax) return this.#make(text, key);
    this.folded++;
    const nameless: RequestKey = {
      ...key,
      source: nobody,
      destination: nobody,
      service: '',
      serviceName: '',
      serviceNamespace: '',
    };
    const namelessText = textOf(nameless);
    return this.#rows.get(namelessText) ?? this.#make(namelessText, nameless);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** The rows themselves: to be copied (`postMessage` does) before they are kept. */
  rows(): RequestRow[] {
    return [...this.#rows.values()];
  }

  #make(text: string, key: RequestKey): RequestRow {
    const buckets = (): number[] => new Array<number>(durationBucketsMs.length + 1).fill(0);
    const row: RequestRow = {
      key,
      exemplar: null,
      requests: 0,
      durationSumMs: 0,
      requestBytes: 0,
      responseBytes: 0,
      requestMessages: 0,
      responseMessages: 0,
      durationBuckets: buckets(),
      requestBuckets: buckets(),
      responseBuckets: buckets(),
      segments: {},
    };
    this.#rows.set(text, row);
    return row;
  }
}

/** Counts one request that has ended. Sizes are heads and bodies, in bytes. */
export function countRequest(row: RequestRow, durationMs: number, requestBytes: number, responseBytes: number): void {
  row.requests++;
  row.durationSumMs += durationMs;
  row.requestBytes += requestBytes;
  row.responseBytes += responseBytes;
  row.durationBuckets[bucketOf(durationMs)]!++;
  row.requestBuckets[bucketOf(requestBytes)]!++;
  row.responseBuckets[bucketOf(responseBytes)]!++;
}

/** Rows of several threads added up by key; the arguments stay as they are. */
export function mergeRequestRows(threads: readonly (readonly RequestRow[])[]): RequestRow[] {
  const sums = new RequestCounters(Number.POSITIVE_INFINITY);
  for (const row of threads.flat()) {
    const sum = sums.row(row.key);
    sum.requests += row.requests;
    if ((row.exemplar?.atMs ?? 0) > (sum.exemplar?.atMs ?? 0)) sum.exemplar = row.exemplar;
    sum.durationSumMs += row.durationSumMs;
    sum.requestBytes += row.requestBytes;
    sum.responseBytes += row.responseBytes;
    sum.requestMessages += row.requestMessages;
    sum.responseMessages += row.responseMessages;
    addSegments(sum.segments, row.segments);
    for (let at = 0; at < sum.durationBuckets.length; at++) {
      sum.durationBuckets[at]! += row.durationBuckets[at]!;
      sum.requestBuckets[at]! += row.requestBuckets[at]!;
      sum.responseBuckets[at]! += row.responseBuckets[at]!;
    }
  }
  return sums.rows();
}

/** Of the histograms above. */
export function bucketOf(value: number): number {
  let at = 0;
  while (at < durationBucketsMs.length && value > durationBucketsMs[at]!) at++;
  return at;
}

function textOf(key: RequestKey): string {
  const { source, destination } = key;
  return `${key.reporter}\n${source.workload}\n${source.namespace}\n${source.identity}\n${destination.workload}\n${
    destination.namespace
  }\n${destination.identity}\n${key.service}\n${key.protocol}\n${key.code}\n${key.grpcStatus}\n${key.flag}\n${
    key.mutualTls
  }`;
}
