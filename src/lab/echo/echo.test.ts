// The echo over real sockets, one protocol per test: what an application that is asked through a mesh would answer.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { runEchoClient } from './client.ts';
import { echoClientOptions } from './client-options.ts';
import { durationOf } from './duration.ts';
import { frame, readStringField, stringField, unframe } from './grpc.ts';
import { type EchoOptions, echoOptions, portMode } from './options.ts';
import { noFaults } from './sample-faults.ts';
import { type EchoServer, startEcho } from './server.ts';

const identity = {
  pod: 'web-1',
  namespace: 'shop',
  node: 'node-1',
  service: 'web',
  serviceAccount: 'web',
  cluster: 'c1',
  version: 'v1',
  ips: ['10.0.0.1'],
};
const options: EchoOptions = {
  identity,
  calls: [],
  callsEveryMs: 0,
  stopAfterMs: 0,
  faults: noFaults,
  answer: 'json',
  certificate: { certFile: '', keyFile: '' },
  ports: [
    { name: 'http', port: 0, mode: 'http' },
    { name: 'tcp', port: 0, mode: 'tcp' },
    { name: 'tcp-greet', port: 0, mode: 'tcp-greet' },
    { name: 'tcp-sink', port: 0, mode: 'tcp-sink' },
  ],
};
let echo: EchoServer;
before(async () => {
  echo = await startEcho(options);
});
after(() => echo.close());

// biome-ignore lint/suspicious/noExplicitAny: what the assertions look into
const json = async (response: Response): Promise<any> => response.json();
const url = (path: string): string => `http://127.0.0.1:${echo.ports[0]}${path}`;

