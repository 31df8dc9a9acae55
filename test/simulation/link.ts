// A connection between two sessions that keeps the contract of ByteStream and nothing more: what is written arrives in
// pieces of any size, at any time, and the link may be slow, be held up, be cut at any byte, or fall silent.
import { MeshError } from '../../src/base/errors.ts';
import { Flag, FrameType, frameHeaderBytes } from '../../src/h2/constants.ts';
import { type ByteStream, type ByteStreamHandler, Took } from '../../src/io/byte-stream.ts';
import { idleHandler } from '../../src/io/stream-end.ts';
import type { Random } from '../support/random.ts';
import { check } from './rules.ts';
import type { SimulatedLoop } from './simulated-loop.ts';
import type { WireModel } from './wire-model.ts';

export type CutKind = 'reset' | 'end' | 'silence';

export interface LinkOptions {
  /** Largest piece that is delivered at once. */
  readonly pieceMax: number;
  readonly delayMaxMs: number;
  /** Above it `write` answers Pause. */
  readonly capacityBytes: number;
  /** The writer's memory is used until the bytes have arrived. */
  readonly retains: boolean;
  /** What is queued when an end is destroyed: lost, or still delivered. */
  readonly destroyLoses: boolean;
  /** After how many bytes in either direction the link breaks, and how. */
  readonly cut: { readonly afterBytes: number; readonly kind: CutKind } | null;
}

/** Changes bytes on their way, for tests of the model: returns what arrives instead. */
export type Tamper = (bytes: Buffer, offset: number) => Buffer;

/** Both ends of one connection. */
export class Link {
  readonly client: LinkEnd;
  readonly server: LinkEnd;
  readonly options: LinkOptions;
  readonly loop: SimulatedLoop;
  readonly random: Random;
  readonly tamper: Tamper | null;
  /** The link delivers nothing any more, and nobody is told. */
  silent = false;
  isCut = false;

  constructor(loop: SimulatedLoop, random: Random, options: LinkOptions, models: WireModel[], tamper: Tamper | null) {
    this.loop = loop;
    this.random = random;
    this.options = options;
    this.tamper = tamper;
    for (const model of models) model.isSilent = () => this.silent;
    this.client = new LinkEnd(this, models[0]!);
    this.server = new LinkEnd(this, models[1]!);
    this.client.peer = this.server;
    this.server.peer = this.client;
  }

  delayMs(): number {
    const { delayMaxMs } = this.options;
    return this.random.oneIn(4) ? 0 : this.random.below(delayMaxMs * 1000 + 1) / 1000;
  }

  /** Breaks the connection now. */
  cut(kind: CutKind): void {
    if (this.isCut) return;
    this.isCut = true;
    if (kind === 'silence') {
      this.silent = true;
      return;
    }
    for (const end of [this.client, this.server]) {
      this.loop.after(this.delayMs(), () => {
        if (kind === 'end') end.receiveEnd();
        else end.closeWith(new MeshError('PEER_RESET', { reason: 'cut' }), true);
      });
    }
  }
}

