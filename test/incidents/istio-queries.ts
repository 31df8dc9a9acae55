// What Istio's dashboards for ambient (mesh, service, workload) and Kiali's graph ask Prometheus: names of metrics and
// labels as they use them. `quiet`: there is nothing of that kind in the shop.

const graphLabels = [
  'source_cluster',
  'source_workload_namespace',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'destination_cluster',
  'destination_service_namespace',
  'destination_service',
  'destination_service_name',
  'destination_workload_namespace',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
].join(',');

export interface ForeignQuery {
  readonly what: string;
  readonly expr: string;
  readonly quiet?: boolean;
}

const mesh: readonly ForeignQuery[] = [
  { what: 'mesh: requests', expr: 'sum(rate(istio_requests_total{reporter=~"source|waypoint"}[30s]))' },
  {
    what: 'mesh: success',
    expr: 'sum(rate(istio_requests_total{reporter=~"source|waypoint",response_code!~"5.*"}[30s])) / sum(rate(istio_requests_total{reporter=~"source|waypoint"}[30s]))',
  },
  {
    what: 'mesh: p99 by workload',
    expr: 'label_join(histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{reporter=~"source|waypoint"}[30s])) by (le,destination_workload,destination_workload_namespace)), "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")',
  },
  {
    what: 'mesh: bytes by service',
    expr: 'sum by (destination_service_name,destination_service_namespace) (rate(istio_tcp_sent_bytes_total{reporter=~"source|waypoint"}[30s]))',
  },
  {
    what: 'mesh: bytes by workload',
    expr: 'sum by (destination_workload,destination_workload_namespace,destination_service) (rate(istio_tcp_received_bytes_total{reporter=~"source|waypoint"}[30s]))',
  },
];

const service: readonly ForeignQuery[] = [
  {
    what: 'service: incoming by source and code',
    expr: 'round(sum(irate(istio_requests_total{connection_security_policy="mutual_tls",reporter=~"source|waypoint|destination",destination_service=~"payments.shop.svc.cluster.local"}[30s])) by (source_workload,source_workload_namespace,response_code), 0.001)',
  },
  {
    what: 'service: client clusters',
    expr: 'sum(istio_requests_total{destination_service=~".+"}) by (source_cluster) or sum(istio_tcp_sent_bytes_total{destination_service=~".+"}) by (source_cluster)',
  },
  {
    what: 'service: p50',
    expr: 'histogram_quantile(0.5, sum(irate(istio_request_duration_milliseconds_bucket{reporter=~"source|waypoint",destination_service=~"payments.*"}[30s])) by (source_workload,source_workload_namespace,le)) / 1000',
  },
  {
    what: 'service: sizes',
    expr: 'histogram_quantile(0.5, sum(irate(istio_request_bytes_bucket{reporter=~"source|waypoint",destination_service=~"payments.*"}[30s])) by (le)) + histogram_quantile(0.5, sum(irate(istio_response_bytes_bucket{reporter=~"source|waypoint",destination_service=~"payments.*"}[30s])) by (le))',
  },
];

const workload: readonly ForeignQuery[] = [
  {
    what: 'workload: outgoing requests',
    expr: 'sum(irate(istio_requests_total{reporter=~"source|waypoint",source_workload="checkout",source_workload_namespace="shop"}[30s])) by (destination_service,response_code)',
  },
  {
    what: 'workload: incoming bytes',
    expr: 'sum(irate(istio_tcp_received_bytes_total{reporter=~"source|waypoint|destination",destination_workload_namespace="shop"}[30s])) by (source_workload,destination_workload)',
  },
];

const kiali: readonly ForeignQuery[] = [
  {
    what: 'Kiali: graph of waypoints',
    expr: `sum(rate(istio_requests_total{reporter=~"waypoint",source_workload_namespace="shop"}[30s])) by (${graphLabels},request_protocol,response_code,grpc_response_status,response_flags) > 0`,
  },
  {
    what: 'Kiali: graph of TCP',
    expr: `sum(rate(istio_tcp_sent_bytes_total{reporter=~"source|waypoint",source_workload_namespace="shop"}[30s])) by (${graphLabels},response_flags) > 0`,
  },
  {
    what: 'Kiali: what mTLS is used',
    expr: 'sum(rate(istio_requests_total{reporter=~"destination|waypoint",connection_security_policy="mutual_tls"}[30s])) by (source_principal,destination_principal,connection_security_policy)',
  },
  {
    what: 'Kiali: response times',
    expr: 'histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{reporter="waypoint",destination_service_namespace="shop"}[30s])) by (le,source_workload,destination_service_name))',
  },
  {
    what: 'Kiali: gRPC messages',
    expr: `sum(rate(istio_request_messages_total{reporter="waypoint"}[30s])) by (${graphLabels}) + sum(rate(istio_response_messages_total{reporter="waypoint"}[30s])) by (${graphLabels})`,
    quiet: true,
  },
];

export const foreignQueries: readonly ForeignQuery[] = [...mesh, ...service, ...workload, ...kiali];
