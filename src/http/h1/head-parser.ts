// Finds the parts of an HTTP/1.1 head in one pass over its bytes (RFC 9112 §2 to §5), without a string. It stops at the
// end of the bytes there are and goes on at the line it stopped in; what the lines mean is `framing.ts`.
//
// Stricter than the RFC asks: lines end with CRLF alone, never with a bare LF; no folded lines; no space before a
// colon.
import { Byte, targetBytes, tokenLower, valueBytes } from './characters.ts';
import type { HeadLines } from './head-lines.ts';
import { numberOfName } from './known-names.ts';
import { type H1Limits, malformed, type Refusal, tooMuch } from './limits.ts';

/** The head goes on after the bytes there are. */
export const incomplete = 0;
/** `refusal` says why. */
export const refused: number = -1;

const { cr, lf, space, tab, colon, zero, nine } = Byte;
const httpSlash = Buffer.from('HTTP/1.');
/** Longest method; those of the registry have up to 17 letters. */
const methodBytesMax = 32;

/** One per thread and direction: between calls it keeps nothing but the last refusal. */
export class HeadParser {
  refusal: Refusal = malformed('nothing yet');
  readonly #limits: H1Limits;
  readonly #isRequest: boolean;

  constructor(limits: H1Limits, isRequest: boolean) {
    this.#limits = limits;
    this.#isRequest = isRequest;
  }

  /**
   * Goes on with `lines`, whose head is in its memory up to `to` (counted from the head's first byte). Returns the
   * length of the head, `incomplete`, or `refused`.
   */
  parse(lines: HeadLines, to: number): number {
    if (!lines.startLineDone) {
      const at = this.#isRequest ? this.#requestLine(lines, to) : this.#statusLine(lines, to);
      if (at <= 0) return at === refused ? refused : this.#checkLength(lines, to);
      lines.startLineDone = true;
      lines.linesAt = lines.lineAt = at;
    }
    const at = parseLines(lines, to);
    if (at > 0) {
      if (at > this.#limits.headBytesMax) return this.#refuse(this.#headTooLong());
      if (lines.count > this.#limits.headersMax) return this.#refuse(this.#tooManyLines());
      lines.length = at;
      return at;
    }
    if (at === refused) return this.#refuse(malformed(whyNoLine(lines, to)));
    return this.#checkLength(lines, to);
  }

  #checkLength(lines: HeadLines, to: number): number {
    const { headBytesMax, headersMax, uriBytesMax } = this.#limits;
    if (!lines.startLineDone && this.#isRequest && to > uriBytesMax + methodBytesMax + 16) {
      return this.#refuse(tooMuch('uriBytesMax', uriBytesMax, 'the request target', 414));
    }
    if (to >= headBytesMax) return this.#refuse(this.#headTooLong());
    if (lines.count > headersMax) return this.#refuse(this.#tooManyLines());
    return incomplete;
  }

  /** `METHOD SP target SP HTTP/1.x CRLF` → where the lines begin. */
  #requestLine(lines: HeadLines, to: number): number {
    const { memory, base } = lines;
    const end = base + to;
    let at = base;
    // One empty line before it is forgiven, as RFC 9112 §2.2 asks.
    if (memory[at] === cr) {
      if (at + 1 >= end) return incomplete;
      if (memory[at + 1] !== lf) return this.#refuse(malformed('CR without LF'));
      at += 2;
    }
    lines.startAt = at - base;
    const methodMax = Math.min(end, at + methodBytesMax);
    while (at < methodMax && tokenLower[memory[at]!] !== 0) at++;
    if (at >= end) return incomplete;
    lines.firstTo = at - base;
    if (memory[at] !== space || lines.firstTo === lines.startAt) return this.#refuse(malformed('bad method'));
    lines.secondFrom = ++at - base;
    while (at < end && targetBytes[memory[at]!] !== 0) at++;
    const size = at - base - lines.secondFrom;
    const { uriBytesMax } = this.#limits;
    if (size > uriBytesMax) return this.#refuse(tooMuch('uriBytesMax', uriBytesMax, 'the request target', 414));
    if (at >= end) return incomplete;
    lines.secondTo = at - base;
    if (memory[at] !== space || size === 0) return this.#refuse(malformed('bad request target'));
    at++;
    if (end - at < 10) {
      // Wait only for what can still become a version.
      for (let i = 0; at + i < end && i < httpSlash.length; i++) {
        if (memory[at + i] === httpSlash[i]) continue;
        if (i === 5 && isDigit(memory[at + i]!)) break;
        return this.#refuse(malformed('bad HTTP version'));
      }
      return incomplete;
    }
    const minor = this.#version(lines, at);
    if (minor < 0) return refused;
    if (memory[at + 8] !== cr || memory[at + 9] !== lf) return this.#refuse(malformed('bad end of the request line'));
    return at + 10 - base;
  }

