import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldsOfJson, type Keep, pickJson } from './json-pick.ts';

const names = ['a', 'b', 'metadata', 'ä', 'x"y', 'long-name-of-a-field'] as const;

/** JSON with names that `keeps` may mean. */
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
    fc.dictionary(fc.constantFrom(...names), tie('value')),
    fc.array(tie('value'), { maxLength: 4 }),
  ),
})).value;

const sizeOf = (value: unknown): number => JSON.stringify(value).length;
const keeps = fc.letrec<{ keep: Keep }>((tie) => ({
  keep: fc.oneof(
    { depthSize: 'small' },
    fc.constant<Keep>(true),
    fc.constant<Keep>(sizeOf),
    fc.dictionary(fc.constantFrom(...names), tie('keep')),
  ),
})).keep;

/** The same by way of the whole value. */
function picked(value: unknown, keep: Keep): unknown {
  if (keep === true) return value;
  if (typeof keep === 'function') return keep(value);
  if (Array.isArray(value)) return value.map((item) => picked(item, keep));
  if (typeof value !== 'object' || value === null) return value;
  const fields = value as Record<string, unknown>;
  const kept = Object.entries(keep).filter(([name]) => Object.hasOwn(fields, name));
  return Object.fromEntries(kept.map(([name, inner]) => [name, picked(fields[name], inner)]));
}

const bytesOf = (value: unknown, space = 0): Buffer => Buffer.from(JSON.stringify(value, null, space));

test('what is picked is what the whole value has there, in the order of what was asked for', () => {
  fc.assert(
    fc.property(values, keeps, fc.constantFrom(0, 2), (value, keep, space) => {
      const whole = JSON.parse(JSON.stringify(value)) as unknown;
      const found = pickJson(bytesOf(value, space), keep);
      assert.equal(JSON.stringify(found), JSON.stringify(picked(whole, keep)));
    }),
    { numRuns: 500 },
  );
});

test('the fields of a mapping, as bytes', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), values), fc.constantFrom(0, 2), (value, space) => {
      const found = [...fieldsOfJson(bytesOf(value, space))].map(([name, bytes]) => [name, JSON.parse(String(bytes))]);
      assert.deepEqual(Object.fromEntries(found), JSON.parse(JSON.stringify(value)));
    }),
  );
  assert.deepEqual([...fieldsOfJson(Buffer.from(' [1] '))], []);
});

test('the beginning of a mapping is none, wherever it ends', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), values), keeps, fc.nat(), (value, keep, at) => {
      const bytes = bytesOf(value);
      assert.throws(() => pickJson(bytes.subarray(0, at % bytes.length), keep), SyntaxError);
      assert.throws(() => fieldsOfJson(Buffer.concat([bytes, Buffer.from('}')])), SyntaxError);
    }),
  );
});

test('what is no JSON', () => {
  const bad = [
    '',
    ' ',
    '{',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{a:1}',
    '{"a":1 "b":2}',
    '[1 2]',
    '{"a":tru}',
    '"\n"',
    '{}x',
  ];
  for (const text of bad) {
    assert.throws(() => pickJson(Buffer.from(text), { a: true }), SyntaxError, text);
  }
});

test('a string that is kept is a copy, and keeps no page in memory', () => {
  const bytes = Buffer.from('{"a":"0123456789abcdef"}');
  const { a } = pickJson(bytes, { a: true }) as { a: string };
  bytes.fill(0x20);
  assert.equal(a, '0123456789abcdef');
});
