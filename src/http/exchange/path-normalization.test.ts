import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalizeTarget } from './path-normalization.ts';

// l7.md §5.4: input, base, merge-slashes, decode-and-merge-slashes.
const rows: readonly (readonly [string, string, string, string])[] = [
  ['/app', '/app', '/app', '/app'],
  ['/app/../admin', '/admin', '/admin', '/admin'],
  ['/app//../admin', '/app/admin', '/app/admin', '/app/admin'],
  ['/app//../../admin', '/admin', '/admin', '/admin'],
  ['/app//', '/app//', '/app/', '/app/'],
  ['/app\\admin', '/app/admin', '/app/admin', '/app/admin'],
  ['/app/%2E./admin', '/admin', '/admin', '/admin'],
  ['/xyz%30..//abc', '/xyz0..//abc', '/xyz0../abc', '/xyz0../abc'],
  ['/app/%2f', '/app/%2f', '/app/%2f', '/app/'],
  ['/app%2f/', '/app%2f/', '/app%2f/', '/app/'],
  ['/%2Fapp%5cadmin%5Cabc', '/%2Fapp%5cadmin%5Cabc', '/%2Fapp%5cadmin%5Cabc', '/app/admin/abc'],
  ['/a#b', '/a', '/a', '/a'],
  ['/a?x=/../%41#b', '/a?x=/../%41', '/a?x=/../%41', '/a?x=/../%41'],
  ['/a/..', '/', '/', '/'],
  ['/a/.', '/a/', '/a/', '/a/'],
  ['/../../a', '/a', '/a', '/a'],
  ['/%252e%252e/a', '/%252e%252e/a', '/%252e%252e/a', '/%252e%252e/a'],
  ['/a/%c0%ae/b', '/a/%c0%ae/b', '/a/%c0%ae/b', '/a/%c0%ae/b'],
  ['/a/..;/b', '/a/..;/b', '/a/..;/b', '/a/..;/b'],
  ['/Admin', '/Admin', '/Admin', '/Admin'],
  ['*', '*', '*', '*'],
];

test('paths are normalised as the reference says', () => {
  for (const [input, base, merged, decoded] of rows) {
    assert.equal(normalizeTarget(input, 'base'), base, input);
    assert.equal(normalizeTarget(input, 'merge-slashes'), merged, input);
    assert.equal(normalizeTarget(input, 'decode-and-merge-slashes'), decoded, input);
  }
});

test('a NUL is refused, and no mode changes nothing but the fragment', () => {
  assert.equal(normalizeTarget('/admin%00', 'base'), null);
  assert.equal(normalizeTarget('/a/../b\\%41#x', 'none'), '/a/../b\\%41');
});

test('each escape: unreserved characters are decoded, slashes where slashes are decoded, all others stay', () => {
  for (let code = 1; code < 256; code++) {
    const hex = code.toString(16).padStart(2, '0');
    for (const written of [`%${hex}`, `%${hex.toUpperCase()}`]) {
      const character = String.fromCharCode(code);
      const plain = /[A-Za-z0-9\-._~]/.test(character) ? `/a${character}b` : `/a${written}b`;
      assert.equal(normalizeTarget(`/a${written}b`, 'base'), plain);
      assert.equal(normalizeTarget(`/a${written}b`, 'merge-slashes'), plain);
      const decoded = character === '/' || character === '\\' ? '/a/b' : plain;
      assert.equal(normalizeTarget(`/a${written}b`, 'decode-and-merge-slashes'), decoded);
      assert.equal(normalizeTarget(`/a${written}b`, 'none'), `/a${written}b`);
    }
  }
});

test('normalising twice changes nothing more, and no dot segment is left', () => {
  const piece = fc.constantFrom('/', '.', '..', '%2e', '%2E', '%2f', '\\', 'a', '%41', '%25', '#', '?', ';');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const once = normalizeTarget(`/${pieces.join('')}`, 'merge-slashes');
      assert.ok(once !== null);
      const [path = ''] = once.split('?');
      assert.ok(!path.split('/').some((segment) => segment === '.' || segment === '..'), once);
    }),
  );
});
