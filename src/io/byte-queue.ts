// Bytes that wait in order, copied into blocks of their own: what a peer has sent and nobody has read yet, or what
// waits for a window. Many small pieces share a block, so the memory held is close to the bytes held. Blocks are
// pooled: memory that is made and forgotten at the speed of bulk traffic costs more in garbage collection than the
// copies do.
import { giveBlock, takeBlock } from './slabs.ts';

/** A first-in-first-out queue of bytes that owns its memory. */
export class ByteQueue {
  readonly #blocks: Buffer[] = [];
  /** Bytes of the first block that are taken already. */
  #headAt = 0;
  /** Bytes of the last block that are filled. */
  #tailUsed = 0;
  #bytes = 0;
  /** Somebody holds a view of the first block. */
  #lent = false;

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer, from = 0): void {
    let at = from;
    while (at < chunk.length) {
      let tail = this.#blocks.at(-1);
      if (tail === undefined || this.#tailUsed === tail.length) {
        tail = takeBlock(Math.max(chunk.length - at, this.#bytes));
        this.#blocks.push(tail);
        this.#tailUsed = 0;
      }
      const count = chunk.copy(tail, this.#tailUsed, at);
      this.#tailUsed += count;
      this.#bytes += count;
      at += count;
    }
  }

  /** The first bytes without taking them; null when empty. Valid until the next call of any method but `peek`. */
  peek(): Buffer | null {
    const head = this.#blocks[0];
    if (head === undefined) return null;
    return head.subarray(this.#headAt, this.#blocks.length === 1 ? this.#tailUsed : head.length);
  }

  /**
   * Drops `bytes` from the front: at most what `peek` shows. `recycle` is false when somebody still holds a view of
   * them.
   */
  skip(bytes: number, recycle = true): void {
    const head = this.#blocks[0];
    if (head === undefined) return;
    this.#headAt += bytes;
    this.#bytes -= bytes;
    this.#lent ||= !recycle;
    const last = this.#blocks.length === 1;
    if (this.#headAt < (last ? this.#tailUsed : head.length)) return;
    this.#blocks.shift();
    if (!this.#lent) giveBlock(head);
    this.#lent = false;
    this.#headAt = 0;
    if (last) this.#tailUsed = 0;
  }

  /** Takes the first bytes: a block that the queue forgets. Null when empty. */
  shift(): Buffer | null {
    const first = this.peek();
    if (first !== null) this.skip(first.length, false);
    return first;
  }

  clear(): void {
    this.#blocks.length = 0;
    this.#headAt = 0;
    this.#tailUsed = 0;
    this.#bytes = 0;
    this.#lent = false;
  }
}
