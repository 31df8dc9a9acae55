// Rows: a waypoint between two nodes: TCP with policy on the client's identity, HTTP, what it does not stand before,
// and an endpoint that cannot be reached.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pod, policy, port, rule, service, update } from '../../src/forward/testing-mesh.ts';
import { defaultHttpLimits } from '../../src/http/exchange/limits.ts';
import { defaultServiceRoutes, noRoutes } from '../../src/model/routes/route-defaults.ts';
import type { AppProtocol, MeshUpdate, Workload } from '../../src/model/types.ts';
import type { RequestRecord } from '../../src/telemetry/access-record.ts';
import { plainReceiver, TestReceiver } from '../../src/telemetry/traces/testing-receiver.ts';
import { waypointThread } from '../../src/waypoint/data-thread.ts';
import { app, appPortShift, client, echo, hbonePort, readAll, refused, TestNode } from './support/mesh.ts';
import { startPair } from './support/pair.ts';

const net = 47;
const key = 'shop/wp.shop.svc.cluster.local';
const identity = 'spiffe://cluster.local/ns/shop/sa/wp';
const webId = 'spiffe://cluster.local/ns/shop/sa/web';
const atWaypoint = { hostname: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' }, hbonePort: 15008 };

async function setUp(
  context: TestContext,
  protocol: AppProtocol,
  second?: Partial<Workload>,
  holdMs = 2_000,
  more: Readonly<Record<string, unknown>> = {},
) {
  const address = `127.${net}.3.4`;
  const wp = new TestNode(context, 'wp', {
    podCidrs: [],
    hbone: [{ host: address, port: hbonePort }],
    assemble: waypointThread,
    config: { timeouts: { holdUnknownPodMs: holdMs } },
    more: {
      waypoint: { namespace: 'shop', name: 'wp' },
      identity,
      addresses: [address],
      http: defaultHttpLimits,
      ...more,
    },
  });
  const vip = `127.${net}.96.1`;
  const ports = [{ servicePort: 80, targetPort: 8080, appProtocol: protocol }];
  const cartService = service('cart', vip, ports, { waypoint: atWaypoint });
  const wpPod = pod('wp', 'n3', address, { nativeTunnel: true, services: { [key]: [port(15008, hbonePort)] } });
  const services = [cartService, service('wp', `127.${net}.96.9`, [port(15008, hbonePort)])];
  const mesh = { workloads: [wpPod], services };
  const pair = await startPair(context, net, { mesh, ...(second === undefined ? {} : { second }) });
  const pods = [pair.webPod, pair.cartPod, wpPod, ...(second === undefined ? [] : [pair.cart2Pod])];
  await wp.apply(update({ workloads: pods, services, complete: true }));
  await wp.serving;
  const apply = async (change: Partial<MeshUpdate>): Promise<void> => {
    await Promise.all([pair.apply(change), wp.apply(update(change))]);
  };
  return { ...pair, wp, apply, cartService };
}

test('TCP: judged by the client, carried under the identity of the waypoint', async (context) => {
  const { n1, n2, wp, web, cart, vip, apply, cartService } = await setUp(context, 'tcp');
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, vip, 80);
  socket.end('hello');
  assert.equal((await readAll(socket)).toString(), 'hello');
  const [out] = await n1.recorded(1);
  const [between] = await wp.recorded(1);
  const [inbound] = await n2.recorded(1);
  assert.deepEqual([out?.destination.identity, out?.destination.workload], [identity, 'wp']);
  assert.equal(out?.destination.service, 'cart.shop.svc.cluster.local');
  assert.deepEqual([between?.source.identity, between?.source.workload], [webId, 'web']);
  assert.deepEqual([between?.destination.workload, between?.transport, between?.flag], ['cart', 'mtls', '-']);
  assert.equal(inbound?.source.identity, identity);
  const { edges } = await wp.snapshot();
  assert.deepEqual(
    edges.map(({ reporter, opened }) => [reporter, opened]),
    [['waypoint', 1]],
  );
  const principals = [{ kind: 'exact', value: webId.slice('spiffe://'.length) }] as const;
  const deny = policy('no-web', { action: 'deny', scope: 'workload', rules: [rule({ principals })] });
  await apply({ routes: [{ ...defaultServiceRoutes(cartService), policies: [deny] }] });
  await refused(context, web, vip, 80);
  const [, denied] = await wp.recorded(2);
  assert.deepEqual([denied?.flag, denied?.decidedBy], ['DENY', 'shop/no-web']);
});

