import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { sceneOf } from './testing-service.ts';

test('requests that run are shown, the oldest first, without their query; those that are over are not', async (t) => {
  const answers: ServerResponse[] = [];
  const arrived: (() => void)[] = [];
  const { ask, service, workloads } = await sceneOf(t, {
    endpoints: [
      (request, response) => {
        request.resume();
        answers.push(response);
        arrived.shift()?.();
      },
    ],
  });
  const begin = async (path: string) => {
    const here = new Promise<void>((resolve) => arrived.push(resolve));
    const answer = ask(path, { method: 'POST', body: 'hello', headers: { host: 'cart' } });
    await here;
    return answer;
  };
  const before = Date.now();
  const asked = [begin('/first?token=secret')];
  while (answers.length < 1) await new Promise((resolve) => setImmediate(resolve));
  asked.push(begin('/second'));
  while (answers.length < 2) await new Promise((resolve) => setImmediate(resolve));
  const views = service.views(3);
  assert.deepEqual(
    views.map(({ request }) => request?.path),
    ['/first', '/second'],
  );
  const [first] = views;
  assert.deepEqual(first?.request, {
    method: 'POST',
    authority: 'cart',
    path: '/first',
    protocol: 'http1',
    upgrade: null,
    route: 'HTTPRoute/shop/cart#0',
    attempts: 1,
    status: null,
  });
  const { source, destination, bytesSent, thread, transport } = first ?? assert.fail();
  assert.equal(source.identity, 'spiffe://cluster.local/ns/shop/sa/web');
  assert.deepEqual([destination.workload, destination.service], [workloads[0]?.name, 'cart.shop.svc.cluster.local']);
  assert.deepEqual([bytesSent, thread, transport], [5, 3, 'mtls']);
  assert.ok(Math.abs(Date.parse(first.startedAt) - before) < 60_000);
  assert.deepEqual(
    service.views(3, 1).map(({ request }) => request?.path),
    ['/first'],
    'of more than the limit, the oldest',
  );
  for (const answer of answers) answer.end();
  await Promise.all(asked);
  assert.deepEqual(service.views(3), []);
});
