// The live page with a mesh that nobody has to start: assets, names and headers are the controller's own page server;
// only what is told of the mesh is put in its place.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PageServer, type PageServerOptions } from '../../src/controller/page/page-server.ts';
import {
  type DetailsView,
  type GraphView,
  type ProblemsView,
  type ProxiesView,
  pageEvents,
  pagePaths,
} from '../../src/model/page-views.ts';
import { exampleDetails, exampleProblems, exampleProxies, troubledGraph } from './example-views.ts';

/** What the mesh is said to be; may be changed at any time, and told by `tell`. */
export interface Fixture {
  graph: GraphView;
  proxies: ProxiesView;
  problems: ProblemsView;
  details: (of: 'node' | 'edge', id: string) => DetailsView | null;
}

const heartbeatMs = 1_000;
const options = { enabled: true, host: '127.0.0.1', names: [], tls: 'off', certificateFile: '', keyFile: '' } as const;

/** What the page server itself would tell, and is not asked for. */
const nothing: PageServerOptions['watched'] = {
  watch: () => () => {},
  tell: () => Promise.resolve({ json: 'null', version: 0 }),
  last: () => null,
  next: () => Promise.resolve(),
  details: () => Promise.resolve(null),
};

/** A page server with fixtures, on a port of its own that stays the same when it is started again. */
export class FixtureServer {
  readonly fixture: Fixture = {
    graph: troubledGraph(),
    proxies: exampleProxies(),
    problems: exampleProblems(),
    details: exampleDetails,
  };
  readonly #streams = new Set<ServerResponse>();
  #page: PageServer | null = null;
  #pagePort = 0;
  #server: Server | null = null;
  #port = 0;

  /** Where the page is; the same after each start. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async start(): Promise<void> {
    this.#page = new PageServer({
      page: { ...options, passwordFile: '', tokenFile: '' },
      port: 0,
      credentials: null,
      watched: nothing,
      nowMs: Date.now,
    });
    this.#pagePort = await this.#page.start();
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Ends every connection. Idempotent. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server !== null) {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
    this.#streams.clear();
    await this.#page?.close();
  }

  /** Says to all who listen what the fixture is now. */
  tell(): void {
    for (const stream of this.#streams) this.#write(stream);
  }

  #write(stream: ServerResponse): void {
    const { graph, proxies, problems } = this.fixture;
    const say = (name: string, data: unknown): unknown =>
      stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    say(pageEvents.heartbeat, { time: graph.time, everyMs: heartbeatMs });
    say(pageEvents.graph, graph);
    say(pageEvents.proxies, proxies);
    say(pageEvents.problems, problems);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    if (url.pathname === pagePaths.events) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      this.#streams.add(response);
      const beat = setInterval(() => {
        response.write(
          `event: ${pageEvents.heartbeat}\ndata: ${JSON.stringify({ time: '', everyMs: heartbeatMs })}\n\n`,
        );
      }, heartbeatMs);
      response.on('close', () => {
        clearInterval(beat);
        this.#streams.delete(response);
      });
      this.#write(response);
    } else if (url.pathname === pagePaths.details) {
      const of = url.searchParams.has('node') ? 'node' : 'edge';
      const details = this.fixture.details(of, url.searchParams.get(of) ?? '');
      response.writeHead(details === null ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(details));
    } else {
      const asset = await fetch(`http://127.0.0.1:${this.#pagePort}${url.pathname}`);
      response.writeHead(asset.status, Object.fromEntries(asset.headers));
      response.end(await asset.text());
    }
  }
}
