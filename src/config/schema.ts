// A small declarative reader for configuration: a schema says which fields there are, of what type and with what
// default; reading returns a frozen object of exactly that type or an error that names file, line and column. Nothing
// unknown passes. Every field also describes itself as JSON Schema, for whoever judges values without us.

import { parseDurationMs } from '../base/duration.ts';
import { canonicalIp, parseCidr } from '../base/ip.ts';
import { didYouMean } from '../base/nearest-name.ts';
import type { SourcePlace } from '../model/types.ts';
import { placedError, readYaml, type YamlDocument, type YamlPath } from './yaml.ts';

/** Reads one value; `isDuration` fields may also be written without the `Ms` of their name. */
export interface Field<T> {
  read(value: unknown, at: Position): T;
  /** What stands in when the field is left out; undefined means that it must be given. */
  readonly fallback: (() => T) | undefined;
  readonly isDuration: boolean;
  /** What it admits, as JSON Schema (draft 7); what that cannot say, such as an address, is left to `read`. */
  readonly schema: JsonSchema;
}

export type JsonSchema = Readonly<Record<string, unknown>>;
export type Shape = Readonly<Record<string, Field<unknown>>>;
export type ShapeType<S extends Shape> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never };

/** Where a value stands, and how to complain about it. */
export class Position {
  readonly #document: YamlDocument;
  readonly path: YamlPath;

  constructor(document: YamlDocument, path: YamlPath = []) {
    this.#document = document;
    this.path = path;
  }

  at(step: string | number): Position {
    return new Position(this.#document, [...this.path, step]);
  }

  /** @throws MeshError CONFIG_INVALID with the place of the value, or of its key. */
  fail(reason: string, where: 'value' | 'key' = 'value'): never {
    const place = where === 'key' ? this.#document.keyPlace(this.path) : this.#document.place(this.path);
    const name = this.path.length === 0 ? '' : `${this.path.join('.')} `;
    throw placedError('CONFIG_INVALID', place, `${name}${reason}`);
  }
}

/**
 * Reads one YAML document by a schema; an empty text is the document `{}`.
 * @throws MeshError INPUT_UNREADABLE for a syntax error, CONFIG_INVALID for what the schema does not admit.
 */
export function readConfig<S extends Shape>(text: string, file: string, shape: S): ShapeType<S> {
  const documents = readYaml(text, file);
  if (documents.length > 1) {
    throw placedError('CONFIG_INVALID', documents[1]!.place(), 'a configuration file holds one document');
  }
  const document = documents[0] ?? { value: {}, place: () => start(file), keyPlace: () => start(file) };
  return object(shape).read(document.value, new Position(document));
}

/**
 * Where the value at `path` stands, of a text that `readConfig` has read; of what is around it where it is left out.
 */
export function placeIn(text: string, file: string, path: YamlPath): SourcePlace {
  return readYaml(text, file)[0]?.place(path) ?? start(file);
}

/** A mapping with exactly these fields; frozen. */
export function object<S extends Shape>(shape: S): Field<ShapeType<S>> {
  const names = Object.keys(shape);
  const spellings = new Map<string, string>(names.map((name) => [name, name]));
  for (const name of names) if (shape[name]?.isDuration) spellings.set(name.replace(/Ms$/, ''), name);
  const read = (value: unknown, at: Position): ShapeType<S> => {
    if (!isRecord(value)) at.fail(`must be a mapping, not ${describe(value)}`);
    const given = new Map<string, string>();
    for (const key of Object.keys(value)) {
      const name = spellings.get(key);
      const field: Position = at.at(key);
      if (name === undefined) field.fail(`is no known field${didYouMean(key, spellings.keys())}`, 'key');
      if (given.has(name)) field.fail(`is given twice, as ${given.get(name)} too`, 'key');
      given.set(name, key);
    }
    const result: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(shape)) {
      const key = given.get(name);
      if (key !== undefined && value[key] !== null) result[name] = field.read(value[key], at.at(key));
      else if (field.fallback !== undefined) result[name] = field.fallback();
      else if (key !== undefined) at.at(key).fail('must have a value');
      else at.fail(`must name the field ${name}`);
    }
    return Object.freeze(result) as ShapeType<S>;
  };
  const allOptional = Object.values(shape).every((field) => field.fallback !== undefined);
  const empty = (): ShapeType<S> =>
    Object.freeze(Object.fromEntries(Object.entries(shape).map(([k, f]) => [k, f.fallback?.()]))) as ShapeType<S>;
  return { read, fallback: allOptional ? empty : undefined, isDuration: false, schema: schemaOf(shape) };
}

