// The TCP back end over Node's handles themselves: half the memory of `net.Socket` per connection, and less work to
// open and close one. Undocumented, hence only used where `tcp-backend.ts` has tried it.
import { closeSync } from 'node:fs';
import type { Server } from 'node:net';
import { armDeathReset, disarmDeathReset } from './death-reset.ts';
import {
  type AddressOut,
  type HandleRequest,
  handleError,
  listeningHandle,
  type RawBinding,
  type TcpHandle,
} from './raw-handles.ts';
import { ReadMemory, sharedMemory } from './read-memory.ts';
import { unpace } from './socket-options.ts';
import { defaultKeepAliveMs, type TcpAddresses, TcpStream, type TcpStreamOptions } from './tcp-stream.ts';

const endOfFile = -4095;
/** What `shutdown` answers when there is nothing left to wait for. */
const doneAtOnce = 1;
const notConnected = -107;

/** A connected handle, whose socket options are set, as a stream: armed (`death-reset.ts`) until it ends well. */
export class RawStream extends TcpStream {
  readonly #raw: RawBinding;
  readonly #handle: TcpHandle;
  #chunk: Buffer;
  #reading = false;
  #closing = false;
  #finUnderWay = false;
  #readEnded = false;

  constructor(raw: RawBinding, handle: TcpHandle, options: TcpStreamOptions) {
    super(options.memory === 'own' ? new ReadMemory('own') : sharedMemory, options, null);
    this.#raw = raw;
    this.#handle = handle;
    this.#chunk = this.memory.current();
    handle.stream = this;
    handle.onread = onRead;
    handle.useUserBuffer(this.#chunk);
  }

  /** From the handle: bytes, or the end of them. Returns the memory for the next read when it changes. */
  onRead(): Buffer | undefined {
    const count = this.#raw.state[this.#raw.readBytesOrError]!;
    if (this.#closing || count === 0) return undefined;
    if (count < 0) {
      this.#onReadError(count);
      return undefined;
    }
    const memory = this.#chunk;
    const more = this.received(count === memory.length ? memory : memory.subarray(0, count));
    if (!more) this.stopReading();
    const next = this.memory.current();
    if (next === memory || this.#closing) return undefined;
    this.#chunk = next;
    return next;
  }

  /** From the handle: it is closed. */
  onHandleClosed(): void {
    this.#handle.stream = null;
    this.onClosed();
  }

  /** From the write that `send` left under way. */
  onWritten(status: number): void {
    if (this.#closing) return;
    if (status < 0) this.fail(handleError(status, 'write'));
    else this.sent();
  }

  /** From the shutdown. */
  onShutdown(status: number): void {
    this.#finUnderWay = false;
    if (this.#closing) return;
    if (status < 0 && status !== notConnected) this.fail(handleError(status, 'shutdown'));
    else if (this.#readEnded) this.closeNow();
  }

  protected get gone(): boolean {
    return this.#closing;
  }

  protected send(bytes: Buffer): boolean {
    const request = spareWrite ?? this.#raw.newWrite();
    spareWrite = null;
    const status = this.#handle.writeBuffer(request, bytes);
    if (status !== 0) {
      this.fail(handleError(status, 'write'));
      return false;
    }
    if (this.#raw.state[this.#raw.lastWriteWasAsync] === 0) {
      spareWrite = request;
      return true;
    }
    request.waiter = this;
    request.oncomplete = onWritten;
    return false;
  }

  protected sendFin(): void {
    // The last thing that can happen on a connection: its close says FIN too.
    if (this.#readEnded) {
      this.closeNow();
      return;
    }
    const request = this.#raw.newShutdown();
    request.waiter = this;
    request.oncomplete = onShutdown;
    const status = this.#handle.shutdown(request);
    if (status === 0) this.#finUnderWay = true;
    else this.onShutdown(status === doneAtOnce ? 0 : status);
  }

  protected abortNow(): void {
    if (this.#closing) return;
    this.#closing = true;
    // libuv refuses to reset while a FIN is under way. A close is a reset too, as long as the stream is armed;
    // otherwise the kernel answers whatever the peer still sends with RST.
    if (this.#finUnderWay) this.#handle.close(onClosed);
    else this.#handle.reset(onClosed);
  }

  protected closeNow(): void {
    if (this.#closing) return;
    this.#closing = true;
    disarmDeathReset(this.#handle.fd);
    this.#handle.close(onClosed);
  }

  protected startReading(): void {
    if (this.#reading || this.#closing || this.#readEnded) return;
    this.#reading = true;
    const status = this.#handle.readStart();
    if (status !== 0) process.nextTick(failRead, this, status);
  }

  /** For the tick alone. */
  failRead(status: number): void {
    this.fail(handleError(status, 'read'));
  }

  protected stopReading(): void {
    if (!this.#reading || this.#closing) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  protected readAddresses(): TcpAddresses {
    return addressesOfHandle(this.#handle);
  }

  #onReadError(status: number): void {
    if (status !== endOfFile) {
      this.fail(handleError(status, 'read'));
      return;
    }
    this.stopReading();
    this.#readEnded = true;
    this.onReadEnd();
    if (this.finSent && !this.#finUnderWay) this.closeNow();
  }
}

/** The request of the last write that the kernel took at once, to be used again: nothing refers to it. */
let spareWrite: HandleRequest | null = null;

function onRead(this: TcpHandle): Buffer | undefined {
  return (this.stream as RawStream | null)?.onRead();
}

function onClosed(this: TcpHandle): void {
  (this.stream as RawStream | null)?.onHandleClosed();
}

function onWritten(this: HandleRequest, status: number): void {
  (this.waiter as RawStream).onWritten(status);
}

function onShutdown(this: HandleRequest, status: number): void {
  (this.waiter as RawStream).onShutdown(status);
}

function failRead(stream: RawStream, status: number): void {
  stream.failRead(status);
}

/**
 * Makes `server`, which listens, hand over its connections as streams. False when its handle is not as expected, and
 * then nothing is changed.
 */
export function acceptRaw(
  raw: RawBinding,
  server: Server,
  accept: (stream: RawStream) => void,
  options: TcpStreamOptions,
): boolean {
  const listening = listeningHandle(raw, server);
  if (listening === null) return false;
  // Linux hands them down to every connection that is accepted: five calls into the kernel less for each.
  setSocketOptions(listening, options);
  if (options.isLocal === true) unpace(listening.fd);
  listening.onconnection = (status, accepted) => {
    // A failed accept (descriptors used up) costs that connection only.
    if (status !== 0 || !raw.isHandle(accepted)) return;
    // Not handed down by the listener: what the kernel accepted before the listener was armed would go without.
    armDeathReset(accepted.fd);
    accept(new RawStream(raw, accepted, options));
  };
  return true;
}

function setSocketOptions(handle: TcpHandle, { keepAliveMs = defaultKeepAliveMs }: TcpStreamOptions): void {
  handle.setNoDelay(true);
  if (keepAliveMs > 0) handle.setKeepAlive(true, Math.ceil(keepAliveMs / 1000));
}

export interface RawConnectOptions extends TcpStreamOptions {
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  /** As in `ConnectTcpOptions`. */
  readonly fd?: number;
}

/** A connection under way: what it is told when the kernel has an answer. */
export class RawConnect {
  readonly #raw: RawBinding;
  readonly #handle: TcpHandle;
  readonly #options: RawConnectOptions;
  readonly #done: (error: Error | null, stream: RawStream | null) => void;
  #settled = false;

  /** Begins at once; `done` is called once and later, unless `cancel` comes before. */
  constructor(
    raw: RawBinding,
    options: RawConnectOptions,
    done: (error: Error | null, stream: RawStream | null) => void,
  ) {
    this.#raw = raw;
    this.#options = options;
    this.#done = done;
    this.#handle = raw.newHandle();
    const status = this.#begin();
    if (status !== 0) process.nextTick(answerConnect, this, status);
  }

  cancel(): void {
    if (this.#settled) return;
    this.#settled = true;
    // It may have connected just now: a reset, since an end in good order would say that this was all.
    if (this.#handle.reset(ignoreClosed) !== 0) this.#handle.close(ignoreClosed);
  }

  /** For the request alone. */
  answered(status: number): void {
    if (this.#settled) return;
    this.#settled = true;
    if (status !== 0) {
      this.#handle.close(ignoreClosed);
      this.#done(handleError(status, 'connect'), null);
      return;
    }
    setSocketOptions(this.#handle, this.#options);
    this.#done(null, new RawStream(this.#raw, this.#handle, this.#options));
  }

  #begin(): number {
    const { host, port, localAddress, localPort = 0, fd } = this.#options;
    const handle = this.#handle;
    const isV6 = host.includes(':');
    if (fd !== undefined) {
      const opened = handle.open(fd);
      if (opened !== 0) {
        closeSync(fd);
        return opened;
      }
      armDeathReset(fd);
    }
    if (localAddress !== undefined) {
      const bound = isV6 ? handle.bind6(localAddress, localPort, 0) : handle.bind(localAddress, localPort);
      if (bound !== 0) return bound;
    }
    const request = this.#raw.newConnect();
    request.waiter = this;
    request.oncomplete = onConnected;
    const status = isV6 ? handle.connect6(request, host, port) : handle.connect(request, host, port);
    // Before this call the handle may have no descriptor.
    if (status === 0 && fd === undefined) armDeathReset(handle.fd);
    return status;
  }
}

function onConnected(this: HandleRequest, status: number): void {
  (this.waiter as RawConnect).answered(status);
}

function answerConnect(attempt: RawConnect, status: number): void {
  attempt.answered(status);
}

function ignoreClosed(): void {}

function addressesOfHandle(handle: TcpHandle): TcpAddresses {
  const remote: AddressOut = {};
  const local: AddressOut = {};
  handle.getpeername(remote);
  handle.getsockname(local);
  return {
    remoteAddress: remote.address ?? '',
    remotePort: remote.port ?? 0,
    localAddress: local.address ?? '',
    localPort: local.port ?? 0,
  };
}
