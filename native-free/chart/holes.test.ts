// What is made with holes, and how a choice among words that decides something is found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boolean, integer, list, object, oneOf, string } from '../../src/config/schema.ts';
import { holesOf, variantsOf } from './holes.ts';
import { templateLines } from './template-text.ts';
import { joined } from './variants.ts';

interface Values {
  readonly mode: 'a' | 'b';
  readonly on: boolean;
  readonly names: readonly string[];
  readonly count: number;
}

const { schema } = object({
  mode: oneOf(['a', 'b'], 'a'),
  on: boolean(false),
  names: list(string(), []),
  count: integer({ min: 0, max: 9 }, 1),
});

function textOf(make: (values: Values) => unknown): string {
  const holes = holesOf(schema);
  const { whole, variants } = variantsOf(holes, (values) => make(values as unknown as Values));
  const writing = { numbers: holes.numbers, comments: new Map<string, string>() };
  return templateLines(joined(whole, variants, 'it'), 'it', writing).join('\n');
}

test('a word that decides nothing is only asked for', () => {
  assert.equal(
    textOf(({ mode, count }) => ({ mode, count })),
    'mode: {{ .Values.mode | quote }}\ncount: {{ int .Values.count }}',
  );
});

test('a word that decides something is a condition', () => {
  const text = textOf(({ mode }) => ({ mode, ...(mode === 'b' && { more: 1 }), say: mode === 'a' ? 'x' : 'y' }));
  assert.deepEqual(text.split('\n'), [
    'mode: {{ .Values.mode | quote }}',
    '{{- if eq .Values.mode "b" }}',
    'more: 1',
    '{{- end }}',
    'say: {{ if ne .Values.mode "a" }}y{{ else }}x{{ end }}',
  ]);
});

test('a boolean, and a list that may be empty, are conditions', () => {
  const text = textOf(({ on, names }) => ({ on, ...(names.length > 0 && { names }) }));
  assert.equal(text, 'on: {{ .Values.on }}\n{{- if .Values.names }}\nnames: {{ toJson .Values.names }}\n{{- end }}');
});
