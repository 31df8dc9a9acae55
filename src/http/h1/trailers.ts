// Trailers of a chunked body (RFC 9110 §6.5): parsed like header lines, and without the fields that must not come late,
// since whoever has acted on the head would be led astray by them.
import type { Trailers } from '../message.ts';
import { Byte } from './characters.ts';
import { giveLines, type HeadLines, takeLines } from './head-lines.ts';
import { incomplete, parseLines, refused, whyNoLine } from './head-parser.ts';
import { Name, numberOfWord } from './known-names.ts';
import { type H1Limits, malformed, type Refusal, tooMuch } from './limits.ts';

/** Routing, authentication, request modifiers, framing and content: never in a trailer. */
const forbidden = new Set([
  'age',
  'cache-control',
  'content-range',
  'expires',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'retry-after',
  'vary',
  'www-authenticate',
]);

/** Gathers trailers that may come in pieces. */
export class TrailerReader {
  refusal: Refusal | null = null;
  trailers: Trailers = null;
  #lines: HeadLines | null = null;

  /** True when the empty line after the trailers has come. */
  done = false;

  /** Takes bytes from `at` on. Returns where it stopped; see `done` and `refusal`. */
  read(bytes: Buffer, at: number, end: number, limits: H1Limits): number {
    this.#lines ??= takeLines();
    const lines = this.#lines;
    const before = lines.held;
    const to = Math.min(end, at + limits.trailerBytesMax + 2 - before);
    lines.keep(bytes, at, to);
    const isFull = lines.held >= limits.trailerBytesMax + 2;
    // Without the end of a line there is nothing new to find.
    const lf = bytes.indexOf(Byte.lf, at);
    if ((lf < 0 || lf >= to) && !isFull) return to;
    const length = parseLines(lines, lines.held);
    if (length === refused) this.#refuse(malformed(`trailers: ${whyNoLine(lines, lines.held)}`));
    else if (lines.count > limits.headersMax) {
      this.#refuse(tooMuch('headersMax', limits.headersMax, 'the trailers of a message'));
    } else if (length !== incomplete) {
      lines.length = length;
      if (framesAgain(lines)) {
        this.#refuse(malformed('trailers: Content-Length or Transfer-Encoding'));
        return to;
      }
      this.trailers = pairsOf(lines);
      this.done = true;
      this.drop();
      return at + length - before;
    } else if (isFull) {
      this.#refuse(tooMuch('trailerBytesMax', limits.trailerBytesMax, 'the trailers of a message'));
    }
    return to;
  }

  drop(): void {
    if (this.#lines !== null) giveLines(this.#lines);
    this.#lines = null;
  }

  #refuse(refusal: Refusal): void {
    this.refusal = refusal;
    this.drop();
  }
}

/** A server that merges trailers into the head would see two framings of one message. */
function framesAgain(lines: HeadLines): boolean {
  for (let line = 0; line < lines.count; line++) {
    const number = lines.numberAt(line);
    if (number === Name.contentLength || number === Name.transferEncoding) return true;
  }
  return false;
}

function pairsOf(lines: HeadLines): Trailers {
  const pairs: [string, string][] = [];
  for (let line = 0; line < lines.count; line++) {
    const name = lines.nameText(line).toLowerCase();
    if (isTrailerName(name)) pairs.push([name, lines.valueText(line)]);
  }
  return pairs.length === 0 ? null : pairs;
}

/** True for a name that may stand in a trailer. */
export function isTrailerName(name: string): boolean {
  return numberOfWord(name) === Name.none && !forbidden.has(name);
}
