// HTTP/2 from the wire: the frame parser alone, and a whole session of either role behind it.
import { clientPreface, Flag, FrameType, frameHeaderBytes } from '../../../src/h2/constants.ts';
import { FrameParser, type FrameSink } from '../../../src/h2/frame-parser.ts';
import { HpackEncoder } from '../../../src/h2/hpack-encoder.ts';
import { ProtocolError } from '../../../src/h2/protocol-error.ts';
import { H2Session } from '../../../src/h2/session.ts';
import type { H2Stream, StreamEvents } from '../../../src/h2/stream.ts';
import { type ByteStream, type ByteStreamHandler, Took } from '../../../src/io/byte-stream.ts';
import type { Random } from '../../support/random.ts';
import { broken, type FuzzTarget, outcomeOf } from '../target.ts';

const encoder = new HpackEncoder();
const block = (...headers: string[]): Buffer => Buffer.from(encoder.encode(headers));
const connectBlock = block(':method', 'CONNECT', ':authority', '10.0.0.1:80', 'baggage', 'a=b');
const okBlock = block(':status', '200');

function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(frameHeaderBytes);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

const settings = frame(FrameType.Settings, 0, 0, Buffer.from('000300000064000400000010', 'hex'));
const settingsAck = frame(FrameType.Settings, Flag.Ack, 0);
const headers = (id: number, more = 0): Buffer =>
  frame(FrameType.Headers, Flag.EndHeaders | more, id, id % 2 === 1 ? connectBlock : okBlock);
const data = frame(FrameType.Data, 0, 1, Buffer.from('hello'));
const seeds = [
  Buffer.concat([settings, settingsAck, headers(1), data, frame(FrameType.Data, Flag.EndStream, 1)]),
  Buffer.concat([settings, settingsAck, frame(FrameType.Headers, Flag.EndHeaders, 1, okBlock), data]),
  Buffer.concat([
    settings,
    frame(FrameType.Headers, 0, 1, connectBlock.subarray(0, 3)),
    frame(FrameType.Continuation, Flag.EndHeaders, 1, connectBlock.subarray(3)),
    frame(FrameType.WindowUpdate, 0, 1, Buffer.from('00000010', 'hex')),
    frame(FrameType.RstStream, 0, 1, Buffer.from('00000008', 'hex')),
  ]),
  Buffer.concat([
    settings,
    frame(FrameType.Ping, 0, 0, Buffer.alloc(8, 1)),
    frame(FrameType.Goaway, 0, 0, Buffer.alloc(12)),
    frame(FrameType.Data, Flag.Padded, 1, Buffer.from('0261626300', 'hex')),
    frame(FrameType.Priority, 0, 3, Buffer.alloc(5)),
    frame(20, 0, 0, Buffer.alloc(3)),
  ]),
];

/** Works on whole frames, so that what follows one is still read as frames. */
function mutateFrames(input: Buffer, random: Random): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at + frameHeaderBytes <= input.length; ) {
    const end = at + frameHeaderBytes + input.readUIntBE(at, 3);
    frames.push(Buffer.from(input.subarray(at, end)));
    at = end;
  }
  const at = random.below(frames.length + 1);
  const some = frames[at];
  const id = random.pick([0, 1, 1, 1, 2, 3, 5, 0x7fffffff]);
  switch (some === undefined ? 0 : random.below(6)) {
    case 0:
      frames.splice(at, 0, newFrame(random, id));
      break;
    case 1:
      frames.splice(at, 1);
      break;
    case 2:
      frames.splice(random.below(frames.length), 0, some!);
      break;
    case 3:
      some![4] = random.pick([0, 1, 4, 5, 8, 9, 0x20, 0x2d]);
      break;
    case 4:
      if (some!.length >= frameHeaderBytes) some!.writeUInt32BE(id, 5);
      break;
    default:
      frames.splice(at, 1, frame(some![3]!, some![4]!, id, Buffer.alloc(random.size(40, 0), random.below(256))));
  }
  return Buffer.concat(frames);
}

function newFrame(random: Random, id: number): Buffer {
  const type = random.below(11);
  const flags = random.pick([0, 1, 4, 5, 8, 0x0c]);
  if (type === FrameType.Headers) return frame(type, flags, id, random.pick([connectBlock, okBlock]));
  const lengths = [5, 0, 5, 4, 6 * random.below(4), 4, 8, 8, 4, 3, 2];
  const payload = Buffer.alloc(random.oneIn(8) ? random.size(40, 0) : lengths[type]!);
  for (let i = 0; i < payload.length; i++) payload[i] = random.oneIn(3) ? random.below(256) : random.below(4);
  return frame(type, flags, random.oneIn(2) && [4, 6, 7].includes(type) ? 0 : id, payload);
}

const blockMax = 512;

