// What both ends of HTTP/1.1 share: bytes that wait because somebody is not ready for them, bodies coming in and bodies
// going out. Server and client connections extend it and say what a message is.
//
//   onData ──▶ consume ──▶ head | body | raw        what is not consumed is copied, and the stream paused
//   writeBody / endBody ──▶ scratch or stream
import { type ByteStream, type ByteStreamHandler, Took } from '../../io/byte-stream.ts';
import { DeadlineEntry, type Deadlines } from '../../io/deadlines.ts';
import type { Trailers } from '../message.ts';
import { ChunkedDecoder, Step } from './chunked-decoder.ts';
import type { H1Limits, Refusal } from './limits.ts';
import { gatherBytes, type ScratchUser, scratch } from './out-scratch.ts';
import { isTrailerName, TrailerReader } from './trailers.ts';

/** How a body is framed, either way. */
export const Framed = {
  /** No body, or none left. */
  none: 0,
  length: 1,
  chunked: 2,
  /** To the end of the connection's direction; raw bytes too. */
  close: 3,
} as const;

const hexDigits = '0123456789abcdef';

/** One end of a connection. */
export abstract class H1Connection extends DeadlineEntry implements ByteStreamHandler, ScratchUser {
  protected readonly stream: ByteStream;
  protected readonly limits: H1Limits;
  protected closed = false;
  /** The peer has sent its end. */
  protected peerEnded = false;
  /** The receiver of the body that comes wants no more for now. */
  protected paused = false;
  protected reading: number = Framed.none;
  protected writing: number = Framed.none;
  /** The stream's queue is full. */
  protected congested = false;
  #readLeft = 0;
  #writeLeft = 0;
  #decoder: ChunkedDecoder | null = null;
  #trailers: TrailerReader | null = null;
  #rest: Buffer | null = null;
  #restAt = 0;
  #consuming = false;
  #streamPaused = false;
  #endDue = false;
  #took = 0;

  constructor(stream: ByteStream, limits: H1Limits) {
    super();
    this.stream = stream;
    this.limits = limits;
  }

  // ---- the stream ----

  onData(chunk: Buffer): number {
    if (this.closed) return Took.All;
    if (this.#rest !== null || this.#consuming) {
      this.#keep(chunk);
      return this.#pauseMask();
    }
    const at = this.#consume(chunk, 0);
    const took = this.#took & Took.Retained;
    if (this.closed) return took;
    if (at < chunk.length) {
      this.#keep(at === 0 ? chunk : chunk.subarray(at));
      return took | this.#pauseMask();
    }
    return this.paused ? took | this.#pauseMask() : took;
  }

