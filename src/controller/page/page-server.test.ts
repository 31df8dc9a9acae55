// The listener of the live page: who may look, what headers say, that nothing changes, and that a slow reader costs
// nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ControllerConfig } from '../../config/controller.ts';
import type { ObservedProxy } from '../../discovery/observe-server.ts';
import { readLeniently, type UnusedObject } from '../../kube/manifests.ts';
import type { GraphView, ProblemsView } from '../../model/page-views.ts';
import { lines } from '../../telemetry/metrics-server.ts';
import { MeshWatch } from './mesh-watch.ts';
import { pageEventsOf } from './page-events.ts';
import { PageServer, type PageServerOptions } from './page-server.ts';
import { Replicas } from './replicas.ts';
import { request, smallMesh } from './testing-page.ts';

const open: ControllerConfig['page'] = {
  ...{ enabled: true, host: '127.0.0.1', names: ['mesh.example'], tls: 'off', certificateFile: '', keyFile: '' },
  ...{ passwordFile: '', tokenFile: '' },
};
const large = JSON.stringify({ padding: 'x'.repeat(256 * 1024) });

/** A new graph with every turn; `turn` makes one. */
function fakeWatched() {
  const waiting = new Set<() => void>();
  const state = { version: 1, watchers: 0 };
  const watched: PageServerOptions['watched'] = {
    watch: () => {
      state.watchers++;
      return () => void state.watchers--;
    },
    tell: () => Promise.resolve({ json: '{"nodes":[]}', version: state.version }),
    last: (topic) => (topic === 'graph' ? { json: large, version: state.version } : null),
    next: (signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        waiting.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    details: () => Promise.resolve(null),
  };
  const turn = (): void => {
    state.version++;
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  return { watched, turn, state };
}

async function serving(context: TestContext, page: Partial<ControllerConfig['page']> = {}, watched = fakeWatched()) {
  const options = { page: { ...open, ...page }, port: 0, credentials: null, nowMs: Date.now };
  const server = new PageServer({ ...options, watched: watched.watched });
  const port = await server.start();
  context.after(() => server.close());
  const ask = async (url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<IncomingMessage> => {
    const [answer] = (await once(httpRequest({ port, path: url, method, headers }).end(), 'response')) as [
      IncomingMessage,
    ];
    answer.resume();
    return answer;
  };
  return { port, ask, ...watched };
}

test('every answer says that nothing of elsewhere is to be loaded', async (context) => {
  const { ask } = await serving(context);
  for (const url of ['/', '/api/graph', '/api/nothing', '/assets/page/ui/main.ts']) {
    const { headers, statusCode } = await ask(url);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'; script-src 'self';.*frame-ancestors 'none'$/, url);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(statusCode, url === '/api/nothing' ? 404 : 200, url);
  }
  assert.match(String((await ask('/')).headers['content-type']), /^text\/html/);
  assert.match(String((await ask('/assets/model/page-views.ts')).headers['content-type']), /^text\/javascript/);
  for (const url of ['/assets/page/layout.test.ts', '/assets/../package.json', '/assets/controller/gate.ts']) {
    assert.equal((await ask(url)).statusCode, 404, url);
  }
});

for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
  test(`it changes nothing: ${method} is refused`, async (context) => {
    const { ask } = await serving(context);
    assert.deepEqual([(await ask('/api/graph', {}, method)).statusCode], [405]);
  });
}

const hosts = [
  ['localhost:15030', 200],
  ['127.0.0.1', 200],
  ['[::1]:15030', 200],
  ['10.1.2.3:80', 200],
  ['MESH.example:15030', 200],
  ['evil.example', 421],
  ['localhost.evil.example:15030', 421],
] as const;

for (const [host, status] of hosts) {
  test(`asked for as '${host}': ${status}`, async (context) => {
    const { ask } = await serving(context);
    assert.equal((await ask('/api/graph', { host })).statusCode, status);
  });
}

test('with a password or a token nobody else is let in, and changed files count at once', async (context) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-page-'));
  context.after(() => rmSync(dir, { recursive: true }));
  const [passwordFile, tokenFile] = [path.join(dir, 'password'), path.join(dir, 'token')];
  writeFileSync(passwordFile, 'ops:secret\n');
  writeFileSync(tokenFile, 't0ken');
  const { ask } = await serving(context, { passwordFile, tokenFile });
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
  const statusOf = async (headers: Record<string, string>) => (await ask('/', headers)).statusCode;
  const refused = await ask('/');
  assert.match(String(refused.headers['www-authenticate']), /^Basic realm/);
  assert.deepEqual(
    await Promise.all([
      statusOf({}),
      statusOf(basic('ops:wrong')),
      statusOf(basic('')),
      statusOf({ authorization: 'Bearer secret' }),
      statusOf({ authorization: 'Bearer t0ken' }),
      statusOf(basic('ops:secret')),
    ]),
    [401, 401, 401, 401, 200, 200],
  );
  rmSync(passwordFile);
  assert.equal(await statusOf(basic('ops:secret')), 401);
});

test('whoever reads slowly gets the newest graph and none of those between', async () => {
  const { watched, turn, state } = fakeWatched();
  const stop = new AbortController();
  const events = pageEventsOf(watched, stop.signal, () => 0)[Symbol.asyncIterator]();
  const first = await events.next();
  assert.equal(first.value?.match(/event: graph/g)?.length, 1);
  for (let at = 0; at < 1_000; at++) turn();
  const next = events.next();
  turn();
  assert.equal((await next).value?.match(/event: graph/g)?.length, 1);
  assert.equal(state.watchers, 1);
  stop.abort();
  assert.equal((await events.next()).done, true);
  assert.equal(state.watchers, 0);
});

test('a reader that reads nothing holds no memory', async (context) => {
  const { port, turn, state } = await serving(context);
  const socket = connect(port, '127.0.0.1');
  context.after(() => socket.destroy());
  socket.pause();
  socket.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n');
  while (state.watchers === 0) await new Promise((resolve) => setImmediate(resolve));
  const before = process.memoryUsage();
  for (let at = 0; at < 400; at++) {
    turn();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const grown = process.memoryUsage();
  // Sent as they come, these would be 100 MB.
  assert.ok(grown.external + grown.heapUsed - before.external - before.heapUsed < 50_000_000);
  socket.destroy();
  while (state.watchers > 0) await new Promise((resolve) => setImmediate(resolve));
});

/** A proxy that tells these flows, and then none. */
function fakeProxy(flows: readonly object[], asked: string[]): ObservedProxy {
  const node = { kind: 'node', namespace: 'ambient-system', name: 'ambient-node-1', nodeName: 'node-1', version: '1' };
  return {
    node: node as ObservedProxy['node'],
    ask: (question, signal) => {
      asked.push(question);
      if (!question.startsWith('GET /flows')) return Promise.resolve({ status: 404, contentType: '', body: '' });
      async function* told(): AsyncIterable<string> {
        yield flows.map((flow) => `${JSON.stringify(flow)}\n`).join('');
        if (signal !== undefined && !signal.aborted) await once(signal, 'abort');
      }
      return Promise.resolve(lines(told()));
    },
  };
}

test('proxies are asked while somebody watches, and not before or afterwards', async (context) => {
  const asked: string[] = [];
  const now = Date.parse('2026-01-02T03:04:10.000Z');
  let actions: (() => void)[] = [];
  const clock = {
    now: () => now,
    after: (_ms: number, action: () => void) => {
      actions.push(action);
      return () => {
        actions = actions.filter((one) => one !== action);
      };
    },
  };
  const proxy = fakeProxy([request({ time: '2026-01-02T03:04:10.000Z' })], asked);
  const asides: string[] = [];
  const text = JSON.stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'shut', namespace: 'ambient-system' },
    spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 80 }] }] },
  });
  const [shutting] = readLeniently([{ text, file: 'shut.yaml' }]).unused as [UnusedObject];
  const watch = new MeshWatch({
    replicas: new Replicas({ observed: { proxies: () => [proxy], replicas: () => [] }, replicas: null }),
    compiler: { mesh: () => smallMesh, peerAuthenticationOf: () => null },
    status: () => ({ proxies: [], sources: [], issues: [], objects: [], version: '1' }),
    source: {
      followAside: () => {
        asides.push('followed');
        return { objects: () => [shutting], problems: () => ['NetworkPolicy'], close: () => asides.push('closed') };
      },
    },
    certificates: () => {
      const issuer = { subject: '', serial: '', notBefore: '', notAfter: '' };
      return { roots: [], issuer, nextIssuerFrom: null, servers: [] };
    },
    clock,
  });
  context.after(() => watch.close());
  assert.deepEqual([asked, watch.isRunning], [[], false]);
  const release = watch.watch();
  await watch.tell('graph');
  for (const action of [...actions]) action();
  const graph = JSON.parse(watch.last('graph')!.json) as GraphView;
  assert.deepEqual(
    graph.edges.map(({ id }) => id),
    ['shop/web>shop/cart'],
  );
  assert.deepEqual(asked.toSorted(), ['GET /edges', 'GET /flows?follow=1&last=200', 'GET /state']);
  const { problems, incomplete } = JSON.parse(watch.last('problems')!.json) as ProblemsView;
  assert.equal(incomplete.at(-1), 'NetworkPolicy');
  assert.equal(problems.find(({ code }) => code === 'AMB1026')?.title, 'NetworkPolicy ambient-system/shut');
  assert.deepEqual(asides, ['followed']);
  release();
  // The time to linger is over.
  for (const action of [...actions]) action();
  assert.equal(watch.isRunning, false);
  assert.deepEqual(asides, ['followed', 'closed']);
  assert.equal(watch.last('graph'), null);
});

test('further browsers are told to come back', async (context) => {
  const { port, state } = await serving(context);
  const readers = Array.from({ length: 32 }, () => get({ port, path: '/events' }));
  context.after(() => readers.map((reader) => reader.destroy()));
  for (const reader of readers) reader.on('error', () => {}).on('response', (answer) => answer.pause());
  while (state.watchers < 32) await new Promise((resolve) => setTimeout(resolve, 5));
  const [answer] = (await once(get({ port, path: '/events' }), 'response')) as [IncomingMessage];
  answer.resume();
  assert.deepEqual([answer.statusCode, answer.headers['retry-after']], [503, '10']);
});
