// Filters of a single backend: they hold for the requests that are drawn for it, and for no others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BackendFilters, RouteRule } from '../../model/route-types.ts';
import { backendOf, type Scene, sceneOf } from './testing-service.ts';

const nothing: BackendFilters = { redirect: null, rewrite: null, mirrors: [], cors: null };
const match = { kind: 'segments', value: '/prefix', ignoreCase: false } as const;

/** A rule for `/prefix` with one backend; what the application saw is `seen`. */
async function scene(
  t: Parameters<typeof sceneOf>[0],
  filters: Partial<BackendFilters>,
  rule: Partial<RouteRule> = {},
): Promise<{ readonly scene: Scene; readonly seen: string[] }> {
  const seen: string[] = [];
  const backends = [backendOf({ subset: 'cart-0', filters: { ...nothing, ...filters } })];
  const made = await sceneOf(t, {
    endpoints: [0, 1].map((at) => (request, response) => {
      seen.push(`${at} ${request.method} ${request.url} ${request.headers.host}`);
      response.end('answer');
    }),
    subsets: ['cart-0', 'cart-1'],
    rule: { action: { kind: 'forward', backends }, ...rule },
    path: match,
  });
  return { scene: made, seen };
}

test('a redirect of a backend is answered, and the backend is not asked', async (t) => {
  const path = { kind: 'prefix', value: '/new' } as const;
  const redirect = { scheme: null, authority: 'a.example', port: null, path, status: 307 };
  const { scene: made, seen } = await scene(t, { redirect });
  const answer = await made.ask('/prefix/x?y=z', { headers: { host: 'cart' } });
  assert.equal(answer.status, 307);
  assert.equal(answer.headers['location'], 'http://a.example/new/x?y=z');
  assert.deepEqual(seen, []);
});

test('a rewrite of a backend takes the place of its rule’s', async (t) => {
  const own = { authority: null, path: { kind: 'prefix', value: '/own' } } as const;
  const rule = { authority: 'rule.example', path: { kind: 'full', value: '/rule' } } as const;
  const { scene: made, seen } = await scene(t, { rewrite: own }, { rewrite: rule });
  assert.equal((await made.ask('/prefix/x?y')).status, 200);
  assert.deepEqual(seen, ['0 GET /own/x?y rule.example']);
});

test('a mirror of a backend gets its requests', async (t) => {
  const mirrors = [{ backend: backendOf({ subset: 'cart-1' }), fraction: 1, shadowSuffix: false }];
  const { scene: made, seen } = await scene(t, { mirrors });
  assert.equal((await made.ask('/prefix', { headers: { host: 'cart' } })).status, 200);
  while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(seen.sort(), ['0 GET /prefix cart', '1 GET /prefix cart']);
});

test('CORS of a backend answers its preflights, and says so in its answers', async (t) => {
  const origin = 'https://shop.example';
  const cors = {
    allowOrigins: [{ kind: 'exact', value: origin, ignoreCase: false }],
    allowMethods: ['PUT'],
    allowHeaders: [],
    exposeHeaders: [],
    maxAgeS: 5,
    allowCredentials: false,
    unmatchedPreflights: 'ignore',
  } as const;
  const { scene: made, seen } = await scene(t, { cors });
  const headers = { origin, 'access-control-request-method': 'PUT' };
  const preflight = await made.ask('/prefix', { method: 'OPTIONS', headers });
  assert.deepEqual([preflight.status, preflight.headers['access-control-allow-methods']], [200, 'PUT']);
  assert.deepEqual(seen, []);
  const answer = await made.ask('/prefix', { headers: { origin } });
  assert.deepEqual([answer.body, answer.headers['access-control-allow-origin']], ['answer', origin]);
});
