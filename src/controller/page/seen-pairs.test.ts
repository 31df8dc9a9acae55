import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeView } from '../../model/views.ts';
import { SeenPairs } from './seen-pairs.ts';

const legacy = { workload: 'legacy', namespace: 'legacy', identity: '' };
const web = { workload: 'web', namespace: 'shop', identity: 'spiffe://cluster.local/ns/shop/sa/web' };
const cart = { workload: 'cart', namespace: 'shop', identity: '', service: 'cart.shop.svc.cluster.local' };

function edge(more: Partial<EdgeView>): EdgeView {
  return {
    ...{ reporter: 'source', source: web, destination: cart, transport: 'mtls', flag: '-', decidedBy: null },
    ...{ opened: 3, closed: 1, failed: 0, bytesSent: 10, bytesReceived: 20, ...more },
  };
}

test('a pair is there once, whoever tells of it; what was refused is told apart', () => {
  const pairs = new SeenPairs();
  const plain = { reporter: 'destination', source: legacy, transport: 'plaintext' } as const;
  const lists = [
    { edges: [edge({})] },
    { edges: [edge({ reporter: 'destination' }), edge({ ...plain, opened: 0, failed: 2, flag: 'DENY' })] },
  ];
  assert.equal(pairs.take(lists), true);
  const told = pairs.edges.map(({ from, transport, opened, refused }) => [from.workload, transport, opened, refused]);
  assert.deepEqual(told, [
    ['legacy', 'plaintext', 0, 2],
    ['web', 'mtls', 3, 0],
  ]);
});

test('figures that grow are no news, another pair is', () => {
  const pairs = new SeenPairs();
  pairs.take([{ edges: [edge({})] }]);
  assert.equal(pairs.take([{ edges: [edge({ opened: 40 })] }]), false);
  assert.equal(pairs.edges[0]?.opened, 40);
  assert.equal(pairs.take([{ edges: [edge({}), edge({ source: { ...web, workload: 'till' } })] }]), true);
  assert.equal(pairs.take([]), false);
  assert.deepEqual(pairs.edges, []);
});
