import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentCounters, segmentMetricsText } from './segment-counters.ts';

test('segments become histograms in seconds; what is unknown counts nowhere', () => {
  const counters = new SegmentCounters();
  const unknown = { clientProxy: null, wire: null, waypoint: null, destinationProxy: null, application: null };
  counters.count({ ...unknown, waypoint: 0.2, application: 30 });
  counters.count({ ...unknown, waypoint: 0.2, application: 100_000 });
  const text = segmentMetricsText(new Map(Object.entries(counters.counters())));
  const lines = text.split('\n');
  assert.equal(lines[1], '# TYPE ambient_request_segment_seconds histogram');
  const has = (line: string): void => assert.ok(lines.includes(`ambient_request_segment_seconds${line}`), line);
  has('_bucket{segment="waypoint",le="0.0001"} 0');
  has('_bucket{segment="waypoint",le="0.00025"} 2');
  has('_bucket{segment="application",le="0.05"} 1');
  has('_bucket{segment="application",le="60"} 1');
  has('_bucket{segment="application",le="+Inf"} 2');
  has('_count{segment="application"} 2');
  has('_sum{segment="application"} 100.03');
  assert.ok(!text.includes('client_proxy'));
});

test('without requests there is no family', () => {
  assert.equal(segmentMetricsText(new Map(Object.entries(new SegmentCounters().counters()))), '');
});
