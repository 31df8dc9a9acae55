// The alerts, each with its place in docs/runbook.md. Labels say who, and the description which command to run.

export interface Alert {
  readonly alert: string;
  /** What tells two of one name apart: by what it is seen. */
  readonly sign?: string;
  readonly expr: string;
  /** How long it has to hold. */
  readonly for: string;
  readonly severity: 'critical' | 'warning' | 'info';
  readonly summary: string;
  /** What it means, in words, and what to run first. */
  readonly description: string;
  /** Heading of the page, as an anchor. */
  readonly runbook: string;
}

const denied = 'response_flags=~"DENY|POLICY_CHANGE"';
const sourceLabels = 'source_workload_namespace, source_workload';
const workloadLabels = `${sourceLabels}, destination_workload_namespace, destination_workload`;
const serviceLabels = 'destination_service_namespace, destination_service_name';
const callLabels = `${sourceLabels}, ${serviceLabels}`;

/** What is refused now, and was let through within six hours: what never worked is how somebody wants it. */
const newlyRefused = (labels: string, refused: string, passed: string): string =>
  `sum by (${labels}) (rate(${refused}[5m])) > 0 ` +
  `and on (${labels}) sum by (${labels}) (increase(${passed}[6h])) > 0`;
const refusedAtNode = (who: string): string =>
  newlyRefused(
    workloadLabels,
    `istio_tcp_connections_failed_total{reporter="destination",${denied},${who}}`,
    // Not connections: those that last were opened before that.
    'istio_tcp_received_bytes_total{reporter="destination"}',
  );
const p99 = (buckets: string, labels: string): string =>
  `histogram_quantile(0.99, sum by (le, ${labels}) (rate(${buckets}[5m])))`;
const arrived = 'destination_workload!="unknown"';
const segmentOver = (segment: string, labels: string, seconds: number): string =>
  `${p99(`ambient_request_segment_seconds_bucket{segment="${segment}",${arrived}}`, labels)} > ${seconds}`;
/** With the node and the kind of program, whichever labels the scrape gives by itself. */
const named = (expr: string, buildInfo = 'ambient_build_info'): string =>
  `${expr} * on (job, instance) group_left (node, component) ${buildInfo}`;

const from = '{{ $labels.source_workload_namespace }}/{{ $labels.source_workload }}';
const toWorkload = '{{ $labels.destination_workload_namespace }}/{{ $labels.destination_workload }}';
const toService = '{{ $labels.destination_service_namespace }}/{{ $labels.destination_service_name }}';
const fromEnd = '{{ $labels.source_workload_namespace }}/workload/{{ $labels.source_workload }}';
const workloadEnd = '{{ $labels.destination_workload_namespace }}/workload/{{ $labels.destination_workload }}';
const serviceEnd = 'svc/{{ $labels.destination_service_name }}.{{ $labels.destination_service_namespace }}';
const run = (command: string): string => `Run: ambientctl ${command}`;

/** Applications that themselves wait for one that is slow: their time is not their own. */
const calls = p99('istio_request_duration_milliseconds_bucket{reporter="waypoint"}', sourceLabels);
const asDestination = (expr: string, label: string): string =>
  `label_replace(${expr}, "destination_${label}", "$1", "source_${label}", "(.*)")`;
const waitingForOthers = asDestination(asDestination(`${calls} > 500`, 'workload_namespace'), 'workload');

const ofRefusals: readonly Alert[] = [
  {
    alert: 'AmbientPolicyRefuses',
    sign: 'requests',
    expr: newlyRefused(
      callLabels,
      `istio_requests_total{reporter="waypoint",${denied}}`,
      'istio_requests_total{reporter="waypoint",response_flags!~"DENY|POLICY_CHANGE"}',
    ),
    for: '2m',
    severity: 'warning',
    summary: `A policy refuses requests of ${from} to ${toService}`,
    description: `They were let through within the last six hours: a policy has changed. ${run(`why ${fromEnd} ${serviceEnd}`)}`,
    runbook: 'a-policy-is-in-the-way',
  },
  {
    alert: 'AmbientPolicyRefuses',
    sign: 'connections',
    expr: refusedAtNode('source_principal!="unknown"'),
    for: '2m',
    severity: 'warning',
    summary: `A policy refuses connections of ${from} to ${toWorkload}`,
    description: `They were let through within the last six hours: a policy has changed. ${run(`why ${fromEnd} ${workloadEnd}`)}`,
    runbook: 'a-policy-is-in-the-way',
  },
  {
    alert: 'AmbientPlaintextRefused',
    expr: refusedAtNode('source_principal="unknown"'),
    for: '2m',
    severity: 'warning',
    summary: `${toWorkload} refuses the plaintext of ${from}, which is outside of the mesh`,
    description: `It was let through within the last six hours: somebody has set STRICT. ${run(`why ${fromEnd} ${workloadEnd}`)}`,
    runbook: 'strict-refuses-a-caller-without-mtls',
  },
];

