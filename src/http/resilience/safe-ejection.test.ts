// Ejection as requests meet it, over real connections: what fails goes, what is only probed stays.
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { test } from 'node:test';
import { retryOf, sceneOf } from '../exchange/testing-service.ts';

const outlier = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 0,
  consecutiveLocalFailures: 0,
  splitLocalFailures: false,
  successRate: null,
  intervalMs: 3_600_000,
  baseEjectionMs: 3_600_000,
  maxEjectionMs: 3_600_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
};
const noRetry = { rule: { retry: retryOf({ attempts: 0 }) } };

function counted(status: (url: string) => number) {
  const seen: string[] = [];
  const listener: RequestListener = (request, response) => {
    seen.push(request.url ?? '');
    response.writeHead(status(request.url ?? '')).end();
  };
  return { seen, listener };
}

const inTurns = { algorithm: 'round-robin', hash: null, localityPreference: [], slowStart: null } as const;

test('a version whose probes fail is not ejected for them', async (t) => {
  const both = [counted((url) => (url === '/ok' ? 200 : 503)), counted((url) => (url === '/ok' ? 200 : 503))];
  const { ask } = await sceneOf(t, {
    endpoints: both.map((one) => one.listener),
    // In turns: a balancer that prefers the quicker one would say nothing about ejection.
    policy: { outlier, healthPaths: ['/healthz'], loadBalancing: inTurns },
    ...noRetry,
  });
  for (let at = 0; at < 20; at++) {
    await ask('/healthz');
    await ask('/any', { headers: { 'user-agent': 'kube-probe/1.34' } });
  }
  for (let at = 0; at < 40; at++) assert.equal((await ask('/ok')).status, 200);
  for (const { seen } of both) assert.ok(seen.filter((url) => url === '/ok').length > 5);
});

test('of two endpoints the failing one goes, and when both fail one stays', async (t) => {
  let isSecondWell = true;
  const first = counted(() => 500);
  const second = counted(() => (isSecondWell ? 200 : 500));
  const endpoints = [first.listener, second.listener];
  const { ask } = await sceneOf(t, { endpoints, policy: { outlier }, ...noRetry });
  for (let at = 0; at < 60; at++) await ask('/');
  const failures = first.seen.length;
  assert.ok(failures >= 3 && failures < 20, `${failures} requests met the failing one`);
  for (let at = 0; at < 20; at++) assert.equal((await ask('/')).status, 200);
  assert.equal(first.seen.length, failures);
  isSecondWell = false;
  for (let at = 0; at < 10; at++) assert.equal((await ask('/')).status, 500);
  assert.equal(first.seen.length, failures);
});

test('an ejection and a return are said, with endpoint, reason and time', async (t) => {
  const said: { message: string; fields: Readonly<Record<string, string | number>> }[] = [];
  let status = 500;
  const endpoints = [counted(() => status), counted(() => 200)].map(({ listener }) => listener);
  const { ask, workloads } = await sceneOf(t, {
    endpoints,
    policy: { outlier: { ...outlier, intervalMs: 1, baseEjectionMs: 1, maxEjectionMs: 1 }, loadBalancing: inTurns },
    context: { notice: (message, fields) => said.push({ message, fields }) },
    ...noRetry,
  });
  const before = Date.now();
  while (said.length < 1) await ask('/');
  status = 200;
  while (said.length < 2) await ask('/');
  const [{ until, ...ejected } = assert.fail(), returned] = said.map(({ fields }) => fields);
  const where = { service: 'cart.shop.svc.cluster.local', port: 80, endpoint: 'shop/cart-0' };
  const address = `127.0.0.1:${workloads[0]?.services['shop/cart.shop.svc.cluster.local']?.[0]?.targetPort}`;
  assert.deepEqual(
    said.map(({ message }) => message),
    ['endpoint ejected', 'endpoint returned to rotation'],
  );
  assert.deepEqual(ejected, { ...where, address, reason: 'consecutive5xx' });
  assert.deepEqual(returned, { ...where, address });
  assert.ok(Date.parse(String(until)) > before);
});
