// Spans of requests through a real service on loopback, as a receiver of OTLP gets them over HTTP.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type RequestListener } from 'node:http';
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import type { Verdict } from '../exchange/context.ts';
import { retryOf } from '../exchange/testing-service.ts';
import { tracedScene } from './testing-traced-scene.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
/** Keeps the headers that it was asked with. */
function hears(into: Record<string, unknown>[], ...statuses: number[]): RequestListener {
  let at = 0;
  return (request, response) => {
    into.push(request.headers);
    response.statusCode = statuses[Math.min(at++, statuses.length - 1)] ?? 200;
    response.end('ok');
  };
}

test('one span for the request and one for its try, by the names of the conventions', async (t) => {
  const heard: Record<string, unknown>[] = [];
  const { ask, spans, tracer } = await tracedScene(t, { endpoints: [hears(heard)] });
  const headers = { host: 'cart.shop:8080', 'user-agent': 'curl/8', authorization: 'Bearer SECRET', cookie: 'SECRET' };
  await ask('/items/7?token=SECRET', { headers });
  const [server, client, ...others] = await spans();
  assert.deepEqual(others, []);
  assert.ok(server !== undefined && client !== undefined);
  assert.deepEqual([server.kind, client.kind, server.name], ['server', 'client', 'GET']);
  assert.deepEqual([server.parentId, client.parentId, client.traceId], ['', server.spanId, server.traceId]);
  assert.equal(heard[0]!.traceparent, `00-${server.traceId}-${client.spanId}-01`);
  const { attributes } = server;
  assert.equal(attributes['http.request.method'], 'GET');
  assert.equal(attributes['url.path'], '/items/7');
  assert.equal(attributes['http.response.status_code'], 200);
  assert.equal(attributes['server.address'], 'cart.shop');
  assert.equal(attributes['server.port'], 8080);
  assert.equal(attributes['network.protocol.version'], '1.1');
  assert.equal(attributes['user_agent.original'], 'curl/8');
  assert.equal(attributes['ambient.route'], 'HTTPRoute/shop/cart#0');
  assert.equal(attributes['ambient.source.identity'], 'spiffe://cluster.local/ns/shop/sa/web');
  assert.equal(typeof attributes['ambient.segment.waypoint_us'], 'number');
  assert.equal(client.attributes['url.full'], 'http://cart.shop:8080/items/7');
  assert.equal(client.attributes['network.peer.address'], '127.0.0.1');
  assert.equal(client.attributes['ambient.destination.workload'], 'cart-0');
  assert.ok(client.startMs >= server.startMs && client.endMs <= server.endMs, 'the try is within the request');
  assert.ok(Math.abs(server.endMs - Date.now()) < 20_000, 'times are of the machine');
  assert.equal(server.resource['service.name'], 'wp');
  assert.equal(server.resource['k8s.pod.name'], 'wp-1');
  assert.doesNotMatch(JSON.stringify([server, client]), /SECRET/);
  assert.equal(tracer.counters().ambient_trace_spans_exported_total, 2);
});

interface ParentRow {
  readonly title: string;
  readonly headers: Readonly<Record<string, string>>;
  /** '' for a new trace, null for none. */
  readonly trace: string | null;
  readonly parent?: string;
  readonly state?: string;
  /** What the endpoint is told, with TRACE, SPAN (of the try) and SERVER filled in; undefined: not there. */
  readonly told: Readonly<Record<string, string | undefined>>;
}

const w3c = `00-${traceId}-${parentId}`;
const long = Array.from({ length: 40 }, (_, at) => `vendor${at}=x${'y'.repeat(20)}`).join(',');
const ownParent = { trace: traceId, parent: parentId };

