// The text of a template: YAML, with the holes and conditions of a tree in helm's language.
import { stringify } from 'yaml';
import { MeshError } from '../../src/base/errors.ts';
import { expressionOf, type hole, holePattern } from './holes.ts';
import type { Guarded, Node } from './variants.ts';

/** How a template is written out. */
export interface Writing {
  /** Which path a number stands for. */
  readonly numbers: ReadonlyMap<number, string>;
  /** The line that stands above a part, by its path in the tree (`DaemonSet.spec.template`). */
  readonly comments: { get(at: string): string | undefined };
}

/** Lines of a tree, from `indent` on. @throws MeshError USAGE for what cannot be said. */
export function templateLines(node: Node, at: string, writing: Writing, indent = 0): string[] {
  if (node.is === 'mapping') return partsLines(node.parts, at, writing, indent, entryLines);
  if (node.is === 'list') return partsLines(node.parts, at, writing, indent, itemLines);
  throw new MeshError('USAGE', { reason: `${at} is neither a mapping nor a list` });
}

type LinesOf = (part: Guarded, at: string, writing: Writing, indent: number) => string[];

function partsLines(parts: readonly Guarded[], at: string, writing: Writing, indent: number, linesOf: LinesOf) {
  const pad = ' '.repeat(indent);
  const lines: string[] = [];
  let open = '';
  const change = (condition: string): void => {
    if (condition === open) return;
    if (open !== '') lines.push(`${pad}{{- end }}`);
    if (condition !== '') lines.push(`${pad}{{- if ${condition} }}`);
    open = condition;
  };
  for (const part of parts) {
    change(part.when.length > 1 ? `and ${part.when.map(inBrackets).join(' ')}` : (part.when[0] ?? ''));
    const path = `${at}.${part.key}`;
    const comment = writing.comments.get(path);
    lines.push(...(comment === undefined ? [] : [`${pad}# ${comment}`]), ...linesOf(part, path, writing, indent));
  }
  change('');
  return lines;
}

function entryLines({ key, node }: Guarded, at: string, writing: Writing, indent: number): string[] {
  const pad = ' '.repeat(indent);
  const fields = holeOf(key, 'fields');
  if (fields !== null) {
    const lines = ['{{- with EXPRESSION }}', `{{- toYaml . | nindent ${indent} }}`, '{{- end }}'];
    return lines.map((line) => pad + line.replace('EXPRESSION', expressionOf(fields)));
  }
  const name = literal(stringify(key, { lineWidth: 0 }).trimEnd());
  if (node.is === 'mapping' || node.is === 'list') {
    const all = wholeOf(node);
    if (all !== null) return [`${pad}${name}: {{ toJson ${expressionOf(all)} }}`];
    if (node.parts.length === 0) return [`${pad}${name}: ${node.is === 'list' ? '[]' : '{}'}`];
    refuseEmpty(node.parts, at);
    return [`${pad}${name}:`, ...templateLines(node, at, writing, indent + 2)];
  }
  if (node.is === 'scalar' && typeof node.value === 'string') {
    const include = holeOf(node.value, 'include');
    if (include?.endsWith(' as YAML')) {
      return [`${pad}${name}:`, `${pad}  {{- ${include.replace(/ as YAML$/, '')} | nindent ${indent + 2} }}`];
    }
    if (include?.endsWith(' as text')) {
      return [`${pad}${name}: |`, `${pad}  {{- ${include.replace(/ as text$/, '')} | nindent ${indent + 2} }}`];
    }
  }
  return [`${pad}${name}: ${scalarText(node, writing, indent)}`];
}

function itemLines({ node }: Guarded, at: string, writing: Writing, indent: number): string[] {
  const pad = ' '.repeat(indent);
  const each = eachOf(node);
  if (each !== null) {
    const range = `${pad}{{- range ${expressionOf(each)} }}`;
    return [range, ...itemText(node, at, writing, indent), `${pad}{{- end }}`];
  }
  return itemText(node, at, writing, indent);
}

