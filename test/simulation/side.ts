// One side of one stream as an application: it writes, reads, stalls, ends or aborts as its plan says, and checks all
// that it is told against what the other side did.
import { type ByteStream, type ByteStreamHandler, Took } from '../../src/io/byte-stream.ts';
import type { Random } from '../support/random.ts';
import { check } from './rules.ts';
import type { SimulatedLoop } from './simulated-loop.ts';

export interface SidePlan {
  /** Bytes to write, in chunks of at most `chunkMax`, with `pauseMs` between them now and then. */
  readonly bytes: number;
  readonly chunkMax: number;
  readonly pauseMs: number;
  /** What comes after the last byte; `echo-end` waits for the other side's end first. */
  readonly after: 'end' | 'echo-end' | 'reset' | 'destroy';
  /** Aborts as soon as this many bytes have been read; never when negative. */
  readonly abortAtBytes: number;
  /** Stops reading once in so many chunks (0: never), for at most `stallMs`. */
  readonly stallOneIn: number;
  readonly stallMs: number;
}

const patternBytes = 65_521;
/** What every side writes, each from another place on: a byte's value says where it belongs. */
const pattern = makePattern();

function makePattern(): Buffer {
  const bytes = Buffer.allocUnsafeSlow(patternBytes * 2);
  let state = 1;
  for (let i = 0; i < patternBytes; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
    bytes[i + patternBytes] = bytes[i]!;
  }
  return bytes;
}

const scratch = Buffer.allocUnsafeSlow(patternBytes);

/** How a side was told that its stream is over. */
export interface SideClose {
  readonly error: Error | null;
  readonly wasReset: boolean;
}

export class Side implements ByteStreamHandler {
  readonly name: string;
  readonly plan: SidePlan;
  other: Side | null = null;
  stream: ByteStream | null = null;
  written = 0;
  read = 0;
  /** It called `end`. */
  ended = false;
  /** It called `reset` or `destroy`. */
  aborted = false;
  endSeen = false;
  closed: SideClose | null = null;
  /** The server refused: `reject` instead of `accept`. */
  rejected = false;
  readonly #loop: SimulatedLoop;
  readonly #random: Random;
  readonly #salt: number;
  readonly #trace: ((text: string) => void) | null;
  #isPaused = false;
  #waiting = false;
  #pumping = false;

  constructor(
    name: string,
    plan: SidePlan,
    loop: SimulatedLoop,
    random: Random,
    trace: ((text: string) => void) | null,
  ) {
    this.name = name;
    this.plan = plan;
    this.#loop = loop;
    this.#random = random;
    this.#salt = random.below(patternBytes);
    this.#trace = trace;
  }

  /** The stream may be written to from now on. */
  attach(stream: ByteStream): void {
    this.stream = stream;
  }

