// Rows: encrypted across nodes with both identities in both logs, deny and allow by identity, policy change cuts a live
// connection, another endpoint after a connect failure, who may answer and who may ask, certificates that come late.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { pod, policy, rule, update } from '../../src/forward/testing-mesh.ts';
import { TestAuthority } from './support/authority.ts';
import {
  app,
  atOnceMaxMs,
  client,
  defaultAuthority,
  echo,
  hbonePort,
  read,
  readAll,
  refused,
  resetOf,
  type TestNode,
  until,
} from './support/mesh.ts';
import { startPair } from './support/pair.ts';

// The same tests run beside these with documented APIs alone (src/io/documented-io.test.ts).
const net = process.env.AMBIENT_DOCUMENTED_IO === '1' ? 133 : 33;
const webId = 'spiffe://cluster.local/ns/shop/sa/web';
const cartId = 'spiffe://cluster.local/ns/shop/sa/cart';

test('across nodes: mutual TLS, both identities and the client address in both logs', async (context) => {
  const { n1, n2, web, cart, vip } = await startPair(context, net);
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, vip, 80);
  const { localPort } = socket;
  socket.end('hello');
  assert.equal((await readAll(socket)).toString(), 'hello');
  const [out] = await n1.recorded(1);
  const [inbound] = await n2.recorded(1);
  for (const record of [out, inbound]) {
    assert.deepEqual([record?.transport, record?.flag], ['mtls', '-']);
    assert.equal(record?.source.identity, webId);
    assert.equal(record?.source.address, `${web}:${localPort}`);
    assert.equal(record?.source.workload, 'web');
    assert.equal(record?.destination.identity, cartId);
    assert.equal(record?.destination.address, `${cart}:8080`);
    assert.deepEqual([record?.bytesSent, record?.bytesReceived], [5, 5]);
  }
  assert.deepEqual([out?.direction, inbound?.direction], ['outbound', 'inbound']);
  assert.deepEqual([n1.wanted, n2.wanted], [[webId], [cartId]]);
  const { counters, edges } = await n1.snapshot();
  assert.equal(counters.ambient_tunnel_client_sessions_opened_total, 1);
  assert.deepEqual(
    edges.map(({ reporter, transport, opened, closed, bytesSent }) => [reporter, transport, opened, closed, bytesSent]),
    [['source', 'mtls', 1, 1, 5]],
  );
});

test('a pod dialled by its own address is reached through the tunnel as well', async (context) => {
  const { n1, web, cart } = await startPair(context, net);
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, cart, 8080);
  socket.end('direct');
  assert.equal((await readAll(socket)).toString(), 'direct');
  const [record] = await n1.recorded(1);
  assert.deepEqual([record?.transport, record?.destination.service], ['mtls', null]);
});

test('policy at the destination: DENY by principal refuses, ALLOW by principal lets in', async (context) => {
  const principals = [{ kind: 'exact', value: 'cluster.local/ns/shop/sa/web' }] as const;
  for (const [action, flag] of [
    ['deny', 'DENY'],
    ['allow', '-'],
  ] as const) {
    await context.test(action, async (inner) => {
      const policies = [policy('by-web', { action, rules: [rule({ principals })] })];
      const { n1, n2, web, cart, vip } = await startPair(inner, net, { mesh: { policies } });
      await app(inner, cart, 8080, echo);
      if (action === 'deny') await refused(inner, web, vip, 80);
      else {
        const socket = await client(inner, web, vip, 80);
        socket.end('x');
        await readAll(socket);
      }
      const [out] = await n1.recorded(1);
      const [inbound] = await n2.recorded(1);
      assert.deepEqual([out?.flag, inbound?.flag], [flag, flag]);
      assert.equal(inbound?.decidedBy, 'shop/by-web');
      assert.equal(out?.attempts, 1);
    });
  }
});

