// Splits the bytes of a watch into lines. A line may come in many pieces, and many lines in one.
import { MeshError } from '../../base/errors.ts';

/** etcd takes objects of up to 1.5 MiB; as JSON, and with a wide margin. */
export const lineBytesMax = 16 * 1024 * 1024;
const newline = 0x0a;

/** Takes bytes, gives lines. What stands after the last newline waits for more. */
export class JsonLines {
  #pieces: Buffer[] = [];
  #length = 0;

  /** The lines that `chunk` completes, in UTF-8, without newlines; empty ones are left out. Throws LIMIT_REACHED. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      const line = this.#take(chunk.subarray(from, at));
      if (line.some(isInk)) lines.push(line);
      from = at + 1;
    }
    if (from < chunk.length) {
      this.#pieces.push(chunk.subarray(from));
      this.#length += chunk.length - from;
      if (this.#length > lineBytesMax) {
        throw new MeshError('LIMIT_REACHED', { limit: 'lineBytesMax', value: lineBytesMax, what: 'an event' });
      }
    }
    return lines;
  }

  #take(end: Buffer): Buffer {
    if (this.#pieces.length === 0) return end;
    const line = Buffer.concat([...this.#pieces, end]);
    this.#pieces = [];
    this.#length = 0;
    return line;
  }
}

function isInk(byte: number): boolean {
  return byte > 0x20;
}
