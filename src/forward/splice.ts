// Joins two byte streams so that either side sees what the other does: bytes, half-close, reset. The hot path is
// `Half.onData`: count, mark as active, hand the chunk to the other stream, hand its answer (back-pressure) back.
//
//   source ──onData──▶ Half ──write──▶ destination          bytesSent
//   source ◀──write── Half ◀──onData── destination          bytesReceived
import { isMeshError, MeshError } from '../base/errors.ts';
import type { ByteStream, ByteStreamHandler } from '../io/byte-stream.ts';
import type { Sweep, Swept } from './sweep.ts';
import type { SpliceObserver } from './turns.ts';

export interface SpliceDeadlines {
  /** No byte in either direction for so long ends the connection. */
  readonly idleMs: number;
  /** The same, once one side has sent its end. */
  readonly halfCloseMs: number;
}

/**
 * Two streams joined. `onFinish` is called exactly once, when both have closed; null means that both sides wished it.
 */
export class Splice implements Swept {
  readonly #source: Half;
  readonly #destination: Half;
  readonly #deadlines: SpliceDeadlines;
  readonly #sweep: Sweep;
  readonly #onFinish: (error: MeshError | null) => void;
  #quietSinceMs = 0;
  #error: MeshError | null = null;
  #broken = false;
  #finished = false;
  /** Set by every event, cleared by the sweep. */
  active = true;
  /** Told of each chunk; null on nearly all connections. */
  readonly observer: SpliceObserver | null;

  constructor(
    source: ByteStream,
    destination: ByteStream,
    deadlines: SpliceDeadlines,
    sweep: Sweep,
    onFinish: (error: MeshError | null) => void,
    observer: SpliceObserver | null = null,
  ) {
    this.observer = observer;
    this.#source = new Half(this, source, destination, 'RESET_BY_SOURCE');
    this.#destination = new Half(this, destination, source, 'RESET_BY_DESTINATION');
    this.#deadlines = deadlines;
    this.#sweep = sweep;
    this.#onFinish = onFinish;
  }

  /** Bytes that the source sent and the destination's stream took. */
  get bytesSent(): number {
    return this.#source.bytes;
  }

  /** Bytes that the destination sent and the source's stream took. */
  get bytesReceived(): number {
    return this.#destination.bytes;
  }

  start(): void {
    this.#sweep.add(this);
    // Source last: what it sent while the destination was being connected flows from here on.
    this.#destination.from.start(this.#destination);
    if (this.#broken) {
      // The destination broke inside `start`; the source was reset before it had a handler to tell.
      this.#source.closed = true;
      this.#settle();
      return;
    }
    this.#source.from.start(this.#source);
  }

  /**
   * Ends the connection at once: both sides see a reset, `onFinish` gets `error`. No effect when it has ended already.
   */
  abort(error: MeshError): void {
    if (this.#finished) return;
    this.#break(error);
    this.#source.from.reset();
    this.#destination.from.reset();
  }

  sweep(nowMs: number): void {
    if (this.active) {
      this.active = false;
      this.#quietSinceMs = nowMs;
      return;
    }
    const quietMs = nowMs - this.#quietSinceMs;
    const { idleMs, halfCloseMs } = this.#deadlines;
    if ((this.#source.ended || this.#destination.ended) && quietMs >= halfCloseMs) {
      this.abort(new MeshError('HALF_CLOSE_TIMEOUT', { timeoutMs: halfCloseMs }));
    } else if (quietMs >= idleMs) this.abort(new MeshError('IDLE_TIMEOUT', { timeoutMs: idleMs }));
  }

  /** One stream has closed; `half.ended` says whether it had sent its end before. */
  closed(half: Half, error: Error | null, wasReset: boolean): void {
    const other = half === this.#source ? this.#destination : this.#source;
    if (error !== null || wasReset) {
      this.#break(closingError(half, error, wasReset));
      if (!other.closed) other.from.reset();
    } else if (!this.#broken && !other.closed && !(half.ended && other.ended)) {
      // Closed without an error and without both ends: cut short. The other side must not take it for a clean end.
      this.#break(new MeshError(half.resetCode));
      other.from.reset();
    }
    this.#settle();
  }

  #break(error: MeshError): void {
    this.#broken = true;
    this.#error ??= error;
  }

  #settle(): void {
    if (this.#finished || !this.#source.closed || !this.#destination.closed) return;
    this.#finished = true;
    this.#sweep.delete(this);
    this.#onFinish(this.#error);
  }
}

/** Handler of one stream: what it reads goes to the other. */
class Half implements ByteStreamHandler {
  readonly #splice: Splice;
  readonly from: ByteStream;
  readonly #to: ByteStream;
  readonly resetCode: 'RESET_BY_SOURCE' | 'RESET_BY_DESTINATION';
  bytes = 0;
  ended = false;
  closed = false;

  constructor(splice: Splice, from: ByteStream, to: ByteStream, resetCode: 'RESET_BY_SOURCE' | 'RESET_BY_DESTINATION') {
    this.#splice = splice;
    this.from = from;
    this.#to = to;
    this.resetCode = resetCode;
  }

  onData(chunk: Buffer): number {
    this.bytes += chunk.length;
    const splice = this.#splice;
    splice.active = true;
    if (splice.observer !== null) splice.observer.onChunk(this.resetCode === 'RESET_BY_SOURCE');
    return this.#to.write(chunk);
  }

  onEnd(): void {
    this.ended = true;
    this.#splice.active = true;
    this.#to.end();
  }

  /** `from` has room again for what `to` reads. */
  onDrain(): void {
    this.#splice.active = true;
    this.#to.resume();
  }

  onClose(error: Error | null, wasReset: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.#splice.closed(this, error, wasReset);
  }
}

function closingError(half: Half, error: Error | null, wasReset: boolean): MeshError {
  // The tunnel knows better who ended it and why.
  if (isMeshError(error) && error.code === 'CERTIFICATE_REVOKED') return error;
  if (wasReset) return new MeshError(half.resetCode, {}, { cause: error });
  return MeshError.from(error);
}
