import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashText, mixHash } from './hash.ts';
import { type HashMember, type HashTable, hashRing, maglevTable } from './hash-table.ts';

const membersOf = (count: number, weight = 1): HashMember[] =>
  Array.from({ length: count }, (_, at) => ({ name: `pod-${at}`, weight }));
const keys = Array.from({ length: 20_000 }, (_, at) => hashText(`user-${at}`));

function owners(table: HashTable, members: readonly HashMember[]): string[] {
  return keys.map((key) => members[table.at(table.first(key))]!.name);
}

function shares(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1 / names.length);
  return counts;
}

const tables = [
  ['ring', (members: readonly HashMember[]) => hashRing(members, 1024), 0.35, 0],
  ['maglev', (members: readonly HashMember[]) => maglevTable(members, 65_537), 0.06, 0.02],
] as const;

for (const [kind, make, unevenness, extraMoves] of tables) {
  test(`${kind}: each of ten gets its tenth`, () => {
    const members = membersOf(10);
    for (const [name, share] of shares(owners(make(members), members))) {
      assert.ok(Math.abs(share * 10 - 1) < unevenness, `${name} has ${share}`);
    }
  });

  test(`${kind}: twice the weight gets twice the keys`, () => {
    const members = [{ name: 'heavy', weight: 2 }, ...membersOf(4)];
    const share = shares(owners(make(members), members)).get('heavy') ?? 0;
    assert.ok(Math.abs(share - 2 / 6) < 0.05, `${share}`);
  });

  for (const count of [2, 3, 10, 33]) {
    test(`${kind}: of ${count}, one that goes moves its own keys alone`, () => {
      const all = membersOf(count);
      const rest = all.filter(({ name }) => name !== 'pod-1');
      const before = owners(make(all), all);
      const after = owners(make(rest), rest);
      const moved = keys.filter((_, at) => before[at] !== after[at] && before[at] !== 'pod-1').length;
      assert.ok(moved / keys.length <= extraMoves, `${moved} others moved`);
    });

    test(`${kind}: one more than ${count} takes its share and moves no other key`, () => {
      const all = [...membersOf(count), { name: 'new', weight: 1 }];
      const few = all.slice(0, -1);
      const before = owners(make(few), few);
      const after = owners(make(all), all);
      const changed = after.filter((name, at) => name !== before[at]);
      const toNew = changed.filter((name) => name === 'new').length;
      assert.ok((changed.length - toNew) / keys.length <= extraMoves, `${changed.length - toNew} others moved`);
      const bound = (1 / (count + 1)) * (1 + unevenness) + extraMoves;
      assert.ok(changed.length / keys.length <= bound, `${changed.length} moved`);
    });
  }

  test(`${kind}: the order of members does not matter`, () => {
    const members = membersOf(7).sort((a, b) => (a.name < b.name ? -1 : 1));
    const again = make([...members]);
    assert.deepEqual(owners(make(members), members), owners(again, members));
  });

  test(`${kind}: nobody is there`, () => assert.equal(make([]).first(7), -1));

  test(`${kind}: from any slot every member is reached`, () => {
    const members = membersOf(5);
    const table = make(members);
    const seen = new Set<number>();
    let slot = table.first(hashText('x'));
    for (let step = 1; step < 400 && seen.size < 5; step++) {
      seen.add(table.at(slot));
      slot = table.next(slot, step);
    }
    assert.equal(seen.size, 5);
  });
}

test('hashes are 32 bits without sign, and spread', () => {
  const buckets = new Array<number>(16).fill(0);
  for (let at = 0; at < 16_000; at++) {
    const hash = mixHash(at);
    assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32);
    buckets[hash >>> 28]!++;
  }
  for (const count of buckets) assert.ok(Math.abs(count - 1000) < 150, `${buckets}`);
});
