// Where `net.Socket` puts what it reads (its documented option `onread`). Plain sockets of a thread share one buffer,
// which is consumed inside the read callback; a stream whose consumer may keep a chunk has memory of its own.
import { slabBytes } from './slabs.ts';

/** One read of a plain socket: a little less than a slab, so that it fits into one with a frame header before it. */
const sharedReadBytes = slabBytes - 64;

/** One read of a TLS socket: a whole record, which is what Node hands over at a time. */
export const tlsReadBytes: number = 16 * 1024;

const shared = Buffer.allocUnsafeSlow(sharedReadBytes);

/** The shape that `net.Socket` and `tls.connect` take as `onread`. */
export interface OnRead {
  buffer: () => Buffer;
  callback: (bytes: number, memory: Uint8Array) => boolean;
}

/** Whose memory a stream reads into: the thread's, which a consumer must not keep, or its own. */
export type ReadMemoryKind = 'shared' | 'own';

/** Hands out the memory for the next read of one stream. */
export class ReadMemory {
  readonly kind: ReadMemoryKind;
  readonly #bytes: number;
  #own: Buffer | null = null;

  constructor(kind: ReadMemoryKind, bytes: number = sharedReadBytes) {
    this.kind = kind;
    this.#bytes = bytes;
  }

  current(): Buffer {
    if (this.kind === 'shared') return shared;
    this.#own ??= Buffer.allocUnsafeSlow(this.#bytes);
    return this.#own;
  }

  /** The chunk just read stays in use: the next read gets fresh memory. False when that cannot be done. */
  retain(): boolean {
    this.#own = null;
    return this.kind === 'own';
  }
}

/** For every stream that reads into the memory of the thread: it keeps nothing of theirs. */
export const sharedMemory: ReadMemory = new ReadMemory('shared');