  /** Writes what can be written now. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.written < this.plan.bytes && !this.#waiting && this.#canAct) {
      this.#writeChunk();
      if (this.plan.pauseMs > 0 && this.#random.oneIn(3)) {
        this.#later(this.plan.pauseMs);
        this.#pumping = false;
        return;
      }
    }
    this.#pumping = false;
    if (this.written === this.plan.bytes && this.#canAct) this.#afterLastByte();
  }

  onData(chunk: Buffer): number {
    check(this.closed === null, 'close', () => `${this.name} is handed bytes after its close`);
    check(!this.endSeen, 'end', () => `${this.name} is handed bytes after the end`);
    check(!this.#isPaused, 'pause', () => `${this.name} is handed ${chunk.length} bytes while it has paused`);
    check(!this.aborted, 'close', () => `${this.name} is handed bytes after it aborted`);
    this.#checkBytes(chunk);
    this.read += chunk.length;
    const { abortAtBytes, stallOneIn, stallMs } = this.plan;
    if (abortAtBytes >= 0 && this.read >= abortAtBytes) {
      this.#abort(this.#random.oneIn(2));
      return Took.All;
    }
    if (this.#random.oneIn(4)) this.pump();
    if (stallOneIn === 0 || !this.#random.oneIn(stallOneIn) || !this.#canAct) return Took.All;
    this.#isPaused = true;
    this.#loop.after(this.#random.below(stallMs + 1), () => this.#resume());
    if (this.#random.oneIn(2)) return Took.Pause;
    this.stream!.pause();
    return Took.All;
  }

  onEnd(): void {
    check(this.closed === null, 'close', () => `${this.name} is told of the end after its close`);
    check(!this.endSeen, 'end', () => `${this.name} is told of the end twice`);
    check(!this.aborted, 'close', () => `${this.name} is told of the end after it aborted`);
    const { other } = this;
    check(other?.ended === true, 'end', () => `${this.name} is told of an end that nobody sent`);
    check(
      this.read === other!.written,
      'end',
      () => `${this.name} has ${this.read} bytes of ${other!.written} at the end`,
    );
    this.#trace?.(`${this.name} has read all ${this.read} bytes`);
    this.endSeen = true;
    this.pump();
  }

  onDrain(): void {
    check(this.closed === null, 'close', () => `${this.name} is told to go on after its close`);
    this.#waiting = false;
    this.pump();
  }

  onClose(error: Error | null, wasReset: boolean): void {
    check(this.closed === null, 'close', () => `${this.name} is closed twice`);
    this.closed = { error, wasReset };
    this.#trace?.(`${this.name} is closed: ${error?.message ?? 'well'}${wasReset ? ', reset' : ''}`);
    const isWell = this.ended && this.endSeen;
    if (error === null) {
      check(isWell || this.aborted, 'abort', () => `${this.name} is closed without an error before both ends`);
    }
  }

  get #canAct(): boolean {
    return this.closed === null && !this.ended && !this.aborted;
  }

  #writeChunk(): void {
    const count = Math.min(this.#random.size(this.plan.chunkMax), this.plan.bytes - this.written);
    const from = (this.#salt + this.written) % patternBytes;
    const chunk = scratch.subarray(0, count);
    pattern.copy(chunk, 0, from, from + count);
    this.written += count;
    const took = this.stream!.write(chunk);
    check((took & Took.Retained) === 0, 'bytes', () => `${this.name}: the stream keeps memory of its writer`);
    chunk.fill(0xdd);
    if ((took & Took.Pause) !== 0) this.#waiting = true;
  }

  #checkBytes(chunk: Buffer): void {
    const { other } = this;
    check(
      other !== null && this.read + chunk.length <= other.written,
      'bytes',
      () => `${this.name} gets too many bytes`,
    );
    for (let at = 0; at < chunk.length; ) {
      const from = (other!.#salt + this.read + at) % patternBytes;
      const count = Math.min(chunk.length - at, patternBytes);
      const isRight = chunk.compare(pattern, from, from + count, at, at + count) === 0;
      check(
        isRight,
        'bytes',
        () => `${this.name} gets wrong bytes between ${this.read + at} and ${this.read + at + count}`,
      );
      at += count;
    }
  }

  #afterLastByte(): void {
    const { after } = this.plan;
    if (after === 'echo-end' && !this.endSeen) return;
    if (after === 'end' || after === 'echo-end') {
      this.#trace?.(`${this.name} ends after ${this.written} bytes`);
      this.ended = true;
      this.stream!.end();
    } else this.#abort(after === 'reset');
  }

  #abort(isReset: boolean): void {
    this.#trace?.(`${this.name} ${isReset ? 'resets' : 'destroys'} after ${this.written} bytes`);
    this.aborted = true;
    if (isReset) this.stream!.reset();
    else this.stream!.destroy();
  }

  #resume(): void {
    this.#isPaused = false;
    if (this.closed === null && !this.aborted) this.stream!.resume();
  }

  #later(pauseMs: number): void {
    this.#loop.after(this.#random.below(pauseMs + 1), () => this.pump());
  }
}
