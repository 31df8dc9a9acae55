// Words of the model and numbers of the wire, in both directions, and the refusal of a number that has no word.
import { MeshError } from '../base/errors.ts';

export interface EnumPairs<Word extends string, Value extends number> {
  readonly byWord: Readonly<Record<Word, Value>>;
  readonly byNumber: ReadonlyMap<number, Word>;
}

/** Makes the reverse table of `byWord`. */
export function enumPairs<Word extends string, Value extends number>(
  byWord: Readonly<Record<Word, Value>>,
): EnumPairs<Word, Value> {
  const byNumber = new Map<number, Word>();
  for (const word of Object.keys(byWord) as Word[]) byNumber.set(byWord[word], word);
  return { byWord, byNumber };
}

/** The word of `value`. Throws RESOURCE_REFUSED when there is none: an unknown value may mean anything. */
export function decodeEnum<Word extends string>(
  pairs: EnumPairs<Word, number>,
  value: number,
  resource: string,
  what: string,
): Word {
  const word = pairs.byNumber.get(value);
  if (word === undefined) throw refuse(resource, `${what} ${value} is not known here`);
  return word;
}

/** The error of a resource that cannot be taken. */
export function refuse(resource: string, reason: string): MeshError {
  return new MeshError('RESOURCE_REFUSED', { resource, reason });
}
