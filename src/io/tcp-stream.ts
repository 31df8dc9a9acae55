// A plain TCP connection as a ByteStream: a pod's connection, in or out. Reads go into memory that the thread's
// connections share; writes are copied into slabs, small ones sent at once, larger ones gathered per loop turn.
// What does the reading and writing is a back end: `socket-stream.ts` or `raw-stream.ts`.
import type { Socket } from 'node:net';
import { MeshError } from '../base/errors.ts';
import { type ByteStream, type ByteStreamHandler, Took } from './byte-stream.ts';
import { OutQueue } from './out-queue.ts';
import type { ReadMemory, ReadMemoryKind } from './read-memory.ts';
import { slabBytes } from './slabs.ts';
import { closeErrorOf, idleHandler, isReset } from './stream-end.ts';

/** Writes below this go out at once when nothing is queued; larger ones wait for company until the end of the turn. */
const writeThroughBytes = 4 * 1024;

export interface TcpStreamOptions {
  /** Buffered bytes above which `write` answers `Pause`. */
  readonly highWaterMarkBytes?: number;
  /**
   * Where reads go. With `shared` (the default) `onData` must not answer `Retained`: the memory belongs to every socket
   * of the thread, and a stream whose handler does so is destroyed. `own` costs 64 KiB and honours it.
   */
  readonly memory?: ReadMemoryKind;
  /** Idle time before the kernel probes the peer; 0 turns probing off. */
  readonly keepAliveMs?: number;
  /** The peer is on this machine: a pod of this node (`unpace` of `socket-options.ts`). */
  readonly isLocal?: boolean;
}

export interface TcpAddresses {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The addresses of a socket, as Node says them. */
export function addressesOf(socket: Socket): TcpAddresses {
  return {
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
  };
}

const defaultHighWaterMarkBytes = 64 * 1024;
export const defaultKeepAliveMs = 180_000;

/** A TCP connection; `acceptedTcp` and `connectTcp` make it. Addresses are the kernel's own words. */
export abstract class TcpStream implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  protected readonly memory: ReadMemory;
  protected finSent = false;
  readonly #highWaterMarkBytes: number;
  readonly #out = new OutQueue();
  #addresses: TcpAddresses | null;
  #handler: ByteStreamHandler = idleHandler;
  #started = false;
  #userPaused = true;
  #flushArmed = false;
  #pausedWriter = false;
  #ending = false;
  #closed = false;
  #closeReported = false;
  #endSeen = false;
  #endReported = false;
  #error: Error | null = null;

  /** `addresses` are those of an accepted connection, null to ask the kernel when asked. */
  constructor(memory: ReadMemory, options: TcpStreamOptions, addresses: TcpAddresses | null) {
    this.memory = memory;
    this.#addresses = addresses;
    this.#highWaterMarkBytes = options.highWaterMarkBytes ?? defaultHighWaterMarkBytes;
  }

  get bufferedBytes(): number {
    return this.#out.bytes;
  }

  get remoteAddress(): string {
    return this.#known().remoteAddress;
  }

  get remotePort(): number {
    return this.#known().remotePort;
  }

  get localAddress(): string {
    return this.#known().localAddress;
  }

