// Our session against node:http2, both ways, over real sockets.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { type ByteStream, Took } from '../io/byte-stream.ts';
import { connectTcp } from '../io/connect-tcp.ts';
import { createTcpServer } from '../io/listen-tcp.ts';
import { chooseTcpBackend } from '../io/tcp-self-test.ts';
import { Recorder } from '../io/testing-recorder.ts';
import { headerOf } from './header-check.ts';
import { H2Session } from './session.ts';
import type { SessionEvents, SessionOptions } from './session-options.ts';
import type { H2Stream, StreamEvents, StreamFailure } from './stream.ts';

const ignore = (): void => undefined;
const quiet: SessionEvents = {
  onStream: ignore,
  onReady: ignore,
  onCapacity: ignore,
  onRetired: ignore,
  onClose: ignore,
};
const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

async function port(server: Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Our client on a node:http2 server. */
async function clientOf(server: http2.Http2Server, options: Partial<SessionOptions> = {}): Promise<H2Session> {
  const to = await port(server);
  const transport = await new Promise<ByteStream>((resolve, reject) => {
    connectTcp({ host: '127.0.0.1', port: to, timeoutMs: 2000 }, (error, stream) =>
      error ? reject(error) : resolve(stream!),
    );
  });
  const session = new H2Session({
    role: 'client',
    transport,
    peer: 'node',
    events: quiet,
    pingIntervalMs: 0,
    ...options,
  });
  session.start();
  cleanUps.push(() => session.destroy());
  return session;
}

/** A node:http2 client on our server. */
async function serverFor(
  onStream: SessionEvents['onStream'],
  options: Partial<SessionOptions> = {},
  nodeOptions: http2.ClientSessionOptions = {},
): Promise<{ client: http2.ClientHttp2Session; session: H2Session }> {
  let session: H2Session | undefined;
  const server = createTcpServer((transport) => {
    session = new H2Session({
      role: 'server',
      transport,
      peer: 'node',
      events: { ...quiet, onStream },
      pingIntervalMs: 0,
      ...options,
    });
    session.start();
  });
  const client = http2.connect(`http://127.0.0.1:${await port(server)}`, nodeOptions);
  client.on('error', ignore);
  await once(client, 'remoteSettings');
  cleanUps.push(
    () => client.destroy(),
    () => session!.destroy(),
  );
  return { client, session: session! };
}

const connectHeaders = [':method', 'CONNECT', ':authority', '10.0.0.1:80'];

interface Answered {
  stream: H2Stream;
  headers: readonly string[];
}

function open(session: H2Session, headers: readonly string[] = connectHeaders, endStream = false): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const events: StreamEvents = {
      onHeaders: (stream, answer) => resolve({ stream, headers: answer }),
      onFailed: (_stream, failure: StreamFailure) =>
        reject(Object.assign(failure.error, { retryable: failure.retryable })),
    };
    if (session.open(headers, endStream, events) === null) reject(new Error('no stream could be opened'));
  });
}

/** Copies whatever comes back to where it came from, as a splice does. */
function echo(stream: H2Stream): void {
  stream.respond([':status', '200'], false);
  stream.start({
    onData: (chunk) => stream.write(chunk),
    onEnd: () => stream.end(),
    onDrain: () => stream.resume(),
    onClose: ignore,
  });
}

/** Sends `data` with regard to back-pressure, then END_STREAM; resolves with the recorder when the stream is closed. */
async function exchange(stream: ByteStream, data: Buffer): Promise<Recorder> {
  const recorder = new Recorder();
  let at = 0;
  const push = (): void => {
    while (at < data.length) {
      const to = Math.min(data.length, at + 50_000);
      const took = stream.write(data.subarray(at, to));
      at = to;
      if (took & Took.Pause) return;
    }
    stream.end();
  };
  recorder.onDrain = push;
  stream.start(recorder);
  push();
  await recorder.until((r) => r.closed !== null);
  return recorder;
}

const md5 = (data: Buffer): string => createHash('md5').update(data).digest('hex');

function nodeEcho(options: http2.ServerOptions): http2.Http2Server {
  const server = http2.createServer(options);
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('error', ignore);
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  return server;
}

