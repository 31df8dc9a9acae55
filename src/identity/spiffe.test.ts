import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MeshError } from '../base/errors.ts';
import { formatSpiffeId, parseSpiffeId, tryParseSpiffeId } from './spiffe.ts';

const refused = [
  ['no scheme', 'cluster.local/ns/shop/sa/web'],
  ['other scheme', 'https://cluster.local/ns/shop/sa/web'],
  ['upper-case scheme', 'SPIFFE://cluster.local/ns/shop/sa/web'],
  ['trailing slash', 'spiffe://cluster.local/ns/shop/sa/web/'],
  ['more elements', 'spiffe://cluster.local/ns/shop/sa/web/x'],
  ['fewer elements', 'spiffe://cluster.local/ns/shop/sa'],
  ['other keyword', 'spiffe://cluster.local/namespace/shop/sa/web'],
  ['empty trust domain', 'spiffe:///ns/shop/sa/web'],
  ['upper-case trust domain', 'spiffe://Cluster.Local/ns/shop/sa/web'],
  ['empty namespace', 'spiffe://cluster.local/ns//sa/web'],
  ['empty account', 'spiffe://cluster.local/ns/shop/sa/'],
  ['port in the trust domain', 'spiffe://cluster.local:80/ns/shop/sa/web'],
  ['user in the trust domain', 'spiffe://a@cluster.local/ns/shop/sa/web'],
  ['query', 'spiffe://cluster.local/ns/shop/sa/web?x'],
  ['per-cent encoding', 'spiffe://cluster.local/ns/shop/sa/w%65b'],
  ['dots as a segment', 'spiffe://cluster.local/ns/../sa/web'],
  ['white space', 'spiffe://cluster.local/ns/shop/sa/web '],
  ['line break', 'spiffe://cluster.local/ns/shop/sa/web\n'],
  ['too long', `spiffe://cluster.local/ns/shop/sa/${'a'.repeat(300)}`],
] as const;

for (const [title, value] of refused) {
  test(`a SPIFFE id is refused: ${title}`, () => {
    assert.throws(
      () => parseSpiffeId(value),
      (error) => error instanceof MeshError && error.code === 'IDENTITY_INVALID',
    );
    assert.equal(tryParseSpiffeId(value), null);
  });
}

test('format and parse are inverse', () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  fc.assert(
    fc.property(label, label, label, (trustDomain, namespace, serviceAccount) => {
      const parts = { trustDomain, namespace, serviceAccount };
      assert.deepEqual(parseSpiffeId(formatSpiffeId(parts)), parts);
    }),
  );
});

test('a part that would forge another id is refused', () => {
  const forged = { trustDomain: 'cluster.local', namespace: 'shop/sa/admin', serviceAccount: 'web' };
  assert.throws(() => formatSpiffeId(forged), { name: 'MeshError' });
});