/** Some fields of a shape, as they were written and without defaults; one of `taken` is refused with a reason. */
export function someOf(
  shape: Shape,
  taken: readonly string[],
  reason: string,
): Field<Readonly<Record<string, unknown>>> {
  const open = Object.fromEntries(Object.entries(shape).filter(([name]) => !taken.includes(name)));
  const optional = Object.entries(open).map(([name, field]) => [name, { ...field, fallback: () => undefined }]);
  const { read: judge, schema } = object(Object.fromEntries(optional) as Shape);
  const read = (value: unknown, at: Position): Readonly<Record<string, unknown>> => {
    if (!isRecord(value)) at.fail(`must be a mapping, not ${describe(value)}`);
    for (const name of taken) if (Object.hasOwn(value, name)) at.at(name).fail(reason, 'key');
    judge(value, at);
    return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null));
  };
  return { read, fallback: () => ({}), isDuration: false, schema };
}

/** A mapping of any names to values of one kind; frozen. */
export function mapping<T>(item: Field<T>): Field<Readonly<Record<string, T>>> {
  const read = (value: unknown, at: Position): Readonly<Record<string, T>> => {
    if (!isRecord(value)) at.fail(`must be a mapping, not ${describe(value)}`);
    return Object.freeze(
      Object.fromEntries(Object.entries(value).map(([key, one]) => [key, item.read(one, at.at(key))])),
    );
  };
  const schema = { type: 'object', additionalProperties: item.schema };
  return { read, fallback: () => ({}), isDuration: false, schema };
}

/** A mapping of whose fields somebody else is the judge; undefined when it is left out. */
export function foreign(): Field<Readonly<Record<string, unknown>> | undefined> {
  const read = (value: unknown, at: Position): Readonly<Record<string, unknown>> =>
    isRecord(value) ? value : at.fail(`must be a mapping, not ${describe(value)}`);
  return { read, fallback: () => undefined, isDuration: false, schema: { type: 'object' } };
}

/** The field, or undefined when it is left out. */
export function optional<T>({ read, isDuration, schema }: Field<T>): Field<T | undefined> {
  return { read, fallback: () => undefined, isDuration, schema };
}

/** The field, with words that say what it is for. */
export function described<T>(description: string, field: Field<T>): Field<T> {
  return { ...field, schema: { description, ...field.schema } };
}

/** Text; `pattern` is described by `what` when it does not match. */
export function string(fallback?: string, rule?: { pattern: RegExp; what: string }): Field<string> {
  const schema = { type: 'string', ...(rule && { pattern: rule.pattern.source }) };
  return make(schema, fallback, (value, at: Position) => {
    if (typeof value !== 'string') at.fail(`must be a string, not ${describe(value)}`);
    if (rule !== undefined && !rule.pattern.test(value)) at.fail(`must be ${rule.what}, not ${describe(value)}`);
    return value;
  });
}

/** `true` or `false`, and no word that stands for them. */
export function boolean(fallback?: boolean): Field<boolean> {
  return make({ type: 'boolean' }, fallback, (value, at: Position) =>
    typeof value === 'boolean' ? value : at.fail(`must be true or false, not ${describe(value)}`),
  );
}

/** A whole number between `min` and `max`. */
export function integer(range: { min: number; max: number }, fallback?: number): Field<number> {
  const schema = { type: 'integer', minimum: range.min, maximum: range.max };
  return make(schema, fallback, (value, at: Position) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max) return value;
    return at.fail(`must be a whole number from ${range.min} to ${range.max}, not ${describe(value)}`);
  });
}

