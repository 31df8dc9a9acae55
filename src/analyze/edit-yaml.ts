// Writes changes into the text of a manifest. Only the letters that change are touched: comments, order, quotes,
// indentation and ends of lines stay as their author wrote them.
import {
  type Document,
  isCollection,
  isMap,
  isScalar,
  type Pair,
  parseAllDocuments,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import type { PlacedChange } from './changes.ts';

export interface EditedText {
  readonly text: string;
  /** Changes that were not made, and why. */
  readonly refused: ReadonlyMap<PlacedChange, string>;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What stands at an offset of a text. A value that an anchor shares is not there: it stands for other places too. */
interface Nodes {
  readonly scalars: ReadonlyMap<number, Scalar>;
  readonly pairs: ReadonlyMap<number, Pair>;
  readonly maps: ReadonlyMap<number, YAMLMap>;
}

/** A plain scalar like these is no text any more. */
const noText = /^(?:true|false|null|yes|no|on|off|~|[-+.\d].*)$/i;

/** The text with the changes that can be made where they are said to be. Pure. */
export function editYaml(text: string, changes: readonly PlacedChange[]): EditedText {
  const nodes = nodesOf(text);
  const lines = lineStarts(text);
  const refused = new Map<PlacedChange, string>();
  const edits: Edit[] = [];
  for (const change of changes) {
    const offset = (lines[change.place.line - 1] ?? 0) + change.place.column - 1;
    const edit = editFor(text, nodes, change, offset);
    if (typeof edit === 'string') refused.set(change, edit);
    else if (edits.some((other) => edit.start < other.end && other.start < edit.end)) {
      refused.set(change, 'something else is changed at this place');
    } else if (!edits.some((other) => other.start === edit.start && other.text === edit.text)) edits.push(edit);
  }
  let edited = text;
  for (const { start, end, text: put } of edits.sort((a, b) => b.start - a.start)) {
    edited = `${edited.slice(0, start)}${put}${edited.slice(end)}`;
  }
  return { text: edited, refused };
}

function editFor(text: string, nodes: Nodes, change: PlacedChange, offset: number): Edit | string {
  switch (change.kind) {
    case 'value': {
      const scalar = nodes.scalars.get(offset);
      if (scalar === undefined) return 'the value is written somewhere else, or an anchor shares it';
      return replaceIn(text, scalar, change.from, change.to);
    }
    case 'key': {
      const key = nodes.pairs.get(offset)?.key;
      if (!isScalar(key)) return 'the key is written somewhere else, or an anchor shares it';
      return replaceIn(text, key, String(key.value), change.to);
    }
    case 'list': {
      const pair = nodes.pairs.get(offset);
      return pair === undefined
        ? 'the key is written somewhere else, or an anchor shares it'
        : listOf(text, pair, change);
    }
    case 'entry': {
      const map = nodes.maps.get(offset);
      if (map === undefined) return 'the mapping is written somewhere else, or an anchor shares it';
      return addTo(text, map, change.key, change.value);
    }
  }
}

/** Replaces one word of a scalar that is written in one line, without escapes. */
function replaceIn(text: string, scalar: Scalar, from: string, to: string): Edit | string {
  const [start, end] = scalar.range ?? [0, 0];
  const raw = text.slice(start, end);
  const isQuoted = raw.startsWith('"') || raw.startsWith("'");
  const inner = isQuoted ? raw.slice(1, -1) : raw;
  if (inner !== scalar.value) return 'the value is not written as it reads';
  const word = new RegExp(`(?<![\\w-])${from.replace(/[.+?^${}()|[\]\\/]/g, '\\$&')}(?![\\w-])`, 'g');
  const found = [...inner.matchAll(word)];
  const [first] = found;
  if (first === undefined || found.length > 1) return `"${from}" is not there once`;
  const value = `${inner.slice(0, first.index)}${to}${inner.slice(first.index + from.length)}`;
  if (!isQuoted && noText.test(value)) return `without quotes ${value} would be no text`;
  const at = start + (isQuoted ? 1 : 0) + first.index;
  return { start: at, end: at + from.length, text: to };
}

/** Renames a key, and makes its mapping the one element of a list: in brackets, or behind a dash and two columns in. */
function listOf(
  text: string,
  { key, value }: Pair,
  { path, to }: PlacedChange & { readonly kind: 'list' },
): Edit | string {
  const isPlain = isScalar(key) && key.value === path.at(-1) && isMap(value) && value.tag === undefined;
  if (!isPlain || value.anchor !== undefined) return 'it is not written as a plain mapping';
  const [start, keyEnd] = key.range ?? [0, 0];
  const [valueStart, end] = value.range ?? [0, 0];
  const written = text.slice(valueStart, end);
  const name = text.slice(start, keyEnd).replace(String(key.value), to);
  const item = value.flow === true ? `[${written}]` : `- ${written.replace(/\n(?=[^\r\n])/g, '\n  ')}`;
  return { start, end, text: `${name}${text.slice(keyEnd, valueStart)}${item}` };
}

/** Adds a key after one whose value is a scalar: in a flow mapping after it, in a block on a line of its own. */
function addTo(text: string, map: YAMLMap, key: string, value: string): Edit | string {
  const last = map.items.findLast((item) => isScalar(item.value) && item.value.range != null && isScalar(item.key));
  if (last === undefined) return 'no line of it is simple enough to write beside';
  const [keyNode, valueNode] = [last.key as Scalar, last.value as Scalar];
  const keyStart = keyNode.range?.[0] ?? 0;
  const end = valueNode.range?.[1] ?? 0;
  if (map.flow === true) {
    const isJson = text.charAt(keyStart) === '"';
    return { start: end, end, text: isJson ? `, "${key}": "${value}"` : `, ${key}: ${value}` };
  }
  if (text.slice(keyStart, end).includes('\n')) return 'no line of it is simple enough to write beside';
  const lineStart = text.lastIndexOf('\n', keyStart) + 1;
  const indent = ' '.repeat(keyStart - lineStart);
  const newline = text.indexOf('\n', end);
  const lineEnd = newline < 0 ? text.length : newline;
  const isCrlf = text.charAt(lineEnd - 1) === '\r';
  const at = isCrlf ? lineEnd - 1 : lineEnd;
  return { start: at, end: at, text: `${isCrlf ? '\r\n' : '\n'}${indent}${key}: ${value}` };
}

function nodesOf(text: string): Nodes {
  const scalars = new Map<number, Scalar>();
  const pairs = new Map<number, Pair>();
  const maps = new Map<number, YAMLMap>();
  const parsed = parseAllDocuments(text, { prettyErrors: false, merge: true });
  for (const document of 'empty' in parsed ? [] : parsed) {
    if (document.errors.length > 0) continue;
    visit(document as Document, {
      Node: (key, node) => {
        if ('anchor' in node && node.anchor !== undefined) return visit.SKIP;
        const start = 'range' in node ? node.range?.[0] : undefined;
        if (start === undefined) return undefined;
        if (isScalar(node) && key !== 'key') scalars.set(start, node);
        if (isMap(node)) maps.set(start, node);
        return undefined;
      },
      Pair: (_, pair) => {
        const { value, key } = pair;
        const named = isScalar(value) || isCollection(value) ? value : key;
        const start = isScalar(named) || isCollection(named) ? named.range?.[0] : undefined;
        if (start !== undefined) pairs.set(start, pair);
      },
    });
  }
  return { scalars, pairs, maps };
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