test('HTTP/1.1 answers with what it saw', async () => {
  const response = await fetch(url('/a/b?c=d'), { method: 'POST', body: 'hello', headers: { 'X-Mine': 'one' } });
  const body = await json(response);
  assert.equal(response.status, 200);
  assert.equal(body.method, 'POST');
  assert.equal(body.path, '/a/b?c=d');
  assert.equal(body.proto, 'HTTP/1.1');
  assert.deepEqual(body.headers['X-Mine'] ?? body.headers['x-mine'], ['one']);
  assert.equal(body.host, `127.0.0.1:${echo.ports[0]}`);
  assert.match(body.peer, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(body.body, { bytes: 5, sha256: createHash('sha256').update('hello').digest('hex') });
  for (const [name, value] of Object.entries(identity)) assert.deepEqual(body[name], value, name);
});

test('IPv6 is served on the same port, and the peer address is written in brackets', async () => {
  const body = await json(await fetch(`http://[::1]:${echo.ports[0]}/`));
  assert.match(body.peer, /^\[::1\]:\d+$/);
});

test('status, size, delay, set-header and health do what their switch says', async () => {
  assert.equal((await fetch(url('/status/503'))).status, 503);
  assert.equal((await fetch(url('/?status=404'))).status, 404);
  assert.equal((await fetch(url('/'), { headers: { 'x-echo-status': '418' } })).status, 418);
  assert.equal((await (await fetch(url('/?size=200001'))).arrayBuffer()).byteLength, 200_001);
  const startedAt = performance.now();
  await fetch(url('/?delay=60ms'));
  assert.ok(performance.now() - startedAt >= 55);
  const set = await fetch(url('/'), { headers: { 'x-echo-set-header': 'X-A: 1, X-A: 2, X-B:3' } });
  assert.equal(set.headers.get('x-a'), '1,2');
  assert.equal(set.headers.get('x-b'), '3');
  await fetch(url('/health?serving=false'), { method: 'PUT' });
  assert.equal((await fetch(url('/health'))).status, 503);
  await fetch(url('/health?serving=true'), { method: 'PUT' });
  assert.equal((await fetch(url('/health'))).status, 200);
});

test('payments: one in so many fails, before or after it has charged, and a key is charged once', async () => {
  const payments = await startEcho({ ...options, faults: { failOneIn: 3, failWhen: 'before', delayMs: 0 } });
  const base = `http://127.0.0.1:${payments.ports[0]}`;
  const charge = async (order: string, key: string | null): Promise<number> => {
    const headers = { 'x-order-id': order, ...(key === null ? {} : { 'idempotency-key': key }) };
    return (await fetch(`${base}/charge`, { method: 'POST', headers })).status;
  };
  const statuses = [];
  for (const order of ['a', 'b', 'c', 'c']) statuses.push(await charge(order, null));
  assert.deepEqual(statuses, [200, 200, 503, 200]);
  const books = async () => json(await fetch(`${base}/charges`));
  const first = { requests: 4, charges: 3, failedBefore: 1, failedAfter: 0, replayed: 0, chargedTwice: [], orders: 3 };
  assert.deepEqual(await books(), first, 'the one that failed was not charged, and its second try was');
  await fetch(`${base}/faults?fail-one-in=1&fail-when=after`, { method: 'PUT' });
  assert.equal(await charge('d', 'key-d'), 503);
  await fetch(`${base}/faults?fail-one-in=0`, { method: 'PUT' });
  assert.equal(await charge('d', 'key-d'), 200, 'a key is answered again');
  const second = { ...first, requests: 6, charges: 4, failedAfter: 1, replayed: 1, orders: 4 };
  assert.deepEqual(await books(), second, 'and not charged again');
  await charge('d', null);
  assert.deepEqual((await books()).chargedTwice, ['d'], 'without a key it is');
  assert.equal((await fetch(`${base}/faults?fail-when=never`, { method: 'PUT' })).status, 400);
  await payments.close();
});

test('a call with POST brings an order with its key', async () => {
  const calls = [`POST ${url('/charge')}`];
  const caller = await startEcho({ ...options, calls });
  const sums = async () => json(await fetch(url('/charges')));
  const before = await sums();
  const [called] = (await json(await fetch(`http://127.0.0.1:${caller.ports[0]}/`))).calls;
  assert.deepEqual([called.url, called.status, called.pod], [calls[0], 200, 'web-1']);
  assert.equal((await sums()).charges, before.charges + 1);
  await caller.close();
});

test('the body comes back from /echo, and close=reset resets the connection', async () => {
  const sent = Buffer.alloc(300_000, 'abc');
  const back = await (await fetch(url('/echo'), { method: 'PUT', body: sent })).arrayBuffer();
  assert.ok(Buffer.from(back).equals(sent));
  await assert.rejects(fetch(url('/?close=reset')), (error: Error) =>
    /ECONNRESET/.test(String((error.cause as NodeJS.ErrnoException).code)),
  );
});

test('h2c with prior knowledge is served on the port of HTTP/1.1', async () => {
  const session = connectHttp2(url(''));
  const stream = session.request({ ':path': '/over/h2?x=1', 'x-mine': 'two' });
  stream.setEncoding('utf8');
  let text = '';
  for await (const chunk of stream) text += chunk;
  const body = JSON.parse(text);
  assert.equal(body.proto, 'HTTP/2.0');
  assert.equal(body.path, '/over/h2?x=1');
  assert.deepEqual(body.headers, { 'x-mine': ['two'] });
  session.close();
  await once(session, 'close');
});

test('a preface that arrives byte by byte is still HTTP/2', async () => {
  const socket = connect(echo.ports[0]!, '127.0.0.1');
  socket.setNoDelay(true);
  const preface = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  ]);
  for (const byte of preface) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [first] = (await once(socket, 'data')) as [Buffer];
  assert.equal(first[3], 0x4, 'the server answers with a SETTINGS frame');
  socket.destroy();
});

async function grpc(path: string, message: Buffer): Promise<{ status: string; message: Buffer | null }> {
  const session = connectHttp2(url(''));
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let status = '';
  stream.on('response', (headers) => (status = String(headers['grpc-status'] ?? status)));
  stream.on('trailers', (headers) => (status = String(headers['grpc-status'] ?? status)));
  stream.end(frame(message));
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  session.close();
  return { status, message: unframe(Buffer.concat(chunks)) };
}