  get localPort(): number {
    return this.#known().localPort;
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
    if (this.#closed) {
      process.nextTick(reportClose, this);
      return;
    }
    if (this.#endSeen && !this.#endReported) process.nextTick(reportEnd, this);
    if (this.#started) return;
    this.#started = true;
    this.resume();
  }

  write(chunk: Buffer): number {
    if (this.#ending || this.#closed) return Took.All;
    const length = chunk.length;
    this.bytesWritten += length;
    const alone = this.#out.bytes === 0;
    this.#out.append(chunk);
    if (!this.#out.writing) {
      if ((alone && length < writeThroughBytes) || this.#out.queuedBytes >= slabBytes) this.#flush();
      else this.#armFlush();
    }
    if (this.#out.bytes < this.#highWaterMarkBytes) return Took.All;
    this.#pausedWriter = true;
    return Took.Pause;
  }

  end(): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    if (this.#out.bytes === 0) this.#sendFin();
    else if (!this.#out.writing) this.#flush();
  }

  reset(): void {
    if (this.#closed) return;
    this.#ending = true;
    this.abortNow();
  }

  destroy(): void {
    this.#ending = true;
    this.closeNow();
  }

  pause(): void {
    this.#userPaused = true;
    if (!this.#closed) this.stopReading();
  }

  resume(): void {
    this.#userPaused = false;
    if (this.#started && !this.#closed) this.startReading();
  }

  // ---- of the back end ----

  /** Hands `bytes` to the kernel. True when it has taken all; else `sent` follows, once, unless the stream fails. */
  protected abstract send(bytes: Buffer): boolean;
  /** FIN. Called once, when nothing is left to write. */
  protected abstract sendFin(): void;
  /** Closes with a RST where that is possible; idempotent. `onClosed` follows. */
  protected abstract abortNow(): void;
  /** Closes; idempotent. `onClosed` follows. */
  protected abstract closeNow(): void;
  protected abstract startReading(): void;
  protected abstract stopReading(): void;
  /** Nothing can be sent any more. */
  protected abstract get gone(): boolean;
  protected abstract readAddresses(): TcpAddresses;

  /** Bytes have been read; false stops reading. */
  received(chunk: Buffer): boolean {
    this.bytesRead += chunk.length;
    const took = this.#handler.onData(chunk);
    if (took & Took.Retained && !this.memory.retain()) {
      this.fail(
        new MeshError('INTERNAL', { reason: 'a handler kept memory that all connections of the thread share' }),
      );
      return false;
    }
    if (took & Took.Pause) this.#userPaused = true;
    return !this.#userPaused;
  }

  /** The write that `send` left under way has finished. */
  protected sent(): void {
    if (this.#closed || !this.#out.writing) return;
    this.#out.settle();
    this.#flush();
  }

  /** The peer sends no more. */
  protected onReadEnd(): void {
    this.#endSeen = true;
    this.reportEnd();
  }

  /** The connection is broken: the first reason counts. The peer must not take it for an end. `onClosed` follows. */
  protected fail(error: Error): void {
    this.#error ??= error;
    this.abortNow();
  }

  protected onClosed(): void {
    this.#closed = true;
    this.#out.clear();
    if (this.#started) this.reportClose();
  }

  // ---- for ticks and immediates alone ----

  flushTurn(): void {
    this.#flushArmed = false;
    if (!this.#closed && !this.#out.writing) this.#flush();
  }

  drained(): void {
    if (!this.#closed && !this.#ending && !this.#pausedWriter) this.#handler.onDrain();
  }

  reportEnd(): void {
    if (!this.#started || this.#endReported || this.#closed) return;
    this.#endReported = true;
    this.#handler.onEnd();
  }

  reportClose(): void {
    if (this.#closeReported) return;
    this.#closeReported = true;
    this.#handler.onClose(closeErrorOf(this.#error), isReset(this.#error));
  }

  // ---- inside ----

  #known(): TcpAddresses {
    this.#addresses ??= this.readAddresses();
    return this.#addresses;
  }

  #armFlush(): void {
    if (this.#flushArmed) return;
    this.#flushArmed = true;
    setImmediate(flushArmed, this);
  }

  #flush(): void {
    for (let bytes = this.#out.next(); bytes !== null; bytes = this.#out.next()) {
      if (this.gone || !this.send(bytes)) return;
      // The usual case: the kernel took it all inside the call.
      this.#out.settle();
    }
    this.#onEmpty();
  }

  #onEmpty(): void {
    if (this.#ending) this.#sendFin();
    if (!this.#pausedWriter) return;
    this.#pausedWriter = false;
    // Not from inside `write`, whose caller has not seen its answer yet.
    process.nextTick(reportDrain, this);
  }

  #sendFin(): void {
    if (this.finSent || this.gone) return;
    this.finSent = true;
    this.sendFin();
  }
}

function flushArmed(stream: TcpStream): void {
  stream.flushTurn();
}

function reportDrain(stream: TcpStream): void {
  stream.drained();
}

function reportEnd(stream: TcpStream): void {
  stream.reportEnd();
}

function reportClose(stream: TcpStream): void {
  stream.reportClose();
}
