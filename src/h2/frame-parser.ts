// Bytes → frames, as a stream: a DATA payload is handed on in the slices in which it arrives and never reassembled;
// every other frame is small, bounded, and handed on whole. Checks what can be checked without knowing any stream.
import { Took } from '../io/byte-stream.ts';
import { defaultMaxFrameBytes, ErrorCode, Flag, FrameType, frameHeaderBytes } from './constants.ts';
import { ProtocolError } from './protocol-error.ts';

/** Receives frames. Any method may throw a `ProtocolError`, which ends the connection. */
export interface FrameSink {
  /** `flowBytes` is the whole payload with padding: what flow control counts. */
  onDataStart(streamId: number, flowBytes: number, dataBytes: number): void;
  /** A slice of the payload; returns a mask of `Took`, of which only `Retained` matters. */
  onDataSlice(streamId: number, slice: Buffer): number;
  onDataEnd(streamId: number, endStream: boolean): void;
  /** A whole header block, with its CONTINUATIONs. `block` is valid during the call. */
  onHeaders(streamId: number, block: Buffer, endStream: boolean): void;
  onRstStream(streamId: number, code: number): void;
  onSettings(ack: boolean, payload: Buffer): void;
  onPing(ack: boolean, opaque: Buffer): void;
  onGoaway(lastStreamId: number, code: number, debug: Buffer): void;
  onWindowUpdate(streamId: number, increment: number): void;
  /** A short frame of `timing.ts`; one that is longer, or that nobody asks for, is ignored like any unknown type. */
  onTiming?(streamId: number, kind: number, payload: Buffer): void;
  /** PRIORITY and unknown types: of no effect, but they count. */
  onIgnored(type: number): void;
}

export interface ParserLimits {
  /** Our SETTINGS_MAX_FRAME_SIZE. */
  readonly maxFrameBytes: number;
  /** One header block with its CONTINUATIONs, still compressed. */
  readonly headerBlockBytes: number;
  /** CONTINUATION frames of one block. */
  readonly continuations: number;
}

/** Frames other than DATA and HEADERS are never longer than this, whatever SETTINGS_MAX_FRAME_SIZE says. */
const controlFrameBytes = defaultMaxFrameBytes;
const timingBytesMax = 24;

const State = { Header: 0, PadLength: 1, Data: 2, Padding: 3, Payload: 4, Skip: 5 } as const;

