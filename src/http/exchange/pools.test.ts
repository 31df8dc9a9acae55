// Connections to endpoints: how many, how long, and what happens when there may be no more.
import assert from 'node:assert/strict';
import { Agent, type RequestListener } from 'node:http';
import { test } from 'node:test';
import type { ConnectionPoolPolicy } from '../../model/route-types.ts';
import { destinationPolicyOf } from '../testing-requests.ts';
import { retryOf, sceneOf } from './testing-service.ts';

function poolOf(given: Partial<ConnectionPoolPolicy>): { connectionPool: ConnectionPoolPolicy } {
  return { connectionPool: { ...destinationPolicyOf().connectionPool, ...given } };
}

/** Answers when the gate opens, and says by which connection the request came. */
function gated(gate: Promise<void>): RequestListener {
  return (request, response) => void gate.then(() => response.end(String(request.socket.remotePort)));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('connections are used again, the last one first', async (t) => {
  const scene = await sceneOf(t, { endpoints: [gated(Promise.resolve())] });
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  await Promise.all([1, 2, 3].map(() => scene.ask('/', { agent })));
  const ports = new Set<string>();
  for (let n = 0; n < 5; n++) ports.add((await scene.ask('/', { agent })).body);
  assert.equal(ports.size, 1);
  assert.equal(scene.service.stats().upstreamConnections, 3);
});

test('maxRequestsPerConnection', async (t) => {
  const scene = await sceneOf(t, {
    endpoints: [gated(Promise.resolve())],
    policy: poolOf({ maxRequestsPerConnection: 2 }),
  });
  const ports = new Set<string>();
  for (let n = 0; n < 6; n++) ports.add((await scene.ask('/')).body);
  assert.equal(ports.size, 3);
});

const overflows = [
  { title: 'maxRequests', policy: { maxRequests: 2 } },
  { title: 'maxConnections and maxPendingRequests', policy: { maxConnections: 1, maxPendingRequests: 1 } },
] as const;

for (const { title, policy } of overflows) {
  test(`${title}: beyond it 503 at once`, async (t) => {
    const gate = Promise.withResolvers<void>();
    const scene = await sceneOf(t, {
      endpoints: [gated(gate.promise)],
      policy: poolOf(policy),
      rule: { retry: retryOf({ attempts: 2, retryOn: ['5xx'] }) },
    });
    const first = scene.ask('/');
    await until(() => scene.service.stats().upstreamConnections === 1);
    const { connections } = scene.service.stats();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = scene.ask('/');
    await until(() => scene.service.stats().connections > connections && scene.service.stats().requests === 2);
    const third = await scene.ask('/');
    assert.deepEqual([third.status, third.headers['x-envoy-overloaded']], [503, 'true']);
    const [record] = scene.records;
    assert.deepEqual([record?.flag, record?.status], ['UPSTREAM_OVERFLOW', 503]);
    gate.resolve();
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
  });
}

test('idle connections are closed', async (t) => {
  const scene = await sceneOf(t, { endpoints: [gated(Promise.resolve())], limits: { upstreamIdleMs: 20 } });
  assert.equal((await scene.ask('/')).status, 200);
  assert.equal(scene.service.stats().upstreamConnections, 1);
  await until(() => scene.service.stats().upstreamConnections === 0);
});

test('an endpoint that goes: idle connections at once, a busy one when it is done', async (t) => {
  const gate = Promise.withResolvers<void>();
  const scene = await sceneOf(t, {
    endpoints: [
      (request, response) =>
        void (request.url === '/slow' ? gate.promise : Promise.resolve()).then(() => response.end('ok')),
    ],
  });
  const slow = scene.ask('/slow');
  await until(() => scene.service.stats().upstreamConnections === 1);
  assert.equal((await scene.ask('/')).status, 200);
  assert.equal(scene.service.stats().upstreamConnections, 2);
  scene.index.apply({
    workloads: [],
    services: [],
    policies: [],
    removedAddresses: scene.workloads.map(({ uid }) => uid),
    removedPolicies: [],
    complete: false,
  });
  scene.service.meshChanged();
  const { status } = await scene.ask('/');
  assert.deepEqual([status, scene.records.at(-1)?.flag], [503, 'NO_ENDPOINT']);
  gate.resolve();
  assert.equal((await slow).body, 'ok');
});

test('adaptive concurrency sheds with retry-after', async (t) => {
  const gate = Promise.withResolvers<void>();
  const scene = await sceneOf(t, {
    endpoints: [gated(gate.promise)],
    policy: { adaptiveConcurrency: { minLimit: 1, maxLimit: 1 } },
  });
  const first = scene.ask('/');
  await until(() => scene.service.stats().requests === 1);
  const { status, headers } = await scene.ask('/');
  assert.equal(status, 503);
  assert.ok(Number(headers['retry-after']) > 0);
  assert.deepEqual([scene.records[0]?.flag, scene.records[0]?.status], ['UPSTREAM_OVERFLOW', 503]);
  gate.resolve();
  assert.equal((await first).status, 200);
});

test('a sticky cookie is given once, and keeps its client at an endpoint', async (t) => {
  const key = { kind: 'cookie', name: 'stick', path: '/', ttlMs: 60_000 } as const;
  const hash = { key, table: 'ring', size: 1024 } as const;
  const scene = await sceneOf(t, {
    endpoints: ['a', 'b', 'c', 'd'].map((name) => (_request, response) => response.end(name)),
    policy: { loadBalancing: { algorithm: 'hash', hash, localityPreference: [], slowStart: null } },
  });
  const first = await scene.ask('/');
  const [cookie = ''] = first.headers['set-cookie'] ?? [];
  assert.match(cookie, /^stick="[0-9a-f]+"; Max-Age=60; Path=\/; HttpOnly$/);
  for (let n = 0; n < 8; n++) {
    const again = await scene.ask('/', { headers: { cookie: cookie.split(';')[0]! } });
    assert.deepEqual([again.body, again.headers['set-cookie']], [first.body, undefined]);
  }
});
