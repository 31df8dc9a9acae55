// The metrics of a proxy, in one prom-client registry on the main thread: Istio's names and labels for TCP, so
// that its dashboards light up, and `ambient_…` for what is ours. HELP says "(unstable)" where a name may still change.
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import type { EdgeView, LoopDelayView } from '../model/views.ts';
import { type EndNames, istioEnd, unknown } from './istio-labels.ts';
import { policyHitLabels, policyHitsPrefix } from './policy-hits.ts';
import { collectProcessMetrics } from './process-metrics.ts';
import type { RequestRow } from './request-counters.ts';
import { requestMetricsText } from './request-metrics.ts';
import { segmentCounterPrefix, segmentMetricsText } from './segment-counters.ts';

/** A limit of the whole proxy and how much of it is in use now; null where that is counted elsewhere. */
export interface LimitReading {
  readonly limit: string;
  readonly value: number;
  readonly use: number | null;
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
  /** These once more with `reporter="destination"`. */
  readonly alsoAsDestination?: boolean;
  /** Sums over data threads by metric name; those that end in `_total` only grow. */
  readonly counters: ReadonlyMap<string, number>;
  readonly threads: readonly ThreadReading[];
  readonly limits: readonly LimitReading[];
  /** Null for proxies that capture nothing. */
  readonly capture: {
    readonly state: string;
    readonly repairs: number;
    /** Where pods are captured one by one. */
    readonly pods?: readonly { readonly state: string }[];
  } | null;
  readonly clientAddresses: { readonly ipv4: boolean; readonly ipv6: boolean } | null;
  readonly discovery: { readonly connected: boolean; readonly lastUpdateAtMs: number | null };
  readonly certificates: readonly { readonly identity: string; readonly notAfterMs: number | null }[];
  readonly ready: boolean;
}

const edgeLabels = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_cluster',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
] as const;
type EdgeLabel = (typeof edgeLabels)[number];

/** Istio's families with the field of an edge that each counts. Received and sent are as the destination sees them. */
const edgeFamilies = {
  istio_tcp_connections_opened_total: { field: 'opened', help: 'TCP connections opened' },
  istio_tcp_connections_closed_total: { field: 'closed', help: 'TCP connections closed' },
  istio_tcp_connections_failed_total: { field: 'failed', help: 'TCP connections that never opened (unstable)' },
  istio_tcp_received_bytes_total: { field: 'bytesSent', help: 'Bytes received by the destination during requests' },
  istio_tcp_sent_bytes_total: { field: 'bytesReceived', help: 'Bytes sent by the destination during responses' },
} as const satisfies Record<string, { field: keyof EdgeView; help: string }>;

/** HELP of what the data threads count; a name that is not here is shown all the same. */
const threadHelp: Readonly<Record<string, string>> = {
  ambient_connections_open: 'Connections that are open',
  ambient_connections_held: 'Connections that wait until their pod or certificate is known',
  ambient_certificates_loaded: 'Certificates loaded by data threads, once per thread',
  ambient_tunnel_client_sessions: 'Tunnel sessions to other proxies',
  ambient_tunnel_client_streams: 'Streams on sessions to other proxies',
  ambient_tunnel_client_sessions_opened_total: 'Tunnel sessions opened to other proxies',
  ambient_tunnel_client_streams_opened_total: 'Streams opened on sessions to other proxies',
  ambient_limit_rejections_total: 'Connections and requests that a limit refused',
  ambient_policy_hits_total: 'Matches of AUDIT policies, and of those in dry run',
  ambient_tunnel_server_handshakes: 'TLS handshakes under way with other proxies',
  ambient_tunnel_server_sessions: 'Tunnel sessions from other proxies',
  ambient_tunnel_server_streams: 'Streams on sessions from other proxies',
  ambient_tunnel_server_sessions_accepted_total: 'Tunnel sessions accepted from other proxies',
  ambient_tunnel_server_streams_accepted_total: 'Streams accepted on sessions from other proxies',
  ambient_client_addresses_kept_total: "Connections to pods that were made from the client's own address",
  ambient_client_addresses_lost_total: "Connections to pods that the kernel did not let have the client's address",
  ambient_tunnel_buffered_bytes: 'Bytes that tunnelled connections hold because a reader or a window does not move',
  ambient_tunnel_streams_shed_total: 'Tunnelled connections reset because all together held too many bytes',
  ambient_tcp_raw_threads: 'Data threads whose TCP streams use raw handles',
  ambient_http_client_connections: 'Streams of clients that speak HTTP',
  ambient_http_requests_active: 'HTTP requests that are not over',
  ambient_http_endpoint_connections: 'HTTP connections to endpoints, those being opened among them',
  ambient_http_mirrors_dropped_total: 'Mirrored requests that were not sent as a whole',
  ambient_http_retries_total: 'Tries of HTTP requests after the first',
  ambient_http_retries_refused_total: 'Retries that the budget or maxRetries did not let happen',
  ambient_http_ejections_total: 'Times that an endpoint was taken out of rotation by outlier detection',
  ambient_access_log_dropped_total: 'Access-log lines dropped because their reader was too slow',
};

