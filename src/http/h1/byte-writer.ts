// Puts heads together in a buffer that grows. Names and values from outside of the head that came (changes, answers of
// our own) are checked on their way in: whatever could end a line becomes a space, so that no value can add a header.
import { tokenLower, valueBytes } from './characters.ts';

const firstBytes = 16 * 1024;

/** A growing buffer and a place in it. */
export class ByteWriter {
  bytes: Buffer;
  at = 0;

  constructor(size: number = firstBytes) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Makes room for `count` more bytes. */
  need(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + count));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }

  copy(source: Buffer, from: number, to: number): void {
    this.need(to - from);
    source.copy(this.bytes, this.at, from, to);
    this.at += to - from;
  }

  /** Text of our own: ASCII, not checked. */
  text(text: string): void {
    this.need(text.length);
    this.at += this.bytes.write(text, this.at, 'latin1');
  }

  decimal(value: number): void {
    this.text(String(value));
  }

  /** `name: value` CRLF; nothing at all when `name` is no token. */
  line(name: string, value: string): void {
    this.need(name.length + 4);
    const { bytes } = this;
    let at = this.at;
    if (name.length === 0) return;
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i);
      if (code > 127 || tokenLower[code] === 0) return;
      bytes[at++] = code;
    }
    bytes[at++] = 58;
    bytes[at++] = 32;
    this.at = at;
    this.value(value);
    this.text('\r\n');
  }

  /** One byte per character as in the heads that came; UTF-8 where a character has no such byte. */
  value(value: string): void {
    this.need(value.length);
    const { bytes, at } = this;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 255) {
        this.#utf8(value);
        return;
      }
      bytes[at + i] = valueBytes[code] === 0 ? 32 : code;
    }
    this.at = at + value.length;
  }

  #utf8(value: string): void {
    const encoded = Buffer.from(value, 'utf8');
    this.need(encoded.length);
    for (const byte of encoded) this.bytes[this.at++] = valueBytes[byte] === 0 ? 32 : byte;
  }
}
