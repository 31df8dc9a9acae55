// A client that speaks HTTP/2: the session's streams handed out as requests.
import { MeshError } from '../../base/errors.ts';
import { ErrorCode } from '../../h2/constants.ts';
import { headerOf } from '../../h2/header-check.ts';
import { H2Session } from '../../h2/session.ts';
import type { SessionEvents } from '../../h2/session-options.ts';
import type { H2Stream } from '../../h2/stream.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import { DeadlineEntry, type DeadlineLists } from '../../io/deadlines.ts';
import type { ServerConnection, ServerEvents } from '../message.ts';
import { FieldList } from './field-list.ts';
import { defaultHeadLimits, H2RequestHead, type HeadLimits, headRefusal, overLimit } from './heads.ts';
import { H2Incoming } from './incoming.ts';

export interface H2ServerOptions {
  /** Who the client is, for error words. */
  readonly peer: string;
  readonly head?: Partial<HeadLimits>;
  /** Requests at once on one connection. Default 1,000. */
  readonly maxConcurrentStreams?: number;
  /** A connection without a request for so long is asked to go; 0 for never. Default 1 h, as Envoy has it. */
  readonly idleTimeoutMs?: number;
  /** Keepalive by PING; 0 for none, which is right inside a tunnel that has its own. Default 0. */
  readonly pingIntervalMs?: number;
  readonly deadlines: DeadlineLists;
}

export const defaultMaxConcurrentStreams = 1000;
export const defaultServerIdleMs = 3_600_000;

/** Serves `stream` as HTTP/2. The preface is read from it; a client without one is closed with GOAWAY. */
export function createHttp2Server(
  stream: ByteStream,
  events: ServerEvents,
  options: H2ServerOptions,
): ServerConnection {
  const connection = new H2ServerConnection(stream, events, options);
  connection.begin();
  return connection;
}

class H2ServerConnection extends DeadlineEntry implements ServerConnection, SessionEvents {
  readonly #session: H2Session;
  readonly #events: ServerEvents;
  readonly #options: H2ServerOptions;
  readonly #limits: HeadLimits;
  readonly #idleTimeoutMs: number;

  constructor(stream: ByteStream, events: ServerEvents, options: H2ServerOptions) {
    super();
    this.#events = events;
    this.#options = options;
    this.#limits = { ...defaultHeadLimits, ...options.head };
    this.#idleTimeoutMs = options.idleTimeoutMs ?? defaultServerIdleMs;
    this.#session = new H2Session({
      role: 'server',
      transport: stream,
      events: this,
      peer: options.peer,
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams ?? defaultMaxConcurrentStreams,
        maxHeaderListBytes: this.#limits.headerBytes,
        maxFrameBytes: 64 * 1024,
        extendedConnect: true,
      },
      limits: { headerBlockBytes: this.#limits.headerBytes },
      pingIntervalMs: options.pingIntervalMs ?? 0,
    });
  }

  begin(): void {
    this.#session.start();
    this.#watchIdle();
  }

  get active(): number {
    return this.#session.streamCount;
  }

  drain(): void {
    this.#session.drain();
  }

  destroy(): void {
    this.#session.destroy();
  }

  onStream(stream: H2Stream, list: readonly string[], endStream: boolean): void {
    this.deadlineList?.lift(this);
    const refusal = headRefusal(list, this.#limits);
    if (refusal === null) {
      this.#events.onRequest(new H2Incoming(stream, new H2RequestHead(list, endStream), endStream));
      return;
    }
    stream.respond([':status', String(refusal.status)], true);
    stream.abort(ErrorCode.NoError);
    this.#refused(refusal.status, refusal.error, list);
  }

  onHeadersTooLong(list: readonly string[]): void {
    const { status, error } = overLimit(431, 'headerBytes', this.#limits.headerBytes);
    this.#refused(status, error, list);
  }

  onHeadersFault(list: readonly string[], fault: string): void {
    this.#refused(0, new MeshError('H2_PROTOCOL', { reason: fault }), list);
  }

  onReady(): void {}

  onRetired(): void {}

  onCapacity(): void {
    if (this.#session.streamCount === 0) this.#watchIdle();
  }

  onClose(error: MeshError | null): void {
    this.deadlineList?.lift(this);
    if (error?.code === 'H2_PROTOCOL') this.#events.onRefused(0, error, null);
    this.#events.onClose(error);
  }

  onDeadline(): void {
    this.#session.drain();
  }

  #refused(status: number, error: MeshError, list: readonly string[]): void {
    const head = { method: headerOf(list, ':method'), target: headerOf(list, ':path'), headers: new FieldList(list) };
    this.#events.onRefused(status, error, head);
  }

  #watchIdle(): void {
    if (this.#idleTimeoutMs > 0 && !this.#session.over) this.#options.deadlines.of(this.#idleTimeoutMs).set(this);
  }
}
