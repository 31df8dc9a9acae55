import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { test } from 'node:test';
import { sceneOf } from './testing-service.ts';

test('a request and its answer pass, are counted and logged', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [
      (request, response) => {
        response.setHeader('x-seen', `${request.method} ${request.url} ${request.headers.host}`);
        response.end(JSON.stringify(request.headers));
      },
    ],
  });
  const { status, headers, body } = await scene.ask('/a?b=c', { headers: { host: 'cart', 'x-own': '1' } });
  assert.equal(status, 200);
  assert.equal(headers['x-seen'], 'GET /a?b=c cart');
  const seen = JSON.parse(body);
  assert.equal(seen['x-own'], '1');
  assert.match(seen['x-request-id'], /^[0-9a-f-]{36}$/);
  assert.match(seen.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.equal(seen['x-forwarded-proto'], 'http');
  assert.equal(seen['x-envoy-attempt-count'], '1');
  const [record] = scene.records;
  assert.deepEqual(
    [record?.method, record?.path, record?.status, record?.attempts, record?.flag, record?.route],
    ['GET', '/a', 200, 1, '-', 'HTTPRoute/shop/cart#0'],
  );
  assert.equal(record?.requestId, seen['x-request-id']);
  const [row] = scene.counters.rows();
  assert.deepEqual([row?.requests, row?.key.code, row?.key.destination.workload], [1, 200, 'cart-0']);
});

test('ids and traces of the client go on; what is missing is begun; its identity is told where that is on', async (t) => {
  const seen: Record<string, unknown>[] = [];
  const endpoints: RequestListener[] = [
    (request, response) => {
      seen.push(request.headers);
      response.end();
    },
  ];
  const plain = await sceneOf(t, { endpoints });
  const told = await sceneOf(t, { endpoints, limits: { forwardClientCert: true } });
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const b3 = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1';
  const forged = 'URI=spiffe://cluster.local/ns/shop/sa/admin';
  await plain.ask('/', { headers: { 'x-request-id': 'mine', traceparent: parent, tracestate: 'a=b' } });
  await plain.ask('/', { headers: { b3 } });
  await plain.ask('/', { headers: { 'x-b3-traceid': '1', 'x-b3-spanid': '2' } });
  await told.ask('/', { headers: { 'x-forwarded-client-cert': forged } });
  const names = ['x-request-id', 'traceparent', 'tracestate', 'b3', 'x-b3-traceid', 'x-forwarded-client-cert'];
  const rows = seen.map((headers) => names.map((name) => headers[name]));
  assert.deepEqual(rows[0], ['mine', parent, 'a=b', undefined, undefined, undefined]);
  assert.deepEqual(rows[1]!.slice(1), [undefined, undefined, b3, undefined, undefined]);
  assert.deepEqual(rows[2]!.slice(1), [undefined, undefined, undefined, '1', undefined]);
  assert.equal(rows[3]![5], 'URI=spiffe://cluster.local/ns/shop/sa/web', 'whatever the client said');
});

test('the answer says where the time went, when asked to', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [(_request, response) => void setTimeout(() => response.end('ok'), 30)],
    rule: { fault: { delay: { fraction: 1, delayMs: 60 }, abort: null } },
    serverTiming: true,
  });
  const { headers } = await scene.ask('/');
  const [, waypoint, application] =
    /^waypoint;dur=([\d.]+), application;dur=([\d.]+)$/.exec(String(headers['server-timing'])) ?? [];
  assert.ok(Number(waypoint) >= 59, `${waypoint} in the waypoint`);
  assert.ok(Number(application) >= 29, `${application} in the application`);
  const { segmentsMs, durationMs } = scene.records[0]!;
  assert.deepEqual([segmentsMs.clientProxy, segmentsMs.wire, segmentsMs.destinationProxy], [null, null, null]);
  assert.ok(Math.abs((segmentsMs.waypoint ?? 0) + (segmentsMs.application ?? 0) - durationMs) < 1);
});
