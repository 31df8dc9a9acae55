// Regular expressions of routes and policies: RE2 syntax, matching the whole value, in time linear in its length
// whatever an author wrote and a client sends. Most that people write are plain words with `.*` at an end, or runs of
// classes that no input can make ambiguous: those are compared directly, the rest is RE2's own automaton (re2js).
import { RE2JS } from 're2js';
import { messageOf } from './errors.ts';

export interface Regex {
  /** True when the whole text matches. */
  matches(text: string): boolean;
}

/** Longest pattern that is taken, in characters. */
export const regexLengthMax = 1024;
/** Largest automaton that is taken, in instructions: what a pattern may cost per character. */
export const regexProgramMax = 5_000;

/** Why a pattern cannot be taken; null when it can. */
export function regexProblem(pattern: string): string | null {
  if (pattern.length > regexLengthMax) return `is longer than ${regexLengthMax} characters`;
  try {
    const size = RE2JS.compile(pattern).programSize();
    return size > regexProgramMax ? `needs ${size} steps for each character, more than ${regexProgramMax}` : null;
  } catch (error) {
    return `is no regular expression in RE2 syntax: ${messageOf(error).replace('error parsing regexp: ', '')}`;
  }
}

/** The matcher for a pattern without `regexProblem`. Throws what re2js throws for any other. */
export function compileRegex(pattern: string): Regex {
  return plainRegex(pattern) ?? deterministicRegex(pattern) ?? linearRegex(pattern);
}

/** RE2's automaton, whatever the pattern. */
export function linearRegex(pattern: string): Regex {
  const compiled = RE2JS.compile(pattern);
  return { matches: (text) => compiled.testExact(text) };
}

/** Replaces all parts that match; `\1` in `replacement` is a group, as in RE2. */
export function regexReplacer(pattern: string, replacement: string): (text: string) => string {
  const compiled = RE2JS.compile(pattern);
  const dollars = replacement.replace(/\\(\d|\\)|\$/g, (_, digit: string | undefined) => {
    if (digit === undefined) return '$$';
    return digit === '\\' ? '\\' : `$${digit}`;
  });
  return (text) => compiled.matcher(text).replaceAll(dollars);
}

const wordPattern = /^(?:[\w/ :;,@=&%!~"'<>#-]|\\[./\-+?*()[\]{}|^$\\])*$/;

/** Words alone, with `.*` or `.+` at either end, or one of several words; null for any other pattern. */
function plainRegex(pattern: string): Regex | null {
  const body = pattern.replace(/^\^/, '').replace(/(?<!\\)\$$/, '');
  const group = /^\(\??:?((?:[^()\\]|\\.)*)\)$/.exec(body);
  const choice = (group?.[1] ?? body).split('|');
  if (choice.length > 1) {
    // Anchors bind tighter than a choice without brackets.
    if (group === null && body !== pattern) return null;
    if (!choice.every((one) => wordPattern.test(one))) return null;
    const words = new Set(choice.map(unescaped));
    return { matches: (text) => words.has(text) };
  }
  const parts = /^(\.[*+])?(.*?)(\.[*+])?$/s.exec(body);
  const [, before, word = '', after] = parts ?? [];
  if (!wordPattern.test(word)) return null;
  return affixRegex(before, unescaped(word), after);
}

function affixRegex(before: string | undefined, word: string, after: string | undefined): Regex {
  const extra = (before === '.+' ? 1 : 0) + (after === '.+' ? 1 : 0);
  const least = word.length + extra;
  if (before === undefined && after === undefined) return { matches: (text) => text === word };
  if (before === undefined) return { matches: (text) => text.length >= least && text.startsWith(word) };
  if (after === undefined) return { matches: (text) => text.length >= least && text.endsWith(word) };
  const from = before === '.+' ? 1 : 0;
  const behind = after === '.+' ? 1 : 0;
  return {
    matches: (text) => {
      if (text.length < least) return false;
      const at = text.indexOf(word, from);
      // With something wanted behind it, the first place is the best one.
      return at >= 0 && at + word.length + behind <= text.length;
    },
  };
}

function unescaped(word: string): string {
  return word.replace(/\\(.)/g, '$1');
}

const asciiSize = 128;
interface Piece {
  /** Which ASCII characters it takes; the last element is every other character. */
  readonly takes: readonly boolean[];
  readonly source: string;
  readonly isFixed: boolean;
  readonly isNeeded: boolean;
}
const pieceSyntax =
  /(\\[dwDW]|\\[./\-+?*()[\]{}|^$\\]|\[\^?(?:[\w/ .,:;@=&%!~+*-]|\\[dw.\-\]])+\]|[\w/ :;,@=&%!~#-]|\.)([*+?]?)/y;

/**
 * A run of characters and classes in which what may repeat never takes what may follow it: a backtracking matcher has
 * only one way to go, so that JavaScript's own is linear. Null for any other pattern.
 */
function deterministicRegex(pattern: string): Regex | null {
  const body = pattern.replace(/^\^/, '').replace(/(?<!\\)\$$/, '');
  const pieces = piecesOf(body);
  if (pieces === null || !pieces.every((piece, at) => piece.isFixed || isForced(piece, pieces, at))) return null;
  const compiled = new RegExp(`^(?:${pieces.map((piece) => piece.source).join('')})$`);
  return { matches: (text) => compiled.test(text) };
}

function piecesOf(body: string): Piece[] | null {
  const pieces: Piece[] = [];
  pieceSyntax.lastIndex = 0;
  while (pieceSyntax.lastIndex < body.length) {
    const found = pieceSyntax.exec(body);
    if (found === null) return null;
    const [, atom = '', repeat = ''] = found;
    const one = new RegExp(`^${atom}$`);
    const takes = Array.from({ length: asciiSize }, (_, code) => one.test(String.fromCharCode(code)));
    // `.` and turned classes take what is not ASCII; no other piece does.
    takes.push(one.test('é'));
    const isFixed = repeat === '';
    pieces.push({ takes, source: atom + repeat, isFixed, isNeeded: isFixed || repeat === '+' });
  }
  return pieces;
}

function isForced(piece: Piece, pieces: readonly Piece[], at: number): boolean {
  for (const next of pieces.slice(at + 1)) {
    if (next.takes.some((taken, code) => taken && piece.takes[code] === true)) return false;
    if (next.isNeeded) return true;
  }
  return true;
}
