// A small HTTP server for machines that ask: metrics, readiness, administration. Routes are a table; everything else
// is 404.
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { nodeHttp, nodeHttps } from '../base/node-http.ts';

export interface SimpleResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** What follows the body as it comes about, until it ends or nobody listens any more. */
  readonly stream?: AsyncIterable<string>;
  /** Beside `content-type` and `cache-control: no-store`, or in place of them. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** `METHOD PATH` → what answers; a query string is not part of the path. */
export type Routes = Readonly<Record<string, Route>>;

/** `signal` aborts when whoever asks has gone; `accept` is the header, '' for none. */
export type Route = (url: URL, signal: AbortSignal, accept: string) => SimpleResponse | Promise<SimpleResponse>;

export interface SimpleServerOptions {
  /** '' is every address of the machine. */
  readonly host: string;
  readonly port: number;
  readonly routes: Routes;
  /** No other program listens on this port at the same time, as two proxies of a node do. */
  readonly isAlone?: boolean;
  /** Connections at once; 256 when left out. */
  readonly connectionsMax?: number;
  /** Whoever reads nothing for so long is cut off; never when left out. */
  readonly stalledMs?: number;
  /** Answers in place of the routes what it does not let through. */
  readonly guard?: (request: IncomingMessage) => SimpleResponse | null;
  /** With every answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Speaks HTTPS with this certificate. */
  readonly credentials?: TlsCredentials;
}

/** PEM. */
export interface TlsCredentials {
  readonly keyPem: string;
  readonly chainPem: readonly string[];
}

const headersTimeoutMs = 10_000;
const usualConnectionsMax = 256;
/** While one proxy replaces another both listen: this tells which one it was. */
const whoAnswers = { 'x-ambient-pid': String(process.pid) };

/** Answers GET, HEAD and POST without a body, by a table of routes, from `start` to `close`. */
export class SimpleServer {
  readonly #options: SimpleServerOptions;
  readonly #server: Server;

  constructor(options: SimpleServerOptions) {
    this.#options = options;
    const times = { headersTimeout: headersTimeoutMs, requestTimeout: headersTimeoutMs };
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      request.resume(); // no route reads a body
      void serve(options, request, response);
    };
    const { credentials, stalledMs } = options;
    this.#server =
      credentials === undefined
        ? nodeHttp.createServer(times, listener)
        : nodeHttps.createServer(
            { ...times, ...secureContext(credentials), minVersion: 'TLSv1.2', handshakeTimeout: headersTimeoutMs },
            listener,
          );
    this.#server.maxConnections = options.connectionsMax ?? usualConnectionsMax;
    if (stalledMs !== undefined) this.#server.setTimeout(stalledMs);
    this.#server.on('tlsClientError', () => {}); // who cannot agree on TLS has only itself to tell
  }

  /** New connections get `credentials`; those that are open keep theirs. Only for a server that began with some. */
  setCredentials(credentials: TlsCredentials): void {
    (this.#server as unknown as { setSecureContext(options: object): void }).setSecureContext(
      secureContext(credentials),
    );
  }

  /**
   * Listens; returns the bound port. Two proxies of a node may listen at once, while one replaces the other.
   * Throws NOT_REACHABLE when the port cannot be had.
   */
  start(): Promise<number> {
    const { host, port, isAlone } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const hint = 'another program may hold the port';
        const what = `${host || '*'}:${port}`;
        reject(new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint }, { cause: error }));
      });
      this.#server.listen({ ...(host === '' ? {} : { host }), port, reusePort: isAlone !== true }, () => {
        this.#server.removeAllListeners('error').on('error', () => {});
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Stops listening and ends what is open. Idempotent. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

/** A plain text answer. */
export function text(status: number, body: string): SimpleResponse {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

/** Lines of JSON with status 200, as they come. */
export function lines(stream: AsyncIterable<string>): SimpleResponse {
  return { status: 200, contentType: 'application/x-ndjson', body: '', stream };
}

/** A JSON answer with status 200, indented for people. */
export function json(value: unknown): SimpleResponse {
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

async function serve(
  { routes, guard, headers: always }: SimpleServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
  const { status, contentType, body, stream, headers } =
    guard?.(request) ?? (await answer(routes, method, request.url ?? '/', gone.signal, request.headers.accept));
  const usual = { 'content-type': contentType, 'cache-control': 'no-store', ...whoAnswers };
  response.writeHead(status, { ...usual, ...always, ...headers });
  if (stream === undefined || request.method === 'HEAD') {
    response.end(body);
    return;
  }
  try {
    response.write(body);
    for await (const piece of stream) {
      if (gone.signal.aborted) break;
      if (!response.write(piece)) await once(response, 'drain', { signal: gone.signal });
    }
    response.end();
  } catch {
    response.destroy(); // whoever reads must not take what came for all there is
  }
}

/**
 * The answer to one question, by a table of routes; what a route throws becomes 400 for USAGE, 404 for NOT_FOUND, 503
 * for NOT_REACHABLE and 500 for the rest. Never rejects.
 */
export async function answer(
  routes: Routes,
  method: string,
  target: string,
  signal: AbortSignal,
  accept = '',
): Promise<SimpleResponse> {
  try {
    const url = new URL(target, 'http://localhost');
    const route = routes[`${method} ${url.pathname}`] ?? prefixRoute(routes, method, url.pathname);
    if (route !== undefined) return await route(url, signal, accept);
    const methods = Object.keys(routes).filter((name) => name.endsWith(` ${url.pathname}`));
    if (methods.length > 0) return text(405, `use ${methods.map((name) => name.split(' ')[0]).join(' or ')}\n`);
    return text(404, `there is: ${Object.keys(routes).join(', ')}\n`);
  } catch (error) {
    return text((isMeshError(error) && statuses[error.code]) || 500, `${messageOf(error)}\n`);
  }
}

const statuses: Readonly<Partial<Record<string, number>>> = { USAGE: 400, NOT_FOUND: 404, NOT_REACHABLE: 503 };

/** Routes that end in `/*` answer for all below them. */
function prefixRoute(routes: Routes, method: string, path: string): Route | undefined {
  for (const [name, route] of Object.entries(routes)) {
    if (name.endsWith('/*') && `${method} ${path}`.startsWith(name.slice(0, -1))) return route;
  }
  return undefined;
}

function secureContext({ keyPem, chainPem }: TlsCredentials): { readonly key: string; readonly cert: string } {
  return { key: keyPem, cert: chainPem.join('') };
}
