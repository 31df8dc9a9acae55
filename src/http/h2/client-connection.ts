// An endpoint that speaks HTTP/2: requests sent as streams of one session.
import { MeshError } from '../../base/errors.ts';
import { H2Session } from '../../h2/session.ts';
import type { SessionEvents } from '../../h2/session-options.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import type { StreamTiming } from '../../io/stream-timing.ts';
import type {
  ClientConnection,
  ClientConnectionEvents,
  ComposedRequest,
  OutgoingRequest,
  ResponseHandler,
} from '../message.ts';
import { defaultHeadLimits } from './heads.ts';
import { H2Outgoing } from './outgoing.ts';

export interface H2ClientOptions {
  /** Who the endpoint is, for error words. */
  readonly peer: string;
  /** Requests at once, where the endpoint allows more. Default 1,000. */
  readonly maxConcurrentStreams?: number;
  /** Of a response's head. Default 64 KiB. */
  readonly headerBytes?: number;
  /** Keepalive by PING; 0 for none. Default 0: a tunnel has its own. */
  readonly pingIntervalMs?: number;
}

/** Speaks HTTP/2 to the endpoint at the other end of `stream`, with prior knowledge; requests may be sent at once. */
export function createHttp2Client(
  stream: ByteStream,
  events: ClientConnectionEvents,
  options: H2ClientOptions,
): ClientConnection {
  const connection = new H2ClientConnection(stream, events, options);
  connection.begin();
  return connection;
}

class H2ClientConnection implements ClientConnection, SessionEvents {
  readonly protocol = 'http2';
  served = 0;
  readonly #session: H2Session;
  readonly #transport: ByteStream;
  readonly #events: ClientConnectionEvents;
  readonly #peer: string;
  /** Upgrades that wait for the endpoint's SETTINGS. */
  #held: H2Outgoing[] | null = [];

  constructor(stream: ByteStream, events: ClientConnectionEvents, options: H2ClientOptions) {
    this.#transport = stream;
    this.#events = events;
    this.#peer = options.peer;
    const headerBytes = options.headerBytes ?? defaultHeadLimits.headerBytes;
    this.#session = new H2Session({
      role: 'client',
      transport: stream,
      events: this,
      peer: options.peer,
      settings: { maxHeaderListBytes: headerBytes, maxFrameBytes: 64 * 1024 },
      limits: { headerBlockBytes: headerBytes },
      streamsLimit: options.maxConcurrentStreams ?? 1000,
      pingIntervalMs: options.pingIntervalMs ?? 0,
    });
  }

  begin(): void {
    this.#session.start();
  }

  get timing(): StreamTiming | null {
    return this.#transport.timing ?? null;
  }

  get room(): number {
    return this.#session.canOpen ? this.#session.capacity - this.#session.streamCount : 0;
  }

  get retired(): boolean {
    return this.#session.retired;
  }

  get active(): number {
    return this.#session.streamCount;
  }

  send(request: ComposedRequest, handler: ResponseHandler): OutgoingRequest {
    this.served++;
    const outgoing = new H2Outgoing(handler, request);
    if (request.upgrade !== null) {
      if (this.#held !== null) this.#held.push(outgoing);
      else process.nextTick(openLater, outgoing, this.#session);
    } else if (!outgoing.open(this.#session)) {
      const reason = 'it takes no more requests';
      outgoing.failSoon(new MeshError('TUNNEL_LOST', { address: this.#peer, reason }));
    }
    return outgoing;
  }

  drain(): void {
    this.#session.drain();
  }

  destroy(): void {
    this.#session.destroy();
  }

  onStream(): void {}

  onReady(): void {
    const held = this.#held;
    this.#held = null;
    for (const outgoing of held ?? []) outgoing.openLater(this.#session);
  }

  onRetired(): void {
    this.#events.onFree(this);
  }

  onCapacity(): void {
    if (this.room > 0) this.#events.onFree(this);
  }

  onClose(error: MeshError | null): void {
    const reason = 'the connection ended before its SETTINGS';
    for (const outgoing of this.#held ?? []) outgoing.failSoon(error ?? new MeshError('CONNECTION_LOST', { reason }));
    this.#held = null;
    this.#events.onClose(this, error);
  }
}

/** For the next tick: whoever sends has the request before he hears of it. */
function openLater(outgoing: H2Outgoing, session: H2Session): void {
  outgoing.openLater(session);
}
