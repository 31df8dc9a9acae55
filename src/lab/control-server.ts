// Answers what `control-client.ts` asks: HTTP over a socket file inside the lab, which only its owner and root can
// reach.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { isMeshError, MeshError } from '../base/errors.ts';
import type { AdminPart, LabDocument, LabFault, LabPart } from './control-types.ts';
import type { LabOperations } from './operations.ts';
import { controlSocket } from './running.ts';

const bodyBytesMax = 64 * 1024 * 1024;
const defaultWaitMs = 60_000;

type Handler = (request: Request, response: ServerResponse) => Promise<unknown>;

interface Request {
  readonly method: string;
  readonly url: URL;
  readonly query: URLSearchParams;
  body(): Promise<Record<string, unknown>>;
  /** Aborted when the asker has gone. */
  readonly signal: AbortSignal;
}

/** An answer that was already written by its handler. */
const written = Symbol('written');

/** Serves `operations` on the control socket. A failure is answered with its code and details. */
export class ControlServer {
  readonly #server: Server;
  readonly #operations: LabOperations;
  readonly #routes: Readonly<Record<string, Handler>>;

  constructor(operations: LabOperations) {
    this.#operations = operations;
    this.#routes = routesOf(operations);
    this.#server = createServer((request, response) => void this.#handle(request, response));
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(controlSocket, resolve);
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://lab');
    const method = incoming.method ?? 'GET';
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    response.on('error', () => gone.abort());
    const body = () => readBody(incoming);
    const request: Request = { method, url, query: url.searchParams, body, signal: gone.signal };
    try {
      const admin = /^\/admin\/(controller|node\/([^/]+)|waypoint\/([^/]+)\/([^/]+))(\/.*)$/.exec(url.pathname);
      const answer =
        admin === null
          ? await this.#route(request, response)
          : await this.#admin(request, adminPartOf(admin), `${admin[5]}${url.search}`);
      if (answer === written) return;
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
    } catch (error) {
      refuse(response, error);
    }
  }

  async #route(request: Request, response: ServerResponse): Promise<unknown> {
    const handler = this.#routes[`${request.method} ${request.url.pathname}`];
    if (handler === undefined) {
      const hint = 'the lab may be of another version than ambientctl';
      throw new MeshError('NOT_FOUND', { what: `${request.method} ${request.url.pathname}`, hint });
    }
    return await handler(request, response);
  }

  async #admin(request: Request, part: AdminPart, path: string): Promise<unknown> {
    const body = request.method === 'GET' ? '' : JSON.stringify(await request.body());
    return await this.#operations.admin(part, request.method, path, body === '{}' ? '' : body);
  }
}

function routesOf(operations: LabOperations): Readonly<Record<string, Handler>> {
  return {
    'GET /status': async () => operations.status(),
    'GET /objects': async ({ query }) =>
      operations.objects(query.get('kind') ?? '', query.get('name') ?? undefined, query.get('namespace') ?? undefined),
    'GET /target': async ({ query }) => {
      const kind = query.get('kind') === 'node' ? 'node' : 'pod';
      return operations.target(
        kind,
        query.get('namespace') ?? '',
        query.get('name') ?? '',
        query.get('container') ?? undefined,
      );
    },
    'GET /logs': async ({ query, signal }, response) => {
      const lines = operations.logs(partOf(query), query.get('follow') === '1', query.get('access') === '1', signal);
      return await pour(lines, response, signal);
    },
    'GET /stream': async ({ query, signal }, response) =>
      await pour(operations.stream(query.get('path') ?? '', signal), response, signal),
    'GET /page': async ({ query, signal }, response) => {
      const page = await operations.page(query.get('path') ?? '', signal);
      response.writeHead(page.statusCode ?? 502, page.headers);
      await pipeline(page, response).catch(() => {}); // either side went
      return written;
    },
    'POST /apply': async (request) => {
      const { documents, timeoutMs } = await request.body();
      return operations.apply(documents as LabDocument[], numberOr(timeoutMs, defaultWaitMs));
    },
    'POST /delete': async (request) => {
      const { documents, timeoutMs } = await request.body();
      return operations.delete(documents as LabDocument[], numberOr(timeoutMs, defaultWaitMs));
    },
    'POST /patch': async (request) => {
      const { kind, namespace, name, patch } = await request.body();
      return operations.patch(String(kind), String(namespace ?? ''), String(name), patch);
    },
    'POST /restart': async (request) => {
      const { part, rolling, kill, timeoutMs } = await request.body();
      return operations.restart(part as LabPart, rolling === true, kill === true, numberOr(timeoutMs, defaultWaitMs));
    },
    'POST /fault': async (request) => operations.fault((await request.body()) as unknown as LabFault),
    'POST /token': async (request) => {
      const { namespace, serviceAccount, pod, audience } = (await request.body()) as Record<string, string | undefined>;
      return { token: operations.token(namespace ?? '', serviceAccount ?? '', pod, audience) };
    },
    'POST /wait': async (request) => {
      const { timeoutMs } = await request.body();
      return operations.waitInStep(numberOr(timeoutMs, defaultWaitMs));
    },
    'POST /down': async () => operations.down(),
  };
}

/** Writes what comes as it comes, at the reader's pace. */
async function pour(
  chunks: AsyncIterable<Buffer>,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<typeof written> {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  for await (const chunk of chunks) {
    if (!response.write(chunk))
      await new Promise((resolve) =>
        signal.aborted ? resolve(null) : response.once('drain', resolve).once('close', resolve),
      );
  }
  response.end();
  return written;
}

/** The part whose admin port is asked, from the path of the request. */
function adminPartOf(words: RegExpExecArray): AdminPart {
  const [node, namespace, name] = [words[2], words[3], words[4]].map((word) => decodeURIComponent(word ?? ''));
  if (node) return { kind: 'node', name: node };
  return namespace && name ? { kind: 'waypoint', namespace, name } : { kind: 'controller' };
}

function partOf(query: URLSearchParams): LabPart {
  const kind = query.get('kind');
  const name = query.get('name') ?? '';
  if (kind === 'controller' || kind === 'lab') return { kind };
  if (kind === 'node') return { kind, name };
  if (kind === 'waypoint') return { kind, name, namespace: query.get('namespace') ?? '' };
  const container = query.get('container');
  return { kind: 'pod', namespace: query.get('namespace') ?? '', name, ...(container === null ? {} : { container }) };
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}

async function readBody(incoming: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += (chunk as Buffer).length;
    if (bytes > bodyBytesMax)
      throw new MeshError('LIMIT_REACHED', { limit: 'bodyBytesMax', value: bodyBytesMax, what: 'the request' });
    chunks.push(chunk as Buffer);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  } catch (error) {
    throw new MeshError('USAGE', { reason: 'the request is no JSON' }, { cause: error });
  }
}

const statusOf: Readonly<Record<string, number>> = {
  USAGE: 400,
  CONFIG_INVALID: 400,
  INPUT_UNREADABLE: 400,
  NOT_FOUND: 404,
  TIMED_OUT: 504,
  NOT_REACHABLE: 502,
};

function refuse(response: ServerResponse, error: unknown): void {
  const known = isMeshError(error) ? error : MeshError.from(error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(statusOf[known.code] ?? 500, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ code: known.code, details: known.details, message: known.message }));
}
