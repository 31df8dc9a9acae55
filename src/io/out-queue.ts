// Bytes gathered for one transport: filled slabs in order, and the one that is being filled. Whoever owns the queue
// writes one slab at a time and gives it back when the write has finished; frames gather behind it meanwhile.
import { giveSlab, slabBytes, takeSlab } from './slabs.ts';

/** The queue of one transport: `reserve`/`advance` or `append` on one side, `next`/`settle` on the other. */
export class OutQueue {
  /** Slabs that are full (or closed because the next frame did not fit), oldest first. */
  readonly #full: { slab: Buffer; used: number }[] = [];
  #current: Buffer | null = null;
  #used = 0;
  #inFlight: Buffer | null = null;
  #inFlightBytes = 0;
  #queuedBytes = 0;

  /** Bytes in the queue and in flight. */
  get bytes(): number {
    return this.#queuedBytes + this.#inFlightBytes;
  }

  /** Bytes that wait behind the write in flight. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get writing(): boolean {
    return this.#inFlight !== null;
  }

  /** Bytes that fit behind each other into the slab being filled; `slabBytes` when none is. */
  get room(): number {
    return this.#current === null ? slabBytes : slabBytes - this.#used;
  }

  /**
   * Makes sure that `bytes` (≤ `slabBytes`) fit behind each other, and returns the slab; write at `position`, then
   * `advance`.
   */
  reserve(bytes: number): Buffer {
    if (this.#current !== null && slabBytes - this.#used < bytes) this.#closeCurrent();
    this.#current ??= takeSlab();
    return this.#current;
  }

  get position(): number {
    return this.#used;
  }

  advance(bytes: number): void {
    this.#used += bytes;
    this.#queuedBytes += bytes;
  }

  /** Copies `chunk[start, end)` in, over as many slabs as it takes. */
  append(chunk: Buffer, start = 0, end: number = chunk.length): void {
    let at = start;
    while (at < end) {
      const slab = this.reserve(1);
      const count = Math.min(end - at, slabBytes - this.#used);
      chunk.copy(slab, this.#used, at, at + count);
      this.advance(count);
      at += count;
    }
  }

  /**
   * The next bytes to write, which count as in flight until `settle`; null when there are none or a write is in flight.
   */
  next(): Buffer | null {
    if (this.#inFlight !== null || this.#queuedBytes === 0) return null;
    const first = this.#full.shift();
    if (first !== undefined) return this.#fly(first.slab, first.used);
    const slab = this.#current!;
    const used = this.#used;
    this.#current = null;
    this.#used = 0;
    return this.#fly(slab, used);
  }

  /** The write in flight has finished. `recycle` is false when its memory may still be in use. */
  settle(recycle = true): void {
    if (this.#inFlight !== null && recycle) giveSlab(this.#inFlight);
    this.#inFlight = null;
    this.#inFlightBytes = 0;
  }

  /** Drops what is queued. The write in flight keeps its memory, which is left to the garbage collector. */
  clear(): void {
    for (const { slab } of this.#full) giveSlab(slab);
    this.#full.length = 0;
    if (this.#current !== null) giveSlab(this.#current);
    this.#current = null;
    this.#used = 0;
    this.#queuedBytes = 0;
    this.settle(false);
  }

  #fly(slab: Buffer, used: number): Buffer {
    this.#inFlight = slab;
    this.#inFlightBytes = used;
    this.#queuedBytes -= used;
    return used === slabBytes ? slab : slab.subarray(0, used);
  }

  #closeCurrent(): void {
    if (this.#current === null) return;
    this.#full.push({ slab: this.#current, used: this.#used });
    this.#current = null;
    this.#used = 0;
  }
}
