// Copies of requests, over real connections.
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { test } from 'node:test';
import type { Mirror } from '../../model/route-types.ts';
import { backendOf, type Scene, sceneOf } from './testing-service.ts';

/** Subsets by the name of the workload: endpoint 0 answers, endpoint 1 gets copies. */
async function mirrored(
  t: Parameters<typeof sceneOf>[0],
  shadow: RequestListener,
  mirror: Partial<Mirror> = {},
  mirrorBodyBytes = 64 * 1024,
): Promise<Scene> {
  const rule = {
    action: { kind: 'forward', backends: [backendOf({ subset: 'cart-0' })] },
    mirrors: [{ backend: backendOf({ subset: 'cart-1' }), fraction: 1, shadowSuffix: true, ...mirror }],
  } as const;
  return await sceneOf(t, {
    endpoints: [
      (request, response) => {
        request.resume();
        request.on('end', () => response.end('answer'));
      },
      shadow,
    ],
    rule,
    subsets: ['cart-0', 'cart-1'],
    limits: { mirrorBodyBytes },
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('a copy goes to the mirror with its body, and its answer goes nowhere', async (t) => {
  const copies: string[] = [];
  const scene = await mirrored(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      copies.push(`${request.method} ${request.url} ${request.headers.host} ${body}`);
      response.statusCode = 500;
      response.end('mirror');
    });
  });
  const answer = await scene.ask('/a?b', { method: 'POST', body: 'hello', headers: { host: 'cart:80' } });
  assert.deepEqual([answer.status, answer.body], [200, 'answer']);
  await until(() => copies.length > 0);
  assert.deepEqual(copies, ['POST /a?b cart-shadow:80 hello']);
  assert.equal(scene.records.length, 1);
});

test('a mirror that hangs delays nothing', async (t) => {
  const scene = await mirrored(t, () => undefined);
  for (let n = 0; n < 3; n++) assert.equal((await scene.ask('/', { method: 'POST', body: 'x' })).status, 200);
});

test('a body that the mirror does not read is copied up to a limit only', async (t) => {
  const scene = await mirrored(t, (request) => request.pause(), {}, 1000);
  const { status } = await scene.ask('/', { method: 'POST', body: Buffer.alloc(16 * 1024 * 1024) });
  assert.equal(status, 200);
  assert.equal(scene.service.stats().mirrorsDropped, 1);
});

test('a share of the requests', async (t) => {
  let copies = 0;
  const scene = await mirrored(
    t,
    (_request, response) => {
      copies++;
      response.end();
    },
    { fraction: 0.3 },
  );
  for (let n = 0; n < 100; n++) await scene.ask('/');
  assert.ok(copies > 8 && copies < 60, String(copies));
});
