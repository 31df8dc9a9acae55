// A plain TCP connection as a ByteStream: a pod's connection, in or out. Reads go through `onread` into memory that the
// thread's sockets share; writes are copied into slabs, small ones sent at once, larger ones gathered per loop turn.
import type { Socket } from 'node:net';
import { MeshError } from '../base/errors.ts';
import { adopt } from './adopt.ts';
import { type ByteStream, type ByteStreamHandler, Took } from './byte-stream.ts';
import { OutQueue } from './out-queue.ts';
import { type OnRead, ReadMemory, type ReadMemoryKind } from './read-memory.ts';
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
}

interface TcpAddresses {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

const defaultHighWaterMarkBytes = 64 * 1024;
const defaultKeepAliveMs = 180_000;

/** A connected socket as a stream; `acceptedTcp` and `connectTcp` make it. Addresses are the socket's own words. */
export class TcpStream implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  readonly #socket: Socket;
  readonly #memory: ReadMemory;
  #addresses: TcpAddresses | null;
  readonly #highWaterMarkBytes: number;
  readonly #out = new OutQueue();
  #handler: ByteStreamHandler = idleHandler;
  #started = false;
  #userPaused = true;
  #flushArmed = false;
  #pausedWriter = false;
  #ending = false;
  #finSent = false;
  #closed = false;
  #closeReported = false;
  #endSeen = false;
  #endReported = false;
  #error: Error | null = null;

  /**
   * Use `acceptedTcp` or `connectTcp`. `addresses` are those of an accepted connection, null to ask the kernel when
   * asked.
   */
  constructor(socket: Socket, memory: ReadMemory, options: TcpStreamOptions, addresses: TcpAddresses | null) {
    this.#socket = socket;
    this.#addresses = addresses;
    this.#memory = memory;
    this.#highWaterMarkBytes = options.highWaterMarkBytes ?? defaultHighWaterMarkBytes;
    socket.setNoDelay(true);
    const keepAliveMs = options.keepAliveMs ?? defaultKeepAliveMs;
    if (keepAliveMs > 0) socket.setKeepAlive(true, keepAliveMs);
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('end', () => this.#onEnd());
    socket.on('close', () => this.#onClose());
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
      process.nextTick(() => this.#reportClose());
      return;
    }
    if (this.#endSeen && !this.#endReported) process.nextTick(() => this.#reportEnd());
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
    if (this.#closed || this.#socket.destroyed) return;
    this.#ending = true;
    // libuv refuses to reset while a FIN is under way. Closing is then all that is left: the kernel answers whatever
    // the peer still sends with RST.
    if (this.#finSent && !this.#socket.writableFinished) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#ending = true;
    this.#socket.destroy();
  }

  pause(): void {
    this.#userPaused = true;
    if (!this.#closed) this.#socket.pause();
  }

  resume(): void {
    this.#userPaused = false;
    if (this.#started && !this.#closed) this.#socket.resume();
  }

  /** Bytes have been read, by `onread` or by 'data'; false stops reading. */
  received(chunk: Buffer): boolean {
    this.bytesRead += chunk.length;
    const took = this.#handler.onData(chunk);
    if (took & Took.Retained && !this.#memory.retain()) {
      this.#error ??= new MeshError('INTERNAL', {
        reason: 'a handler kept memory that all sockets of the thread share',
      });
      this.#socket.destroy();
      return false;
    }
    if (took & Took.Pause) this.#userPaused = true;
    return !this.#userPaused;
  }

  #known(): TcpAddresses {
    this.#addresses ??= addressesOf(this.#socket);
    return this.#addresses;
  }

  #armFlush(): void {
    if (this.#flushArmed) return;
    this.#flushArmed = true;
    setImmediate(flushArmed, this);
  }

  /** For the immediate alone. */
  flushTurn(): void {
    this.#flushArmed = false;
    if (!this.#closed && !this.#out.writing) this.#flush();
  }

  #flush(): void {
    for (let bytes = this.#out.next(); bytes !== null; bytes = this.#out.next()) {
      if (this.#socket.destroyed) return;
      this.#socket.write(bytes, this.#onWritten);
      // The usual case: the kernel took it all inside the call.
      if (this.#socket.writableLength > 0) return;
      this.#out.settle();
    }
    this.#onEmpty();
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error || !this.#out.writing || this.#socket.writableLength > 0) return;
    this.#out.settle();
    this.#flush();
  };

  #onEmpty(): void {
    if (this.#ending) this.#sendFin();
    if (!this.#pausedWriter) return;
    this.#pausedWriter = false;
    // Not from inside `write`, whose caller has not seen its answer yet.
    process.nextTick(reportDrain, this);
  }

  /** For the tick alone. */
  drained(): void {
    if (!this.#closed && !this.#ending && !this.#pausedWriter) this.#handler.onDrain();
  }

  #sendFin(): void {
    if (this.#finSent || this.#socket.destroyed) return;
    this.#finSent = true;
    this.#socket.end();
  }

  #onEnd(): void {
    this.#endSeen = true;
    this.#reportEnd();
  }

  #reportEnd(): void {
    if (!this.#started || this.#endReported || this.#closed) return;
    this.#endReported = true;
    this.#handler.onEnd();
  }

  #onClose(): void {
    this.#closed = true;
    this.#out.clear();
    if (this.#started) this.#reportClose();
  }

  #reportClose(): void {
    if (this.#closeReported) return;
    this.#closeReported = true;
    this.#handler.onClose(closeErrorOf(this.#error), isReset(this.#error));
  }
}

function flushArmed(stream: TcpStream): void {
  stream.flushTurn();
}

function reportDrain(stream: TcpStream): void {
  stream.drained();
}

/** What `onread` of a socket is, before the stream that it feeds exists. */
export class ReadPort {
  readonly memory: ReadMemory;
  stream: TcpStream | null = null;
  readonly onread: OnRead;

  constructor(memory: ReadMemory) {
    this.memory = memory;
    this.onread = {
      buffer: () => memory.current(),
      callback: (bytes, chunk) => {
        const whole = chunk as Buffer;
        return this.stream?.received(bytes === whole.length ? whole : whole.subarray(0, bytes)) ?? false;
      },
    };
  }
}

/**
 * Wraps a socket that a `net.Server` accepted (which should have `pauseOnConnect` and `allowHalfOpen`).
 * The caller must not use `socket` afterwards; its addresses are on the stream.
 */
export function acceptedTcp(socket: Socket, options: TcpStreamOptions = {}): TcpStream {
  // Asked before the handle moves: whoever accepted the socket has asked already, and Node remembers the answer.
  const addresses = addressesOf(socket);
  const port = new ReadPort(new ReadMemory(options.memory ?? 'shared'));
  const adopted = adopt(socket, port.onread);
  if (adopted !== null) {
    port.stream = new TcpStream(adopted, port.memory, options, addresses);
    return port.stream;
  }
  socket.pause();
  socket.allowHalfOpen = true;
  // 'data' chunks are fresh memory: whoever keeps one harms nobody.
  const stream = new TcpStream(socket, new ReadMemory('own', 1), options, addresses);
  socket.on('data', (chunk: Buffer) => {
    if (!stream.received(chunk)) socket.pause();
  });
  socket.pause();
  return stream;
}

function addressesOf(socket: Socket): TcpAddresses {
  return {
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
  };
}
