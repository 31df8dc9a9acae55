// Bodies, upgrades and time, over real connections.
import assert from 'node:assert/strict';
import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { listen, noTimeouts, retryOf, ruleOf, sceneOf } from './testing-service.ts';

/** Sends `text` on a connection of its own and gathers what comes, until it closes or `until` is in it. */
function raw(port: number, text: string, until = ''): Promise<{ got: string; socket: Socket }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let got = '';
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString('latin1');
      if (until !== '' && got.includes(until)) resolve({ got, socket });
    });
    socket.on('close', () => resolve({ got, socket }));
    socket.write(text);
  });
}

test('large bodies stream both ways; who does not read holds up who writes', async (t) => {
  const bytes = 64 * 1024 * 1024;
  const gate = Promise.withResolvers<void>();
  const scene = await sceneOf(t, {
    endpoints: [(request, response) => void gate.promise.then(() => request.pipe(response))],
  });
  const chunk = Buffer.alloc(256 * 1024, 'x');
  let sent = 0;
  let received = 0;
  await new Promise<void>((resolve, reject) => {
    const asked = httpRequest({ port: scene.port, host: '127.0.0.1', method: 'POST', agent: false });
    asked.on('error', reject);
    asked.on('response', (response) => {
      response.on('data', (data: Buffer) => {
        received += data.length;
      });
      response.on('end', resolve);
    });
    let last = -1;
    const timer = setInterval(() => {
      // It stands still: what is under way fills the kernel's buffers and ours, and no more.
      if (sent !== last || sent === 0) {
        last = sent;
        return;
      }
      clearInterval(timer);
      if (sent >= bytes / 2) reject(new Error(`${sent} bytes were taken though nobody reads`));
      gate.resolve();
    }, 100);
    const more = (): void => {
      while (sent < bytes) {
        sent += chunk.length;
        if (!asked.write(chunk)) {
          asked.once('drain', more);
          return;
        }
      }
      asked.end();
    };
    more();
  });
  assert.deepEqual([sent, received], [bytes, bytes]);
  assert.deepEqual([scene.records[0]?.bytesSent, scene.records[0]?.bytesReceived], [bytes, bytes]);
});

test('100-continue is asked of the application, and trailers pass', async (t) => {
  const server = createHttpServer();
  let expected = 0;
  server.on('checkContinue', (request, response) => {
    expected++;
    response.writeContinue();
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write(body);
      response.addTrailers({ 'x-sum': String(body.length) });
      response.end();
    });
  });
  const scene = await sceneOf(t, { endpoints: [server] });
  const head = 'POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n';
  const { socket } = await raw(scene.port, head, '100 Continue\r\n\r\n');
  const done = new Promise<string>((resolve) => {
    let got = '';
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString();
      if (got.includes('x-sum: 5\r\n')) resolve(got);
    });
  });
  socket.write('hello');
  assert.match(await done, /^HTTP\/1\.1 200 OK/);
  assert.equal(expected, 1);
  socket.destroy();
});

test('an answer before the request is whole ends the exchange', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [
      (_request, response) => {
        response.statusCode = 413;
        response.end('enough');
      },
    ],
  });
  const { got } = await raw(scene.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc', 'enough');
  assert.match(got, /^HTTP\/1\.1 413 /);
  assert.deepEqual([scene.records[0]?.status, scene.records[0]?.flag], [413, '-']);
});

