import assert from 'node:assert/strict';
import { BlockList, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { CidrTable } from './cidr-table.ts';
import { type Cidr, parseCidr } from './ip.ts';

// Few distinct bits, so that networks nest and addresses hit them.
const ipv4 = fc.tuple(fc.constantFrom(10, 11, 192), fc.constantFrom(0, 1, 128), fc.constantFrom(0, 255), fc.nat(3));
const ipv4Text = ipv4.map((octets) => octets.join('.'));
const ipv6Text = fc
  .tuple(fc.constantFrom('fd00', 'fd01', '2001'), fc.constantFrom('0', '1', '8000'), fc.nat(3))
  .map(([first, second, last]) => `${first}:${second}::${last}`);
const address = fc.oneof(ipv4Text, ipv6Text);
const cidr = fc.oneof(
  fc.tuple(ipv4Text, fc.integer({ min: 0, max: 32 })).map(([ip, length]) => parseCidr(`${ip}/${length}`)!),
  fc.tuple(ipv6Text, fc.integer({ min: 0, max: 128 })).map(([ip, length]) => parseCidr(`${ip}/${length}`)!),
);

// BlockList finds IPv4 addresses in IPv6 networks such as ::/0; families never meet here.
function blockList(cidrs: readonly Cidr[], family: 4 | 6): BlockList {
  const list = new BlockList();
  for (const one of cidrs.filter((each) => each.family === family))
    list.addSubnet(one.address, one.length, one.family === 4 ? 'ipv4' : 'ipv6');
  return list;
}

test('the table holds an address exactly when net.BlockList does, and answers with the longest prefix', () => {
  fc.assert(
    fc.property(fc.array(cidr, { maxLength: 12 }), fc.array(cidr, { maxLength: 4 }), address, (added, gone, ip) => {
      const table = new CidrTable<string>();
      for (const one of added) table.set(one, one.text);
      for (const one of gone) table.delete(one);
      const goneTexts = new Set(gone.map((one) => one.text));
      const held = new Map(added.filter((one) => !goneTexts.has(one.text)).map((one) => [one.text, one]));
      assert.equal(table.size, held.size);
      assert.deepEqual(new Set([...table.entries()].map(([one]) => one.text)), new Set(held.keys()));
      const family = isIPv6(ip) ? 6 : 4;
      const hits = [...held.values()].filter((one) => blockList([one], family).check(ip, `ipv${family}`));
      hits.sort((a, b) => b.length - a.length);
      assert.equal(blockList([...held.values()], family).check(ip, `ipv${family}`), table.lookup(ip) !== undefined);
      assert.equal(table.lookup(ip), hits[0]?.text);
      assert.deepEqual(
        table.matches(ip).map((match) => match.value),
        hits.map((hit) => hit.text),
      );
    }),
    { numRuns: 500 },
  );
});

test('set replaces the value of a network, get asks for exactly one', () => {
  const table = new CidrTable<number>();
  const wide = parseCidr('10.0.0.0/8')!;
  table.set(wide, 1);
  table.set(wide, 2);
  assert.equal(table.size, 1);
  assert.equal(table.get(wide), 2);
  assert.equal(table.get(parseCidr('10.0.0.0/9')!), undefined);
  assert.equal(table.lookup('not an address'), undefined);
  assert.equal(table.delete(parseCidr('10.0.0.0/9')!), false);
});
