// What HTTP/2 allows one side to send, worked out from the bytes alone: its own reading of frames, windows, settings
// and stream states. Shares no code with the layer that it judges but the numbers of the RFC.
import { clientPreface, ErrorCode, errorName, Flag, FrameType, SettingId } from '../../src/h2/constants.ts';
import { check } from './rules.ts';

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly length: number;
  /** Empty for DATA and header blocks, which are of no interest here. */
  readonly payload: Buffer;
}

/** Reads frames out of a stream of bytes cut anywhere. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  #skip: number;
  #head = Buffer.alloc(9);
  #headBytes = 0;
  #left = 0;
  #payload = Buffer.alloc(0);
  #payloadBytes = 0;

  constructor(skip: number, onFrame: (frame: Frame) => void) {
    this.#skip = skip;
    this.#onFrame = onFrame;
  }

  read(bytes: Buffer): void {
    let at = Math.min(this.#skip, bytes.length);
    this.#skip -= at;
    while (at < bytes.length) {
      if (this.#headBytes < 9) {
        const count = Math.min(9 - this.#headBytes, bytes.length - at);
        bytes.copy(this.#head, this.#headBytes, at, at + count);
        this.#headBytes += count;
        at += count;
        if (this.#headBytes < 9) return;
        this.#left = this.#head.readUIntBE(0, 3);
        const kept = this.#head[3]! > FrameType.Headers && this.#head[3]! < FrameType.Continuation;
        this.#payload = Buffer.alloc(kept ? this.#left : 0);
        this.#payloadBytes = 0;
      }
      const count = Math.min(this.#left, bytes.length - at);
      if (this.#payload.length > 0) bytes.copy(this.#payload, this.#payloadBytes, at, at + count);
      this.#payloadBytes += count;
      this.#left -= count;
      at += count;
      if (this.#left === 0) this.#finish();
    }
  }

  #finish(): void {
    this.#headBytes = 0;
    const head = this.#head;
    const length = head.readUIntBE(0, 3);
    this.#onFrame({ type: head[3]!, flags: head[4]!, id: head.readUInt32BE(5), length, payload: this.#payload });
  }
}

interface StreamState {
  window: number;
  headersSent: boolean;
  endSent: boolean;
  endReceived: boolean;
  isReset: boolean;
}

interface AnnouncedSettings {
  initialWindow: number | null;
  maxFrame: number | null;
  maxStreams: number | null;
}

/** RST_STREAM codes that say what an application did; all others accuse the peer. */
const innocentCodes: readonly number[] = [
  ErrorCode.NoError,
  ErrorCode.Cancel,
  ErrorCode.ConnectError,
  ErrorCode.RefusedStream,
];

/** Watches one side: `sent` and `received` get its bytes in the order in which it writes and is handed them. */
export class WireModel {
  readonly #name: string;
  readonly #isClient: boolean;
  readonly #trace: ((text: string) => void) | null;
  readonly #sentReader: FrameReader;
  readonly #receivedReader: FrameReader;
  readonly #streams = new Map<number, StreamState>();
  /** Settings that it has received and not acknowledged: they count from its acknowledgement on. */
  readonly #unacknowledged: AnnouncedSettings[] = [];
  /** The link delivers nothing any more: a peer may be given up. */
  isSilent: () => boolean = () => false;
  /** Its own SETTINGS have been acknowledged. */
  isAcknowledged = false;
  #window = 65_535;
  #initialWindow = 65_535;
  #maxFrame = 16_384;
  #maxStreams = Number.POSITIVE_INFINITY;
  readonly #sentResets = new Set<number>();
  #lastId = 0;
  #goawayLast = Number.POSITIVE_INFINITY;
  #goawayReceived = false;

  constructor(isClient: boolean, trace: ((text: string) => void) | null) {
    this.#name = isClient ? 'client' : 'server';
    this.#isClient = isClient;
    this.#trace = trace;
    const preface = clientPreface.length;
    this.#sentReader = new FrameReader(isClient ? preface : 0, (frame) => this.#onSent(frame));
    this.#receivedReader = new FrameReader(isClient ? 0 : preface, (frame) => this.#onReceived(frame));
  }

  sent(bytes: Buffer): void {
    this.#sentReader.read(bytes);
  }

  received(bytes: Buffer): void {
    this.#receivedReader.read(bytes);
  }

