import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalIp, cidrContains, formatHostPort, ipFromBytes, ipToBytes, parseCidr, splitHostPort } from './ip.ts';

const canonicalRows = [
  ['10.0.0.1', '10.0.0.1'],
  ['255.255.255.255', '255.255.255.255'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::FFFF:0a01:0203', '10.1.2.3'],
  ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
  ['FD00:10:244:1:0:0:0:5', 'fd00:10:244:1::5'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
  ['::', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['fe80::', 'fe80::'],
  ['::1.2.3.4', '::102:304'],
  ['', null],
  ['010.0.0.1', null],
  ['10.0.0', null],
  ['10.0.0.1/8', null],
  ['::1::', null],
  ['fe80::1%eth0', null],
  ['localhost', null],
] as const;
for (const [text, expected] of canonicalRows) {
  test(`canonicalIp(${JSON.stringify(text)}) is ${expected}`, () => assert.equal(canonicalIp(text), expected));
}

const cidrRows = [
  ['10.1.2.3/8', '10.0.0.0/8'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['fd00:10::5/64', 'fd00:10::/64'],
  ['::1', '::1/128'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ['::ffff:10.0.0.0/95', '::fffe:0:0/95'],
  ['::/0', '::/0'],
  ['10.0.0.0/33', null],
  ['::/129', null],
  ['10.0.0.0/', null],
  ['10.0.0.0/-1', null],
  ['10.0.0.0/08', null],
  ['ten/8', null],
] as const;
for (const [text, expected] of cidrRows) {
  test(`parseCidr(${JSON.stringify(text)}) is ${expected}`, () =>
    assert.equal(parseCidr(text)?.text ?? null, expected));
}

test('cidrContains compares within one family', () => {
  const contains = (cidr: string, ip: string): boolean => cidrContains(parseCidr(cidr)!, ip);
  assert.equal(contains('10.0.0.0/8', '10.255.0.1'), true);
  assert.equal(contains('10.0.0.0/8', '::ffff:10.0.0.1'), true);
  assert.equal(contains('10.0.0.0/8', '11.0.0.1'), false);
  assert.equal(contains('0.0.0.0/0', '::1'), false);
  assert.equal(contains('::/0', '10.0.0.1'), false);
  assert.equal(contains('fd00::/8', 'fdff::1'), true);
  assert.equal(contains('10.0.0.0/8', 'nonsense'), false);
});

test('bytes and text are one to one on canonical addresses', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const canonical = canonicalIp(text)!;
      assert.equal(canonicalIp(canonical), canonical);
      assert.equal(ipFromBytes(ipToBytes(text)!), canonical);
    }),
  );
  assert.equal(ipFromBytes(new Uint8Array(5)), null);
  assert.equal(ipToBytes('x'), null);
});

test('host and port come apart as they were put together', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.integer({ min: 0, max: 65535 }), (host, port) => {
      assert.deepEqual(splitHostPort(formatHostPort(host, port)), { host, port });
    }),
  );
  for (const bad of ['', ':80', 'a', 'a:', 'a:x', 'a:65536', '::1:80', '[::1]', '[a]:1', '[::1:80', 'a:-1', 'a: 1']) {
    assert.equal(splitHostPort(bad), null, bad);
  }
});
