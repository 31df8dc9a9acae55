import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConsistentHash } from '../../model/route-types.ts';
import { requestOf, seededRandom } from '../testing-requests.ts';
import { hashText } from './hash.ts';
import { cookieValue, hashOfRequest, newStickyCookie, noHash, queryValue } from './request-hash.ts';

const by = (key: ConsistentHash['key']): ConsistentHash => ({ key, table: 'ring', size: 1024 });
const cookie = (ttlMs: number | null, path = '/') => by({ kind: 'cookie', name: 'user', path, ttlMs });

// [what, key, request, hashed text or null]
const rows = [
  ['header', by({ kind: 'header', name: 'X-User' }), requestOf('GET /', [['x-user', 'ann']]), 'ann'],
  ['header, absent', by({ kind: 'header', name: 'x-user' }), requestOf('GET /'), null],
  ['header, empty', by({ kind: 'header', name: 'x-user' }), requestOf('GET /', [['x-user', '']]), null],
  ['query', by({ kind: 'query', name: 'user' }), requestOf('GET /a?x=1&user=ann&user=bob'), 'ann'],
  ['query, absent', by({ kind: 'query', name: 'user' }), requestOf('GET /a?xuser=1&users=2'), null],
  ['cookie', cookie(null), requestOf('GET /', [['cookie', 'a=1; user=ann']]), 'ann'],
  ['cookie, absent', cookie(0), requestOf('GET /', [['cookie', 'xuser=ann; usery=1']]), null],
  ['source', by({ kind: 'source' }), requestOf('GET /'), '10.244.1.5'],
] as const;
for (const [what, hash, request, text] of rows) {
  test(`key: ${what}`, () => {
    assert.equal(hashOfRequest(hash, request, '10.244.1.5'), text === null ? noHash : hashText(text));
  });
}

// [cookies, value]
const cookieRows = [
  ['user=ann', 'ann'],
  ['user="ann"', 'ann'],
  ['a=user=2;user=ann', 'ann'],
  ['user=', ''],
  ['user', null],
  ['', null],
  ['; ;user=a=b ; x', 'a=b'],
] as const;
for (const [text, value] of cookieRows) {
  test(`cookie "${text}"`, () => assert.equal(cookieValue(text, 'user'), value));
}

// [target, value]
const queryRows = [
  ['/', null],
  ['/?user', ''],
  ['/?user=', ''],
  ['/?user=a=b&c', 'a=b'],
  ['/?a&user=1', '1'],
  ['/user=1', null],
] as const;
for (const [target, value] of queryRows) {
  test(`query of ${target}`, () => assert.equal(queryValue(target, 'user'), value));
}

test('a cookie with a time to live is made, and the next request follows it', () => {
  const made = newStickyCookie(cookie(3_600_000), seededRandom())!;
  const [, value] = /^user="([0-9a-f]{16})"; Max-Age=3600; Path=\/; HttpOnly$/.exec(made.setCookie)!;
  const next = requestOf('GET /', [['cookie', `user="${value}"`]]);
  assert.equal(hashOfRequest(cookie(3_600_000), next, ''), made.hash);
});

test('a session cookie has no age; without a time to live there is none', () => {
  assert.match(newStickyCookie(cookie(0, ''), seededRandom())!.setCookie, /^user="[0-9a-f]{16}"; HttpOnly$/);
  assert.equal(newStickyCookie(cookie(null), seededRandom()), null);
  assert.equal(newStickyCookie(by({ kind: 'source' }), seededRandom()), null);
});
