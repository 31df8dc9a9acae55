// HTTP through a waypoint, over real sockets: routes, filters, retries and policy, as curl, grpc-js and a WebSocket
// client see them. What happens under load is in `http-traffic.test.ts`.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { RequestRecord, RequestSegments } from '../../src/telemetry/access-record.ts';
import { document, node1, node2, pod, startLab, type TestLab } from './harness.ts';
import {
  backend,
  destinationRule,
  HttpClient,
  httpRoute,
  httpScene,
  httpService,
  jsonLog,
  metricsOf,
  seenBy,
  setFaults,
  space,
  sumOf,
  virtualService,
  waypoint,
  waypointPods,
} from './http-scene.ts';

const timeout = { timeout: 60_000 };
const prefix = (value: string): object => ({ path: { type: 'PathPrefix', value } });

const routed = httpRoute('routed', [
  { matches: [{ headers: [{ name: 'x-canary', value: 'yes' }] }], backendRefs: [backend('v3')] },
  { matches: [prefix('/two')], backendRefs: [backend('v2')] },
  { matches: [{ method: 'DELETE' }], backendRefs: [backend('v2')] },
  { matches: [{ queryParams: [{ name: 'q', value: 'three' }] }], backendRefs: [backend('v3')] },
  { matches: [{ path: { type: 'Exact', value: '/nowhere' } }], backendRefs: [backend('v1', 0)] },
  { matches: [{ path: { type: 'Exact', value: '/missing' } }], backendRefs: [backend('there-is-none')] },
  { backendRefs: [backend('v1')] },
]);

// A pattern comes after every prefix, `/` too: it has a service of its own.
const patterns = httpRoute('patterns', [
  { matches: [{ path: { type: 'RegularExpression', value: '/item/[0-9]+' } }], backendRefs: [backend('v3')] },
]);

const filtered = httpRoute('filtered', [
  {
    matches: [prefix('/headers')],
    filters: [
      {
        type: 'RequestHeaderModifier',
        requestHeaderModifier: {
          set: [{ name: 'x-set', value: 'mesh' }],
          add: [{ name: 'x-add', value: 'more' }],
          remove: ['x-secret'],
        },
      },
      { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'x-answer', value: '42' }] } },
    ],
    backendRefs: [backend('v1')],
  },
  {
    matches: [prefix('/old')],
    filters: [
      {
        type: 'RequestRedirect',
        requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' }, statusCode: 301 },
      },
    ],
  },
  {
    matches: [prefix('/rewrite')],
    filters: [
      { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/written' } } },
    ],
    backendRefs: [backend('v1')],
  },
  {
    matches: [prefix('/mirror')],
    filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'v3', port: 80 } } }],
    backendRefs: [backend('v2')],
  },
  { matches: [prefix('/slow')], timeouts: { request: '300ms' }, backendRefs: [backend('v1')] },
]);

const retried = virtualService('retried', [
  {
    route: [{ destination: { host: 'retried' } }],
    retries: { attempts: 2, retryOn: '5xx', backoff: '1ms' },
  },
]);
/** Sequential requests have little in flight: the usual budget would be the three per second. */
const generous = document({
  apiVersion: 'ambient.mesh/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: { name: 'generous', namespace: space },
  spec: {
    targetRefs: ['retried', 'posts'].map((name) => ({ kind: 'Service', name })),
    retryBudget: { percent: 100, perSecond: 1000 },
  },
});
const retriedEvenPosts = virtualService(
  'posts',
  [{ route: [{ destination: { host: 'posts' } }], retries: { attempts: 2, retryOn: '5xx', backoff: '1ms' } }],
  { 'ambient.mesh/retry-non-idempotent': 'true' },
);

const limited =
  httpService('limited') +
  document({
    apiVersion: 'ambient.mesh/v1alpha1',
    kind: 'RateLimitPolicy',
    metadata: { name: 'limited', namespace: space },
    spec: {
      targetRefs: [{ kind: 'Service', name: 'limited' }],
      limits: [{ by: [{ type: 'Header', name: 'x-user' }], requests: 3, per: 'Hour' }],
    },
  });

const authorized =
  httpService('authorized') +
  document({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'authorized', namespace: space },
    spec: {
      targetRefs: [{ group: '', kind: 'Service', name: 'authorized' }],
      rules: [
        { to: [{ operation: { methods: ['GET'], paths: ['/open/*'] } }] },
        {
          from: [{ source: { principals: ['cluster.local/ns/default/sa/client'] } }],
          to: [{ operation: { methods: ['POST'], paths: ['/{*}/orders'] } }],
        },
      ],
    },
  });

