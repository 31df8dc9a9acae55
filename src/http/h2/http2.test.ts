// HTTP/2 requests with node:http2 at both ends: its client, our two connections, its server.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import type { MeshError } from '../../base/errors.ts';
import { type ByteStream, Took } from '../../io/byte-stream.ts';
import { connectTcp } from '../../io/connect-tcp.ts';
import { DeadlineLists } from '../../io/deadlines.ts';
import { createTcpServer } from '../../io/listen-tcp.ts';
import type { ClientConnection, HeadChanges, IncomingRequest, OutgoingRequest, ServerConnection } from '../message.ts';
import { createHttp2Client } from './client-connection.ts';
import { composeHttp2 } from './compose.ts';
import { createHttp2Server, type H2ServerOptions } from './server-connection.ts';

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) cleanUp();
});
const deadlines = new DeadlineLists();
after(() => deadlines.close());

async function listen(server: Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Through TCP on loopback. */
function connect(port: number): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    connectTcp({ host: '127.0.0.1', port, timeoutMs: 5000 }, (error, stream) =>
      error ? reject(error) : resolve(stream!),
    );
  });
}

interface Served {
  readonly client: http2.ClientHttp2Session;
  readonly connection: () => ServerConnection;
  readonly refused: { status: number; error: MeshError }[];
}

/** A node:http2 client on our server connection. */
async function serve(
  onRequest: (request: IncomingRequest) => void,
  options: Partial<H2ServerOptions> = {},
  nodeOptions: http2.ClientSessionOptions = {},
): Promise<Served> {
  const refused: Served['refused'] = [];
  let connection: ServerConnection | null = null;
  const server = createTcpServer((stream) => {
    connection = createHttp2Server(
      stream,
      { onRequest, onRefused: (status, error) => refused.push({ status, error }), onClose: () => undefined },
      { peer: 'client', deadlines, ...options },
    );
  });
  const port = await listen(server);
  const client = http2.connect(`http://127.0.0.1:${port}`, nodeOptions);
  client.on('error', () => undefined);
  cleanUps.push(() => client.destroy());
  return { client, connection: () => connection!, refused };
}

/** Our client connection to a node:http2 server. */
async function endpoint(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, raw: string[]) => void,
  options: http2.ServerOptions = {},
): Promise<{ connection: ClientConnection; freed: () => number }> {
  const server = http2.createServer(options);
  server.on('stream', (stream, headers, _flags, raw) => {
    stream.on('error', () => undefined);
    onStream(stream as http2.ServerHttp2Stream, headers, raw as unknown as string[]);
  });
  server.on('sessionError', () => undefined);
  let freed = 0;
  const connection = createHttp2Client(
    await connect(await listen(server)),
    { onFree: () => freed++, onClose: () => undefined },
    { peer: 'endpoint' },
  );
  cleanUps.push(() => connection.destroy());
  return { connection, freed: () => freed };
}

const noChanges: HeadChanges = { remove: [], set: [], add: [] };

/** Joins an incoming request with an outgoing one, as the exchange does in earnest. */
function relay(request: IncomingRequest, to: ClientConnection, changes: HeadChanges = noChanges): OutgoingRequest {
  const composed = composeHttp2(request.head, { method: null, target: null, authority: null, ...changes });
  const outgoing = to.send(composed, {
    onInform: (status, headers) => request.inform(status, headers),
    onHead: (head, endStream) => request.respond(head, noChanges, endStream),
    onData: (chunk) => request.write(chunk),
    onEnd: (trailers) => request.end(trailers),
    onDrain: () => request.resume(),
    onFailure: (error) => request.reset(error),
  });
  request.start({
    onData: (chunk) => outgoing.write(chunk),
    onEnd: (trailers) => outgoing.end(trailers),
    onDrain: () => outgoing.resume(),
    onAbort: () => outgoing.cancel(),
  });
  return outgoing;
}

interface Answer {
  headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  trailers: http2.IncomingHttpHeaders | null;
  informed: number[];
  body: Buffer;
}

async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = [];
  const answer: Answer = { headers: {}, trailers: null, informed: [], body: Buffer.alloc(0) };
  stream.on('headers', (headers) => answer.informed.push(headers[':status']!));
  stream.on('response', (headers) => {
    answer.headers = headers;
  });
  stream.on('trailers', (headers) => {
    answer.trailers = headers;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'close');
  answer.body = Buffer.concat(chunks);
  if (stream.rstCode !== 0) throw new Error(`reset with ${stream.rstCode}`);
  return answer;
}

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