  onEnd(): void {
    if (this.closed) return;
    this.#endDue = true;
    if (this.#rest === null && !this.#consuming) this.#end();
  }

  onDrain(): void {
    this.congested = false;
    if (!this.closed) this.drained();
  }

  abstract onClose(error: Error | null, wasReset: boolean): void;

  writeScratch(bytes: Buffer): number {
    const took = this.stream.write(bytes);
    if (took & Took.Pause) this.congested = true;
    return took;
  }

  // ---- what server and client say ----

  /** Takes bytes from `at` on and returns where it stopped: at the end, or where it has to wait. */
  protected abstract consume(chunk: Buffer, at: number): number;
  /** All bytes that were there have been dealt with. */
  protected abstract settled(): void;
  /** The peer's end, after all its bytes. */
  protected abstract ended(): void;
  protected abstract drained(): void;
  /** Payload. Returns a mask of `Took`. */
  protected abstract deliver(slice: Buffer): number;
  /** The body that came is whole. */
  protected abstract bodyDone(trailers: Trailers): void;
  protected abstract bodyBroken(refusal: Refusal): void;
  /** The body that goes out is shorter or longer than its head said. */
  protected abstract bodyMismatch(): void;

  /** One deadline at a time: an earlier one is lifted, whatever its list. */
  protected expire(list: Deadlines | null): void {
    this.deadlineList?.lift(this);
    list?.set(this);
  }

  // ---- reading ----

  /** Something that `consume` waited for has happened. */
  protected pump(): void {
    if (this.#consuming || this.closed) return;
    const rest = this.#rest;
    if (rest !== null) {
      this.#restAt = this.#consume(rest, this.#restAt);
      if (this.closed) return;
      if (this.#restAt < rest.length) return;
      // What came meanwhile stands in a buffer of its own.
      if (this.#rest !== rest) {
        this.pump();
        return;
      }
      this.#rest = null;
    }
    if (this.paused) return;
    if (this.#endDue) this.#end();
    else this.resumeStream();
  }

  protected resumeStream(): void {
    if (!this.#streamPaused || this.closed) return;
    this.#streamPaused = false;
    this.stream.resume();
  }

  protected pauseReading(): void {
    this.paused = true;
    if (this.#consuming || this.#streamPaused || this.closed) return;
    this.#streamPaused = true;
    this.stream.pause();
  }

  protected resumeReading(): void {
    if (!this.paused) return;
    this.paused = false;
    this.pump();
  }

  /** Whether bytes wait that nobody has looked at. */
  protected get hasRest(): boolean {
    return this.#rest !== null && this.#restAt < this.#rest.length;
  }

  /** Bytes that were read and wait are of no interest any more. */
  protected forgetRest(): void {
    if (!this.#consuming) this.#rest = null;
  }

  protected expectBody(framed: number, length: number): void {
    this.reading = framed;
    this.#readLeft = length;
    if (framed !== Framed.chunked) return;
    this.#decoder ??= new ChunkedDecoder();
    this.#decoder.reset();
  }

  /** Bytes of a body with a length that have not come. */
  protected get readLeft(): number {
    return this.reading === Framed.length ? this.#readLeft : 0;
  }

  /** Takes a slice of the body; returns where it ends. */
  protected readBody(chunk: Buffer, at: number): number {
    const end = chunk.length;
    if (this.reading === Framed.chunked) return this.#readChunked(chunk, at);
    const to = this.reading === Framed.length ? Math.min(end, at + this.#readLeft) : end;
    this.#readLeft -= to - at;
    const isLast = this.reading === Framed.length && this.#readLeft === 0;
    if (isLast) this.reading = Framed.none;
    this.#hand(at === 0 && to === end ? chunk : chunk.subarray(at, to));
    if (isLast && !this.closed) this.bodyDone(null);
    return to;
  }

  #readChunked(chunk: Buffer, from: number): number {
    if (this.#trailers !== null) return this.#readTrailers(this.#trailers, chunk, from);
    const decoder = this.#decoder!;
    switch (decoder.step(chunk, from, chunk.length, this.limits)) {
      case Step.data: {
        const { dataTo } = decoder;
        this.#hand(chunk.subarray(decoder.dataFrom, dataTo));
        return dataTo;
      }
      case Step.trailers:
        this.#trailers = new TrailerReader();
        return decoder.position === chunk.length
          ? decoder.position
          : this.#readTrailers(this.#trailers, chunk, decoder.position);
      case Step.failed:
        this.#broken(decoder.refusal!);
        return chunk.length;
      default:
        return chunk.length;
    }
  }

  #readTrailers(reader: TrailerReader, chunk: Buffer, from: number): number {
    const to = reader.read(chunk, from, chunk.length, this.limits);
    if (reader.refusal !== null) {
      this.#trailers = null;
      this.#broken(reader.refusal);
      return chunk.length;
    }
    if (!reader.done) return to;
    this.#trailers = null;
    this.reading = Framed.none;
    this.bodyDone(reader.trailers);
    return to;
  }

  #broken(refusal: Refusal): void {
    this.reading = Framed.none;
    this.bodyBroken(refusal);
  }

  #hand(slice: Buffer): void {
    const took = this.deliver(slice);
    this.#took |= took;
    if (took & Took.Pause) this.paused = true;
  }

  #consume(chunk: Buffer, at: number): number {
    this.#consuming = true;
    this.#took = 0;
    scratch.enter();
    try {
      return this.consume(chunk, at);
    } finally {
      this.#consuming = false;
      scratch.leave();
      if (!this.closed) this.settled();
    }
  }

  #keep(chunk: Buffer): void {
    const waiting = this.#rest?.subarray(this.#restAt) ?? null;
    this.#rest = waiting === null ? Buffer.from(chunk) : Buffer.concat([waiting, chunk]);
    this.#restAt = 0;
  }

  #pauseMask(): number {
    this.#streamPaused = true;
    return Took.Pause;
  }

  #end(): void {
    this.#endDue = false;
    this.peerEnded = true;
    scratch.enter();
    try {
      this.ended();
    } finally {
      scratch.leave();
    }
  }

  // ---- writing ----

  protected openBody(framed: number, length: number): void {
    this.writing = framed;
    this.#writeLeft = length;
  }

  /** Bytes that still have to be written, where a length was said. */
  protected get writeLeft(): number {
    return this.writing === Framed.length ? this.#writeLeft : 0;
  }

  /** Returns a mask of `Took`. */
  protected writeBody(chunk: Buffer): number {
    if (this.closed || chunk.length === 0 || this.writing === Framed.none) return Took.All;
    if (this.writing === Framed.chunked) return this.#writeChunk(chunk);
    if (this.writing === Framed.length) {
      if (chunk.length > this.#writeLeft) {
        this.bodyMismatch();
        return Took.All;
      }
      this.#writeLeft -= chunk.length;
    }
    if (scratch.holds(this)) {
      if (chunk.length <= gatherBytes) {
        scratch.open(this).copy(chunk, 0, chunk.length);
        return this.#gathered();
      }
      scratch.flush();
    }
    const took = this.stream.write(chunk);
    if (took & Took.Pause) this.congested = true;
    return took;
  }

  /** True when the body that went out is whole. */
  protected endBody(trailers: Trailers): boolean {
    if (this.closed) return false;
    const { writing } = this;
    if (writing === Framed.length && this.#writeLeft > 0) {
      this.bodyMismatch();
      return false;
    }
    this.writing = Framed.none;
    if (writing !== Framed.chunked) return true;
    const out = scratch.open(this);
    out.text('0\r\n');
    if (trailers !== null) {
      for (const [name, value] of trailers) if (isTrailerName(name)) out.line(name, value);
    }
    out.text('\r\n');
    return true;
  }

  #writeChunk(chunk: Buffer): number {
    const { length } = chunk;
    const out = scratch.open(this);
    out.need(length + 16);
    let shift = 0;
    while (length >>> shift > 15) shift += 4;
    for (; shift >= 0; shift -= 4) out.bytes[out.at++] = hexDigits.charCodeAt((length >>> shift) & 15);
    out.bytes[out.at++] = 13;
    out.bytes[out.at++] = 10;
    out.copy(chunk, 0, length);
    out.bytes[out.at++] = 13;
    out.bytes[out.at++] = 10;
    return this.#gathered();
  }

  /** What was gathered leaves by itself, soon; the answer is the one that its write had, or that of the last. */
  #gathered(): number {
    if (scratch.writer.at > gatherBytes) scratch.flush();
    return this.congested ? Took.Pause : Took.All;
  }

  /** Nothing may be read or written any more. Returns false when that was so before. */
  protected shut(): boolean {
    if (this.closed) return false;
    this.closed = true;
    this.expire(null);
    scratch.drop(this);
    this.#trailers?.drop();
    this.#trailers = null;
    if (!this.#consuming) this.#rest = null;
    return true;
  }
}
