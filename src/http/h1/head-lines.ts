// A parsed head: where its lines are, over the bytes as they came. Positions count from the first byte of the head, so
// that the bytes can be moved under them: heads that are kept lie in memory of a pool, others in the chunk that was
// read.
import type { Headers } from '../message.ts';
import { hashName, isWord } from './characters.ts';
import { firstHopName, Name } from './known-names.ts';

/** Numbers per line: of the name, its hash, and four positions. */
export const slotSize = 6;
export const Slot = { number: 0, hash: 1, nameFrom: 2, nameTo: 3, valueFrom: 4, valueTo: 5 } as const;

const pooledBytes = 4 * 1024;
const pooledLines = 128;
const pooledMax = 256;
const nothing = Buffer.alloc(0);

/** The lines of a head. `get`, `has` and `each` leave out what belongs to one connection alone. */
export class HeadLines implements Headers {
  memory: Buffer = nothing;
  /** Where the head begins in `memory`. */
  base = 0;
  /** Bytes of the head that are in `memory`, while it comes in pieces. */
  held = 0;
  /** Bytes of the whole head, with the empty line. */
  length = 0;
  count = 0;
  slots: Int32Array = new Int32Array(pooledLines * slotSize);
  /** Where the line begins that is to be parsed next; the first line is a request or status line. */
  lineAt = 0;
  startLineDone = false;
  /** Where the first line begins, and its three parts. */
  startAt = 0;
  firstTo = 0;
  secondFrom = 0;
  secondTo = 0;
  /** 0 or 1: HTTP/1.0 or 1.1. */
  minor = 1;
  status = 0;
  /** Where the header lines begin. */
  linesAt = 0;
  #own: Buffer = Buffer.allocUnsafeSlow(pooledBytes);

  reset(): void {
    this.memory = nothing;
    this.base = this.held = this.length = this.count = 0;
    this.lineAt = 0;
    this.startLineDone = false;
  }

  /** Goes on in memory of its own: `bytes[from, to)` are added to what it holds. */
  keep(bytes: Buffer, from: number, to: number): void {
    const size = to - from;
    if (this.memory !== this.#own) {
      this.memory = this.#own;
      this.base = this.held = 0;
    }
    if (this.held + size > this.#own.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#own.length * 4, this.held + size));
      this.#own.copy(larger, 0, 0, this.held);
      this.#own = this.memory = larger;
    }
    bytes.copy(this.#own, this.held, from, to);
    this.held += size;
  }

  add(number: number, hash: number, nameFrom: number, nameTo: number, valueFrom: number, valueTo: number): void {
    const at = this.count * slotSize;
    if (at >= this.slots.length) {
      const larger = new Int32Array(this.slots.length * 2);
      larger.set(this.slots);
      this.slots = larger;
    }
    const slots = this.slots;
    slots[at] = number;
    slots[at + 1] = hash;
    slots[at + 2] = nameFrom;
    slots[at + 3] = nameTo;
    slots[at + 4] = valueFrom;
    slots[at + 5] = valueTo;
    this.count++;
  }

  numberAt(line: number): number {
    return this.slots[line * slotSize]!;
  }

  /** Takes a line out for good. */
  drop(line: number): void {
    this.slots[line * slotSize] = Name.dropped;
  }

  nameIs(line: number, hash: number, name: string): boolean {
    const at = line * slotSize;
    const slots = this.slots;
    if (slots[at + Slot.hash] !== hash) return false;
    return isWord(this.memory, this.base + slots[at + Slot.nameFrom]!, this.base + slots[at + Slot.nameTo]!, name);
  }

  valueIs(line: number, word: string): boolean {
    const at = line * slotSize;
    const slots = this.slots;
    return isWord(this.memory, this.base + slots[at + Slot.valueFrom]!, this.base + slots[at + Slot.valueTo]!, word);
  }

  valueText(line: number): string {
    const at = line * slotSize;
    return this.text(this.slots[at + Slot.valueFrom]!, this.slots[at + Slot.valueTo]!);
  }

  nameText(line: number): string {
    const at = line * slotSize;
    return this.text(this.slots[at + Slot.nameFrom]!, this.slots[at + Slot.nameTo]!);
  }

  /** One character per byte. */
  text(from: number, to: number): string {
    return this.memory.toString('latin1', this.base + from, this.base + to);
  }

  /** Where the line after `line` begins. */
  lineEnd(line: number): number {
    return line + 1 < this.count ? this.slots[(line + 1) * slotSize + Slot.nameFrom]! : this.length - 2;
  }

  get(name: string): string | null {
    const hash = hashName(name);
    let found: string | null = null;
    for (let line = 0; line < this.count; line++) {
      if (!this.nameIs(line, hash, name) || this.numberAt(line) >= firstHopName) continue;
      const value = this.valueText(line);
      if (found === null) found = value;
      else found += (name === 'cookie' ? '; ' : ', ') + value;
    }
    return found;
  }

  has(name: string): boolean {
    const hash = hashName(name);
    for (let line = 0; line < this.count; line++) {
      if (this.nameIs(line, hash, name) && this.numberAt(line) < firstHopName) return true;
    }
    return false;
  }

  hasPrefix(prefix: string): boolean {
    const { memory, base, slots } = this;
    for (let line = 0; line < this.count; line++) {
      const from = base + slots[line * slotSize + Slot.nameFrom]!;
      const to = base + slots[line * slotSize + Slot.nameTo]!;
      if (to - from >= prefix.length && isWord(memory, from, from + prefix.length, prefix)) return true;
    }
    return false;
  }

  each(visit: (name: string, value: string) => void): void {
    for (let line = 0; line < this.count; line++) {
      if (this.numberAt(line) < firstHopName) visit(this.nameText(line), this.valueText(line));
    }
  }

  /** Forgets memory that is too large to be kept for another head. */
  shrink(): void {
    if (this.#own.length > pooledBytes) this.#own = Buffer.allocUnsafeSlow(pooledBytes);
    if (this.slots.length > pooledLines * slotSize) this.slots = new Int32Array(pooledLines * slotSize);
  }
}

const pool: HeadLines[] = [];

/** Lines of nothing, for one head; given back with `giveLines`. */
export function takeLines(): HeadLines {
  const lines = pool.pop() ?? new HeadLines();
  lines.reset();
  return lines;
}

/** Nobody may use `lines` any more. */
export function giveLines(lines: HeadLines): void {
  if (pool.length >= pooledMax) return;
  lines.shrink();
  lines.memory = nothing;
  lines.count = 0;
  pool.push(lines);
}

/** No headers: what a head shows after its request is over. */
export const noHeaders: Headers = { get: () => null, has: () => false, hasPrefix: () => false, each: () => undefined };
