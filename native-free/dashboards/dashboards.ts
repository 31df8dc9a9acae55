// The dashboards by what they are about. Names of metrics are those of src/telemetry/metric-catalogue.ts.

import type { Dashboard, Panel, Variable } from './panels.ts';
import { proxyDashboards } from './proxy-dashboards.ts';

const namespaces: Variable = {
  name: 'namespace',
  label: 'Namespace',
  query: 'label_values(istio_tcp_connections_opened_total, destination_workload_namespace)',
};
const workloads: Variable = {
  name: 'workload',
  label: 'Workload',
  query:
    'label_values(istio_tcp_connections_opened_total{destination_workload_namespace=~"$namespace"}, destination_workload)',
};

/** Each connection once: node proxies at both ends report it. */
const atSource = 'reporter="source"';
const requestsTo = (where: string, more = '') =>
  `sum by (destination_service_name) (rate(istio_requests_total{reporter="waypoint"${where}${more}}[$__rate_interval]))`;

const successShare = (by: string, where: string): string => {
  const rate = (more: string) =>
    `sum by (${by}) (rate(istio_requests_total{reporter="waypoint"${where}${more}}[$__rate_interval]))`;
  return `${rate(',response_code!~"0|5.."')} / ${rate('')}`;
};
const durations = (quantile: number, by: string, where: string) =>
  `histogram_quantile(${quantile}, sum by (le, ${by}) (rate(istio_request_duration_milliseconds_bucket{reporter="waypoint"${where}}[$__rate_interval])))`;

const encrypted: Panel = {
  title: 'Encrypted share of bytes',
  description: 'Near 1. Less is traffic with pods outside of the mesh, or within one node, which no wire carries.',
  unit: 'percentunit',
  kind: 'stat',
  queries: [
    [
      `sum(rate(istio_tcp_sent_bytes_total{${atSource},connection_security_policy="mutual_tls"}[$__rate_interval])) / sum(rate(istio_tcp_sent_bytes_total{${atSource}}[$__rate_interval]))`,
      'encrypted',
    ],
  ],
};

const mesh: Dashboard = {
  name: 'mesh',
  title: 'Ambient / Mesh',
  description: 'Who talks, how much, how well. Start here.',
  variables: [],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          title: 'Node proxies that answer',
          description: 'As many as there are nodes.',
          unit: 'short',
          kind: 'stat',
          queries: [['sum(ambient_ready * on (job, instance) ambient_build_info{component="ambient-node"})', 'ready']],
        },
        {
          title: 'Proxies out of step',
          description: '0. Staying above it, a proxy works with old configuration.',
          unit: 'short',
          kind: 'stat',
          queries: [
            [
              'sum(ambient_controller_proxies_connected) - sum(ambient_controller_proxies_in_step)',
              'connected, not in step',
            ],
          ],
        },
        encrypted,
        {
          title: 'Requests that succeed',
          description: 'Above 0.999. Answers of 5xx, and clients that left, count as failures.',
          unit: 'percentunit',
          kind: 'stat',
          queries: [[successShare('reporter', ''), 'success']],
        },
      ],
    },
    {
      title: 'Requests, as waypoints see them',
      panels: [
        {
          title: 'Rate by service',
          description:
            'As the load of the applications. A service that goes to 0 has lost its callers or its waypoint.',
          unit: 'reqps',
          queries: [[requestsTo(''), '{{destination_service_name}}']],
        },
        {
          title: 'Success by service',
          description: 'Near 1 for each. The one that is not is where to look.',
          unit: 'percentunit',
          queries: [[successShare('destination_service_name', ''), '{{destination_service_name}}']],
        },
        {
          title: 'p99 by service',
          description: 'Steady. `Where the time goes` on Ambient / Waypoint says whether it is the application.',
          unit: 'ms',
          queries: [[durations(0.99, 'destination_service_name', ''), '{{destination_service_name}}']],
        },
      ],
    },
    {
      title: 'Connections, as node proxies see them',
      panels: [
        {
          title: 'Opened by destination',
          description: 'As the load of the applications. Many per request means that clients do not keep connections.',
          unit: 'cps',
          queries: [
            [
              `sum by (destination_service_name) (rate(istio_tcp_connections_opened_total{${atSource}}[$__rate_interval]))`,
              '{{destination_service_name}}',
            ],
          ],
        },
        {
          title: 'Bytes to and from destinations',
          description: 'As the load of the applications.',
          unit: 'Bps',
          queries: [
            [`sum(rate(istio_tcp_received_bytes_total{${atSource}}[$__rate_interval]))`, 'to'],
            [`sum(rate(istio_tcp_sent_bytes_total{${atSource}}[$__rate_interval]))`, 'from'],
          ],
        },
        {
          title: 'Refused or failed, by reason',
          description: 'None. DENY is a policy; CONNECT an application that does not listen. docs/runbook.md has each.',
          unit: 'cps',
          queries: [
            [
              'sum by (response_flags, source_workload, destination_service_name) (rate(istio_tcp_connections_failed_total[$__rate_interval])) > 0',
              '{{response_flags}} {{source_workload}} to {{destination_service_name}}',
            ],
          ],
          quiet: true,
        },
      ],
    },
  ],
};

