// The HTTP side of an echo process: what it answers over HTTP/1.1 and HTTP/2, and the switches that tests turn. The
// JSON has the fields of the gateway conformance suite's echo server, and ours (peer, node, ips, cluster, body,
// calls).
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { isMeshError, messageOf } from '../../base/errors.ts';
import type { EchoCalls } from './calls.ts';
import { depthHeader } from './calls.ts';
import { durationOf } from './duration.ts';
import { handleGrpc } from './grpc.ts';
import { echoLines } from './lines.ts';
import type { EchoIdentity, EchoOptions } from './options.ts';
import { idempotencyHeader, Orders, orderHeader } from './orders.ts';
import { localOf, peerOf } from './peer.ts';
import { type FailWhen, FaultSwitch, readFaults } from './sample-faults.ts';

export type EchoRequest = IncomingMessage | Http2ServerRequest;
export type EchoResponse = ServerResponse | Http2ServerResponse;

/** What one process knows: who it is, what it calls, and whether its health endpoint says so. */
export class EchoState {
  readonly identity: EchoIdentity;
  readonly calls: EchoCalls;
  readonly log: (line: string) => void;
  readonly orders = new Orders();
  readonly faults: FaultSwitch;
  readonly answer: EchoOptions['answer'];
  serving = true;

  constructor(options: EchoOptions, calls: EchoCalls, log: (line: string) => void) {
    this.identity = options.identity;
    this.calls = calls;
    this.log = log;
    this.faults = new FaultSwitch(options.faults);
    this.answer = options.answer;
  }
}

const sizeLimitBytes = 16 * 1024 ** 3;
const filler = Buffer.alloc(64 * 1024, 'ambient ');

/** Answers one request. Never throws: a failure becomes a 400 or 500 with its text, or the end of the connection. */
export function handleHttp(state: EchoState, request: EchoRequest, response: EchoResponse): void {
  response.on('error', () => {}); // the client left; there is nobody to tell
  request.on('error', () => {});
  const type = request.headers['content-type'] ?? '';
  if (type.startsWith('application/grpc') && 'stream' in response && request.httpVersionMajor === 2) {
    handleGrpc(state, request as Http2ServerRequest, response as Http2ServerResponse);
    return;
  }
  answer(state, request, response).catch((error: unknown) => {
    if (response.headersSent) response.destroy();
    else sendText(response, isMeshError(error) ? 400 : 500, `${messageOf(error)}\n`);
  });
}

async function answer(state: EchoState, request: EchoRequest, response: EchoResponse): Promise<void> {
  const path = (request.url ?? '/').replace(/^\/{2,}/, '/');
  const url = new URL(path, 'http://echo');
  const option = (name: string): string | null => url.searchParams.get(name) ?? headerOf(request, `x-echo-${name}`);
  if (url.pathname === '/health') {
    if (request.method === 'PUT') state.serving = url.searchParams.get('serving') !== 'false';
    sendText(response, state.serving ? 200 : 503, state.serving ? 'OK' : 'not serving');
    return;
  }
  if (url.pathname === '/faults') return answerFaults(state, request, response, url);
  if (url.pathname === '/charges') return sendJson(response, 200, state.orders.sums());
  state.log(`Echoing back request made to ${request.url} to client (${peerOf(request.socket)})`);
  setHeaders(response, headerOf(request, 'x-echo-set-header'));
  const delay = option('delay');
  if (delay !== null) await sleep(durationOf(delay, 'delay'));
  const failure = state.faults.next();
  const { delayMs } = state.faults.faults;
  if (delayMs > 0) await sleep(delayMs);
  if (url.pathname === '/charge') return charge(state, request, response, url, failure);
  if (failure !== null) return sendText(response, 503, 'fails on purpose\n');
  const close = option('close');
  if (close === 'reset') return void reset(request);
  if (close !== null && request.httpVersionMajor === 1) response.setHeader('connection', 'close');

  if (url.pathname === '/echo' || option('echo') !== null) return echoBody(request, response);
  const size = option('size');
  if (size !== null) return sendSize(response, request, size);
  if (state.answer === 'lines') return answerLines(state, request, response, option('status'));
  await answerJson(state, request, response, url, option('status'));
}

/** Lines of text, whatever the path. */
async function answerLines(
  state: EchoState,
  request: EchoRequest,
  response: EchoResponse,
  status: string | null,
): Promise<void> {
  await digest(request);
  const { socket, rawHeaders, method = '', url = '/' } = request;
  const { alpnProtocol } = socket as Partial<TLSSocket>;
  const seen = { method, url, rawHeaders, peer: peerOf(socket), port: socket.localPort, proto: protoOf(request) };
  const host = request.headers[':authority'] ?? request.headers.host ?? '';
  const text = echoLines(state.identity, { ...seen, host: String(host), alpn: alpnProtocol || null });
  sendText(response, Number(status ?? 200), text);
}

function protoOf(request: EchoRequest): string {
  return `HTTP/${request.httpVersion}`;
}

/**
 * `GET`: the faults in force, and the number of requests `seen`; `PUT` with `fail-one-in`, `fail-when` or `delay` in
 * the query changes them.
 */
function answerFaults(state: EchoState, request: EchoRequest, response: EchoResponse, url: URL): void {
  const { faults } = state;
  if (request.method === 'PUT') {
    faults.faults = readFaults((name) => url.searchParams.get(name), faults.faults, 'faults');
  }
  sendJson(response, 200, { ...faults.faults, seen: faults.seen });
}

