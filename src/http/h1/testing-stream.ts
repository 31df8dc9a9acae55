// A byte stream without a socket, for tests of the codec: the test plays the peer.
import { type ByteStream, type ByteStreamHandler, Took } from '../../io/byte-stream.ts';

/** Keeps what is written, and obeys back-pressure: what comes while it is paused waits. */
export class TestingStream implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  bufferedBytes = 0;
  ended = false;
  wasReset = false;
  destroyed = false;
  closed = false;
  paused = true;
  writes = 0;
  /** What `write` answers. */
  answer: number = Took.All;
  readonly #written: Buffer[] = [];
  #waiting: Buffer[] = [];
  #endWaiting = false;
  #endTold = false;
  #handler: ByteStreamHandler | null = null;

  /** All that was written, a character per byte. */
  get text(): string {
    return Buffer.concat(this.#written).toString('latin1');
  }

  /** What was written since the last call. */
  take(): string {
    const { text } = this;
    this.#written.length = 0;
    return text;
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
    this.paused = false;
  }

  write(chunk: Buffer): number {
    if (this.ended || this.closed) return Took.All;
    this.writes++;
    this.bytesWritten += chunk.length;
    this.#written.push(Buffer.from(chunk));
    return this.answer;
  }

  end(): void {
    this.ended = true;
    if (this.#endTold) this.close(null, false);
  }

  reset(): void {
    this.wasReset = true;
    this.close(null, false);
  }

  destroy(): void {
    this.destroyed = true;
    this.close(null, false);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    while (!this.paused && this.#waiting.length > 0) this.#hand(this.#waiting.shift()!);
    if (!this.paused && this.#endWaiting) this.receiveEnd();
  }

  drain(): void {
    this.answer = Took.All;
    this.#handler?.onDrain();
  }

  /** The peer sends `bytes`; memory is overwritten afterwards, as the thread's read buffer is. */
  receive(bytes: string | Buffer): void {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
    if (this.paused) this.#waiting.push(chunk);
    else this.#hand(chunk);
  }

  receiveEnd(): void {
    if (this.paused) {
      this.#endWaiting = true;
      return;
    }
    this.#endWaiting = false;
    this.#endTold = true;
    if (this.closed) return;
    this.#handler?.onEnd();
    if (this.ended) this.close(null, false);
  }

  close(error: Error | null, wasReset: boolean): void {
    if (this.closed) return;
    this.closed = true;
    process.nextTick(() => this.#handler?.onClose(error, wasReset));
  }

  #hand(chunk: Buffer): void {
    if (this.closed) return;
    this.bytesRead += chunk.length;
    const took = this.#handler!.onData(chunk);
    if ((took & Took.Retained) === 0) chunk.fill(0xee);
    if (took & Took.Pause) this.paused = true;
  }
}
