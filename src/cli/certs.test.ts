import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorityRows, leafRows } from '../analyze/certificate-rows.ts';
import type { CertificatesView, CertificateView } from '../model/views.ts';
import { certsResult } from './certs.ts';
import { plain } from './io.ts';
import { assertGoldenResult } from './testing-golden.ts';

const nowMs = Date.UTC(2026, 10, 21, 12);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const at = (ms: number): string => new Date(nowMs + ms).toISOString();
const held = (serial: string, fromMs: number, toMs: number) => ({ serial, notBefore: at(fromMs), notAfter: at(toMs) });

const view: CertificatesView = {
  roots: [
    { subject: 'CN=old', stage: 'trusted', ...held('01', -300 * dayMs, 20 * dayMs) },
    { subject: 'CN=new', stage: 'coming', ...held('02', -hourMs, 3_000 * dayMs) },
  ],
  issuer: { subject: 'CN=old', ...held('01', -300 * dayMs, 20 * dayMs) },
  nextIssuerFrom: at(20 * hourMs),
  servers: [
    { server: 'discovery', ...held('0a', -hourMs, 23 * hourMs) },
    { server: 'webhook', ...held('0b', -20 * hourMs, 4 * hourMs) },
  ],
};

function leaf(account: string, fromMs: number, toMs: number, reason: string | null = null): CertificateView {
  const identity = `spiffe://cluster.local/ns/shop/sa/${account}`;
  const state = toMs > 0 ? 'available' : 'unavailable';
  return { identity, state, reason, chain: [{ type: 'leaf', ...held('0c', fromMs, toMs) }] };
}

const missing: CertificateView = {
  identity: 'spiffe://cluster.local/ns/shop/sa/cart',
  state: 'unavailable',
  reason: 'the controller answered PERMISSION_DENIED',
  chain: [],
};

test('every certificate with its state, and what to do next', async () => {
  const rows = [
    ...authorityRows(view, nowMs),
    ...leafRows('node/node-1', [leaf('web', -hourMs, 23 * hourMs), missing], nowMs),
    ...leafRows('waypoint/shop/waypoint', [leaf('waypoint', -25 * hourMs, -hourMs, 'it has expired')], nowMs),
  ];
  const result = certsResult(rows);
  assert.equal(result.exitCode, 1);
  await assertGoldenResult('certs', result);
  const talk = result.talk?.(plain) ?? '';
  assert.match(talk, /next: put a new root into ca\.crt/);
  assert.match(talk, /next: see why nothing is signed/);
});

const states: readonly (readonly [fromMs: number, toMs: number, state: string])[] = [
  [-hourMs, 23 * hourMs, 'ok'],
  [-12 * hourMs, 12 * hourMs, 'ok'],
  [-14.4 * hourMs + 1000, 9.6 * hourMs + 1000, 'ok'],
  [-14.4 * hourMs - 1000, 9.6 * hourMs - 1000, 'late'],
  [-24 * hourMs, 0, 'expired'],
];

for (const [fromMs, toMs, state] of states) {
  test(`a leaf with ${toMs / hourMs} h left is ${state}`, () => {
    const [row] = leafRows('node/n', [leaf('web', fromMs, toMs)], nowMs);
    assert.equal(row?.state, state);
    assert.equal(certsResult([row!]).exitCode, state === 'ok' ? 0 : 1);
  });
}

test('an issuer that ends soon is a warning', () => {
  const rows = authorityRows({ ...view, servers: [] }, nowMs);
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['ends soon', 'ok', 'ends soon'],
  );
  assert.equal(certsResult(rows).exitCode, 0);
});
