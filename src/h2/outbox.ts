// What one session sends: the frames of a loop turn gather in slabs, one `setImmediate` later they go to the transport,
// and exactly one write is in flight while the next frames gather behind it.
import { type ByteStream, Took } from '../io/byte-stream.ts';
import { OutQueue } from '../io/out-queue.ts';

/** The sending side of one session. */
export class Outbox {
  readonly queue: OutQueue = new OutQueue();
  readonly #transport: ByteStream;
  readonly #highWaterMarkBytes: number;
  readonly #onRoom: () => void;
  #armed = false;
  #blocked = false;
  #ending = false;
  #closed = false;

  /** `onRoom` is called whenever something went out and the queue is below the mark. */
  constructor(transport: ByteStream, highWaterMarkBytes: number, onRoom: () => void) {
    this.#transport = transport;
    this.#highWaterMarkBytes = highWaterMarkBytes;
    this.#onRoom = onRoom;
  }

  /** Whoever has just sent should pause: what is queued keeps the connection busy. */
  get full(): boolean {
    return this.queue.bytes >= this.#highWaterMarkBytes;
  }

  /** Frames were appended: the first of a turn arms the flush. */
  touched(): void {
    if (this.#armed || this.#blocked || this.#closed) return;
    this.#armed = true;
    setImmediate(flushArmed, this);
  }

  /** For the immediate alone. */
  turnEnded(): void {
    this.#armed = false;
    this.flush();
  }

  flush(): void {
    if (this.#closed || this.#blocked) return;
    for (let bytes = this.queue.next(); bytes !== null; bytes = this.queue.next()) {
      const took = this.#transport.write(bytes);
      if (this.#closed) return;
      this.#blocked = (took & Took.Pause) !== 0;
      // A slab that a blocked write keeps is settled when the transport has drained.
      if (this.#blocked && took & Took.Retained) break;
      this.queue.settle((took & Took.Retained) === 0);
      if (this.#blocked) break;
    }
    if (this.#ending && this.queue.bytes === 0) this.#transport.end();
    if (!this.full) this.#onRoom();
  }

  /** The transport has taken everything. */
  drained(): void {
    if (this.queue.writing) this.queue.settle();
    this.#blocked = false;
    this.flush();
  }

  /** FIN after what is queued. */
  end(): void {
    this.#ending = true;
    this.flush();
  }

  close(): void {
    this.#closed = true;
    this.queue.clear();
  }
}

function flushArmed(outbox: Outbox): void {
  outbox.turnEnded();
}