const toWorkload = ',destination_workload_namespace=~"$namespace",destination_workload=~"$workload"';
const fromWorkload = ',source_workload_namespace=~"$namespace",source_workload=~"$workload"';

const workload: Dashboard = {
  name: 'workload',
  title: 'Ambient / Workload',
  description: 'One workload: who calls it, whom it calls.',
  variables: [namespaces, workloads],
  rows: [
    {
      title: 'Requests to it',
      panels: [
        {
          title: 'By caller',
          description: 'As the load of its callers.',
          unit: 'reqps',
          queries: [
            [
              `sum by (source_workload) (rate(istio_requests_total{reporter="waypoint"${toWorkload}}[$__rate_interval]))`,
              '{{source_workload}}',
            ],
          ],
        },
        {
          title: 'By code and flag',
          description: '2xx and 3xx with flag `-`. A flag says that a proxy answered, not the application.',
          unit: 'reqps',
          queries: [
            [
              `sum by (response_code, response_flags) (rate(istio_requests_total{reporter="waypoint"${toWorkload}}[$__rate_interval]))`,
              '{{response_code}} {{response_flags}}',
            ],
          ],
        },
        {
          title: 'Durations',
          description: 'Steady; p99 within a few times of p50. Points are traces.',
          unit: 'ms',
          queries: [
            [durations(0.5, 'destination_workload', toWorkload), 'p50 {{destination_workload}}'],
            [durations(0.99, 'destination_workload', toWorkload), 'p99 {{destination_workload}}'],
          ],
        },
      ],
    },
    {
      title: 'Connections',
      panels: [
        {
          title: 'To it, by caller',
          description: 'As the load. `unknown` callers are outside of the mesh.',
          unit: 'cps',
          queries: [
            [
              `sum by (source_workload) (rate(istio_tcp_connections_opened_total{reporter="destination"${toWorkload}}[$__rate_interval]))`,
              '{{source_workload}}',
            ],
          ],
        },
        {
          title: 'Of it, by destination',
          description: 'As its own load. A destination that nobody expects is worth a question.',
          unit: 'cps',
          queries: [
            [
              `sum by (destination_service_name) (rate(istio_tcp_connections_opened_total{${atSource}${fromWorkload}}[$__rate_interval]))`,
              '{{destination_service_name}}',
            ],
          ],
        },
        {
          title: 'Refused or failed',
          description: 'None; the flag says why.',
          unit: 'cps',
          queries: [
            [
              `sum by (response_flags, source_workload) (rate(istio_tcp_connections_failed_total{reporter="destination"${toWorkload}}[$__rate_interval])) > 0`,
              '{{response_flags}} of {{source_workload}}',
            ],
          ],
          quiet: true,
        },
      ],
    },
  ],
};

/** Every dashboard, in the order of how far one looks in. */
export const dashboards: readonly Dashboard[] = [mesh, workload, ...proxyDashboards];
