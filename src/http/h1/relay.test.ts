import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestChanges } from '../message.ts';
import { createClientConnection } from './client-connection.ts';
import type { H1ServerOptions } from './limits.ts';
import { createServerConnection } from './server-connection.ts';
import { Relay } from './testing-relay.ts';
import { TestingStream } from './testing-stream.ts';

/** A client and an endpoint with the codec between them. */
function joined(options: { changes?: RequestChanges; server?: H1ServerOptions } = {}) {
  const client = new TestingStream();
  const endpoint = new TestingStream();
  const log: string[] = [];
  const relays: Relay[] = [];
  const upstream = createClientConnection(endpoint, {
    onFree: () => log.push('free'),
    onClose: (_, error) => log.push(`upstream closed ${error?.code ?? '-'}`),
  });
  const server = createServerConnection(
    client,
    {
      onRequest: (request) => relays.push(new Relay(request, upstream, options.changes ?? null)),
      onRefused: (status, error) => log.push(`refused ${status} ${error.code}`),
      onClose: (error) => log.push(`closed ${error?.code ?? '-'}`),
    },
    options.server ?? {},
  );
  return { client, endpoint, upstream, server, log, relays };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a request and its answer pass as they came, in one write each', async () => {
  const { client, endpoint, log, upstream, server } = joined();
  const head = 'GET /a?b=c HTTP/1.1\r\nHost: shop\r\nX-Many: 1\r\nAccept:  */* \r\nx-many: 2\r\n\r\n';
  client.receive(head);
  assert.equal(endpoint.take(), head);
  assert.equal(upstream.room, 0);
  const answer = 'HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-B: 1\r\nx-a: 2\r\n\r\nhello';
  endpoint.receive(answer);
  assert.equal(client.take(), answer);
  assert.deepEqual([client.writes, endpoint.writes], [1, 1]);
  assert.deepEqual([upstream.room, server.active], [1, 0]);
  assert.deepEqual(log, ['free']);
  client.receive(head);
  assert.equal(endpoint.take(), head, 'both connections are used again');
});

test('what ends at this hop is cut out, in runs; nothing protected can be nominated away', () => {
  const { client, endpoint } = joined();
  client.receive(
    'GET / HTTP/1.1\r\nA: 1\r\nConnection: keep-alive, x-own, Host, content-length, Authorization\r\nX-Own: x\r\n' +
      'Host: h\r\nB: 2\r\nKeep-Alive: 5\r\nTE: gzip\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nAuthorization: t\r\n\r\n',
  );
  assert.equal(endpoint.text, 'GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\nB: 2\r\nAuthorization: t\r\n\r\n');
});

test('TE: trailers survives', () => {
  const { client, endpoint } = joined();
  client.receive('GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n');
  assert.equal(endpoint.text, 'GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n');
});

test('changes: removed, set, added, and no way to add a line of its own', () => {
  const changes: RequestChanges = {
    method: null,
    target: '/new path\r\nX: 1',
    authority: 'other:81',
    remove: ['x-a'],
    set: [['x-b', 'new\r\nInjected: 1']],
    add: [
      ['x-c', 'Ċ\u0000é'],
      ['bad name', 'x'],
      ['content-length', '7'],
    ],
  };
  const { client, endpoint } = joined({ changes });
  client.receive('GET / HTTP/1.1\r\nX-A: 1\r\nHost: h\r\nX-B: 2\r\nX-D: 3\r\nx-a: 4\r\n\r\n');
  assert.equal(
    endpoint.text,
    'GET /new%20path%0D%0AX:%201 HTTP/1.1\r\nHost: other:81\r\nX-D: 3\r\n' +
      `x-b: new  Injected: 1\r\nx-c: ${Buffer.from('Ċ é').toString('latin1')}\r\n\r\n`,
  );
});