const ofRequests: readonly Alert[] = [
  {
    alert: 'AmbientRouteLeadsNowhere',
    expr: `sum by (${callLabels}, response_flags) (rate(istio_requests_total{reporter="waypoint",response_flags=~"NC|NR|UH"}[5m])) > 0`,
    for: '2m',
    severity: 'critical',
    summary: `Requests of ${from} to ${toService} have nowhere to go ({{ $labels.response_flags }})`,
    description:
      'NC: the route names a service or subset that is not there. NR: no rule matches. UH: no endpoint is ready. ' +
      run('analyze'),
    runbook: 'a-route-names-a-subset-that-does-not-exist',
  },
  {
    alert: 'AmbientApplicationSlow',
    expr:
      segmentOver('application', `destination_workload_namespace, destination_workload, ${serviceLabels}`, 1) +
      ` unless on (destination_workload_namespace, destination_workload) ${waitingForOthers}`,
    for: '5m',
    severity: 'warning',
    summary: `The application ${toWorkload} is slow: over 1 s for one request in a hundred`,
    description:
      'It is not the mesh, and it does not wait for another service behind a waypoint. ' +
      run('tap -n {{ $labels.destination_workload_namespace }} --protocol http'),
    runbook: 'an-application-is-slow',
  },
  {
    alert: 'AmbientWireSlow',
    expr: segmentOver('wire', `${workloadLabels}, ${serviceLabels}`, 0.05),
    for: '5m',
    severity: 'warning',
    summary: `The network between ${from} and ${toWorkload} takes over 50 ms for one request in a hundred`,
    description:
      'Neither the application nor a proxy has the time. All such alerts together show which node it is. ' +
      run(`why ${fromEnd} ${serviceEnd}`),
    runbook: 'the-wire-is-slow',
  },
  {
    alert: 'AmbientRetriesHeldBack',
    expr: `sum by (${serviceLabels}) (rate(ambient_http_retries_refused_total[5m])) > 0`,
    for: '1m',
    severity: 'warning',
    summary: `${toService} fails, and the storm of retries is held back`,
    description: `The service fails so often that its waypoint sends no more retries than the budget allows. ${run('status')}`,
    runbook: 'a-retry-storm-was-held-back',
  },
  {
    alert: 'AmbientEndpointEjected',
    expr: `sum by (${serviceLabels}) (ambient_http_ejected_endpoints{destination_service_name!=""}) > 0`,
    for: '0s',
    severity: 'info',
    summary: `{{ $value }} endpoints of ${toService} are out of rotation`,
    description: `They failed several times in a row, and are tried again by themselves; the others have their requests. ${run('status')}`,
    runbook: 'an-endpoint-was-ejected',
  },
];

