// The chunked coding (RFC 9112 §7.1) as a state machine over bytes: data is skipped by subtraction, never looked at.
// Stricter than the RFC: no space around the size, no bare LF anywhere, extensions bounded over the whole body.
import { Byte, hexValue, tokenLower, valueBytes } from './characters.ts';
import { type H1Limits, malformed, type Refusal, tooMuch } from './limits.ts';

const { cr, lf, semicolon, equals, quote, backslash } = Byte;
/** Hexadecimal digits, leading zeros included: sizes stay below 2^52. */
const sizeDigitsMax = 13;

const State = {
  sizeFirst: 0,
  size: 1,
  sizeLf: 2,
  data: 3,
  dataCr: 4,
  dataLf: 5,
  trailers: 6,
  failed: 7,
  /** From here on: extensions, `;name`, `;name=value`, `;name="value"`. */
  name: 8,
  value: 9,
  quoted: 10,
  escaped: 11,
  quotedEnd: 12,
} as const;

/** What `step` came to. */
export const Step = {
  /** All bytes are used up. */
  more: 0,
  /** `[dataFrom, dataTo)` are payload. */
  data: 1,
  /** The last chunk is over: what follows are trailers, up to and with an empty line. */
  trailers: 2,
  /** `refusal` says why. */
  failed: 3,
} as const;

/** Decodes one body; `reset` for the next. */
export class ChunkedDecoder {
  dataFrom = 0;
  dataTo = 0;
  /** Where `step` stopped. */
  position = 0;
  refusal: Refusal | null = null;
  #state: number = State.sizeFirst;
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #partBytes = 0;

  reset(): void {
    this.#state = State.sizeFirst;
    this.#left = this.#digits = this.#extensionBytes = 0;
    this.refusal = null;
  }

  /** Goes on at `bytes[at]`, up to `end`. Returns a `Step`; `position` is where to go on. */
  step(bytes: Buffer, from: number, end: number, limits: H1Limits): number {
    let at = from;
    while (at < end) {
      if (this.#state === State.data) {
        this.dataFrom = at;
        this.dataTo = this.position = Math.min(end, at + this.#left);
        this.#left -= this.dataTo - at;
        if (this.#left === 0) this.#state = State.dataCr;
        return Step.data;
      }
      if (!this.#framingByte(bytes[at]!, limits)) return Step.failed;
      at++;
      if (this.#state === State.trailers) {
        this.position = at;
        return Step.trailers;
      }
    }
    this.position = end;
    return Step.more;
  }

  #framingByte(byte: number, limits: H1Limits): boolean {
    switch (this.#state) {
      case State.sizeFirst:
      case State.size:
        return this.#sizeByte(byte);
      case State.sizeLf:
        if (byte !== lf) return this.#fail('CR without LF after a chunk size');
        this.#state = this.#left === 0 ? State.trailers : State.data;
        return true;
      case State.dataCr:
        if (byte !== cr) return this.#fail('no CR after the data of a chunk');
        this.#state = State.dataLf;
        return true;
      case State.dataLf:
        if (byte !== lf) return this.#fail('no LF after the data of a chunk');
        this.#state = State.sizeFirst;
        this.#digits = 0;
        return true;
      default:
        return this.#extensionByte(byte, limits);
    }
  }

  #sizeByte(byte: number): boolean {
    const value = hexValue[byte]!;
    if (value < 16) {
      this.#left = this.#digits === 0 ? value : this.#left * 16 + value;
      this.#state = State.size;
      return ++this.#digits <= sizeDigitsMax || this.#fail('chunk size too long');
    }
    if (this.#state === State.sizeFirst) return this.#fail('chunk without a size');
    if (byte === cr) this.#state = State.sizeLf;
    else if (byte === semicolon) this.#startPart(State.name);
    else return this.#fail('bad byte in a chunk size');
    return true;
  }

  #extensionByte(byte: number, limits: H1Limits): boolean {
    if (++this.#extensionBytes > limits.chunkExtensionBytesMax) {
      this.#state = State.failed;
      this.refusal = tooMuch('chunkExtensionBytesMax', limits.chunkExtensionBytesMax, 'the chunk extensions', 400);
      return false;
    }
    if (this.#state === State.quoted || this.#state === State.escaped) return this.#quotedByte(byte);
    if (tokenLower[byte] !== 0 && this.#state !== State.quotedEnd) {
      this.#partBytes++;
      return true;
    }
    const isWhole = this.#partBytes > 0 || this.#state === State.quotedEnd;
    if (isWhole && byte === cr) this.#state = State.sizeLf;
    else if (isWhole && byte === semicolon) this.#startPart(State.name);
    else if (isWhole && byte === equals && this.#state === State.name) this.#startPart(State.value);
    else if (byte === quote && this.#state === State.value && this.#partBytes === 0) this.#state = State.quoted;
    else return this.#fail('bad byte in a chunk extension');
    return true;
  }

  #quotedByte(byte: number): boolean {
    if (valueBytes[byte] === 0) return this.#fail('bad byte in a chunk extension');
    if (this.#state === State.escaped) this.#state = State.quoted;
    else if (byte === backslash) this.#state = State.escaped;
    else if (byte === quote) this.#state = State.quotedEnd;
    return true;
  }

  #startPart(state: number): void {
    this.#state = state;
    this.#partBytes = 0;
  }

  #fail(reason: string): boolean {
    this.#state = State.failed;
    this.refusal = malformed(reason);
    return false;
  }
}
