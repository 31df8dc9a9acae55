// Where functions begin and end, and what they are called: for the rule on their length.
// Types are stripped first (by Node itself, which keeps every position), so that a `{` is a block, an object or a body.
import { stripTypeScriptTypes } from 'node:module';
import { codeOf, type Token, tokenize } from './tokens.ts';

export interface FunctionSpan {
  readonly name: string;
  readonly firstLine: number;
  readonly lastLine: number;
  /** The callback of a `describe` or `suite`: a list of tests rather than a function. */
  readonly isSuite: boolean;
}

const blockWords = new Set(['if', 'for', 'while', 'switch', 'catch', 'with']);

/**
 * Every function, method and arrow with a body in `source`, outermost first. Throws what Node throws on a syntax error.
 */
export function findFunctions(source: string): FunctionSpan[] {
  const tokens = codeOf(tokenize(withoutTypes(source)));
  const spans: FunctionSpan[] = [];
  for (let at = 0; at < tokens.length; at++) {
    if (!isPunctuation(tokens[at], '{')) continue;
    const head = headOf(tokens, at);
    if (head === null) continue;
    const end = tokens[closing(tokens, at)] ?? tokens.at(-1);
    const first = tokens[head.start] as Token;
    spans.push({ name: head.name, firstLine: first.line, lastLine: end?.line ?? first.line, isSuite: head.isSuite });
  }
  return spans;
}

function withoutTypes(source: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => {}; // the API is marked experimental; the warning helps nobody who reads a tidy report
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

interface Head {
  readonly name: string;
  /** Index of the token that the function begins with. */
  readonly start: number;
  readonly isSuite: boolean;
}

/** The head of the function whose body opens at `brace`; null when the brace opens something else. */
function headOf(tokens: readonly Token[], brace: number): Head | null {
  const before = tokens[brace - 1];
  if (isPunctuation(before, '=>')) return arrowHead(tokens, brace - 1);
  if (!isPunctuation(before, ')')) return null;
  const open = opening(tokens, brace - 1);
  const name = tokens[open - 1];
  if (name === undefined) return null;
  if (isPunctuation(name, ']')) return { name: 'computed method', start: open, isSuite: false };
  if (name.kind !== 'word' && name.kind !== 'string' && !isPunctuation(name, '*')) return null;
  if (name.kind === 'word' && blockWords.has(name.text)) return null;
  if (name.text === 'await' && tokens[open - 2]?.text === 'for') return null;
  const anonymous = name.text === 'function' || name.text === '*';
  return { name: anonymous ? assignedName(tokens, open - 2) : name.text, start: open - 1, isSuite: false };
}

function arrowHead(tokens: readonly Token[], arrow: number): Head {
  const start = isPunctuation(tokens[arrow - 1], ')') ? opening(tokens, arrow - 1) : arrow - 1;
  const beforeStart = tokens[start - 1]?.text === 'async' ? start - 2 : start - 1;
  return { name: assignedName(tokens, beforeStart), start, isSuite: isSuiteCall(tokens, beforeStart) };
}

/** `name` of `name = …`, `name: …` and `call(…`, looking back from the token before the function. */
function assignedName(tokens: readonly Token[], before: number): string {
  const token = tokens[before];
  if (isPunctuation(token, '=') || isPunctuation(token, ':')) return tokens[before - 1]?.text ?? 'anonymous';
  const call = callBefore(tokens, before);
  return call === null ? 'anonymous function' : `callback of ${call}`;
}

function isSuiteCall(tokens: readonly Token[], before: number): boolean {
  const call = callBefore(tokens, before);
  return call === 'describe' || call === 'suite';
}

/** The name of the call that the token at `before` is an argument (or the opening parenthesis) of. */
function callBefore(tokens: readonly Token[], before: number): string | null {
  let depth = 0;
  for (let at = before; at >= 0 && before - at < 200; at--) {
    const text = tokens[at]?.kind === 'punctuation' ? tokens[at]?.text : undefined;
    if (text === ')' || text === ']' || text === '}') depth++;
    else if ((text === '(' || text === '[' || text === '{') && depth-- === 0) {
      const name = tokens[at - 1];
      return text === '(' && name?.kind === 'word' ? name.text : null;
    } else if (text === ';' && depth === 0) return null;
  }
  return null;
}

/** The braces of `${…}` are parts of template tokens, so they never count here. */
function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (isPunctuation(tokens[at], '{')) depth++;
    if (isPunctuation(tokens[at], '}') && --depth === 0) return at;
  }
  return tokens.length - 1;
}

function opening(tokens: readonly Token[], close: number): number {
  let depth = 0;
  for (let at = close; at >= 0; at--) {
    if (isPunctuation(tokens[at], ')')) depth++;
    if (isPunctuation(tokens[at], '(') && --depth === 0) return at;
  }
  return 0;
}

function isPunctuation(token: Token | undefined, text: string): boolean {
  return token?.kind === 'punctuation' && token.text === text;
}