const ofParts: readonly Alert[] = [
  {
    alert: 'AmbientProxyOverloaded',
    sign: 'late',
    expr: named('(max by (job, instance) (ambient_event_loop_delay_seconds{statistic="p99"}) > 0.05)'),
    for: '5m',
    severity: 'warning',
    summary: 'The proxy {{ $labels.component }} of {{ $labels.node }} is overloaded: it is {{ $value }} s late',
    description: `All that passes it waits so long. ${run('check')}`,
    runbook: 'a-node-proxy-is-overloaded',
  },
  {
    alert: 'AmbientProxyOverloaded',
    sign: 'limit',
    expr: named('(sum by (job, instance, limit) (rate(ambient_limit_rejections_total[5m])) > 0)'),
    for: '2m',
    severity: 'warning',
    summary: 'The proxy {{ $labels.component }} of {{ $labels.node }} refuses what is beyond {{ $labels.limit }}',
    description: `The limit is reached. ${run('check')}`,
    runbook: 'a-node-proxy-is-overloaded',
  },
  {
    alert: 'AmbientProxyOutOfStep',
    sign: 'disconnected',
    expr: named('(min by (job, instance) (ambient_discovery_connected) == 0)'),
    for: '2m',
    severity: 'warning',
    summary: 'The proxy {{ $labels.component }} of {{ $labels.node }} receives no configuration',
    description: `It serves by what it knew when it lost the controller. ${run('status')}`,
    runbook: 'a-proxy-stopped-receiving-configuration',
  },
  {
    alert: 'AmbientProxyOutOfStep',
    sign: 'behind',
    expr: 'sum by (job, instance) (ambient_controller_proxies_connected - ambient_controller_proxies_in_step) > 0',
    for: '2m',
    severity: 'warning',
    summary: '{{ $value }} proxies that follow the controller {{ $labels.instance }} have not applied what it serves',
    description: `They have refused it, or do not answer. ${run('status')}`,
    runbook: 'a-proxy-stopped-receiving-configuration',
  },
  {
    alert: 'AmbientCertificateExpires',
    expr: named(
      '(((ambient_certificate_expiry_timestamp_seconds > 0) - time()) < 0.4 * ambient_certificate_lifetime_seconds)',
    ),
    for: '5m',
    severity: 'critical',
    summary: 'The certificate of {{ $labels.identity }} on {{ $labels.node }} does not renew',
    description:
      'It should have been renewed at half of its life. It ends in {{ $value | humanizeDuration }}; then the ' +
      `connections of this identity fail. ${run('certs')}`,
    runbook: 'a-certificate-will-not-renew',
  },
  {
    alert: 'AmbientNodeProxyDown',
    sign: 'silent',
    expr: '(up{job=~".*ambient-node"} == 0) * on (job, instance) group_left (node) max by (job, instance, node) (last_over_time(ambient_build_info[6h]))',
    for: '1m',
    severity: 'critical',
    summary: 'The node proxy of {{ $labels.node }} is down: its pods reach nobody in the mesh',
    description: `Nothing is sent in plaintext instead. ${run('status')}`,
    runbook: 'a-node-proxy-is-down',
  },
  {
    alert: 'AmbientNodeProxyDown',
    sign: 'unready',
    expr: named('(ambient_ready == 0)', 'ambient_build_info{component="ambient-node"}'),
    for: '1m',
    severity: 'critical',
    summary: 'The node proxy of {{ $labels.node }} is not ready: its pods reach nobody in the mesh',
    description: `It answers, and says that it is not ready. ${run('status')}`,
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
    description: `Proxies go on by what they know. ${run('check')}`,
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientConfigurationRefused',
    expr: 'sum by (type) (increase(ambient_controller_resources_refused_total[10m])) > 0',
    for: '0s',
    severity: 'warning',
    summary: 'Proxies refuse resources of type {{ $labels.type }}',
    description: `They keep what they had. ${run('status')}`,
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientCaptureFailed',
    expr: named('(ambient_capture_state{state="failed"} == 1)'),
    for: '1m',
    severity: 'critical',
    summary: 'New pods on {{ $labels.node }} are not in the mesh',
    description: `The rules of capture could not be applied. ${run('config capture --node {{ $labels.node }}')}`,
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientIssuerExpires',
    expr: 'min(ambient_controller_issuer_expiry_timestamp_seconds) - time() < 7 * 86400',
    for: '1h',
    severity: 'critical',
    summary: 'The issuing certificate ends within a week',
    description: `With it ends every certificate of the mesh. ${run('certs')}`,
    runbook: 'other-alerts',
  },
  {
    alert: 'AmbientMetricsFolded',
    expr: named('(sum by (job, instance) (increase(ambient_metrics_folded_total[1h])) > 0)'),
    for: '0s',
    severity: 'info',
    summary: 'The proxy {{ $labels.component }} of {{ $labels.node }} has more series than it keeps',
    description: 'What is new counts under unknown ends.',
    runbook: 'other-alerts',
  },
];

export const alerts: readonly Alert[] = [...ofRefusals, ...ofRequests, ...ofParts, ...others];

/** Where the runbook is read, unless the installation says otherwise. */
export const runbookPage = 'https://ambient.mesh/docs/runbook';

/** What stands under `spec` of a PrometheusRule, and is a whole file for a Prometheus without operator. */
export function ruleGroups(): object {
  const rules = alerts.map(({ alert, sign, expr, for: held, severity, summary, description, runbook }) => ({
    alert,
    expr,
    for: held,
    labels: { severity, ...(sign === undefined ? {} : { sign }) },
    annotations: { summary, description, runbook_url: `${runbookPage}#${runbook}` },
  }));
  return { groups: [{ name: 'ambient', rules }] };
}
