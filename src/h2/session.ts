// An HTTP/2 connection, either role, over any ByteStream: a state machine without sockets. Frames come in through
// FrameParser and SessionFrames, go out through Outbox; streams are flat objects in a map by id.
//
//   transport ──▶ FrameParser ──▶ SessionFrames ──▶ H2Stream ──▶ handler
//   transport ◀── Outbox ◀── frame-writer ◀── H2Session ◀── H2Stream ◀── handler
import { isMeshError, MeshError } from '../base/errors.ts';
import { type ByteStream, Took } from '../io/byte-stream.ts';
import type { OutQueue } from '../io/out-queue.ts';
import { clientPreface, defaultWindowBytes, ErrorCode, errorName, largestStreamId } from './constants.ts';
import { SendWindow } from './flow.ts';
import { FrameParser } from './frame-parser.ts';
import {
  writeData,
  writeEnd,
  writeGoaway,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeWindowUpdate,
} from './frame-writer.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { Keepalive } from './keepalive.ts';
import { Outbox } from './outbox.ts';
import { ProtocolError } from './protocol-error.ts';
import { type ReceiveBudget, threadBudget } from './receive-budget.ts';
import { type SessionCore, SessionFrames } from './session-frames.ts';
import {
  defaultPingIntervalMs,
  defaultPingTimeoutMs,
  defaultSessionLimits,
  defaultStreamsLimit,
  defaultStreamWindowMaxBytes,
  drainNoticeMs,
  flushStallMs,
  lingerMs,
  type SessionEvents,
  type SessionLimits,
  type SessionOptions,
  startWindow,
} from './session-options.ts';
import {
  defaultLocalSettings,
  encodeSettings,
  initialPeerSettings,
  type LocalSettings,
  type PeerSettings,
} from './settings.ts';
import { H2Stream, noStreamEvents, type StreamEvents, type StreamHost } from './stream.ts';
import type { SessionTiming, TimedSession } from './timing.ts';
import { WindowTuner } from './window-tuner.ts';

const pingOpaque = Buffer.from('ambient\0', 'latin1');
const drainOpaque = Buffer.from('ambdrain', 'latin1');

/** One connection. `start` begins; `drain`, `close` or `destroy` end; `events.onClose` comes exactly once. */
export class H2Session implements StreamHost, SessionCore, TimedSession {
  readonly peer: string;
  readonly client: boolean;
  readonly settings: LocalSettings;
  readonly limits: SessionLimits;
  readonly peerSettings: PeerSettings;
  readonly events: SessionEvents;
  readonly streams: Map<number, H2Stream> = new Map();
  readonly sendWindow: SendWindow = new SendWindow(defaultWindowBytes);
  readonly nowMs: () => number;
  readonly budget: ReceiveBudget;
  timing: SessionTiming | null = null;
  nextStreamId: number;
  goawayLast: number = largestStreamId;

  readonly #transport: ByteStream;
  readonly #frames: SessionFrames;
  readonly #parser: FrameParser;
  readonly #encoder = new HpackEncoder();
  readonly #outbox: Outbox;
  readonly #keepalive: Keepalive;
  readonly #awaitingRoom = new Set<H2Stream>();
  readonly #awaitingWindow = new Set<H2Stream>();
  readonly #streamsLimit: number;
  readonly #tuner: WindowTuner;
  /** When the SETTINGS or the PING was sent whose answer says how long a round trip takes. */
  #askedAtMs = 0;
  #prefaceLeft: number;
  #settingsSeen = false;
  #settingsAcked = false;
  #handshakeTimer: NodeJS.Timeout | null = null;
  #drainTimer: NodeJS.Timeout | null = null;
  #lingerTimer: NodeJS.Timeout | null = null;
  #draining = false;
  #retired = false;
  #controlBytes = 0;
  #over = false;

