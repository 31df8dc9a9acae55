// The listener of the live page: read-only, apart from the admin port, which may change things. What browsers are told
// comes from `PageSources`; what they load from `page-assets.ts`.
import { MeshError } from '../../base/errors.ts';
import type { ControllerConfig } from '../../config/controller.ts';
import { pagePaths } from '../../model/page-views.ts';
import {
  answer,
  type Routes,
  type SimpleResponse,
  SimpleServer,
  type TlsCredentials,
  text,
} from '../../telemetry/metrics-server.ts';
import type { MeshWatch } from './mesh-watch.ts';
import { type PageAsset, readPageAssets } from './page-assets.ts';
import { eventsStart, pageEventsOf } from './page-events.ts';
import { pageGate } from './page-gate.ts';

export interface PageServerOptions {
  readonly page: ControllerConfig['page'];
  readonly port: number;
  readonly watched: Pick<MeshWatch, 'watch' | 'tell' | 'last' | 'next' | 'details'>;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** Null speaks HTTP. */
  readonly credentials: TlsCredentials | null;
}

const connectionsMax = 192;
/** Streams of events at once: further browsers are told to come back. */
const watchersMax = 32;
/** A browser that has been put to sleep comes back by itself. */
const stalledMs = 60_000;
const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/** Serves from `start` to `close`. */
export class PageServer {
  readonly #options: PageServerOptions;
  readonly #server: SimpleServer;
  readonly #routes: Routes;
  #watchers = 0;
  #assets: ReadonlyMap<string, PageAsset> | null = null;

  constructor(options: PageServerOptions) {
    const { page, port, credentials } = options;
    this.#options = options;
    this.#routes = this.#makeRoutes();
    this.#server = new SimpleServer({
      host: page.host,
      port,
      routes: this.#routes,
      connectionsMax,
      stalledMs,
      guard: pageGate(page),
      headers: securityHeaders,
      ...(credentials === null ? {} : { credentials }),
    });
  }

  /** Listens; returns the bound port. Throws NOT_REACHABLE when it cannot be had. */
  start(): Promise<number> {
    return this.#server.start();
  }

  /** New connections get `credentials`. */
  setCredentials(credentials: TlsCredentials): void {
    this.#server.setCredentials(credentials);
  }

  /** What a browser would get for `GET target`, without being asked who it is. Never rejects. */
  async answer(target: string, signal: AbortSignal): Promise<SimpleResponse> {
    const found = await answer(this.#routes, 'GET', target, signal);
    return { ...found, headers: { ...securityHeaders, ...found.headers } };
  }

  /** Ends what is open. Idempotent. */
  close(): Promise<void> {
    return this.#server.close();
  }

  #makeRoutes(): Routes {
    const asset = ({ pathname }: URL) => {
      this.#assets ??= readPageAssets();
      const found = this.#assets.get(pathname);
      return found === undefined ? text(404, 'there is no such file\n') : { status: 200, ...found };
    };
    const view = (topic: 'graph' | 'proxies' | 'problems') => async () =>
      jsonText((await this.#options.watched.tell(topic)).json);
    return {
      [`GET ${pagePaths.page}`]: asset,
      [`GET ${pagePaths.assets}*`]: asset,
      [`GET ${pagePaths.events}`]: (_url, signal) => this.#events(signal),
      [`GET ${pagePaths.graph}`]: view('graph'),
      [`GET ${pagePaths.proxies}`]: view('proxies'),
      [`GET ${pagePaths.problems}`]: view('problems'),
      [`GET ${pagePaths.details}`]: (url) => this.#details(url),
    };
  }

  #events(signal: AbortSignal): SimpleResponse {
    const { watched, nowMs } = this.#options;
    if (this.#watchers >= watchersMax) {
      return { ...text(503, `${watchersMax} others watch already (watchersMax)\n`), headers: { 'retry-after': '10' } };
    }
    this.#watchers++;
    signal.addEventListener('abort', () => this.#watchers--, { once: true });
    const stream = pageEventsOf(watched, signal, nowMs);
    return { status: 200, contentType: 'text/event-stream', body: eventsStart, stream };
  }

  async #details({ searchParams }: URL): Promise<SimpleResponse> {
    const node = searchParams.get('node');
    const edge = searchParams.get('edge');
    if ((node === null) === (edge === null)) throw new MeshError('USAGE', { reason: 'name a node or an edge' });
    const of = node === null ? 'edge' : 'node';
    const id = node ?? edge ?? '';
    const found = await this.#options.watched.details(of, id);
    if (found !== null) return jsonText(JSON.stringify(found));
    throw new MeshError('NOT_FOUND', { what: `${of} ${id}`, hint: 'it is not, or no longer, in the graph' });
  }
}

function jsonText(body: string): SimpleResponse {
  return { status: 200, contentType: 'application/json', body };
}
