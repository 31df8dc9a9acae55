// Rows: STRICT refuses plaintext, PERMISSIVE takes it, a source address is no identity, hold of an unknown pod, illegal
// ports, port policies, a destination that cannot be connected.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { pod, policy, rule, update } from '../../src/forward/testing-mesh.ts';
import type { Policy } from '../../src/model/types.ts';
import { app, client, echo, readAll, refused, TestNode, until } from './support/mesh.ts';

const web = '127.32.1.2';
const cart = '127.32.2.3';
const outsider = '127.32.200.9';
const late = '127.32.2.9';
const foreign = '127.32.9.9';

const cartPod = pod('cart', 'n2', cart);
const strict = policy('istio_converted_static_strict', {
  namespace: 'ambient-system',
  scope: 'workload',
  action: 'deny',
  rules: [rule({ notPrincipals: [{ kind: 'presence' }] })],
});

async function node(
  context: TestContext,
  policies: readonly Policy[] = [],
  keys: readonly string[] = [],
): Promise<TestNode> {
  const n2 = new TestNode(context, 'n2', {
    podCidrs: ['127.32.2.0/24'],
    inbound: [
      { host: cart, port: 8080 },
      { host: cart, port: 8081 },
      { host: cart, port: 15008 },
      { host: late, port: 8080 },
      { host: foreign, port: 8080 },
    ],
    config: { timeouts: { holdUnknownPodMs: 300 } },
  });
  const workloads = [pod('web', 'n1', web), { ...cartPod, policies: keys }];
  await n2.apply(update({ workloads, policies, complete: true }));
  await n2.serving;
  return n2;
}

test('PERMISSIVE takes plaintext, without identity even from the address of an enrolled pod', async (context) => {
  for (const [title, from, workload] of [
    ['from outside the mesh', outsider, null],
    ['from an enrolled pod', web, 'web'],
  ] as const) {
    await context.test(title, async (inner) => {
      const n2 = await node(inner);
      await app(inner, cart, 8080, echo);
      const socket = await client(inner, from, cart, 8080);
      socket.end('plain');
      assert.equal((await readAll(socket)).toString(), 'plain');
      const [record] = await n2.recorded(1);
      assert.deepEqual([record?.direction, record?.transport, record?.flag], ['inbound', 'plaintext', '-']);
      assert.deepEqual([record?.source.identity, record?.source.workload], [null, workload]);
      assert.equal(record?.destination.workload, 'cart');
    });
  }
});

test('STRICT refuses plaintext, also from the address of an enrolled pod', async (context) => {
  for (const from of [outsider, web]) {
    await context.test(from, async (inner) => {
      const n2 = await node(inner, [strict], ['ambient-system/istio_converted_static_strict']);
      await app(inner, cart, 8080, () => assert.fail('the application was reached'));
      await refused(inner, from, cart, 8080);
      assert.equal((await n2.recorded(1))[0]?.flag, 'DENY');
    });
  }
});

test('a policy that the pod names and nobody knows yet refuses', async (context) => {
  const n2 = await node(context, [], ['shop/not-here-yet']);
  await refused(context, outsider, cart, 8080);
  assert.equal((await n2.recorded(1))[0]?.flag, 'DENY');
});

test('policy sees the address of the source and the port of the pod', async (context) => {
  const only = policy('only', {
    action: 'allow',
    rules: [rule({ sourceIps: ['127.32.200.0/24'], destinationPorts: [8080] })],
  });
  const n2 = await node(context, [only]);
  await app(context, cart, 8080, echo);
  await app(context, cart, 8081, echo);
  const socket = await client(context, outsider, cart, 8080);
  socket.end('x');
  await readAll(socket);
  await refused(context, outsider, cart, 8081);
  await refused(context, web, cart, 8080);
  const records = await n2.recorded(3);
  assert.deepEqual(
    records.map(({ flag }) => flag),
    ['-', 'DENY', 'DENY'],
  );
});

test("the proxy's own ports are refused", async (context) => {
  const n2 = await node(context);
  await refused(context, outsider, cart, 15008);
  assert.equal((await n2.recorded(1))[0]?.flag, 'SELF_CALL');
});

test('an application that does not listen: reset, CONNECT', async (context) => {
  const n2 = await node(context);
  await refused(context, outsider, cart, 8080);
  assert.equal((await n2.recorded(1))[0]?.flag, 'CONNECT');
});

test('a pod that is not known yet is waited for; its policies hold from its first connection on', async (context) => {
  const n2 = await node(context, [strict]);
  const gone = refused(context, outsider, late, 8080);
  await until(() => (n2.thread.counters().ambient_connections_held ?? 0) === 1, 'the held connection');
  const policies = ['ambient-system/istio_converted_static_strict'];
  await n2.apply(update({ workloads: [pod('late', 'n2', late, { policies })] }));
  await gone;
  assert.equal((await n2.recorded(1))[0]?.flag, 'DENY');
});

test('what stays unknown and what is no address of this node is refused', async (context) => {
  const n2 = await node(context);
  await refused(context, outsider, late, 8080);
  await refused(context, outsider, foreign, 8080);
  const records = await n2.recorded(2);
  assert.deepEqual(
    records.map(({ flag }) => flag),
    ['UNKNOWN_DESTINATION', 'UNKNOWN_DESTINATION'],
  );
});
