// Rows: same-node path, policy by identity on it, no endpoint resets at once, pass-through, self-call, hold of an
// unknown pod.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { pod, policy, port, rule, service, update } from '../../src/forward/testing-mesh.ts';
import { app, atOnceMaxMs, client, echo, read, readAll, refused, resetOf, TestNode, until } from './support/mesh.ts';

const web = '127.31.1.2';
const cart = '127.31.1.3';
const cartVip = '127.31.96.1';
const emptyVip = '127.31.96.2';
const outside = '127.31.200.1';
const late = '127.31.1.9';

const webPod = pod('web', 'n1', web);
const cartPod = pod('cart', 'n1', cart, { services: { 'shop/cart.shop.svc.cluster.local': [port(80, 8080)] } });
const services = [service('cart', cartVip, [port(80, 8080)]), service('empty', emptyVip, [port(80, 8080)])];

async function node(context: TestContext, more = update({})): Promise<TestNode> {
  const n1 = new TestNode(context, 'n1', {
    podCidrs: ['127.31.1.0/24'],
    outbound: [
      { host: cartVip, port: 80 },
      { host: cartVip, port: 81 },
      { host: cartVip, port: 15006 },
      { host: emptyVip, port: 80 },
      { host: cart, port: 8080 },
      { host: outside, port: 8080 },
    ],
    config: { timeouts: { holdUnknownPodMs: 700 } },
  });
  await n1.apply(update({ ...more, workloads: [webPod, cartPod, ...more.workloads], services, complete: true }));
  await n1.serving;
  return n1;
}

test('same node: a connection to a service goes to its pod, both identities known, no tunnel', async (context) => {
  const n1 = await node(context);
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, cartVip, 80);
  socket.end('hello');
  assert.equal((await readAll(socket)).toString(), 'hello');
  const [record] = await n1.recorded(1);
  assert.equal(record?.transport, 'same-node');
  assert.equal(record?.flag, '-');
  assert.equal(record?.source.identity, 'spiffe://cluster.local/ns/shop/sa/web');
  assert.equal(record?.destination.identity, 'spiffe://cluster.local/ns/shop/sa/cart');
  assert.equal(record?.destination.service, 'cart.shop.svc.cluster.local');
  assert.equal(record?.destination.address, `${cart}:8080`);
  assert.deepEqual([record?.bytesSent, record?.bytesReceived], [5, 5]);
  const { edges } = await n1.snapshot();
  assert.deepEqual(edges.map(({ reporter, opened, closed }) => [reporter, opened, closed]).sort(), [
    ['destination', 1, 1],
    ['source', 1, 1],
  ]);
});

test('same node: policy sees the identity of the source; a refusal counts on both sides', async (context) => {
  const deny = policy('no-web', {
    action: 'deny',
    rules: [rule({ principals: [{ kind: 'exact', value: 'cluster.local/ns/shop/sa/web' }] })],
  });
  const n1 = await node(context, update({ policies: [deny] }));
  await app(context, cart, 8080, echo);
  await refused(context, web, cartVip, 80);
  const [record] = await n1.recorded(1);
  assert.deepEqual([record?.flag, record?.decidedBy], ['DENY', 'shop/no-web']);
  const { edges } = await n1.snapshot();
  assert.deepEqual(edges.map(({ reporter, failed, flag }) => [reporter, failed, flag]).sort(), [
    ['destination', 1, 'DENY'],
    ['source', 1, 'DENY'],
  ]);
});

test('same node: a policy that comes later cuts the live connection at once', async (context) => {
  const n1 = await node(context);
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, cartVip, 80);
  socket.write('x');
  await read(socket, 1);
  const cut = resetOf(socket);
  const startedMs = performance.now();
  await n1.apply(update({ policies: [policy('nobody', { action: 'allow', rules: [] })] }));
  await cut;
  assert.ok(performance.now() - startedMs < atOnceMaxMs);
  assert.equal((await n1.recorded(1))[0]?.flag, 'POLICY_CHANGE');
});

