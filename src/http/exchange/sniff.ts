// What a stream speaks when its port does not say: looked up in its first bytes. A client that stays silent waits for
// its server to speak first, so after a short time the stream is taken for plain TCP.
//
//   inner stream ──bytes──▶ SniffedStream ──decide(kind)──▶ whoever serves it: start(handler) gets the bytes again
import { type ByteStream, type ByteStreamHandler, Took } from '../../io/byte-stream.ts';
import { DeadlineEntry, type Deadlines } from '../../io/deadlines.ts';
import type { StreamTiming } from '../../io/stream-timing.ts';

export type SniffedProtocol = 'http1' | 'http2' | 'tcp';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Enough of the preface: no method of HTTP/1.1 begins so. */
const prefaceSure = 'PRI * HTTP/2'.length;
const methodLengthMax = 20;

/** What `bytes` begin; null while they could be several things. */
export function protocolOf(bytes: Buffer): SniffedProtocol | null {
  const compared = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, compared, 0, compared) === 0) return bytes.length >= prefaceSure ? 'http2' : null;
  let at = 0;
  while (at < bytes.length && at <= methodLengthMax && isMethodByte(bytes[at]!)) at++;
  if (at === bytes.length && at <= methodLengthMax) return null;
  if (at === 0 || at > methodLengthMax || bytes[at] !== 0x20) return 'tcp';
  if (at + 1 === bytes.length) return null;
  // Origin form, asterisk form, absolute form.
  const first = bytes[at + 1];
  return first === 0x2f || first === 0x2a || first === 0x68 || first === 0x48 ? 'http1' : 'tcp';
}

function isMethodByte(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d || byte === 0x5f;
}

/** Who asked. */
export interface SniffEvents {
  /** Once, unless the stream closes before anything is known. */
  decide(protocol: SniffedProtocol, stream: ByteStream): void;
  /** It closed before. */
  closed(): void;
}

/** Reads until it is known what the stream speaks, then is that stream, from its first byte on. */
export class SniffedStream extends DeadlineEntry implements ByteStream, ByteStreamHandler {
  readonly #inner: ByteStream;
  readonly #events: SniffEvents;
  #held: Buffer | null = null;
  #handler: ByteStreamHandler | null = null;
  #decided = false;
  #handedOver = false;
  #ended = false;
  #closed: { readonly error: Error | null; readonly wasReset: boolean } | null = null;

  constructor(inner: ByteStream, deadlines: Deadlines, events: SniffEvents) {
    super();
    this.#inner = inner;
    this.#events = events;
    deadlines.set(this);
    inner.start(this);
  }

  get timing(): StreamTiming | null {
    return this.#inner.timing ?? null;
  }

  get bytesRead(): number {
    return this.#inner.bytesRead;
  }

  get bytesWritten(): number {
    return this.#inner.bytesWritten;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  onDeadline(): void {
    this.#settle('tcp');
  }

  // ---- from the inner stream ----

  onData(chunk: Buffer): number {
    if (this.#decided) return this.#handler?.onData(chunk) ?? this.#keep(chunk);
    const bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    const protocol = protocolOf(bytes);
    if (protocol === null) {
      this.#held = Buffer.from(bytes);
      return Took.All;
    }
    this.#held = bytes;
    const took = this.#settle(protocol);
    // Memory of the reader is valid during this call only.
    if (this.#held !== null) this.#held = Buffer.from(this.#held);
    return this.#handler === null ? Took.Pause : took;
  }

  onEnd(): void {
    if (this.#handler !== null && this.#held === null) this.#handler.onEnd();
    else this.#ended = true;
    this.#settle('tcp');
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  onClose(error: Error | null, wasReset: boolean): void {
    this.deadlineList?.lift(this);
    if (this.#handler !== null) this.#handler.onClose(error, wasReset);
    else this.#closed = { error, wasReset };
    if (!this.#decided) this.#events.closed();
    this.#decided = true;
  }

  // ---- as a stream ----

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
    if (this.#handedOver) {
      this.#inner.start(handler);
      return;
    }
    const took = this.#deliver(handler);
    if (this.#closed !== null) handler.onClose(this.#closed.error, this.#closed.wasReset);
    else if ((took & Took.Pause) === 0 && this.#handler === handler) this.#handOver();
  }

  write(chunk: Buffer): number {
    return this.#inner.write(chunk);
  }

  end(): void {
    this.#inner.end();
  }

  reset(): void {
    this.#inner.reset();
  }

  destroy(): void {
    this.#inner.destroy();
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    if (this.#handler !== null && !this.#handedOver && this.#held === null) this.#handOver();
    this.#inner.resume();
  }

  #settle(protocol: SniffedProtocol): number {
    if (this.#decided) return Took.All;
    this.#decided = true;
    this.deadlineList?.lift(this);
    this.#events.decide(protocol, this);
    return this.#handedOver || this.#handler === null ? Took.All : Took.Pause;
  }

  #deliver(handler: ByteStreamHandler): number {
    const held = this.#held;
    this.#held = null;
    const took = held === null ? Took.All : handler.onData(held);
    if (this.#ended) handler.onEnd();
    return took;
  }

  /** From here on the handler hears from the inner stream itself. */
  #handOver(): void {
    this.#handedOver = true;
    if (!this.#ended) this.#inner.start(this.#handler!);
    else this.#handedOver = false;
  }

  #keep(chunk: Buffer): number {
    this.#held = this.#held === null ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    return Took.Pause;
  }
}