const parentRows: readonly ParentRow[] = [
  {
    title: 'a sampled traceparent',
    headers: { traceparent: `${w3c}-01`, tracestate: 'a=b,c@d=e f' },
    ...ownParent,
    state: 'a=b,c@d=e f',
    told: { traceparent: '00-TRACE-SPAN-01', tracestate: 'a=b,c@d=e f', b3: undefined },
  },
  {
    title: 'one that is not sampled is not traced and passes untouched',
    headers: { traceparent: `${w3c}-00`, tracestate: long },
    trace: null,
    told: { traceparent: `${w3c}-00`, tracestate: long },
  },
  {
    title: 'a higher version is read as ours',
    headers: { traceparent: `01-${traceId}-${parentId}-01-more` },
    ...ownParent,
    told: { traceparent: '00-TRACE-SPAN-01' },
  },
  ...[
    `${w3c}`,
    `${w3c}-01-`,
    `ff-${traceId}-${parentId}-01`,
    `00-${'0'.repeat(32)}-${parentId}-01`,
    'x'.repeat(9_000),
  ].map((traceparent) => ({
    title: `a new trace instead of ${traceparent.slice(0, 60)}`,
    headers: { traceparent, tracestate: 'a=b' },
    trace: '',
    told: { traceparent: '00-TRACE-SPAN-01', tracestate: undefined },
  })),
  ...[long, 'a=b,=', 'A=b', `a=${'b'.repeat(257)}`].map((tracestate) => ({
    title: `a tracestate that cannot be taken is left out: ${tracestate.slice(0, 20)}`,
    headers: { traceparent: `${w3c}-01`, tracestate },
    ...ownParent,
    told: { traceparent: '00-TRACE-SPAN-01', tracestate: undefined },
  })),
  {
    title: 'B3 in one header',
    headers: { b3: `${traceId}-${parentId}-1` },
    ...ownParent,
    told: { b3: 'TRACE-SPAN-1-SERVER', traceparent: undefined },
  },
  {
    title: 'B3 with a short trace id, debug and a parent',
    headers: { b3: `8448eb211c80319c-${parentId}-d-05e3ac9a4f6e3b90` },
    trace: '00000000000000008448eb211c80319c',
    parent: parentId,
    told: { b3: 'TRACE-SPAN-1-SERVER' },
  },
  { title: 'B3 says no', headers: { b3: '0' }, trace: null, told: { b3: '0', traceparent: undefined } },
  { title: 'B3 that leaves it open', headers: { b3: `${traceId}-${parentId}` }, ...ownParent, told: {} },
  { title: 'B3 that is nonsense', headers: { b3: 'x-y-z' }, trace: '', told: { b3: 'TRACE-SPAN-1-SERVER' } },
  {
    title: 'B3 in several headers',
    headers: { 'x-b3-traceid': traceId.toUpperCase(), 'x-b3-spanid': parentId, 'x-b3-sampled': '1' },
    ...ownParent,
    told: {
      'x-b3-traceid': 'TRACE',
      'x-b3-spanid': 'SPAN',
      'x-b3-parentspanid': 'SERVER',
      'x-b3-sampled': '1',
      traceparent: undefined,
    },
  },
  {
    title: 'B3 in several headers says no',
    headers: { 'x-b3-traceid': traceId, 'x-b3-spanid': parentId, 'x-b3-sampled': '0' },
    trace: null,
    told: { 'x-b3-spanid': parentId, 'x-b3-sampled': '0' },
  },
  {
    title: 'B3 flags say that it is debugged',
    headers: { 'x-b3-traceid': traceId, 'x-b3-spanid': parentId, 'x-b3-flags': '1' },
    ...ownParent,
    told: { 'x-b3-spanid': 'SPAN' },
  },
  {
    title: 'traceparent counts before B3, and both are kept in step',
    headers: { traceparent: `${w3c}-01`, b3: '1-2-0' },
    ...ownParent,
    told: { traceparent: '00-TRACE-SPAN-01', b3: 'TRACE-SPAN-1-SERVER' },
  },
];

for (const { title, headers, trace, parent = '', state = '', told } of parentRows) {
  test(`parents: ${title}`, async (t) => {
    const heard: Record<string, unknown>[] = [];
    const scene = await tracedScene(t, { endpoints: [hears(heard)] });
    await scene.ask('/', { headers });
    const [server, client] = await scene.spans();
    if (trace === null) assert.equal(server, undefined);
    else {
      assert.ok(server !== undefined && client !== undefined);
      if (trace !== '') assert.equal(server.traceId, trace);
      assert.match(server.traceId, /^(?!0{32})[0-9a-f]{32}$/);
      assert.deepEqual([server.parentId, server.state, client.state], [parent, state, state]);
      assert.equal(server.isParentRemote, parent !== '');
    }
    for (const [name, value] of Object.entries(told)) {
      const wanted = value
        ?.replace('TRACE', server?.traceId ?? '')
        .replace('SPAN', client?.spanId ?? '')
        .replace('SERVER', server?.spanId ?? '');
      assert.equal(heard[0]![name], wanted, name);
    }
  });
}

