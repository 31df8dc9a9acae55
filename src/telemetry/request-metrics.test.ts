import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countRequest, mergeRequestRows, RequestCounters } from './request-counters.ts';
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

test('the newest sampled trace is an exemplar of its bucket, in OpenMetrics alone', () => {
  const counters = new RequestCounters();
  const key = { reporter: 'waypoint', source: end, destination: end, service: 'a', serviceName: 'a' } as const;
  const more = {
    serviceNamespace: 'b',
    protocol: 'http',
    code: 200,
    grpcStatus: -1,
    flag: '-',
    mutualTls: true,
  } as const;
  const row = counters.row({ ...key, ...more });
  countRequest(row, 3, 10, 20);
  row.exemplar = { traceId: 'ab'.repeat(16), durationMs: 3, atMs: 1_500 };
  const from = {
    requests: mergeRequestRows([counters.rows(), counters.rows()]),
    clusterId: 'c',
    canonicalName: () => null,
  };
  const exemplars = requestMetricsText(from, true)
    .split('\n')
    .filter((line) => line.includes('trace_id'));
  assert.equal(exemplars.length, 1);
  assert.match(
    exemplars[0]!,
    /^istio_request_duration_milliseconds_bucket\{.*,le="5"\} 2 # \{trace_id="(ab){16}"\} 3 1\.5$/,
  );
  assert.doesNotMatch(requestMetricsText(from), /trace_id/);
});