async function nodeExchange(client: http2.ClientHttp2Session, data: Buffer): Promise<Buffer> {
  const stream = client.request({ ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(data);
  await once(stream, 'close');
  return Buffer.concat(chunks);
}

const variants: [string, { settings?: http2.Settings; paddingStrategy?: number }, Partial<SessionOptions>][] = [
  ['default settings', {}, {}],
  ['tiny windows of the peer', { settings: { initialWindowSize: 777 } }, {}],
  [
    'tiny windows of ours',
    {},
    { settings: { streamWindowBytes: 1000, connectionWindowBytes: 65_535, maxFrameBytes: 16_384 } },
  ],
  ['maximum padding', { paddingStrategy: http2.constants.PADDING_STRATEGY_MAX }, {}],
  [
    'large frames',
    { settings: { maxFrameSize: 1 << 20, initialWindowSize: 4 << 20 } },
    { settings: { maxFrameBytes: 1 << 20 } },
  ],
  ['a small high-water mark', {}, { limits: { highWaterMarkBytes: 4096 } }],
];

describe('session against node:http2', () => {
  before(() => chooseTcpBackend());

  after(() => assert.equal(cleanUps.length, 0));

  for (const [what, nodeSide, ourSide] of variants) {
    it(`echoes through a node server with ${what}`, { timeout: 10_000 }, async () => {
      const session = await clientOf(nodeEcho(nodeSide), ourSide);
      const datas = [randomBytes(700_000), randomBytes(1), randomBytes(100_000)];
      const recorders = await Promise.all(datas.map(async (data) => exchange((await open(session)).stream, data)));
      for (const [index, recorder] of recorders.entries()) {
        assert.equal(recorder.md5, md5(datas[index]!));
        assert.deepEqual([recorder.ended, recorder.closed], [true, { error: null, wasReset: false }]);
      }
      assert.equal(session.streamCount, 0);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(session.bufferedBytes, 0);
    });

    it(`echoes to a node client with ${what}`, { timeout: 10_000 }, async () => {
      const { client, session } = await serverFor(echo, ourSide, nodeSide);
      const datas = [randomBytes(700_000), randomBytes(1), randomBytes(100_000)];
      const answers = await Promise.all(datas.map((data) => nodeExchange(client, data)));
      for (const [index, answer] of answers.entries()) assert.equal(md5(answer), md5(datas[index]!));
      assert.equal(session.streamCount, 0);
    });
  }

  it('reads the headers of a node server: Huffman, a dynamic table that changes size, every octet', async () => {
    const octets = Array.from({ length: 256 }, (_unused, code) => code).filter(
      (code) => (code > 32 && code < 127) || code > 127,
    );
    const sent: string[][] = [];
    for (let i = 0; i < 12; i++) {
      const own = octets
        .slice(i * 20, i * 20 + 20)
        .map((code, at) => [`x-${i}-${at}`, `${'a'.repeat(40)}${String.fromCharCode(code)}z`]);
      sent.push([...own.flat(), 'x-same', 'always the same', 'server', 'n'.repeat(i * 50)]);
    }
    let round = 0;
    const server = http2.createServer({ settings: { headerTableSize: 4096 } });
    server.on('stream', (stream: http2.ServerHttp2Stream) => {
      const list = sent[round++]!;
      const headers: Record<string, string> = { ':status': '200' };
      for (let i = 0; i < list.length; i += 2) headers[list[i]!] = list[i + 1]!;
      stream.respond(headers);
      stream.end();
    });
    for (const headerTableBytes of [0, 100, 4096, 65_536]) {
      round = 0;
      const session = await clientOf(server, { settings: { headerTableBytes, maxHeaderListBytes: 1 << 20 } });
      for (const expected of sent) {
        const { headers, stream } = await open(session, connectHeaders, true);
        for (let i = 0; i < expected.length; i += 2) assert.equal(headerOf(headers, expected[i]!), expected[i + 1]);
        stream.destroy();
      }
      session.destroy();
      server.close();
    }
  });

  it('sends headers and CONTINUATIONs that a node server reads, in order', async () => {
    const server = http2.createServer({
      settings: { headerTableSize: 0, maxHeaderListSize: 1 << 20 } as http2.Settings,
      maxHeaderListPairs: 1000,
    });
    const seen: string[][] = [];
    server.on('stream', (stream: http2.ServerHttp2Stream, _headers, _flags, raw) => {
      seen.push(raw as unknown as string[]);
      stream.respond({ ':status': 204 }, { endStream: true });
    });
    const session = await clientOf(server);
    for (let size = 10; size <= 640; size *= 8) {
      const headers = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', `/${size}`];
      for (let i = 0; i < 80; i++) headers.push(`x-${i}`, 'v'.repeat(size));
      const { headers: answer } = await open(session, headers, true);
      assert.equal(headerOf(answer, ':status'), '204');
      assert.deepEqual(seen.at(-1), headers);
    }
  });

  it('half-closes either side first', async () => {
    let serverStream: H2Stream | undefined;
    const { client } = await serverFor((stream) => {
      stream.respond([':status', '200'], false);
      stream.start({ onData: () => Took.All, onEnd: ignore, onDrain: ignore, onClose: ignore });
      stream.write(Buffer.from('first'));
      stream.end();
      serverStream = stream;
    });
    const request = client.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    request.resume();
    await once(request, 'end');
    assert.equal(request.closed, false);
    assert.equal(serverStream!.over, false);
    request.end('after');
    await once(request, 'close');
    assert.equal(request.rstCode, 0);

    const session = await clientOf(nodeEcho({}));
    const { stream } = await open(session);
    const recorder = new Recorder();
    stream.start(recorder);
    stream.write(Buffer.from('x'));
    await recorder.until((r) => r.bytes === 1);
    stream.end();
    await recorder.until((r) => r.closed !== null);
    assert.equal(recorder.ended, true);
  });

  it('shows a reset of either side as a reset', async () => {
    let reset: (stream: H2Stream) => void = ignore;
    const recorders: Recorder[] = [];
    const { client } = await serverFor((stream) => {
      stream.respond([':status', '200'], false);
      const recorder = new Recorder();
      recorders.push(recorder);
      stream.start(recorder);
      stream.write(Buffer.from('hello'));
      reset(stream);
    });
    const fromNode = client.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    fromNode.on('error', ignore);
    await once(fromNode, 'data');
    // destroy, and not close, which would send END_STREAM before.
    fromNode.destroy(new Error('abort'));
    await recorders[0]!.until((r) => r.closed !== null);
    assert.equal(recorders[0]!.closed!.wasReset, true);
    assert.equal(recorders[0]!.ended, false);

    reset = (stream) => stream.reset();
    const toNode = client.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    const [error] = (await once(toNode, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ERR_HTTP2_STREAM_ERROR');
    assert.equal(toNode.rstCode, http2.constants.NGHTTP2_CONNECT_ERROR);
  });

  it('takes END_STREAM and then RST_STREAM(NO_ERROR) as an end', async () => {
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream) => {
      stream.on('error', ignore);
      stream.respond({ ':status': 200 });
      stream.end('all of it', () => stream.close(http2.constants.NGHTTP2_NO_ERROR));
    });
    const session = await clientOf(server);
    const { stream } = await open(session);
    const recorder = new Recorder();
    stream.start(recorder);
    await recorder.until((r) => r.closed !== null);
    assert.equal(recorder.text, 'all of it');
    assert.equal(recorder.ended, true);
    assert.equal(recorder.closed!.wasReset, false);
  });

  it('drains in two steps: a node client finishes its streams and opens no new ones', async () => {
    let serverStream: H2Stream | undefined;
    const { client, session } = await serverFor((stream) => {
      serverStream = stream;
      echo(stream);
    });
    const request = client.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    request.write('one');
    await once(request, 'data');
    const goaway = once(client, 'goaway');
    session.drain();
    const [code] = (await goaway) as [number];
    assert.equal(code, 0);
    request.write('two');
    const [chunk] = (await once(request, 'data')) as [Buffer];
    assert.equal(String(chunk), 'two');
    assert.equal(serverStream!.over, false);
    request.end();
    await once(client, 'close');
    assert.equal(session.over, true);
  });

  it('opens nothing after the GOAWAY of a node server, and finishes what runs', async () => {
    const server = nodeEcho({});
    let nodeSession: http2.Http2Session | undefined;
    server.on('session', (opened) => {
      nodeSession = opened;
    });
    let retired = false;
    const session = await clientOf(server, { events: { ...quiet, onRetired: () => (retired = true) } });
    const { stream } = await open(session);
    nodeSession!.close();
    const recorder = new Recorder();
    stream.start(recorder);
    while (!retired) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(session.open(connectHeaders, false, { onHeaders: ignore, onFailed: ignore }), null);
    stream.write(Buffer.from('still'));
    await recorder.until((r) => r.bytes === 5);
    stream.end();
    await recorder.until((r) => r.closed !== null);
    assert.equal(recorder.closed!.error, null);
    assert.equal(session.over, true);
  });

  it('carries 1,000 streams at once', { timeout: 10_000 }, async () => {
    const { client, session } = await serverFor(echo, { settings: { maxConcurrentStreams: 1000 } });
    const datas = Array.from({ length: 1000 }, () => randomBytes(3000));
    const answers = await Promise.all(datas.map((data) => nodeExchange(client, data)));
    for (const [index, answer] of answers.entries()) assert.ok(answer.equals(datas[index]!));
    assert.equal(session.streamCount, 0);
  });

  it('holds a slow node reader to its window and serves the others', async () => {
    const { client } = await serverFor((stream) => {
      stream.respond([':status', '200'], false);
      const block = Buffer.alloc(64_000, 7);
      let left = 100;
      const push = (): void => {
        while (left-- > 0) if (stream.write(block) & Took.Pause) return;
        stream.end();
      };
      stream.start({ onData: () => Took.All, onEnd: ignore, onDrain: push, onClose: ignore });
      push();
    });
    client.setLocalWindowSize(1 << 20);
    const slow = client.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    await once(slow, 'response');
    const quick = client.request({ ':method': 'CONNECT', ':authority': 'a:2' });
    let bytes = 0;
    quick.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await once(quick, 'end');
    assert.equal(bytes, 6_400_000);
    bytes = 0;
    slow.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await once(slow, 'end');
    assert.equal(bytes, 6_400_000);
  });
});
