import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isTemplate, pathTemplate, templateProblem } from './path-template.ts';

// [template, whether it can be read]
for (const [template, isGood] of [
  ['/foo/{*}', true],
  ['/{**}', true],
  ['/{*}/{*}/{**}/x', true],
  ['{*}', false],
  ['foo/{*}', false],
  ['/foo/{*}.js', false],
  ['/foo{*}', false],
  ['/{**}/a/{**}', false],
  ['/{***}', false],
  ['/{id}/{*}', false],
  ['/a*/{*}', false],
] as const) {
  test(`template ${template} can${isGood ? '' : 'not'} be read`, () => {
    assert.equal(templateProblem(template) === null, isGood);
    assert.equal(pathTemplate(template) !== null, isGood);
    assert.equal(isTemplate(template), /\{\*{1,2}\}/.test(template));
  });
}

const segment = fc.constantFrom('a', 'b', '', 'c.d', '{*}');
const plain = fc.constantFrom('a', 'b', '', 'c.d', 'x');

/** As Envoy's URI template matcher is said to work. */
function oracle(template: string): RegExp {
  const parts = template.split('/').map((one) => {
    if (one === '{*}') return '[^/]+';
    return one === '{**}' ? '.*' : one.replace('.', '\\.');
  });
  return new RegExp(`^${parts.join('/')}$`);
}

test('a template matches what its regular expression matches', () => {
  const template = fc
    .tuple(fc.array(segment, { maxLength: 3 }), fc.boolean(), fc.array(segment, { maxLength: 2 }))
    .map(([head, hasMany, tail]) => ['', ...head, ...(hasMany ? ['{**}'] : ['a']), ...tail].join('/'));
  const path = fc.array(plain, { minLength: 1, maxLength: 6 }).map((segments) => `/${segments.join('/')}`);
  fc.assert(
    fc.property(template, path, (one, text) => {
      assert.equal(pathTemplate(one)!(text), oracle(one).test(text), `${one} on ${text}`);
    }),
    { numRuns: 2000 },
  );
});

test('long paths cost no more than their length', () => {
  const test = pathTemplate('/{*}/{*}/{**}/{*}/x')!;
  assert.equal(test(`/${'a/'.repeat(50_000)}y`), false);
});