test('same node: the connection ends when a pod at either end is removed', async (context) => {
  for (const gone of [webPod, cartPod]) {
    await context.test(gone.name, async (inner) => {
      const n1 = await node(inner);
      await app(inner, cart, 8080, echo);
      const socket = await client(inner, web, cartVip, 80);
      socket.write('x');
      await read(socket, 1);
      const cut = resetOf(socket);
      await n1.apply(update({ removedAddresses: [gone.uid] }));
      await cut;
      assert.equal((await n1.recorded(1))[0]?.flag, 'WORKLOAD_GONE');
    });
  }
});

for (const [title, host, toPort] of [
  ['no ready endpoint', emptyVip, 80],
  ['no such port', cartVip, 81],
] as const) {
  test(`a service with ${title}: reset at once with NO_ENDPOINT`, async (context) => {
    const n1 = await node(context);
    const startedMs = performance.now();
    await refused(context, web, host, toPort);
    assert.ok(performance.now() - startedMs < atOnceMaxMs);
    assert.equal((await n1.recorded(1))[0]?.flag, 'NO_ENDPOINT');
  });
}

test("a port of the proxy's own is refused with SELF_CALL", async (context) => {
  const n1 = await node(context);
  await refused(context, web, cartVip, 15006);
  assert.equal((await n1.recorded(1))[0]?.flag, 'SELF_CALL');
});

test('a destination outside the mesh is passed through, and the log says so', async (context) => {
  const n1 = await node(context);
  await app(context, outside, 8080, echo);
  const socket = await client(context, web, outside, 8080);
  socket.end('out');
  assert.equal((await readAll(socket)).toString(), 'out');
  const [record] = await n1.recorded(1);
  assert.deepEqual([record?.transport, record?.destination.workload, record?.flag], ['plaintext', null, '-']);
});

test('an unknown pod is held until the mesh knows it, and then treated as enrolled', async (context) => {
  const n1 = await node(context);
  await app(context, cart, 8080, echo);
  const socket = await client(context, late, cartVip, 80);
  socket.end('first');
  const answer = readAll(socket);
  await untilHeld(n1, 1);
  await n1.apply(update({ workloads: [pod('late', 'n1', late)] }));
  assert.equal((await answer).toString(), 'first');
  const [record] = await n1.recorded(1);
  assert.equal(record?.source.identity, 'spiffe://cluster.local/ns/shop/sa/late');
  assert.equal(record?.transport, 'same-node');
  assert.ok((record?.segmentsMs.hold ?? 0) > 0);
});

test('an unknown pod that proves to be outside the mesh goes on in plaintext, without identity', async (context) => {
  const strict = policy('strict', { action: 'deny', rules: [rule({ notPrincipals: [{ kind: 'presence' }] })] });
  for (const [title, policies, flag] of [
    ['allowed', [], '-'],
    ['refused by STRICT', [strict], 'DENY'],
  ] as const) {
    await context.test(title, async (inner) => {
      const n1 = await node(inner, update({ policies }));
      await app(inner, cart, 8080, echo);
      const socket = await client(inner, late, cartVip, 80);
      socket.on('error', () => {});
      socket.end('first');
      await untilHeld(n1, 1);
      await n1.apply(update({ workloads: [pod('late', 'n1', late, { tunnelProtocol: 'NONE' })] }));
      const [record] = await n1.recorded(1);
      assert.deepEqual([record?.transport, record?.flag, record?.source.identity], ['plaintext', flag, null]);
    });
  }
});

test('a pod that stays unknown is reset with UNKNOWN_SOURCE when its time is up', async (context) => {
  const n1 = await node(context);
  await refused(context, late, cartVip, 80);
  assert.equal((await n1.recorded(1))[0]?.flag, 'UNKNOWN_SOURCE');
});

async function untilHeld(n1: TestNode, count: number): Promise<void> {
  const held = (): number => n1.thread.counters().ambient_connections_held ?? 0;
  await until(() => held() === count, `${count} held connections`);
}
