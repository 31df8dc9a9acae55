// The buffer in which a thread puts together what goes out in one write: an edited head and the slice of body that
// follows it, or a chunk with its frame. What is in it belongs to one connection at a time, and leaves at the latest
// when the bytes that were read have been dealt with.
import { Took } from '../../io/byte-stream.ts';
import { ByteWriter } from './byte-writer.ts';

/** Room for the longest read and a head. */
const scratchBytes = 128 * 1024;
/** What is larger than this leaves at once. */
export const gatherBytes: number = 32 * 1024;

export interface ScratchUser {
  /** Hands `bytes` to the stream; returns a mask of `Took`. */
  writeScratch(bytes: Buffer): number;
}

class OutScratch {
  writer = new ByteWriter(scratchBytes);
  #user: ScratchUser | null = null;
  #depth = 0;
  #armed = false;

  /** True when bytes of `user` wait here. */
  holds(user: ScratchUser): boolean {
    return this.#user === user;
  }

  /** Where `user` goes on writing; what another has left goes out before. */
  open(user: ScratchUser): ByteWriter {
    if (this.#user !== user) {
      if (this.#user !== null) this.flush();
      this.#user = user;
      if (this.#depth === 0) this.#arm();
    }
    return this.writer;
  }

  /** Forgets what waits for `user`. */
  drop(user: ScratchUser): void {
    if (this.#user !== user) return;
    this.#user = null;
    this.writer.at = 0;
  }

  flushOf(user: ScratchUser): void {
    if (this.#user === user) this.flush();
  }

  flush(): void {
    const user = this.#user;
    if (user === null) return;
    const { writer } = this;
    const bytes = writer.bytes.subarray(0, writer.at);
    this.#user = null;
    writer.at = 0;
    const isLarge = writer.bytes.length > scratchBytes;
    if (user.writeScratch(bytes) & Took.Retained || isLarge) this.writer = new ByteWriter(scratchBytes);
  }

  /** Bytes are being dealt with: what is opened now waits for `leave`. */
  enter(): void {
    this.#depth++;
  }

  leave(): void {
    if (--this.#depth === 0 && this.#user !== null) this.flush();
  }

  /** For the tick alone. */
  tick(): void {
    this.#armed = false;
    if (this.#depth === 0) this.flush();
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    process.nextTick(flushTick);
  }
}

/** Of the thread. */
export const scratch: OutScratch = new OutScratch();

function flushTick(): void {
  scratch.tick();
}
