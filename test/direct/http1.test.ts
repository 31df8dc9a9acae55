// HTTP/1.1 over real sockets, with Node's own client and server at the ends: large bodies both ways, slow
// readers, upgrades, ends.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { createClientConnection } from '../../src/http/h1/client-connection.ts';
import { createServerConnection } from '../../src/http/h1/server-connection.ts';
import { Relay } from '../../src/http/h1/testing-relay.ts';
import type { ClientConnection, IncomingRequest } from '../../src/http/message.ts';
import { connectTcp } from '../../src/io/connect-tcp.ts';
import { createTcpServer } from '../../src/io/listen-tcp.ts';
import { chooseTcpBackend } from '../../src/io/tcp-self-test.ts';

const megabyte = 1024 * 1024;

/** Relays every request to `port`, over connections that it keeps. */
function startRelay(port: number): Server {
  const idle: ClientConnection[] = [];
  const events = {
    onFree: (connection: ClientConnection) => idle.push(connection),
    onClose: (connection: ClientConnection) => {
      if (idle.includes(connection)) idle.splice(idle.indexOf(connection), 1);
    },
  };
  const onRequest = (request: IncomingRequest): void => {
    const kept = idle.pop();
    if (kept !== undefined) {
      new Relay(request, kept);
      return;
    }
    connectTcp({ host: '127.0.0.1', port, timeoutMs: 5000 }, (error, stream) => {
      if (stream === null) request.answer(503, [], `${error?.message}`);
      else new Relay(request, createClientConnection(stream, events));
    });
  };
  return createTcpServer((stream) => {
    createServerConnection(stream, { onRequest, onRefused: () => undefined, onClose: () => undefined });
  });
}

async function listen(server: Server | http.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: NodeJS.Dict<string>;
}

describe('http1 over sockets', () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  let endpoint: http.Server;
  let relay: Server;
  let port = 0;

  before(async () => {
    await chooseTcpBackend();
    endpoint = http.createServer(onEndpoint);
    endpoint.on('upgrade', (_request, socket, head) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.write(head);
      socket.pipe(socket);
    });
    relay = startRelay(await listen(endpoint));
    port = await listen(relay);
  });
  after(() => {
    agent.destroy();
    relay.close();
    endpoint.close();
    endpoint.closeAllConnections();
  });

  async function request(options: http.RequestOptions, body: readonly Buffer[] = []): Promise<Answer> {
    const outgoing = http.request({ host: '127.0.0.1', port, agent, ...options });
    // An echo answers while it is asked: nobody may wait for the end of the body.
    Readable.from(body).pipe(outgoing);
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const { statusCode = 0, headers, trailers } = response;
    return { status: statusCode, headers, body: Buffer.concat(chunks), trailers };
  }

  it('many requests, side by side, on kept connections', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        request({ path: `/echo?n=${at}`, method: 'POST', headers: { 'x-n': String(at) } }, [Buffer.from(`body ${at}`)]),
      ),
    );
    answers.forEach((answer, at) => {
      assert.equal(answer.status, 200);
      assert.equal(answer.body.toString(), `body ${at}`);
      assert.equal(answer.headers['x-n'], String(at));
    });
  });

  for (const framing of ['length', 'chunked'] as const) {
    it(`32 MiB up and down (${framing}), byte for byte`, async () => {
      const chunk = Buffer.alloc(megabyte, 'ambient mesh ');
      const chunks = Array.from({ length: 32 }, () => chunk);
      const headers = framing === 'length' ? { 'content-length': String(32 * megabyte) } : {};
      const { body } = await request({ path: '/echo', method: 'POST', headers }, chunks);
      const md5 = createHash('md5');
      for (const one of chunks) md5.update(one);
      assert.equal(createHash('md5').update(body).digest('hex'), md5.digest('hex'));
    });
  }

  it('a client that does not read stops the endpoint', async () => {
    const outgoing = http.request({ host: '127.0.0.1', port, path: '/endless' });
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    response.pause();
    const stalled = await endlessStalled.promise;
    assert.ok(stalled < 64 * megabyte, `${stalled} bytes were taken from the endpoint`);
    const closed = endlessClosed.promise;
    outgoing.destroy();
    await closed;
  });

  it('trailers', async () => {
    const { trailers } = await request({ path: '/trailers' });
    assert.equal(trailers['x-sum'], '42');
  });

  it('100-continue', async () => {
    const outgoing = http.request({
      host: '127.0.0.1',
      port,
      path: '/echo',
      method: 'PUT',
      agent,
      headers: { expect: '100-continue' },
    });
    outgoing.flushHeaders();
    await once(outgoing, 'continue');
    outgoing.end('now');
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    assert.equal(Buffer.concat((await response.toArray()) as Buffer[]).toString(), 'now');
  });

  it('an upgrade echoes, and its half-close arrives', async () => {
    const outgoing = http.request({
      host: '127.0.0.1',
      port,
      path: '/up',
      headers: { connection: 'upgrade', upgrade: 'echo' },
    });
    outgoing.end();
    const [response, socket] = (await once(outgoing, 'upgrade')) as [http.IncomingMessage, Socket];
    assert.equal(response.headers.upgrade, 'echo');
    socket.end('over and back');
    assert.equal(Buffer.concat((await socket.toArray()) as Buffer[]).toString(), 'over and back');
  });

  it('an endpoint that dies inside an answer is seen as such', async () => {
    const socket = connect({ host: '127.0.0.1', port });
    const reset = once(socket, 'error');
    socket.resume();
    socket.write('GET /short HTTP/1.1\r\nHost: h\r\n\r\n');
    const [error] = (await reset) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
  });
});

const endlessStalled = Promise.withResolvers<number>();
const endlessClosed = Promise.withResolvers<void>();

function onEndpoint(request: http.IncomingMessage, response: http.ServerResponse): void {
  const [path] = (request.url ?? '').split('?');
  if (path === '/trailers') {
    response.writeHead(200, { trailer: 'x-sum' });
    response.write('x');
    response.addTrailers({ 'x-sum': '42' });
    response.end();
  } else if (path === '/short') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('x', () => response.destroy());
  } else if (path === '/endless') {
    sendEndless(response);
  } else {
    const n = request.headers['x-n'];
    const length = request.headers['content-length'];
    response.writeHead(200, {
      ...(n === undefined ? {} : { 'x-n': n }),
      ...(length === undefined ? {} : { 'content-length': length }),
    });
    request.pipe(response);
  }
}

/** Writes until nobody takes anything for a while. */
function sendEndless(response: http.ServerResponse): void {
  const chunk = Buffer.alloc(megabyte);
  let sent = 0;
  let quiet: NodeJS.Timeout | null = null;
  const more = (): void => {
    if (quiet !== null) clearTimeout(quiet);
    while (response.write(chunk)) sent += chunk.length;
    sent += chunk.length;
    quiet = setTimeout(() => endlessStalled.resolve(sent), 500);
  };
  response.on('drain', more);
  response.on('close', () => {
    if (quiet !== null) clearTimeout(quiet);
    endlessClosed.resolve();
  });
  more();
}
