// The dashboards of the programs themselves: node proxies, waypoints, the controller with its certificates.
import type { Dashboard, Panel } from './panels.ts';

/** Series of one program alone, which get the name of their node. */
const of = (component: string) => (expr: string) =>
  `${expr} * on (job, instance) group_left (node) ambient_build_info{component="${component}"}`;
const ofNode = of('ambient-node');
const ofWaypoint = of('ambient-waypoint');
const rate = (metric: string) => `rate(${metric}[$__rate_interval])`;

const processPanels = (own: (expr: string) => string): readonly Panel[] => [
  {
    title: 'Processor',
    description: 'As the load. One data thread can use one processor, so near the number of threads is full.',
    unit: 'short',
    queries: [[own(rate('process_cpu_seconds_total')), '{{node}} {{instance}}']],
  },
  {
    title: 'Memory',
    description: 'About 100 MB at rest, flat under steady load. Climbing for hours is a leak: take `sysdump`.',
    unit: 'bytes',
    queries: [[own('process_resident_memory_bytes'), '{{node}} {{instance}}']],
  },
  {
    title: 'Event loop delay, p99',
    description: 'Under 5 ms. Over 50 ms the proxy is overloaded, and everything that passes it is late.',
    unit: 's',
    queries: [[own('ambient_event_loop_delay_seconds{statistic="p99"}'), '{{node}} thread {{thread}}']],
  },
];

const limitPanels = (own: (expr: string) => string): readonly Panel[] => [
  {
    title: 'Use of limits',
    description: 'Under 0.8 of each. At 1 what is beyond is refused, and counted beside.',
    unit: 'percentunit',
    queries: [[own('(ambient_limit_use / ambient_limit)'), '{{node}} {{limit}}']],
  },
  {
    title: 'Refused by limits',
    description: 'None. The name is the field of the configuration.',
    unit: 'cps',
    queries: [[`${own(rate('ambient_limit_rejections_total'))} > 0`, '{{node}} {{limit}}']],
    quiet: true,
  },
];

const nodeProxy: Dashboard = {
  name: 'node-proxy',
  title: 'Ambient / Node proxy',
  description: 'The proxies of the nodes: load, tunnels, capture.',
  variables: [],
  rows: [
    {
      title: 'Health',
      panels: [
        {
          title: 'Ready',
          description: '1 for each node.',
          unit: 'none',
          kind: 'stat',
          queries: [[ofNode('ambient_ready'), '{{node}}']],
        },
        {
          title: 'Follows the controller',
          description: '1 for each node. Traffic goes on at 0; changes do not arrive.',
          unit: 'none',
          kind: 'stat',
          queries: [[ofNode('ambient_discovery_connected'), '{{node}}']],
        },
        {
          title: 'Capture is applied',
          description: '1 for each node. At 0 new pods of the node are not in the mesh.',
          unit: 'none',
          kind: 'stat',
          queries: [[ofNode('ambient_capture_state{state="applied"}'), '{{node}}']],
        },
        {
          title: 'Data threads that died',
          description: '0 since the start. They come back within seconds, without their connections.',
          unit: 'short',
          kind: 'stat',
          queries: [['sum by (instance) (ambient_data_thread_restarts_total)', '{{instance}}']],
        },
      ],
    },
    {
      title: 'Connections',
      panels: [
        {
          title: 'Open',
          description: "As the applications'. A steady climb is a client that does not close.",
          unit: 'short',
          queries: [[ofNode('ambient_connections_open'), '{{node}}']],
        },
        {
          title: 'Held',
          description: '0, but for moments: connections that wait for their pod or certificate to be known.',
          unit: 'short',
          queries: [[ofNode('ambient_connections_held'), '{{node}}']],
        },
        {
          title: 'Tunnel sessions opened',
          description: 'Far fewer than streams. As many means that sessions break.',
          unit: 'cps',
          queries: [
            [ofNode(rate('ambient_tunnel_client_sessions_opened_total')), 'sessions {{node}}'],
            [ofNode(rate('ambient_tunnel_client_streams_opened_total')), 'streams {{node}}'],
          ],
        },
      ],
    },
    { title: 'Limits', panels: limitPanels(ofNode) },
    { title: 'Process', panels: processPanels(ofNode) },
  ],
};

const answeredHere = rate('istio_requests_total{response_flags!="-"}');
const pushSeconds = rate('ambient_controller_push_duration_seconds_bucket');
const slow = (name: string, labels: string, seconds: number) => {
  const buckets = rate(`ambient_request_segment_seconds_bucket{segment="${name}"}`);
  return `histogram_quantile(0.99, sum by (le, ${labels}) (${buckets})) > ${seconds}`;
};
const segment = (quantile: number) =>
  `histogram_quantile(${quantile}, sum by (le, segment) (${rate('ambient_request_segment_seconds_bucket')}))`;