test('a body with a length passes, with the head in one write', () => {
  const { client, endpoint } = joined();
  client.receive('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello');
  assert.equal(endpoint.take(), 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello');
  assert.equal(endpoint.writes, 1);
  client.receive('world');
  assert.equal(endpoint.take(), 'world');
  endpoint.receive('HTTP/1.1 204 No Content\r\n\r\n');
  assert.equal(client.take(), 'HTTP/1.1 204 No Content\r\n\r\n');
});

test('chunks are decoded and made anew, trailers pass, both ways', () => {
  const { client, endpoint, log } = joined();
  client.receive('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n5;ext=1\r\nhel');
  client.receive('lo\r\n000A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nHost: x\r\n\r\n');
  const framed = 'transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\na\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n';
  assert.equal(endpoint.take(), `POST / HTTP/1.1\r\nHost: h\r\n${framed}`);
  assert.equal(endpoint.writes, 2);
  endpoint.receive('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nY: 2\r\n\r\n');
  assert.equal(client.take(), 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\ny: 2\r\n\r\n');
  assert.deepEqual(log, ['free']);
});

test('pipelined requests are answered one after the other', () => {
  const { client, endpoint, relays } = joined();
  const one = (n: number): string => `GET /${n} HTTP/1.1\r\nHost: h\r\n\r\n`;
  client.receive(one(1) + one(2) + one(3));
  client.receive(one(4));
  for (let n = 1; n <= 4; n++) {
    assert.equal(relays.length, n);
    assert.equal(endpoint.take(), one(n));
    assert.equal(client.paused, n < 4);
    endpoint.receive(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${n}`);
    assert.equal(client.take(), `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${n}`);
  }
});

test('100-continue goes both ways', () => {
  const { client, endpoint } = joined();
  client.receive('PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
  return turn().then(() => {
    assert.match(endpoint.take(), /Expect: 100-continue/);
    endpoint.receive('HTTP/1.1 100 Continue\r\n\r\n');
    return turn().then(() => {
      assert.equal(client.take(), 'HTTP/1.1 100 Continue\r\n\r\n');
      client.receive('ok');
      assert.equal(endpoint.take(), 'ok');
      endpoint.receive('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      assert.equal(client.take(), 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      assert.equal(client.ended, false);
    });
  });
});

test('an upgrade: raw bytes both ways, then either end', async () => {
  const { client, endpoint, log } = joined();
  client.receive('GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly');
  assert.equal(endpoint.take(), 'GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\n');
  endpoint.receive('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi');
  assert.equal(
    client.take(),
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\nhi',
  );
  assert.equal(endpoint.take(), 'early');
  client.receive('x');
  assert.equal(endpoint.take(), 'x');
  client.receiveEnd();
  assert.equal(endpoint.ended, true);
  endpoint.receive('last');
  assert.equal(client.take(), 'last');
  endpoint.receiveEnd();
  assert.equal(client.ended, true);
  await turn();
  assert.deepEqual(log.sort(), ['closed -', 'upstream closed -']);
});

test('HTTP/1.0: keep-alive when asked, otherwise the answer ends with the connection', async () => {
  const kept = joined();
  kept.client.receive('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.equal(kept.endpoint.take(), 'GET / HTTP/1.1\r\nhost: \r\n\r\n');
  kept.endpoint.receive('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
  assert.equal(kept.client.take(), 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nconnection: keep-alive\r\n\r\nx');
  assert.equal(kept.client.ended, false);
  kept.client.receive('GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: h\r\n\r\n');
  kept.endpoint.receive('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n');
  assert.equal(kept.client.take(), 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nx');
  assert.equal(kept.client.ended, true);
});

test('an answer until the end of the connection', async () => {
  const { client, endpoint, log } = joined();
  client.receive('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  endpoint.receive('HTTP/1.1 200 OK\r\n\r\nabc');
  endpoint.receiveEnd();
  assert.equal(client.take(), 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
  assert.equal(client.ended, false);
  await turn();
  assert.deepEqual(log, ['upstream closed -']);
});

test('HEAD and 304 keep the length and have no body', () => {
  const { client, endpoint, log } = joined();
  client.receive('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
  endpoint.receive('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n');
  assert.equal(client.take(), 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n');
  client.receive('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  endpoint.receive('HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n');
  assert.equal(client.take(), 'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n');
  assert.deepEqual(log, ['free', 'free']);
});
