// A TLS connection as a ByteStream. Its writer is an HTTP/2 session, which gathers by itself: what is written goes to
// OpenSSL as it is, one write at a time (`Pause | Retained` until it has finished).
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type ByteStream, type ByteStreamHandler, Took } from './byte-stream.ts';
import type { ReadMemory } from './read-memory.ts';
import { closeErrorOf, idleHandler, isReset } from './stream-end.ts';

/** A TLS connection after its handshake; `connectTls` and `serveTls` make it. */
export class TlsStream implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  readonly #socket: TLSSocket;
  /** The accepted socket underneath, which alone can be reset; null on the client side. */
  readonly #raw: Socket | null;
  /** Null where every chunk is memory of its own. */
  readonly #memory: ReadMemory | null;
  #handler: ByteStreamHandler = idleHandler;
  #started = false;
  #paused = true;
  #waiting = false;
  #ending = false;
  #closed = false;
  #closeReported = false;
  #endSeen = false;
  #endReported = false;
  #error: Error | null = null;
  /** OpenSSL hands over what it has decrypted also when reading has stopped: what came before `start`. */
  #early: Buffer[] = [];

  /** After the handshake. The socket must be paused. */
  constructor(socket: TLSSocket, raw: Socket | null, memory: ReadMemory | null) {
    this.#socket = socket;
    this.#raw = raw;
    this.#memory = memory;
    socket.on('error', (error: Error) => {
      this.#error ??= error;
    });
    socket.on('end', () => this.#onEnd());
    socket.on('close', () => this.#onClose());
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
    if (this.#closed) {
      process.nextTick(() => this.#reportClose());
      return;
    }
    if (this.#endSeen && !this.#endReported) process.nextTick(() => this.#onEnd());
    if (this.#started) return;
    this.#started = true;
    if (this.#early.length > 0) process.nextTick(() => this.#deliverEarly());
    else this.resume();
  }

  write(chunk: Buffer): number {
    if (this.#ending || this.#closed || this.#socket.destroyed) return Took.All;
    this.bytesWritten += chunk.length;
    this.#socket.write(chunk, this.#onWritten);
    if (this.#socket.writableLength === 0) return Took.All;
    this.#waiting = true;
    return Took.Pause | Took.Retained;
  }

  end(): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    this.#socket.end();
  }

  reset(): void {
    this.#ending = true;
    if (this.#raw !== null && !this.#raw.destroyed) this.#raw.resetAndDestroy();
    this.#socket.destroy();
  }

  destroy(): void {
    this.#ending = true;
    this.#socket.destroy();
  }

  /** TLS itself failed after the handshake: an alert, a broken record. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  pause(): void {
    this.#paused = true;
    if (!this.#closed) this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#started && !this.#closed) this.#socket.resume();
  }

  /** Bytes have been read, by `onread` or by 'data'; false stops reading. */
  received(chunk: Buffer): boolean {
    if (!this.#started || this.#early.length > 0) {
      this.#early.push(Buffer.from(chunk));
      return false;
    }
    this.bytesRead += chunk.length;
    const took = this.#handler.onData(chunk);
    if (took & Took.Retained) this.#memory?.retain();
    if (took & Took.Pause) this.#paused = true;
    return !this.#paused;
  }

  #deliverEarly(): void {
    const early = this.#early;
    this.#early = [];
    this.#paused = false;
    for (const chunk of early) if (!this.#closed) this.received(chunk);
    if (!this.#paused) this.resume();
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error || !this.#waiting || this.#socket.writableLength > 0) return;
    this.#waiting = false;
    if (!this.#closed) this.#handler.onDrain();
  };

  #onEnd(): void {
    this.#endSeen = true;
    if (!this.#started || this.#endReported || this.#closed) return;
    this.#endReported = true;
    this.#handler.onEnd();
  }

  #onClose(): void {
    this.#closed = true;
    if (this.#started) this.#reportClose();
  }

  #reportClose(): void {
    if (this.#closeReported) return;
    this.#closeReported = true;
    this.#handler.onClose(closeErrorOf(this.#error), isReset(this.#error));
  }
}
