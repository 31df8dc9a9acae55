// For tests: an API server that can be told to fail. It has lists, pages, watches and bookmarks over plain HTTP on
// loopback, forgets its history when asked to, and keeps a record of what was asked.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { ApiClient } from './api-client.ts';
import type { KubeObject } from './prune.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

interface Collection {
  readonly objects: Map<string, KubeObject>;
  readonly history: { readonly version: number; readonly line: string }[];
  readonly watchers: Set<{ readonly response: ServerResponse }>;
}

/** Serves what it was given; begins with no kind at all. */
export class TestingApi {
  readonly asked: string[] = [];
  readonly #collections = new Map<string, Collection>();
  /** Answers that come before the usual ones, taken from the front; by a part of the path with its query. */
  readonly #faults: { readonly part: string; times: number; readonly answer: Answer }[] = [];
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly #sockets = new Set<Socket>();
  #version = 100;
  #forgotten = 0;
  pageSize = 500;

  constructor() {
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async start(port = 0): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Makes kinds known, by the paths of their lists. */
  define(...paths: readonly string[]): void {
    for (const path of paths) {
      this.#collections.set(path, { objects: new Map(), history: [], watchers: new Set() });
    }
  }

  /** Ends a kind, its watches included, without a word about its objects. */
  undefine(path: string): void {
    for (const { response } of this.#collections.get(path)?.watchers ?? []) response.destroy();
    this.#collections.delete(path);
  }

  /** Creates or replaces an object. */
  put(path: string, object: KubeObject): void {
    const collection = this.#collections.get(path)!;
    const key = keyOf(object);
    const version = String(++this.#version);
    const before = collection.objects.get(key);
    const stored = { ...object, metadata: { uid: `uid-${key}`, ...object.metadata, resourceVersion: version } };
    collection.objects.set(key, stored);
    this.#tell(collection, before === undefined ? 'ADDED' : 'MODIFIED', stored);
  }

  remove(path: string, name: string, namespace = 'shop'): void {
    const collection = this.#collections.get(path)!;
    const before = collection.objects.get(`${namespace}/${name}`)!;
    collection.objects.delete(`${namespace}/${name}`);
    const resourceVersion = String(++this.#version);
    this.#tell(collection, 'DELETED', { ...before, metadata: { ...before.metadata, resourceVersion } });
  }

  /** What happened up to now cannot be watched from any more. */
  forget(): void {
    this.#forgotten = ++this.#version;
  }

  bookmark(path: string): void {
    const object = { metadata: { name: '', resourceVersion: String(this.#version) } };
    this.say(path, `${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  /** Writes raw text to the watches of a kind. */
  say(path: string, text: string): void {
    for (const { response } of this.#collections.get(path)?.watchers ?? []) response.write(text);
  }

  /** Ends the watches of a kind, or of all of them, in good order. */
  endWatches(path?: string): void {
    for (const [at, { watchers }] of this.#collections) {
      if (path !== undefined && at !== path) continue;
      for (const { response } of watchers) response.end();
      watchers.clear();
    }
  }

  watchers(path: string): number {
    return this.#collections.get(path)?.watchers.size ?? 0;
  }

  /** The next `times` requests whose path and query contain `part` are answered so. */
  fail(part: string, answer: Answer, times = 1): void {
    this.#faults.push({ part, times, answer });
  }

  /** Ends what `fail` began. */
  heal(): void {
    this.#faults.length = 0;
  }

  /** How often something whose path and query contain `part` was asked. */
  count(part: string): number {
    return this.asked.filter((one) => one.includes(part)).length;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => undefined);
    const text = request.url ?? '/';
    const url = new URL(text, 'http://127.0.0.1');
    this.asked.push(text);
    const fault = this.#faults.find(({ part, times }) => times > 0 && text.includes(part));
    if (fault !== undefined) {
      fault.times--;
      fault.answer(request, response, url);
      return;
    }
    const collection = this.#collections.get(url.pathname);
    if (collection === undefined) status(404, 'NotFound')(request, response, url);
    else if (url.searchParams.get('watch') === 'true') this.#watch(collection, url, response);
    else this.#list(collection, url, response);
  }

  #list({ objects }: Collection, url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('continue') ?? 0);
    const size = Math.min(this.pageSize, Number(url.searchParams.get('limit') ?? this.pageSize));
    const items = [...objects.values()].slice(from, from + size);
    const next = from + size < objects.size ? { continue: String(from + size) } : {};
    json(response, 200, { kind: 'List', metadata: { resourceVersion: String(this.#version), ...next }, items });
  }

  #watch(collection: Collection, url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < this.#forgotten) {
      status(410, 'Expired')(response.req, response, url);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const { version, line } of collection.history) if (version > from) response.write(line);
    const watcher = { response };
    collection.watchers.add(watcher);
    response.on('close', () => collection.watchers.delete(watcher));
  }

  #tell(collection: Collection, type: string, object: KubeObject): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    collection.history.push({ version: this.#version, line });
    for (const { response } of collection.watchers) response.write(line);
  }
}

/** An answer with a `Status`, and perhaps the header `Retry-After`. */
export function status(code: number, reason: string, retryAfterS?: number): Answer {
  return (_request, response) => {
    if (retryAfterS !== undefined) response.setHeader('retry-after', String(retryAfterS));
    json(response, code, { kind: 'Status', status: 'Failure', code, reason, message: `${reason} on purpose` });
  };
}

/** A started API server and a client of it; both end with the test. */
export async function testingApi(context: TestContext): Promise<{ api: TestingApi; client: ApiClient; port: number }> {
  const api = new TestingApi();
  const port = await api.start();
  const server = `http://127.0.0.1:${port}`;
  const client = new ApiClient({ server, namespace: 'default', tls: () => ({}), authorization: () => 'Bearer test' });
  context.after(async () => {
    await client.close();
    await api.stop();
  });
  return { api, client, port };
}

function json(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}