  /** `HTTP/1.x SP status SP reason CRLF` → where the lines begin. */
  #statusLine(lines: HeadLines, to: number): number {
    const { memory, base } = lines;
    const end = base + to;
    let at = base;
    lines.startAt = 0;
    if (to < 15) {
      for (let i = 0; i < to && i < httpSlash.length; i++) {
        if (memory[at + i] !== httpSlash[i]) return this.#refuse(malformed('no HTTP/1.x answer'));
      }
      // The shortest whole line: `HTTP/1.1 200`, CRLF.
      if (to < 14 || memory[at + 12] !== cr) return incomplete;
    }
    if (this.#version(lines, at) < 0) return refused;
    let status = 0;
    for (let i = 9; i < 12; i++) {
      const code = memory[at + i]!;
      if (code < zero || code > nine) return this.#refuse(malformed('bad status'));
      status = status * 10 + code - zero;
    }
    if (memory[at + 8] !== space || status < 100 || status > 599) return this.#refuse(malformed('bad status'));
    lines.status = status;
    at += 12;
    if (memory[at] === space) at++;
    else if (memory[at] !== cr) return this.#refuse(malformed('bad status'));
    lines.secondFrom = at - base;
    while (at < end && valueBytes[memory[at]!] !== 0) at++;
    if (at + 1 >= end) return incomplete;
    lines.secondTo = at - base;
    if (memory[at] !== cr || memory[at + 1] !== lf) return this.#refuse(malformed('bad end of the status line'));
    return at + 2 - base;
  }

  #version(lines: HeadLines, at: number): number {
    const { memory } = lines;
    for (let i = 0; i < httpSlash.length; i++) {
      if (memory[at + i] === httpSlash[i]) continue;
      // `HTTP/2.0` is a version, if not ours; anything else is none.
      const isOther = i === 5 && isDigit(memory[at + i]!);
      return this.#refuse(isOther ? malformed('HTTP version is not 1.x', 505) : malformed('bad HTTP version'));
    }
    const minor = memory[at + 7]! - zero;
    if (minor !== 0 && minor !== 1) return this.#refuse(malformed('HTTP version is not 1.0 or 1.1', 505));
    lines.minor = minor;
    return minor;
  }

  #headTooLong(): Refusal {
    return tooMuch('headBytesMax', this.#limits.headBytesMax, 'the head of a message');
  }

  #tooManyLines(): Refusal {
    return tooMuch('headersMax', this.#limits.headersMax, 'the headers of a message');
  }

  #refuse(refusal: Refusal): number {
    this.refusal = refusal;
    return refused;
  }
}

function isDigit(code: number): boolean {
  return code >= zero && code <= nine;
}

/**
 * Header lines from `lines.lineAt` on, up to and with the empty line. Returns where that ends, `incomplete`, or
 * `refused`, with `lineAt` at the line that it stopped in. For heads and trailers.
 */
export function parseLines(lines: HeadLines, to: number): number {
  const { memory, base } = lines;
  const end = base + to;
  let at = base + lines.lineAt;
  for (;;) {
    const lineAt = at;
    lines.lineAt = at - base;
    let hash = 0;
    let lower = 0;
    // biome-ignore lint/suspicious/noAssignInExpressions: the hottest loop there is
    while (at < end && (lower = tokenLower[memory[at]!]!) !== 0) {
      hash = (Math.imul(hash, 31) + lower) | 0;
      at++;
    }
    if (at >= end) return incomplete;
    if (memory[at] !== colon || at === lineAt) {
      if (memory[at] !== cr || at !== lineAt) return refused;
      if (at + 1 >= end) return incomplete;
      return memory[at + 1] === lf ? at + 2 - base : refused;
    }
    const nameTo = at++;
    while (at < end && (memory[at] === space || memory[at] === tab)) at++;
    const valueFrom = at;
    while (at < end && valueBytes[memory[at]!] !== 0) at++;
    if (at + 1 >= end) return at < end && memory[at] !== cr ? refused : incomplete;
    if (memory[at] !== cr || memory[at + 1] !== lf) return refused;
    let valueTo = at;
    while (valueTo > valueFrom && (memory[valueTo - 1] === space || memory[valueTo - 1] === tab)) valueTo--;
    const number = numberOfName(hash, memory, lineAt, nameTo);
    lines.add(number, hash, lineAt - base, nameTo - base, valueFrom - base, valueTo - base);
    at += 2;
  }
}

/** What is wrong with the line that `parseLines` stopped in, in words. */
export function whyNoLine(lines: HeadLines, to: number): string {
  const { memory, base } = lines;
  const end = base + to;
  let at = base + lines.lineAt;
  const first = memory[at];
  if (first === space || first === tab) return 'folded header line';
  if (first === lf) return 'bare LF';
  if (first === cr) return 'CR without LF';
  if (first === colon) return 'header without a name';
  while (at < end && tokenLower[memory[at]!] !== 0) at++;
  if (memory[at] === space || memory[at] === tab) return 'space in or after a header name';
  if (memory[at] === cr || memory[at] === lf) return 'header without a colon';
  if (memory[at] !== colon) return 'bad byte in a header name';
  at++;
  while (at < end && valueBytes[memory[at]!] !== 0) at++;
  if (memory[at] === lf) return 'bare LF';
  if (memory[at] === cr) return 'CR without LF';
  return memory[at] === 0 ? 'NUL in a header value' : 'control character in a header value';
}