/** One end, as its session sees it. */
export class LinkEnd implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  peer!: LinkEnd;
  closed = false;
  handler: ByteStreamHandler = idleHandler;
  readonly #link: Link;
  readonly #model: WireModel;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  /** SETTINGS that were sent in this end's name: their acknowledgements are not for it. */
  #injected = 0;
  #delivered = 0;
  #ended = false;
  #endArrived = false;
  #endSeen = false;
  #blocked = false;
  #armed = false;
  #paused = false;
  #memory = Buffer.allocUnsafeSlow(4096);

  constructor(link: Link, model: WireModel) {
    this.#link = link;
    this.#model = model;
  }

  get bufferedBytes(): number {
    return this.#queuedBytes;
  }

  start(handler: ByteStreamHandler): void {
    this.handler = handler;
  }

  write(chunk: Buffer): number {
    check(chunk.length > 0, 'frames', 'an empty write');
    if (this.#ended || this.closed) return Took.All;
    this.#model.sent(chunk);
    this.bytesWritten += chunk.length;
    const { retains, capacityBytes } = this.#link.options;
    this.#enqueue(this.peer.#injected > 0 ? this.peer.#withoutAcks(chunk) : retains ? chunk : Buffer.from(chunk));
    if (this.#queuedBytes <= capacityBytes) return retains ? Took.Retained : Took.All;
    this.#blocked = true;
    return Took.Pause | (retains ? Took.Retained : 0);
  }

  /** Sends SETTINGS in the name of the session at this end, once its own have been acknowledged. */
  inject(pairs: readonly (readonly [id: number, value: number])[]): void {
    if (this.#ended || this.closed || !this.#model.isAcknowledged) return;
    const bytes = Buffer.alloc(frameHeaderBytes + pairs.length * 6);
    bytes.writeUIntBE(pairs.length * 6, 0, 3);
    bytes[3] = FrameType.Settings;
    pairs.forEach(([id, value], at) => {
      bytes.writeUInt16BE(id, frameHeaderBytes + at * 6);
      bytes.writeUInt32BE(value, frameHeaderBytes + at * 6 + 2);
    });
    this.#injected++;
    this.#model.sent(bytes);
    this.#enqueue(bytes);
  }

  #enqueue(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#arm();
  }

  /** A write has whole frames, since the outbox never splits one. */
  #withoutAcks(chunk: Buffer): Buffer {
    const kept: Buffer[] = [];
    for (let at = 0; at < chunk.length; ) {
      const end = at + frameHeaderBytes + chunk.readUIntBE(at, 3);
      const isAck = chunk[at + 3] === FrameType.Settings && (chunk[at + 4]! & Flag.Ack) !== 0;
      if (isAck && this.#injected > 0) this.#injected--;
      else kept.push(chunk.subarray(at, end));
      at = end;
    }
    return Buffer.concat(kept);
  }

  end(): void {
    if (this.#ended || this.closed) return;
    this.#ended = true;
    this.#arm();
  }

  reset(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.peer.resetSoon();
    this.#closeSoon();
  }

  destroy(): void {
    if (this.closed) return;
    if (this.#link.options.destroyLoses) {
      this.#queue = [];
      this.#queuedBytes = 0;
    } else if (this.#link.options.retains) {
      this.#queue = this.#queue.map((chunk) => Buffer.from(chunk));
    }
    this.#ended = true;
    this.#arm();
    this.#closeSoon();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.peer.#arm();
  }

  /** The other side has sent FIN and everything before it. */
  receiveEnd(): void {
    if (this.closed || this.#endSeen) return;
    this.#endSeen = true;
    this.handler.onEnd();
    this.#checkDone();
  }

  resetSoon(): void {
    const { loop } = this.#link;
    loop.after(this.#link.delayMs(), () => this.closeWith(new MeshError('PEER_RESET', { reason: 'reset' }), true));
  }

  closeWith(error: Error | null, wasReset: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.handler.onClose(error, wasReset);
  }

  #closeSoon(): void {
    if (this.closed) return;
    this.closed = true;
    this.#link.loop.soon(() => this.handler.onClose(null, false));
  }

  #checkDone(): void {
    if (!this.#endSeen || !this.#endArrived || this.closed) return;
    this.#link.loop.after(this.#link.delayMs(), () => this.closeWith(null, false));
  }

  #arm(): void {
    if (this.#armed || this.#link.silent) return;
    this.#armed = true;
    this.#link.loop.after(this.#link.delayMs(), () => {
      this.#armed = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const link = this.#link;
    if (link.silent || (link.isCut && link.options.cut?.kind !== 'silence')) return;
    const { peer } = this;
    if (this.#queuedBytes > 0 && peer.closed) {
      // Bytes for a socket that is gone: the kernel answers with a reset.
      if (!this.closed) this.resetSoon();
      return;
    }
    if (peer.#paused) return;
    if (this.#queuedBytes > 0) this.#deliverPiece();
    if (this.#queuedBytes > 0) {
      this.#arm();
      return;
    }
    if (this.#blocked && !this.closed) {
      this.#blocked = false;
      link.loop.after(link.delayMs(), () => {
        if (!this.closed) this.handler.onDrain();
      });
    } else if (this.#ended && !this.#endArrived) {
      this.#endArrived = true;
      link.loop.after(link.delayMs(), () => {
        if (link.silent) return;
        peer.receiveEnd();
        this.#checkDone();
      });
    }
    if (this.#ended && !this.#endArrived) this.#arm();
  }

  #deliverPiece(): void {
    const { random, options, tamper } = this.#link;
    let bytes = Math.min(this.#queuedBytes, random.oneIn(3) ? options.pieceMax : random.between(1, options.pieceMax));
    const cutAt = options.cut === null ? Number.POSITIVE_INFINITY : options.cut.afterBytes - this.#delivered;
    bytes = Math.min(bytes, Math.max(cutAt, 0));
    if (bytes > 0) {
      const piece = this.#take(bytes);
      const arrived = tamper === null ? piece : tamper(piece, this.#delivered);
      this.#delivered += bytes;
      this.peer.#receive(arrived);
    }
    if (bytes === cutAt || cutAt <= 0) this.#link.cut(options.cut!.kind);
  }

  /** The first `bytes` of the queue, in memory of the reader. */
  #take(bytes: number): Buffer {
    const { peer } = this;
    if (peer.#memory.length < bytes) peer.#memory = Buffer.allocUnsafeSlow(bytes * 2);
    const piece = peer.#memory.subarray(0, bytes);
    this.#queuedBytes -= bytes;
    for (let at = 0; at < bytes; ) {
      const first = this.#queue[0]!;
      const count = first.copy(piece, at, 0, Math.min(first.length, bytes - at));
      at += count;
      if (count === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(count);
    }
    return piece;
  }

  #receive(piece: Buffer): void {
    if (piece.length === 0) return;
    this.bytesRead += piece.length;
    this.#model.received(piece);
    const took = this.handler.onData(piece);
    // Whoever still looks at memory that was given back sees nonsense.
    if ((took & Took.Retained) !== 0) this.#memory = Buffer.allocUnsafeSlow(4096);
    else piece.fill(0xee);
    if ((took & Took.Pause) !== 0) this.#paused = true;
  }
}
