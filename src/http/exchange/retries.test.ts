// Which tries are made again, over real connections: what fails, how often, and what the application sees of it.
import assert from 'node:assert/strict';
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http';
import { connect as connectSocket, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { MeshError } from '../../base/errors.ts';
import type { RouteRule } from '../../model/route-types.ts';
import { defaultConnectionPool, defaultRetry } from '../../model/routes/route-defaults.ts';
import { type AskOptions, listen, noTimeouts, retryOf, sceneOf } from './testing-service.ts';

/** Takes the whole request and then cuts the connection. */
const cuts: RequestListener = (request) => {
  request.resume();
  request.on('end', () => request.socket.resetAndDestroy());
};

function answers(status: number, seen: string[] = []): RequestListener {
  return (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      seen.push(`${request.method} ${body} ${request.headers['x-envoy-attempt-count']}`);
      response.statusCode = status;
      response.end(`${status}`);
    });
  };
}

interface Row {
  readonly title: string;
  /** What the endpoint does with the first requests; from the last one on it repeats. */
  readonly does: readonly ('cut' | number)[];
  readonly retry: Parameters<typeof retryOf>[0];
  readonly rule?: Partial<RouteRule>;
  readonly ask?: AskOptions;
  readonly status: number;
  readonly requests: number;
  readonly flag: string;
}

/** Whoever is quicker. */
const inTurns = { algorithm: 'round-robin', hash: null, localityPreference: [], slowStart: null } as const;
const on5xx = { attempts: 2, retryOn: ['5xx'] };
const post = { method: 'POST', body: 'charge' };

const rows: readonly Row[] = [
  { title: 'a 503 is tried again when asked for', does: [503, 200], retry: on5xx, status: 200, requests: 2, flag: '-' },
  { title: 'a 503 is passed on by default', does: [503], retry: {}, status: 503, requests: 1, flag: '-' },
  { title: 'tries end', does: [503], retry: on5xx, status: 503, requests: 3, flag: 'RETRY_LIMIT' },
  { title: 'no tries', does: [503], retry: { ...on5xx, attempts: 0 }, status: 503, requests: 1, flag: '-' },
  {
    title: 'a cut GET',
    does: ['cut', 200],
    retry: { attempts: 1, retryOn: ['reset'] },
    status: 200,
    requests: 2,
    flag: '-',
  },
  {
    title: 'a pod that ends while it is asked costs no GET, whatever the route says',
    does: ['cut', 200],
    retry: defaultRetry,
    status: 200,
    requests: 2,
    flag: '-',
  },
  {
    title: 'and a POST is not sent twice by that',
    does: ['cut', 200],
    retry: defaultRetry,
    ask: post,
    status: 503,
    requests: 1,
    flag: 'RESET_BY_DESTINATION',
  },
  {
    title: 'a code of the list',
    does: [418, 200],
    retry: { attempts: 1, retryOn: ['retriable-status-codes'], statuses: [418] },
    status: 200,
    requests: 2,
    flag: '-',
  },
  {
    title: 'a POST that was answered 503 is not sent twice',
    does: [503],
    retry: on5xx,
    ask: post,
    status: 503,
    requests: 1,
    flag: '-',
  },
  {
    title: 'a POST whose bytes have left is not sent twice',
    does: ['cut'],
    retry: { attempts: 2, retryOn: ['5xx', 'reset'] },
    ask: post,
    status: 503,
    requests: 1,
    flag: 'RESET_BY_DESTINATION',
  },
  {
    title: 'a POST is sent twice when the route says so',
    does: ['cut', 200],
    retry: { ...on5xx, nonIdempotent: true },
    ask: post,
    status: 200,
    requests: 2,
    flag: '-',
  },
  {
    title: 'a POST with an idempotency key',
    does: [503, 200],
    retry: on5xx,
    ask: { ...post, headers: { 'idempotency-key': '1' } },
    status: 200,
    requests: 2,
    flag: '-',
  },
  {
    title: 'an earlier hop tries again already',
    does: [503],
    retry: on5xx,
    ask: { headers: { 'x-envoy-attempt-count': '2' } },
    status: 503,
    requests: 1,
    flag: '-',
  },
  {
    title: 'tries upon tries, when told',
    does: [503, 200],
    retry: { ...on5xx, evenIfRetried: true },
    ask: { headers: { 'x-envoy-attempt-count': '2' } },
    status: 200,
    requests: 2,
    flag: '-',
  },
];

