import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import { formatPlace, placeOf, readYaml } from './yaml.ts';

test('documents keep the places of values and keys', () => {
  const text = 'a: 1\n---\n# empty\n---\nb:\n  - c: x\n    d: [1, 2]\n';
  const [first, second, ...rest] = readYaml(text, 'f.yaml');
  assert.deepEqual([first?.value, second?.value, rest], [{ a: 1 }, { b: [{ c: 'x', d: [1, 2] }] }, []]);
  const place = (path: (string | number)[]): string => formatPlace(second!.place(path));
  assert.equal(place([]), 'f.yaml:5:1');
  assert.equal(place(['b', 0, 'c']), 'f.yaml:6:8');
  assert.equal(formatPlace(second!.keyPlace(['b', 0, 'c'])), 'f.yaml:6:5');
  assert.equal(place(['b', 0, 'd', 1]), 'f.yaml:7:12');
  assert.equal(place(['b', 0, 'missing', 'deeper']), 'f.yaml:6:5');
});

test('aliases and merge keys are followed', () => {
  const [document] = readYaml('base: &base {x: 1}\nuse:\n  <<: *base\n  y: *base\n', 'f.yaml');
  assert.deepEqual(document?.value, { base: { x: 1 }, use: { x: 1, y: { x: 1 } } });
  assert.equal(formatPlace(document!.place(['use', 'y', 'x'])), 'f.yaml:1:17');
});

test('JSON is read as JSON and still knows its places', () => {
  const [document] = readYaml('{\n  "a": [true,\n    {"b": null}]}', 'f.json');
  assert.deepEqual(document?.value, { a: [true, { b: null }] });
  assert.equal(formatPlace(document!.place(['a', 1, 'b'])), 'f.json:3:11');
});

const errorRows = [
  ['a: [1, 2', 'INPUT_UNREADABLE', 1],
  ['a: 1\nb: 2\na: 3\n', 'INPUT_UNREADABLE', 3],
  ['a: 1\n\tb: 2\n', 'INPUT_UNREADABLE', 2],
  ['{"a": 1,\n "b": }x', 'INPUT_UNREADABLE', 2],
  ['ok: 1\n---\na: "open\n', 'INPUT_UNREADABLE', 4],
  ['a: 1\nlabels:\n  {b: c}: d\n', 'INPUT_UNREADABLE', 3],
  ['a: &x [1]\n*x : d\n', 'INPUT_UNREADABLE', 2],
  ['%YAML 1.1\n---\na: 1\n? !!binary aGk=\n: d\n', 'INPUT_UNREADABLE', 4],
  ['%YAML 1.1\n---\na: 2026-01-01\n', 'INPUT_UNREADABLE', 3],
  ['%YAML 1.1\n---\na: !!set {b}\n', 'INPUT_UNREADABLE', 3],
] as const;
for (const [text, code, line] of errorRows) {
  test(`${JSON.stringify(text)} is refused on line ${line}`, () => {
    assert.throws(
      () => readYaml(text, 'f.yaml'),
      (error: unknown) => {
        assert.ok(isMeshError(error));
        assert.equal(error.code, code);
        assert.equal(placeOf(error)?.line, line, error.message);
        assert.ok(error.message.startsWith(`f.yaml:${line}:`), error.message);
        return true;
      },
    );
  });
}

test('an alias bomb is refused, not expanded', () => {
  const rows = Array.from({ length: 20 }, (_, at) => `l${at + 1}: &l${at + 1} [*l${at}, *l${at}, *l${at}]`);
  assert.throws(() => readYaml(`l0: &l0 x\n${rows.join('\n')}`, 'f.yaml'), { code: 'INPUT_UNREADABLE' });
});
