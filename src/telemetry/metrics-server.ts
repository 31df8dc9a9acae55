// A small HTTP server for machines that ask: metrics, readiness, administration. Routes are a table; everything else
// is 404.
import type { IncomingMessage, Server } from 'node:http';
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { nodeHttp } from '../base/node-http.ts';

export interface SimpleResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** `METHOD PATH` → what answers; a query string is not part of the path. */
export type Routes = Readonly<Record<string, (url: URL) => SimpleResponse | Promise<SimpleResponse>>>;

export interface SimpleServerOptions {
  /** '' is every address of the machine. */
  readonly host: string;
  readonly port: number;
  readonly routes: Routes;
}

const headersTimeoutMs = 10_000;
const connectionsMax = 256;
/** While one proxy replaces another both listen: this tells which one it was. */
const whoAnswers = { 'x-ambient-pid': String(process.pid) };

/** Answers GET, HEAD and POST without a body, by a table of routes, from `start` to `close`. */
export class SimpleServer {
  readonly #options: SimpleServerOptions;
  readonly #server: Server;

  constructor(options: SimpleServerOptions) {
    this.#options = options;
    this.#server = nodeHttp.createServer(
      { headersTimeout: headersTimeoutMs, requestTimeout: headersTimeoutMs },
      (request, response) => {
        request.resume(); // no route reads a body
        void answer(options.routes, request).then(({ status, contentType, body }) => {
          response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store', ...whoAnswers });
          response.end(body);
        });
      },
    );
    this.#server.maxConnections = connectionsMax;
  }

  /**
   * Listens; returns the bound port. Two proxies of a node may listen at once, while one replaces the other.
   * Throws NOT_REACHABLE when the port cannot be had.
   */
  start(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const hint = 'another program may hold the port';
        reject(new MeshError('NOT_REACHABLE', { what: `${host || '*'}:${port}`, reason: messageOf(error), hint }));
      });
      this.#server.listen({ ...(host === '' ? {} : { host }), port, reusePort: true }, () => {
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

/** A JSON answer with status 200, indented for people. */
export function json(value: unknown): SimpleResponse {
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

async function answer(routes: Routes, request: IncomingMessage): Promise<SimpleResponse> {
  try {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
    const route = routes[`${method} ${url.pathname}`];
    if (route !== undefined) return await route(url);
    const methods = Object.keys(routes).filter((name) => name.endsWith(` ${url.pathname}`));
    if (methods.length > 0) return text(405, `use ${methods.map((name) => name.split(' ')[0]).join(' or ')}\n`);
    return text(404, `there is: ${Object.keys(routes).join(', ')}\n`);
  } catch (error) {
    if (isMeshError(error) && error.code === 'USAGE') return text(400, `${error.message}\n`);
    return text(500, `${messageOf(error)}\n`);
  }
}
