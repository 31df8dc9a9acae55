import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countRequest, RequestCounters } from './request-counters.ts';
import { requestMetricsText } from './request-metrics.ts';

const end = { workload: 'web', namespace: 'shop', identity: 'spiffe://cluster.local/ns/shop/sa/web' };

function reading(alsoAsDestination: boolean): string {
  const counters = new RequestCounters();
  const row = counters.row({
    reporter: 'waypoint',
    source: end,
    destination: { ...end, workload: 'ca"rt' },
    service: 'cart.shop.svc.cluster.local',
    serviceName: 'cart',
    serviceNamespace: 'shop',
    protocol: 'http',
    code: 503,
    grpcStatus: -1,
    flag: 'UPSTREAM_OVERFLOW',
    mutualTls: true,
  });
  countRequest(row, 3, 10, 20);
  countRequest(row, 700_000_000, 10, 20);
  const canonicalName = (): { service: string; revision: string } => ({ service: 'c', revision: 'v1' });
  return requestMetricsText({ requests: counters.rows(), clusterId: 'Kubernetes', canonicalName, alsoAsDestination });
}

test("requests are shown under Istio's names and labels", () => {
  const text = reading(false);
  const [line = ''] = text.split('\n').filter((one) => one.startsWith('istio_requests_total{'));
  assert.match(line, /reporter="waypoint",source_workload="web",source_canonical_service="c"/);
  assert.match(line, /destination_workload="ca\\"rt"/);
  assert.match(line, /response_code="503",grpc_response_status="",response_flags="UO"/);
  assert.match(line, /connection_security_policy="mutual_tls"\} 2$/);
  assert.match(text, /istio_request_duration_milliseconds_bucket\{[^}]*,le="1"\} 0\n/);
  assert.match(text, /istio_request_duration_milliseconds_bucket\{[^}]*,le="5"\} 1\n/);
  assert.match(text, /istio_request_duration_milliseconds_bucket\{[^}]*,le="\+Inf"\} 2\n/);
  assert.match(text, /istio_request_duration_milliseconds_sum\{[^}]*\} 700000003\n/);
  assert.match(text, /istio_response_bytes_count\{[^}]*\} 2\n/);
  assert.doesNotMatch(text, /reporter="destination"/);
  assert.doesNotMatch(text, /istio_request_messages_total\{/);
});

test('a switch adds the reporter that canary tools ask for', () => {
  const lines = reading(true)
    .split('\n')
    .filter((one) => one.startsWith('istio_requests_total{'));
  assert.equal(lines.length, 2);
  assert.match(lines[1] ?? '', /^istio_requests_total\{reporter="destination"/);
});