const waypoint: Dashboard = {
  name: 'waypoint',
  title: 'Ambient / Waypoint',
  description: 'The proxies that see requests: where time goes, what is tried again, what is refused.',
  variables: [],
  rows: [
    {
      title: 'Requests',
      panels: [
        {
          title: 'Where the time goes, p50',
          description:
            'Nearly all of it is `application`. `wire` that grows is the network; the proxies stay under 5 ms.',
          unit: 's',
          queries: [[segment(0.5), '{{segment}}']],
        },
        {
          title: 'Where the time goes, p99',
          description: 'As p50, a few times higher.',
          unit: 's',
          queries: [[segment(0.99), '{{segment}}']],
        },
        {
          title: 'Active requests',
          description: 'Rate times duration. Climbing means that an application has stopped answering.',
          unit: 'short',
          queries: [['ambient_http_requests_active', '{{instance}}']],
        },
      ],
    },
    {
      title: 'Who is slow',
      panels: [
        {
          title: 'Slow applications, p99',
          description:
            'Those over 0.5 s; none. An application that waits for another is slow with it: the last of a chain is to blame.',
          unit: 's',
          queries: [
            [
              slow('application', 'destination_workload_namespace, destination_workload', 0.5),
              '{{destination_workload_namespace}}/{{destination_workload}}',
            ],
          ],
          quiet: true,
        },
        {
          title: 'Slow ways, p99',
          description:
            'Pairs with over 25 ms on the wire; none. What they have in common is the node or link to look at.',
          unit: 's',
          queries: [
            [
              slow('wire', 'source_workload, destination_workload', 0.025),
              '{{source_workload}} to {{destination_workload}}',
            ],
          ],
          quiet: true,
        },
      ],
    },
    {
      title: 'Resilience',
      panels: [
        {
          title: 'Retries',
          description: 'Under 1 % of requests. Refused ones are a retry storm that the budget holds back.',
          unit: 'reqps',
          queries: [
            [rate('ambient_http_retries_total'), 'made {{instance}}'],
            [rate('ambient_http_retries_refused_total'), 'refused {{destination_service_name}}'],
          ],
        },
        {
          title: 'Ejections',
          description: '0. Each is an endpoint that failed several times in a row and is left alone for a while.',
          unit: 'cps',
          queries: [[rate('ambient_http_ejections_total'), '{{instance}}']],
        },
        {
          title: 'Ejected endpoints',
          description: '0. How many endpoints of a service get no requests now, since they failed.',
          unit: 'short',
          queries: [
            ['sum by (destination_service_name) (ambient_http_ejected_endpoints)', '{{destination_service_name}}'],
          ],
        },
        {
          title: 'Answered by the waypoint itself',
          description:
            'None. `DENY` a policy, `NR` and `NC` a route, `UH` no endpoint, `UO` a circuit breaker, `UT` a time-out.',
          unit: 'reqps',
          queries: [
            [
              `sum by (response_flags, destination_service_name) (${answeredHere}) > 0`,
              '{{response_flags}} {{destination_service_name}}',
            ],
          ],
          quiet: true,
        },
      ],
    },
    { title: 'Limits', panels: limitPanels(ofWaypoint) },
    { title: 'Process', panels: processPanels(ofWaypoint) },
  ],
};

const controlPlane: Dashboard = {
  name: 'control-plane',
  title: 'Ambient / Control plane and certificates',
  description: 'Whether every proxy knows what it should, and for how long it can prove who it is.',
  variables: [],
  rows: [
    {
      title: 'The controller',
      panels: [
        {
          title: 'Proxies',
          description: 'Both the same, and as many as nodes and pods of waypoints, over all replicas.',
          unit: 'short',
          queries: [
            ['sum(ambient_controller_proxies_connected)', 'connected'],
            ['sum(ambient_controller_proxies_in_step)', 'in step'],
          ],
        },
        {
          title: 'What proxies take to apply a change, p99',
          description: 'Under 0.1 s.',
          unit: 's',
          queries: [[`histogram_quantile(0.99, sum by (le, type) (${pushSeconds}))`, '{{type}}']],
          quiet: true,
        },
        {
          title: 'Refused',
          description: '0. Resources that proxies refused, and callers that the controller refused.',
          unit: 'cps',
          queries: [
            [`sum by (type) (${rate('ambient_controller_resources_refused_total')})`, 'resources {{type}}'],
            [`sum by (call) (${rate('ambient_controller_callers_refused_total')})`, 'callers {{call}}'],
          ],
          quiet: true,
        },
      ],
    },
    {
      title: 'The mesh',
      panels: [
        {
          title: 'Workloads and services, policies',
          description: 'As the cluster has them. A sudden drop is worth a look.',
          unit: 'short',
          queries: [
            ['max(ambient_controller_addresses)', 'workloads and services'],
            ['max(ambient_controller_policies)', 'policies'],
          ],
        },
        {
          title: 'Since the last change, by proxy',
          description: 'Saws that fall together. One that only climbs no longer receives.',
          unit: 's',
          queries: [['time() - ambient_discovery_last_update_timestamp_seconds', '{{instance}}']],
        },
        {
          title: 'Versions',
          description: 'One, but during an upgrade.',
          unit: 'short',
          queries: [['count by (component, version) (ambient_build_info)', '{{component}} {{version}}']],
        },
      ],
    },
    {
      title: 'Certificates',
      panels: [
        {
          title: 'Until the next one ends, by proxy',
          description:
            'Between half a life and a whole one: 12 to 24 h unless configured. Under half, one will not renew.',
          unit: 's',
          queries: [['min by (instance) (ambient_certificate_expiry_timestamp_seconds > 0) - time()', '{{instance}}']],
        },
        {
          title: 'Until the issuing certificate ends',
          description: 'More than 30 days.',
          unit: 's',
          queries: [['min(ambient_controller_issuer_expiry_timestamp_seconds) - time()', 'issuer']],
        },
        {
          title: 'Issued',
          description: 'Few: one per identity and node in half a life; more while pods start.',
          unit: 'cps',
          queries: [[rate('ambient_controller_certificates_issued_total'), '{{instance}}']],
        },
      ],
    },
  ],
};

export const proxyDashboards: readonly Dashboard[] = [nodeProxy, waypoint, controlPlane];