for (const row of rows) {
  test(row.title, async (t) => {
    let requests = 0;
    const bodies: string[] = [];
    const scene = await sceneOf(t, {
      endpoints: [
        (request, response) => {
          const does = row.does[Math.min(requests, row.does.length - 1)]!;
          requests++;
          if (does === 'cut') cuts(request, response);
          else answers(does, bodies)(request, response);
        },
      ],
      rule: { ...row.rule, retry: retryOf(row.retry) },
    });
    const { status } = await scene.ask('/', row.ask);
    assert.deepEqual([status, requests], [row.status, row.requests]);
    assert.deepEqual([scene.records[0]?.flag, scene.records[0]?.attempts], [row.flag, row.requests]);
    if (row.ask?.body !== undefined) for (const body of bodies) assert.match(body, /^POST charge/);
  });
}

test('an endpoint that says retry-after: another one at once, itself not before', async (t) => {
  const asked: string[] = [];
  const busy =
    (name: string, retryAfter: string): RequestListener =>
    (_request, response) => {
      asked.push(name);
      response.writeHead(503, { 'retry-after': retryAfter }).end();
    };
  const rule = { retry: retryOf({ attempts: 2, retryOn: ['5xx'] }) };
  const alone = await sceneOf(t, { endpoints: [busy('alone', '30')], rule });
  const { status, headers } = await alone.ask('/');
  assert.deepEqual([status, headers['retry-after'], asked], [503, '30', ['alone']], 'the client is told');
  const policy = { retryBudget: { ratio: 1, perSecond: 100, minConcurrency: 10 }, loadBalancing: inTurns };
  const two = await sceneOf(t, { endpoints: [busy('busy', '30'), answers(200)], rule, policy });
  for (let n = 0; n < 10; n++) assert.equal((await two.ask('/')).status, 200);
  assert.ok(asked.includes('busy'));
  asked.length = 0;
  const soon = await sceneOf(t, {
    endpoints: [busy('soon', '1')],
    rule: { retry: retryOf({ ...on5xx, attempts: 1 }) },
  });
  const startedMs = performance.now();
  assert.equal((await soon.ask('/')).status, 503);
  assert.deepEqual(asked, ['soon', 'soon']);
  assert.ok(performance.now() - startedMs >= 990, 'it was waited for');
});

test("Envoy's headers of a request change its retries and time-out, and go no further", async (t) => {
  const seen: string[] = [];
  let requests = 0;
  const scene = await sceneOf(t, {
    endpoints: [
      (request, response) => {
        requests++;
        seen.push(...Object.keys(request.headers).filter((name) => name.startsWith('x-envoy-')));
        if (request.url !== '/hang') answers(503)(request, response);
      },
    ],
    rule: { retry: retryOf({ attempts: 1, retryOn: ['connect-failure'] }) },
  });
  const headers = { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '3' };
  await scene.ask('/', { headers });
  assert.deepEqual([requests, scene.records[0]?.flag], [4, 'RETRY_LIMIT']);
  await scene.ask('/', { ...post, headers });
  assert.equal(requests, 5, 'a POST is sent once all the same');
  const late = await scene.ask('/hang', { headers: { 'x-envoy-upstream-rq-timeout-ms': '50' } });
  assert.deepEqual([late.status, requests], [504, 6]);
  assert.deepEqual([...new Set(seen)], ['x-envoy-attempt-count']);
});

for (const [what, policy] of [
  ['the retry budget', { retryBudget: { ratio: 0, perSecond: 0, minConcurrency: 0 } }],
  ['maxRetries', { connectionPool: { ...defaultConnectionPool, maxRetries: 1 } }],
] as const) {
  test(`a retry that ${what} does not allow is not made, and the log says so`, async (t) => {
    const gate = Promise.withResolvers<void>();
    let requests = 0;
    const busy: RequestListener = (request, response) => {
      requests++;
      // The retry of the one that was first holds its place.
      if (request.url === '/first' && request.headers['x-envoy-attempt-count'] !== '1') {
        void gate.promise.then(() => response.end('late'));
      } else response.writeHead(503).end();
    };
    const scene = await sceneOf(t, { endpoints: [busy], rule: { retry: retryOf({ ...on5xx, attempts: 1 }) }, policy });
    const isHeld = what === 'maxRetries';
    const first = isHeld ? scene.ask('/first') : null;
    while (isHeld && requests < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await scene.ask('/')).status, 503);
    const [record] = scene.records;
    assert.deepEqual([record?.flag, record?.attempts, requests], ['RETRY_REFUSED', 1, isHeld ? 3 : 1]);
    assert.deepEqual([...scene.service.stats().retriesRefused.values()], [1]);
    gate.resolve();
    if (first !== null) assert.equal((await first).status, 200);
  });
}

