// The live page of a mesh, on a port of this machine: a lab's controller listens inside the lab, a cluster's on
// loopback of its pod, and this passes on what they answer. It changes nothing, as the page itself.
import type { IncomingMessage } from 'node:http';
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { pageGate } from '../controller/page/page-gate.ts';
import { type SimpleResponse, SimpleServer } from '../telemetry/metrics-server.ts';
import type { Mesh } from './mesh.ts';

/** Where the page is when nobody says otherwise and the port is free. */
const usualPort = 15_030;
const host = '127.0.0.1';
/** A browser that has been put to sleep comes back by itself; what it does not take is not kept for it. */
const stalledMs = 60_000;
/** What a browser has to be told as it was said; nothing else of the answer's head. */
const passedOn = [
  'content-security-policy',
  'x-content-type-options',
  'referrer-policy',
  'cross-origin-resource-policy',
  'cross-origin-opener-policy',
  'retry-after',
] as const;

/** Serves from `start` to `close`. */
export class PageRelay {
  readonly #mesh: Pick<Mesh, 'page'>;
  #server: SimpleServer | null = null;

  constructor(mesh: Pick<Mesh, 'page'>) {
    this.#mesh = mesh;
  }

  /**
   * Listens on `port`; on the usual one, or any that is free, when that is null. Returns the page's address. Throws
   * NOT_REACHABLE when the port cannot be had.
   */
  async start(port: number | null): Promise<string> {
    if (port !== null) return this.#listen(port);
    try {
      return await this.#listen(usualPort);
    } catch (error) {
      if (!isMeshError(error)) throw error;
      return this.#listen(0);
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#server?.close();
  }

  async #listen(port: number): Promise<string> {
    const server = new SimpleServer({
      ...{ host, port, isAlone: true, stalledMs },
      guard: pageGate({ names: [], passwordFile: '', tokenFile: '' }),
      routes: { 'GET /*': (url, signal) => this.#answer(url, signal) },
    });
    const bound = await server.start().catch((error: unknown) => {
      if (!isMeshError(error) || port === usualPort) throw error;
      const reason = messageOf(error.cause);
      const hint = 'leave out --port for one that is free';
      throw new MeshError('NOT_REACHABLE', { what: `${host}:${port}`, reason, hint }, { cause: error });
    });
    this.#server = server;
    return `http://${host}:${bound}/`;
  }

  async #answer({ pathname, search }: URL, signal: AbortSignal): Promise<SimpleResponse> {
    const page = await this.#mesh.page(`${pathname}${search}`, signal);
    const headers = passedOn.flatMap((name) => {
      const value = page.headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    });
    return {
      status: page.statusCode ?? 502,
      contentType: page.headers['content-type'] ?? 'text/plain; charset=utf-8',
      body: '',
      stream: textOf(page),
      headers: Object.fromEntries(headers),
    };
  }
}

async function* textOf(page: IncomingMessage): AsyncIterable<string> {
  page.setEncoding('utf8');
  for await (const chunk of page) yield chunk as string;
}
