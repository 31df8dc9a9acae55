// A client's stream: what it speaks, the connection that serves it, and an exchange for each of its requests.
import type { MeshError } from '../../base/errors.ts';
import { formatHostPort } from '../../base/ip.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import type { StreamTiming } from '../../io/stream-timing.ts';
import type { HttpProtocol, IncomingRequest, RefusedHead, ServerConnection, ServerEvents } from '../message.ts';
import { serveHttp } from './codecs.ts';
import type { ClientInfo } from './context.ts';
import type { Engine } from './engine.ts';
import { Exchange } from './exchange.ts';
import { recordRefused } from './record-refused.ts';
import { SniffedStream } from './sniff.ts';

/** Who keeps the sessions. */
export interface SessionOwner {
  readonly engine: Engine;
  readonly draining: boolean;
  onSessionClose(session: ClientSession): void;
}

/** One client stream that speaks HTTP, or is asked whether it does. */
export class ClientSession implements ServerEvents {
  readonly #owner: SessionOwner;
  readonly #client: ClientInfo;
  #connection: ServerConnection | null = null;
  #sniffed: SniffedStream | null = null;
  #timing: StreamTiming | null = null;
  #protocol: HttpProtocol = 'http1';
  #over = false;

  constructor(owner: SessionOwner, client: ClientInfo) {
    this.#owner = owner;
    this.#client = client;
  }

  get active(): number {
    return this.#connection?.active ?? 0;
  }

  begin(stream: ByteStream): void {
    this.#timing = stream.timing ?? null;
    const { protocol } = this.#client;
    if (protocol === 'tcp' || protocol === 'tls') this.#pass(stream);
    else this.#sniff(stream, protocol !== 'unknown');
  }

  drain(): void {
    // A client of HTTP that has said nothing yet is let go of like an idle one.
    if (this.#connection === null && this.#client.protocol !== 'unknown') this.#sniffed?.onDeadline();
    this.#connection?.drain();
  }

  destroy(): void {
    this.#connection?.destroy();
    if (this.#connection === null) this.#sniffed?.destroy();
  }

  onRequest(request: IncomingRequest): void {
    const { engine } = this.#owner;
    engine.begin(new Exchange(engine, this.#client, request, this.#timing));
  }

  onRefused(status: number, error: MeshError, head: RefusedHead | null): void {
    recordRefused(this.#owner.engine, this.#client, { status, error, head, protocol: this.#protocol });
  }

  onClose(_error: MeshError | null): void {
    this.#close();
  }

  /**
   * A port that is said to speak HTTP says nothing about its version: clients of either are served, as Envoy's codec
   * AUTO does, and what the endpoint speaks is another question.
   */
  #sniff(stream: ByteStream, isHttp: boolean): void {
    const { engine } = this.#owner;
    const { sniffTimeoutMs, streamIdleMs } = engine.limits;
    this.#sniffed = new SniffedStream(stream, engine.deadlines.of(isHttp ? streamIdleMs : sniffTimeoutMs), {
      decide: (protocol, sniffed) => {
        if (protocol !== 'tcp') this.#serve(protocol, sniffed);
        else if (isHttp) this.#serve('http1', sniffed);
        else this.#pass(sniffed);
      },
      closed: () => this.#close(),
    });
  }

  #serve(protocol: HttpProtocol, stream: ByteStream): void {
    const { address, port } = this.#client;
    const { engine, draining } = this.#owner;
    this.#protocol = protocol;
    this.#connection = serveHttp(protocol, stream, this, formatHostPort(address, port), engine.deadlines);
    if (draining) this.#connection.drain();
  }

  #pass(stream: ByteStream): void {
    this.#close();
    this.#owner.engine.context.passThrough(stream, this.#client);
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.onSessionClose(this);
  }
}
