// The body of a request on its way: straight through to the try that is running, with a copy on the side for the next
// one, up to a limit. While no try runs, what comes is only kept.
import { Took } from '../../io/byte-stream.ts';
import type { OutgoingRequest, Trailers } from '../message.ts';

/** One per request that has a body. */
export class RequestBody {
  readonly #limitBytes: number;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** From the first byte on, everything is in the copy. */
  #isWhole = true;
  #sink: OutgoingRequest | null = null;
  #trailers: Trailers = null;
  /** All of it has come. */
  ended = false;
  /** The client was told to wait; whoever makes room resumes it. */
  isHeld = false;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Another try could send all of it again. */
  get replayable(): boolean {
    return this.#isWhole;
  }

  /** Returns a mask of `Took`. */
  onData(chunk: Buffer): number {
    if (this.#isWhole) this.#keep(chunk);
    if (this.#sink !== null) return this.#sink.write(chunk);
    if (this.#keptBytes < this.#limitBytes) return Took.All;
    this.isHeld = true;
    return Took.Pause;
  }

  onEnd(trailers: Trailers): void {
    this.ended = true;
    this.#trailers = trailers;
    this.#sink?.end(trailers);
  }

  /** A try begins: it gets what is kept, and from now on what comes. Returns true when the client is to be resumed. */
  attach(sink: OutgoingRequest): boolean {
    this.#sink = sink;
    let took: number = Took.All;
    for (const chunk of this.#kept) took = sink.write(chunk);
    if (this.#keptBytes > this.#limitBytes) this.forget();
    if (this.ended) sink.end(this.#trailers);
    const resumes = this.isHeld && (took & Took.Pause) === 0;
    if (resumes) this.isHeld = false;
    return resumes;
  }

  /** The try is over; what comes is for the next one. */
  detach(): void {
    this.#sink = null;
  }

  /** No other try will be made: nothing more is kept. */
  forget(): void {
    this.#isWhole = false;
    this.#kept = [];
    this.#keptBytes = 0;
  }

  #keep(chunk: Buffer): void {
    if (this.#sink !== null && this.#keptBytes + chunk.length > this.#limitBytes) {
      this.forget();
      return;
    }
    this.#kept.push(Buffer.from(chunk));
    this.#keptBytes += chunk.length;
  }
}
