// HTTP/2 and gRPC through the service, and what becomes of one protocol on the other side, over real connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { backendOf, retryOf, type Scene, type SceneOptions, sceneOf } from './testing-service.ts';

interface Got {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function http2Scene(t: TestContext, options: SceneOptions): Promise<Scene & { session: ClientHttp2Session }> {
  const scene = await sceneOf(t, { protocol: 'http2', ...options });
  const session = connect(`http://127.0.0.1:${scene.port}`);
  t.after(() => session.destroy());
  return Object.assign(scene, { session });
}

function call(session: ClientHttp2Session, headers: Record<string, string>, body: Buffer | null): Promise<Got> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === null });
    const chunks: Buffer[] = [];
    let got: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on('error', reject);
    stream.on('response', (one) => {
      got = one;
    });
    stream.on('trailers', (one) => {
      trailers = one;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => resolve({ headers: got, trailers, body: Buffer.concat(chunks) }));
    if (body !== null) stream.end(body);
  });
}

/** A message with its prefix. */
function message(text: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

const grpc = { ':method': 'POST', ':path': '/shop.Cart/Add', 'content-type': 'application/grpc', te: 'trailers' };

/** Echoes with trailers; the first `refusals` streams are refused before they are looked at. */
function grpcServer(calls: string[], refusals = 0, status = '0') {
  const server = createServer();
  let left = refusals;
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    if (left-- > 0) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    calls.push(`${headers[':path']} ${headers.te}`);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
    stream.pipe(stream);
  });
  return server;
}

test('gRPC with trailers, balanced per call, messages counted', async (t) => {
  const calls: string[][] = [[], []];
  const scene = await http2Scene(t, {
    endpoints: calls.map((one) => grpcServer(one)),
    policy: { loadBalancing: { algorithm: 'round-robin', hash: null, localityPreference: [], slowStart: null } },
  });
  for (let n = 0; n < 6; n++) {
    const { headers, trailers, body } = await call(scene.session, grpc, Buffer.concat([message('a'), message('bc')]));
    assert.equal(headers[':status'], 200);
    assert.equal(trailers['grpc-status'], '0');
    assert.equal(body.length, 13);
  }
  assert.deepEqual([calls[0]?.length, calls[1]?.length], [3, 3]);
  assert.equal(calls[0]?.[0], '/shop.Cart/Add trailers');
  assert.equal(scene.service.stats().upstreamConnections, 2);
  const row = scene.counters.rows()[0]!;
  assert.deepEqual(
    [row.key.protocol, row.key.grpcStatus, row.requestMessages, row.responseMessages],
    ['grpc', 0, 6, 6],
  );
  assert.deepEqual([scene.records[0]?.grpcStatus, scene.records[0]?.protocol], [0, 'grpc']);
});

test('200 streaming calls at once', async (t) => {
  const calls: string[] = [];
  const scene = await http2Scene(t, { endpoints: [grpcServer(calls)] });
  const body = message('x'.repeat(20_000));
  const all = await Promise.all(Array.from({ length: 200 }, () => call(scene.session, grpc, body)));
  assert.ok(all.every((one) => one.body.equals(body)));
  assert.equal(scene.service.stats().requests, 0);
});

const localErrors = [
  { title: 'no route: 12', options: { path: { kind: 'segments', value: '/none', ignoreCase: false } }, status: '12' },
  {
    title: 'no backend: 14',
    options: { rule: { action: { kind: 'forward', backends: [backendOf({ weight: 0 })] } } },
    status: '14',
  },
  {
    title: 'an injected status',
    options: { rule: { fault: { delay: null, abort: { fraction: 1, status: 503, grpcStatus: 8 } } } },
    status: '8',
  },
] as const;

for (const { title, options, status } of localErrors) {
  test(`a local error of a gRPC call is trailers-only: ${title}`, async (t) => {
    const scene = await http2Scene(t, { endpoints: [grpcServer([])], ...options });
    const { headers } = await call(scene.session, grpc, message('a'));
    assert.deepEqual([headers[':status'], headers['grpc-status']], [200, status]);
  });
}

test('a refused stream is tried again, whatever the method', async (t) => {
  const calls: string[] = [];
  const scene = await http2Scene(t, { endpoints: [grpcServer(calls, 1)], rule: { retry: retryOf({}) } });
  const { trailers } = await call(scene.session, grpc, message('a'));
  assert.equal(trailers['grpc-status'], '0');
  assert.deepEqual([calls.length, scene.records[0]?.attempts], [1, 2]);
});