describe('HTTP/2 request through both connections', () => {
  it('passes heads as they are but for what belongs to one connection, and applies changes', async () => {
    let seen: string[] = [];
    const { connection } = await endpoint((stream, _headers, raw) => {
      seen = raw;
      stream.respond({ ':status': 200, 'set-cookie': ['a=1', 'b=2'], 'x-up': 'yes' });
      stream.end('ok');
    });
    const changes: HeadChanges = { remove: ['x-drop'], set: [['x-set', 'new']], add: [['x-add', 'more']] };
    const { client } = await serve((request) => relay(request, connection, changes));
    const answer = await answerOf(
      client.request({
        ':path': '/a?b=c',
        ':authority': 'shop:80',
        'x-one': ['1', '2'],
        'x-drop': 'gone',
        'x-set': 'old',
        te: 'trailers',
      }),
    );
    assert.equal(answer.body.toString(), 'ok');
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    const pairs: string[] = [];
    for (let i = 0; i < seen.length; i += 2) pairs.push(`${seen[i]}: ${seen[i + 1]}`);
    assert.deepEqual(pairs, [
      ':method: GET',
      ':scheme: http',
      ':authority: shop:80',
      ':path: /a?b=c',
      'x-one: 1',
      'x-one: 2',
      'te: trailers',
      'x-set: new',
      'x-add: more',
    ]);
  });

  for (const window of [1, 1000, 65_535]) {
    it(`carries 300 kB both ways and trailers behind it, with windows of ${window} bytes`, async () => {
      const bytes = randomBytes(window === 1 ? 3000 : 300_000);
      const { connection } = await endpoint(
        (stream) => {
          stream.respond({ ':status': 200 }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
          stream.pipe(stream);
        },
        { settings: { initialWindowSize: window } },
      );
      const settings = { initialWindowSize: window };
      const { client } = await serve((request) => relay(request, connection), {}, { settings });
      const stream = client.request({ ':method': 'POST', ':path': '/' });
      stream.end(bytes);
      const answer = await answerOf(stream);
      assert.equal(md5(answer.body), md5(bytes));
      assert.equal(answer.trailers?.['grpc-status'], '0');
    });
  }

  it('passes trailers of requests, 100 and 103, and answers without a body', async () => {
    let trailers: http2.IncomingHttpHeaders = {};
    const { connection } = await endpoint((stream, headers) => {
      if (headers[':path'] === '/empty') {
        stream.respond({ ':status': 204 }, { endStream: true });
        return;
      }
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.on('trailers', (each) => {
        trailers = each;
        stream.respond({ ':status': 200, 'content-length': '5' }, { endStream: headers[':method'] === 'HEAD' });
        if (headers[':method'] !== 'HEAD') stream.end('12345');
      });
      stream.resume();
    });
    const { client } = await serve((request) => {
      if (request.head.expectsContinue) request.inform(100, null);
      relay(request, connection);
    });
    const stream = client.request(
      { ':method': 'POST', ':path': '/', expect: '100-continue' },
      { waitForTrailers: true, endStream: false },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }));
    let continued = false;
    stream.on('continue', () => {
      continued = true;
      stream.end('body');
    });
    const answer = await answerOf(stream);
    assert.deepEqual([continued, answer.informed.includes(103)], [true, true]);
    assert.deepEqual([trailers['x-sum'], answer.body.toString()], ['abc', '12345']);
    const empty = await answerOf(client.request({ ':path': '/empty' }));
    assert.deepEqual([empty.headers[':status'], empty.body.length], [204, 0]);
  });

  it('tells the endpoint when the client gives up, and the client when the endpoint does', async () => {
    const codes: number[] = [];
    const { connection } = await endpoint((stream, headers) => {
      if (headers[':path'] === '/reset') {
        stream.respond({ ':status': 200 });
        stream.write('part', () => stream.destroy(new Error('on purpose')));
        return;
      }
      stream.on('close', () => codes.push(stream.rstCode));
      stream.respond({ ':status': 200 });
      stream.write('x');
    });
    const { client } = await serve((request) => relay(request, connection));
    const given = client.request({ ':path': '/' });
    given.on('error', () => undefined);
    await once(given, 'response');
    given.close(http2.constants.NGHTTP2_CANCEL);
    await once(given, 'close');
    const reset = client.request({ ':path': '/reset' });
    reset.on('error', () => undefined);
    reset.resume();
    await new Promise((resolve) => reset.on('close', resolve));
    assert.equal(reset.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
    assert.deepEqual(codes, [http2.constants.NGHTTP2_CANCEL]);
  });

  it('knows which failures the endpoint cannot have processed', async () => {
    const { connection } = await endpoint((stream, headers) => {
      stream.close(
        headers[':path'] === '/refused'
          ? http2.constants.NGHTTP2_REFUSED_STREAM
          : http2.constants.NGHTTP2_INTERNAL_ERROR,
      );
    });
    const outcome = (path: string): Promise<boolean> =>
      new Promise((resolve) => {
        const ignore = (): number => Took.All;
        connection.send(composeHttp2(getOf(path), { method: null, target: null, authority: null, ...noChanges }), {
          onInform: ignore,
          onHead: ignore,
          onData: ignore,
          onEnd: ignore,
          onDrain: ignore,
          onFailure: (_error, unprocessed) => resolve(unprocessed),
        });
      });
    assert.equal(await outcome('/refused'), true);
    assert.equal(await outcome('/other'), false);
  });
});

