// Rows: data threads as workers, run by piscina, spoken to by messages alone: nothing is accepted before the whole
// mesh is known, `serving`, certificates on demand, snapshots, drain, and the end of the task when the port closes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { pod, policy, port, service, update } from '../../src/forward/testing-mesh.ts';
import type { MeshUpdate } from '../../src/model/types.ts';
import type { DataThreadStart, FromDataThread } from '../../src/proxy/messages.ts';
import { client, defaultAuthority, hbonePort, read, refused, resetOf, testConfig, within } from './support/mesh.ts';

const web = '127.35.1.2';
const cart = '127.35.2.3';
const vip = '127.35.96.1';

const mesh = update({
  workloads: [
    pod('web', 'n1', web),
    pod('cart', 'n2', cart, { services: { 'shop/cart.shop.svc.cluster.local': [port(80, 8080)] } }),
  ],
  services: [service('cart', vip, [port(80, 8080)])],
  complete: true,
});

type RunOptions = Parameters<Piscina['run']>[1];

interface Worker {
  readonly port: MessagePort;
  readonly ended: Promise<void>;
  /** The next message of this type. */
  next<Type extends FromDataThread['type']>(type: Type): Promise<Extract<FromDataThread, { type: Type }>>;
}

function startWorker(
  piscina: Piscina,
  start: Omit<DataThreadStart, 'trustDomain' | 'clusterId' | 'listeners'>,
): Worker {
  const { port1, port2 } = new MessageChannel();
  const listeners = { outbound: [], inbound: [], hbone: [] };
  const whole: DataThreadStart = { ...start, trustDomain: 'cluster.local', clusterId: 'Kubernetes', listeners };
  // Piscina's type of a transfer list is that of another overload of `postMessage`.
  const transferList = [port2] as unknown as NonNullable<RunOptions>['transferList'];
  const ended = piscina.run({ start: whole, port: port2 }, { name: 'serve', transferList });
  // A worker that a test leaves serving is terminated with the pool.
  ended.catch(() => {});
  port1.on('message', (message: FromDataThread) => {
    if (message.type === 'certificateWanted') port1.postMessage(defaultAuthority.issue(message.identity));
  });
  return {
    port: port1,
    ended,
    next(type) {
      const found = Promise.withResolvers<Extract<FromDataThread, { type: typeof type }>>();
      const look = (message: FromDataThread): void => {
        if (message.type !== type) return;
        port1.off('message', look);
        found.resolve(message as Extract<FromDataThread, { type: typeof type }>);
      };
      port1.on('message', look);
      return within(found.promise, `a message ${type}`);
    },
  };
}

async function startWorkers(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'data-thread-'));
  const logFile = join(folder, 'access.log');
  const piscina = new Piscina({
    filename: new URL('../../src/node/data-thread.ts', import.meta.url).href,
    minThreads: 2,
    maxThreads: 2,
    atomics: 'disabled',
  });
  context.after(async () => {
    await piscina.destroy();
    rmSync(folder, { recursive: true });
  });
  const n1 = startWorker(piscina, {
    threadId: 0,
    nodeName: 'n1',
    addresses: { outbound: [{ host: vip, port: 80 }] },
    config: { ...testConfig('n1', logFile, { podCidrs: ['127.35.1.0/24'] }) },
  });
  const n2 = startWorker(piscina, {
    threadId: 1,
    nodeName: 'n2',
    addresses: { hbone: [{ host: cart, port: hbonePort }] },
    config: { ...testConfig('n2', logFile, { podCidrs: ['127.35.2.0/24'] }) },
  });
  return { n1, n2, piscina, logFile };
}