/** `POST /charge`: charges the order of the header `x-order-id`, or of the query, once per idempotency key. */
async function charge(
  state: EchoState,
  request: EchoRequest,
  response: EchoResponse,
  url: URL,
  failure: FailWhen | null,
): Promise<void> {
  await digest(request);
  const order = headerOf(request, orderHeader) ?? url.searchParams.get('order') ?? '';
  if (request.method !== 'POST' || order === '') return sendText(response, 400, 'POST with an order, please\n');
  if (failure === 'before') state.orders.failBefore();
  else state.orders.charge(order, headerOf(request, idempotencyHeader), failure === 'after');
  if (failure !== null) return sendText(response, 503, 'fails on purpose\n');
  sendJson(response, 200, { ...describe(state.identity, request), order });
}

async function answerJson(
  state: EchoState,
  request: EchoRequest,
  response: EchoResponse,
  url: URL,
  statusOption: string | null,
): Promise<void> {
  const seen = { ...describe(state.identity, request), body: await digest(request) };
  const inPath = /^\/status\/(\d{3})$/.exec(url.pathname)?.[1];
  const status = Number(inPath ?? statusOption ?? 200);
  const target = url.searchParams.get('url');
  const depth = Number(headerOf(request, depthHeader) ?? 0);
  if (url.pathname === '/call' && target !== null) {
    const call = await state.calls.call(target, depth);
    return sendJson(response, call.error === null ? 200 : 502, { ...seen, calls: [call] });
  }
  const calls = url.pathname === '/' ? await state.calls.callAll(depth) : [];
  sendJson(response, status >= 200 && status <= 599 ? status : 400, { ...seen, calls });
}

/** What the application saw of a request, in the field names of the contract. */
export function describe(identity: EchoIdentity, request: EchoRequest): Record<string, unknown> {
  const headers: Record<string, string[]> = {};
  const spelling = new Map<string, string>();
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at]!;
    if (name.startsWith(':')) continue;
    const first = spelling.get(name.toLowerCase()) ?? name;
    spelling.set(name.toLowerCase(), first);
    headers[first] ??= [];
    headers[first].push(request.rawHeaders[at + 1]!);
  }
  const { socket } = request;
  return {
    path: request.url ?? '/',
    host: request.headers[':authority'] ?? request.headers.host ?? '',
    method: request.method ?? '',
    proto: protoOf(request),
    protocol: request.httpVersionMajor === 2 ? 'http2' : 'http1',
    headers,
    peer: peerOf(socket),
    local: localOf(socket),
    httpPort: String(socket.localPort ?? ''),
    pod: identity.pod,
    namespace: identity.namespace,
    node: identity.node,
    service: identity.service,
    serviceAccount: identity.serviceAccount,
    ingress: '',
    cluster: identity.cluster,
    version: identity.version,
    ips: identity.ips,
  };
}

async function digest(request: EchoRequest): Promise<{ bytes: number; sha256: string | null }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, sha256: bytes === 0 ? null : hash.digest('hex') };
}

function echoBody(request: EchoRequest, response: EchoResponse): void {
  response.setHeader('content-type', headerOf(request, 'content-type') ?? 'application/octet-stream');
  const length = headerOf(request, 'content-length');
  if (length !== null) response.setHeader('content-length', length);
  request.on('aborted', () => response.destroy());
  (request as IncomingMessage).pipe(response as ServerResponse);
}

async function sendSize(response: EchoResponse, request: EchoRequest, text: string): Promise<void> {
  const size = Number(text);
  if (!Number.isInteger(size) || size < 0 || size > sizeLimitBytes) {
    return sendText(response, 400, `size '${text}' is no number of bytes up to ${sizeLimitBytes}\n`);
  }
  request.resume();
  response.setHeader('content-type', 'application/octet-stream');
  response.setHeader('content-length', String(size));
  for (let left = size; left > 0 && !response.destroyed; left -= filler.length) {
    const chunk = left >= filler.length ? filler : filler.subarray(0, left);
    if (!(response as ServerResponse).write(chunk)) await drained(response);
  }
  response.end();
}

function drained(response: EchoResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

function reset(request: EchoRequest): void {
  if ('stream' in request && request.httpVersionMajor === 2) (request as Http2ServerRequest).stream.close(0x2);
  else (request as IncomingMessage).socket.resetAndDestroy();
}

function setHeaders(response: EchoResponse, text: string | null): void {
  if (text === null) return;
  const values = new Map<string, string[]>();
  for (const part of text.split(',')) {
    const colon = part.indexOf(':');
    if (colon < 1) continue;
    const name = part.slice(0, colon).trim();
    values.set(name, [...(values.get(name) ?? []), part.slice(colon + 1).trim()]);
  }
  for (const [name, list] of values) response.setHeader(name, list.join(','));
}

function headerOf(request: EchoRequest, name: string): string | null {
  const value = request.headers[name];
  if (value === undefined) return null;
  return Array.isArray(value) ? value.join(',') : value;
}

function sendJson(response: EchoResponse, status: number, body: unknown): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  response.setHeader('x-content-type-options', 'nosniff');
  response.end(`${JSON.stringify(body, null, 1)}\n`);
}

function sendText(response: EchoResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(text);
}