function getOf(target: string): IncomingRequest['head'] {
  return {
    protocol: 'http1',
    method: 'GET',
    target,
    authority: 'a',
    scheme: 'http',
    headers: { get: () => null, has: () => false, hasPrefix: () => false, each: () => undefined },
    contentLength: 0,
    expectsContinue: false,
    upgrade: null,
    grpc: false,
    headBytes: 0,
  };
}

describe('HTTP/2 server connection', () => {
  it('refuses with the status that belongs to it, and says so', async () => {
    const { client, refused } = await serve(() => assert.fail('nothing is handed over'), {
      head: { headerBytes: 4000, headerCount: 10, targetBytes: 100 },
    });
    const many = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`x-${i}`, '1']));
    const rows: [string, http2.OutgoingHttpHeaders, number, RegExp][] = [
      ['a long path', { ':path': `/${'a'.repeat(100)}` }, 414, /targetBytes of 100/],
      ['many fields', { ':path': '/', ...many }, 431, /headerCount of 10/],
      ['a long list', { ':path': '/', 'x-long': 'a'.repeat(4001) }, 431, /headerBytes of 4000/],
      ['a path that is none', { ':path': 'no-slash' }, 400, /:path/],
      ['a fragment', { ':path': '/a#b' }, 400, /fragment/],
      ['user information', { ':path': '/', ':authority': 'a@b' }, 400, /authority/],
      ['two hosts', { ':path': '/', ':authority': 'a', host: 'b' }, 400, /disagree/],
    ];
    for (const [what, headers, status, words] of rows) {
      const answer = await answerOf(client.request(headers));
      assert.equal(answer.headers[':status'], status, what);
      assert.match(refused.at(-1)!.error.message, words, what);
    }
    const tunnel = client.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    const [headers] = (await once(tunnel, 'response')) as [http2.IncomingHttpStatusHeader];
    assert.equal(headers[':status'], 405);
    assert.equal(refused.length, rows.length + 1);
  });

  it('answers before the body has come, and lets the client stop sending it', async () => {
    const { client } = await serve((request) => {
      request.start({
        onData: () => Took.All,
        onEnd: () => undefined,
        onDrain: () => undefined,
        onAbort: () => undefined,
      });
      request.answer(413, [['x-limit', 'body']], 'too much');
    });
    const stream = client.request({ ':method': 'POST', ':path': '/' });
    stream.write(Buffer.alloc(1000));
    const answer = await answerOf(stream);
    assert.deepEqual([answer.headers[':status'], answer.body.toString()], [413, 'too much']);
  });

  it('answers callers of gRPC with trailers alone', async () => {
    const { client } = await serve((request) => request.answer(503, [], 'no endpoint: 100%'));
    const answer = await answerOf(
      client.request({ ':method': 'POST', ':path': '/a.B/C', 'content-type': 'application/grpc' }),
    );
    assert.equal(answer.headers[':status'], 200);
    assert.equal(answer.headers['grpc-status'], '14');
    assert.equal(answer.headers['grpc-message'], 'no endpoint: 100%25');
  });

  it('finishes what runs when it drains, and takes nothing new', async () => {
    const requests: IncomingRequest[] = [];
    const { client, connection } = await serve((request) => requests.push(request));
    const stream = client.request({ ':path': '/' });
    const answer = answerOf(stream);
    while (requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const gone = once(client, 'goaway');
    connection().drain();
    await gone;
    requests[0]!.answer(200, [], 'late');
    assert.equal((await answer).body.toString(), 'late');
    if (!client.destroyed) await once(client, 'close');
  });

  it('lets a connection go that was idle for too long', async () => {
    const { client } = await serve((request) => request.answer(200, [], ''), { idleTimeoutMs: 50 });
    await answerOf(client.request({ ':path': '/' }));
    if (!client.destroyed) await once(client, 'close');
  });

  it('does not read on while nobody takes the body', async () => {
    let request: IncomingRequest | undefined;
    let got = 0;
    let took: number = Took.Pause;
    const { client } = await serve((each) => {
      request = each;
      each.start({
        onData: (chunk) => {
          got += chunk.length;
          return took;
        },
        onEnd: () => each.answer(200, [], String(got)),
        onDrain: () => undefined,
        onAbort: () => undefined,
      });
    });
    const stream = client.request({ ':method': 'POST', ':path': '/' });
    const bytes = 8 * 1024 * 1024;
    stream.end(Buffer.alloc(bytes));
    const answer = answerOf(stream);
    while (got === 0) await new Promise((resolve) => setImmediate(resolve));
    const first = got;
    await client.settings({}, () => undefined);
    assert.ok(first < bytes / 2, 'one chunk, then nothing');
    took = Took.All;
    request!.resume();
    assert.equal((await answer).body.toString(), String(bytes));
  });
});
