// Reads YAML (and JSON, which is YAML) and remembers where everything stands, so that any later complaint about a value
// can name file, line and column. Places are found again from the text when asked for: most documents are never
// complained about.
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
} from 'yaml';
import { type ErrorCode, isMeshError, MeshError, messageOf } from '../base/errors.ts';
import type { SourcePlace } from '../model/types.ts';

/** Keys and list positions from the root of a document to a value. */
export type YamlPath = readonly (string | number)[];

/** One document: its plain value, and where each part of it stands. */
export interface YamlDocument {
  /** Plain objects, arrays, strings, numbers, booleans, null. */
  readonly value: unknown;
  /** The place of the value at `path`; of its nearest enclosing value when there is none. */
  place(path?: YamlPath): SourcePlace;
  /** The place of the key that names the value at `path`, for complaints about the key itself. */
  keyPlace(path: YamlPath): SourcePlace;
}

const aliasCountMax = 100;

/**
 * The documents of a text; empty documents are left out.
 * @throws MeshError INPUT_UNREADABLE with the place of the first syntax error, duplicate key or runaway alias.
 */
export function readYaml(text: string, file: string): YamlDocument[] {
  const places = new PlaceFinder(text, file);
  const json = readJson(text);
  if (json !== undefined) return [documentOf(json.value, 0, places)];
  const read: YamlDocument[] = [];
  for (const [index, document] of places.documents().entries()) {
    const error = document.errors[0];
    if (error !== undefined) throw placedError('INPUT_UNREADABLE', places.atOffset(error.pos[0]), tidy(error.message));
    refuseOddities(document, places);
    const value = plainValue(document, places);
    if (value !== null) read.push(documentOf(value, index, places));
  }
  return read;
}

/** An error that names a place: `details` hold place, reason, file, line and column. */
export function placedError(code: ErrorCode, place: SourcePlace, reason: string): MeshError {
  return new MeshError(code, { ...place, place: formatPlace(place), reason });
}

/** The place that an error of `placedError` names; null for any other error. */
export function placeOf(error: unknown): SourcePlace | null {
  if (!isMeshError(error)) return null;
  const { file, line, column } = error.details;
  if (typeof file !== 'string' || typeof line !== 'number' || typeof column !== 'number') return null;
  return { file, line, column };
}

/** `FILE:LINE:COLUMN`; what stands in no file has no line. */
export function formatPlace(place: SourcePlace): string {
  return place.line === 0 ? place.file : `${place.file}:${place.line}:${place.column}`;
}

/** Parses a text for places on demand; the parse is kept only as long as memory is not needed elsewhere. */
class PlaceFinder {
  readonly #text: string;
  readonly #file: string;
  #parsed: WeakRef<{ documents: Document.Parsed[]; lines: LineCounter }> | null = null;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  documents(): Document.Parsed[] {
    return this.#parse().documents;
  }

  atOffset(offset: number): SourcePlace {
    const { line, col } = this.#parse().lines.linePos(Math.min(offset, this.#text.length));
    return { file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  /** `wantKey` asks for the key of the last step instead of its value. */
  find(index: number, path: YamlPath, wantKey: boolean): SourcePlace {
    const document = this.#parse().documents[index];
    let node: Node | null = (document?.contents as Node | null) ?? null;
    let offset = node?.range?.[0] ?? 0;
    for (const [depth, step] of path.entries()) {
      if (isAlias(node) && document !== undefined) node = node.resolve(document) ?? null;
      const child = childOf(node, step);
      if (child === null) break;
      const isLast = depth === path.length - 1;
      offset = ((wantKey && isLast) || child.value?.range == null ? child.key : child.value)?.range?.[0] ?? offset;
      node = child.value;
    }
    return this.atOffset(offset);
  }

  #parse(): { documents: Document.Parsed[]; lines: LineCounter } {
    const kept = this.#parsed?.deref();
    if (kept !== undefined) return kept;
    const lines = new LineCounter();
    const parsed = parseAllDocuments(this.#text, { lineCounter: lines, prettyErrors: false, merge: true });
    const fresh = { documents: 'empty' in parsed ? [] : [...parsed], lines };
    this.#parsed = new WeakRef(fresh);
    return fresh;
  }
}

function childOf(node: Node | null, step: string | number): { key: Node | null; value: Node | null } | null {
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step] as Node | undefined;
    return item === undefined ? null : { key: null, value: item };
  }
  if (!isMap(node)) return null;
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
  return pair === undefined ? null : { key: pair.key as Node, value: pair.value as Node | null };
}

function documentOf(value: unknown, index: number, places: PlaceFinder): YamlDocument {
  return {
    value,
    place: (path = []) => places.find(index, path, false),
    keyPlace: (path) => places.find(index, path, true),
  };
}

/**
 * What YAML can say and a manifest cannot: a list or mapping as a key, and (by tag, or under `%YAML 1.1`) bytes, times,
 * sets. The reader would make objects of classes of them, and of such keys a text and a warning on standard error.
 */
function refuseOddities(document: Document.Parsed, places: PlaceFinder): void {
  const refuse = (node: unknown, reason: string): never => {
    throw placedError('INPUT_UNREADABLE', places.atOffset((node as Node).range?.[0] ?? 0), reason);
  };
  visit(document, {
    Pair: (_, { key }) => {
      const named = isAlias(key) ? key.resolve(document) : key;
      if (isCollection(named)) refuse(key, 'a key must be a text, not a list or mapping');
    },
    Scalar: (_, node) => {
      if (typeof node.value === 'object' && node.value !== null) refuse(node, 'bytes and times are written as texts');
    },
    Collection: (_, node) => {
      if (node.tag === 'tag:yaml.org,2002:set' || node.tag === 'tag:yaml.org,2002:omap')
        refuse(node, 'sets and ordered maps are written as lists or mappings');
    },
  });
}

function plainValue(document: Document.Parsed, places: PlaceFinder): unknown {
  try {
    return document.toJS({ maxAliasCount: aliasCountMax });
  } catch (error) {
    throw placedError('INPUT_UNREADABLE', places.atOffset(document.range[0]), tidy(messageOf(error)));
  }
}

/** Machine-written input is JSON; the JSON parser is some hundred times quicker. What it cannot read, YAML explains. */
function readJson(text: string): { value: unknown } | undefined {
  const first = /^\s*([{[])/.exec(text)?.[1];
  if (first === undefined) return undefined;
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function tidy(message: string): string {
  const line = message.split('\n', 1)[0] ?? message;
  return line.charAt(0).toLowerCase() + line.slice(1).replace(/[.:]$/, '');
}
