// A client's stream: what it speaks, the connection that serves it, and an exchange for each of its requests.
import type { MeshError } from '../../base/errors.ts';
import { formatHostPort } from '../../base/ip.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import type { HttpProtocol, IncomingRequest, ServerConnection, ServerEvents } from '../message.ts';
import { serveHttp } from './codecs.ts';
import type { ClientInfo } from './context.ts';
import type { Engine } from './engine.ts';
import { Exchange } from './exchange.ts';
import { recordRefused } from './record.ts';
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
  #over = false;

  constructor(owner: SessionOwner, client: ClientInfo) {
    this.#owner = owner;
    this.#client = client;
  }

  get active(): number {
    return this.#connection?.active ?? 0;
  }

  /** A port that speaks HTTP is asked for its version only: clients of either come to it, as to Envoy's listeners. */
  begin(stream: ByteStream): void {
    const { protocol } = this.#client;
    const { sniffTimeoutMs, streamIdleMs } = this.#owner.engine.limits;
    if (protocol === 'http1') this.#sniff(stream, 'http1', streamIdleMs);
    else if (protocol === 'http2' || protocol === 'grpc') this.#sniff(stream, 'http2', streamIdleMs);
    else if (protocol === 'unknown') this.#sniff(stream, null, sniffTimeoutMs);
    else this.#pass(stream);
  }

  drain(): void {
    if (this.#connection === null && this.#client.protocol !== 'unknown') this.#sniffed?.onDeadline();
    this.#connection?.drain();
  }

  destroy(): void {
    this.#connection?.destroy();
    if (this.#connection === null) this.#sniffed?.destroy();
  }

  onRequest(request: IncomingRequest): void {
    const { engine } = this.#owner;
    const exchange = new Exchange(engine, this.#client, request);
    engine.active++;
    exchange.proceed();
  }

  onRefused(status: number, error: MeshError, head: { method: string; target: string } | null): void {
    recordRefused(this.#owner.engine, this.#client, status, error, head);
  }

  onClose(_error: MeshError | null): void {
    this.#close();
  }

  /** `otherwise` serves what looks like no HTTP; null: it is passed through. */
  #sniff(stream: ByteStream, otherwise: HttpProtocol | null, timeoutMs: number): void {
    const deadlines = this.#owner.engine.deadlines.of(timeoutMs);
    this.#sniffed = new SniffedStream(stream, deadlines, {
      decide: (protocol, sniffed) => {
        const served = protocol === 'tcp' ? otherwise : protocol;
        if (served === null) this.#pass(sniffed);
        else this.#serve(served, sniffed);
      },
      closed: () => this.#close(),
    });
  }

  #serve(protocol: HttpProtocol, stream: ByteStream): void {
    const { address, port } = this.#client;
    const { engine, draining } = this.#owner;
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
