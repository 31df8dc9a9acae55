import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalSerial, RevocationList } from './revocation.ts';
import type { Revocation } from './types.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';

const serialRows = [
  ['7f', '7f'],
  ['7F', '7f'],
  ['0x7F', '7f'],
  ['00:7F:0A', '7f0a'],
  ['0', '0'],
  ['00', '0'],
  ['f'.repeat(40), 'f'.repeat(40)],
  ['f'.repeat(41), null],
  ['', null],
  ['7g', null],
  ['-7f', null],
  [' 7f', null],
] as const;

for (const [text, expected] of serialRows) {
  test(`the serial ${JSON.stringify(text)}`, () => assert.equal(canonicalSerial(text), expected));
}

function revocation(name: string, change: Partial<Revocation>): Revocation {
  return { namespace: 'ambient-system', name, serials: [], identities: [], ...change };
}

const a = revocation('a', { serials: ['7f'], identities: [{ identity: web, issuedBeforeMs: 2_000 }] });
const b = revocation('b', { identities: [{ identity: web, issuedBeforeMs: 1_000 }] });

const findRows = [
  ['another serial, another identity', { serial: '1', uris: [cart], notBeforeMs: 0 }, null],
  ['the serial', { serial: '7f', uris: [cart], notBeforeMs: 9_000 }, 'ambient-system/a'],
  ['the identity, issued before', { serial: '1', uris: [web], notBeforeMs: 1_999 }, 'ambient-system/a'],
  ['the identity, issued just then', { serial: '1', uris: [web], notBeforeMs: 2_000 }, null],
  ['the identity as a second name', { serial: '1', uris: [cart, web], notBeforeMs: 1 }, 'ambient-system/a'],
  ['no name', { serial: '', uris: [], notBeforeMs: 0 }, null],
] as const;

for (const order of [
  [a, b],
  [b, a],
]) {
  const list = new RevocationList();
  list.apply({ revocations: order });
  for (const [title, certificate, expected] of findRows) {
    test(`${title}, with ${order.map(({ name }) => name).join(' before ')}`, () => {
      assert.equal(list.find(certificate), expected);
    });
  }
}

test('changes are told from repetitions; of two times the one that is left counts', () => {
  const list = new RevocationList();
  assert.equal(list.apply({ revocations: [a, b] }), true);
  assert.equal(list.apply({ revocations: [structuredClone(a)] }), false);
  assert.equal(list.issuedBeforeMs(web), 2_000);
  assert.equal(list.apply({ removedRevocations: ['ambient-system/a', 'ambient-system/none'] }), true);
  assert.equal(list.find({ serial: '7f', uris: [cart], notBeforeMs: 0 }), null);
  assert.equal(list.issuedBeforeMs(web), 1_000);
  assert.equal(list.apply({ complete: true }), false, 'a complete mesh that says nothing about them');
  assert.equal(list.apply({ complete: true, revocations: [a] }), true);
  assert.deepEqual(list.values(), [a]);
  assert.equal(list.apply({ complete: true, revocations: [] }), true);
  assert.equal(list.size, 0);
});