test('TCP: an endpoint that cannot be reached is replaced by another', async (context) => {
  const { wp, web, cart2, vip } = await setUp(context, 'tcp', {});
  await app(context, cart2, 8080, echo);
  for (let at = 0; at < 4; at++) {
    const socket = await client(context, web, vip, 80);
    socket.end('hello');
    assert.equal((await readAll(socket)).toString(), 'hello');
  }
  const records = await wp.recorded(4);
  assert.ok(records.every(({ destination }) => destination.workload === 'cart2'));
});

test('HTTP: requests are served, and counted by the waypoint', async (context) => {
  const { wp, web, cart, vip } = await setUp(context, 'http1');
  const server = createServer((request, response) => response.end(`${request.method} ${request.url}`));
  await new Promise<void>((resolve) => server.listen(8080 + appPortShift, cart, resolve));
  context.after(() => server.close());
  const socket = await client(context, web, vip, 80);
  socket.write('GET /a?b HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n');
  const answer = (await readAll(socket)).toString();
  assert.match(answer, /^HTTP\/1.1 200 OK\r\n/);
  assert.match(answer, /GET \/a\?b/);
  const [record] = await wp.recorded(1);
  assert.deepEqual(
    [record?.kind, record?.status, record?.path, record?.source.identity],
    ['request', 200, '/a', webId],
  );
  const { requests } = await wp.snapshot();
  assert.deepEqual(
    requests?.map((row) => [row.key.reporter, row.requests]),
    [['waypoint', 1]],
  );
});