test('gRPC: echo, health, and UNIMPLEMENTED for the rest', async () => {
  const echoed = await grpc('/proto.EchoTestService/Echo', stringField('bonjour'));
  assert.equal(echoed.status, '0');
  assert.match(readStringField(echoed.message!), /^StatusCode=200\n[\s\S]*Hostname=web-1\n[\s\S]*Echo=bonjour\n$/);
  const long = 'x'.repeat(70_000);
  assert.ok(readStringField((await grpc('/proto.EchoTestService/Echo', stringField(long))).message!).includes(long));
  assert.deepEqual(await grpc('/grpc.health.v1.Health/Check', Buffer.alloc(0)), {
    status: '0',
    message: Buffer.from([8, 1]),
  });
  echo.state.serving = false;
  assert.deepEqual((await grpc('/grpc.health.v1.Health/Check', Buffer.alloc(0))).message, Buffer.from([8, 2]));
  echo.state.serving = true;
  assert.equal((await grpc('/some.Service/Method', Buffer.alloc(0))).status, '12');
});

test('WebSocket returns text and binary frames of every length class', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${echo.ports[0]}/ws`);
  socket.binaryType = 'arraybuffer';
  await once(socket as unknown as EventTarget, 'open');
  for (const text of ['hi', 'y'.repeat(1000), 'z'.repeat(70_000)]) {
    socket.send(text);
    const [event] = (await once(socket as unknown as EventTarget, 'message')) as [MessageEvent];
    assert.equal(event.data, text);
  }
  socket.send(new Uint8Array([1, 2, 3]));
  const [event] = (await once(socket as unknown as EventTarget, 'message')) as [MessageEvent];
  assert.deepEqual(new Uint8Array(event.data), new Uint8Array([1, 2, 3]));
  socket.close(1000, 'bye');
  const [closed] = (await once(socket as unknown as EventTarget, 'close')) as [CloseEvent];
  assert.equal(closed.code, 1000);
});

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += chunk.toString('latin1');
  return text;
}

test('raw TCP echoes until the client ends, then ends', async () => {
  const socket = connect({ port: echo.ports[1]!, host: '127.0.0.1', allowHalfOpen: true });
  socket.end('raw bytes');
  assert.equal(await readAll(socket), 'raw bytes');
});

test('tcp-greet speaks first', async () => {
  const socket = connect(echo.ports[2]!, '::1');
  const [first] = (await once(socket, 'data')) as [Buffer];
  assert.equal(first.toString(), 'hello from shop/web-1\n');
  socket.end();
});

test('tcp-sink answers length and digest after the end of the stream', async () => {
  const socket = connect({ port: echo.ports[3]!, host: '127.0.0.1', allowHalfOpen: true });
  const sent = Buffer.alloc(1_000_000, 'sink');
  socket.end(sent);
  assert.equal(await readAll(socket), `1000000 ${createHash('sha256').update(sent).digest('hex')}\n`);
});

test('/call calls on behalf of the caller, / calls what CALLS names, and a refused call is reported', async () => {
  const caller = await startEcho({
    ...options,
    ports: [{ name: 'http', port: 0, mode: 'http' }],
    calls: [url('/from-caller'), `tcp://127.0.0.1:${echo.ports[1]}`, 'http://127.0.0.1:1/'],
  });
  const base = `http://127.0.0.1:${caller.ports[0]}`;
  const { calls } = await json(await fetch(base));
  assert.deepEqual(
    calls.map((call: { status: number; pod: string; error: string }) => [call.status, call.pod, call.error]),
    [
      [200, 'web-1', null],
      [null, null, null],
      [null, null, 'ECONNREFUSED'],
    ],
  );
  assert.equal((await fetch(`${base}/call?url=${encodeURIComponent(url('/x'))}`)).status, 200);
  assert.equal((await fetch(`${base}/call?url=http://127.0.0.1:1/`)).status, 502);
  assert.equal((await json(await fetch(base, { headers: { 'x-echo-depth': '8' } }))).calls.length, 0);
  await caller.close();
});

