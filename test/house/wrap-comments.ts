// Breaks comment lines that are too long, which the formatter leaves alone. Code, strings and drawings stay as they
// are.
import { lineLengthMax } from './rules-code.ts';
import { tokenize } from './tokens.ts';

/** `source` with every comment that stands on lines of its own wrapped at the limit of the tidy test. */
export function wrapComments(source: string): string {
  if (source.split('\n').every((line) => line.length <= lineLengthMax)) return source;
  const commentLines = new Set<number>();
  for (const { kind, line, text } of tokenize(source)) {
    if (kind !== 'comment') continue;
    for (let at = 0; at <= text.split('\n').length - 1; at++) commentLines.add(line + at);
  }
  const lines = source.split('\n');
  const wrapped: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] as string;
    const parts = commentLines.has(at + 1) && line.length > lineLengthMax ? wrapLine(line) : null;
    if (parts === null) {
      wrapped.push(line);
      continue;
    }
    const rest = parts.at(-1) as string;
    const joined = joinable(rest, lines[at + 1]);
    if (joined === null) wrapped.push(...parts);
    else {
      wrapped.push(...parts.slice(0, -1));
      lines[at + 1] = joined;
    }
  }
  return wrapped.join('\n');
}

/** The lines that `line` becomes; null when it is no comment of its own, or has nowhere to break. */
function wrapLine(line: string): string[] | null {
  const single = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
  if (single !== null) {
    const [, indent = '', text = ''] = single;
    return [`${indent}/**`, ...fill(`${indent} * `, text), `${indent} */`];
  }
  const plain = /^(\s*(?:\/\/ | ?\* ))(\S.*)$/.exec(line);
  if (plain === null) return null;
  const parts = fill(plain[1] as string, plain[2] as string);
  return parts.length > 1 ? parts : null;
}

function fill(prefix: string, text: string): string[] {
  const lines: string[] = [];
  let line = prefix;
  for (const word of text.split(' ')) {
    const isEmpty = line === prefix;
    if (!isEmpty && line.length + 1 + word.length > lineLengthMax) {
      lines.push(line);
      line = prefix + word;
    } else line += isEmpty ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** What was left of a line goes in front of the next one when that goes on in the same sentence. */
function joinable(rest: string, next: string | undefined): string | null {
  const head = /^(\s*(?:\/\/ | ?\* ))/.exec(rest)?.[1];
  if (head === undefined || next === undefined || !next.startsWith(head)) return null;
  const text = next.slice(head.length);
  return /^[a-z(`]/.test(text) ? `${rest} ${text}` : null;
}