test('each try is a span with the reason for it, and the endpoint is told which', async (t) => {
  const heard: Record<string, unknown>[] = [];
  const cut: RequestListener = (request) => {
    heard.push(request.headers);
    request.socket.resetAndDestroy();
  };
  const replies = [hears(heard, 503), cut, hears(heard, 200)];
  const endpoint: RequestListener = (request, response) => replies[heard.length]!(request, response);
  const retry = retryOf({ attempts: 3, retryOn: ['5xx', 'reset'] });
  const { ask, spans } = await tracedScene(t, { endpoints: [endpoint], rule: { retry } });
  await ask('/');
  const [server, ...tries] = await spans();
  assert.equal(server!.attributes['ambient.tries'], 3);
  assert.equal(server!.isError, false);
  assert.deepEqual(
    tries.map(({ attributes }) => [
      attributes['http.response.status_code'],
      attributes['error.type'],
      attributes['ambient.retry.reason'],
      attributes['http.request.resend_count'],
    ]),
    [
      [503, '503', undefined, undefined],
      [undefined, 'PEER_RESET', 'status 503', 1],
      [200, undefined, 'connection-lost', 2],
    ],
  );
  assert.deepEqual(
    tries.map(({ isError }) => isError),
    [true, true, false],
  );
  assert.deepEqual(
    heard.map(({ traceparent }) => traceparent),
    tries.map(({ spanId }) => `00-${server!.traceId}-${spanId}-01`),
  );
  for (const one of tries) assert.equal(one.parentId, server!.spanId);
});

test('what the waypoint answers itself has a span and no try', async (t) => {
  const refused: Verdict = {
    allowed: false,
    status: 403,
    body: 'RBAC: access denied',
    challenge: '',
    decidedBy: 'shop/deny-web',
    claims: null,
    removeHeaders: [],
    setHeaders: [],
    target: null,
  };
  const judge = { judge: () => refused, rejudge: () => refused, isStale: () => false };
  const scene = await tracedScene(t, { endpoints: [], context: { judge } });
  await scene.ask('/secret');
  const [server, ...others] = await scene.spans();
  assert.deepEqual(others, []);
  const { attributes, isError } = server!;
  assert.deepEqual([attributes['ambient.flag'], attributes['ambient.policy']], ['DENY', 'shop/deny-web']);
  assert.deepEqual([attributes['http.response.status_code'], isError], [403, false]);
});

test('a redirect, a direct response', async (t) => {
  const action = { kind: 'direct', status: 418, body: 'tea', contentType: 'text/plain' } as const;
  const path = { kind: 'segments', value: '/tea', ignoreCase: false } as const;
  const scene = await tracedScene(t, { endpoints: [], rule: { action }, path });
  await scene.ask('/tea/pot');
  const [server, ...others] = await scene.spans();
  assert.deepEqual([others.length, server!.name, server!.attributes['http.route']], [0, 'GET /tea/*', '/tea/*']);
  assert.equal(server!.attributes['http.response.status_code'], 418);
});

test('no endpoint is an error of the waypoint', async (t) => {
  const scene = await tracedScene(t, { endpoints: [] });
  await scene.ask('/');
  const [server] = await scene.spans();
  const { attributes, isError } = server!;
  assert.deepEqual(
    [isError, attributes['error.type'], attributes['ambient.flag']],
    [true, 'NO_ENDPOINT', 'NO_ENDPOINT'],
  );
});

