// Values of Istio's traffic API: StringMatch, header operations, percentages.
import { regexProblem } from '../base/regex.ts';
import type { HeaderEdits, ValueMatch } from '../model/route-types.ts';
import type { ObjectReader } from './object-reader.ts';
import { checkHeaderValue, isEditable } from './route-values.ts';

/** `{exact|prefix|regex: …}`; an empty one and the regex `*` ask only whether there is a value (l7.md §3.2). */
export function readStringMatch(object: ObjectReader, ignoreCase = false): ValueMatch {
  object.only(['exact', 'prefix', 'regex']);
  const keys = (['exact', 'prefix', 'regex'] as const).filter((key) => object.has(key));
  if (keys.length > 1) object.fail(keys[1]!, `must not stand beside ${keys[0]}`);
  const kind = keys[0];
  if (kind === undefined) return { kind: 'present', value: '', ignoreCase: false };
  const value = object.string(kind);
  if (kind !== 'regex') return { kind, value, ignoreCase };
  if (value === '*') return { kind: 'present', value: '', ignoreCase: false };
  const problem = regexProblem(value);
  if (problem !== null) object.fail('regex', problem);
  return { kind, value, ignoreCase: false };
}

export interface DirectionEdits {
  readonly edits: HeaderEdits;
  /** What `set` or `add` of `host` or `:authority` asks the authority to be; null for nothing. */
  readonly authority: string | null;
}

/** `headers.request` or `headers.response`. */
export function readIstioEdits(headers: ObjectReader, key: 'request' | 'response'): DirectionEdits {
  headers.only(['request', 'response']);
  const operations = headers.object(key);
  operations.only(['set', 'add', 'remove']);
  const pairs = (name: 'set' | 'add'): [string, string][] => {
    const mapping = operations.object(name);
    return Object.keys(mapping.fields).map((header) => {
      if (!/^:?[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(header)) mapping.fail(header, 'must be the name of a header');
      return [header.toLowerCase(), checkHeaderValue(mapping, header, mapping.string(header))];
    });
  };
  const set = pairs('set');
  const add = pairs('add');
  const authority = [...set, ...add].find(([name]) => name === 'host' || name === ':authority')?.[1] ?? null;
  const kept = (list: readonly [string, string][]): [string, string][] => list.filter(([name]) => isEditable(name));
  const remove = operations
    .strings('remove')
    .map((name) => name.toLowerCase())
    .filter(isEditable);
  return { edits: { remove, set: kept(set), add: kept(add) }, authority: key === 'request' ? authority : null };
}

/** `{value: PERCENT}` as a share from 0 to 1; null when it is not written. */
export function readPercent(object: ObjectReader, key: string): number | null {
  if (!object.has(key)) return null;
  const percent = object.object(key);
  percent.only(['value']);
  return percent.number('value', { min: 0, max: 100 }, 0) / 100;
}
