// The TCP back end over `net.Socket`: what runs where raw handles are not as expected, or not wished.
import type { Socket } from 'node:net';
import { adopt } from './adopt.ts';
import { type OnRead, ReadMemory } from './read-memory.ts';
import { addressesOf, defaultKeepAliveMs, type TcpAddresses, TcpStream, type TcpStreamOptions } from './tcp-stream.ts';

/** A connected socket as a stream. */
export class SocketStream extends TcpStream {
  readonly #socket: Socket;

  constructor(socket: Socket, memory: ReadMemory, options: TcpStreamOptions, addresses: TcpAddresses | null) {
    super(memory, options, addresses);
    this.#socket = socket;
    socket.setNoDelay(true);
    const keepAliveMs = options.keepAliveMs ?? defaultKeepAliveMs;
    if (keepAliveMs > 0) socket.setKeepAlive(true, keepAliveMs);
    socket.on('error', (error) => this.fail(error));
    socket.on('end', () => this.onReadEnd());
    socket.on('close', () => this.onClosed());
  }

  protected get gone(): boolean {
    return this.#socket.destroyed;
  }

  protected send(bytes: Buffer): boolean {
    this.#socket.write(bytes, this.#onWritten);
    return this.#socket.writableLength === 0;
  }

  protected sendFin(): void {
    this.#socket.end();
  }

  protected abortNow(): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    // libuv refuses to reset while a FIN is under way. Closing is then all that is left: the kernel answers whatever
    // the peer still sends with RST.
    if (this.finSent && !socket.writableFinished) socket.destroy();
    else socket.resetAndDestroy();
  }

  protected closeNow(): void {
    this.#socket.destroy();
  }

  protected startReading(): void {
    this.#socket.resume();
  }

  protected stopReading(): void {
    this.#socket.pause();
  }

  protected readAddresses(): TcpAddresses {
    return addressesOf(this.#socket);
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (!error && this.#socket.writableLength === 0) this.sent();
  };
}

/** What `onread` of a socket is, before the stream that it feeds exists. */
export class ReadPort {
  readonly memory: ReadMemory;
  stream: SocketStream | null = null;
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

/** Wraps an accepted socket: by `onread` where it can be adopted, by 'data' events otherwise. */
export function acceptedSocket(socket: Socket, options: TcpStreamOptions): SocketStream {
  // Asked before the handle moves: whoever accepted the socket has asked already, and Node remembers the answer.
  const addresses = addressesOf(socket);
  const port = new ReadPort(new ReadMemory(options.memory ?? 'shared'));
  const adopted = adopt(socket, port.onread);
  if (adopted !== null) {
    port.stream = new SocketStream(adopted, port.memory, options, addresses);
    return port.stream;
  }
  socket.pause();
  socket.allowHalfOpen = true;
  // 'data' chunks are fresh memory: whoever keeps one harms nobody.
  const stream = new SocketStream(socket, new ReadMemory('own', 1), options, addresses);
  socket.on('data', (chunk: Buffer) => {
    if (!stream.received(chunk)) socket.pause();
  });
  socket.pause();
  return stream;
}
