// HPACK decoding (RFC 7541): header blocks to flat lists `[name, value, name, value, …]`, one character per byte, with
// the dynamic table of one connection.
import { ErrorCode } from './constants.ts';
import { staticLength, staticTable } from './hpack-static.ts';
import { huffmanDecode } from './huffman.ts';
import { keptLiteralBytes, type Literal, Literals, literalOf } from './literals.ts';
import { ProtocolError } from './protocol-error.ts';

/** What an entry costs beyond its bytes (RFC 7541 §4.1), in the table as in SETTINGS_MAX_HEADER_LIST_SIZE. */
export const entryOverheadBytes = 32;

/** Longest integer: five bytes after the prefix, so that it stays below 2^35 and exact. */
const integerBytes = 5;

/** Evicted entries that may stay where they are. */
const spareEntries = 64;

interface Entry {
  readonly name: Literal;
  readonly value: Literal;
  readonly size: number;
}

const staticEntries: readonly Entry[] = staticTable.map(([name, value]) => {
  // A pseudo-header is sound: whether it may be there is another question.
  const literal = name.startsWith(':') ? { ...literalOf(name), isName: true } : literalOf(name);
  return { name: literal, value: literalOf(value), size: 0 };
});
const literals = new Literals();

/** The decoder of one connection, with its dynamic table. */
export class HpackDecoder {
  readonly #tableLimit: number;
  readonly #listLimit: number;
  #tableSize = 0;
  #tableMax: number;
  /** Newest last; those before `#oldest` have been evicted. */
  readonly #table: Entry[] = [];
  #oldest = 0;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  /** True when the last list was longer than allowed; the list is then incomplete, the table in step. */
  overflowed = false;
  /** True when all names and values of the last list were found to have no character that they may not have. */
  sound = true;

  /** `tableLimit`: our SETTINGS_HEADER_TABLE_SIZE; `listLimit`: our SETTINGS_MAX_HEADER_LIST_SIZE. */
  constructor(tableLimit: number, listLimit: number) {
    this.#tableLimit = tableLimit;
    this.#tableMax = tableLimit;
    this.#listLimit = listLimit;
  }

  /** What the dynamic table holds, counted as RFC 7541 §4.1 does. */
  get tableBytes(): number {
    return this.#tableSize;
  }

  /** Returns the list of one whole block. Throws ProtocolError(CompressionError); then the connection must end. */
  decode(block: Buffer): string[] {
    this.#block = block;
    this.#at = 0;
    this.#end = block.length;
    this.overflowed = false;
    let sound = true;
    const list: string[] = [];
    let listBytes = 0;
    while (this.#at < this.#end) {
      const first = block[this.#at]!;
      let name: Literal;
      let value: Literal;
      if (first & 0x80) {
        const entry = this.#entry(this.#integer(7));
        name = entry.name;
        value = entry.value;
      } else if ((first & 0xe0) === 0x20) {
        if (list.length > 0 || listBytes > 0) throw broken('a table size update inside a block');
        this.#resize(this.#integer(5));
        continue;
      } else {
        const indexed = (first & 0xc0) === 0x40;
        const isSecret = (first & 0xf0) === 0x10;
        const index = this.#integer(indexed ? 6 : 4);
        name = index === 0 ? this.#string(false) : this.#entry(index).name;
        value = this.#string(isSecret);
        if (indexed) this.#add(name, value);
      }
      sound &&= name.isName && value.isValue;
      listBytes += name.text.length + value.text.length + entryOverheadBytes;
      if (listBytes <= this.#listLimit) list.push(name.text, value.text);
      else this.overflowed = true;
    }
    this.#block = emptyBlock;
    this.sound = sound;
    return list;
  }

  #entry(index: number): Entry {
    if (index === 0) throw broken('index 0');
    if (index <= staticLength) return staticEntries[index]!;
    const at = this.#table.length - (index - staticLength);
    if (at < this.#oldest) throw broken(`index ${index} beyond the table`);
    return this.#table[at]!;
  }

  #add(name: Literal, value: Literal): void {
    const size = name.text.length + value.text.length + entryOverheadBytes;
    this.#evict(this.#tableMax - size);
    // An entry larger than the table empties it (RFC 7541 §4.4).
    if (size > this.#tableMax) return;
    this.#table.push({ name, value, size });
    this.#tableSize += size;
  }

  #resize(size: number): void {
    if (size > this.#tableLimit) throw broken('a table size above the limit');
    this.#tableMax = size;
    this.#evict(size);
  }

  #evict(target: number): void {
    if (this.#tableSize <= target) return;
    const table = this.#table;
    let oldest = this.#oldest;
    while (oldest < table.length && this.#tableSize > target) this.#tableSize -= table[oldest++]!.size;
    // What has gone makes room when it is as much as what is left: moving all of it for each entry costs more.
    if (oldest * 2 > table.length + spareEntries) {
      table.splice(0, oldest);
      oldest = 0;
    }
    this.#oldest = oldest;
  }

  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#block[this.#at++]! & mask;
    if (value < mask) return value;
    for (let i = 0; i < integerBytes; i++) {
      if (this.#at >= this.#end) throw broken('a truncated integer');
      const byte = this.#block[this.#at++]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if ((byte & 0x80) === 0) return value;
    }
    throw broken('an integer too long');
  }

  /** `isSecret`: never to be indexed, and not kept here either (RFC 7541 §7.1.3). */
  #string(isSecret: boolean): Literal {
    if (this.#at >= this.#end) throw broken('a truncated string');
    const huffman = (this.#block[this.#at]! & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw broken('a truncated string');
    this.#at = end;
    if (length === 0) return emptyLiteral;
    if (isSecret || length > keptLiteralBytes) return literalOf(this.#text(start, end, huffman));
    const known = literals.find(this.#block, start, end, huffman);
    return known ?? literals.keep(this.#block, start, end, huffman, this.#text(start, end, huffman));
  }

  #text(start: number, end: number, huffman: boolean): string {
    if (!huffman) return this.#block.toString('latin1', start, end);
    const text = huffmanDecode(this.#block, start, end);
    if (text === null) throw broken('a wrong Huffman string');
    return text;
  }
}

const emptyLiteral = literalOf('');
const emptyBlock = Buffer.alloc(0);

function broken(what: string): ProtocolError {
  return new ProtocolError(ErrorCode.CompressionError, `header block with ${what}`);
}
