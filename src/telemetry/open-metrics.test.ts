import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expositionOf, wantsOpenMetrics } from './open-metrics.ts';

test('OpenMetrics is for who asks for it', () => {
  const prometheus =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.1';
  for (const accept of [
    prometheus,
    'application/openmetrics-text',
    'text/plain;q=0.5, Application/OpenMetrics-Text; q=0.3',
  ]) {
    assert(wantsOpenMetrics(accept), accept);
  }
  for (const accept of [
    '',
    '*/*',
    'text/plain',
    'application/openmetrics-text; q=0',
    'application/openmetrics-textual',
  ]) {
    assert(!wantsOpenMetrics(accept), accept);
  }
});

test('families of counters lose their _total in OpenMetrics, samples keep it, and the end is said', () => {
  const text = '# HELP a_total A\n# TYPE a_total counter\na_total{x="1"} 2\n\n# HELP b B\n# TYPE b gauge\nb 3\n';
  assert.equal(
    expositionOf(text, 'application/openmetrics-text').text,
    '# HELP a A\n# TYPE a counter\na_total{x="1"} 2\n# HELP b B\n# TYPE b gauge\nb 3\n# EOF\n',
  );
  assert.equal(expositionOf(text, '*/*').text, text);
  assert.match(
    expositionOf(text, 'application/openmetrics-text').contentType,
    /^application\/openmetrics-text; version=1/,
  );
  assert.match(expositionOf(text, '').contentType, /^text\/plain; version=0\.0\.4/);
});