test('an endpoint that cannot be reached: another one, whatever the method', async (t) => {
  const seen: string[] = [];
  const scene = await sceneOf(t, {
    endpoints: [answers(200, seen), answers(200, seen)],
    rule: { retry: retryOf({}) },
    connect: (connect) => (target, callback) => {
      if (target.workload.name !== 'cart-0') return connect(target, callback);
      queueMicrotask(() => callback(new MeshError('CONNECT_FAILED', { address: 'x', reason: 'refused' }), null));
      return () => undefined;
    },
  });
  for (let n = 0; n < 8; n++) assert.equal((await scene.ask('/', post)).status, 200);
  assert.equal(seen.length, 8);
  assert.ok(seen.every((one) => one.startsWith('POST charge')));
  assert.ok(scene.records.some(({ attempts }) => attempts === 2));
  assert.ok(
    seen.some((one) => one.endsWith(' 2')),
    'the second try says that it is the second',
  );
});

test('nobody can be reached', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [answers(200)],
    rule: { retry: retryOf({ attempts: 1 }) },
    connect: () => (_target, callback) => {
      queueMicrotask(() => callback(new MeshError('CONNECT_FAILED', { address: 'x', reason: 'refused' }), null));
      return () => undefined;
    },
  });
  const { status, headers } = await scene.ask('/', post);
  assert.equal(status, 503);
  assert.equal(headers['x-ambient-unprocessed'], '1', 'the hop before may try again');
  assert.deepEqual([scene.records[0]?.flag, scene.records[0]?.attempts], ['RETRY_LIMIT', 2]);
});

