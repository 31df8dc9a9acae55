// Every metric that a program of ours exports: what it is called, counts and means, and what is normal. HELP texts and
// docs/metrics.md are made of this table, and tests hold it against what is exported.

import { ofController, ofProcess } from './metric-entries.ts';
import { entry, type MetricEntry, nodes, proxies, waypoints } from './metric-entry.ts';

const endLabels = (end: 'source' | 'destination') =>
  [
    'workload',
    'canonical_service',
    'canonical_revision',
    'workload_namespace',
    'principal',
    'app',
    'version',
    'cluster',
  ].map((name) => `${end}_${name}`);
const service = ['destination_service', 'destination_service_namespace', 'destination_service_name'];
const last = ['response_flags', 'connection_security_policy'];
const ends = ['reporter', ...endLabels('source'), ...service, ...endLabels('destination')];
/** Labels of Istio's metrics of TCP, and of requests. */
export const tcpLabels: readonly string[] = [...ends, 'request_protocol', ...last];
const requestLabels = [...ends, 'request_protocol', 'response_code', 'grpc_response_status', ...last];

const ofIstio = {
  istio_tcp_connections_opened_total: entry(
    'counter',
    proxies,
    tcpLabels,
    'TCP connections opened',
    "as the application's load; waypoints have those that are not HTTP",
    true,
  ),
  istio_tcp_connections_closed_total: entry(
    'counter',
    proxies,
    tcpLabels,
    'TCP connections closed',
    'follows what was opened; `response_flags` other than `-` says why one was cut',
    true,
  ),
  istio_tcp_connections_failed_total: entry(
    'counter',
    proxies,
    tcpLabels,
    'TCP connections that never opened',
    '0; `response_flags` says why (docs/architecture.md), `DENY` is a policy',
  ),
  istio_tcp_received_bytes_total: entry(
    'counter',
    proxies,
    tcpLabels,
    'Bytes received by the destination during requests',
    "as the application's load",
    true,
  ),
  istio_tcp_sent_bytes_total: entry(
    'counter',
    proxies,
    tcpLabels,
    'Bytes sent by the destination during responses',
    "as the application's load",
    true,
  ),
  istio_requests_total: entry(
    'counter',
    waypoints,
    requestLabels,
    'Requests',
    'hardly any with `response_code` 5xx; `response_flags` says who refused one',
    true,
  ),
  istio_request_messages_total: entry(
    'counter',
    waypoints,
    requestLabels,
    'Messages of gRPC requests',
    "as the application's load",
    true,
  ),
  istio_response_messages_total: entry(
    'counter',
    waypoints,
    requestLabels,
    'Messages of gRPC responses',
    "as the application's load",
    true,
  ),
  istio_request_duration_milliseconds: entry(
    'histogram',
    waypoints,
    requestLabels,
    'Time from first to last byte',
    'steady; `ambient_request_segment_seconds` says where it goes. Sampled traces are its exemplars',
    true,
  ),
  istio_request_bytes: entry('histogram', waypoints, requestLabels, 'Size of requests', 'steady', true),
  istio_response_bytes: entry('histogram', waypoints, requestLabels, 'Size of responses', 'steady', true),
};

const ofConnections = {
  ambient_connections_open: entry(
    'gauge',
    proxies,
    [],
    'Connections that are open',
    'well under `ambient_limit{limit="connectionsMax"}`',
  ),
  ambient_connections_held: entry(
    'gauge',
    proxies,
    [],
    'Connections that wait until their pod or certificate is known',
    '0, but for moments; staying up means that the controller does not answer',
  ),
  ambient_limit: entry('gauge', proxies, ['limit'], 'What the limits of the proxy are', 'as configured'),
  ambient_limit_use: entry('gauge', proxies, ['limit'], 'How much of each limit is in use', 'under 80 % of each'),
  ambient_limit_rejections_total: entry(
    'counter',
    proxies,
    ['limit'],
    'Connections and requests that a limit refused',
    'none; the label names the field of the configuration',
  ),
  ambient_policy_hits_total: entry(
    'counter',
    proxies,
    ['hit', 'rule'],
    'Matches of AUDIT policies, and of those in dry run',
    'none without such policies; a dry run that stays at 0 may be enforced',
  ),
  ambient_metrics_folded_total: entry(
    'counter',
    proxies,
    ['family'],
    'Look-ups of series beyond the limit, counted under unknown ends instead',
    '0; else raise what makes labels fewer: there are too many different workloads or services',
  ),
  ambient_metrics_series: entry(
    'gauge',
    proxies,
    ['family'],
    'Sets of labels that data threads keep counts of',
    'under `ambient_metrics_series_max`',
  ),
  ambient_metrics_series_max: entry(
    'gauge',
    proxies,
    ['family'],
    'The most sets of labels that data threads keep',
    '20,000 for each thread',
  ),
  ambient_client_addresses_preserved: entry(
    'gauge',
    nodes,
    ['family'],
    "1 where applications see their clients' own addresses",
    '1 for each family that the node has',
  ),
  ambient_client_addresses_kept_total: entry(
    'counter',
    proxies,
    [],
    "Connections to pods that were made from the client's own address",
    'nearly all connections to pods of the node',
  ),
  ambient_client_addresses_lost_total: entry(
    'counter',
    proxies,
    [],
    "Connections to pods that the kernel did not let have the client's address",
    '0 on nodes; grows when something else holds the same address and port',
  ),
  ambient_access_log_dropped_total: entry(
    'counter',
    proxies,
    [],
    'Access-log lines dropped because their reader was too slow',
    '0; else log less, or read faster',
  ),
  ambient_trace_spans_exported_total: entry(
    'counter',
    proxies,
    [],
    'Spans that the receiver of traces took',
    'as the load, times what is sampled; without tracing there is none',
  ),
  ambient_trace_spans_dropped_total: entry(
    'counter',
    proxies,
    ['reason'],
    'Spans that were lost on their way to the receiver of traces',
    '0; `unreachable` and `queue` say that it is down or slow, `refused` and `partial` that it does not want them',
  ),
  ambient_trace_spans_queued: entry(
    'gauge',
    proxies,
    [],
    'Spans that wait to be delivered',
    'under `tracing.queuedSpansMax`',
  ),
};

