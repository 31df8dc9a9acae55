// What selectors let through, and where it is said that one cannot be read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isMeshError } from './errors.ts';
import { labelTest, meets, parseLabelSelector } from './label-selector.ts';

const labels = { app: 'web', 'app.kubernetes.io/part-of': 'shop', tier: '' };

const rows: readonly [string, boolean][] = [
  ['', true],
  ['  ', true],
  ['app=web', true],
  ['app==web', true],
  ['app = web', true],
  ['app=db', false],
  ['app!=web', false],
  ['app!=db', true],
  ['nothing!=db', true],
  ['tier=', true],
  ['app', true],
  ['nothing', false],
  ['!nothing', true],
  ['! nothing', true],
  ['!app', false],
  ['app in (web, db)', true],
  ['app in(db)', false],
  ['app notin (db)', true],
  ['nothing notin (db)', true],
  ['app notin (web)', false],
  ['in in (a)', false],
  ['app.kubernetes.io/part-of=shop,app in (web,db),!old', true],
  ['app.kubernetes.io/part-of=shop,app in (web,db),old', false],
];
for (const [text, expected] of rows) {
  test(`selector '${text}'`, () => assert.equal(labelTest(text)(labels), expected));
}

test('what has no labels meets only what asks for none', () => {
  assert.equal(labelTest('app')(undefined), false);
  assert.equal(labelTest('!app')(undefined), true);
});

const wrongs: readonly [string, number, RegExp][] = [
  ['=web', 1, /the key of a label is missing/],
  ['app=web,', 9, /the key of a label is missing/],
  ['app=web,,b', 9, /the key of a label is missing/],
  ['app=web tier=db', 9, /',' or the end is missing/],
  ['app in web', 8, /'\(' and a list/],
  ['app in (web', 12, /'\)' is missing/],
  ['app=-web', 5, /'-web' is no value/],
  ['a/b/c', 1, /'a\/b\/c' is no key/],
  ['App_/x', 1, /is no key/],
  [`app=${'x'.repeat(64)}`, 5, /is no value/],
  ['app=a=b', 6, /',' or the end is missing/],
];
for (const [text, column, reason] of wrongs) {
  test(`no selector: '${text}'`, () => {
    assert.throws(
      () => parseLabelSelector(text),
      (error) =>
        isMeshError(error) &&
        error.code === 'USAGE' &&
        error.message.includes(`column ${column}:`) &&
        reason.test(error.message),
    );
  });
}

test('an operator that nobody knows is met by nothing', () => {
  assert.equal(meets({ key: 'app', operator: 'Like', values: ['web'] }, labels), false);
});

test('any text is read or refused with a column', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseLabelSelector(text);
      } catch (error) {
        assert.ok(isMeshError(error) && error.code === 'USAGE' && /column \d+:/.test(error.message));
      }
    }),
  );
});
