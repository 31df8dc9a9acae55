// How an HTTP/2 session is set up, and what it tells its owner.
import type { MeshError } from '../base/errors.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import { type FloodKind, type FloodRate, floodRates } from './flood.ts';
import type { ReceiveBudget } from './receive-budget.ts';
import { defaultLocalSettings, type LocalSettings } from './settings.ts';
import type { H2Stream } from './stream.ts';

export interface SessionEvents {
  /** Server role: a request with well-formed headers. The owner sets `stream.events` and answers with `respond`. */
  onStream(stream: H2Stream, headers: readonly string[], endStream: boolean): void;
  /** Server role: a request whose header list is over the limit was answered with 431; `headers` is its beginning. */
  onHeadersTooLong?(headers: readonly string[]): void;
  /** Server role: a request was reset, since its header list is malformed: `fault` says how. */
  onHeadersFault?(headers: readonly string[], fault: string): void;
  /** The peer's first SETTINGS are in. */
  onReady(): void;
  /** A stream ended, or the peer allows more of them. */
  onCapacity(): void;
  /** No new stream can be opened from now on: GOAWAY came, or the stream ids are used up. */
  onRetired(): void;
  /** The session is over; exactly once. All its streams have been told before. */
  onClose(error: MeshError | null): void;
}

export interface SessionLimits {
  /** Header block, compressed, with its CONTINUATIONs. */
  readonly headerBlockBytes: number;
  readonly continuations: number;
  /** Until the peer's SETTINGS and its acknowledgement of ours are in. */
  readonly handshakeMs: number;
  /** Bytes queued above which whoever writes is paused: what stops one bulk flow from starving the rest. */
  readonly highWaterMarkBytes: number;
  /** Bytes of control frames that the peer makes us send without reading them. */
  readonly controlBytes: number;
  readonly floods: Readonly<Record<FloodKind, FloodRate>>;
}

export const defaultSessionLimits: SessionLimits = {
  headerBlockBytes: 64 * 1024,
  continuations: 16,
  handshakeMs: 10_000,
  highWaterMarkBytes: 64 * 1024,
  controlBytes: 512 * 1024,
  floods: floodRates,
};

export interface SessionOptions {
  readonly role: 'client' | 'server';
  /** Started by the session; nobody else reads or writes it. */
  readonly transport: ByteStream;
  readonly events: SessionEvents;
  /** Who the peer is, for error words. */
  readonly peer: string;
  readonly settings?: Partial<LocalSettings>;
  /**
   * What the window of a stream may grow to. Default 4 MiB; where `settings.streamWindowBytes` is given, that: such
   * windows do not move.
   */
  readonly streamWindowMaxBytes?: number;
  /** What all streams may hold together; the thread's unless given. */
  readonly budget?: ReceiveBudget;
  readonly limits?: Partial<SessionLimits>;
  /** Client role: streams opened before the peer's SETTINGS are in, and at most ever. Default 100. */
  readonly streamsLimit?: number;
  /** Client role: the first stream id, odd. Tests use it to reach the last one. */
  readonly firstStreamId?: number;
  /** Keepalive; 0 for none. Defaults 10 s and 20 s (ambient-l4 §1.5). */
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  readonly nowMs?: () => number;
}

/** Between the last frame of a session and the end of its transport, if the peer does not close first. */
export const lingerMs = 1000;
/** A peer that takes nothing of what is still queued for so long loses it, be it the end of a stream or not. */
export const flushStallMs = 20_000;
/** A peer that does not answer the PING of a drain gets the final GOAWAY after this. */
export const drainNoticeMs = 1000;
export const defaultPingIntervalMs = 10_000;
export const defaultPingTimeoutMs = 20_000;
export const defaultStreamsLimit = 100;
export const defaultStreamWindowMaxBytes = 4 * 1024 * 1024;

/** Returns the stream window to begin with, where one is asked for: never larger than it may become. */
export function startWindow({ settings, streamWindowMaxBytes }: SessionOptions): Partial<LocalSettings> {
  if (streamWindowMaxBytes === undefined) return {};
  const { streamWindowBytes } = { ...defaultLocalSettings, ...settings };
  return { streamWindowBytes: Math.min(streamWindowBytes, streamWindowMaxBytes) };
}
