// A client of a Kubernetes API server without any knowledge of one: plain HTTP, so that the suite judges the server
// alone.

import type { IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { createInterface } from 'node:readline';

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into field by field, and a wrong shape fails the test
export type Json = any;

export interface Target {
  readonly url: string;
  readonly caPem?: string;
  readonly token?: string;
  readonly certPem?: string;
  readonly keyPem?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Json;
}

export interface CallOptions {
  /** Another caller's; null for nobody. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly contentType?: string;
}

/** Media types of PATCH. */
export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

const timeoutMs = 30_000;

/** Speaks to one API server as one user. */
export class ApiClient {
  readonly target: Target;
  readonly #agent: https.Agent;

  constructor(target: Target) {
    this.target = target;
    const { caPem, certPem, keyPem } = target;
    this.#agent = new https.Agent({
      // A kept connection could have been cut by the case before.
      keepAlive: false,
      ...(caPem === undefined ? { rejectUnauthorized: false } : { ca: caPem }),
      ...(certPem === undefined ? {} : { cert: certPem, key: keyPem }),
    });
  }

  /** Resolves with the answer, whatever its status; rejects when there is none. */
  async call(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<Answer> {
    const response = await this.#send(method, path, body, options);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    // OpenAPI comes as plain text.
    const isJson = /^\s*\{/.test(text);
    return { status: response.statusCode ?? 0, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  get(path: string, options?: CallOptions): Promise<Answer> {
    return this.call('GET', path, undefined, options);
  }

  post(path: string, body: unknown, options?: CallOptions): Promise<Answer> {
    return this.call('POST', path, body, options);
  }

  put(path: string, body: unknown, options?: CallOptions): Promise<Answer> {
    return this.call('PUT', path, body, options);
  }

  delete(path: string, body?: unknown, options?: CallOptions): Promise<Answer> {
    return this.call('DELETE', path, body, options);
  }

  patch(type: keyof typeof patchTypes, path: string, body: unknown, options: CallOptions = {}): Promise<Answer> {
    return this.call('PATCH', path, body, { ...options, contentType: patchTypes[type] });
  }

  /** A watch; rejects with the answer's text when it is refused. */
  async watch(path: string, options: CallOptions = {}): Promise<WatchReader> {
    const response = await this.#send('GET', path, undefined, options);
    return new WatchReader(response);
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(method: string, path: string, body: unknown, options: CallOptions): Promise<IncomingMessage> {
    const { token = this.target.token ?? null, contentType = 'application/json' } = options;
    const text = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
    const request: RequestOptions = {
      method,
      agent: this.#agent,
      headers: {
        accept: 'application/json',
        'user-agent': 'ambient-test/1',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(text === null ? {} : { 'content-type': contentType, 'content-length': String(Buffer.byteLength(text)) }),
        ...options.headers,
      },
    };
    return new Promise((resolve, reject) => {
      const sent = https.request(new URL(path, this.target.url), request, resolve);
      sent.setTimeout(timeoutMs, () => sent.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)));
      sent.on('error', reject);
      sent.end(text ?? undefined);
    });
  }
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Json;
}

/** The events of one watch, in order. */
export class WatchReader {
  readonly status: number;
  readonly #response: IncomingMessage;
  readonly #events: AsyncIterator<string>;

  constructor(response: IncomingMessage) {
    this.status = response.statusCode ?? 0;
    this.#response = response;
    response.on('error', () => {});
    this.#events = createInterface({ input: response })[Symbol.asyncIterator]();
  }

  /** The next event, or null when the watch has ended. */
  async next(): Promise<WatchEvent | null> {
    const { value, done } = await this.#events.next();
    return done === true ? null : (JSON.parse(value) as WatchEvent);
  }

  /** The next events as `TYPE NAME`. */
  async take(count: number): Promise<string[]> {
    const seen: string[] = [];
    while (seen.length < count) {
      const event = await this.next();
      if (event === null) break;
      seen.push(`${event.type} ${event.object.metadata?.name ?? ''}`.trim());
    }
    return seen;
  }

  close(): void {
    this.#response.destroy();
  }
}
