// The live page with a mesh that nobody has to start: it is the controller's own page server, and only what is watched
// is put in its place.
import { setTimeout as sleep } from 'node:timers/promises';
import { PageServer, type PageServerOptions } from '../../src/controller/page/page-server.ts';
import type { DetailsView, GraphView, ProblemsView, ProxiesView } from '../../src/model/page-views.ts';
import { exampleDetails, exampleProblems, exampleProxies, troubledGraph } from './example-views.ts';

/** What the mesh is said to be; may be changed at any time, and told by `tell`. */
export interface Fixture {
  graph: GraphView;
  proxies: ProxiesView;
  problems: ProblemsView;
  details: (of: 'node' | 'edge', id: string) => DetailsView | null;
}

const turnMs = 1_000;
const page: PageServerOptions['page'] = {
  ...{ enabled: true, host: '127.0.0.1', names: [], passwordFile: '', tokenFile: '' },
  ...({ tls: 'off', certificateFile: '', keyFile: '' } as const),
};

/** A page server with fixtures, on a port of its own that stays the same when it is started again. */
export class FixtureServer {
  readonly fixture: Fixture = {
    graph: troubledGraph(),
    proxies: exampleProxies(),
    problems: exampleProblems(),
    details: exampleDetails,
  };
  #version = 1;
  #told = Promise.withResolvers<void>();
  #server: PageServer | null = null;
  #port = 0;

  /** Where the page is; the same after each start. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async start(): Promise<void> {
    const watched: PageServerOptions['watched'] = {
      watch: () => () => {},
      tell: (topic) => Promise.resolve(this.#view(topic)),
      last: (topic) => this.#view(topic),
      next: (signal) => this.#next(signal),
      details: (of, id) => Promise.resolve(this.fixture.details(of, id)),
    };
    this.#server = new PageServer({ page, port: this.#port, credentials: null, watched, nowMs: Date.now });
    this.#port = await this.#server.start();
  }

  /** Ends every connection. Idempotent. */
  async close(): Promise<void> {
    await this.#server?.close();
  }

  /** Says to all who watch what the fixture is now. */
  tell(): void {
    this.#version++;
    this.#told.resolve();
    this.#told = Promise.withResolvers();
  }

  #view(topic: 'graph' | 'proxies' | 'problems'): { json: string; version: number } {
    return { json: JSON.stringify(this.fixture[topic]), version: this.#version };
  }

  async #next(signal: AbortSignal): Promise<void> {
    // Turns go on without news, as those of the controller do: a heartbeat may be due.
    const turn = new AbortController();
    const either = AbortSignal.any([signal, turn.signal]);
    await Promise.race([this.#told.promise, sleep(turnMs, undefined, { signal: either }).catch(() => {})]);
    turn.abort();
  }
}