/** A number between `min` and `max`. */
export function number(range: { min: number; max: number }, fallback?: number): Field<number> {
  const schema = { type: 'number', minimum: range.min, maximum: range.max };
  return make(schema, fallback, (value, at: Position) => {
    if (typeof value === 'number' && value >= range.min && value <= range.max) return value;
    return at.fail(`must be a number from ${range.min} to ${range.max}, not ${describe(value)}`);
  });
}

/** A TCP port; 0, which lets the kernel choose, is admitted. */
export function port(fallback?: number): Field<number> {
  return integer({ min: 0, max: 65535 }, fallback);
}

/**
 * A duration in milliseconds: `500ms`, `5s`, `10m`, `24h`, `7d`, or a bare number of milliseconds. Name such a field
 * `…Ms`.
 */
export function durationMs(fallback?: number): Field<number> {
  const read = (value: unknown, at: Position): number => {
    const ms = typeof value === 'number' ? value : writtenMs(value);
    if (ms !== null && Number.isFinite(ms) && ms >= 0) return ms;
    return at.fail(`must be a duration such as 500ms, 5s, 10m or 24h, not ${describe(value)}`);
  };
  const schema = {
    anyOf: [
      { type: 'number', minimum: 0 },
      { type: 'string', pattern: durationPattern.source },
    ],
  };
  return { ...make(schema, fallback, read), isDuration: true };
}

/** One of the words. */
export function oneOf<const T extends string>(words: readonly T[], fallback?: NoInfer<T>): Field<T> {
  return make({ enum: words }, fallback, (value, at: Position) => {
    const word = words.find((one) => one === value);
    if (word !== undefined) return word;
    const hint = typeof value === 'string' ? didYouMean(value, words) : '';
    return at.fail(`must be one of ${words.join(', ')}, not ${describe(value)}${hint}`);
  });
}

/** `ADDRESS/LENGTH`, returned in canonical form. */
export function cidr(fallback?: string): Field<string> {
  return make({ type: 'string', format: 'cidr' }, fallback, (value, at: Position) => {
    const parsed = typeof value === 'string' ? parseCidr(value) : null;
    return parsed?.text ?? at.fail(`must be a network such as 10.0.0.0/8 or fd00::/8, not ${describe(value)}`);
  });
}

/** An IP address, returned in canonical form. */
export function ip(fallback?: string): Field<string> {
  return make({ type: 'string', format: 'ip' }, fallback, (value, at: Position) => {
    const canonical = typeof value === 'string' ? canonicalIp(value) : null;
    return canonical ?? at.fail(`must be an IP address, not ${describe(value)}`);
  });
}

/** A sequence; frozen. */
export function list<T>(item: Field<T>, fallback?: readonly T[]): Field<readonly T[]> {
  return make({ type: 'array', items: item.schema }, fallback, (value, at: Position) => {
    if (!Array.isArray(value)) at.fail(`must be a list, not ${describe(value)}`);
    return Object.freeze(value.map((one: unknown, index) => item.read(one, at.at(index))));
  });
}

function writtenMs(value: unknown): number | null {
  return typeof value === 'string' && durationPattern.test(value) ? parseDurationMs(value) : null;
}

const durationPattern = /^(\d+(\.\d+)?(ms|s|m|h|d))+$/;

function make<T>(schema: JsonSchema, fallback: T | undefined, read: Field<T>['read']): Field<T> {
  return { read, fallback: fallback === undefined ? undefined : () => fallback, isDuration: false, schema };
}

/** A field that may be left out is never required here: who leaves it out may have another default in mind. */
function schemaOf(shape: Shape): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  for (const [name, field] of Object.entries(shape)) {
    properties[name] = field.schema;
    if (field.isDuration) properties[name.replace(/Ms$/, '')] = field.schema;
  }
  return { type: 'object', additionalProperties: false, properties };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? `"${value.slice(0, 80)}"` : String(value);
}

function start(file: string): { file: string; line: number; column: number } {
  return { file, line: 1, column: 1 };
}
