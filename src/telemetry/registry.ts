// The metrics of a proxy, in one prom-client registry on the main thread: Istio's names and labels for TCP, so
// that its dashboards light up, and `ambient_…` for what is ours. HELP says "(unstable)" where a name may still change.
import { Counter, Gauge, Registry } from 'prom-client';
import type { EdgeView, EjectedView, LimitView, LoopDelayView } from '../model/views.ts';
import { type EndNames, istioEnd, unknown } from './istio-labels.ts';
import { helpOf, metricCatalogue } from './metric-catalogue.ts';
import type { Exporter } from './metric-entry.ts';
import { type Exposition, expositionOf, wantsOpenMetrics } from './open-metrics.ts';
import { policyHitLabels } from './policy-hits.ts';
import { collectProcessMetrics } from './process-metrics.ts';
import type { RequestRow } from './request-counters.ts';
import { requestMetricsText } from './request-metrics.ts';
import { segmentMetricsText } from './segment-counters.ts';
import { VanishedSeries } from './vanished-series.ts';

/** The certificate of an identity: when it ends, and its whole life; null for none yet. */
export interface CertificateReading {
  readonly identity: string;
  readonly notAfterMs: number | null;
  readonly lifeMs: number | null;
}

/** A data thread. */
export interface ThreadReading {
  readonly id: number;
  readonly state: string;
  readonly restarts: number;
  readonly loopDelayMs: LoopDelayView;
}

/** Everything that a scrape shows, gathered when it is asked for. */
export interface ProxyReading extends EndNames {
  readonly edges: readonly EdgeView[];
  /** HTTP requests; of a waypoint alone. */
  readonly requests: readonly RequestRow[];
  /** Endpoints that are out of rotation now; of a waypoint alone. */
  readonly ejected?: readonly EjectedView[];
  /** These once more with `reporter="destination"`. */
  readonly alsoAsDestination?: boolean;
  /** Sums over data threads by metric name; those that end in `_total` only grow. */
  readonly counters: ReadonlyMap<string, number>;
  readonly threads: readonly ThreadReading[];
  readonly limits: readonly LimitView[];
  /** Null for proxies that capture nothing. */
  readonly capture: {
    readonly state: string;
    readonly repairs: number;
    /** Where pods are captured one by one. */
    readonly pods?: readonly { readonly state: string }[];
  } | null;
  readonly clientAddresses: { readonly ipv4: boolean; readonly ipv6: boolean } | null;
  readonly discovery: { readonly connected: boolean; readonly lastUpdateAtMs: number | null };
  readonly certificates: readonly CertificateReading[];
  readonly ready: boolean;
}

/** Istio's families with the field of an edge that each counts. Received and sent are as the destination sees them. */
const edgeFamilies = {
  istio_tcp_connections_opened_total: 'opened',
  istio_tcp_connections_closed_total: 'closed',
  istio_tcp_connections_failed_total: 'failed',
  istio_tcp_received_bytes_total: 'bytesSent',
  istio_tcp_sent_bytes_total: 'bytesReceived',
} as const satisfies Record<string, keyof EdgeView>;

/** Labels of what the data threads count by more than the name, `NAME/…`. */
const labelled: Readonly<Record<string, (rest: string) => Readonly<Record<string, string>>>> = {
  ambient_limit_rejections_total: (limit) => ({ limit }),
  ambient_policy_hits_total: policyHitLabels,
  ambient_http_retries_refused_total: serviceLabels,
  ambient_metrics_folded_total: (family) => ({ family }),
  ambient_trace_spans_dropped_total: (reason) => ({ reason }),
  ambient_metrics_series: (family) => ({ family }),
  ambient_metrics_series_max: (family) => ({ family }),
};
const noLabels = () => ({});

/** Of `NAMESPACE/NAME`. */
function serviceLabels(service: string) {
  const [namespace = '', name = ''] = service.split('/');
  return { destination_service_name: name, destination_service_namespace: namespace };
}

