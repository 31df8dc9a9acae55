// A small scanner for TypeScript and JavaScript: enough to tell code from strings, comments and regular expressions.
//
// The tidy rules read these tokens, so that a word in a string or a comment is never taken for code. It knows no
// grammar; rules that need to know where a function begins look at `functions.ts`.

export type TokenKind = 'word' | 'number' | 'string' | 'template' | 'regex' | 'comment' | 'punctuation';

export interface Token {
  readonly kind: TokenKind;
  /** As written, quotes and comment marks included. A template's pieces between `${…}` are tokens of their own. */
  readonly text: string;
  /** Counts from 1. */
  readonly line: number;
}

/** After one of these a slash begins a regular expression, not a division. */
const wordsBeforeRegex = new Set(
  'return typeof instanceof in of new delete void throw case do else yield await default extends'.split(' '),
);
const wordPattern = /[\p{ID_Start}$_#@][\p{ID_Continue}$\u200c\u200d]*/uy;
const numberPattern = /(?:0[xob][\da-f_]+|\d[\d_]*(?:\.[\d_]*)?(?:e[+-]?\d+)?|\.\d[\d_]*(?:e[+-]?\d+)?)n?/iy;
const spacePattern = /[\s\ufeff]+/y;
const lineEndPattern = /[^\n]*/y;
const punctuationPattern = /=>|\?\.(?!\d)|\.\.\.|./suy;

/**
 * Splits `source` into tokens, comments included, white space left out. Never throws: an unclosed literal ends with the
 * text.
 */
export function tokenize(source: string): Token[] {
  return new Scanner(source).run();
}

class Scanner {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  /** For each template we are inside of: how many `{` are open in its present `${…}`. */
  readonly #templateDepths: number[] = [];
  #at = 0;
  #line = 1;

  constructor(source: string) {
    this.#source = source;
  }

  run(): Token[] {
    while (this.#at < this.#source.length) {
      const space = this.#match(spacePattern);
      if (space !== '') {
        this.#skip(space);
        continue;
      }
      const [kind, text] = this.#read();
      this.#tokens.push({ kind, text, line: this.#line });
      this.#skip(text);
    }
    return this.#tokens;
  }

  #read(): [TokenKind, string] {
    const char = this.#source[this.#at] as string;
    const two = this.#source.slice(this.#at, this.#at + 2);
    if (two === '//' || (two === '#!' && this.#at === 0)) return ['comment', this.#match(lineEndPattern)];
    if (two === '/*') return ['comment', this.#until('*/', 2)];
    if (char === "'" || char === '"') return ['string', this.#quoted(char)];
    if (char === '`') return ['template', this.#templatePiece()];
    if (char === '}' && this.#templateDepths.at(-1) === 0) {
      this.#templateDepths.pop();
      return ['template', this.#templatePiece()];
    }
    if (char === '/' && this.#regexMayBegin()) return ['regex', this.#regex()];
    const word = this.#match(wordPattern);
    if (word !== '') return ['word', word];
    const number = this.#match(numberPattern);
    if (number !== '') return ['number', number];
    if (char === '{') this.#moveDepth(1);
    if (char === '}') this.#moveDepth(-1);
    return ['punctuation', this.#match(punctuationPattern)];
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0] ?? '';
  }

  #skip(text: string): void {
    this.#at += text.length;
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.#line++;
  }

  #moveDepth(by: number): void {
    const last = this.#templateDepths.length - 1;
    if (last >= 0) this.#templateDepths[last] = (this.#templateDepths[last] as number) + by;
  }

  #until(end: string, from: number): string {
    const found = this.#source.indexOf(end, this.#at + from);
    return this.#source.slice(this.#at, found === -1 ? undefined : found + end.length);
  }

  /** A quoted string ends at its quote or, when unclosed, before the end of the line. */
  #quoted(quote: string): string {
    let at = this.#at + 1;
    while (at < this.#source.length && this.#source[at] !== quote && this.#source[at] !== '\n') {
      at += this.#source[at] === '\\' ? 2 : 1;
    }
    return this.#source.slice(this.#at, this.#source[at] === quote ? at + 1 : at);
  }

  /** A piece of a template: from its backtick or a closing `}` to the next `${` or the last backtick. */
  #templatePiece(): string {
    for (let at = this.#at + 1; at < this.#source.length; at++) {
      const char = this.#source[at];
      if (char === '\\') at++;
      else if (char === '`') return this.#source.slice(this.#at, at + 1);
      else if (char === '$' && this.#source[at + 1] === '{') {
        this.#templateDepths.push(0);
        return this.#source.slice(this.#at, at + 2);
      }
    }
    return this.#source.slice(this.#at);
  }

  #regexMayBegin(): boolean {
    const before = this.#tokens.findLast((token) => token.kind !== 'comment');
    if (before === undefined) return true;
    if (before.kind === 'word') return wordsBeforeRegex.has(before.text);
    if (before.kind === 'template') return before.text.endsWith('${');
    return before.kind === 'punctuation' && ![')', ']', '}'].includes(before.text);
  }

  #regex(): string {
    let inClass = false;
    let at = this.#at + 1;
    for (; at < this.#source.length && this.#source[at] !== '\n'; at++) {
      const char = this.#source[at];
      if (char === '\\') at++;
      else if (char === '[') inClass = true;
      else if (char === ']') inClass = false;
      else if (char === '/' && !inClass) break;
    }
    const flags = /[a-z]*/y;
    flags.lastIndex = at + 1;
    return this.#source.slice(this.#at, at + 1 + (flags.exec(this.#source)?.[0].length ?? 0));
  }
}

/** The tokens that are code: everything but comments. */
export function codeOf(tokens: readonly Token[]): Token[] {
  return tokens.filter((token) => token.kind !== 'comment');
}

/** The value of a string token, without its quotes and with no escape undone. */
export function stringValue(token: Token): string {
  return token.text.slice(1, -1);
}
