// One attempt of each kind of probe against real servers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { test } from 'node:test';
import { attemptProbe, type ProbeAction } from './probe.ts';

const timeoutMs = 2_000;

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const http = (port: number, path: string): ProbeAction => ({
  kind: 'httpGet',
  scheme: 'http',
  host: '127.0.0.1',
  port,
  path,
  headers: { 'x-asked-by': 'test' },
});

test('httpGet passes from 200 to 399 and sends its headers', async (t) => {
  const server = createHttp((request, response) => {
    response.writeHead(request.headers['x-asked-by'] === 'test' ? Number(request.url?.slice(1)) : 500).end();
  });
  const port = await listening(server);
  t.after(() => server.close());
  for (const status of [200, 204, 302]) assert.equal(await attemptProbe(http(port, `/${status}`), timeoutMs), null);
  for (const status of [400, 404, 503]) {
    assert.equal(await attemptProbe(http(port, `/${status}`), timeoutMs), `HTTP status ${status}`);
  }
});

test('a server that does not answer fails by its time limit', async (t) => {
  const server = createHttp(() => {});
  const port = await listening(server);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  assert.equal(await attemptProbe(http(port, '/'), 100), 'no answer in 100 ms');
});

test('tcpSocket passes when somebody listens', async () => {
  const server = createHttp();
  const port = await listening(server);
  const action = { kind: 'tcpSocket', host: '127.0.0.1', port } as const;
  assert.equal(await attemptProbe(action, timeoutMs), null);
  await new Promise((resolve) => server.close(resolve));
  assert.match((await attemptProbe(action, timeoutMs)) ?? '', /ECONNREFUSED/);
});

test('grpc passes when the service is SERVING', async (t) => {
  const servingStatus = 1;
  const server = createHttp2();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const asked = Buffer.concat(chunks).subarray(7).toString();
      assert.equal(headers[':path'], '/grpc.health.v1.Health/Check');
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': asked === 'unknown' ? '5' : '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, asked === 'sick' ? 2 : servingStatus]));
    });
  });
  const port = await listening(server);
  t.after(() => server.close());
  const ask = (service: string) => attemptProbe({ kind: 'grpc', host: '127.0.0.1', port, service }, timeoutMs);
  assert.equal(await ask('shop'), null);
  assert.equal(await ask('sick'), 'health status 2, not SERVING');
  assert.equal(await ask('unknown'), 'grpc-status 5');
});

test('exec passes with exit code 0, and is ended at its time limit', async () => {
  const run = (argv: string[], limitMs = timeoutMs) =>
    attemptProbe({ kind: 'exec', argv, env: { PATH: '/usr/bin:/bin' } }, limitMs);
  assert.equal(await run(['true']), null);
  assert.equal(await run(['sh', '-c', 'exit 3']), 'exit code 3');
  assert.equal(await run(['sleep', '5'], 100), 'no end in 100 ms');
  assert.match((await run(['no-such-program'])) ?? '', /ENOENT/);
});
