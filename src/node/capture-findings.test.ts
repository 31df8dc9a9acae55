import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeDump, PodCaptureView } from '../model/views.ts';
import { captureFindings } from './capture-findings.ts';

const pod = (address: string, given: Partial<PodCaptureView> = {}): PodCaptureView => {
  return { addresses: [address], namespace: '/run/netns/x', state: 'failed', reason: 'no nft', tookMs: null, ...given };
};
const capture = (given: Partial<NodeDump['capture']>): NodeDump['capture'] => {
  return { backend: 'pod', state: 'applied', verifiedAt: null, reason: null, pods: [], ...given };
};

// [what, capture, texts]
const rows: readonly (readonly [string, NodeDump['capture'], readonly RegExp[]])[] = [
  ['all is well', capture({ pods: [pod('10.0.0.1', { state: 'redirected', reason: null })] }), []],
  ['the whole failed', capture({ state: 'failed', reason: 'no nft' }), [/is not captured: no nft$/]],
  ['one pod', capture({ pods: [pod('10.0.0.1')] }), [/^cut off, .*: shop\/web$/]],
  ['one that nobody knows', capture({ pods: [pod('10.0.0.9')] }), [/: 10\.0\.0\.9$/]],
  ['many', capture({ pods: Array.from({ length: 8 }, () => pod('10.0.0.1')) }), [/shop\/web and 3 more$/]],
];
for (const [what, view, texts] of rows) {
  test(`findings of capture: ${what}`, () => {
    const findings = captureFindings(view, ([address]) => (address === '10.0.0.1' ? 'shop/web' : null));
    assert.equal(findings.length, texts.length);
    for (const [at, text] of texts.entries()) assert.match(findings[at]!.text, text);
  });
}