test('a failure in real trailers is passed on', async (t) => {
  const calls: string[] = [];
  const retry = retryOf({ attempts: 2, retryOn: ['unavailable'], nonIdempotent: true });
  const scene = await http2Scene(t, { endpoints: [grpcServer(calls, 0, '14')], rule: { retry } });
  const { trailers } = await call(scene.session, grpc, message('a'));
  assert.equal(trailers['grpc-status'], '14');
  assert.deepEqual([calls.length, scene.records[0]?.grpcStatus], [1, 14]);
});

test("a caller's deadline is kept", async (t) => {
  const server = createServer();
  server.on('stream', (stream) => stream.on('error', () => undefined));
  const scene = await http2Scene(t, { endpoints: [server] });
  const { headers } = await call(scene.session, { ...grpc, 'grpc-timeout': '40m' }, message('a'));
  assert.equal(headers['grpc-status'], '4');
  assert.equal(scene.records[0]?.flag, 'UPSTREAM_TIMEOUT');
});

test('connections that retire with streams on them make room for others', async (t) => {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    if (headers[':path'] !== '/long') {
      stream.end('ok');
      return;
    }
    stream.write('x');
    stream.session?.goaway(constants.NGHTTP2_NO_ERROR, stream.id);
  });
  const scene = await http2Scene(t, { endpoints: [server], limits: { http2ConnectionsPerEndpoint: 1 } });
  for (let n = 1; n <= 3; n++) {
    const long = scene.session.request({ ':path': '/long' });
    long.on('error', () => undefined);
    await new Promise((resolve) => long.once('data', resolve));
    const { body } = await call(scene.session, { ':path': '/' }, null);
    assert.equal(body.toString(), 'ok');
    assert.equal(scene.service.stats().upstreamConnections, n + 1);
  }
});

test('a call that the client cancels is cancelled at the endpoint', async (t) => {
  const began = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<number>();
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.on('close', () => ended.resolve(stream.rstCode));
    stream.respond({ ':status': 200 });
    stream.write('x');
    began.resolve();
  });
  const scene = await http2Scene(t, { endpoints: [server] });
  const stream = scene.session.request({ ':path': '/' });
  stream.on('error', () => undefined);
  await began.promise;
  stream.close(constants.NGHTTP2_CANCEL);
  assert.equal(await ended.promise, constants.NGHTTP2_CANCEL);
  assert.equal(scene.records[0]?.flag, 'RESET_BY_SOURCE');
});

test('HTTP/2 in, HTTP/1.1 out', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [
      createHttpServer((request, response) => {
        response.setHeader('x-saw', `${request.httpVersion} ${request.headers.host} ${request.headers.cookie}`);
        request.pipe(response);
      }),
    ],
    protocol: 'http1',
  });
  const session = connect(`http://127.0.0.1:${scene.port}`);
  t.after(() => session.destroy());
  const headers = { ':method': 'POST', ':path': '/a', ':authority': 'cart', cookie: 'a=1; b=2' };
  const got = await call(session, headers, Buffer.from('hello'));
  assert.equal(got.headers['x-saw'], '1.1 cart a=1; b=2');
  assert.equal(got.body.toString(), 'hello');
});

test('HTTP/1.1 in, HTTP/2 out', async (t) => {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.respond({ ':status': 200, 'x-saw': `${headers[':authority']} ${headers[':path']}` });
    stream.pipe(stream);
  });
  const scene = await sceneOf(t, { endpoints: [server], protocol: 'http2' });
  const answer = await scene.ask('/b', { method: 'PUT', body: 'hello', headers: { host: 'cart' } });
  assert.deepEqual([answer.status, answer.body, answer.headers['x-saw']], [200, 'hello', 'cart /b']);
});

test('a drain: GOAWAY first, streams that end in time see nothing, those that are left are reset', async (t) => {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const { session, service } = await http2Scene(t, { endpoints: [server] });
  const open = async () => {
    const stream = session.request({ ...grpc, ':path': '/shop.Cart/Watch' }, { endStream: false });
    stream.write(message('hello'));
    await once(stream, 'data');
    return stream;
  };
  const [short, long] = [await open(), await open()];
  const goaway = once(session, 'goaway');
  const drained = service.drain(150);
  const [code] = await goaway;
  assert.equal(code, constants.NGHTTP2_NO_ERROR);
  short.end(message('bye'));
  await once(short, 'end');
  const cut = Promise.race([once(long, 'error'), once(long, 'aborted')]);
  await drained;
  assert.equal(long.closed, false, 'until the deadline');
  service.close();
  await cut;
  assert.ok(long.closed || long.destroyed);
});
