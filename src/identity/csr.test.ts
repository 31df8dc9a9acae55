// Requests that a proxy would never make.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { createCsr, parseCsr } from './csr.ts';
import { bits, decode, encode, integer, oid, oids, sequence, tagged } from './der.ts';
import { pemOf } from './pem.ts';

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A signed request whose key's point begins with another byte. */
function requestWithPointForm(form: (lastByte: number) => number): string {
  const spki = Buffer.from(keys.publicKey.export({ type: 'spki', format: 'der' }));
  spki[spki.length - 65] = form(spki.at(-1)!);
  const info = sequence(integer(Uint8Array.of(0)), sequence(), decode(spki), tagged(0, []));
  const signature = sign('sha256', encode(info), keys.privateKey);
  return pemOf('CERTIFICATE REQUEST', encode(sequence(info, sequence(oid(oids.ecdsaWithSha256)), bits(signature))));
}

test('one key has one spelling: the hybrid form of its point is refused', () => {
  assert.equal(parseCsr(requestWithPointForm(() => 4)).uris.length, 0);
  const hybrid = requestWithPointForm((lastByte) => 6 + (lastByte & 1));
  assert.throws(() => parseCsr(hybrid), { code: 'CA_REFUSED', message: /not an uncompressed point/ });
});

test('a request that we made is taken', () => {
  const identity = 'spiffe://cluster.local/ns/a/sa/b';
  assert.deepEqual(parseCsr(createCsr(identity, keys)).uris, [identity]);
});
