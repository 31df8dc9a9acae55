// Each step of a request as its client sees it, over real connections.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteRule } from '../../model/route-types.ts';
import type { HttpServiceContext, RequestJudge, Verdict } from './context.ts';
import { type Answer, type AskOptions, backendOf, noEdits, sceneOf } from './testing-service.ts';

interface Row {
  readonly title: string;
  readonly rule?: Partial<RouteRule>;
  readonly path?: string;
  readonly target?: string;
  readonly ask?: AskOptions;
  readonly context?: Partial<HttpServiceContext>;
  readonly status: number;
  readonly flag: string;
  /** What the application saw; null when it must see nothing. */
  readonly seen?: RegExp | null;
  readonly check?: (answer: Answer) => void;
}

const verdict: Verdict = {
  allowed: true,
  status: 200,
  body: '',
  challenge: '',
  decidedBy: null,
  claims: null,
  removeHeaders: [],
  setHeaders: [],
  target: null,
};

const origin = 'https://shop.example';
const cors = {
  allowOrigins: [{ kind: 'exact', value: origin, ignoreCase: false }],
  allowMethods: ['GET', 'PUT'],
  allowHeaders: ['x-a', 'x-b'],
  exposeHeaders: ['x-c'],
  maxAgeS: 60,
  allowCredentials: false,
  unmatchedPreflights: 'forward',
} as const;

/** The same for all requests; it never changes its mind. */
function judgeBy(judge: (later: (verdict: Verdict) => void) => Verdict | null): RequestJudge {
  const ask: RequestJudge['judge'] = (_client, _head, _target, later) => judge(later);
  return { judge: ask, isStale: () => false, rejudge: () => null };
}

const rows: readonly Row[] = [
  {
    title: 'a path is forwarded as it was normalised',
    target: '/a/../b?c=/..',
    status: 200,
    flag: '-',
    seen: /^GET \/b\?c=\/\.\. /,
  },
  { title: 'a NUL in a path', target: '/a%00', status: 400, flag: 'REQUEST_INVALID', seen: null },
  { title: 'no route matches', path: '/shop', target: '/other', status: 404, flag: 'NO_ROUTE', seen: null },
  {
    title: 'policy refuses',
    context: {
      judge: judgeBy(() => {
        return { ...verdict, allowed: false, status: 403, body: 'RBAC: access denied', decidedBy: 'shop/deny' };
      }),
    },
    status: 403,
    flag: 'DENY',
    seen: null,
    check: ({ body }) => assert.equal(body, 'RBAC: access denied'),
  },
  {
    title: 'a token is refused, after a while',
    context: {
      judge: judgeBy((later) => {
        const refused = { ...verdict, allowed: false, status: 401, body: 'Jwt is expired', challenge: 'Bearer' };
        setImmediate(() => later(refused));
        return null;
      }),
    },
    status: 401,
    flag: 'UNAUTHENTICATED',
    seen: null,
    check: ({ headers }) => assert.equal(headers['www-authenticate'], 'Bearer'),
  },
  {
    title: 'a token is taken away, its claims are forwarded, after a while; the body waits',
    context: {
      judge: judgeBy((later) => {
        setImmediate(() => later({ ...verdict, removeHeaders: ['authorization'], setHeaders: [['x-sub', 'ada']] }));
        return null;
      }),
    },
    ask: { method: 'POST', headers: { authorization: 'Bearer x' }, body: 'hello' },
    status: 200,
    flag: '-',
    seen: /^POST \/ hello(?!.*authorization).*"x-sub":"ada"/,
  },
  {
    title: 'an injected abort',
    rule: { fault: { delay: null, abort: { fraction: 1, status: 418, grpcStatus: null } } },
    status: 418,
    flag: 'FAULT_INJECTED',
    seen: null,
    check: ({ body }) => assert.equal(body, 'fault filter abort'),
  },
  {
    title: 'an injected delay',
    rule: { fault: { delay: { fraction: 1, delayMs: 20 }, abort: null } },
    ask: { method: 'POST', body: 'x' },
    status: 200,
    flag: '-',
    seen: /^POST \/ x/,
  },
  {
    title: 'a preflight is answered here',
    rule: { cors },
    ask: { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } },
    status: 200,
    flag: '-',
    seen: null,
    check: ({ headers }) => {
      assert.equal(headers['access-control-allow-origin'], origin);
      assert.equal(headers['access-control-allow-methods'], 'GET,PUT');
      assert.equal(headers['access-control-allow-headers'], 'x-a,x-b');
      assert.equal(headers['access-control-max-age'], '60');
    },
  },
  {
    title: 'a preflight of somebody else is forwarded',
    rule: { cors },
    ask: { method: 'OPTIONS', headers: { origin: 'https://evil', 'access-control-request-method': 'PUT' } },
    status: 200,
    flag: '-',
    seen: /^OPTIONS/,
    check: ({ headers }) => assert.equal(headers['access-control-allow-origin'], undefined),
  },
  {
    title: 'a simple request gets its headers',
    rule: { cors },
    ask: { headers: { origin } },
    status: 200,
    flag: '-',
    seen: /^GET/,
    check: ({ headers }) => {
      assert.equal(headers['access-control-allow-origin'], origin);
      assert.equal(headers['access-control-expose-headers'], 'x-c');
    },
  },
  {
    title: 'a redirect',
    rule: {
      action: {
        kind: 'redirect',
        redirect: { scheme: 'https', authority: 'example.org', port: null, path: null, status: 301 },
      },
    },
    target: '/a?b',
    status: 301,
    flag: '-',
    seen: null,
    check: ({ headers }) => assert.equal(headers.location, 'https://example.org/a?b'),
  },
  {
    title: 'a direct response',
    rule: { action: { kind: 'direct', status: 203, body: 'here', contentType: 'text/plain' } },
    status: 203,
    flag: '-',
    seen: null,
    check: ({ body }) => assert.equal(body, 'here'),
  },
  {
    title: 'a rule without anything usable',
    rule: { action: { kind: 'invalid', status: 500, reason: 'all weights are zero' } },
    status: 500,
    flag: 'BACKEND_INVALID',
    seen: null,
  },
  {
    title: 'a backend that cannot be used',
    rule: { action: { kind: 'forward', backends: [backendOf({ invalid: { status: 500, reason: 'not granted' } })] } },
    status: 500,
    flag: 'BACKEND_INVALID',
    seen: null,
  },
  {
    title: 'a subset that is not there',
    rule: { action: { kind: 'forward', backends: [backendOf({ subset: 'v9' })] } },
    status: 503,
    flag: 'BACKEND_INVALID',
    seen: null,
  },
  {
    title: 'all weights are zero',
    rule: { action: { kind: 'forward', backends: [backendOf({ weight: 0 })] } },
    status: 500,
    flag: 'BACKEND_INVALID',
    seen: null,
  },
  {
    title: 'a prefix and the authority are rewritten',
    path: '/a',
    rule: { rewrite: { authority: 'other.example', path: { kind: 'prefix', value: '/z' } } },
    target: '/a/b?c',
    status: 200,
    flag: '-',
    seen: /^GET \/z\/b\?c .*"host":"other.example".*"x-envoy-original-path":"\/a\/b\?c"/,
  },
  {
    title: 'a path is rewritten by a pattern',
    rule: { rewrite: { authority: null, path: { kind: 'regex', pattern: '^/v(\\d)/', value: '/version/\\1/' } } },
    target: '/v2/x',
    status: 200,
    flag: '-',
    seen: /^GET \/version\/2\/x /,
  },
  {
    title: 'headers of route and backend, both ways',
    rule: {
      requestHeaders: { remove: ['x-old'], set: [['x-set', 'route']], add: [['x-add', 'route']] },
      responseHeaders: { remove: ['x-app'], set: [['x-by', 'route']], add: [] },
      action: {
        kind: 'forward',
        backends: [
          backendOf({
            requestHeaders: { remove: [], set: [['x-set', 'backend']], add: [] },
            responseHeaders: { ...noEdits, add: [['x-backend', '1']] },
          }),
        ],
      },
    },
    ask: { headers: { 'x-old': '1', 'x-set': '1', 'x-add': 'client' } },
    status: 200,
    flag: '-',
    seen: /^GET \/ (?!.*x-old).*"x-add":"client, route".*"x-set":"backend"/,
    check: ({ headers }) => {
      assert.equal(headers['x-app'], undefined);
      assert.equal(headers['x-by'], 'route');
      assert.equal(headers['x-backend'], '1');
    },
  },
];

