// The live page through a port of this machine: what the controller answers, and nothing else of it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { PageRelay } from './page-relay.ts';

/** A relay to a page that answers each path with its own words. */
async function relaying(context: TestContext) {
  const asked: string[] = [];
  const page = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const headers = {
      'content-type': 'text/x-own',
      'content-security-policy': "default-src 'none'",
      'set-cookie': 'a=b',
    };
    response.writeHead(request.url === '/gone' ? 404 : 200, headers).end(`page ${request.url}`);
  });
  await once(page.listen(0, '127.0.0.1'), 'listening');
  context.after(() => page.close());
  const { port } = page.address() as AddressInfo;
  const relay = new PageRelay({
    page: async (path, signal) =>
      (await once(get({ port, path, signal, agent: false }), 'response'))[0] as IncomingMessage,
  });
  context.after(() => relay.close());
  return { relay, asked };
}

test('it answers what the page answers, with what a browser has to know', async (context) => {
  const { relay, asked } = await relaying(context);
  const url = await relay.start(0);
  const answer = await fetch(`${url}api/details?node=shop%2Fcart`);
  assert.equal(await answer.text(), 'page /api/details?node=shop%2Fcart');
  const names = ['content-type', 'content-security-policy', 'set-cookie', 'cache-control'];
  assert.deepEqual(
    names.map((name) => answer.headers.get(name)),
    ['text/x-own', "default-src 'none'", null, 'no-store'],
  );
  assert.equal((await fetch(`${url}gone`)).status, 404);
  assert.deepEqual(asked, ['GET /api/details?node=shop%2Fcart', 'GET /gone']);
});

test('it changes nothing, and is nobody else', async (context) => {
  const { relay, asked } = await relaying(context);
  const url = new URL(await relay.start(0));
  assert.equal((await fetch(url, { method: 'POST' })).status, 405);
  const [answer] = (await once(get({ port: url.port, headers: { host: 'evil.example' } }), 'response')) as [
    IncomingMessage,
  ];
  answer.resume();
  assert.equal(answer.statusCode, 421);
  assert.deepEqual(asked, []);
});

test('a port that is taken: the one that was asked for is an error, the usual one is replaced', async (context) => {
  const { relay } = await relaying(context);
  const { relay: other } = await relaying(context);
  const taken = new URL(await relay.start(0)).port;
  const words = /EADDRINUSE.*; leave out --port for one that is free$/;
  await assert.rejects(other.start(Number(taken)), { code: 'NOT_REACHABLE', message: words });
  const { relay: third } = await relaying(context);
  const urls = [await other.start(null), await third.start(null)];
  assert.notEqual(urls[0], urls[1]);
});
