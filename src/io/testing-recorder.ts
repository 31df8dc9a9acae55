// For tests alone: a ByteStream handler that writes down what happens.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type ByteStreamHandler, Took } from './byte-stream.ts';

/** Collects what happens on a stream, and lets a test wait for its end. */
export class Recorder implements ByteStreamHandler {
  readonly chunks: Buffer[] = [];
  bytes = 0;
  ended = false;
  drains = 0;
  closed: { error: Error | null; wasReset: boolean } | null = null;
  took: number = Took.All;
  readonly #waiting: (() => boolean)[] = [];

  onData(chunk: Buffer): number {
    this.chunks.push(Buffer.from(chunk));
    this.bytes += chunk.length;
    this.#wake();
    return this.took;
  }
  onEnd(): void {
    assert.equal(this.ended, false, 'one end');
    assert.equal(this.closed, null, 'no end after close');
    this.ended = true;
    this.#wake();
  }
  onDrain(): void {
    this.drains++;
    this.#wake();
  }
  onClose(error: Error | null, wasReset: boolean): void {
    assert.equal(this.closed, null, 'one close');
    this.closed = { error, wasReset };
    this.#wake();
  }
  get md5(): string {
    return createHash('md5').update(Buffer.concat(this.chunks)).digest('hex');
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
  until(condition: (recorder: Recorder) => boolean): Promise<void> {
    if (condition(this)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        if (!condition(this)) return false;
        resolve();
        return true;
      });
    });
  }
  #wake(): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) if (this.#waiting[i]!()) this.#waiting.splice(i, 1);
  }
}