const ofTunnels = {
  ambient_tunnel_client_sessions: entry(
    'gauge',
    proxies,
    [],
    'Tunnel sessions to other proxies',
    'a few per identity and peer node',
  ),
  ambient_tunnel_client_streams: entry(
    'gauge',
    proxies,
    [],
    'Streams on sessions to other proxies',
    'one per open connection to another node or waypoint',
  ),
  ambient_tunnel_client_sessions_opened_total: entry(
    'counter',
    proxies,
    [],
    'Tunnel sessions opened to other proxies',
    'far fewer than streams; as many means that sessions break',
  ),
  ambient_tunnel_client_streams_opened_total: entry(
    'counter',
    proxies,
    [],
    'Streams opened on sessions to other proxies',
    "as the application's load",
  ),
  ambient_tunnel_server_handshakes: entry(
    'gauge',
    proxies,
    [],
    'TLS handshakes under way with other proxies',
    '0 to 2; more after a restart of many proxies',
  ),
  ambient_tunnel_server_sessions: entry(
    'gauge',
    proxies,
    [],
    'Tunnel sessions from other proxies',
    'a few per identity and peer node',
  ),
  ambient_tunnel_server_streams: entry(
    'gauge',
    proxies,
    [],
    'Streams on sessions from other proxies',
    'one per open connection from another node or waypoint',
  ),
  ambient_tunnel_server_sessions_accepted_total: entry(
    'counter',
    proxies,
    [],
    'Tunnel sessions accepted from other proxies',
    'far fewer than streams',
  ),
  ambient_tunnel_server_streams_accepted_total: entry(
    'counter',
    proxies,
    [],
    'Streams accepted on sessions from other proxies',
    "as the application's load",
  ),
  ambient_tunnel_buffered_bytes: entry(
    'gauge',
    proxies,
    [],
    'Bytes that tunnelled connections hold because a reader or a window does not move',
    'under 1 MiB; more means slow readers',
  ),
  ambient_tunnel_streams_shed_total: entry(
    'counter',
    proxies,
    [],
    'Tunnelled connections reset because all together held too many bytes',
    '0',
  ),
};

