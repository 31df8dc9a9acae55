// Reads fields out of an object of unknown shape; what is not as it should be is an error with file, line and column.

import { canonicalIp } from '../base/ip.ts';
import { didYouMean } from '../base/nearest-name.ts';
import { placedError, type YamlDocument, type YamlPath } from '../config/yaml.ts';
import type { Labels } from '../model/resources.ts';

type Fields = Readonly<Record<string, unknown>>;

/** One mapping of a document, and how to complain about what is in it. */
export class ObjectReader {
  readonly document: YamlDocument;
  readonly path: YamlPath;
  readonly fields: Fields;

  constructor(document: YamlDocument, path: YamlPath, value: unknown) {
    this.document = document;
    this.path = path;
    if (!isMapping(value)) this.#fail(path, `must be a mapping, not ${nameOf(value)}`);
    this.fields = value as Fields;
  }

  has(key: string): boolean {
    return this.fields[key] !== undefined && this.fields[key] !== null;
  }

  /** @throws MeshError CONFIG_INVALID with the place of the field. */
  fail(key: string, reason: string): never {
    return this.#fail([...this.path, key], reason);
  }

  string(key: string, fallback?: string): string {
    const value = this.fields[key] ?? fallback;
    if (typeof value === 'string') return value;
    if (value === undefined) return this.#fail(this.path, `must have the field ${key}`);
    const hint = typeof value === 'object' ? '' : '; put it in quotes';
    return this.fail(key, `must be a string, not ${nameOf(value)}${hint}`);
  }

  /** The name of an object: what Kubernetes admits, so that names can stand in keys and identities. */
  name(key: string, fallback?: string): string {
    const value = this.string(key, fallback);
    if (value.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value)) return value;
    return this.fail(key, `must be a name of lower-case letters, digits, - and ., not "${value}"`);
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.fields[key] ?? fallback;
    return typeof value === 'boolean' ? value : this.fail(key, `must be true or false, not ${nameOf(value)}`);
  }

  integer(key: string, range: { min: number; max: number }, fallback?: number): number {
    const value = this.fields[key] ?? fallback;
    if (value === undefined) return this.#fail(this.path, `must have the field ${key}`);
    const isFit = typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max;
    if (isFit) return value;
    return this.fail(key, `must be a whole number from ${range.min} to ${range.max}, not ${nameOf(value)}`);
  }

  /** A number with or without decimals. */
  number(key: string, range: { min: number; max: number }, fallback?: number): number {
    const value = this.fields[key] ?? fallback;
    if (value === undefined) return this.#fail(this.path, `must have the field ${key}`);
    if (typeof value === 'number' && value >= range.min && value <= range.max) return value;
    return this.fail(key, `must be a number from ${range.min} to ${range.max}, not ${nameOf(value)}`);
  }

  oneOf<const T extends string>(key: string, words: readonly T[], fallback?: NoInfer<T>): T {
    const value = this.string(key, fallback);
    const word = words.find((one) => one === value);
    return word ?? this.fail(key, `must be one of ${words.join(', ')}, not "${value}"${didYouMean(value, words)}`);
  }

  /** The mapping under a key; an empty one when it is not there. */
  object(key: string): ObjectReader {
    return new ObjectReader(this.document, [...this.path, key], this.fields[key] ?? {});
  }

  /** The mappings of the list under a key; none when it is not there. */
  objects(key: string): ObjectReader[] {
    return this.list(key).map((item, at) => new ObjectReader(this.document, [...this.path, key, at], item));
  }

  list(key: string): readonly unknown[] {
    const value = this.fields[key] ?? [];
    return Array.isArray(value) ? value : this.fail(key, `must be a list, not ${nameOf(value)}`);
  }

  /** Numbers are taken as their text where `orNumbers`. */
  strings(key: string, orNumbers = false): string[] {
    return this.list(key).map((item, at) => {
      if (typeof item === 'string') return item;
      if (orNumbers && typeof item === 'number') return String(item);
      return this.#fail([...this.path, key, at], `must be a string, not ${nameOf(item)}`);
    });
  }

  /** Labels or annotations. */
  labels(key: string): Labels {
    const mapping = this.object(key);
    for (const name of Object.keys(mapping.fields)) mapping.string(name);
    return mapping.fields as Labels;
  }

  /** Canonical. */
  ip(key: string): string {
    const text = this.string(key);
    return canonicalIp(text) ?? this.fail(key, `must be an IP address, not "${text}"`);
  }

  /** Canonical addresses of a list of strings; empty ones are left out. */
  ips(key: string): string[] {
    return this.strings(key)
      .filter((text) => text !== '')
      .map((text, at) => {
        const ip = canonicalIp(text);
        return ip ?? this.#fail([...this.path, key, at], `must be an IP address, not "${text}"`);
      });
  }

  /** Refuses every field but these. */
  only(known: readonly string[]): void {
    for (const key of Object.keys(this.fields)) {
      if (known.includes(key)) continue;
      const place = this.document.keyPlace([...this.path, key]);
      const reason = `${[...this.path, key].join('.')} is no known field${didYouMean(key, known)}`;
      throw placedError('CONFIG_INVALID', place, reason);
    }
  }

  #fail(path: YamlPath, reason: string): never {
    const name = path.length === 0 ? 'the object' : path.join('.');
    throw placedError('CONFIG_INVALID', this.document.place(path), `${name} ${reason}`);
  }
}

/** True for what YAML calls a mapping and JSON an object. */
export function isMapping(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? `"${value.slice(0, 80)}"` : String(value);
}