/** Metrics of a proxy; `read` is called once per scrape. */
export class ProxyMetrics {
  readonly registry = new Registry();
  readonly #read: () => Promise<ProxyReading>;
  readonly #now: () => number;
  readonly #exporter: Exporter;
  readonly #edges = new VanishedSeries<EdgeView>(
    ({ reporter, source, destination, transport, flag }) =>
      JSON.stringify([reporter, source, destination, transport, flag]),
    (edge) => edge.opened + edge.closed + edge.failed + edge.bytesSent + edge.bytesReceived,
  );
  readonly #requests = new VanishedSeries<RequestRow>(
    ({ key }) => JSON.stringify(key),
    ({ requests }) => requests,
  );

  constructor(
    read: () => Promise<ProxyReading>,
    build: { component: string; version: string; node: string },
    now: () => number = Date.now,
  ) {
    this.#read = read;
    this.#now = now;
    this.#exporter = build.component === 'ambient-waypoint' ? 'waypoint' : 'node';
    collectProcessMetrics(this.registry);
    const labels = { ...build };
    this.#gauge('ambient_build_info').set(labels, 1);
  }

  /** The text of a scrape in the format that `accept` asks for, and its content type. */
  async scrape(accept = ''): Promise<Exposition> {
    const reading = this.#shown(await this.#read());
    this.#fillEdges(reading);
    this.#fillCounters(reading);
    this.#fillThreads(reading);
    this.#fillLimits(reading);
    this.#fillOwn(reading);
    const requests = requestMetricsText(reading, wantsOpenMetrics(accept));
    const segments = segmentMetricsText(reading.requests, reading);
    return expositionOf(`${await this.registry.metrics()}${requests}${segments}`, accept);
  }

  /** Without the series of workloads that vanished a while ago. */
  #shown(reading: ProxyReading): ProxyReading {
    const nowMs = this.#now();
    const edges = this.#edges.shown(reading.edges, (edge) => [edge.source, edge.destination], reading, nowMs);
    const requests = this.#requests.shown(reading.requests, ({ key }) => [key.source, key.destination], reading, nowMs);
    return { ...reading, edges, requests };
  }

  #fillEdges(reading: ProxyReading): void {
    for (const [name, field] of Object.entries(edgeFamilies)) {
      const counter = this.#counter(name);
      counter.reset();
      for (const edge of reading.edges) {
        const value = edge[field];
        if (value > 0) counter.inc(labelsOf(edge, reading), value);
      }
    }
  }

  #fillCounters(reading: ProxyReading): void {
    for (const name of Object.keys(labelled)) {
      if (metricCatalogue().get(name)?.by.includes(this.#exporter) !== true) continue;
      (name.endsWith('_total') ? this.#counter(name) : this.#gauge(name)).reset();
    }
    for (const [counted, value] of reading.counters) {
      const slash = counted.indexOf('/');
      const name = slash < 0 ? counted : counted.slice(0, slash);
      const labels = slash < 0 ? {} : (labelled[name] ?? noLabels)(counted.slice(slash + 1));
      if (!name.endsWith('_total')) {
        this.#gauge(name).set(labels, value);
        continue;
      }
      const counter = this.#counter(name);
      if (slash < 0) counter.reset();
      counter.inc(labels, value);
    }
  }

  #fillThreads(reading: ProxyReading): void {
    const states = this.#gauge('ambient_data_threads');
    states.reset();
    for (const state of ['starting', 'serving', 'dead']) {
      states.set({ state }, reading.threads.filter((thread) => thread.state === state).length);
    }
    const delay = this.#gauge('ambient_event_loop_delay_seconds');
    delay.reset();
    for (const { id, loopDelayMs } of reading.threads) {
      const { p50, p99, max } = loopDelayMs;
      for (const [statistic, ms] of Object.entries({ p50, p99, max })) {
        delay.set({ thread: String(id), statistic }, ms / 1000);
      }
    }
    const restarts = this.#counter('ambient_data_thread_restarts_total');
    restarts.reset();
    for (const thread of reading.threads) restarts.inc({ thread: String(thread.id) }, thread.restarts);
  }

  #fillLimits(reading: ProxyReading): void {
    const limit = this.#gauge('ambient_limit');
    const use = this.#gauge('ambient_limit_use');
    for (const each of reading.limits) {
      limit.set({ limit: each.limit }, each.value);
      if (each.use !== null) use.set({ limit: each.limit }, each.use);
    }
  }

  #fillOwn(reading: ProxyReading): void {
    this.#fillEjected(reading);
    this.#fillCapture(reading);
    const { discovery, certificates } = reading;
    this.#gauge('ambient_discovery_connected').set(discovery.connected ? 1 : 0);
    this.#gauge('ambient_discovery_last_update_timestamp_seconds').set((discovery.lastUpdateAtMs ?? 0) / 1000);
    const expiry = this.#gauge('ambient_certificate_expiry_timestamp_seconds');
    const lifetime = this.#gauge('ambient_certificate_lifetime_seconds');
    for (const gauge of [expiry, lifetime]) gauge.reset();
    for (const { identity, notAfterMs, lifeMs } of certificates) {
      expiry.set({ identity }, (notAfterMs ?? 0) / 1000);
      lifetime.set({ identity }, (lifeMs ?? 0) / 1000);
    }
    this.#gauge('ambient_ready').set(reading.ready ? 1 : 0);
  }

  /** Without labels while there is none: a series to alert on has to be there. */
  #fillEjected({ ejected }: ProxyReading): void {
    if (ejected === undefined) return;
    const gauge = this.#gauge('ambient_http_ejected_endpoints');
    gauge.reset();
    if (ejected.length === 0) gauge.set({}, 0);
    const addresses = new Set(ejected.map(({ service, address }) => `${service} ${address}`));
    for (const one of addresses) {
      const [service = ''] = one.split(' ');
      const [namespace = '', name = ''] = service.split('/');
      gauge.inc({ destination_service_name: name, destination_service_namespace: namespace });
    }
  }

  #fillCapture({ capture, clientAddresses }: ProxyReading): void {
    if (capture === null || clientAddresses === null) return;
    const state = this.#gauge('ambient_capture_state');
    for (const name of ['off', 'applied', 'failed']) state.set({ state: name }, name === capture.state ? 1 : 0);
    const pods = this.#gauge('ambient_capture_pods');
    for (const name of ['redirected', 'outside', 'pending', 'failed']) {
      pods.set({ state: name }, (capture.pods ?? []).filter((pod) => pod.state === name).length);
    }
    const kept = this.#gauge('ambient_client_addresses_preserved');
    for (const family of ['ipv4', 'ipv6'] as const) kept.set({ family }, clientAddresses[family] ? 1 : 0);
    const repairs = this.#counter('ambient_capture_repairs_total');
    repairs.reset();
    repairs.inc(capture.repairs);
  }

  #counter(name: string): Counter {
    const known = this.registry.getSingleMetric(name) as Counter | undefined;
    return known ?? new Counter(this.#described(name));
  }

  #gauge(name: string): Gauge {
    const known = this.registry.getSingleMetric(name) as Gauge | undefined;
    return known ?? new Gauge(this.#described(name));
  }

  #described(name: string) {
    const labelNames = metricCatalogue().get(name)?.labels ?? [];
    return { name, help: helpOf(name), labelNames, registers: [this.registry] };
  }
}

function labelsOf(edge: EdgeView, reading: ProxyReading): Record<string, string> {
  const { source, destination } = edge;
  const from = istioEnd(source, reading);
  const to = istioEnd(destination, reading);
  const [serviceName = '', serviceNamespace = ''] = destination.service.split('.');
  return {
    reporter: edge.reporter,
    source_workload: from.workload,
    source_canonical_service: from.service,
    source_canonical_revision: from.revision,
    source_workload_namespace: from.namespace,
    source_principal: from.principal,
    source_app: from.service,
    source_version: from.revision,
    source_cluster: from.cluster,
    destination_service: destination.service || unknown,
    destination_service_namespace: serviceNamespace || unknown,
    destination_service_name: serviceName || unknown,
    destination_workload: to.workload,
    destination_canonical_service: to.service,
    destination_canonical_revision: to.revision,
    destination_workload_namespace: to.namespace,
    destination_principal: to.principal,
    destination_app: to.service,
    destination_version: to.revision,
    destination_cluster: to.cluster,
    request_protocol: 'tcp',
    response_flags: edge.flag,
    connection_security_policy: edge.transport === 'mtls' ? 'mutual_tls' : unknown,
  };
}