test('HTTP by the address of a pod: served, judged by what is put before the waypoint, and counted', async (context) => {
  const { n2, wp, web, cart, apply, cartPod } = await setUp(context, 'http1');
  await apply({ workloads: [{ ...cartPod, waypoint: atWaypoint }] });
  const server = createServer((request, response) => response.end(`${request.method} ${request.url}`));
  await new Promise<void>((resolve) => server.listen(8080 + appPortShift, cart, resolve));
  context.after(() => server.close());
  const ask = async (path: string): Promise<string> => {
    const socket = await client(context, web, cart, 8080);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n`);
    return (await readAll(socket)).toString();
  };
  assert.match(await ask('/a?b'), /^HTTP\/1.1 200 OK\r\n.*GET \/a\?b/s);
  const paths = [{ kind: 'exact', value: '/admin' }] as const;
  const deny = policy('no-admin', { action: 'deny', scope: 'workload', rules: [rule({ paths })] });
  await apply({ routes: [{ ...noRoutes(key), policies: [deny], podsOf: 'shop/wp' }] });
  assert.match(await ask('/admin'), /^HTTP\/1.1 403 Forbidden\r\n.*RBAC: access denied/s);
  assert.match(await ask('/other'), /^HTTP\/1.1 200 OK/);
  // A line that is being written when the log is flushed comes after those that waited.
  const records = (await wp.recorded(3)).sort((one, other) => Number(one.status) - Number(other.status));
  assert.deepEqual(
    records.map((one) => [one.kind, one.status, one.decidedBy, one.source.identity, one.destination.service]),
    [
      ['request', 200, null, webId, null],
      ['request', 200, null, webId, null],
      ['request', 403, 'shop/no-admin', webId, null],
    ],
  );
  const [first] = records as unknown as RequestRecord[];
  assert.deepEqual([first?.destination.workload, first?.route], ['cart', null]);
  const [inbound] = await n2.recorded(1);
  assert.equal(inbound?.source.identity, identity);
  const { requests = [] } = await wp.snapshot();
  const rows = requests.map(({ key: row, requests: count }) => [
    row.code,
    row.service,
    row.destination.workload,
    count,
  ]);
  assert.deepEqual(rows.sort(), [
    [200, '', 'cart', 2],
    [403, '', '', 1],
  ]);
});

test('TCP by the address of a pod: judged by what is put before the waypoint', async (context) => {
  const { wp, web, cart, apply, cartPod } = await setUp(context, 'tcp');
  const services = { 'shop/cart.shop.svc.cluster.local': [{ servicePort: 80, targetPort: 8080, appProtocol: 'tcp' }] };
  await apply({ workloads: [{ ...cartPod, waypoint: atWaypoint, services } as Workload] });
  await app(context, cart, 8080, echo);
  const socket = await client(context, web, cart, 8080);
  socket.end('hello');
  assert.equal((await readAll(socket)).toString(), 'hello');
  const principals = [{ kind: 'exact', value: webId.slice('spiffe://'.length) }] as const;
  const deny = policy('no-web', { action: 'deny', scope: 'workload', rules: [rule({ principals })] });
  await apply({ routes: [{ ...noRoutes(key), policies: [deny], podsOf: 'shop/wp' }] });
  await refused(context, web, cart, 8080);
  const [, denied] = await wp.recorded(2);
  assert.deepEqual([denied?.flag, denied?.decidedBy, denied?.destination.service], ['DENY', 'shop/no-web', null]);
});

test('what it does not stand before is refused', async (context) => {
  const { wp, web, vip, apply, cartService } = await setUp(context, 'tcp', undefined, 100);
  // The client's node has not heard of it yet.
  await wp.apply(update({ services: [{ ...cartService, waypoint: null }] }));
  await refused(context, web, vip, 80);
  const [record] = await wp.recorded(1);
  assert.match(record?.error ?? '', /another waypoint, or none/);
  await apply({ services: [{ ...cartService, ports: [port(81, 8080)] }] });
  const plain = connect(hbonePort, `127.${net}.3.4`);
  context.after(() => plain.destroy());
  plain.on('error', () => {});
  plain.end('GET / HTTP/1.1\r\n\r\n');
  const [, garbage] = await wp.recorded(2);
  assert.equal(garbage?.source.identity, null, 'who proves nothing gets nothing');
});

for (const protocol of ['tcp', 'http1'] as const) {
  test(`a client that knows of the waypoint first waits until the waypoint does: ${protocol}`, async (context) => {
    const { wp, web, cart, vip, cartService } = await setUp(context, protocol);
    const server = createServer((_request, response) => response.end('late'));
    await new Promise<void>((resolve) => server.listen(8080 + appPortShift, cart, resolve));
    context.after(() => server.close());
    await wp.apply(update({ services: [{ ...cartService, waypoint: null }] }));
    const socket = await client(context, web, vip, 80);
    socket.write('GET / HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n');
    while ((await wp.snapshot()).counters.ambient_connections_held !== 1) await nextTurn();
    await wp.apply(update({ services: [cartService] }));
    assert.match((await readAll(socket)).toString(), /late$/);
  });
}

test('a client that comes to a waypoint which is no longer in the way finds the other way', async (context) => {
  const { n1, wp, web, cart, vip, apply, cartService } = await setUp(context, 'tcp');
  await app(context, cart, 8080, echo);
  const direct = { services: [{ ...cartService, waypoint: null }] };
  await wp.apply(update(direct));
  const socket = await client(context, web, vip, 80);
  while ((await wp.snapshot()).counters.ambient_connections_held !== 1) await nextTurn();
  await apply(direct);
  socket.end('hello');
  assert.equal((await readAll(socket)).toString(), 'hello');
  const [record] = await n1.recorded(1);
  assert.deepEqual([record?.destination.workload, record?.attempts, record?.flag], ['cart', 2, '-']);
});

test('spans that wait are delivered within the drain', async (context) => {
  const receiver = new TestReceiver();
  const endpoint = await receiver.listen();
  context.after(() => receiver.close());
  const sampled = { ...plainReceiver, samplingPercent: 100, namespaces: {}, connections: false, queuedSpansMax: 100 };
  const more = { tracing: { ...sampled, endpoint }, podName: 'wp-1' };
  const { wp, web, cart, vip } = await setUp(context, 'http1', undefined, 2_000, more);
  const server = createServer((request, response) => response.end(request.headers.traceparent));
  await new Promise<void>((resolve) => server.listen(8080 + appPortShift, cart, resolve));
  context.after(() => server.close());
  const socket = await client(context, web, vip, 80);
  socket.write('GET / HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n');
  const answer = (await readAll(socket)).toString();
  const [record] = await wp.recorded(1);
  wp.send({ type: 'drain', deadlineMs: 20_000 });
  assert.equal(await wp.drained, 0);
  const [server_, attempt] = receiver.spans.sort((a, b) => b.kind.localeCompare(a.kind));
  assert.equal(record?.traceId, server_?.traceId);
  assert.equal(attempt?.parentId, server_?.spanId);
  assert.ok(answer.includes(`00-${record?.traceId}-${attempt?.spanId}-01`), answer);
  const { resource, attributes } = server_!;
  assert.deepEqual([resource['service.name'], resource['k8s.pod.name']], ['wp', 'wp-1']);
  for (const name of ['client_proxy_us', 'wire_us', 'waypoint_us', 'destination_proxy_us', 'application_us']) {
    assert.ok(Number.isInteger(attributes[`ambient.segment.${name}`]), name);
  }
});
