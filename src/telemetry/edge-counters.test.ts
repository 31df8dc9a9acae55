import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeCounters, type EdgeKey } from './edge-counters.ts';

const key: EdgeKey = {
  reporter: 'source',
  source: { workload: 'web', namespace: 'shop', identity: '' },
  destination: { workload: 'cart', namespace: 'shop', identity: '' },
  service: 'cart.shop.svc.cluster.local',
  transport: 'mtls',
  flag: '-',
};

test('equal keys share a row, any difference makes another', () => {
  const edges = new EdgeCounters();
  const row = edges.row(key);
  assert.equal(edges.row({ ...key, source: { ...key.source } }), row);
  const others: Partial<EdgeKey>[] = [
    { reporter: 'destination' },
    { source: { ...key.source, workload: 'other' } },
    { destination: { ...key.destination, identity: 'x' } },
    { service: '' },
    { transport: 'plaintext' },
    { flag: 'DENY' },
  ];
  for (const other of others) assert.notEqual(edges.row({ ...key, ...other }), row);
  assert.equal(edges.size, 7);
});

test('above rowsMax, what is new counts under nameless ends', () => {
  const edges = new EdgeCounters(2);
  edges.row(key).opened++;
  edges.row({ ...key, service: 'b' }).opened++;
  for (const service of ['c', 'd', 'e']) edges.row({ ...key, service }).opened++;
  assert.deepEqual(
    edges.views().map(({ source, destination, opened }) => [source.workload, destination.service, opened]),
    [
      ['web', 'cart.shop.svc.cluster.local', 1],
      ['web', 'b', 1],
      ['', '', 3],
    ],
  );
});
