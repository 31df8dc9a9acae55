// Istio's metrics of HTTP requests, as the text of a scrape. Written here and not by prom-client, whose histograms can
// be observed but not set: the threads have counted by bucket already.
import { envoyFlag } from './envoy-flags.ts';
import { type EndNames, istioEnd, labelsText, unknown } from './istio-labels.ts';
import { helpOf } from './metric-catalogue.ts';
import { bucketOf, durationBucketsMs, type Exemplar, type RequestKey, type RequestRow } from './request-counters.ts';

export interface RequestReading extends EndNames {
  readonly requests: readonly RequestRow[];
  /** Every row once more with `reporter="destination"`, for what asks for that (Flagger, Argo Rollouts). */
  readonly alsoAsDestination?: boolean;
}

type Series = readonly [labels: string, row: RequestRow];

const counters = [
  ['istio_requests_total', 'requests'],
  ['istio_request_messages_total', 'requestMessages'],
  ['istio_response_messages_total', 'responseMessages'],
] as const;

const durations = 'istio_request_duration_milliseconds';
const histograms = [
  [durations, 'durationBuckets', 'durationSumMs'],
  ['istio_request_bytes', 'requestBuckets', 'requestBytes'],
  ['istio_response_bytes', 'responseBuckets', 'responseBytes'],
] as const;

/** The families with all their series; '' where nothing was counted. `exemplars` are for OpenMetrics alone. */
export function requestMetricsText(reading: RequestReading, exemplars = false): string {
  if (reading.requests.length === 0) return '';
  const series: Series[] = [];
  for (const row of reading.requests) {
    series.push([labelsOf(row.key, row.key.reporter, reading), row]);
    if (reading.alsoAsDestination === true) series.push([labelsOf(row.key, 'destination', reading), row]);
  }
  const lines: string[] = [];
  for (const [name, field] of counters) {
    const isGrpc = field !== 'requests';
    lines.push(`# HELP ${name} ${helpOf(name)}`, `# TYPE ${name} counter`);
    for (const [labels, row] of series) {
      if (!isGrpc || row.key.protocol === 'grpc') lines.push(`${name}{${labels}} ${row[field]}`);
    }
  }
  for (const [name, buckets, sum] of histograms) {
    lines.push(`# HELP ${name} ${helpOf(name)}`, `# TYPE ${name} histogram`);
    for (const [labels, row] of series) {
      const exemplar = exemplars && name === durations ? row.exemplar : null;
      histogramLines(lines, name, labels, row[buckets], row[sum], exemplar);
    }
  }
  return `${lines.join('\n')}\n`;
}

function histogramLines(
  lines: string[],
  name: string,
  labels: string,
  buckets: readonly number[],
  sum: number,
  exemplar: Exemplar | null,
): void {
  let count = 0;
  for (const [at, value] of buckets.entries()) {
    count += value;
    const bound = durationBucketsMs[at];
    const isOf = exemplar !== null && bucketOf(exemplar.durationMs) === at;
    const trace = isOf ? ` # {trace_id="${exemplar.traceId}"} ${exemplar.durationMs} ${exemplar.atMs / 1000}` : '';
    lines.push(`${name}_bucket{${labels},le="${bound === undefined ? '+Inf' : bound}"} ${count}${trace}`);
  }
  lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${count}`);
}

function labelsOf(key: RequestKey, reporter: string, names: EndNames): string {
  const from = istioEnd(key.source, names);
  const to = istioEnd(key.destination, names);
  const labels = {
    reporter,
    source_workload: from.workload,
    source_canonical_service: from.service,
    source_canonical_revision: from.revision,
    source_workload_namespace: from.namespace,
    source_principal: from.principal,
    source_app: from.service,
    source_version: from.revision,
    source_cluster: from.cluster,
    destination_service: key.service || unknown,
    destination_service_namespace: key.serviceNamespace || unknown,
    destination_service_name: key.serviceName || unknown,
    destination_workload: to.workload,
    destination_canonical_service: to.service,
    destination_canonical_revision: to.revision,
    destination_workload_namespace: to.namespace,
    destination_principal: to.principal,
    destination_app: to.service,
    destination_version: to.revision,
    destination_cluster: to.cluster,
    request_protocol: key.protocol,
    response_code: String(key.code),
    grpc_response_status: key.grpcStatus < 0 ? '' : String(key.grpcStatus),
    response_flags: envoyFlag(key.flag),
    connection_security_policy: key.mutualTls ? 'mutual_tls' : unknown,
  };
  return labelsText(labels);
}
