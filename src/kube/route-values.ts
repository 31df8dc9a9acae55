// Values that the L7 kinds have in common: durations, header names and values, paths, shares.
import { parseDurationMs } from '../base/duration.ts';
import type { HeaderEdits } from '../model/route-types.ts';
import type { ObjectReader } from './object-reader.ts';

const daysMaxMs = 365 * 24 * 3_600_000;

/** Milliseconds of a duration of Gateway API (GEP-2257: `1h30m`, `500ms`, no decimals); null when it is not written. */
export function gatewayDuration(object: ObjectReader, key: string): number | null {
  if (!object.has(key)) return null;
  const text = object.string(key);
  if (!/^([0-9]{1,5}(h|m|s|ms)){1,4}$/.test(text))
    object.fail(key, `must be a duration such as 500ms or 1m30s, not "${text}"`);
  return parseDurationMs(text);
}

/** Milliseconds of a duration of Istio (`1.5s`, `100ms`, `1h`); null when it is not written. */
export function istioDuration(object: ObjectReader, key: string): number | null {
  if (!object.has(key)) return null;
  const text = object.string(key);
  if (!/^(\d+(\.\d+)?(h|m|s|ms|us|ns))+$/.test(text) && text !== '0') {
    object.fail(key, `must be a duration such as 500ms or 1.5s, not "${text}"`);
  }
  const sum = text === '0' ? 0 : (parseDurationMs(text) ?? 0);
  if (sum > daysMaxMs) object.fail(key, `must not be longer than a year, as "${text}" is`);
  return sum;
}

const headerName = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;

/** A header's name in lower case. */
export function headerNameOf(object: ObjectReader, key: string): string {
  const name = object.string(key);
  if (name.length > 256 || !headerName.test(name)) object.fail(key, `must be the name of a header, not "${name}"`);
  return name.toLowerCase();
}

/** Refuses what would end a header's line. */
export function checkHeaderValue(object: ObjectReader, key: string, value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not stand there
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
    object.fail(key, 'must be the value of a header: no line break');
  if (value.length > 4096) object.fail(key, 'must be at most 4096 characters');
  return value;
}

/**
 * A path, authority or scheme that is written into requests or answers as it is: printable ASCII without a space, so
 * that no author can end a line of a head that is not theirs.
 */
export function headText(object: ObjectReader, key: string, fallback?: string): string {
  const text = object.string(key, fallback);
  if (/^[\x21-\x7e]*$/.test(text)) return text;
  return object.fail(key, 'must be printable ASCII without spaces: write the rest as %XX');
}

/** A list that becomes the value of a header: names of headers or methods, or `*`. */
export function tokens(object: ObjectReader, key: string): string[] {
  const found = object.strings(key);
  const odd = found.find((one) => !headerName.test(one));
  return odd === undefined ? found : object.fail(key, `must be names, or *, not "${odd}"`);
}

/** Gateway API's `set`, `add`, `remove`: names in lower case, the first entry of a name counting. */
export function gatewayEdits(object: ObjectReader): HeaderEdits {
  object.only(['set', 'add', 'remove']);
  const pairs = (key: string): [string, string][] => {
    const found = new Map<string, string>();
    for (const one of limited(object, key, 16)) {
      one.only(['name', 'value']);
      const name = headerNameOf(one, 'name');
      if (!found.has(name)) found.set(name, checkHeaderValue(one, 'value', one.string('value')));
    }
    return [...found].filter(([name]) => isEditable(name));
  };
  const remove = object.strings('remove').map((name) => name.toLowerCase());
  return { remove: remove.filter(isEditable), set: pairs('set'), add: pairs('add') };
}

/** `host` and pseudo-headers are never touched by header edits (l7.md §9.6). */
export function isEditable(name: string): boolean {
  return name !== 'host' && !name.startsWith(':');
}

/** The mappings of a list that may not be longer than `max`. */
export function limited(object: ObjectReader, key: string, max: number): ObjectReader[] {
  const found = object.objects(key);
  if (found.length > max) object.fail(key, `must have at most ${max} entries, not ${found.length}`);
  return found;
}

/** An exact or prefix path as Gateway API admits it. */
export function checkPath(object: ObjectReader, key: string, path: string): string {
  if (!path.startsWith('/')) object.fail(key, `must begin with /, not be "${path}"`);
  const odd = ['//', '/./', '/../', '%2f', '%2F', '#'].find((part) => path.includes(part));
  if (odd !== undefined) object.fail(key, `must not contain ${odd}: requests are compared without it`);
  if (/\/\.{1,2}$/.test(path)) object.fail(key, 'must not end in /. or /..');
  if (path.length > 1024) object.fail(key, 'must be at most 1024 characters');
  return path;
}