test('STRICT does not refuse what comes through the tunnel', async (context) => {
  const strict = policy('strict', { action: 'deny', rules: [rule({ notPrincipals: [{ kind: 'presence' }] })] });
  const { web, cart, vip } = await startPair(context, net, { mesh: { policies: [strict] } });
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, vip, 80);
  socket.end('x');
  assert.equal((await readAll(socket)).toString(), 'x');
});

test('sameNode: tunnel takes the tunnel between two pods of one node, policy asked once', async (context) => {
  const cart = `127.${net}.2.3`;
  const only = policy('only-web', {
    action: 'allow',
    rules: [rule({ principals: [{ kind: 'exact', value: 'cluster.local/ns/shop/sa/web' }] })],
  });
  const { n1, web, vip } = await startPair(context, net, {
    cartNode: 'n1',
    mesh: { policies: [only] },
    n1: { hbone: [{ host: cart, port: hbonePort }], config: { sameNode: 'tunnel' } },
    n2: { hbone: [] },
  });
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, vip, 80);
  socket.end('x');
  assert.equal((await readAll(socket)).toString(), 'x');
  const records = await n1.recorded(2);
  assert.deepEqual(records.map(({ direction, transport, decidedBy }) => [direction, transport, decidedBy]).sort(), [
    ['inbound', 'mtls', 'shop/only-web'],
    ['outbound', 'mtls', null],
  ]);
});

test('a policy that comes later cuts the live connection within a second, on both sides', async (context) => {
  const { n1, n2, web, cart, vip, apply } = await startPair(context, net);
  const atApp = Promise.withResolvers<string>();
  await app(context, cart, 8080, (socket) => {
    echo(socket);
    resetOf(socket).then(atApp.resolve, atApp.reject);
  });
  const socket = await client(context, web, vip, 80);
  socket.write('x');
  await read(socket, 1);
  const cut = resetOf(socket);
  const startedMs = performance.now();
  await apply({ policies: [policy('nobody', { action: 'allow', rules: [] })] });
  assert.equal(await cut, 'ECONNRESET');
  assert.equal(await atApp.promise, 'ECONNRESET');
  assert.ok(performance.now() - startedMs < atOnceMaxMs);
  assert.equal((await n2.recorded(1))[0]?.flag, 'POLICY_CHANGE');
  assert.equal((await n1.recorded(1))[0]?.flag, 'RESET_BY_DESTINATION');
});

test('another endpoint is tried when connecting failed before a byte was sent', async (context) => {
  for (const [title, dead] of [
    ['its application does not listen (503)', {}],
    ['nothing answers on its tunnel port', { addresses: [`127.${net}.2.66`] }],
    ['its proxy proves another identity', { serviceAccount: 'impostor' }],
  ] as const) {
    await context.test(title, async (inner) => {
      const { n1, web, cart, vip } = await startPair(inner, net, {
        second: dead,
        n2: 'serviceAccount' in dead ? { onCertificateWanted: (_, node) => node.send(impostorsAnswer(_)) } : {},
      });
      await app(inner, cart, 8080, echo);
      const sockets = await Promise.all(Array.from({ length: 16 }, () => client(inner, web, vip, 80)));
      const answers = sockets.map(async (socket) => {
        socket.end('x');
        return (await readAll(socket)).toString();
      });
      assert.deepEqual(await Promise.all(answers), Array(16).fill('x'));
      const records = await n1.recorded(16);
      assert.ok(records.every(({ flag, destination }) => flag === '-' && destination.workload === 'cart'));
      assert.ok(records.some(({ attempts }) => attempts === 2));
    });
  }
});

/** Whatever is asked for, the certificate is cart's. */
function impostorsAnswer(identity: string) {
  return { ...defaultAuthority.issue(cartId), identity };
}

test('when every endpoint fails: reset, with the failure and the number of attempts', async (context) => {
  const { n1, web, vip } = await startPair(context, net, { second: {} });
  await refused(context, web, vip, 80);
  const [record] = await n1.recorded(1);
  assert.deepEqual([record?.flag, record?.attempts], ['CONNECT', 2]);
});