/** The parser of one connection (RFC 9113 §4, §6), in either role: what is wrong there is wrong in both. */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #limits: ParserLimits;
  #state: number = State.Header;
  readonly #head = Buffer.allocUnsafeSlow(frameHeaderBytes);
  #headBytes = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of the present part (data, padding, payload) still to come. */
  #left = 0;
  #padding = 0;
  #payload: Buffer | null = null;
  #payloadBytes = 0;
  /** Stream whose header block is open: nothing but its CONTINUATION may come. */
  #blockStreamId = 0;
  #blockEndsStream = false;
  #block: Buffer[] = [];
  #blockBytes = 0;
  #continuations = 0;
  #stopped = false;

  constructor(sink: FrameSink, limits: ParserLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** Nothing more is parsed, also of the chunk at hand. */
  stop(): void {
    this.#stopped = true;
  }

  /** Parses `chunk`; returns `Took.Retained` when a slice of it was kept. Throws ProtocolError. */
  parse(chunk: Buffer): number {
    let at = 0;
    let took: number = Took.All;
    const end = chunk.length;
    while (at < end && !this.#stopped) {
      if (this.#state === State.Header) {
        at = this.#readHeader(chunk, at);
      } else if (this.#state === State.Data) {
        const count = Math.min(this.#left, end - at);
        const slice = at === 0 && count === end ? chunk : chunk.subarray(at, at + count);
        at += count;
        this.#left -= count;
        took |= this.#sink.onDataSlice(this.#streamId, slice) & Took.Retained;
        if (this.#left === 0) this.#endData();
      } else if (this.#state === State.Payload) {
        at = this.#readPayload(chunk, at);
      } else if (this.#state === State.PadLength) {
        this.#padding = chunk[at++]!;
        this.#startData();
      } else {
        const count = Math.min(this.#left, end - at);
        at += count;
        this.#left -= count;
        if (this.#left === 0) this.#endSkip();
      }
    }
    return took;
  }

  #readHeader(chunk: Buffer, from: number): number {
    let head = chunk;
    let at = from;
    if (this.#headBytes === 0 && chunk.length - from >= frameHeaderBytes) {
      at += frameHeaderBytes;
    } else {
      const count = Math.min(frameHeaderBytes - this.#headBytes, chunk.length - from);
      chunk.copy(this.#head, this.#headBytes, from, from + count);
      this.#headBytes += count;
      at += count;
      if (this.#headBytes < frameHeaderBytes) return at;
      this.#headBytes = 0;
      head = this.#head;
    }
    const base = head === chunk ? from : 0;
    const length = (head[base]! << 16) | (head[base + 1]! << 8) | head[base + 2]!;
    this.#type = head[base + 3]!;
    this.#flags = head[base + 4]!;
    this.#streamId =
      ((head[base + 5]! & 0x7f) << 24) | (head[base + 6]! << 16) | (head[base + 7]! << 8) | head[base + 8]!;
    this.#startFrame(length);
    return at;
  }

  #startFrame(length: number): void {
    const type = this.#type;
    if (length > this.#limits.maxFrameBytes) {
      throw new ProtocolError(ErrorCode.FrameSizeError, `frame of ${length} bytes`);
    }
    if (this.#blockStreamId !== 0 && (type !== FrameType.Continuation || this.#streamId !== this.#blockStreamId)) {
      throw new ProtocolError(ErrorCode.ProtocolError, 'a frame inside a header block');
    }
    if (type === FrameType.Data) {
      if (this.#streamId === 0) throw new ProtocolError(ErrorCode.ProtocolError, 'DATA on stream 0');
      this.#left = length;
      this.#padding = 0;
      if ((this.#flags & Flag.Padded) === 0) {
        this.#startData();
      } else {
        if (length === 0) throw new ProtocolError(ErrorCode.FrameSizeError, 'padded DATA without a pad length');
        this.#state = State.PadLength;
      }
      return;
    }
    const isTiming = type === FrameType.Timing && length <= timingBytesMax && this.#sink.onTiming !== undefined;
    if ((type > FrameType.Continuation && !isTiming) || type === FrameType.Priority) {
      if (type === FrameType.Priority) this.#checkPriority(length);
      this.#sink.onIgnored(type);
      this.#left = length;
      this.#state = length === 0 ? State.Header : State.Skip;
      return;
    }
    const isBlock = type === FrameType.Headers || type === FrameType.Continuation;
    if (length > (isBlock ? this.#limits.headerBlockBytes : controlFrameBytes)) {
      const code = isBlock ? ErrorCode.EnhanceYourCalm : ErrorCode.FrameSizeError;
      throw new ProtocolError(code, `frame of type ${type} with ${length} bytes`);
    }
    this.#left = length;
    this.#state = State.Payload;
    if (length === 0) this.#endPayload(emptyPayload);
  }

  #checkPriority(length: number): void {
    if (this.#streamId === 0) throw new ProtocolError(ErrorCode.ProtocolError, 'PRIORITY on stream 0');
    if (length !== 5) throw new ProtocolError(ErrorCode.FrameSizeError, 'PRIORITY of a wrong size');
  }

  #startData(): void {
    const padded = this.#state === State.PadLength ? 1 : 0;
    const flowBytes = this.#left;
    const dataBytes = flowBytes - padded - this.#padding;
    if (dataBytes < 0) throw new ProtocolError(ErrorCode.ProtocolError, 'padding longer than the frame');
    this.#sink.onDataStart(this.#streamId, flowBytes, dataBytes);
    this.#left = dataBytes;
    this.#state = State.Data;
    if (dataBytes === 0) this.#endData();
  }

  #endData(): void {
    this.#left = this.#padding;
    if (this.#padding > 0) this.#state = State.Padding;
    else this.#endSkip();
  }

  /** Padding of a DATA frame, or a frame of no interest, has passed. */
  #endSkip(): void {
    const wasData = this.#type === FrameType.Data;
    this.#state = State.Header;
    if (wasData) this.#sink.onDataEnd(this.#streamId, (this.#flags & Flag.EndStream) !== 0);
  }

  #readPayload(chunk: Buffer, from: number): number {
    const available = chunk.length - from;
    if (this.#payloadBytes === 0 && available >= this.#left) {
      const end = from + this.#left;
      this.#endPayload(chunk.subarray(from, end));
      return end;
    }
    this.#payload ??= Buffer.allocUnsafe(this.#left);
    const count = Math.min(this.#left - this.#payloadBytes, available);
    chunk.copy(this.#payload, this.#payloadBytes, from, from + count);
    this.#payloadBytes += count;
    if (this.#payloadBytes === this.#left) {
      const whole = this.#payload;
      this.#payload = null;
      this.#payloadBytes = 0;
      this.#endPayload(whole);
    }
    return from + count;
  }

  #endPayload(payload: Buffer): void {
    this.#state = State.Header;
    this.#left = 0;
    const id = this.#streamId;
    const ack = (this.#flags & Flag.Ack) !== 0;
    switch (this.#type) {
      case FrameType.Headers:
        this.#headers(payload);
        break;
      case FrameType.Continuation:
        this.#continuation(payload);
        break;
      case FrameType.RstStream:
        if (payload.length !== 4) throw wrongSize('RST_STREAM');
        if (id === 0) throw wrongStream('RST_STREAM');
        this.#sink.onRstStream(id, payload.readUInt32BE(0));
        break;
      case FrameType.Settings:
        if (id !== 0) throw wrongStream('SETTINGS');
        if (payload.length % 6 !== 0 || (ack && payload.length !== 0)) throw wrongSize('SETTINGS');
        this.#sink.onSettings(ack, payload);
        break;
      case FrameType.Ping:
        if (id !== 0) throw wrongStream('PING');
        if (payload.length !== 8) throw wrongSize('PING');
        this.#sink.onPing(ack, payload);
        break;
      case FrameType.Goaway:
        if (id !== 0) throw wrongStream('GOAWAY');
        if (payload.length < 8) throw wrongSize('GOAWAY');
        this.#sink.onGoaway(payload.readUInt32BE(0) & 0x7fffffff, payload.readUInt32BE(4), payload.subarray(8));
        break;
      case FrameType.WindowUpdate:
        if (payload.length !== 4) throw wrongSize('WINDOW_UPDATE');
        this.#sink.onWindowUpdate(id, payload.readUInt32BE(0) & 0x7fffffff);
        break;
      case FrameType.Timing:
        this.#sink.onTiming?.(id, this.#flags, payload);
        break;
      default:
        throw new ProtocolError(ErrorCode.ProtocolError, 'PUSH_PROMISE, which is switched off');
    }
  }

  #headers(payload: Buffer): void {
    if (this.#streamId === 0) throw wrongStream('HEADERS');
    let start = 0;
    let padding = 0;
    if (this.#flags & Flag.Padded) {
      if (payload.length < 1) throw wrongSize('HEADERS');
      padding = payload[0]!;
      start = 1;
    }
    if (this.#flags & Flag.Priority) start += 5;
    const end = payload.length - padding;
    if (end < start) throw new ProtocolError(ErrorCode.ProtocolError, 'padding longer than the frame');
    const fragment = payload.subarray(start, end);
    const endStream = (this.#flags & Flag.EndStream) !== 0;
    if (this.#flags & Flag.EndHeaders) {
      this.#sink.onHeaders(this.#streamId, fragment, endStream);
      return;
    }
    this.#blockStreamId = this.#streamId;
    this.#blockEndsStream = endStream;
    this.#continuations = 0;
    this.#block = [Buffer.from(fragment)];
    this.#blockBytes = fragment.length;
  }

  #continuation(payload: Buffer): void {
    if (this.#blockStreamId === 0) throw new ProtocolError(ErrorCode.ProtocolError, 'CONTINUATION without HEADERS');
    this.#blockBytes += payload.length;
    if (++this.#continuations > this.#limits.continuations || this.#blockBytes > this.#limits.headerBlockBytes) {
      throw new ProtocolError(ErrorCode.EnhanceYourCalm, 'a header block without end');
    }
    this.#block.push(Buffer.from(payload));
    if ((this.#flags & Flag.EndHeaders) === 0) return;
    const block = Buffer.concat(this.#block);
    this.#block = [];
    this.#blockStreamId = 0;
    this.#sink.onHeaders(this.#streamId, block, this.#blockEndsStream);
  }
}

const emptyPayload = Buffer.alloc(0);

function wrongSize(frame: string): ProtocolError {
  return new ProtocolError(ErrorCode.FrameSizeError, `${frame} of a wrong size`);
}

function wrongStream(frame: string): ProtocolError {
  return new ProtocolError(ErrorCode.ProtocolError, `${frame} on a wrong stream`);
}
