// Texts of HPACK literals that came lately. The same few values come again and again, from peers that put them into no
// table, and on many connections: finding one costs less than decoding, copying and checking it anew, and as the same
// string it is found faster in every map. One store per thread, of fixed size; nothing depends on what is in it.
import { isFieldName, isFieldValue } from './header-check.ts';

/** Longer literals are rare, and rarely the same. */
export const keptLiteralBytes = 64;
const slots = 1024;

/** A literal's text, and what is known of it. */
export interface Literal {
  readonly text: string;
  readonly isName: boolean;
  readonly isValue: boolean;
}

/** Texts by their bytes, each at the one place where its hash leads. */
export class Literals {
  readonly #bytes = Buffer.allocUnsafeSlow(slots * keptLiteralBytes);
  /** Length with the Huffman bit, as on the wire; 0 for an empty slot. */
  readonly #heads = new Uint8Array(slots);
  readonly #kept: (Literal | null)[] = new Array<Literal | null>(slots).fill(null);

  /** The literal of `block[start, end)`, coded as `huffman` says; null when it is not here. */
  find(block: Buffer, start: number, end: number, huffman: boolean): Literal | null {
    const slot = slotOf(block, start, end);
    if (this.#heads[slot] !== headOf(end - start, huffman)) return null;
    const bytes = this.#bytes;
    for (let at = slot * keptLiteralBytes, i = start; i < end; i++) if (bytes[at++] !== block[i]) return null;
    return this.#kept[slot]!;
  }

  /** Keeps what `find` did not find, in the place of whatever was there. */
  keep(block: Buffer, start: number, end: number, huffman: boolean, text: string): Literal {
    const slot = slotOf(block, start, end);
    const literal = literalOf(text);
    block.copy(this.#bytes, slot * keptLiteralBytes, start, end);
    this.#heads[slot] = headOf(end - start, huffman);
    this.#kept[slot] = literal;
    return literal;
  }
}

/** What is known of `text`. */
export function literalOf(text: string): Literal {
  return { text, isName: isFieldName(text), isValue: isFieldValue(text) };
}

function headOf(length: number, huffman: boolean): number {
  return length | (huffman ? 0x80 : 0);
}

/** By FNV-1a, whose low bits are mixed with its high ones. */
function slotOf(block: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ block[i]!, 0x01000193);
  return (hash ^ (hash >>> 16)) & (slots - 1);
}
