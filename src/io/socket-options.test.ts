// That the options arrive, as the kernel says it. What they are for is measured, not tested.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { bindLibc } from '../base/libc.ts';
import { socketOptions, tuneTunnel, unpace } from './socket-options.ts';

const tcpLevel = 6;
const congestionControl = 13;
const notSentLowWater = 25;

const libc = bindLibc({
  getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
});
assert.ok(libc !== null);
const { functions, ffi } = libc;

function read(socket: unknown, option: number): Buffer {
  const { fd } = (socket as { _handle: { fd: number } })._handle;
  const value = Buffer.from(new ArrayBuffer(16));
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = value.length;
  const at = (memory: ArrayBufferLike): bigint => ffi.getRawPointer(memory as ArrayBuffer);
  assert.equal(functions.getsockopt(fd, tcpLevel, option, at(value.buffer), at(length.buffer)), 0);
  return value.subarray(0, length[0]);
}

const nameOf = (socket: unknown): string => read(socket, congestionControl).toString('latin1').replace(/\0+$/, '');

const server = createServer({ pauseOnConnect: true }).listen({ host: '127.0.0.1', port: 0 });
await once(server, 'listening');
after(() => server.close());

async function pair(): Promise<[client: Socket, accepted: Socket]> {
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  after(() => {
    client.destroy();
    accepted.destroy();
  });
  return [client, accepted];
}

test('what a listening socket is told, the connections that it accepts have too', async () => {
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const [, before] = await pair();
  unpace(fd);
  const [, unpaced] = await pair();
  assert.equal(nameOf(unpaced), nameOf(before).startsWith('bbr') ? 'reno' : nameOf(before));
  assert.ok(socketOptions()?.setText(fd, tcpLevel, congestionControl, 'reno'));
  const [client, accepted] = await pair();
  assert.deepEqual([nameOf(accepted), nameOf(client)], ['reno', nameOf(before)]);
});

test('a name that no kernel has is refused, and nothing changes', async () => {
  const [client] = await pair();
  const before = nameOf(client);
  const { fd } = (client as unknown as { _handle: { fd: number } })._handle;
  assert.equal(socketOptions()?.setText(fd, tcpLevel, congestionControl, 'ambient'), false);
  assert.equal(nameOf(client), before);
});

test("a tunnel's queue in the kernel is kept short, and one on the machine is not paced", async () => {
  const [client] = await pair();
  const before = nameOf(client);
  assert.notEqual(read(client, notSentLowWater).readInt32LE(0), 128 * 1024);
  tuneTunnel(client, false);
  assert.equal(read(client, notSentLowWater).readUInt32LE(0), 128 * 1024);
  assert.equal(nameOf(client), before);
  tuneTunnel(client, true);
  assert.equal(nameOf(client), before.startsWith('bbr') ? 'reno' : before);
  client.destroy();
  assert.doesNotThrow(() => tuneTunnel(client, true));
});
