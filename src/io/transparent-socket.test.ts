// The socket itself; what it is for is tried in network namespaces, in test/lab/namespaces.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { connectTcp } from './connect-tcp.ts';
import type { TcpStream } from './tcp-stream.ts';
import { TransparentSockets } from './transparent-socket.ts';

const sockets = TransparentSockets.load();
const mayAdminister = process.getuid?.() === 0;

test('this Node can make them, and says nothing about it', () => {
  assert.notEqual(sockets, null);
});

for (const [family, host] of [
  [4, '127.0.0.1'],
  [6, '::1'],
] as const) {
  test(`IPv${family}: one connects like any other; without the privilege there is none`, async () => {
    const fd = sockets?.create(family, 0);
    if (!mayAdminister) {
      assert.equal(fd, null);
      return;
    }
    const server = createServer().listen({ host, port: 0 });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.ok(typeof fd === 'number');
    const accepted = once(server, 'connection');
    const stream = await new Promise<TcpStream>((resolve, reject) => {
      const options = { host, port, localAddress: host, localPort: 0, fd, timeoutMs: 5_000 };
      connectTcp(options, (error, made) => (made === null ? reject(error) : resolve(made)));
    });
    const [peer] = await accepted;
    assert.equal(peer.remoteAddress, host);
    stream.reset();
    peer.on('error', () => {}).destroy();
    server.close();
  });
}
