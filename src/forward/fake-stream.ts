// A byte stream without a socket, for tests of what joins streams: it does what it is told and remembers what it was
// told.
import { type ByteStream, type ByteStreamHandler, Took } from '../io/byte-stream.ts';

/** Written chunks gather in `written`; the test plays the peer with `receive`, `receiveEnd` and `close`. */
export class FakeStream implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  bufferedBytes = 0;
  written = '';
  calls: string[] = [];
  /** What `write` answers. */
  answer: number = Took.All;
  paused = true;
  handler: ByteStreamHandler | null = null;
  #closed = false;
  #ended = false;
  #peerEnded = false;

  start(handler: ByteStreamHandler): void {
    this.handler = handler;
    this.paused = false;
  }

  write(chunk: Buffer): number {
    this.written += chunk.toString();
    return this.answer;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.calls.push('end');
    if (this.#peerEnded) this.close(null, false);
  }

  reset(): void {
    if (this.#closed) return;
    this.calls.push('reset');
    this.close(null, false);
  }

  destroy(): void {
    this.close(null, false);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** The peer sends `text`; as a stream must, it pauses itself when told so. */
  receive(text: string): void {
    if (((this.handler?.onData(Buffer.from(text)) ?? 0) & Took.Pause) !== 0) this.paused = true;
  }

  receiveEnd(): void {
    this.#peerEnded = true;
    this.handler?.onEnd();
    if (this.#ended) this.close(null, false);
  }

  close(error: Error | null, wasReset: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.handler?.onClose(error, wasReset);
  }
}