test('an upgrade turns into raw bytes, both ways, with ends of their own', async (t) => {
  const server = createHttpServer();
  server.on('upgrade', (request, socket: Socket) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${request.headers.upgrade}\r\n\r\n`,
    );
    socket.write('hello ');
    socket.pipe(socket);
  });
  const scene = await sceneOf(t, { endpoints: [server], rule: { timeouts: { ...noTimeouts, requestMs: 250 } } });
  const head =
    'GET /chat HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n\r\n';
  const { got, socket } = await raw(scene.port, head, 'hello ');
  assert.match(got, /^HTTP\/1\.1 101 .*upgrade: websocket/is);
  // Longer than the time-out of the request, which was over with the 101.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const echoed = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('end', () => resolve(text));
  });
  socket.end('world');
  assert.equal(await echoed, 'world');
  while (scene.records.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual([scene.records[0]?.status, scene.records[0]?.flag], [101, '-']);
});

test('an upgrade that is refused is an ordinary answer', async (t) => {
  const scene = await sceneOf(t, { endpoints: [(_request, response) => response.writeHead(426).end('no')] });
  const head = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
  const { got, socket } = await raw(scene.port, head, 'no');
  assert.match(got, /^HTTP\/1\.1 426 /);
  socket.destroy();
});

test('CONNECT is refused', async (t) => {
  const scene = await sceneOf(t, { endpoints: [(_request, response) => response.end()] });
  const { got } = await raw(scene.port, 'CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n');
  assert.match(got, /^HTTP\/1\.1 405 /);
  assert.deepEqual([scene.records[0]?.status, scene.records[0]?.flag], [405, 'REQUEST_INVALID']);
});

test('limits of a head: refused with the status that belongs to it, named in the log, counted by name', async (t) => {
  const scene = await sceneOf(t, { endpoints: [(_request, response) => response.end()] });
  const rows = [
    [414, `/${'a'.repeat(20_000)}`, '', 'uriBytesMax'],
    [431, '/', `x: ${'a'.repeat(70_000)}\r\n`, 'headBytesMax'],
    [431, '/', 'x: a\r\n'.repeat(200), 'headersMax'],
  ] as const;
  for (const [status, target, more, limit] of rows) {
    const { got } = await raw(scene.port, `GET ${target} HTTP/1.1\r\nhost: x\r\n${more}\r\n`);
    assert.ok(got.startsWith(`HTTP/1.1 ${status} `), got.slice(0, 100));
    const record = scene.records.at(-1)!;
    assert.deepEqual([record.status, record.flag], [status, 'OVERLOAD']);
    assert.ok(record.error!.includes(limit), record.error!);
    assert.equal(scene.service.stats().limited.get(limit), 1);
  }
});

test('a stream that is quiet for too long is cut; one that speaks is not', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [
      (request, response) => {
        response.write('x');
        if (request.url === '/quiet') return;
        let left = 12;
        const timer = setInterval(() => {
          response.write('x');
          if (--left > 0) return;
          clearInterval(timer);
          response.end();
        }, 50);
      },
    ],
    rule: { timeouts: { ...noTimeouts, idleMs: 500 } },
  });
  await assert.rejects(scene.ask('/quiet'));
  assert.equal((await scene.ask('/busy')).body.length, 13);
  assert.deepEqual([scene.records[0]?.flag, scene.records[1]?.flag], ['IDLE_TIMEOUT', '-']);
});

test('a stream may not last longer than its route says', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [
      (_request, response) => {
        const timer = setInterval(() => response.write('x'), 5);
        response.on('close', () => clearInterval(timer));
      },
    ],
    rule: { timeouts: { ...noTimeouts, maxStreamMs: 60 } },
  });
  // A machine that stands still may have its time up before the answer begins: then there is one, and it says so.
  const status = await scene.ask('/').then(
    (answer) => answer.status,
    () => null,
  );
  assert.ok(status === null || status === 504, String(status));
  assert.equal(scene.records[0]?.flag, 'MAX_STREAM_TIME');
});

test('an answer that breaks off is cut for the client too', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [
      (_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half');
        setTimeout(() => response.socket?.destroy(), 20);
      },
    ],
    rule: { retry: retryOf({ retryOn: ['5xx', 'reset'] }) },
  });
  await assert.rejects(scene.ask('/'));
  assert.deepEqual([scene.records[0]?.flag, scene.records[0]?.attempts], ['RESET_BY_DESTINATION', 1]);
});

test('a request keeps the route it began with', async (t) => {
  const gate = Promise.withResolvers<void>();
  const scene = await sceneOf(t, {
    endpoints: [
      (_request, response) => {
        response.write('before ');
        void gate.promise.then(() => response.end('after'));
      },
    ],
  });
  const asked = scene.ask('/');
  while (scene.service.stats().upstreamConnections === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  scene.setRules([ruleOf({ action: { kind: 'direct', status: 418, body: '', contentType: '' } })]);
  assert.equal((await scene.ask('/')).status, 418);
  gate.resolve();
  assert.equal((await asked).body, 'before after');
});

test('what is no HTTP passes through, from its first byte on', async (t) => {
  const passed: string[] = [];
  const scene = await sceneOf(t, {
    endpoints: [(_request, response) => response.end('http')],
    protocol: 'unknown',
    limits: { sniffTimeoutMs: 20 },
    context: {
      passThrough: (stream) => {
        passed.push('');
        const at = passed.length - 1;
        stream.write(Buffer.from('220 ready\r\n'));
        stream.start({
          onData: (chunk) => {
            passed[at] += chunk.toString();
            return 0;
          },
          onEnd: () => stream.end(),
          onDrain: () => undefined,
          onClose: () => undefined,
        });
      },
    },
  });
  assert.equal((await scene.ask('/')).body, 'http');
  const { socket } = await raw(scene.port, '', '220 ready');
  socket.end('HELO');
  await raw(scene.port, '\x16\x03\x01hello', '220 ready').then(({ socket: other }) => other.end());
  while (passed[0] !== 'HELO' || passed[1] === '') await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(passed, ['HELO', '\x16\x03\x01hello']);
  assert.equal(scene.records.length, 1);
});

test('draining waits for what is in flight', async (t) => {
  const gate = Promise.withResolvers<void>();
  const scene = await sceneOf(t, {
    endpoints: [(_request, response) => void gate.promise.then(() => response.end('ok'))],
  });
  const asked = scene.ask('/');
  while (scene.service.stats().requests === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  let drained = false;
  const draining = scene.service.drain(60_000).then(() => {
    drained = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(drained, false);
  gate.resolve();
  const { status, headers } = await asked;
  assert.deepEqual([status, headers.connection], [200, 'close']);
  await draining;
});

test('an endpoint that speaks no HTTP: 502', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('SSH-2.0-OpenSSH\r\n\r\n');
  });
  await listen(server);
  const scene = await sceneOf(t, { endpoints: [server], rule: { retry: retryOf({ attempts: 0 }) } });
  const { status } = await scene.ask('/');
  assert.deepEqual([status, scene.records[0]?.flag], [502, 'RESPONSE_INVALID']);
});
