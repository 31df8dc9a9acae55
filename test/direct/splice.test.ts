// Rows, through two data threads with a tunnel between them: half-close either side, RST either side, server speaks
// first, 100 MB both ways with equal digests, a stalled reader costs bounded memory, 1,000 connections.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { app, client, echo, read, readAll, resetOf, type TestNode, until, within } from './support/mesh.ts';
import { startPair } from './support/pair.ts';

// The same tests run beside these with documented APIs alone (src/io/documented-io.test.ts).
const net = process.env.AMBIENT_DOCUMENTED_IO === '1' ? 134 : 34;

for (const [transport, cartNode] of [
  ['mtls', 'n2'],
  ['same node', 'n1'],
] as const) {
  test(`${transport}: half-close, client first: the server answers after it has seen the end`, async (context) => {
    const { web, cart, vip, proxies } = await startPair(context, net, { cartNode });
    await app(context, cart, 8080, (socket) => {
      readAll(socket).then((all) => socket.end(`got ${all}`), assert.fail);
    });
    const socket = await client(context, web, vip, 80);
    socket.end('question');
    assert.equal((await readAll(socket)).toString(), 'got question');
    assert.deepEqual(
      await flagsOf(proxies),
      proxies.map(() => '-'),
    );
  });

  test(`${transport}: half-close, server first: the client goes on sending`, async (context) => {
    const { web, cart, vip, proxies } = await startPair(context, net, { cartNode });
    const received = Promise.withResolvers<Buffer>();
    await app(context, cart, 8080, (socket) => {
      readAll(socket).then(received.resolve, received.reject);
      socket.end('that is all');
    });
    const socket = await client(context, web, vip, 80);
    assert.equal((await readAll(socket)).toString(), 'that is all');
    socket.end('but I am not done');
    assert.equal((await received.promise).toString(), 'but I am not done');
    assert.deepEqual(
      await flagsOf(proxies),
      proxies.map(() => '-'),
    );
  });

  test(`${transport}: RST by the client reaches the server as RST`, async (context) => {
    const { web, cart, vip, proxies } = await startPair(context, net, { cartNode });
    const atApp = Promise.withResolvers<string>();
    await app(context, cart, 8080, (socket) => {
      socket.write('hi');
      resetOf(socket).then(atApp.resolve, atApp.reject);
    });
    const socket = await client(context, web, vip, 80);
    await read(socket, 2);
    socket.resetAndDestroy();
    assert.equal(await within(atApp.promise, 'the reset at the server'), 'ECONNRESET');
    assert.deepEqual(
      await flagsOf(proxies),
      proxies.map(() => 'RESET_BY_SOURCE'),
    );
  });

  test(`${transport}: RST by the server reaches the client as RST`, async (context) => {
    const { web, cart, vip, proxies } = await startPair(context, net, { cartNode });
    await app(context, cart, 8080, (socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    const socket = await client(context, web, vip, 80);
    const reset = resetOf(socket);
    socket.write('hi');
    assert.equal(await reset, 'ECONNRESET');
    assert.deepEqual(
      await flagsOf(proxies),
      proxies.map(() => 'RESET_BY_DESTINATION'),
    );
  });

  test(`${transport}: a server that speaks first is heard before the client says anything`, async (context) => {
    const { web, cart, vip } = await startPair(context, net, { cartNode });
    await app(context, cart, 8080, (socket) => {
      socket.write('220 ready\r\n');
    });
    const socket = await client(context, web, vip, 80);
    assert.equal((await read(socket, 11)).toString(), '220 ready\r\n');
  });

  test(`${transport}: 100 MB both ways at once arrive as they were sent`, async (context) => {
    const total = 100 * 1024 * 1024;
    const { web, cart, vip, n1 } = await startPair(context, net, { cartNode });
    const server = Promise.withResolvers<string>();
    const serverSent = Promise.withResolvers<string>();
    await app(context, cart, 8080, (socket) => {
      digestOf(socket).then(server.resolve, server.reject);
      pump(socket, total, 7).then(serverSent.resolve, serverSent.reject);
    });
    const socket = await client(context, web, vip, 80);
    const clientGot = digestOf(socket);
    const clientSent = await within(pump(socket, total, 3), 'the upload', 30_000);
    assert.equal(await within(server.promise, 'the upload to arrive', 30_000), clientSent);
    assert.equal(await within(clientGot, 'the download', 30_000), await serverSent.promise);
    const [record] = await n1.recorded(1);
    assert.deepEqual([record?.bytesSent, record?.bytesReceived, record?.flag], [total, total, '-']);
  });

  test(`${transport}: a stalled reader stops the writer, memory stays bounded, nothing is lost`, async (context) => {
    const total = 128 * 1024 * 1024;
    const { web, cart, vip } = await startPair(context, net, { cartNode });
    const sent = Promise.withResolvers<string>();
    let writer: Socket | undefined;
    await app(context, cart, 8080, (socket) => {
      writer = socket;
      pump(socket, total, 5).then(sent.resolve, sent.reject);
    });
    const before = process.memoryUsage();
    const socket = await client(context, web, vip, 80);
    socket.pause();
    // The writer has stopped when it got nothing rid of between two looks.
    let last = -1;
    const gone = (): number => (writer?.bytesWritten ?? 0) - (writer?.writableLength ?? 0);
    for (let quiet = 0; quiet < 5; quiet = gone() === last && last > 0 ? quiet + 1 : 0) {
      last = gone();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const after = process.memoryUsage();
    assert.ok(last < 64 * 1024 * 1024, `the writer got rid of ${last} bytes`);
    const heldBytes = after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed;
    assert.ok(heldBytes < 48 * 1024 * 1024, `${heldBytes} bytes more are held`);
    const got = digestOf(socket);
    socket.resume();
    assert.equal(await within(got, 'the rest', 30_000), await sent.promise);
  });

  test(`${transport}: 1,000 connections at once, each with its own bytes, over few sessions`, async (context) => {
    const { web, cart, vip, n1 } = await startPair(context, net, { cartNode });
    await app(context, cart, 8080, echo);
    const sockets: Socket[] = [];
    while (sockets.length < 1000) {
      const batch = Array.from({ length: 100 }, () => client(context, web, vip, 80));
      sockets.push(...(await Promise.all(batch)));
    }
    await Promise.all(
      sockets.map(async (socket, index) => {
        const text = `connection ${index}`;
        socket.write(text);
        assert.equal((await read(socket, text.length)).toString(), text);
      }),
    );
    const { connections, counters } = await n1.snapshot();
    assert.equal(connections.length, 1000);
    assert.ok(
      (counters.ambient_tunnel_client_sessions ?? 99) <= 12,
      `${counters.ambient_tunnel_client_sessions} sessions`,
    );
    for (const socket of sockets) socket.end();
    await until(() => n1.thread.counters().ambient_connections_open === 0, 'the end of all connections');
    assert.equal((await n1.recorded(1000)).length, 1000);
  });

  for (const [name, timeouts, act, flag] of [
    ['idle', { idleMs: 200 }, () => {}, 'IDLE_TIMEOUT'],
    ['half closed', { halfCloseMs: 200 }, (socket: Socket) => socket.end(), 'HALF_CLOSE_TIMEOUT'],
  ] as const) {
    test(`${transport}: a connection that is ${name} for too long is reset with its flag`, async (context) => {
      const { web, cart, vip, n1 } = await startPair(context, net, { cartNode, n1: { config: { timeouts } } });
      await app(context, cart, 8080, (socket) => socket.resume());
      const socket = await client(context, web, vip, 80);
      act(socket);
      await resetOf(socket);
      assert.deepEqual(await flagsOf([n1]), [flag]);
    });
  }
}

/** The flag of the first record of each. */
async function flagsOf(proxies: readonly TestNode[]): Promise<(string | undefined)[]> {
  return Promise.all(proxies.map(async (proxy) => (await proxy.recorded(1))[0]?.flag));
}

/** Writes `total` bytes that depend on `seed`, as fast as the socket takes them; resolves with their digest. */
async function pump(socket: Socket, total: number, seed: number): Promise<string> {
  const hash = createHash('sha1');
  const block = Buffer.alloc(256 * 1024);
  for (let at = 0; at < block.length; at++) block[at] = (at * seed + (at >> 8)) & 255;
  for (let left = total; left > 0; ) {
    const chunk = block.subarray(0, Math.min(left, block.length));
    left -= chunk.length;
    hash.update(chunk);
    if (!socket.write(Buffer.from(chunk))) await new Promise((resolve) => socket.once('drain', resolve));
  }
  socket.end();
  return hash.digest('hex');
}

async function digestOf(socket: Socket): Promise<string> {
  const hash = createHash('sha1');
  socket.on('data', (chunk: Buffer) => hash.update(chunk));
  await new Promise<void>((resolve, reject) => {
    socket.once('end', resolve);
    socket.once('error', reject);
  });
  return hash.digest('hex');
}