  #onSent(frame: Frame): void {
    this.#trace?.(`${this.#name} sends ${frameWords(frame)}`);
    const { type, flags, id, payload } = frame;
    if (type === FrameType.Data) this.#onData(frame);
    else if (type === FrameType.Headers) this.#onHeaders(frame);
    else if (type === FrameType.RstStream) this.#onReset(id, payload.readUInt32BE(0));
    else if (type === FrameType.Settings && (flags & Flag.Ack) !== 0) this.#acknowledge();
    else if (type === FrameType.Goaway) this.#onGoaway(payload);
    else if (type === FrameType.WindowUpdate) {
      const increment = payload.readUInt32BE(0);
      check(increment > 0 && increment < 2 ** 31, 'frames', () => `${this.#name} gives a credit of ${increment}`);
      if (id !== 0) this.#known(id, 'WINDOW_UPDATE');
    }
  }

  #onReceived(frame: Frame): void {
    const { type, flags, id, payload } = frame;
    const stream = this.#streams.get(id);
    if (type === FrameType.Settings) {
      if ((flags & Flag.Ack) !== 0) this.isAcknowledged = true;
      else this.#unacknowledged.push(readSettings(payload));
    } else if (type === FrameType.WindowUpdate) {
      if (id === 0) this.#window += payload.readUInt32BE(0);
      else if (stream !== undefined) stream.window += payload.readUInt32BE(0);
    } else if (type === FrameType.RstStream && stream !== undefined) stream.isReset = true;
    else if (type === FrameType.Goaway) this.#goawayReceived = true;
    else if (type === FrameType.Headers && stream === undefined) this.#add(id);
    if ((type === FrameType.Headers || type === FrameType.Data) && (flags & Flag.EndStream) !== 0) {
      const there = this.#streams.get(id);
      if (there !== undefined) there.endReceived = true;
    }
  }

  #onData({ id, length, flags }: Frame): void {
    const stream = this.#known(id, 'DATA');
    check(stream.headersSent, 'frames', () => `${this.#name} sends DATA before HEADERS on ${id}`);
    check(length <= this.#maxFrame, 'frames', () => `${this.#name} sends ${length} bytes in one frame`);
    this.#window -= length;
    stream.window -= length;
    check(
      length === 0 || this.#window >= 0,
      'window',
      () => `${this.#name}: the connection's window is ${this.#window}`,
    );
    check(length === 0 || stream.window >= 0, 'window', () => `${this.#name}: the window of ${id} is ${stream.window}`);
    if ((flags & Flag.EndStream) !== 0) stream.endSent = true;
  }

  #onHeaders({ id, flags }: Frame): void {
    if (this.#isClient && !this.#streams.has(id)) {
      check(id % 2 === 1 && id > this.#lastId, 'frames', () => `the client opens ${id} after ${this.#lastId}`);
      const open = [...this.#streams.values()].filter((stream) => !isClosed(stream)).length;
      check(
        open < this.#maxStreams,
        'frames',
        () => `the client opens stream number ${open + 1} of ${this.#maxStreams}`,
      );
      this.#lastId = id;
      this.#add(id);
    }
    const stream = this.#known(id, 'HEADERS');
    stream.headersSent = true;
    if ((flags & Flag.EndStream) !== 0) stream.endSent = true;
  }

  #onReset(id: number, code: number): void {
    check(innocentCodes.includes(code), 'fault', () => `${this.#name} resets ${id} with ${errorName(code)}`);
    const stream = this.#streams.get(id);
    check(stream !== undefined, 'frames', () => `${this.#name} resets ${id}, which never was`);
    check(!stream!.isReset || !this.#sentResets.has(id), 'frames', () => `${this.#name} resets ${id} twice`);
    this.#sentResets.add(id);
    stream!.isReset = true;
  }

  #onGoaway(payload: Buffer): void {
    const [last, code] = [payload.readUInt32BE(0), payload.readUInt32BE(4)];
    const isInnocent = code === ErrorCode.NoError || (code === ErrorCode.SettingsTimeout && this.isSilent());
    check(isInnocent, 'fault', () => `${this.#name} says GOAWAY(${errorName(code)})`);
    check(last <= this.#goawayLast, 'frames', () => `${this.#name} says GOAWAY ${last} after ${this.#goawayLast}`);
    this.#goawayLast = last;
  }

  #acknowledge(): void {
    const settings = this.#unacknowledged.shift();
    check(settings !== undefined, 'frames', () => `${this.#name} acknowledges SETTINGS that it never got`);
    const { initialWindow, maxFrame, maxStreams } = settings!;
    if (initialWindow !== null) {
      for (const stream of this.#streams.values()) stream.window += initialWindow - this.#initialWindow;
      this.#initialWindow = initialWindow;
    }
    this.#maxFrame = maxFrame ?? this.#maxFrame;
    this.#maxStreams = maxStreams ?? this.#maxStreams;
  }

  /** The stream of a frame that may be sent only while its sender has neither ended nor reset it. */
  #known(id: number, what: string): StreamState {
    const stream = this.#streams.get(id);
    check(stream !== undefined, 'frames', () => `${this.#name} sends ${what} on ${id}, which never was`);
    check(!this.#sentResets.has(id), 'frames', () => `${this.#name} sends ${what} on ${id} after RST_STREAM`);
    const isOver = stream!.endSent && what !== 'WINDOW_UPDATE';
    check(!isOver, 'frames', () => `${this.#name} sends ${what} on ${id} after END_STREAM`);
    return stream!;
  }

  #add(id: number): void {
    const window = this.#initialWindow;
    this.#streams.set(id, { window, headersSent: false, endSent: false, endReceived: false, isReset: false });
  }

  get goawayReceived(): boolean {
    return this.#goawayReceived;
  }
}

function isClosed(stream: StreamState): boolean {
  return stream.isReset || (stream.endSent && stream.endReceived);
}

function readSettings(payload: Buffer): AnnouncedSettings {
  const settings: AnnouncedSettings = { initialWindow: null, maxFrame: null, maxStreams: null };
  for (let at = 0; at < payload.length; at += 6) {
    const [id, value] = [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
    if (id === SettingId.InitialWindowSize) settings.initialWindow = value;
    if (id === SettingId.MaxFrameSize) settings.maxFrame = value;
    if (id === SettingId.MaxConcurrentStreams) settings.maxStreams = value;
  }
  return settings;
}

const typeNames = Object.entries(FrameType);

function frameWords({ type, flags, id, length, payload }: Frame): string {
  const name = typeNames.find(([, value]) => value === type)?.[0] ?? `type ${type}`;
  const number = type === FrameType.RstStream || type === FrameType.WindowUpdate ? ` ${payload.readUInt32BE(0)}` : '';
  return `${name} of ${id}, ${length} bytes, flags ${flags}${number}`;
}
