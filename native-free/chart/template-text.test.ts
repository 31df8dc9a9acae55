// Trees of objects as templates of helm; that helm makes objects of them again is tested in test/helm.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hole } from './holes.ts';
import { templateLines } from './template-text.ts';
import { joined, type Variant } from './variants.ts';

const numbers = new Map([[7, 'replicas']]);
const name = hole('value', 'name');

function lines(whole: unknown, ...variants: readonly Variant[]): string {
  return templateLines(joined(whole, variants, 'it'), 'it', { numbers, comments: new Map([['it.b', 'why']]) }).join(
    '\n',
  );
}

describe('a template', () => {
  const rows: readonly (readonly [title: string, whole: unknown, variants: readonly Variant[], text: string])[] = [
    ['has plain values', { a: 1, b: 'x', c: [] }, [], 'a: 1\n# why\nb: x\nc: []'],
    ['asks for values', { a: name, n: 7 }, [], 'a: {{ .Values.name | quote }}\nn: {{ int .Values.replicas }}'],
    ['joins text', { a: `x-${name}%` }, [], 'a: {{ printf "x-%s%%" .Values.name | quote }}'],
    ['leaves braces to whom they belong', { a: 'by {{pod}}' }, [], 'a: by {{ "{{" }}pod}}'],
    [
      'has a condition around what is there only with a switch on',
      { a: 1, b: { c: 2 } },
      [{ off: '.Values.on', tree: { a: 1 } }],
      'a: 1\n{{- if .Values.on }}\n# why\nb:\n  c: 2\n{{- end }}',
    ],
    [
      'has another one around what is there only with it off',
      { a: 1 },
      [{ off: '.Values.on', tree: { a: 1, c: 2 } }],
      'a: 1\n{{- if not (.Values.on) }}\nc: 2\n{{- end }}',
    ],
    [
      'joins the conditions of two switches',
      { a: 1, b: 2 },
      [
        { off: '.Values.x', tree: { a: 1 } },
        { off: 'ge 1 2', tree: { a: 1 } },
      ],
      'a: 1\n{{- if and .Values.x (ge 1 2) }}\n# why\nb: 2\n{{- end }}',
    ],
    [
      'chooses between two values',
      { a: 'x', t: true },
      [{ off: '.Values.on', tree: { a: 'y', t: false } }],
      'a: {{ if .Values.on }}x{{ else }}y{{ end }}\nt: {{ .Values.on }}',
    ],
    [
      'goes through a list',
      { a: [{ name: hole('each', 'list') }] },
      [],
      'a:\n  {{- range .Values.list }}\n  - name: {{ . | quote }}\n  {{- end }}',
    ],
    [
      'passes a list and a mapping on',
      { a: [hole('each', 'list')], b: { [hole('fields', 'map')]: '' } },
      [{ off: '.Values.list', tree: { a: [], b: { [hole('fields', 'map')]: '' } } }],
      'a: {{ toJson .Values.list }}\n# why\nb: {{ toJson .Values.map }}',
    ],
    [
      'has items by their names',
      { a: [{ name: 'x' }, { name: 'z', c: 1 }] },
      [{ off: '.Values.on', tree: { a: [{ name: 'z', c: 1 }] } }],
      'a:\n  {{- if .Values.on }}\n  - name: x\n  {{- end }}\n  - name: z\n    c: 1',
    ],
  ];
  for (const [title, whole, variants, text] of rows) {
    it(title, () => assert.equal(lines(whole, ...variants), text));
  }

  it('says what it cannot say', () => {
    const off = (tree: unknown, condition = '.Values.on'): Variant => ({ off: condition, tree });
    assert.throws(() => lines({ a: { b: 1 } }, off({ a: {} })), /it\.a may be empty/);
    assert.throws(() => lines({ a: 1 }, off({ a: 2 }), off({ a: 3 }, '.Values.other')), /it\.a depends on .Values\.on/);
  });
});
