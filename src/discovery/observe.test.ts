// Questions to proxies and their answers, between the real client and the real server over loopback TLS.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError } from '@connectrpc/connect';
import { systemClock } from '../base/clock.ts';
import { isMeshError } from '../base/errors.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { lines, type Routes, type SimpleResponse, text } from '../telemetry/metrics-server.ts';
import { openChannel } from './channel.ts';
import { ObserveClient } from './observe-client.ts';
import { type ObservedProxy, ObserveServer } from './observe-server.ts';
import type { ProxyNode } from './proxy-node.ts';
import { RpcServer } from './rpc-server.ts';

const node: ProxyNode = {
  kind: 'node',
  name: 'ambient-node-a',
  namespace: 'ambient-system',
  nodeName: 'a',
  addresses: ['10.80.0.11'],
  clusterId: 'Kubernetes',
  version: '0.1.0',
};
const within = { timeout: 20_000 };

async function setUp(context: TestContext, routes: Routes) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-observe-'));
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock: systemClock });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = authority.issueServer(['127.0.0.1'], keys.publicKey, 3_600_000);
  const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const observed = new ObserveServer({
    authenticate: (headers) => {
      if (headers.get('authorization') !== 'Bearer good') throw new ConnectError('', Code.Unauthenticated);
      return (claimed) => claimed;
    },
  });
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    credentials: { keyPem, chainPem },
    routes: (router) => observed.routes(router),
  });
  const { port } = await server.start();
  const channel = await openChannel(`https://127.0.0.1:${port}`, authority.rootsPem().join(''));
  const end = new AbortController();
  context.after(async () => {
    end.abort();
    channel.close();
    observed.close();
    await server.close(100);
    rmSync(dir, { recursive: true, force: true });
  });
  const attend = (token: string): Promise<void> =>
    new ObserveClient(node, routes).attend(channel.transport, { authorization: `Bearer ${token}` }, end.signal);
  return { observed, attend, end, channel };
}

async function attending(observed: ObserveServer): Promise<ObservedProxy> {
  for (;;) {
    const [proxy] = observed.proxies();
    if (proxy !== undefined) return proxy;
    await sleep(5);
  }
}

async function whole({ body, stream }: SimpleResponse): Promise<string> {
  let all = body;
  for await (const piece of stream ?? []) all += piece;
  return all;
}

test('a proxy answers by its routes; refusals and what is not there come as they are', within, async (context) => {
  const long = 'x'.repeat(1_000_000);
  const { observed, attend } = await setUp(context, {
    'GET /hello': (url) => text(200, `hello ${url.searchParams.get('who')}\n`),
    'GET /long': () => text(200, long),
    'POST /level': () => text(202, 'done\n'),
  });
  void attend('good');
  const proxy = await attending(observed);
  assert.equal(proxy.node.nodeName, 'a');
  const hello = await proxy.ask('GET /hello?who=you');
  assert.deepEqual([hello.status, hello.contentType], [200, 'text/plain; charset=utf-8']);
  assert.equal(await whole(hello), 'hello you\n');
  assert.equal((await whole(await proxy.ask('GET /long'))).length, long.length);
  assert.equal((await proxy.ask('POST /level')).status, 202);
  assert.equal((await proxy.ask('POST /hello')).status, 405);
  assert.equal((await proxy.ask('GET /debug')).status, 404);
});

test(
  'an endless answer comes as it is made, and ends at the proxy when nobody listens any more',
  within,
  async (context) => {
    const ended = Promise.withResolvers<void>();
    async function* ticks(signal: AbortSignal): AsyncIterable<string> {
      try {
        for (let at = 1; !signal.aborted; at++) {
          yield `${at}\n`;
          await sleep(1);
        }
      } finally {
        ended.resolve();
      }
    }
    const { observed, attend } = await setUp(context, { 'GET /ticks': (_url, signal) => lines(ticks(signal)) });
    void attend('good');
    const proxy = await attending(observed);
    const listening = new AbortController();
    const { stream } = await proxy.ask('GET /ticks', listening.signal);
    let seen = '';
    await assert.rejects(async () => {
      for await (const piece of stream ?? []) {
        seen += piece;
        if (seen.includes('3\n')) listening.abort();
      }
    });
    await ended.promise;
    assert.match(seen, /^1\n2\n3\n/);
  },
);

test('a proxy that goes ends its answers with an error, and is no longer there', within, async (context) => {
  async function* silence(): AsyncIterable<string> {
    yield 'first\n';
    await new Promise(() => {});
  }
  const { observed, attend, channel } = await setUp(context, { 'GET /silence': () => lines(silence()) });
  void attend('good');
  const proxy = await attending(observed);
  const answer = await proxy.ask('GET /silence');
  setTimeout(() => channel.close(), 20);
  await assert.rejects(whole(answer), (error) => isMeshError(error) && error.code === 'NOT_REACHABLE');
  while (observed.proxies().length > 0) await sleep(5);
  await assert.rejects(proxy.ask('GET /silence'), (error) => isMeshError(error) && error.code === 'NOT_REACHABLE');
});

test('a caller that is not let in is not asked', within, async (context) => {
  const { observed, attend, end } = await setUp(context, {});
  const done = attend('bad');
  await sleep(100);
  assert.deepEqual(observed.proxies(), []);
  end.abort();
  await done;
});