const keys = await generateKeyPair('ES256', { extractable: true });
const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256' }] });

function tokenOf(claims: JWTPayload): Promise<string> {
  const token = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k1' });
  return token.setIssuer('https://issuer.example').setIssuedAt().setExpirationTime('1h').sign(keys.privateKey);
}

const targets = [{ group: '', kind: 'Service', name: 'tokens' }];
const tokens =
  httpService('tokens') +
  document({
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'tokens', namespace: space },
    spec: { targetRefs: targets, jwtRules: [{ issuer: 'https://issuer.example', jwks }] },
  }) +
  document({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'tokens', namespace: space },
    spec: {
      targetRefs: targets,
      rules: [{ when: [{ key: 'request.auth.claims[groups]', values: ['admins'] }] }],
    },
  });

const manifests =
  httpScene +
  pod('grpc', { node: node2, namespace: space, labels: { app: 'grpc' } }) +
  httpService('plain') +
  httpService('timed', { version: 'v1' }, 'http', { annotations: { 'ambient.mesh/server-timing': 'true' } }) +
  httpService('unnamed', { serves: 'echo' }, '') +
  httpService('split') +
  httpRoute('split', [{ backendRefs: [backend('v1', 90), backend('v2', 10)] }]) +
  httpService('routed') +
  routed +
  httpService('patterns') +
  patterns +
  httpService('filtered') +
  filtered +
  httpService('retried', { version: 'v1' }) +
  retried +
  httpService('posts', { version: 'v1' }) +
  retriedEvenPosts +
  generous +
  httpService('probed') +
  destinationRule('probed', {
    outlierDetection: { consecutive5xxErrors: 3, interval: '1s', baseEjectionTime: '60s' },
  }) +
  httpService('grpc', { app: 'grpc' }, 'grpc') +
  limited +
  authorized +
  tokens;

/** The figures of a record, as `server-timing` and the histograms call them. */
const timingNames = {
  clientProxy: 'client-proxy',
  wire: 'wire',
  waypoint: 'waypoint',
  destinationProxy: 'destination-proxy',
  application: 'application',
} as const;
const segmentLabels = { ...timingNames, clientProxy: 'client_proxy', destinationProxy: 'destination_proxy' } as const;

/** `name;dur=MS, …`. */
function serverTiming(text: string): Map<string, number> {
  return new Map([...text.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name = '', ms]) => [name, Number(ms)]));
}