test('a peer proxy under another authority is refused by the client', async (context) => {
  const { n1, web, cart, vip } = await startPair(context, net, { n2: { authority: new TestAuthority() } });
  await app(context, cart, 8080, () => assert.fail('the application was reached'));
  await refused(context, web, vip, 80);
  assert.equal((await n1.recorded(1))[0]?.flag, 'TLS_FAILURE');
});

test('a client under another authority is refused by the server', async (context) => {
  const stranger = new TestAuthority();
  const { n1, n2, web, cart, vip } = await startPair(context, net, {
    // It would take the server's certificate, so that it is the server who has to refuse.
    n1: {
      onCertificateWanted: (id, node) => node.send(stranger.issue(id, undefined, [trusted.rootPem, stranger.rootPem])),
    },
    n2: { authority: trusted },
  });
  await app(context, cart, 8080, () => assert.fail('the application was reached'));
  await refused(context, web, vip, 80);
  assert.equal((await n1.recorded(1))[0]?.flag, 'TLS_FAILURE');
  assert.equal((await n2.recorded(1))[0]?.flag, 'TLS_FAILURE');
});
const trusted = new TestAuthority();

test('a tunnel port that takes connections and never answers: NETWORK_POLICY after connectMs', async (context) => {
  const silent = `127.${net}.2.77`;
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(hbonePort, silent, () => resolve()));
  context.after(() => server.close());
  const { n1, web, apply, cartPod } = await startPair(context, net, {
    n1: {
      podCidrs: [`127.${net}.1.0/24`],
      outbound: [{ host: silent, port: 8080 }],
      config: { timeouts: { connectMs: 200 } },
    },
  });
  await apply({ workloads: [{ ...cartPod, addresses: [silent] }] });
  const startedMs = performance.now();
  await refused(context, web, silent, 8080);
  assert.ok(performance.now() - startedMs < atOnceMaxMs);
  const [record] = await n1.recorded(1);
  assert.ok(['NETWORK_POLICY', 'TLS_FAILURE'].includes(record?.flag ?? ''), String(record?.flag));
});

test('connections wait for a late certificate, asked for once, and end when there is none', async (context) => {
  await context.test('late', async (inner) => {
    const { n1, web, cart, vip } = await startPair(inner, net, { n1: { onCertificateWanted: () => {} } });
    await app(inner, cart, 8080, echo);
    const sockets = await Promise.all(Array.from({ length: 5 }, () => client(inner, web, vip, 80)));
    const answers = sockets.map((socket) => {
      socket.end('x');
      return readAll(socket);
    });
    await until(() => (n1.thread.counters().ambient_connections_held ?? 0) === 5, 'five held connections');
    assert.deepEqual(n1.wanted, [webId]);
    n1.send(defaultAuthority.issue(webId));
    await Promise.all(answers);
  });
  await context.test('none', async (inner) => {
    const fail = 'certificateFailed' as const;
    const { n1, web, vip } = await startPair(inner, net, {
      n1: { onCertificateWanted: (identity, node) => node.send({ type: fail, identity, reason: 'away' }) },
    });
    await refused(inner, web, vip, 80);
    assert.equal((await n1.recorded(1))[0]?.flag, 'IDENTITY_ERROR');
  });
});

test('a new pod is reached by its very first connection: the peer proxy waits until it knows it', async (context) => {
  const fresh = `127.${net}.2.50`;
  const { n1, n2, web, apply } = await startPair(context, net, {
    n1: { podCidrs: [`127.${net}.1.0/24`], outbound: [{ host: fresh, port: 8080 }] },
    n2: { podCidrs: [`127.${net}.2.0/24`], hbone: [{ host: fresh, port: hbonePort }] },
  });
  await app(context, fresh, 8080, echo);
  const workloads = [pod('fresh', 'n2', fresh)];
  await n1.apply(update({ workloads }));
  const socket = await client(context, web, fresh, 8080);
  socket.end('first');
  const answer = readAll(socket);
  await until(() => (n2.thread.counters().ambient_connections_held ?? 0) === 1, 'the held session');
  await apply({ workloads });
  assert.equal((await answer).toString(), 'first');
});