  constructor(options: SessionOptions) {
    this.peer = options.peer;
    this.client = options.role === 'client';
    this.events = options.events;
    this.settings = { ...defaultLocalSettings, ...options.settings, ...startWindow(options) };
    this.limits = { ...defaultSessionLimits, ...options.limits };
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.budget = options.budget ?? threadBudget;
    this.#tuner = new WindowTuner({
      startBytes: this.settings.streamWindowBytes,
      largestBytes: options.streamWindowMaxBytes ?? options.settings?.streamWindowBytes ?? defaultStreamWindowMaxBytes,
      budget: this.budget,
      nowMs: this.nowMs,
    });
    this.nextStreamId = options.firstStreamId ?? 1;
    this.#transport = options.transport;
    this.#streamsLimit = options.streamsLimit ?? defaultStreamsLimit;
    this.peerSettings = initialPeerSettings(this.#streamsLimit);
    this.#prefaceLeft = this.client ? 0 : clientPreface.length;
    this.#frames = new SessionFrames(this);
    this.#parser = new FrameParser(this.#frames, {
      maxFrameBytes: this.settings.maxFrameBytes,
      headerBlockBytes: this.limits.headerBlockBytes,
      continuations: this.limits.continuations,
    });
    this.#outbox = new Outbox(options.transport, this.limits.highWaterMarkBytes, () => this.#wake(this.#awaitingRoom));
    this.#keepalive = new Keepalive({
      intervalMs: options.pingIntervalMs ?? defaultPingIntervalMs,
      timeoutMs: options.pingTimeoutMs ?? defaultPingTimeoutMs,
      nowMs: this.nowMs,
      ping: () => {
        this.#askedAtMs = this.nowMs();
        this.control((out) => writePing(out, pingOpaque, false));
      },
      lost: () => this.#lose('no answer to PING'),
    });
  }

  get streamCount(): number {
    return this.streams.size;
  }

  get over(): boolean {
    return this.#over;
  }

  /** True when `open` would return a stream. */
  get canOpen(): boolean {
    return !this.retired && this.streams.size < this.capacity;
  }

  /** True when no stream can be opened any more, whatever ends. */
  get retired(): boolean {
    return this.#over || this.#retired || this.#draining;
  }

  /** Streams that may be open at once: our limit and the peer's. */
  get capacity(): number {
    return Math.min(this.#streamsLimit, this.peerSettings.maxConcurrentStreams);
  }

  get bufferedBytes(): number {
    return this.#outbox.queue.bytes;
  }

  /** Sends preface and SETTINGS, and begins to read. */
  start(): void {
    const out = this.#outbox.queue;
    if (this.client) out.append(clientPreface);
    writeSettings(out, encodeSettings(this.settings, this.client));
    const extra = this.settings.connectionWindowBytes - defaultWindowBytes;
    if (extra > 0) writeWindowUpdate(out, 0, extra);
    this.#outbox.touched();
    this.#askedAtMs = this.nowMs();
    this.#handshakeTimer = setTimeout(() => this.#handshakeLate(), this.limits.handshakeMs);
    this.#keepalive.start();
    this.#transport.start({
      onData: (chunk) => this.#onData(chunk),
      onEnd: () => this.#lose('the peer closed the connection'),
      onDrain: () => this.#onDrain(),
      onClose: (error) => this.#onTransportClose(error),
    });
  }

  /** Client role: opens a stream with `headers`; null when none can be opened now. */
  open(headers: readonly string[], endStream: boolean, events: StreamEvents): H2Stream | null {
    const stream = this.#nextStream(events);
    stream?.respond(headers, endStream);
    return stream;
  }

  /** Like `open`, with a block of `encodeBlock`: it is the same on every session, so it can be sent again. */
  openBlock(block: Buffer, endStream: boolean, events: StreamEvents): H2Stream | null {
    const stream = this.#nextStream(events);
    stream?.request(block, endStream);
    return stream;
  }

  /**
   * No new streams, the running ones finish, then the connection ends. A server says so in two steps, so that requests
   * under way are not lost: GOAWAY(2^31-1) with a PING, and when that is answered the GOAWAY that counts.
   */
  drain(): void {
    if (this.#over || this.#draining) return;
    this.#draining = true;
    writeGoaway(this.out, this.client ? 0 : largestStreamId, ErrorCode.NoError);
    this.#outbox.touched();
    if (!this.client) {
      writePing(this.out, drainOpaque, false);
      this.#drainTimer = setTimeout(() => this.#drainNoticed(), drainNoticeMs);
    } else this.#endIfIdle();
  }

  /** Ends the session now, with GOAWAY(`code`); streams that still run are lost, for `reason` or with that error. */
  close(reason: MeshError | string = 'closed', code: number = ErrorCode.NoError): void {
    this.#end(code, this.streams.size === 0 ? null : this.#lost(reason));
  }

  /** Ends the session without a word. */
  destroy(): void {
    this.#lose('destroyed');
  }

  // ---- for streams and frames of this session alone (StreamHost, SessionCore) ----

  get out(): OutQueue {
    return this.#outbox.queue;
  }

  get congested(): boolean {
    return this.#outbox.full;
  }

  touched(): void {
    this.#outbox.touched();
  }

  sendData(stream: H2Stream, chunk: Buffer): number {
    const end = chunk.length;
    let at = 0;
    while (at < end) {
      const allowed = Math.min(stream.sendWindow.available, this.sendWindow.available, this.peerSettings.maxFrameBytes);
      if (allowed <= 0) break;
      const count = writeData(this.#outbox.queue, stream.id, chunk, at, end, allowed);
      stream.sendWindow.available -= count;
      this.sendWindow.available -= count;
      at += count;
    }
    if (at > 0) this.#outbox.touched();
    return at;
  }

  sendEnd(stream: H2Stream): void {
    writeEnd(this.#outbox.queue, stream.id);
    this.#outbox.touched();
  }

  sendHeaders(stream: H2Stream, headers: readonly string[], endStream: boolean): void {
    this.sendBlock(stream, this.#encoder.encode(headers), endStream);
  }

  sendBlock(stream: H2Stream, block: Buffer, endStream: boolean): void {
    const whole = this.#encoder.prefixed(block);
    writeHeaders(this.#outbox.queue, stream.id, whole, endStream, this.peerSettings.maxFrameBytes);
    this.#outbox.touched();
  }

  sendReset(stream: H2Stream, code: number): void {
    this.#frames.resetByUs(stream.id);
    this.control((out) => writeRstStream(out, stream.id, code));
  }

  credit(stream: H2Stream, bytes: number): void {
    const increment = stream.receiveWindow.credit(bytes);
    if (increment > 0) this.#announce(stream, increment + this.#tuner.announced(stream.receiveWindow));
  }

  stalled(stream: H2Stream): void {
    this.#tuner.stalled(stream.receiveWindow);
  }

  awaitRoom(stream: H2Stream): void {
    this.#awaitingRoom.add(stream);
  }

  awaitWindow(stream: H2Stream): void {
    // A stream that its own window holds back is woken by its WINDOW_UPDATE.
    if (stream.sendWindow.available > 0) this.#awaitingWindow.add(stream);
  }

  windowOpened(): void {
    this.#wake(this.#awaitingWindow);
  }

  forget(stream: H2Stream): void {
    if (this.#awaitingRoom.size > 0) this.#awaitingRoom.delete(stream);
    if (this.#awaitingWindow.size > 0) this.#awaitingWindow.delete(stream);
    if (!this.streams.delete(stream.id) || this.#over) return;
    this.events.onCapacity();
    this.#endIfIdle();
  }

  addStream(id: number): H2Stream {
    return this.#newStream(id, noStreamEvents);
  }

  control(write: (out: OutQueue) => void): void {
    if (this.#over) return;
    const before = this.out.bytes;
    if (before === 0) this.#controlBytes = 0;
    write(this.out);
    this.#controlBytes += this.out.bytes - before;
    this.#outbox.touched();
    if (this.#controlBytes > this.limits.controlBytes) this.#lose('the peer reads nothing');
  }

  peerTableShrank(): void {
    this.#encoder.peerTableShrank();
  }

  settingsSeen(first: boolean): void {
    this.#settingsSeen = true;
    this.#handshakeStep();
    if (first) this.events.onReady();
    this.events.onCapacity();
  }

  settingsAcked(): void {
    if (this.#settingsAcked) return;
    this.#settingsAcked = true;
    this.#tuner.roundTripMs = this.nowMs() - this.#askedAtMs;
    this.#handshakeStep();
    if (this.settings.streamWindowBytes >= defaultWindowBytes) return;
    for (const stream of this.streams.values()) {
      this.#announce(stream, stream.receiveWindow.resize(this.settings.streamWindowBytes));
    }
  }

  pingAcked(opaque: Buffer): void {
    if (opaque.equals(pingOpaque)) this.#tuner.roundTripMs = this.nowMs() - this.#askedAtMs;
    else if (this.#drainTimer !== null && opaque.equals(drainOpaque)) this.#drainNoticed();
  }

  peerGoaway(lastStreamId: number, code: number): void {
    this.#retire();
    if (this.client) {
      const error = this.#lost(`GOAWAY(${errorName(code)})`);
      // Streams above were not processed and never will be: they may go elsewhere.
      for (const stream of [...this.streams.values()]) {
        if (stream.id > lastStreamId) stream.fail(error, true);
      }
    }
    this.#endIfIdle();
  }

  // ---- inside ----

  #nextStream(events: StreamEvents): H2Stream | null {
    if (!this.client || !this.canOpen) return null;
    const stream = this.#newStream(this.nextStreamId, events);
    this.nextStreamId += 2;
    if (this.nextStreamId > largestStreamId) this.#retire();
    return stream;
  }

  #newStream(id: number, events: StreamEvents): H2Stream {
    const own = this.settings.streamWindowBytes;
    // Until our SETTINGS are acknowledged the peer may still count with the default.
    const receive = this.#settingsAcked ? own : Math.max(own, defaultWindowBytes);
    const stream = new H2Stream(id, this, events, this.peerSettings.streamWindowBytes, receive);
    this.streams.set(id, stream);
    return stream;
  }

  #announce(stream: H2Stream, increment: number): void {
    if (increment === 0 || stream.remoteEnded || this.#over) return;
    writeWindowUpdate(this.#outbox.queue, stream.id, increment);
    this.#outbox.touched();
  }

  #onData(chunk: Buffer): number {
    if (this.#over) return Took.All;
    this.#keepalive.alive();
    try {
      const rest = this.#prefaceLeft > 0 ? this.#checkPreface(chunk) : chunk;
      return this.#parser.parse(rest);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#end(error.h2Code, error);
      return Took.All;
    }
  }

  #checkPreface(chunk: Buffer): Buffer {
    const count = Math.min(this.#prefaceLeft, chunk.length);
    const from = clientPreface.length - this.#prefaceLeft;
    if (clientPreface.compare(chunk, 0, count, from, from + count) !== 0) {
      throw new ProtocolError(ErrorCode.ProtocolError, 'no HTTP/2 preface');
    }
    this.#prefaceLeft -= count;
    return chunk.subarray(count);
  }

  #onDrain(): void {
    this.#controlBytes = 0;
    this.#outbox.drained();
  }

  /** Everyone waiting gets a turn, in order; who must wait again stands behind the others. */
  #wake(waiting: Set<H2Stream>): void {
    if (waiting.size === 0) return;
    const now = [...waiting];
    waiting.clear();
    for (const stream of now) stream.proceed();
  }

  #handshakeStep(): void {
    if (!this.#settingsSeen || !this.#settingsAcked || this.#handshakeTimer === null) return;
    clearTimeout(this.#handshakeTimer);
    this.#handshakeTimer = null;
  }

  #handshakeLate(): void {
    const reason = this.#settingsSeen ? 'SETTINGS were not acknowledged in time' : 'no SETTINGS in time';
    this.#end(ErrorCode.SettingsTimeout, new MeshError('H2_HANDSHAKE', { address: this.peer, reason }));
  }

  #drainNoticed(): void {
    if (this.#drainTimer === null) return;
    clearTimeout(this.#drainTimer);
    this.#drainTimer = null;
    this.goawayLast = this.#frames.lastPeerStreamId;
    writeGoaway(this.out, this.goawayLast, ErrorCode.NoError);
    this.#outbox.touched();
    this.#endIfIdle();
  }

  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.events.onRetired();
  }

  #endIfIdle(): void {
    if (this.#over || this.streams.size > 0 || this.#drainTimer !== null) return;
    if (this.#draining) this.#end(null, null);
    else if (this.#retired) this.#end(ErrorCode.NoError, null);
  }

  #lost(reason: MeshError | string, cause?: unknown): MeshError {
    return isMeshError(reason) ? reason : new MeshError('TUNNEL_LOST', { address: this.peer, reason }, { cause });
  }

  /** The transport is no good any more. */
  #lose(reason: string): void {
    if (this.#over) return;
    this.#finish(this.streams.size === 0 ? null : this.#lost(reason));
    this.#transport.destroy();
  }

  /** Says GOAWAY with `code` (unless null), ends the transport behind it, and gives the peer a moment to read it. */
  #end(code: number | null, error: MeshError | null): void {
    if (this.#over) return;
    if (code !== null) writeGoaway(this.out, this.#frames.lastPeerStreamId, code);
    this.#finish(error);
    this.#outbox.end();
    const isGraceful = code === null || code === ErrorCode.NoError;
    this.#linger(isGraceful ? this.#unsentBytes : 0, 0);
  }

  get #unsentBytes(): number {
    return this.bufferedBytes + this.#transport.bufferedBytes;
  }

  /** The last bytes of streams that ended well may still be queued: they get the time that they need. */
  #linger(unsentBytes: number, stalledMs: number): void {
    this.#lingerTimer = setTimeout(() => {
      const left = this.#unsentBytes;
      const nowStalledMs = left < unsentBytes ? 0 : stalledMs + lingerMs;
      if (unsentBytes === 0 || nowStalledMs >= flushStallMs) this.#transport.destroy();
      else this.#linger(left, nowStalledMs);
    }, lingerMs);
    this.#lingerTimer.unref();
  }

  #onTransportClose(error: Error | null): void {
    this.#finish(error === null && this.streams.size === 0 ? null : this.#lost(error?.message ?? 'closed', error));
    if (this.#lingerTimer !== null) clearTimeout(this.#lingerTimer);
    this.#outbox.close();
  }

  #finish(error: MeshError | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#parser.stop();
    this.#keepalive.stop();
    if (this.#handshakeTimer !== null) clearTimeout(this.#handshakeTimer);
    if (this.#drainTimer !== null) clearTimeout(this.#drainTimer);
    const streams = [...this.streams.values()];
    this.streams.clear();
    const reason = error ?? this.#lost('closed');
    for (const stream of streams) stream.fail(reason, false);
    this.events.onClose(error);
  }
}
