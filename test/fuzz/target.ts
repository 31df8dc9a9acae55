// What can be fuzzed: a name, inputs to begin with, and a function that must survive anything.
import type { Random } from '../support/random.ts';

export interface FuzzTarget {
  readonly name: string;
  /** Valid and nearly valid inputs from which all others grow, beside the kept corpus. */
  readonly seeds: readonly (Buffer | string)[];
  /** Words and byte strings that mean something in this grammar. */
  readonly words: readonly string[];
  /** Longest input. */
  readonly bytesMax: number;
  /** In CI this many inputs; 20,000 unless said otherwise. */
  readonly quickInputs?: number;
  /** A mutation that knows the grammar; taken every other time. */
  readonly mutate?: (input: Buffer, random: Random) => Buffer;
  /**
   * Takes one input. Returns a word for what came of it: an input with a new word is kept and grown further. Throws for
   * what must never happen (`broken`); errors of the documented kinds are outcomes, not throws.
   */
  readonly run: (input: Buffer) => string;
}

/** The outcome of an error that is documented: its code and its words, without numbers and names. */
export function outcomeOf(error: { readonly code: string; readonly message: string }): string {
  return `${error.code} ${error.message.replaceAll(/"[^"]*"|\d+|[^\x20-\x7e]+/g, '#').slice(0, 40)}`;
}

/** A broken rule of the target, in words. */
export function broken(what: string): never {
  throw new Error(what);
}
