import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeFinding } from '../model/views.ts';
import { findingsOf, type ProxyNode, proxyNodeMessage, proxyNodeOf } from './proxy-node.ts';

const node: ProxyNode = {
  kind: 'node',
  name: 'ambient-node-a',
  namespace: 'ambient-system',
  nodeName: 'a',
  addresses: ['10.80.0.11'],
  clusterId: 'Kubernetes',
  version: '0.1.0',
  instance: '1',
};
const finding: NodeFinding = {
  id: 'rp-filter',
  severity: 'error',
  text: 'drops captured packets',
  fix: 'set it to 2',
  set: ['net.ipv4.conf.all.rp_filter=2'],
  hint: 'docs/node-proxy.md#what-a-node-needs',
};

test('what a proxy says of itself and of its node arrives', () => {
  const message = proxyNodeMessage(node, [finding]);
  assert.deepEqual(proxyNodeOf(message), node);
  assert.deepEqual(findingsOf(message), [finding]);
  assert.deepEqual(findingsOf(proxyNodeMessage(node)), []);
});

for (const [name, said] of [
  ['no JSON', '{'],
  ['no list', '{"a":1}'],
  ['too long', JSON.stringify([{ ...finding, text: 'x'.repeat(30_000) }])],
] as const) {
  test(`findings that cannot be read are none: ${name}`, () => {
    const message = proxyNodeMessage(node);
    message.metadata = { ...message.metadata, FINDINGS: said };
    assert.deepEqual(findingsOf(message), []);
  });
}

test('of what is read, everything has its bounds', () => {
  const message = proxyNodeMessage(
    node,
    Array.from({ length: 30 }, () => ({ ...finding, text: 'x'.repeat(600) })).slice(0, 25),
  );
  const read = findingsOf(message);
  assert.ok(read.length <= 20 && read.every(({ text }) => text.length <= 500));
});
