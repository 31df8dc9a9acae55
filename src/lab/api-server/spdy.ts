// As much of SPDY/3.1 as `kubectl exec` needs: a client opens streams with headers, both send data, each ends its side.
// There is no flow control: the library that Kubernetes' clients have does none.
import type { Duplex } from 'node:stream';
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import { spdyDictionary } from './spdy-dictionary.ts';

const type = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const;
const finFlag = 0x01;
const controlBit = 0x80_00_00_00;
const version = 3;
const frameHeadBytes = 8;
const frameMaxBytes = 4 * 1024 * 1024;
const headersMax = 64;

export type SpdyHeaders = ReadonlyMap<string, string>;

/** What a session tells. */
export interface SpdyEvents {
  opened(stream: number, headers: SpdyHeaders): void;
  data(stream: number, bytes: Buffer): void;
  /** The client sends nothing more on it. */
  ended(stream: number): void;
  drained(): void;
  gone(): void;
}

/** The server's side of one connection. What breaks the protocol ends it. */
export class SpdySession {
  readonly #socket: Duplex;
  readonly #events: SpdyEvents;
  readonly #inflate: Inflate = createInflate({ dictionary: spdyDictionary });
  readonly #deflate: Deflate = createDeflate({ dictionary: spdyDictionary });
  #buffered: Buffer;
  #isReading = false;

  constructor(socket: Duplex, head: Buffer, events: SpdyEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#buffered = head;
    socket.on('data', (chunk: Buffer) => {
      this.#buffered = Buffer.concat([this.#buffered, chunk]);
      void this.#read();
    });
    socket.on('end', () => socket.end());
    socket.on('drain', () => events.drained());
    socket.on('close', () => events.gone());
    this.#inflate.on('error', () => socket.destroy());
    this.#deflate.on('error', () => socket.destroy());
    void this.#read();
  }

  /** False when the client should be waited for. */
  write(stream: number, bytes: Buffer): boolean {
    return this.#socket.write(Buffer.concat([headOf(stream, 0, bytes.length), bytes]));
  }

  /** Ends our side of a stream. */
  end(stream: number): void {
    this.#socket.write(headOf(stream, finFlag, 0));
  }

  /** Ends the connection when everything has left. */
  close(): void {
    this.#socket.end();
  }

  /** Headers are inflated one after the other, so frames are too. */
  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#buffered.length >= frameHeadBytes) {
        const length = this.#buffered.readUInt32BE(4) & 0xff_ff_ff;
        if (length > frameMaxBytes) throw new RangeError('the frame is too long');
        const end = frameHeadBytes + length;
        if (this.#buffered.length < end) return;
        const frame = this.#buffered.subarray(0, end);
        this.#buffered = this.#buffered.subarray(end);
        await this.#take(frame);
      }
    } catch {
      this.#socket.destroy();
    } finally {
      this.#isReading = false;
    }
  }

  async #take(frame: Buffer): Promise<void> {
    const first = frame.readUInt32BE(0);
    const flags = frame[4]!;
    const payload = frame.subarray(frameHeadBytes);
    if (first < controlBit) {
      if (payload.length > 0) this.#events.data(first, payload);
      if ((flags & finFlag) !== 0) this.#events.ended(first);
      return;
    }
    const kind = first & 0xff_ff;
    if (kind === type.synStream) {
      const stream = payload.readUInt32BE(0);
      const headers = readHeaders(await this.#inflated(payload.subarray(10)));
      await this.#reply(stream);
      this.#events.opened(stream, headers);
      if ((flags & finFlag) !== 0) this.#events.ended(stream);
    } else if (kind === type.ping) this.#socket.write(frame);
    else if (kind === type.rstStream) this.#events.ended(payload.readUInt32BE(0));
    else if (kind === type.goAway) this.#socket.end();
  }

  /** Accepts a stream, with no headers. */
  async #reply(stream: number): Promise<void> {
    const none = await this.#deflated(Buffer.alloc(4));
    const head = Buffer.alloc(frameHeadBytes + 4);
    head.writeUInt32BE((controlBit | (version << 16) | type.synReply) >>> 0, 0);
    head.writeUInt32BE(4 + none.length, 4);
    head.writeUInt32BE(stream, frameHeadBytes);
    this.#socket.write(Buffer.concat([head, none]));
  }

  /** What comes out of the stream for these bytes: the other end has flushed after them. */
  #inflated(bytes: Buffer): Promise<Buffer> {
    return through(this.#inflate, (done) => this.#inflate.write(bytes, () => done()));
  }

  #deflated(bytes: Buffer): Promise<Buffer> {
    return through(this.#deflate, (done) => {
      this.#deflate.write(bytes);
      this.#deflate.flush(constants.Z_SYNC_FLUSH, done);
    });
  }
}

function through(codec: Inflate | Deflate, feed: (done: () => void) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
    };
    codec.on('data', onData);
    codec.once('error', reject);
    feed(() => {
      // What was pushed by now is delivered before the next turn.
      setImmediate(() => {
        codec.off('data', onData).off('error', reject);
        resolve(Buffer.concat(chunks));
      });
    });
  });
}

function readHeaders(block: Buffer): SpdyHeaders {
  const headers = new Map<string, string>();
  let at = 4;
  const text = (): string => {
    const end = at + 4 + block.readUInt32BE(at);
    if (end > block.length) throw new RangeError('a header is cut short');
    const value = block.toString('latin1', at + 4, end);
    at = end;
    return value;
  };
  const count = block.readUInt32BE(0);
  if (count > headersMax) throw new RangeError('too many headers');
  for (let index = 0; index < count; index++) {
    const name = text().toLowerCase();
    headers.set(name, text());
  }
  return headers;
}

function headOf(stream: number, flags: number, length: number): Buffer {
  const head = Buffer.alloc(frameHeadBytes);
  head.writeUInt32BE(stream, 0);
  head.writeUInt32BE(length, 4);
  head[4] = flags;
  return head;
}