test('a connection that died while it was idle costs no try, and no POST', async (t) => {
  const sockets = new Set<IncomingMessage['socket']>();
  const server: Server = createHttpServer((request, response) => {
    sockets.add(request.socket);
    answers(200)(request, response);
  });
  const scene = await sceneOf(t, { endpoints: [server], rule: { retry: retryOf({ attempts: 0 }) } });
  for (let n = 0; n < 5; n++) {
    assert.equal((await scene.ask('/', post)).status, 200);
    const [socket] = sockets;
    sockets.clear();
    socket?.destroy();
    // Half of the time the end is known before the next request, half of the time it is found out by it.
    if (n % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(scene.records.every(({ attempts }) => attempts === 1));
});

test('a body that is too long to be kept is not sent again', async (t) => {
  let requests = 0;
  const scene = await sceneOf(t, {
    endpoints: [
      (request, response) => {
        requests++;
        cuts(request, response);
      },
    ],
    rule: { retry: retryOf({ ...on5xx, nonIdempotent: true }) },
    limits: { retryBodyBytes: 1000 },
  });
  const { status } = await scene.ask('/', { method: 'PUT', body: Buffer.alloc(100_000) });
  assert.deepEqual([status, requests], [503, 1]);
  assert.deepEqual([...scene.service.stats().limited], [['retryBodyBytes', 1]]);
});

test('a try that takes too long is made again; so is not the request', async (t) => {
  let requests = 0;
  const scene = await sceneOf(t, {
    endpoints: [
      (request, response) => {
        requests++;
        if (requests > 1) answers(200)(request, response);
      },
    ],
    rule: { retry: retryOf({ ...on5xx, perTryTimeoutMs: 30 }) },
  });
  assert.equal((await scene.ask('/')).status, 200);
  assert.ok(requests >= 2);
});

test('all tries together have a time-out: 504', async (t) => {
  let requests = 0;
  const scene = await sceneOf(t, {
    endpoints: [() => void requests++],
    rule: {
      timeouts: { ...noTimeouts, requestMs: 100 },
      retry: retryOf({ attempts: 10, retryOn: ['5xx'], perTryTimeoutMs: 30 }),
    },
  });
  const { status, body } = await scene.ask('/');
  assert.deepEqual([status, body], [504, 'upstream request timeout']);
  assert.ok(requests <= 4, String(requests));
  assert.equal(scene.records[0]?.flag, 'UPSTREAM_TIMEOUT');
});

test('a storm: upstream traffic stays within the budget', async (t) => {
  let requests = 0;
  const scene = await sceneOf(t, {
    endpoints: [0, 1, 2].map(
      (): RequestListener => (request, response) => {
        requests++;
        setTimeout(() => answers(503)(request, response), 2);
      },
    ),
    rule: { retry: retryOf({ attempts: 5, retryOn: ['5xx'] }) },
  });
  const offered = 600;
  const startedMs = performance.now();
  for (let round = 0; round < offered / 30; round++) {
    await Promise.all(Array.from({ length: 30 }, () => scene.ask('/')));
  }
  // A fifth of what is in flight, and three per second.
  const allowed = offered * 1.2 + (3 * (performance.now() - startedMs)) / 1000 + 3;
  assert.ok(requests <= allowed, `${requests} for ${offered}`);
  assert.ok(requests > offered, 'some were tried again');
  const [held] = scene.service.strain().refusing ?? [];
  assert.equal(held?.limit, 'retryBudget');
  assert.equal(held?.refused, scene.service.stats().retriesRefused.get('shop/cart'));
  assert.equal(scene.service.stats().requests, 0);
});

test('another endpoint comes first, an ejected one not at all', async (t) => {
  let bad = 0;
  const scene = await sceneOf(t, {
    endpoints: [
      (request, response) => {
        bad++;
        answers(503)(request, response);
      },
      answers(200),
    ],
    rule: { retry: retryOf({ attempts: 1, retryOn: ['5xx'] }) },
    policy: {
      loadBalancing: inTurns,
      outlier: {
        consecutive5xx: 3,
        consecutiveGatewayErrors: 0,
        consecutiveLocalFailures: 0,
        splitLocalFailures: false,
        successRate: null,
        intervalMs: 10_000,
        baseEjectionMs: 30_000,
        maxEjectionMs: 300_000,
        maxEjectionPercent: 100,
        minHealthPercent: 0,
      },
      retryBudget: { ratio: 1, perSecond: 100, minConcurrency: 10 },
    },
  });
  for (let n = 0; n < 60; n++) assert.equal((await scene.ask('/')).status, 200);
  assert.equal(bad, 3);
  assert.equal(scene.service.stats().ejections, 1);
  const { ejected, refusing } = scene.service.strain();
  assert.deepEqual(refusing, []);
  assert.deepEqual(
    ejected.map(({ reason, since, until }) => [reason, Date.parse(until) - Date.parse(since) >= 29_000]),
    [['3 answers of 500 to 599 in a row', true]],
  );
});

test('a listener that takes the connection and says nothing is cut by the client, and let go of', async (t) => {
  const closed = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('close', () => closed.resolve());
    socket.resume();
  });
  await listen(server);
  const scene = await sceneOf(t, { endpoints: [server] });
  const { connect } = await import('node:net');
  const client = connect(scene.port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  while (scene.service.stats().upstreamConnections === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  client.resetAndDestroy();
  await closed.promise;
  assert.deepEqual([scene.records[0]?.flag, scene.records[0]?.status], ['RESET_BY_SOURCE', 0]);
});

test('two waypoints in a row: their tries add up, and do not multiply', async (t) => {
  const counts: string[] = [];
  const rule = { retry: retryOf(on5xx) };
  const policy = { retryBudget: { ratio: 1, perSecond: 100, minConcurrency: 10 } };
  const failing: RequestListener = (request, response) => {
    counts.push(String(request.headers['x-envoy-attempt-count']));
    answers(503)(request, response);
  };
  const second = await sceneOf(t, { endpoints: [failing], rule, policy });
  const between = createServer((near) => {
    const far = connectSocket(second.port, '127.0.0.1');
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => into.destroy());
      from.pipe(into);
    }
  });
  const first = await sceneOf(t, { endpoints: [between], rule, policy });
  assert.equal((await first.ask('/')).status, 503);
  // Three of the second waypoint for the first try of the first one, then one for each of its others: five, not nine.
  assert.deepEqual(counts, ['1', '2', '3', '2', '3']);
});