test('a destination inside the mesh that is not known yet is waited for, not sent in the clear', async (context) => {
  const fresh = `127.${net}.2.51`;
  const { n1, web, apply } = await startPair(context, net, {
    n1: {
      podCidrs: [`127.${net}.1.0/24`],
      outbound: [{ host: fresh, port: 8080 }],
      config: { meshCidrs: [`127.${net}.0.0/16`], timeouts: { holdUnknownPodMs: 400 } },
    },
    n2: { podCidrs: [`127.${net}.2.0/24`], hbone: [{ host: fresh, port: hbonePort }] },
  });
  await app(context, fresh, 8080, echo);
  await refused(context, web, fresh, 8080);
  assert.equal((await n1.recorded(1))[0]?.flag, 'UNKNOWN_DESTINATION');
  const socket = await client(context, web, fresh, 8080);
  socket.end('first');
  const answer = readAll(socket);
  await until(() => (n1.thread.counters().ambient_connections_held ?? 0) === 1, 'the held connection');
  await apply({ workloads: [pod('fresh', 'n2', fresh)] });
  assert.equal((await answer).toString(), 'first');
  assert.equal((await n1.recorded(2))[1]?.transport, 'mtls');
});

test('a tunnel port without an enrolled pod or a certificate behind it: reset, recorded', async (context) => {
  const fail = 'certificateFailed' as const;
  const without = (identity: string, to: TestNode): void => to.send({ type: fail, identity, reason: 'away' });
  for (const [title, node, more, flag] of [
    ['a pod of another node', 'n3', {}, 'UNKNOWN_DESTINATION'],
    ['no certificate', 'n2', { onCertificateWanted: without }, 'IDENTITY_ERROR'],
  ] as const) {
    await context.test(title, async (inner) => {
      const { n1, n2, web, vip, cartPod } = await startPair(inner, net, { n2: more });
      await n2.apply(update({ workloads: [{ ...cartPod, node }] }));
      await refused(inner, web, vip, 80);
      assert.equal((await n2.recorded(1))[0]?.flag, flag);
      assert.notEqual((await n1.recorded(1))[0]?.flag, '-');
    });
  }
});

test('sessions to a pod that was replaced are not used again', async (context) => {
  const { n1, web, cart, vip, cartPod, apply } = await startPair(context, net);
  await app(context, cart, 8080, echo);
  for (const round of [1, 2]) {
    const socket = await client(context, web, vip, 80);
    socket.end('x');
    await readAll(socket);
    assert.equal((await n1.snapshot()).counters.ambient_tunnel_client_sessions_opened_total, round);
    await apply({ removedAddresses: [cartPod.uid] });
    await apply({ workloads: [cartPod] });
  }
});

test('drain: no new connection, running ones may end, the rest is reset at the deadline', async (context) => {
  const { n1, web, cart, vip } = await startPair(context, net);
  await app(context, cart, 8080, echo);
  const [quick, slow] = await Promise.all([client(context, web, vip, 80), client(context, web, vip, 80)]);
  for (const socket of [quick, slow]) {
    socket.write('x');
    await read(socket, 1);
  }
  n1.send({ type: 'drain', deadlineMs: 300 });
  await n1.snapshot();
  await refused(context, web, vip, 80);
  quick.end('y');
  assert.equal((await readAll(quick)).toString(), 'y');
  await resetOf(slow);
  assert.equal(await n1.drained, 1);
  assert.deepEqual((await n1.recorded(2)).map(({ flag }) => flag).sort(), ['-', 'DRAIN']);
});
