// The alerts, each with its place in docs/runbook.md.

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  /** How long it has to hold. */
  readonly for: string;
  readonly severity: 'critical' | 'warning' | 'info';
  readonly summary: string;
  /** Heading of the page, as an anchor. */
  readonly runbook: string;
}

const denied = 'response_flags=~"DENY|POLICY_CHANGE"';
const tcpFailed = (where: string) =>
  `sum by (source_workload_namespace, source_workload, destination_workload_namespace, destination_workload) (rate(istio_tcp_connections_failed_total{reporter="destination",${where}}[5m])) > 0`;
const segmentOver = (segment: string, seconds: number) =>
  `histogram_quantile(0.99, sum by (le) (rate(ambient_request_segment_seconds_bucket{segment="${segment}"}[5m]))) > ${seconds}`;
const from = '{{ $labels.source_workload_namespace }}/{{ $labels.source_workload }}';
const to = '{{ $labels.destination_workload_namespace }}/{{ $labels.destination_workload }}';

const ofIncidents: readonly Alert[] = [
  {
    alert: 'AmbientPolicyRefuses',
    expr: `${tcpFailed(`${denied},source_principal!="unknown"`)} or sum by (source_workload_namespace, source_workload, destination_workload_namespace, destination_workload) (rate(istio_requests_total{reporter="waypoint",${denied}}[5m])) > 0`,
    for: '2m',
    severity: 'info',
    summary: `A policy refuses ${from} at ${to}`,
    runbook: 'a-policy-is-in-the-way',
  },
  {
    alert: 'AmbientPlaintextRefused',
    expr: tcpFailed(`${denied},source_principal="unknown"`),
    for: '2m',
    severity: 'warning',
    summary: `${to} refuses a caller without mTLS`,
    runbook: 'strict-refuses-a-caller-without-mtls',
  },
  {
    alert: 'AmbientRouteLeadsNowhere',
    expr: 'sum by (destination_service_name, destination_service_namespace, response_flags) (rate(istio_requests_total{reporter="waypoint",response_flags=~"NC|NR|UH"}[5m])) > 0',
    for: '2m',
    severity: 'critical',
    summary:
      'Requests to {{ $labels.destination_service_namespace }}/{{ $labels.destination_service_name }} have nowhere to go ({{ $labels.response_flags }})',
    runbook: 'a-route-names-a-subset-that-does-not-exist',
  },
  {
    alert: 'AmbientApplicationSlow',
    expr: segmentOver('application', 1),
    for: '5m',
    severity: 'warning',
    summary: 'An application behind a waypoint takes more than 1 s for one request in a hundred',
    runbook: 'an-application-is-slow',
  },
  {
    alert: 'AmbientWireSlow',
    expr: segmentOver('wire', 0.05),
    for: '5m',
    severity: 'warning',
    summary: 'The network takes more than 50 ms for one request in a hundred',
    runbook: 'the-wire-is-slow',
  },
  {
    alert: 'AmbientProxyOverloaded',
    expr: 'max by (job, instance) (ambient_event_loop_delay_seconds{statistic="p99"}) > 0.05 or sum by (job, instance) (rate(ambient_limit_rejections_total[5m])) > 0',
    for: '2m',
    severity: 'warning',
    summary: '{{ $labels.instance }} is late, or refuses what is beyond a limit',
    runbook: 'a-node-proxy-is-overloaded',
  },
  {
    alert: 'AmbientRetriesHeldBack',
    expr: 'sum by (job, instance) (rate(ambient_http_retries_refused_total[5m])) > 0',
    for: '1m',
    severity: 'warning',
    summary: '{{ $labels.instance }} holds back a retry storm',
    runbook: 'a-retry-storm-was-held-back',
  },
  {
    alert: 'AmbientEndpointEjected',
    expr: 'sum by (job, instance) (increase(ambient_http_ejections_total[10m])) > 0',
    for: '0s',
    severity: 'info',
    summary: '{{ $labels.instance }} has taken an endpoint out of rotation',
    runbook: 'an-endpoint-was-ejected',
  },
  {
    alert: 'AmbientProxyOutOfStep',
    expr: 'min by (job, instance) (ambient_discovery_connected) == 0 or sum by (job, instance) (ambient_controller_proxies_connected - ambient_controller_proxies_in_step) > 0',
    for: '2m',
    severity: 'warning',
    summary: '{{ $labels.instance }} has a proxy without its configuration',
    runbook: 'a-proxy-stopped-receiving-configuration',
  },
  {
    alert: 'AmbientCertificateExpires',
    expr: 'min by (job, instance, identity) (ambient_certificate_expiry_timestamp_seconds > 0) - time() < 6 * 3600',
    for: '5m',
    severity: 'critical',
    summary: 'The certificate of {{ $labels.identity }} does not renew on {{ $labels.instance }}',
    runbook: 'a-certificate-will-not-renew',
  },
  {
    alert: 'AmbientNodeProxyDown',
    expr: 'up{job=~".*ambient-node"} == 0 or (ambient_ready * on (job, instance) ambient_build_info{component="ambient-node"}) == 0',
    for: '1m',
    severity: 'critical',
    summary: 'The node proxy {{ $labels.instance }} does not serve: its pods reach nobody in the mesh',
    runbook: 'a-node-proxy-is-down',
  },
];

const others: readonly Alert[] = [
  {
    alert: 'AmbientControllerDown',
    expr: 'absent(ambient_controller_ready == 1)',
    for: '5m',
    severity: 'critical',
    summary: 'No controller serves: what is new stays unknown, and certificates will end',
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientConfigurationRefused',
    expr: 'sum by (type) (increase(ambient_controller_resources_refused_total[10m])) > 0',
    for: '0s',
    severity: 'warning',
    summary: 'Proxies refuse resources of type {{ $labels.type }}',
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientCaptureFailed',
    expr: 'ambient_capture_state{state="failed"} == 1',
    for: '1m',
    severity: 'critical',
    summary: 'New pods on the node of {{ $labels.instance }} are not in the mesh',
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientIssuerExpires',
    expr: 'min(ambient_controller_issuer_expiry_timestamp_seconds) - time() < 7 * 86400',
    for: '1h',
    severity: 'critical',
    summary: 'The issuing certificate ends within a week',
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientMetricsFolded',
    expr: 'sum by (job, instance) (increase(ambient_metrics_folded_total[1h])) > 0',
    for: '0s',
    severity: 'info',
    summary: '{{ $labels.instance }} has more series than it keeps',
    runbook: 'other-alerts',
  },
];

export const alerts: readonly Alert[] = [...ofIncidents, ...others];

const runbookPage = 'docs/runbook.md';

/** What stands under `spec` of a PrometheusRule, and is a whole file for a Prometheus without operator. */
export function ruleGroups(): object {
  const rules = alerts.map(({ alert, expr, for: held, severity, summary, runbook }) => ({
    alert,
    expr,
    for: held,
    labels: { severity },
    annotations: { summary, runbook_url: `${runbookPage}#${runbook}` },
  }));
  return { groups: [{ name: 'ambient', rules }] };
}