test('a call of gRPC is named as such, and its status is that of its trailers', async (t) => {
  const heard: IncomingHttpHeaders[] = [];
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    heard.push(headers);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
    stream.end();
  });
  const scene = await tracedScene(t, {
    endpoints: [server],
    protocol: 'grpc',
    rule: { retry: retryOf({ attempts: 0 }) },
  });
  const session = connect(`http://127.0.0.1:${scene.port}`);
  t.after(() => session.destroy());
  const traceparent = `${w3c}-01`;
  const call = { ':method': 'POST', ':path': '/shop.Cart/Add', 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request({ ...call, traceparent });
  stream.end(Buffer.alloc(5));
  stream.resume();
  await once(stream, 'close');
  const [server_, client] = await scene.spans();
  for (const span of [server_!, client!]) {
    const { attributes } = span;
    assert.deepEqual([span.name, span.isError], ['shop.Cart/Add', true]);
    assert.deepEqual([attributes['rpc.system'], attributes['rpc.service']], ['grpc', 'shop.Cart']);
    assert.deepEqual([attributes['rpc.method'], attributes['rpc.grpc.status_code']], ['Add', 14]);
    assert.deepEqual([attributes['http.response.status_code'], attributes['network.protocol.version']], [200, '2']);
  }
  assert.deepEqual([server_!.traceId, server_!.parentId], [traceId, parentId]);
  assert.equal(heard[0]!['traceparent'], `00-${traceId}-${client!.spanId}-01`);
});

test('a redirect of the mesh, and a client that leaves', async (t) => {
  const redirect = { scheme: 'https', authority: null, port: null, path: null, status: 301 } as const;
  const away = await tracedScene(t, { endpoints: [], rule: { action: { kind: 'redirect', redirect } as never } });
  assert.equal((await away.ask('/')).status, 301);
  const [span] = await away.spans();
  assert.deepEqual([span!.attributes['http.response.status_code'], span!.isError], [301, false]);
  const asked = Promise.withResolvers<void>();
  const silent: RequestListener = () => asked.resolve();
  const left = await tracedScene(t, { endpoints: [silent] });
  const gone = httpRequest({ port: left.port, host: '127.0.0.1', path: '/slow' });
  gone.on('error', () => {});
  gone.end();
  await asked.promise;
  gone.socket?.resetAndDestroy();
  while (left.records.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const [server, client] = await left.spans();
  assert.deepEqual([server!.isError, server!.attributes['ambient.flag']], [true, 'RESET_BY_SOURCE']);
  assert.equal(client!.attributes['error.type'], server!.attributes['error.type']);
});

test('a receiver that does not answer holds no request up, and what is lost is counted', async (t) => {
  const scene = await tracedScene(t, { endpoints: [hears([])] }, { queuedSpansMax: 10 });
  scene.receiver.reply = () => {};
  for (let at = 0; at < 20; at++) assert.equal((await scene.ask('/')).status, 200);
  const counters = scene.tracer.counters();
  assert.deepEqual(
    [counters['ambient_trace_spans_dropped_total/queue'], counters.ambient_trace_spans_queued],
    [30, 10],
  );
  await scene.tracer.close(1);
  assert.equal(scene.tracer.counters()['ambient_trace_spans_dropped_total/shutdown'], 10);
});

test('sampling: a share of what comes without a decision, by namespace; exemplars are of what was sent', async (t) => {
  const never = await tracedScene(t, { endpoints: [hears([])] }, { namespaces: { shop: 0 } });
  await never.ask('/');
  await never.ask('/', { headers: { traceparent: `${w3c}-01` } });
  const spans = await never.spans();
  assert.deepEqual([...new Set(spans.map((span) => span.traceId))], [traceId]);
  const [row] = never.counters.rows();
  assert.equal(row!.exemplar?.traceId, traceId);
  const own = { endpoints: [hears([])], tracePercent: 0 };
  const silent = await tracedScene(t, own, { namespaces: { shop: 100 } });
  await silent.ask('/');
  assert.deepEqual(await silent.spans(), []);
  const always = await tracedScene(t, { endpoints: [hears([])] }, { samplingPercent: 0, namespaces: { shop: 100 } });
  await always.ask('/');
  const [server] = await always.spans();
  assert.equal(always.counters.rows()[0]!.exemplar?.traceId, server!.traceId);
});