describe('HTTP through a waypoint', () => {
  let lab: TestLab;
  let client: HttpClient;

  before(async () => {
    lab = await startLab(manifests, jsonLog);
    const [ours, server] = await Promise.all([HttpClient.in(lab, 'client'), HttpClient.in(lab, 'grpc')]);
    client = ours;
    await server.agent.call({ op: 'serveGrpc', port: 8080 });
  });
  after(() => lab?.close());

  test('HTTP/1.1, HTTP/2 with prior knowledge, upgrades, 100-continue', timeout, async () => {
    const one = await client.curl('http://plain/path?q=1', `-H 'X-Mine: a' -H 'X-Mine: b'`);
    assert.deepEqual([one.status, one.version, one.json.path], [200, 'HTTP/1.1', '/path?q=1']);
    assert.deepEqual(one.json.headers['X-Mine'], ['a', 'b'], 'repeated headers are kept, in their case');
    for (const host of ['plain', 'unnamed']) {
      const two = await client.curl(`http://${host}/two`, '--http2-prior-knowledge');
      assert.deepEqual([two.status, two.version, two.json.path], [200, 'HTTP/2', '/two'], host);
    }
    const big = await client.curl(
      'http://plain/',
      `-H 'expect: 100-continue' -d "$(head -c 100000 /dev/zero | tr '\\0' x)"`,
    );
    assert.deepEqual([big.status, big.json.body.bytes], [200, 100_000]);
    const connect = await client.curl('http://plain/', '-X CONNECT --request-target example.org:443');
    assert.equal(connect.status, 405);
  });

  test('routes by header, path, method, query and pattern, and what leads nowhere', timeout, async () => {
    const podOf = async (path: string, options = ''): Promise<string> =>
      (await client.curl(`http://routed${path}`, options)).json?.pod;
    const rows = [
      ['/', '', 'v1'],
      ['/two', '', 'v2'],
      ['/two/more', '', 'v2'],
      ['/twofold', '', 'v1'],
      ['/', `-H 'X-Canary: yes'`, 'v3'],
      ['/', '-X DELETE', 'v2'],
      ['/?q=three', '', 'v3'],
    ] as const;
    for (const [path, options, expected] of rows) assert.equal(await podOf(path, options), expected, path + options);
    assert.equal((await client.curl('http://patterns/item/42')).json?.pod, 'v3');
    assert.equal((await client.curl('http://patterns/item/x')).status, 404, 'routes are attached, and none matches');
    assert.equal((await client.curl('http://routed/nowhere')).status, 500);
    assert.equal((await client.curl('http://routed/missing')).status, 500);
  });

  test('weights hold per request, not per connection', timeout, async () => {
    const { statuses, pods } = await client.burst({ url: 'http://split/', count: 400, concurrency: 4 });
    assert.deepEqual(statuses, { 200: 400 });
    // Five standard deviations: 90 % of 400 is 360 +- 6.
    assert.ok(pods.v1! > 330 && pods.v1! < 390, JSON.stringify(pods));
    assert.equal(pods.v1! + pods.v2!, 400);
  });

  test('header filters, redirect, rewrite', timeout, async () => {
    const { json, headers } = await client.curl('http://filtered/headers', `-H 'X-Secret: s' -H 'X-Add: first'`);
    const sent = new Map(Object.entries(json.headers).map(([name, value]) => [name.toLowerCase(), value]));
    assert.deepEqual(
      [sent.get('x-set'), sent.get('x-add'), sent.get('x-secret')],
      [['mesh'], ['first', 'more'], undefined],
    );
    assert.equal(headers.get('x-answer'), '42');
    const moved = await client.curl('http://filtered/old/page?q=1');
    assert.deepEqual([moved.status, moved.headers.get('location')], [301, 'http://filtered/new/page?q=1']);
    assert.equal((await client.curl('http://filtered/rewrite/a')).json.path, '/written/a');
  });

  test('a mirror sees what the backend sees; its answer is thrown away', timeout, async () => {
    const before = await seenBy(lab, client, 'v3');
    const { pods } = await client.burst({ url: 'http://filtered/mirror', count: 20, concurrency: 2 });
    assert.deepEqual(pods, { v2: 20 });
    const deadline = Date.now() + 10_000;
    while ((await seenBy(lab, client, 'v3')) < before + 20) assert.ok(Date.now() < deadline, 'all were mirrored');
    assert.equal(await seenBy(lab, client, 'v3'), before + 20);
  });

  test('a time-out is 504, and the next request is fine', timeout, async () => {
    const late = await client.curl('http://filtered/slow?delay=5s', `-w '%{time_total}'`);
    assert.equal(late.status, 504);
    assert.equal((await client.curl('http://filtered/slow')).status, 200);
  });

  afterEach(() => Promise.all(['v1', 'v2'].map((name) => setFaults(lab, client, name, 'fail-one-in=0'))));

  test('a GET that failed is sent again; a POST is not, unless a key or the author says so', timeout, async () => {
    await setFaults(lab, client, 'v1', 'fail-one-in=2');
    const gets = await client.burst({ url: 'http://retried/', count: 20, concurrency: 1 });
    assert.deepEqual(gets.statuses, { 200: 20 });
    const books = async () => (await client.curl(`http://${await lab.addressOf('v1', space)}:8080/charges`)).json;
    const charge = async (host: string, order: string, key = ''): Promise<number> => {
      const keyed = key === '' ? '' : `-H 'idempotency-key: ${key}'`;
      return (await client.curl(`http://${host}/charge`, `-X POST -H 'x-order-id: ${order}' ${keyed}`)).status;
    };
    await setFaults(lab, client, 'v1', 'fail-one-in=1&fail-when=after');
    const before = await books();
    assert.equal(await charge('retried', 'alone'), 503, 'the answer of the application');
    assert.equal((await books()).requests, before.requests + 1, 'sent once');
    assert.equal(await charge('retried', 'keyed', 'k1'), 503);
    const keyed = await books();
    assert.deepEqual([keyed.requests, keyed.charges], [before.requests + 4, before.charges + 2], 'sent three times');
    assert.deepEqual(keyed.chargedTwice, [], 'and charged once, since the service keeps the contract of the key');
    assert.equal(await charge('posts', 'annotated'), 503);
    const told = await books();
    assert.equal(told.requests, before.requests + 7, 'the author said so');
    assert.deepEqual(told.chargedTwice, ['annotated'], 'and has what he asked for');
  });

  test('failing probes eject nobody', timeout, async () => {
    await setFaults(lab, client, 'v2', 'fail-one-in=1');
    const probes = await client.burst({
      url: 'http://probed/',
      count: 40,
      headers: { 'user-agent': 'kube-probe/1.34' },
    });
    assert.ok((probes.statuses[503] ?? 0) > 5, JSON.stringify(probes.statuses));
    await setFaults(lab, client, 'v2', 'fail-one-in=0');
    const { pods, statuses } = await client.burst({ url: 'http://probed/', count: 60 });
    assert.deepEqual(statuses, { 200: 60 });
    assert.ok(pods.v2! > 5, `v2 is in rotation: ${JSON.stringify(pods)}`);
  });

  test('where the time went: what is slow is seen in its figure', timeout, async () => {
    let asked = 0;
    let told = new Map<string, number>();
    /** Asks v1 on node 2; `meanwhile` goes on beside that. */
    const segments = async (query = '', meanwhile = async () => {}): Promise<RequestSegments> => {
      const path = `/time-${++asked}`;
      const asking = client.curl(`http://timed${path}${query}`);
      await meanwhile();
      const answer = await asking;
      assert.equal(answer.status, 200);
      told = serverTiming(answer.headers.get('server-timing') ?? '');
      assert.deepEqual([...told.keys()], Object.values(timingNames));
      for (;;) {
        const records = await lab.accessLog({ waypoint: waypoint.name, namespace: space });
        const found = records.find((record) => record.path === path) as RequestRecord | undefined;
        if (found === undefined) continue;
        const sum = Object.values(found.segmentsMs).reduce((total: number, ms) => total + (ms ?? Number.NaN), 0);
        assert.ok(Math.abs(sum - found.durationMs) < 1, JSON.stringify(found));
        return found.segmentsMs;
      }
    };
    const isIn = async (name: keyof RequestSegments, ask: () => Promise<RequestSegments>): Promise<void> => {
      // A busy machine stands still at times: one of three has to be as it should.
      let figures = await ask();
      const isSo = (): boolean =>
        figures[name]! >= 300 && Object.values(figures).every((ms) => ms === figures[name] || ms! < figures[name]! / 2);
      for (let left = 2; left > 0 && !isSo(); left--) figures = await ask();
      assert.ok(isSo(), `${name}: ${JSON.stringify(figures)}`);
      assert.ok(told.get(timingNames[name])! >= 300, `server-timing of ${name}: ${JSON.stringify([...told])}`);
    };
    const stopped = async (node: string): Promise<RequestSegments> => {
      const part = { kind: 'node', name: node } as const;
      await segments();
      await lab.client.fault({ type: 'stop', part });
      return segments('', async () => {
        // Nobody can see when the request has got as far as the proxy that stands still.
        await new Promise((resolve) => setTimeout(resolve, 600));
        await lab.client.fault({ type: 'cont', part });
      });
    };
    await segments();
    await isIn('application', () => segments('?delay=600ms'));
    await isIn('clientProxy', () => stopped(node1));
    await isIn('destinationProxy', () => stopped(node2));
    await lab.client.fault({ type: 'delay', node: node2, delayMs: 300 });
    await isIn('wire', () => segments());
    await lab.client.fault({ type: 'heal' });
    const metrics = await metricsOf(lab, client, (await waypointPods(lab))[0]!);
    for (const [field, segment] of Object.entries(segmentLabels)) {
      const label = `segment="${segment}"`;
      assert.ok(sumOf(metrics, 'ambient_request_segment_seconds_count', label) > 0, field);
      if (field === 'waypoint') continue;
      assert.ok(sumOf(metrics, 'ambient_request_segment_seconds_sum', label) >= 0.3, field);
    }
  });

  test("requests are counted under Istio's names, and for canary tools as the destination's too", timeout, async () => {
    await client.burst({ url: 'http://v3/counted', count: 5, method: 'POST' });
    assert.equal((await client.unary('grpc:80', 'counted')).code, 0);
    const long = await client.curl(`http://v3/${'a'.repeat(20_000)}`);
    assert.equal(long.status, 414);
    const metrics = await metricsOf(lab, client, (await waypointPods(lab))[0]!);
    assert.equal(sumOf(metrics, 'ambient_limit_rejections_total', 'limit="uriBytesMax"'), 1);
    const ends = [
      'source_workload="client"',
      `source_workload_namespace="${space}"`,
      `source_principal="spiffe://cluster.local/ns/${space}/sa/client"`,
      'destination_workload="v3"',
      `destination_principal="spiffe://cluster.local/ns/${space}/sa/v3"`,
      `destination_service="v3.${space}.svc.cluster.local"`,
      'destination_service_name="v3"',
      'request_protocol="http"',
      'response_code="200"',
      'connection_security_policy="mutual_tls"',
    ];
    for (const reporter of ['reporter="waypoint"', 'reporter="destination"']) {
      for (const name of [
        'istio_requests_total',
        'istio_request_duration_milliseconds_count',
        'istio_response_bytes_count',
      ]) {
        assert.ok(sumOf(metrics, name, reporter, ...ends) >= 5, `${name} ${reporter}`);
      }
      const grpc = [reporter, 'request_protocol="grpc"', 'grpc_response_status="0"'];
      assert.ok(sumOf(metrics, 'istio_request_messages_total', ...grpc) >= 1, reporter);
      assert.ok(sumOf(metrics, 'istio_response_messages_total', ...grpc) >= 1, reporter);
    }
  });

  test('gRPC: unary, metadata and trailers, errors, deadlines, streams', timeout, async () => {
    const fine = await client.unary('grpc:80', 'hello', { mine: 'meta' });
    assert.deepEqual([fine.code, fine.text], [0, 'hello']);
    assert.deepEqual([fine.trailers['x-trailer'], fine.trailers['x-saw']], ['at the end', 'meta']);
    const failed = await client.unary('grpc:80', 'fail');
    assert.deepEqual([failed.code, failed.text, failed.trailers['x-trailer']], [9, 'not now: ü', 'at the end']);
    const late = await client.unary('grpc:80', 'hang', { deadlineMs: 300 });
    assert.equal(late.code, 4, late.text);
    const { group } = await client.agent.call({ op: 'openStreams', target: 'grpc:80', count: 3 });
    await client.agent.call({ op: 'sayOnStreams', group, text: 'again' });
    assert.deepEqual(await client.agent.call({ op: 'closeStreams', group }), { codes: { 0: 3 } });
  });

  test('WebSocket', timeout, async () => {
    const { socket, protocol } = await client.agent.call({ op: 'openSocket', url: 'ws://plain/ws' });
    assert.equal(protocol, 'echo');
    for (const text of ['short', 'x'.repeat(100_000)]) {
      assert.deepEqual(await client.agent.call({ op: 'sayOnSocket', socket, text }), { text });
    }
    assert.deepEqual(await client.agent.call({ op: 'closeSocket', socket }), { code: 1000, wasClean: true });
  });

  test('authorization by method, path template and identity', timeout, async () => {
    const statusOf = async (path: string, options = ''): Promise<number> =>
      (await client.curl(`http://authorized${path}`, options)).status;
    assert.equal(await statusOf('/open/door'), 200);
    assert.equal(await statusOf('/open/door', '-X PUT'), 403);
    assert.equal(await statusOf('/shut'), 403);
    assert.equal(await statusOf('/open/../shut', '--path-as-is'), 403, 'paths are made canonical first');
    assert.equal(await statusOf('/acme/orders', '-X POST'), 200);
    assert.equal(await statusOf('/acme/more/orders', '-X POST'), 403);
    const record = (await lab.accessLog({ waypoint: waypoint.name, namespace: space })).findLast(
      (each) => each.status === 403,
    );
    assert.equal(record?.flag, 'DENY');
  });

  test('tokens: none is 403, a bad one 401, a good one counts by its claims', timeout, async () => {
    const statusOf = async (token: string | null): Promise<number> =>
      (await client.curl('http://tokens/', token === null ? '' : `-H 'authorization: Bearer ${token}'`)).status;
    assert.equal(await statusOf(null), 403);
    assert.equal(await statusOf('not.a.token'), 401);
    assert.equal(await statusOf(await tokenOf({ groups: ['guests'] })), 403);
    assert.equal(await statusOf(await tokenOf({ groups: ['guests', 'admins'] })), 200);
  });

  test('rate limits by header: 429 with its headers', timeout, async () => {
    const asUser = (user: string) => client.curl('http://limited/', `-H 'x-user: ${user}'`);
    for (let n = 0; n < 3; n++) assert.equal((await asUser('ann')).status, 200);
    const over = await asUser('ann');
    assert.equal(over.status, 429);
    assert.ok(Number(over.headers.get('retry-after')) > 0, [...over.headers].join('; '));
    assert.equal((await asUser('bob')).status, 200);
  });
});