const rejectionsName = 'ambient_limit_rejections_total';
const policyHitsName = 'ambient_policy_hits_total';

/** Metrics of a proxy; `read` is called once per scrape. */
export class ProxyMetrics {
  readonly registry = new Registry();
  readonly #read: () => Promise<ProxyReading>;

  constructor(read: () => Promise<ProxyReading>, build: { component: string; version: string; node: string }) {
    this.#read = read;
    collectProcessMetrics(this.registry);
    const labels = { ...build };
    this.#gauge('ambient_build_info', 'Always 1; version and node as labels', Object.keys(labels)).set(labels, 1);
  }

  /** The text of a scrape, and its content type. */
  async scrape(): Promise<{ contentType: string; text: string }> {
    const reading = await this.#read();
    this.#fillEdges(reading);
    this.#fillThreads(reading);
    this.#fillLimits(reading);
    this.#fillOwn(reading);
    const requests = `${requestMetricsText(reading)}${segmentMetricsText(reading.counters)}`;
    const text = `${await this.registry.metrics()}${requests}`;
    return { contentType: this.registry.contentType, text };
  }

  #fillEdges(reading: ProxyReading): void {
    for (const [name, { field, help }] of Object.entries(edgeFamilies)) {
      const counter = this.#counter(name, help, edgeLabels);
      counter.reset();
      for (const edge of reading.edges) {
        const value = edge[field];
        if (value > 0) counter.inc(labelsOf(edge, reading), value);
      }
    }
  }

  #fillThreads(reading: ProxyReading): void {
    const rejections = this.#counter(rejectionsName, `${threadHelp[rejectionsName]} (unstable)`, ['limit']);
    rejections.reset();
    const hits = this.#counter(policyHitsName, `${threadHelp[policyHitsName]} (unstable)`, ['hit', 'rule']);
    hits.reset();
    for (const [name, value] of reading.counters) {
      if (name.startsWith(segmentCounterPrefix)) continue;
      const help = `${threadHelp[name] ?? 'Counted by the data threads'} (unstable)`;
      if (name.startsWith(`${rejectionsName}/`)) {
        rejections.inc({ limit: name.slice(rejectionsName.length + 1) }, value);
      } else if (name.startsWith(policyHitsPrefix)) {
        hits.inc(policyHitLabels(name), value);
      } else if (name.endsWith('_total')) {
        const counter = this.#counter(name, help, []);
        counter.reset();
        counter.inc(value);
      } else {
        this.#gauge(name, help, []).set(value);
      }
    }
    const states = this.#gauge('ambient_data_threads', 'Data threads by state (unstable)', ['state']);
    states.reset();
    for (const state of ['starting', 'serving', 'dead']) {
      states.set({ state }, reading.threads.filter((thread) => thread.state === state).length);
    }
    const delay = this.#gauge(
      'ambient_event_loop_delay_seconds',
      'How long turns of the event loops of data threads took lately: so long may an event wait (unstable)',
      ['thread', 'quantile'],
    );
    delay.reset();
    for (const { id, loopDelayMs } of reading.threads) {
      const quantiles = { '0.5': loopDelayMs.p50, '0.99': loopDelayMs.p99, '1': loopDelayMs.max };
      for (const [quantile, ms] of Object.entries(quantiles)) delay.set({ thread: String(id), quantile }, ms / 1000);
    }
    const restarts = this.#counter('ambient_data_thread_restarts_total', 'Data threads that died (unstable)', [
      'thread',
    ]);
    restarts.reset();
    for (const thread of reading.threads) restarts.inc({ thread: String(thread.id) }, thread.restarts);
  }

  #fillLimits(reading: ProxyReading): void {
    const limit = this.#gauge('ambient_limit', 'What the limits of the proxy are (unstable)', ['limit']);
    const use = this.#gauge('ambient_limit_use', 'How much of each limit is in use (unstable)', ['limit']);
    for (const each of reading.limits) {
      limit.set({ limit: each.limit }, each.value);
      if (each.use !== null) use.set({ limit: each.limit }, each.use);
    }
  }

  #fillOwn(reading: ProxyReading): void {
    this.#fillCapture(reading);
    const { discovery, certificates } = reading;
    this.#gauge('ambient_discovery_connected', '1 while the controller is followed (unstable)', []).set(
      discovery.connected ? 1 : 0,
    );
    this.#gauge(
      'ambient_discovery_last_update_timestamp_seconds',
      'When the controller last sent a change, 0 for never (unstable)',
      [],
    ).set((discovery.lastUpdateAtMs ?? 0) / 1000);
    const expiry = this.#gauge(
      'ambient_certificate_expiry_timestamp_seconds',
      'When the certificate of an identity ends, 0 for none (unstable)',
      ['identity'],
    );
    expiry.reset();
    for (const { identity, notAfterMs } of certificates) expiry.set({ identity }, (notAfterMs ?? 0) / 1000);
    this.#gauge('ambient_ready', '1 while the readiness check passes (unstable)', []).set(reading.ready ? 1 : 0);
  }

  #fillCapture({ capture, clientAddresses }: ProxyReading): void {
    if (capture === null || clientAddresses === null) return;
    const state = this.#gauge('ambient_capture_state', '1 for the state that capture is in (unstable)', ['state']);
    for (const name of ['off', 'applied', 'failed']) state.set({ state: name }, name === capture.state ? 1 : 0);
    const pods = this.#gauge(
      'ambient_capture_pods',
      'Pods that are captured one by one, by how it stands with them (unstable)',
      ['state'],
    );
    for (const name of ['redirected', 'outside', 'pending', 'failed']) {
      pods.set({ state: name }, (capture.pods ?? []).filter((pod) => pod.state === name).length);
    }
    const kept = this.#gauge(
      'ambient_client_addresses_kept',
      "1 where applications see their clients' own addresses (unstable)",
      ['family'],
    );
    for (const family of ['ipv4', 'ipv6'] as const) kept.set({ family }, clientAddresses[family] ? 1 : 0);
    const repairs = this.#counter(
      'ambient_capture_repairs_total',
      'Times the capture rules were found changed and were mended (unstable)',
      [],
    );
    repairs.reset();
    repairs.inc(capture.repairs);
  }

  #counter(name: string, help: string, labelNames: readonly string[]): Counter {
    const known = this.registry.getSingleMetric(name) as Metric | undefined;
    return (known as Counter | undefined) ?? new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string, labelNames: readonly string[]): Gauge {
    const known = this.registry.getSingleMetric(name) as Metric | undefined;
    return (known as Gauge | undefined) ?? new Gauge({ name, help, labelNames, registers: [this.registry] });
  }
}

function labelsOf(edge: EdgeView, reading: ProxyReading): Record<EdgeLabel, string> {
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
