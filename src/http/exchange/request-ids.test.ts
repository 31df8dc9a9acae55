import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTraceparent } from '../../tunnel/traceparent.ts';
import { newRequestId, newTraceparentHeader } from './request-ids.ts';

test('ids have their form and are not given twice', () => {
  const seen = new Set<string>();
  for (let n = 0; n < 1000; n++) {
    const id = newRequestId();
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    seen.add(id);
    const trace = newTraceparentHeader();
    assert.ok(parseTraceparent(trace) !== null, trace);
    seen.add(trace);
  }
  assert.equal(seen.size, 2000);
});