class Log implements FrameSink {
  text = '';
  kinds = '';
  #dataLeft = 0;
  onDataStart(id: number, flowBytes: number, dataBytes: number): void {
    if (dataBytes > flowBytes || flowBytes > 16_384) broken('DATA that is larger than its frame');
    this.#dataLeft = dataBytes;
    this.#add('D', `${id} ${flowBytes} ${dataBytes}`);
  }
  onDataSlice(_id: number, slice: Buffer): number {
    this.#dataLeft -= slice.length;
    this.text += slice.toString('latin1');
    return Took.All;
  }
  onDataEnd(id: number, endStream: boolean): void {
    if (this.#dataLeft !== 0) broken(`DATA ended with ${this.#dataLeft} bytes to come`);
    this.#add('d', `${id} ${endStream}`);
  }
  onHeaders(id: number, bytes: Buffer, endStream: boolean): void {
    if (bytes.length > blockMax) broken('a header block above the limit');
    this.#add('H', `${id} ${bytes.toString('latin1')} ${endStream}`);
  }
  onRstStream(id: number, code: number): void {
    this.#add('R', `${id} ${code}`);
  }
  onSettings(ack: boolean, payload: Buffer): void {
    if (payload.length % 6 !== 0) broken('SETTINGS of a wrong size');
    this.#add('S', `${ack} ${payload.toString('hex')}`);
  }
  onPing(ack: boolean, opaque: Buffer): void {
    this.#add('P', `${ack} ${opaque.toString('hex')}`);
  }
  onGoaway(last: number, code: number, debug: Buffer): void {
    this.#add('G', `${last} ${code} ${debug.toString('hex')}`);
  }
  onWindowUpdate(id: number, increment: number): void {
    this.#add('W', `${id} ${increment}`);
  }
  onIgnored(type: number): void {
    this.#add('I', String(type));
  }
  #add(kind: string, words: string): void {
    if (this.kinds.length < 4) this.kinds += kind;
    this.text += `\n${kind} ${words}`;
  }
}

function parseInPieces(input: Buffer, pieceBytes: number): { log: Log; outcome: string } {
  const log = new Log();
  const parser = new FrameParser(log, { maxFrameBytes: 16_384, headerBlockBytes: blockMax, continuations: 4 });
  try {
    for (let at = 0; at < input.length; at += pieceBytes) parser.parse(input.subarray(at, at + pieceBytes));
    return { log, outcome: 'parsed' };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { log, outcome: outcomeOf(error) };
  }
}

export const framesTarget: FuzzTarget = {
  name: 'frames',
  seeds,
  words: [],
  bytesMax: 2048,
  mutate: mutateFrames,
  run: (input) => {
    const whole = parseInPieces(input, input.length || 1);
    const pieces = parseInPieces(input, 1 + ((input[0] ?? 0) % 7));
    if (whole.outcome !== pieces.outcome || whole.log.text !== pieces.log.text) {
      broken(`in pieces it means something else: ${whole.outcome}, ${pieces.outcome}`);
    }
    return `${whole.log.kinds} ${whole.outcome}`;
  },
};

/** Takes what a session sends and forgets it. */
class Sink implements ByteStream {
  bytesRead = 0;
  bytesWritten = 0;
  bufferedBytes = 0;
  handler: ByteStreamHandler | null = null;
  closed = false;
  start(handler: ByteStreamHandler): void {
    this.handler = handler;
  }
  write(): number {
    return Took.All;
  }
  end(): void {}
  reset(): void {}
  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.handler?.onClose(null, false);
  }
  pause(): void {}
  resume(): void {}
}

const noEvents: StreamEvents = { onHeaders: () => undefined, onFailed: () => undefined };
const streamsMax = 4;
const windowBytes = 64;

/** Echoes; every stream must be told of its end exactly once. */
class Reader implements ByteStreamHandler {
  closed = 0;
  ended = false;
  readonly #stream: H2Stream;
  constructor(stream: H2Stream) {
    this.#stream = stream;
  }
  onData(chunk: Buffer): number {
    if (this.closed > 0 || this.ended) broken('bytes after the end');
    if (chunk[0] === 0x70) return Took.Pause;
    return this.#stream.write(chunk);
  }
  onEnd(): void {
    if (this.closed > 0 || this.ended) broken('two ends');
    this.ended = true;
    this.#stream.end();
  }
  onDrain(): void {
    if (this.closed > 0) broken('drained after the close');
  }
  onClose(): void {
    if (++this.closed > 1) broken('two closes');
  }
}

function runSession(role: 'client' | 'server', input: Buffer): string {
  const transport = new Sink();
  let outcome = 'alive';
  let closes = 0;
  let seen = 0;
  const session = new H2Session({
    role,
    transport,
    peer: 'fuzz',
    pingIntervalMs: 0,
    settings: { maxConcurrentStreams: streamsMax, streamWindowBytes: windowBytes, maxHeaderListBytes: 256 },
    events: {
      onStream: (stream) => {
        seen++;
        stream.start(new Reader(stream));
        stream.respond([':status', '200'], false);
      },
      onReady: () => undefined,
      onCapacity: () => undefined,
      onRetired: () => undefined,
      onClose: (error) => {
        closes++;
        outcome = error === null ? 'closed' : outcomeOf(error);
      },
    },
  });
  session.start();
  if (role === 'client') {
    const stream = session.open([':method', 'CONNECT', ':authority', 'a:1'], false, noEvents);
    stream?.start(new Reader(stream));
  } else transport.handler!.onData(clientPreface);
  const piece = 1 + ((input[3] ?? 0) % 64);
  for (let at = 0; at < input.length; at += piece) {
    transport.handler!.onData(Buffer.from(input.subarray(at, at + piece)));
    if (session.streamCount > streamsMax) broken(`${session.streamCount} streams`);
    for (const stream of session.streams.values()) {
      // Until the peer has acknowledged our SETTINGS it may count with the default window.
      if (stream.unreadBytes > 65_535) broken(`${stream.unreadBytes} bytes unread`);
    }
  }
  const streams = session.streamCount;
  session.destroy();
  transport.destroy();
  if (closes !== 1) broken(`${closes} closes of the session`);
  if (session.streamCount !== 0 || session.bufferedBytes !== 0) broken('a session that is over holds something');
  return `${role} ${streams} ${Math.min(seen, 3)} ${outcome}`;
}

export const sessionTarget: FuzzTarget = {
  name: 'session',
  quickInputs: 10_000,
  seeds,
  words: [],
  bytesMax: 2048,
  mutate: mutateFrames,
  run: (input) => `${runSession('server', input)} ${runSession('client', input)}`,
};