test('two workers, a tunnel between them, everything by messages', async (context) => {
  const server = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(8080, cart, () => resolve()));
  context.after(() => server.close());
  const { n1, n2, logFile } = await startWorkers(context);

  // Half a mesh: an enrolled pod in it could look as if it stood outside, so nothing listens yet.
  n1.port.postMessage({ type: 'mesh', update: { ...mesh, complete: false } });
  n1.port.postMessage({ type: 'snapshot', id: 1, connections: false });
  await n1.next('snapshot');
  assert.equal(await refused(context, web, vip, 80), 'ECONNREFUSED');

  const serving = [n1.next('serving'), n2.next('serving')];
  for (const worker of [n1, n2]) worker.port.postMessage({ type: 'mesh', update: mesh });
  await Promise.all(serving);

  const socket = await client(context, web, vip, 80);
  socket.write('hello');
  assert.equal((await read(socket, 5)).toString(), 'hello');
  n2.port.postMessage({ type: 'snapshot', id: 7, connections: true });
  const { id, connections, counters } = await n2.next('snapshot');
  assert.equal(id, 7);
  assert.deepEqual(
    connections.map(({ direction, transport, thread, source, bytesSent }) => [
      direction,
      transport,
      thread,
      source.workload,
      bytesSent,
    ]),
    [['inbound', 'mtls', 1, 'web', 5]],
  );
  assert.equal(counters.ambient_connections_open, 1);

  n1.port.postMessage({ type: 'drain', deadlineMs: 5000 });
  const drained = n1.next('drained');
  socket.end();
  socket.resume();
  assert.equal((await drained).closedByDeadline, 0);
  const records = readFileSync(logFile, 'utf8').trim().split('\n');
  assert.equal(JSON.parse(records[0] ?? '').flag, '-');

  for (const worker of [n1, n2]) worker.port.close();
  await within(Promise.all([n1.ended, n2.ended]), 'the end of both tasks');
});

type Workers = Awaited<ReturnType<typeof startWorkers>>;

const crash = { type: 'crash' } as const;
const drain = { type: 'drain', deadlineMs: 20 } as const;
const nobody = update({ policies: [policy('nobody', { action: 'allow', rules: [] })] });

/** Ways in which a stream is cut short, whatever either pod has done. */
const cuts: readonly [what: string, cut: (workers: Workers) => unknown][] = [
  ['the thread at the source crashes', ({ n1 }) => n1.port.postMessage(crash)],
  ['the thread at the destination crashes', ({ n2 }) => n2.port.postMessage(crash)],
  ['the thread at the source is closed', ({ n1 }) => n1.port.close()],
  ['the thread at the destination is closed', ({ n2 }) => n2.port.close()],
  ['the drain at the source has its deadline', ({ n1 }) => n1.port.postMessage(drain)],
  ['the drain at the destination has its deadline', ({ n2 }) => n2.port.postMessage(drain)],
  ['both threads are terminated', ({ piscina }) => piscina.destroy()],
  ['policy refuses it', ({ n2 }) => n2.port.postMessage({ type: 'mesh', update: nobody })],
  ['the source is gone', ({ n1 }) => n1.port.postMessage({ type: 'mesh', update: gone('web') })],
  ['the destination is gone', ({ n2 }) => n2.port.postMessage({ type: 'mesh', update: gone('cart') })],
];

function gone(name: string): MeshUpdate {
  return { ...update({}), removedAddresses: mesh.workloads.filter((each) => each.name === name).map(({ uid }) => uid) };
}

for (const [what, cut] of cuts) {
  test(`${what}: both ends see a reset, who has ended its own half too`, async (context) => {
    const accepted: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      context.after(() => socket.destroy());
      accepted.push(socket);
      socket.write('hello');
    });
    await new Promise<void>((resolve) => server.listen(8080, cart, () => resolve()));
    context.after(() => server.close());
    const workers = await startWorkers(context);
    const serving = [workers.n1.next('serving'), workers.n2.next('serving')];
    for (const worker of [workers.n1, workers.n2]) worker.port.postMessage({ type: 'mesh', update: mesh });
    await Promise.all(serving);

    const whole = await client(context, web, vip, 80);
    await read(whole, 5);
    const half = await client(context, web, vip, 80);
    await read(half, 5);
    half.end();
    await within(once(accepted[1]!.resume(), 'end'), 'the half that was ended');
    const ends = [whole, half, accepted[0]!].map((socket) => resetOf(socket));
    await cut(workers);
    assert.deepEqual(await Promise.all(ends), ['ECONNRESET', 'ECONNRESET', 'ECONNRESET']);
  });
}

test('a listener that cannot be opened ends the task with an error that names it', async (context) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(80, vip, () => resolve()));
  context.after(() => taken.close());
  const { n1 } = await startWorkers(context);
  n1.port.postMessage({ type: 'mesh', update: mesh });
  await assert.rejects(within(n1.ended, 'the failure'), /the outbound listener on 127\.35\.96\.1:80/);
});
