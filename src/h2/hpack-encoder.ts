// HPACK encoding (RFC 7541) without a dynamic table: what the static table has is indexed, the rest are literals that
// are not to be indexed. The caller's order is kept.
import { staticNames } from './hpack-static.ts';

/** Up to here it is cheaper to copy character by character than to call into Node. */
const shortLength = 24;

/** A size update to 0 (RFC 7541 §6.3). */
const noTable = Buffer.from([0x20]);

/** The encoder of one connection. */
export class HpackEncoder {
  #scratch = Buffer.allocUnsafeSlow(512);
  #at = 0;
  #sizeUpdateDue = false;

  /** The peer's decoder has a smaller table than the default: the next block says that we use none (RFC 7541 §4.2). */
  peerTableShrank(): void {
    this.#sizeUpdateDue = true;
  }

  /** `block` of `encodeBlock` as it may go out on this connection: behind the size update that is due, if one is. */
  prefixed(block: Buffer): Buffer {
    if (!this.#sizeUpdateDue) return block;
    this.#sizeUpdateDue = false;
    return Buffer.concat([noTable, block]);
  }

  /** Returns the block of `[name, value, …]`; a view that is valid until the next call. Names are in lower case. */
  encode(headers: readonly string[]): Buffer {
    this.#encode(headers);
    return this.#scratch.subarray(0, this.#at);
  }

  /** Like `encode`, as memory of its own. */
  encodeCopy(headers: readonly string[]): Buffer {
    this.#encode(headers);
    const copy = Buffer.allocUnsafe(this.#at);
    this.#scratch.copy(copy, 0, 0, this.#at);
    return copy;
  }

  #encode(headers: readonly string[]): void {
    this.#at = 0;
    this.#reserve(16);
    if (this.#sizeUpdateDue) this.#scratch[this.#at++] = noTable[0]!;
    this.#sizeUpdateDue = false;
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = headers[i]!;
      const value = headers[i + 1]!;
      this.#reserve(name.length + value.length + 24);
      const known = staticNames.get(name);
      const whole = known?.byValue.get(value);
      if (whole !== undefined) {
        this.#integer(0x80, 7, whole);
        continue;
      }
      this.#integer(0x00, 4, known?.index ?? 0);
      if (known === undefined) this.#string(name);
      this.#string(value);
    }
  }

  #reserve(bytes: number): void {
    if (this.#scratch.length - this.#at >= bytes) return;
    const larger = Buffer.allocUnsafeSlow((this.#at + bytes) * 2);
    this.#scratch.copy(larger, 0, 0, this.#at);
    this.#scratch = larger;
  }

  #string(text: string): void {
    const { length } = text;
    this.#integer(0x00, 7, length);
    if (length > shortLength) this.#at += this.#scratch.write(text, this.#at, 'latin1');
    else for (let i = 0; i < length; i++) this.#scratch[this.#at++] = text.charCodeAt(i);
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.#scratch[this.#at++] = pattern | value;
      return;
    }
    this.#scratch[this.#at++] = pattern | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#scratch[this.#at++] = (rest % 0x80) | 0x80;
    this.#scratch[this.#at++] = rest;
  }
}

const shared = new HpackEncoder();

/** Returns the block of `[name, value, …]`, bound to no connection; memory of its own. Names are in lower case. */
export function encodeBlock(headers: readonly string[]): Buffer {
  return shared.encodeCopy(headers);
}
