import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeView } from '../model/views.ts';
import { ThreadTotals } from './thread-totals.ts';

function edge(change: Partial<EdgeView> = {}): EdgeView {
  return {
    reporter: 'source',
    source: { workload: 'web', namespace: 'shop', identity: 'spiffe://a' },
    destination: { workload: 'cart', namespace: 'shop', identity: 'spiffe://b', service: 'cart.shop.svc' },
    transport: 'mtls',
    flag: '-',
    decidedBy: null,
    opened: 0,
    closed: 0,
    failed: 0,
    bytesSent: 0,
    bytesReceived: 0,
    ...change,
  };
}

test('rows of one edge are added up over threads', () => {
  const totals = new ThreadTotals();
  totals.update(0, { edges: [edge({ opened: 2, bytesSent: 10 })], counters: { ambient_x_total: 1, ambient_y: 3 } });
  totals.update(1, { edges: [edge({ opened: 3, bytesSent: 5 })], counters: { ambient_x_total: 4, ambient_y: 1 } });
  const [sum, ...rest] = totals.edges();
  assert.equal(rest.length, 0);
  assert.deepEqual([sum?.opened, sum?.bytesSent], [5, 15]);
  assert.deepEqual(Object.fromEntries(totals.counters()), { ambient_x_total: 5, ambient_y: 4 });
});

test('a thread that died leaves its counters, not its gauges', () => {
  const totals = new ThreadTotals();
  totals.update(0, { edges: [], counters: { ambient_x_total: 7, ambient_y: 3 } });
  totals.retire(0);
  totals.update(0, { edges: [], counters: { ambient_x_total: 1, ambient_y: 1 } });
  assert.deepEqual(Object.fromEntries(totals.counters()), { ambient_x_total: 8, ambient_y: 1 });
});

test('connections that died with their thread count as closed', () => {
  const totals = new ThreadTotals();
  totals.update(0, { edges: [edge({ opened: 5, closed: 2 }), edge({ flag: 'DENY', failed: 1 })], counters: {} });
  totals.retire(0);
  const open = totals.edges().reduce((sum, { opened, closed }) => sum + opened - closed, 0);
  assert.equal(open, 0);
  assert.equal(totals.edges().find(({ flag }) => flag === 'PROXY_ERROR')?.closed, 3);
});

test('no figure ever falls, however often threads die', () => {
  const totals = new ThreadTotals();
  let before = 0;
  for (let life = 0; life < 20; life++) {
    totals.update(0, { edges: [edge({ opened: life % 3, closed: life % 3 })], counters: {} });
    const opened = totals.edges().reduce((sum, row) => sum + row.opened, 0);
    assert.ok(opened >= before);
    before = opened;
    totals.retire(0);
  }
});