function itemText(node: Node, at: string, writing: Writing, indent: number): string[] {
  const pad = ' '.repeat(indent);
  if (node.is === 'scalar' || node.is === 'either') return [`${pad}- ${scalarText(node, writing, indent)}`];
  if (node.parts.length === 0) return [`${pad}- ${node.is === 'list' ? '[]' : '{}'}`];
  refuseEmpty(node.parts, at);
  const unguarded = node.parts.findIndex(({ when }) => when.length === 0);
  const parts = [node.parts[unguarded]!, ...node.parts.filter((_part, index) => index !== unguarded)];
  const [first, ...rest] = templateLines({ ...node, parts }, at, writing, indent + 2);
  return [`${pad}- ${first!.trimStart()}`, ...rest];
}

/** What is all conditional could be nothing at all, which is null in YAML. */
function refuseEmpty(parts: readonly Guarded[], at: string): void {
  if (parts.some(({ when }) => when.length === 0)) return;
  throw new MeshError('USAGE', { reason: `${at} may be empty: leave it out with its last part, or make it a helper` });
}

function scalarText(node: Node, writing: Writing, indent: number): string {
  if (node.is === 'either') {
    if (isScalar(node.ifOn, true) && isScalar(node.ifOff, false)) return `{{ ${node.when} }}`;
    const [then, otherwise] = [node.ifOn, node.ifOff].map((one) => scalarText(one, writing, indent));
    return then === otherwise ? then! : `{{ if ${node.when} }}${then}{{ else }}${otherwise}{{ end }}`;
  }
  if (node.is !== 'scalar') throw new MeshError('USAGE', { reason: 'a mapping or list in place of a scalar' });
  const { value } = node;
  if (typeof value === 'number') {
    const path = writing.numbers.get(value);
    return path === undefined ? String(value) : `{{ int ${expressionOf(path)} }}`;
  }
  if (typeof value !== 'string') return String(value);
  return value.search(holePattern) < 0 ? plainText(value, indent) : filledText(value);
}

/** A line that is no YAML, with what the holes ask for. */
export function lineText(text: string): string {
  return literal(text).replaceAll(holePattern, (_all, _kind, what: string) => `{{ ${expressionOf(what)} }}`);
}

/** Text with holes, always quoted: what comes in might look like a number. */
function filledText(text: string): string {
  const values: string[] = [];
  const format = text.replaceAll('%', '%%').replaceAll(holePattern, (_all, kind: string, what: string) => {
    values.push(kind === 'value' ? expressionOf(what) : kind === 'each' ? '.' : `(${what})`);
    return '%s';
  });
  return format === '%s'
    ? `{{ ${unbracketed(values[0]!)} | quote }}`
    : `{{ printf ${JSON.stringify(format)} ${values.join(' ')} | quote }}`;
}

function plainText(text: string, indent: number): string {
  const lines = stringify({ k: text }, { lineWidth: 0 })
    .replace(/^k:\s?/, '')
    .trimEnd()
    .split('\n');
  return lines.map((line, index) => (index === 0 ? literal(line) : ' '.repeat(indent) + literal(line))).join('\n');
}

/** What the engine would take for its own. */
const literal = (text: string): string => text.replaceAll('{{', '{{ "{{" }}');
const inBrackets = (condition: string): string => (/^[.\w]+$/.test(condition) ? condition : `(${condition})`);
const unbracketed = (expression: string): string => expression.replace(/^\((.*)\)$/, '$1');
const isScalar = (node: Node, value: unknown): boolean => node.is === 'scalar' && node.value === value;

function holeOf(text: string, kind: Parameters<typeof hole>[0]): string | null {
  const [match] = text.matchAll(holePattern);
  return match?.[0] === text && match[1] === kind ? match[2]! : null;
}

/** The value that a mapping or a list is, as it was given. */
function wholeOf({ parts }: { readonly parts: readonly Guarded[] }): string | null {
  const [part, ...others] = parts;
  if (part === undefined || others.length > 0) return null;
  if (part.node.is === 'scalar' && part.node.value !== '') return holeOf(String(part.node.value), 'each');
  return holeOf(part.key, 'fields');
}

/** The list whose every member an item stands for. */
function eachOf(node: Node): string | null {
  if (node.is === 'scalar') {
    const [match] = String(node.value).matchAll(holePattern);
    return match?.[1] === 'each' ? match[2]! : null;
  }
  if (node.is === 'either') return null;
  return node.parts.map((part) => eachOf(part.node)).find((path) => path !== null) ?? null;
}
