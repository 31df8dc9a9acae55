// Bytes through the mesh, node to node: whole, in order, with their ends and aborts, and with bounded memory.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { PodAgent, PodConnection } from './agent.ts';
import { namespace, node1, node2, pod, service, startLab, type TestLab, twoNodes } from './harness.ts';

const manifests =
  twoNodes +
  namespace('app') +
  pod('client', { node: node1 }) +
  pod('server', { node: node2 }) +
  pod('neighbour', { node: node1 }) +
  service('server', 80, 8080, { app: 'server' }, { ipFamilyPolicy: 'PreferDualStack' });

describe('streams across nodes', () => {
  let lab: TestLab;
  let client: PodAgent;
  let server: PodAgent;
  const port = 8080;

  before(async () => {
    lab = await startLab(manifests);
    [client, server] = await Promise.all([lab.agent('client'), lab.agent('server')]);
    await server.listen(port);
  });
  after(() => lab?.close());

  async function pair(): Promise<[PodConnection, PodConnection]> {
    const near = await client.connect('server', 80);
    await near.write('hello');
    const far = await server.accepted(port);
    await far.untilRead('hello');
    return [near, far];
  }

  test('100 MB both ways at once arrive with equal digests', { timeout: 120_000 }, async () => {
    const near = await client.connect('server', 80);
    const bytes = 100 * 1024 * 1024;
    const sent = near.writePattern(bytes, 7);
    const far = await server.accepted(port);
    const [nearDigest, farDigest] = await Promise.all([sent, far.writePattern(bytes, 11)]);
    const whole = (state: { bytesRead: number }) => state.bytesRead >= bytes;
    const [nearState, farState] = await Promise.all([
      near.until('whole', whole, 100_000),
      far.until('whole', whole, 100_000),
    ]);
    assert.equal(farState.digest, nearDigest);
    assert.equal(nearState.digest, farDigest);
    await near.end();
    await far.end();
    await Promise.all([near.untilClosed(), far.untilClosed()]);
  });

  test('half-close by the client: the server still answers afterwards', async () => {
    const [near, far] = await pair();
    await near.end();
    await far.untilEnded();
    await far.write('after your end');
    await near.untilRead('after your end');
    assert.equal((await near.state()).ended, false);
    await far.end();
    await Promise.all([near.untilClosed(), far.untilClosed()]);
    assert.deepEqual([(await near.state()).error, (await far.state()).error], [null, null]);
  });

  test('half-close by the server: the client still sends afterwards', async () => {
    const [near, far] = await pair();
    await far.end();
    await near.untilEnded();
    await near.write('after your end');
    await far.untilRead('after your end');
    await near.end();
    await Promise.all([near.untilClosed(), far.untilClosed()]);
    assert.deepEqual([(await near.state()).error, (await far.state()).error], [null, null]);
  });

  test('a reset by the client is a reset at the server', async () => {
    const [near, far] = await pair();
    await near.reset();
    const state = await far.untilClosed();
    assert.equal(state.error, 'ECONNRESET');
    const record = await lab.accessRecord(node1, 'a reset by the source', (each) => each.flag === 'RESET_BY_SOURCE');
    assert.equal(record.destination.workload, 'server');
  });

  test('a reset by the server is a reset at the client', async () => {
    const [near, far] = await pair();
    await far.reset();
    const state = await near.untilClosed();
    assert.equal(state.error, 'ECONNRESET');
    await lab.accessRecord(node1, 'a reset by the destination', (each) => each.flag === 'RESET_BY_DESTINATION');
  });

  test('server-speaks-first: the greeting arrives though the client is silent', async () => {
    await server.listen(8081, { greeting: '220 ready\r\n' });
    const near = await client.connect(await lab.addressOf('server'), 8081);
    await near.untilRead('220 ready');
    await near.end();
    await (await server.accepted(8081)).end();
    await near.untilClosed();
  });

  test('1,000 connections at once all carry their own bytes', { timeout: 120_000 }, async () => {
    const count = 1000;
    const near = await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const connection = await client.connect('server', 80);
        await connection.write(`connection ${i};`);
        return connection;
      }),
    );
    const texts = new Set<string>();
    for (let i = 0; i < count; i++) {
      const far = await server.accepted(port, 30_000);
      texts.add((await far.untilRead(';', 30_000)).text);
      await far.write('ok');
    }
    assert.equal(texts.size, count, 'each connection brought its own text');
    await Promise.all(near.map((connection) => connection.untilRead('ok', 30_000)));
    const dumps = await Promise.all([lab.dump(node1), lab.dump(node2)]);
    for (const dump of dumps) {
      assert(dump.connections.length >= count, `${dump.node} knows ${dump.connections.length} connections`);
    }
    await Promise.all(near.map((connection) => connection.reset()));
  });

  test('IPv6: pod to pod and by a dual-stack service', async () => {
    const address = await lab.addressOf('server', 'app', 6);
    const near = await client.connect(address, port);
    await near.write('over IPv6');
    const far = await server.accepted(port);
    await far.untilRead('over IPv6');
    const [found] = await lab.client.get('Service', 'server', 'app');
    const vips = (found as { spec: { clusterIPs: string[] } }).spec.clusterIPs;
    const vip = vips.find((each) => each.includes(':'));
    assert(vip !== undefined, `the service has an IPv6 address among ${vips.join(', ')}`);
    const byService = await client.connect(vip, 80);
    await byService.write('by service');
    await (await server.accepted(port)).untilRead('by service');
    await near.reset();
    await byService.reset();
    const record = await lab.accessRecord(node1, 'IPv6', (each) => each.destination.address.includes(`[${address}]`));
    assert.equal(record.transport, 'mtls');
  });

  test('a reader that stalls for 5 s costs bounded memory, and gets every byte', { timeout: 60_000 }, async () => {
    const near = await client.connect('server', 80);
    await near.write('x');
    const far = await server.accepted(port);
    await far.untilRead('x');
    await far.pause();
    const before = proxyMemoryBytes(lab);
    const bytes = 256 * 1024 * 1024;
    const sent = near.writePattern(bytes, 3);
    // Five seconds by the clock: what is tested is what the proxies hold after that time, not an event.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const grown = proxyMemoryBytes(lab) - before;
    assert(grown < 64 * 1024 * 1024, `both proxies together grew by ${Math.round(grown / 1048576)} MiB`);
    // Others are served meanwhile.
    const other = await client.connect('server', 80);
    await other.write('still served');
    await (await server.accepted(port)).untilRead('still served');
    await far.resume();
    await far.until('whole', (state) => state.bytesRead === bytes + 1, 50_000);
    await sent;
    await near.reset();
    await other.reset();
  });
});

/** Resident memory of all node proxies of the lab. */
function proxyMemoryBytes(lab: TestLab): number {
  let total = 0;
  for (const node of [node1, node2]) {
    const pid = lab.proxyPid(node);
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    total += Number(kb) * 1024;
  }
  return total;
}