const ofProxies = {
  ambient_build_info: entry(
    'gauge',
    proxies,
    ['component', 'version', 'node'],
    'Always 1; version and node as labels',
    'one version, but during an upgrade',
    true,
  ),
  ambient_ready: entry('gauge', proxies, [], '1 while the readiness check passes', '1'),
  ambient_data_threads: entry(
    'gauge',
    proxies,
    ['state'],
    'Data threads by state',
    'all `serving`; `dead` ones come back within seconds',
  ),
  ambient_data_thread_restarts_total: entry('counter', proxies, ['thread'], 'Data threads that died', '0'),
  ambient_event_loop_delay_seconds: entry(
    'gauge',
    proxies,
    ['thread', 'statistic'],
    'How long turns of the event loops of data threads took lately: so long may an event wait',
    '`p99` under 0.005; over 0.05 the proxy is overloaded',
  ),
  ambient_tcp_raw_threads: entry(
    'gauge',
    proxies,
    [],
    'Data threads whose TCP streams use raw handles',
    'as many as data threads; 0 is slower, and as correct',
  ),
  ambient_capture_state: entry(
    'gauge',
    nodes,
    ['state'],
    '1 for the state that capture is in',
    '`applied` 1; `failed` means that new pods of the node are not in the mesh',
  ),
  ambient_capture_pods: entry(
    'gauge',
    nodes,
    ['state'],
    'Pods that are captured one by one (`capture.backend: pod`)',
    '`failed` 0: those are cut off, and `ambientctl config capture` says why',
  ),
  ambient_capture_repairs_total: entry(
    'counter',
    nodes,
    [],
    'Times the capture rules were found changed and were mended',
    '0; growing means that another program changes nftables',
  ),
  ambient_certificates_loaded: entry(
    'gauge',
    proxies,
    [],
    'Certificates loaded by data threads, once per thread',
    'service accounts with pods on the node, times data threads',
  ),
  ambient_certificate_expiry_timestamp_seconds: entry(
    'gauge',
    proxies,
    ['identity'],
    'When the certificate of an identity ends, 0 for none',
    'in the future by more than half of its life; near means that it will not renew',
  ),
  ambient_certificate_lifetime_seconds: entry(
    'gauge',
    proxies,
    ['identity'],
    'How long the certificate of an identity is good from its issue to its end, 0 for none',
    'as configured: 86,400; it is renewed when half of it is over',
  ),
  ambient_discovery_connected: entry('gauge', proxies, [], '1 while the controller is followed', '1'),
  ambient_discovery_last_update_timestamp_seconds: entry(
    'gauge',
    proxies,
    [],
    'When the controller last sent a change, 0 for never',
    'as recent as the last change of the mesh',
  ),
};

const ofRequests = {
  ambient_http_client_connections: entry(
    'gauge',
    waypoints,
    [],
    'Streams of clients that speak HTTP',
    "as the application's load",
  ),
  ambient_http_requests_active: entry(
    'gauge',
    waypoints,
    [],
    'HTTP requests that are not over',
    'rate times duration; climbing means that an application has stopped answering',
  ),
  ambient_http_endpoint_connections: entry(
    'gauge',
    waypoints,
    [],
    'HTTP connections to endpoints, those being opened among them',
    'fewer than requests',
  ),
  ambient_http_mirrors_dropped_total: entry(
    'counter',
    waypoints,
    [],
    'Mirrored requests that were not sent as a whole',
    '0; mirrors are never waited for',
  ),
  ambient_http_retries_total: entry(
    'counter',
    waypoints,
    [],
    'Tries of HTTP requests after the first',
    'under 1 % of requests; near the budget (20 %) an application fails',
  ),
  ambient_http_retries_refused_total: entry(
    'counter',
    waypoints,
    ['destination_service_name', 'destination_service_namespace'],
    'Retries that the budget or maxRetries did not let happen; without labels while there is none',
    '0; growing is a retry storm that was held back',
  ),
  ambient_http_ejections_total: entry(
    'counter',
    waypoints,
    [],
    'Times that an endpoint was taken out of rotation by outlier detection',
    '0; the log of the waypoint says which endpoint, and why',
  ),
  ambient_http_ejected_endpoints: entry(
    'gauge',
    waypoints,
    ['destination_service_name', 'destination_service_namespace'],
    'Endpoints of a service that are out of rotation now; without labels while there is none',
    '0; `ambientctl config ejected --waypoint NS/NAME` says which, since when and why',
  ),
  ambient_request_segment_seconds: entry(
    'histogram',
    waypoints,
    [
      'segment',
      'source_workload',
      'source_workload_namespace',
      'destination_service_name',
      'destination_service_namespace',
      'destination_workload',
      'destination_workload_namespace',
    ],
    'Where the time of HTTP requests goes; what nobody could tell is in none',
    '`application` is nearly all; the others under 0.005 together. What an application calls itself is in its own',
  ),
};

/** The groups of the page, each in its order. */
export const metricGroups = {
  "Istio's, of connections and requests": ofIstio,
  'Connections and limits': ofConnections,
  Tunnels: ofTunnels,
  'Requests in waypoints': ofRequests,
  'The proxy itself': ofProxies,
  'The controller': ofController,
  'The process': ofProcess,
} as const satisfies Readonly<Record<string, Readonly<Record<string, MetricEntry>>>>;

const catalogue: ReadonlyMap<string, MetricEntry> = new Map(Object.values(metricGroups).flatMap(Object.entries));

/** Every metric by name. */
export function metricCatalogue(): ReadonlyMap<string, MetricEntry> {
  return catalogue;
}

/** HELP of a metric; of one that is not in the table that it was counted. */
export function helpOf(name: string): string {
  const known = catalogue.get(name);
  if (known?.stable === true) return known.help;
  return `${known?.help ?? 'Counted by the data threads'} (unstable)`;
}
