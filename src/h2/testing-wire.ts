// For tests alone: a session over a transport that is a buffer, and frames made by hand.
import { afterEach } from 'node:test';
import type { MeshError } from '../base/errors.ts';
import { type ByteStream, type ByteStreamHandler, Took } from '../io/byte-stream.ts';
import { clientPreface, Flag, FrameType, frameHeaderBytes } from './constants.ts';
import { putHeader } from './frame-writer.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { H2Session } from './session.ts';
import type { SessionOptions } from './session-options.ts';
import type { H2Stream } from './stream.ts';

export interface Frame {
  type: number;
  flags: number;
  id: number;
  payload: Buffer;
}

/** What the session sends is kept; what the peer sends is fed. */
export class Wire implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  bufferedBytes = 0;
  ended = false;
  destroyed = false;
  blocked = false;
  handler: ByteStreamHandler | null = null;
  #sent: Buffer[] = [];
  start(handler: ByteStreamHandler): void {
    this.handler = handler;
  }
  write(chunk: Buffer): number {
    this.#sent.push(Buffer.from(chunk));
    return this.blocked ? Took.Pause : Took.All;
  }
  end(): void {
    this.ended = true;
  }
  reset(): void {
    this.destroy();
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    process.nextTick(() => this.handler?.onClose(null, false));
  }
  pause(): void {}
  resume(): void {}
  feed(...frames: Buffer[]): void {
    this.handler!.onData(Buffer.concat(frames));
  }
  /** The frames sent since the last call, after the flush of this turn. */
  async sent(): Promise<Frame[]> {
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    let bytes = Buffer.concat(this.#sent);
    this.#sent = [];
    if (bytes.subarray(0, 3).toString() === 'PRI') bytes = bytes.subarray(clientPreface.length);
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUIntBE(at, 3);
      const payload = bytes.subarray(at + frameHeaderBytes, at + frameHeaderBytes + length);
      frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: bytes.readUInt32BE(at + 5), payload });
      at += frameHeaderBytes + length;
    }
    return frames;
  }
}

/** The bytes of one frame; a payload as text is hex. */
export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const bytes = Buffer.alloc(frameHeaderBytes + body.length);
  putHeader(bytes, 0, body.length, type, flags, id);
  body.copy(bytes, frameHeaderBytes);
  return bytes;
}

const encoder = new HpackEncoder();
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
export const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), u32(value)]);
export const settings = (...pairs: Buffer[]): Buffer => frame(FrameType.Settings, 0, 0, Buffer.concat(pairs));
export const settingsAck = frame(FrameType.Settings, Flag.Ack, 0);
export const headers = (id: number, list: string[], flags: number = Flag.EndHeaders): Buffer =>
  frame(FrameType.Headers, flags, id, Buffer.from(encoder.encode(list)));
export const connect = (id: number): Buffer => headers(id, [':method', 'CONNECT', ':authority', 'a:1']);
export const data = (id: number, bytes: number, flags = 0): Buffer =>
  frame(FrameType.Data, flags, id, Buffer.alloc(bytes, 0x61));
export const windowUpdate = (id: number, increment: number): Buffer =>
  frame(FrameType.WindowUpdate, 0, id, u32(increment));
export const rst = (id: number, code: number): Buffer => frame(FrameType.RstStream, 0, id, u32(code));
export const ping = frame(FrameType.Ping, 0, 0, '0102030405060708');

export interface Fixture {
  wire: Wire;
  session: H2Session;
  streams: H2Stream[];
  closed: { error: MeshError | null }[];
  retired: () => number;
}

const open: H2Session[] = [];
afterEach(() => {
  for (const session of open.splice(0)) session.destroy();
});

/** A session that has started and heard nothing yet. It is destroyed after the test. */
export function setUp(role: 'client' | 'server', options: Partial<SessionOptions> = {}): Fixture {
  const wire = new Wire();
  const streams: H2Stream[] = [];
  const closed: { error: MeshError | null }[] = [];
  let retired = 0;
  const session = new H2Session({
    role,
    transport: wire,
    peer: 'test',
    pingIntervalMs: 0,
    events: {
      onStream: (stream) => streams.push(stream),
      onReady: () => undefined,
      onCapacity: () => undefined,
      onRetired: () => retired++,
      onClose: (error) => closed.push({ error }),
    },
    ...options,
  });
  session.start();
  open.push(session);
  return { wire, session, streams, closed, retired: () => retired };
}

/** A session whose peer has sent `first` and acknowledged its SETTINGS. */
export async function started(
  role: 'client' | 'server',
  options: Partial<SessionOptions> = {},
  first: Buffer = settings(),
): Promise<Fixture> {
  const fixture = setUp(role, options);
  fixture.wire.feed(...(role === 'server' ? [clientPreface] : []), first, settingsAck);
  await fixture.wire.sent();
  return fixture;
}

export const goawayCode = (frames: Frame[]): number | undefined =>
  frames.find(({ type }) => type === FrameType.Goaway)?.payload.readUInt32BE(4);
export const resetCode = (frames: Frame[], id: number): number | undefined =>
  frames.find((one) => one.type === FrameType.RstStream && one.id === id)?.payload.readUInt32BE(0);
