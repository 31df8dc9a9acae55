// What the demo demands of the edges it sees, and that the samples say it in a form that can be read.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { type EdgeSummary, summarizeEdges } from '../analyze/edge-summary.ts';
import { type ExpectedEdge, judgeEdges, judgementText, readExpectedEdges } from './demo-edges.ts';
import { edgeDumps } from './testing-fixtures.ts';

const shop = path.join(import.meta.dirname, '../../deploy/samples/shop');

test('the samples expect each manner of being carried', () => {
  const lines = readExpectedEdges(shop).map(
    ({ from, to, manner }) => `${from.namespace}/${from.workload} ${to.namespace}/${to.workload} ${manner}`,
  );
  assert.deepEqual(lines.toSorted(), [
    'legacy/legacy shop/catalog plaintext',
    'legacy/legacy shop/payments refused',
    'shop/cart shop/checkout mtls',
    'shop/checkout shop/inventory mtls',
    'shop/checkout shop/payments mtls',
    'shop/inventory legacy/legacy plaintext',
    'shop/web shop/cart same-node',
    'shop/web shop/catalog mtls',
    'shop/web shop/payments refused',
  ]);
});

const base: EdgeSummary = {
  from: { namespace: 'shop', workload: 'web', identity: 'spiffe://cluster.local/ns/shop/sa/web' },
  to: { namespace: 'shop', workload: 'catalog', service: '', identity: 'spiffe://cluster.local/ns/shop/sa/catalog' },
  transport: 'mtls',
  opened: 3,
  active: 0,
  refused: 0,
  refusedBy: null,
  failed: 0,
  flags: [],
  bytesSent: 10,
  bytesReceived: 100,
};
const nameless = { ...base.to, identity: '' };
const refused = { ...base, opened: 0, bytesReceived: 0, refused: 2, refusedBy: 'shop/p' };

const rows: readonly [string, ExpectedEdge['manner'], EdgeSummary[], boolean][] = [
  ['nothing was seen', 'mtls', [], false],
  ['mutual TLS with both identities', 'mtls', [base], true],
  ['mutual TLS without one identity', 'mtls', [{ ...base, to: nameless }], false],
  ['connected, and nothing came back', 'mtls', [{ ...base, bytesReceived: 0 }], false],
  ['plaintext beside mutual TLS', 'mtls', [base, { ...base, transport: 'plaintext', opened: 1 }], false],
  ['plaintext attempts that carried nothing', 'mtls', [base, { ...base, transport: 'plaintext', opened: 0 }], true],
  ['same node', 'same-node', [{ ...base, transport: 'same-node' }], true],
  ['a tunnel where none is needed', 'same-node', [base], false],
  ['plaintext', 'plaintext', [{ ...base, transport: 'plaintext', to: nameless }], true],
  ['refused', 'refused', [refused], true],
  ['refused, though once let through', 'refused', [refused, base], false],
  ['failed for another reason than policy', 'refused', [{ ...refused, refused: 0, failed: 2 }], false],
];
for (const [title, manner, edges, met] of rows) {
  test(`${manner}: ${title} is ${met ? 'right' : 'wrong'}`, () => {
    const expected: ExpectedEdge = { from: base.from, to: base.to, manner };
    assert.equal(judgeEdges([expected], edges)[0]?.met, met);
  });
}

test('an edge is found by the name of its service where no workload was chosen', () => {
  const to = { namespace: 'shop', workload: '', service: 'catalog.shop.svc.cluster.local', identity: '' };
  const expected: ExpectedEdge = { from: base.from, to: base.to, manner: 'refused' };
  assert.equal(judgeEdges([expected], [{ ...refused, to }])[0]?.met, true);
});

test('a difference is told in words', () => {
  const expected: ExpectedEdge = { from: base.from, to: { namespace: 'shop', workload: 'payments' }, manner: 'mtls' };
  const [judged] = judgeEdges([expected], summarizeEdges(edgeDumps));
  assert.equal(
    judgementText(judged!),
    'shop/web to shop/payments should be mtls; seen: refused, 0 connections, 0B back, ' +
      '7 refused by shop/payments-never-from-web',
  );
});

test('an annotation that cannot be read is named with its file', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-demo-'));
  const annotations = 'annotations: { demo.ambient.mesh/edges: "cart=fast" }';
  writeFileSync(path.join(folder, 'a.yaml'), `kind: Deployment\nmetadata: { name: a, ${annotations} }\n`);
  assert.throws(() => readExpectedEdges(folder), /a\.yaml: demo\.ambient\.mesh\/edges: 'cart=fast' is not SERVICE=/);
  rmSync(folder, { recursive: true });
});