test('its client says what came back, in lines, over HTTP/1.1, TLS and gRPC', async (context) => {
  const given = ['--answer=lines', '--port=0', '--tls=0', '--version=v7'];
  const { ports } = echoOptions({ POD_NAME: 'lines-1' }, given);
  assert.equal(ports[0]?.mode, 'https');
  const both = [...ports, { name: 'http', port: 0, mode: 'http' } as const];
  const lines = await startEcho({ ...echoOptions({ POD_NAME: 'lines-1' }, given), ports: both });
  context.after(() => lines.close());
  const [tls, plain] = lines.ports;
  const run = async (...args: string[]): Promise<{ stdout: string; exitCode: number }> =>
    runEchoClient(echoClientOptions(args));
  const first = await run(`http://127.0.0.1:${plain}/a?b=c`, '--method=PUT', '-H', 'X-Mine:one', '-H', 'Host:else');
  assert.equal(first.exitCode, 0);
  for (const line of [
    '[0] Header=X-Mine:one',
    '[0] StatusCode=200',
    '[0 body] ServiceVersion=v7',
    '[0 body] Host=else',
    '[0 body] URL=/a?b=c',
    '[0 body] Hostname=lines-1',
    '[0 body] Method=PUT',
    '[0 body] Proto=HTTP/1.1',
    '[0 body] RequestHeader=X-Mine:one',
  ]) {
    assert.ok(first.stdout.split('\n').includes(line), `${line} in ${first.stdout}`);
  }
  assert.match((await run(`https://127.0.0.1:${tls}/`)).stdout, /\[0 body\] Proto=HTTP\/1.1\n/);
  const calls = await run(`grpc://127.0.0.1:${plain}`, '--count=40', '-H', 'x-mine:two', '--msg=hi');
  assert.equal(calls.stdout.match(/body\] Proto=GRPC\n/g)?.length, 40);
  assert.equal(calls.stdout.split('\n\n').length, 40);
  assert.match(calls.stdout, /\[39 body\] StatusCode=200\n[\s\S]*RequestHeader=x-mine:two\n\[39 body\] Echo=hi\n$/);
  const failed = await run('http://127.0.0.1:1/');
  assert.equal(failed.exitCode, 1);
  assert.match(failed.stdout, /\[0 error\] .*ECONNREFUSED/);
  for (const args of [[], ['ftp://x/'], ['http://x/', '-H', 'none'], ['http://x/', '--count=0']]) {
    assert.throws(() => echoClientOptions(args), { code: 'USAGE' });
  }
  for (const args of [['--port=x'], ['--answer=xml'], ['--unknown']]) {
    assert.throws(() => echoOptions({}, args), { code: 'CONFIG_INVALID' });
  }
});

test('options come from the environment, and a bad one is named', () => {
  const read = echoOptions({
    PORTS: JSON.stringify([
      { name: 'http', containerPort: 8080 },
      { name: 'tcp-greet-x', containerPort: 9000 },
      { name: 'dns', containerPort: 53, protocol: 'UDP' },
    ]),
    CALLS: 'http://a/, tcp://b:1',
    CALLS_EVERY: '1m30s',
    POD_NAME: 'p',
  });
  assert.deepEqual(read.ports, [
    { name: 'http', port: 8080, mode: 'http' },
    { name: 'tcp-greet-x', port: 9000, mode: 'tcp-greet' },
  ]);
  assert.deepEqual(read.calls, ['http://a/', 'tcp://b:1']);
  assert.equal(read.callsEveryMs, 90_000);
  assert.deepEqual(echoOptions({ PORTS: '[]' }).ports, echoOptions({}).ports, 'a manifest need not name ports');
  assert.throws(() => echoOptions({ PORTS: '{' }), /PORTS/);
  assert.throws(() => echoOptions({ CALLS: 'ftp://x' }), /CALLS/);
  assert.throws(() => durationOf('soon', 'delay'), /delay: 'soon'/);
  assert.equal(durationOf('1.5s', ''), 1500);
});

test('port modes follow appProtocol and the name prefix', () => {
  const rows: [string, string, string][] = [
    ['http', '', 'http'],
    ['', '', 'http'],
    ['tcp', '', 'tcp'],
    ['tcp-db', '', 'tcp'],
    ['db', 'tcp', 'tcp'],
    ['tcp-web', 'http', 'http'],
    ['tcp-greet', 'tcp', 'tcp-greet'],
    ['tcp-sink', '', 'tcp-sink'],
    ['grpc', 'kubernetes.io/h2c', 'http'],
  ];
  for (const [name, appProtocol, mode] of rows)
    assert.equal(portMode(name, appProtocol), mode, `${name} ${appProtocol}`);
});
