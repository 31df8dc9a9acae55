// What is done to clients of the API server on purpose: history that is forgotten, watches that end, restarts, answers
// that are refused or late.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ApiServer, type ApiServerOptions } from '../../src/lab/api-server/api-server.ts';
import { configMap, ok, refused } from './api-case.ts';
import { ApiClient } from './api-client.ts';

const maps = '/api/v1/namespaces/default/configmaps';

async function withServer(
  run: (server: ApiServer, api: ApiClient) => Promise<void>,
  options: ApiServerOptions = {},
): Promise<void> {
  const server = new ApiServer(options);
  const api = new ApiClient(await server.start());
  try {
    await run(server, api);
  } finally {
    api.close();
    await server.close();
  }
}

describe('faults of the API server', () => {
  test('forgotten history: 410 as an event in a watch, and for a page, with a token that goes on', () =>
    withServer(async (server, api) => {
      for (const name of ['a', 'b', 'c']) ok(await api.post(maps, configMap(name)), 201);
      const page = ok(await api.get(`${maps}?limit=1`));
      const { resourceVersion, continue: token } = page.metadata;
      ok(await api.delete(`${maps}/b`));
      server.forgetHistory();
      const watch = await api.watch(`${maps}?watch=1&resourceVersion=${resourceVersion}`);
      const event = await watch.next();
      assert.deepEqual([watch.status, event?.type, event?.object.code], [200, 'ERROR', 410]);
      assert.equal(event?.object.reason, 'Expired');
      assert.match(event?.object.message, /too old resource version/);
      assert.equal(await watch.next(), null);
      const late = refused(await api.get(`${maps}?limit=1&continue=${token}`), 410, 'Expired', /continue parameter/);
      const rest = ok(await api.get(`${maps}?continue=${late.metadata.continue}`));
      assert.deepEqual(
        rest.items.map((each: { metadata: { name: string } }) => each.metadata.name),
        ['c'],
      );
      const exact = `${maps}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`;
      refused(await api.get(exact), 410, 'Expired');
    }));

  test('history has a limit, and what falls out of it is 410', () =>
    withServer(
      async (_server, api) => {
        const { metadata } = ok(await api.post(maps, configMap('a')), 201);
        for (let i = 0; i < 30; i++) ok(await api.patch('merge', `${maps}/a`, { data: { i: String(i) } }));
        const watch = await api.watch(`${maps}?watch=1&resourceVersion=${metadata.resourceVersion}`);
        assert.equal((await watch.next())?.type, 'ERROR');
      },
      { historyMax: 10 },
    ));

  test('watches that end in good order or are cut, of one kind or all', () =>
    withServer(async (server, api) => {
      const [one, other] = [await api.watch(`${maps}?watch=1`), await api.watch('/api/v1/pods?watch=1')];
      server.dropWatches('configmaps', 'end');
      assert.equal(await one.next(), null);
      assert.deepEqual([server.watchCount('configmaps'), server.watchCount()], [0, 1]);
      server.dropWatches();
      await assert.rejects(other.next());
    }));

  test('bookmarks come to who wants them', () =>
    withServer(async (server, api) => {
      const watch = await api.watch(`${maps}?watch=1&allowWatchBookmarks=true&resourceVersion=0`);
      const other = ok(await api.post('/api/v1/namespaces/default/secrets', { metadata: { name: 's' } }), 201);
      server.sendBookmarks();
      const event = await watch.next();
      assert.deepEqual([event?.type, event?.object.kind], ['BOOKMARK', 'ConfigMap']);
      assert.equal(event?.object.metadata.resourceVersion, other.metadata.resourceVersion);
      watch.close();
    }));

  test('a restart: connections are cut, objects stay, watches from before are 410', () =>
    withServer(async (server, api) => {
      const { metadata } = ok(await api.post(maps, configMap('a')), 201);
      const watch = await api.watch(`${maps}?watch=1`);
      await watch.next();
      ok(await api.post(maps, configMap('b')), 201);
      await server.restart();
      await assert.rejects(async () => {
        while ((await watch.next()) !== null);
      });
      assert.equal(ok(await api.get(`${maps}/a`)).metadata.uid, metadata.uid);
      const again = await api.watch(`${maps}?watch=1&resourceVersion=${metadata.resourceVersion}`);
      assert.equal((await again.next())?.object.code, 410);
    }));

  test('answers of failure, as often as was asked for, and late ones', () =>
    withServer(async (server, api) => {
      server.faults.add({ match: { verb: 'list', resource: 'configmaps' }, status: 429, retryAfterS: 3, times: 1 });
      const busy = await api.get(maps);
      refused(busy, 429, 'TooManyRequests');
      assert.equal(busy.headers['retry-after'], '3');
      ok(await api.get(maps));
      const end = server.faults.add({ match: { method: 'POST' }, status: 500 });
      refused(await api.post(maps, configMap('a')), 500, 'InternalError');
      ok(await api.get(maps));
      end();
      ok(await api.post(maps, configMap('a')), 201);
      server.faults.add({ match: { verb: 'get' }, cut: true, times: 1 });
      await assert.rejects(api.get(`${maps}/a`));
      server.faults.add({ delayMs: 20, times: 1 });
      ok(await api.get(`${maps}/a`));
    }));
});
