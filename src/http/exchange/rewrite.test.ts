import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PathMatch, Redirect } from '../../model/route-types.ts';
import { locationOf, replacePrefix } from './rewrite.ts';

function matchOf(kind: PathMatch['kind'], value: string): PathMatch {
  return { kind, value, ignoreCase: false };
}

test('prefixes are replaced as Gateway API says', () => {
  const rows = [
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/bar', '/foo', '/', '/bar'],
    ['/foo', '/foo', '/', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/a/b', '/', '/x', '/x/a/b'],
    ['/strip-prefix/three', '/strip-prefix', '/', '/three'],
  ] as const;
  for (const [path, prefix, value, expected] of rows) {
    assert.equal(replacePrefix(path, matchOf('segments', prefix), value), expected, `${path} ${prefix} ${value}`);
  }
});

test('prefixes are replaced as VirtualService says', () => {
  assert.equal(replacePrefix('/foo/bar', matchOf('prefix', '/foo'), '/'), '//bar');
  assert.equal(replacePrefix('/foobar', matchOf('prefix', '/foo'), '/new'), '/newbar');
  assert.equal(replacePrefix('/foo', matchOf('exact', '/foo'), '/new/path'), '/new/path');
});

const none: Redirect = { scheme: null, authority: null, port: null, path: null, status: 302 };

test('locations of redirects', () => {
  const rows: readonly (readonly [Partial<Redirect>, number, string])[] = [
    [{ authority: 'example.org' }, 80, 'http://example.org/a/b?k=v'],
    [{ port: 8083 }, 80, 'http://shop:8083/a/b?k=v'],
    [{ scheme: 'https' }, 80, 'https://shop/a/b?k=v'],
    [{ path: { kind: 'prefix', value: '/new' } }, 80, 'http://shop/new/b?k=v'],
    [{ path: { kind: 'full', value: '/full' } }, 80, 'http://shop/full?k=v'],
    [{ path: { kind: 'prefix', value: '/n' }, authority: 'x.org' }, 80, 'http://x.org/n/b?k=v'],
    // l7.md §1.4.5, RedirectPortAndScheme
    [{}, 80, 'http://shop/a/b?k=v'],
    [{ port: 80 }, 80, 'http://shop/a/b?k=v'],
    [{ port: 8080 }, 80, 'http://shop:8080/a/b?k=v'],
    [{ scheme: 'https', port: 443 }, 80, 'https://shop/a/b?k=v'],
    [{ scheme: 'https', port: 8443 }, 80, 'https://shop:8443/a/b?k=v'],
    [{}, 8080, 'http://shop:8080/a/b?k=v'],
    [{ port: 80 }, 8080, 'http://shop/a/b?k=v'],
    [{ scheme: 'https' }, 8080, 'https://shop/a/b?k=v'],
    // VirtualService
    [{ authority: 'b:85' }, 80, 'http://b:85/a/b?k=v'],
    [{ scheme: 'https', port: 'request' }, 80, 'https://shop:80/a/b?k=v'],
    [{ scheme: 'https', port: 'scheme' }, 8080, 'https://shop/a/b?k=v'],
  ];
  for (const [redirect, port, expected] of rows) {
    const request = { scheme: 'http', authority: 'shop', target: '/a/b?k=v', port };
    const location = locationOf({ ...none, ...redirect }, request, matchOf('segments', '/a'));
    assert.equal(location, expected, JSON.stringify(redirect));
  }
});
