// Asks an API server over HTTPS: single requests with JSON, and the endless answers of watches. Knows nothing of kinds.
import type { IncomingHttpHeaders } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { isMeshError, MeshError, messageOf } from '../../base/errors.ts';
import type { KubeAccess, TlsSettings } from './access.ts';
import { apiError } from './api-error.ts';

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root of the API server, such as `/api/v1/pods`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body; `application/json` unless given. */
  readonly contentType?: string;
  /** Media type of the answer; plain JSON unless given. */
  readonly accept?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ApiWatch {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly accept?: string;
  readonly signal: AbortSignal;
  /** How long it may say nothing before it counts as lost. */
  readonly inactivityMs: number;
  /** Called when the API server has begun to answer. */
  readonly opened: () => void;
}

const requestTimeoutMs = 30_000;
const connectTimeoutMs = 10_000;
/** Each watch has a connection of its own, and there is one per kind. */
const connectionsMax = 64;
const answerBytesMax = 256 * 1024 * 1024;
const errorBytesMax = 64 * 1024;
const userAgent = 'ambient';

/** A client of one API server; all of its connections end with `close`. */
export class ApiClient {
  readonly #access: KubeAccess;
  readonly #hint: string;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #pools = new Set<Pool>();
  #pool: Pool | null = null;
  #tlsStamp = '';
  #isClosed = false;

  /** `hint` says what is done, or can be done, while the API server cannot be reached. */
  constructor(access: KubeAccess, hint = 'it is tried again') {
    const { origin, pathname } = new URL(access.server);
    this.#access = access;
    this.#hint = hint;
    this.#origin = origin;
    this.#prefix = pathname.replace(/\/$/, '');
  }

  /** The API server's URL. */
  get server(): string {
    return this.#access.server;
  }

  /**
   * The answer as JSON, null for an empty one. Throws KUBE_API for an answer other than 2xx, NOT_REACHABLE without one,
   * INPUT_UNREADABLE when the credentials cannot be read.
   */
  async json(request: ApiRequest): Promise<unknown> {
    const text = await this.text(request);
    try {
      return text === '' ? null : JSON.parse(text);
    } catch (error) {
      throw this.#unreachable(`it answered ${request.path} with no JSON: ${messageOf(error)}`, error);
    }
  }

  /** As `json`, the answer as it is. */
  async text(request: ApiRequest): Promise<string> {
    return (await this.bytes(request)).toString('utf8');
  }

  /** As `text`, in UTF-8. */
  async bytes(request: ApiRequest): Promise<Buffer> {
    const timeout = AbortSignal.timeout(request.timeoutMs ?? requestTimeoutMs);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    const { body } = await this.#send(request, signal);
    return this.#read(body, answerBytesMax);
  }

  /**
   * The chunks of an answer for as long as it goes on; ends when the API server ends it. Throws what `json` does,
   * also for a silence of `inactivityMs`.
   */
  async *watch({ signal, inactivityMs, opened, ...request }: ApiWatch): AsyncGenerator<Buffer> {
    const { body } = await this.#send(request, signal, inactivityMs);
    opened();
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) yield chunk;
    } catch (error) {
      throw this.#unreachable(messageOf(error), error);
    } finally {
      body.destroy();
    }
  }

  /** Ends every request that is under way; idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#pools].map((pool) => pool.destroy().catch(() => undefined)));
    this.#pools.clear();
  }

  async #send(request: ApiRequest, signal: AbortSignal, bodyTimeout?: number): Promise<Dispatcher.ResponseData> {
    for (const isLast of [false, true]) {
      const answer = await this.#dispatch(request, signal, bodyTimeout ?? requestTimeoutMs, isLast);
      const { statusCode, headers, body } = answer;
      if (statusCode >= 200 && statusCode < 300) return answer;
      const text = await this.#read(body, errorBytesMax).then(String, () => '');
      // A token may have been replaced since it was read.
      if (statusCode === 401 && !isLast) continue;
      const what = `${request.method ?? 'GET'} ${request.path}`;
      throw apiError(what, statusCode, text, (headers as IncomingHttpHeaders)['retry-after']);
    }
    throw new MeshError('INTERNAL', { reason: 'a request was neither answered nor refused' });
  }

  async #dispatch(
    {
      method = 'GET',
      path,
      query = {},
      body,
      contentType = 'application/json',
      accept = 'application/json',
    }: ApiRequest,
    signal: AbortSignal,
    bodyTimeout: number,
    isRefused: boolean,
  ): Promise<Dispatcher.ResponseData> {
    const authorization = await this.#access.authorization(isRefused);
    const search = new URLSearchParams(query).toString();
    try {
      const answer = await this.#current().request({
        method,
        path: `${this.#prefix}${path}${search === '' ? '' : `?${search}`}`,
        signal,
        bodyTimeout,
        headersTimeout: requestTimeoutMs,
        headers: {
          accept,
          'user-agent': userAgent,
          ...(body === undefined ? {} : { 'content-type': contentType }),
          ...(authorization === null ? {} : { authorization }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      answer.body.on('error', () => undefined);
      return answer;
    } catch (error) {
      throw isMeshError(error) ? error : this.#unreachable(messageOf(error), error);
    }
  }

  async #read(body: Dispatcher.ResponseData['body'], bytesMax: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > bytesMax) throw new MeshError('LIMIT_REACHED', { limit: 'answer', value: bytesMax, what: 'it' });
        chunks.push(chunk);
      }
    } catch (error) {
      body.destroy();
      throw isMeshError(error) ? error : this.#unreachable(messageOf(error), error);
    }
    return Buffer.concat(chunks);
  }

  /** Connections with the certificates as they are now; what runs over older ones goes on. */
  #current(): Pool {
    const tls = this.#access.tls();
    const stamp = stampOf(tls);
    if (this.#pool === null || stamp !== this.#tlsStamp) {
      if (this.#isClosed) throw this.#unreachable('the client is closed');
      const before = this.#pool;
      const connect = { ...tls, timeout: connectTimeoutMs, keepAlive: true };
      this.#pool = new Pool(this.#origin, { connections: connectionsMax, connect, allowH2: false });
      this.#tlsStamp = stamp;
      this.#pools.add(this.#pool);
      before
        ?.close()
        .catch(() => undefined)
        .finally(() => this.#pools.delete(before));
    }
    return this.#pool;
  }

  #unreachable(reason: string, cause?: unknown): MeshError {
    const what = `the API server ${this.server}`;
    return new MeshError('NOT_REACHABLE', { what, reason, hint: this.#hint }, { cause });
  }
}

function stampOf(tls: TlsSettings): string {
  return JSON.stringify(tls);
}
