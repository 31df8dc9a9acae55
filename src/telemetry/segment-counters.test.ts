import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeRequestRows, RequestCounters } from './request-counters.ts';
import { countSegments, segmentMetricsText } from './segment-counters.ts';
import { requestKey as key } from './testing-request-key.ts';

const unknown = { clientProxy: null, wire: null, waypoint: null, destinationProxy: null, application: null };
const names = { clusterId: 'Kubernetes', canonicalName: () => null };
const labels =
  'source_workload="web",source_workload_namespace="shop",destination_service_name="cart",' +
  'destination_service_namespace="shop",destination_workload="cart",destination_workload_namespace="shop"';

test('segments become histograms in seconds, whatever requests ended with; what is unknown counts nowhere', () => {
  const threads = [new RequestCounters(), new RequestCounters()];
  countSegments(threads[0]!.row(key).segments, { ...unknown, waypoint: 0.2, application: 30 });
  countSegments(threads[1]!.row({ ...key, code: 503 }).segments, { ...unknown, waypoint: 0.2, application: 100_000 });
  const text = segmentMetricsText(mergeRequestRows(threads.map((one) => one.rows())), names);
  const lines = text.split('\n');
  assert.equal(lines[1], '# TYPE ambient_request_segment_seconds histogram');
  const has = (name: string, segment: string, rest: string): void => {
    const line = `ambient_request_segment_seconds${name}{segment="${segment}",${labels}${rest}`;
    assert.ok(lines.includes(line), line);
  };
  has('_bucket', 'waypoint', ',le="0.0001"} 0');
  has('_bucket', 'waypoint', ',le="0.00025"} 2');
  has('_bucket', 'application', ',le="0.05"} 1');
  has('_bucket', 'application', ',le="60"} 1');
  has('_bucket', 'application', ',le="+Inf"} 2');
  has('_count', 'application', '} 2');
  has('_sum', 'application', '} 100.03');
  assert.ok(!text.includes('client_proxy'));
});

test('without requests there is no family', () => {
  assert.equal(segmentMetricsText([], names), '');
});
