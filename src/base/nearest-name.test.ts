// Which names count as near, which as a slip of the pen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { didYouMean, namesText, nearestName, slipOf, thereIs } from './nearest-name.ts';

const rows: readonly [word: string, names: readonly string[], nearest: string | null, slip: string | null][] = [
  ['v3', ['v1', 'v2'], 'v2', null],
  ['v3', ['v2'], 'v2', null],
  ['reviews-v2', ['reviews-v1', 'ratings'], 'reviews-v1', null],
  ['reveiws', ['reviews', 'ratings'], 'reviews', 'reviews'],
  ['review', ['reviews', 'previews'], 'reviews', 'reviews'],
  ['carts', ['cart', 'cards'], 'cart', null],
  ['Cart', ['cart'], 'cart', 'cart'],
  ['a', ['b'], 'b', null],
  ['payment', ['cart'], null, null],
  ['waypoint', [], null, null],
];

for (const [word, names, nearest, slip] of rows) {
  test(`nearest to ${word} of ${names.join(', ')}`, () => {
    assert.equal(nearestName(word, names), nearest);
    assert.equal(slipOf(word, names), slip);
  });
}

test('what there is, in words', () => {
  assert.equal(thereIs('v3', ['v2', 'v1'], 'it has'), 'it has v1, v2; did you mean v2?');
  assert.equal(thereIs('v3', [], 'it has'), 'it has none');
  assert.equal(namesText('hgfedcba'), 'a, b, c, d, e, f and 2 more');
  assert.equal(didYouMean('x', ['payment']), '');
});

test('two neighbours that are swapped, or one letter gone, are found among many', () => {
  const name = fc.stringMatching(/^[a-z]{6,12}$/);
  const slips = fc.tuple(name, fc.nat(4), fc.boolean(), fc.array(name)).map(([right, at, isSwap, others]) => {
    const rest = right.slice(at + 2);
    const middle = isSwap ? `${right[at + 1]}${right[at]}` : `${right[at]}`;
    return { right, wrong: `${right.slice(0, at)}${middle}${rest}`, others };
  });
  fc.assert(
    fc.property(slips, ({ right, wrong, others }) => {
      assert.ok(nearestName(wrong, [...others, right]) !== null);
      assert.equal(nearestName(wrong, [right]), right);
      if (wrong !== right) assert.equal(slipOf(wrong, [right]), right);
    }),
  );
});
