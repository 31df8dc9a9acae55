import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestCounters } from '../../telemetry/request-counters.ts';
import { keepExemplar, maySample } from './exemplars.ts';

const sampled = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

test('only a sampled traceparent is looked at closely, only a well-formed one is kept', () => {
  assert.deepEqual([sampled, sampled.replace(/1$/, '0'), `${sampled}1`, ''].map(maySample), [
    true,
    false,
    false,
    false,
  ]);
  const end = { workload: 'w', namespace: 'n', identity: '' };
  const key = { reporter: 'waypoint', source: end, destination: end, service: '', serviceName: '' } as const;
  const more = {
    serviceNamespace: '',
    protocol: 'http',
    code: 200,
    grpcStatus: -1,
    flag: '-',
    mutualTls: true,
  } as const;
  const row = new RequestCounters().row({ ...key, ...more });
  keepExemplar(row, sampled.replace('b', '!'), 5);
  assert.equal(row.exemplar, null);
  keepExemplar(row, sampled, 5);
  assert.deepEqual([row.exemplar!.traceId, row.exemplar!.durationMs], ['a'.repeat(32), 5]);
});