for (const row of rows) {
  test(row.title, async (t) => {
    let seen: string | null = null;
    const scene = await sceneOf(t, {
      endpoints: [
        (request, response) => {
          let body = '';
          request.on('data', (chunk: Buffer) => {
            body += chunk.toString();
          });
          request.on('end', () => {
            seen = `${request.method} ${request.url} ${body} ${JSON.stringify(request.headers)}`;
            response.setHeader('x-app', '1');
            response.end('ok');
          });
        },
      ],
      rule: row.rule ?? {},
      path: row.path === undefined ? null : { kind: 'segments', value: row.path, ignoreCase: false },
      context: row.context ?? {},
    });
    const answer = await scene.ask(row.target ?? '/', row.ask);
    assert.equal(answer.status, row.status);
    const [record] = scene.records;
    assert.equal(scene.records.length, 1);
    assert.deepEqual([record?.flag, record?.status], [row.flag, row.status]);
    if (row.seen === null) assert.equal(seen, null);
    else if (row.seen !== undefined) assert.match(seen ?? 'nothing', row.seen);
    row.check?.(answer);
    assert.deepEqual(scene.service.stats().requests, 0);
  });
}

test('a rate limit answers 429 with the standard headers', async (t) => {
  const limit = { by: [{ kind: 'identity' }], requests: 2, perMs: 60_000, burst: 0, policy: 'shop/limit' } as const;
  const scene = await sceneOf(t, {
    endpoints: [(_request, response) => response.end('ok')],
    rule: { rateLimits: [limit] },
  });
  assert.equal((await scene.ask('/')).status, 200);
  assert.equal((await scene.ask('/')).status, 200);
  const { status, headers } = await scene.ask('/');
  assert.equal(status, 429);
  assert.ok(Number(headers['retry-after']) > 0);
  assert.match(String(headers['ratelimit-policy']), /q=2/);
  assert.deepEqual([scene.records[2]?.flag, scene.records[2]?.decidedBy], ['RATE_LIMITED', 'shop/limit']);
});

test('weights hold per request on one connection', async (t) => {
  const { Agent } = await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const scene = await sceneOf(t, {
    endpoints: [(_request, response) => response.end('ok')],
    rule: {
      action: {
        kind: 'forward',
        backends: [backendOf({ weight: 3 }), backendOf({ weight: 1, invalid: { status: 500, reason: 'gone' } })],
      },
    },
  });
  let failed = 0;
  for (let n = 0; n < 200; n++) if ((await scene.ask('/', { agent })).status === 500) failed++;
  assert.ok(failed > 20 && failed < 90, String(failed));
  assert.equal(scene.service.stats().upstreamConnections, 1);
});
