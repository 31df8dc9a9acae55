// The TLS port that the API server calls before it takes an object. Whoever reaches it may ask, and learns no more than
// whether we would take the object; what a body may have is bounded, and so is what all of them may have together.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MeshError, messageOf } from '../base/errors.ts';
import { nodeHttps } from '../base/node-http.ts';
import type { ServerCredentials } from '../discovery/rpc-server.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface WebhookServerOptions {
  readonly host: string;
  readonly port: number;
  readonly credentials: ServerCredentials;
  /** The answer to a review; null for what is none. */
  readonly answer: (review: unknown) => object | null;
  readonly log: Logger;
}

export const webhookPath = '/validate';
/** An object and what it was before, of the largest kind that an API server takes. */
const bodyBytesMax = 8 * 1024 * 1024;
/** Of all bodies that are being read. */
const bodiesBytesMax = 64 * 1024 * 1024;
const connectionsMax = 256;
/** An API server asks for an answer within 30 s at most. */
const requestTimeoutMs = 10_000;
const idleTimeoutMs = 90_000;

/** Answers reviews from `start` to `close`. */
export class WebhookServer {
  readonly #options: WebhookServerOptions;
  readonly #server: Server;
  #bytesHeld = 0;

  constructor(options: WebhookServerOptions) {
    this.#options = options;
    const times = {
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: idleTimeoutMs,
      handshakeTimeout: requestTimeoutMs,
    };
    const tls = { ...secureContext(options.credentials), minVersion: 'TLSv1.2' } as const;
    this.#server = nodeHttps.createServer({ ...times, ...tls }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server.maxConnections = connectionsMax;
    this.#server.on('tlsClientError', () => {}); // who cannot agree on TLS has only itself to tell
    this.#server.on('connection', (socket) => socket.on('error', () => {}));
  }

  /** Listens; returns the bound port. Throws NOT_REACHABLE when it cannot be had. */
  start(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const hint = 'another program may hold the port';
        reject(new MeshError('NOT_REACHABLE', { what: `${host}:${port}`, reason: messageOf(error), hint }));
      });
      this.#server.listen({ host, port }, () => {
        this.#server.removeAllListeners('error').on('error', () => {});
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** New connections get `credentials`; those that are open keep theirs. */
  setCredentials(credentials: ServerCredentials): void {
    (this.#server as unknown as { setSecureContext(options: object): void }).setSecureContext(
      secureContext(credentials),
    );
  }

  /** Ends what is open. Idempotent. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const held = { bytes: 0 };
    try {
      const [status, body] = await this.#answer(request, held);
      // Whatever of a body has not been read ends with the connection.
      const ending = request.complete ? {} : { connection: 'close' };
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...ending });
      response.end(JSON.stringify(body));
    } catch (error) {
      // The API server went, or a judgement failed, which is ours to find.
      this.#options.log.error({ reason: messageOf(error) }, 'cannot answer a review');
      response.destroy();
    } finally {
      this.#bytesHeld -= held.bytes;
    }
  }

  async #answer(request: IncomingMessage, held: { bytes: number }): Promise<readonly [number, object]> {
    const path = new URL(request.url ?? '/', 'https://localhost').pathname;
    if (path !== webhookPath) return [404, { error: `there is: POST ${webhookPath}` }];
    if (request.method !== 'POST') return [405, { error: 'use POST' }];
    const text = await this.#read(request, held);
    if (text === null) return [413, { error: 'the review is too large' }];
    const answer = this.#options.answer(parsed(text));
    return answer === null ? [400, { error: 'this is no AdmissionReview of admission.k8s.io/v1' }] : [200, answer];
  }

  /** The body; null when it is longer than what may be held. */
  async #read(request: IncomingMessage, held: { bytes: number }): Promise<string | null> {
    if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) return null;
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) {
      held.bytes += chunk.length;
      this.#bytesHeld += chunk.length;
      if (held.bytes > bodyBytesMax || this.#bytesHeld > bodiesBytesMax) return null;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function secureContext({ keyPem, chainPem }: ServerCredentials) {
  return { key: keyPem, cert: chainPem.join('') };
}
