// WebSocket and other upgrades, with each end in either version of HTTP, over real connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp1, type IncomingMessage, request } from 'node:http';
import {
  connect,
  createServer as createHttp2,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { webSocketAnswer } from '../upgrade.ts';
import { noTimeouts, type Scene, sceneOf } from './testing-service.ts';

/** What the endpoint saw of the request. */
type Seen = Record<string, string | undefined>;
interface Opened {
  readonly status: number;
  readonly headers: Seen;
  readonly body: string;
  /** Null where the upgrade was refused. */
  readonly stream: Duplex | null;
}

function echoHttp1(seen: Seen[]): Server {
  const server = createHttp1();
  server.on('upgrade', (asked: IncomingMessage, socket: Duplex) => {
    seen.push({ ...(asked.headers as Seen), ':method': asked.method, ':path': asked.url });
    const accept = webSocketAnswer(asked.headers['sec-websocket-key'] ?? '');
    const lines = ['HTTP/1.1 101 Switching Protocols', 'connection: upgrade', `upgrade: ${asked.headers.upgrade}`];
    socket.write([...lines, `sec-websocket-accept: ${accept}`, 'x-from: app', '', ''].join('\r\n'));
    socket.write('hello ');
    socket.pipe(socket);
  });
  return server;
}

function echoHttp2(seen: Seen[], enableConnectProtocol = true): Http2Server {
  const server = createHttp2({ settings: { enableConnectProtocol } });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    seen.push(headers as Seen);
    stream.respond({ ':status': 200, 'x-from': 'app' });
    stream.write('hello ');
    stream.pipe(stream);
  });
  return server;
}

const key = 'dGhlIHNhbXBsZSBub25jZQ==';

function openHttp1(port: number): Promise<Opened> {
  const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-key': key, 'x-mine': 'a' };
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path: '/chat?q=1', headers, agent: false });
    asked.on('error', reject);
    asked.on('upgrade', (response, stream, first: Buffer) => {
      if (first.length > 0) stream.unshift(first);
      resolve({ status: response.statusCode!, headers: response.headers as Seen, body: '', stream });
    });
    asked.on('response', (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      const { statusCode: status = 0, headers: got } = response;
      response.on('end', () => resolve({ status, headers: got as Seen, body, stream: null }));
    });
    asked.end();
  });
}

async function openHttp2(t: TestContext, port: number): Promise<Opened> {
  const session = connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const [settings] = (await once(session, 'remoteSettings')) as [{ enableConnectProtocol?: boolean }];
  assert.equal(settings.enableConnectProtocol, true);
  const extended = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat?q=1', 'x-mine': 'a' };
  const stream = session.request(extended, { endStream: false });
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  const status = Number(headers[':status']);
  if (status < 300) return { status, headers: headers as Seen, body: '', stream };
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  return { status, headers: headers as Seen, body, stream: null };
}

const recordOf = async (scene: Scene) => {
  while (scene.records.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  return scene.records[0]!;
};

for (const client of ['http1', 'http2'] as const) {
  const open = (t: TestContext, port: number) => (client === 'http1' ? openHttp1(port) : openHttp2(t, port));
  for (const endpoint of ['http1', 'http2'] as const) {
    test(`a WebSocket of ${client} to ${endpoint}: raw bytes both ways, with ends of their own`, async (t) => {
      const seen: Seen[] = [];
      const endpoints = [endpoint === 'http1' ? echoHttp1(seen) : echoHttp2(seen)];
      // The time-out of the request is over with the answer.
      const rule = { timeouts: { ...noTimeouts, requestMs: 2_000 } };
      const scene = await sceneOf(t, { endpoints, protocol: endpoint, rule });
      const { status, headers, stream } = await open(t, scene.port);
      assert.deepEqual([status, headers['x-from']], [client === 'http1' ? 101 : 200, 'app']);
      assert.equal(headers.upgrade, client === 'http1' ? 'websocket' : undefined);
      assert.equal(headers['sec-websocket-accept'], client === 'http1' ? webSocketAnswer(key) : undefined);
      const echoed = (async () => {
        let text = '';
        for await (const chunk of stream!) text += String(chunk);
        return text;
      })();
      const big = 'x'.repeat(300_000);
      stream!.end(big);
      assert.equal(await echoed, `hello ${big}`);
      const [asked] = seen;
      assert.deepEqual([asked![':path'], asked!['x-mine']], ['/chat?q=1', 'a']);
      const protocol = endpoint === 'http1' ? asked!.upgrade : asked![':protocol'];
      assert.deepEqual([asked![':method'], protocol], [endpoint === 'http1' ? 'GET' : 'CONNECT', 'websocket']);
      if (endpoint === 'http2') assert.equal(asked!['sec-websocket-key'], undefined);
      else assert.match(asked!['sec-websocket-key']!, client === 'http1' ? /^dGhlI/ : /^[\w+/]{22}==$/);
      const { method, status: logged, flag } = await recordOf(scene);
      assert.deepEqual([method, logged, flag], ['GET', 101, '-']);
    });
  }

  test(`an endpoint of HTTP/2 that takes no upgrades: 502 for a client of ${client}`, async (t) => {
    const seen: Seen[] = [];
    const scene = await sceneOf(t, { endpoints: [echoHttp2(seen, false)], protocol: 'http2' });
    const { status, body } = await open(t, scene.port);
    assert.deepEqual([status, body, seen.length], [502, 'upstream protocol error', 0]);
    const { flag, error, attempts } = await recordOf(scene);
    assert.deepEqual([flag, attempts], ['RESPONSE_INVALID', 1]);
    assert.match(String(error), /SETTINGS_ENABLE_CONNECT_PROTOCOL/);
  });

  test(`a refused upgrade is an ordinary answer for a client of ${client}`, async (t) => {
    const scene = await sceneOf(t, { endpoints: [(_request, response) => response.writeHead(426).end('no')] });
    const { status, body } = await open(t, scene.port);
    assert.deepEqual([status, body], [426, 'no']);
  });
}

test('an endpoint that answers 200 to an upgrade: a client of HTTP/2 would take that for the upgrade', async (t) => {
  const scene = await sceneOf(t, { endpoints: [(_request, response) => response.end('a page')] });
  assert.deepEqual([(await openHttp1(scene.port)).status, scene.records[0]?.flag], [200, '-']);
  scene.records.length = 0;
  assert.equal((await openHttp2(t, scene.port)).status, 502);
  assert.equal((await recordOf(scene)).flag, 'RESPONSE_INVALID');
});
