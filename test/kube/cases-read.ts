// Get, list and watch.
import assert from 'node:assert/strict';
import { type ApiCase, configMap, ok, pod, refused, type Scene } from './api-case.ts';

async function makeMaps(scene: Scene, names: readonly string[]): Promise<string> {
  let version = '';
  for (const name of names)
    version = ok(await scene.api.post(scene.path('configmaps'), configMap(name)), 201).metadata.resourceVersion;
  return version;
}

/** Every namespace of a whole cluster has this one, some time after its start. */
const noRoots = 'fieldSelector=metadata.name!%3Dkube-root-ca.crt';

const namesOf = (list: { items: { metadata: { name: string } }[] }): string[] =>
  list.items.map(({ metadata }) => metadata.name).filter((name) => name !== 'kube-root-ca.crt');

const lists: readonly ApiCase[] = [
  {
    name: 'a list is sorted by name and carries a version that is not older than its objects',
    run: async (scene) => {
      const version = await makeMaps(scene, ['b', 'a', 'c']);
      const list = ok(await scene.api.get(scene.path('configmaps')));
      assert.deepEqual(namesOf(list), ['a', 'b', 'c']);
      assert.deepEqual([list.kind, list.apiVersion], ['ConfigMapList', 'v1']);
      assert(Number(list.metadata.resourceVersion) >= Number(version));
    },
  },
  {
    name: 'pages are of one version: what happens between them is not seen',
    run: async (scene) => {
      await makeMaps(scene, ['a', 'b', 'c', 'd', 'e']);
      const path = scene.path('configmaps');
      const select = 'labelSelector=!none&limit=2';
      const first = ok(await scene.api.get(`${path}?${select}`));
      assert.equal(first.items.length, 2);
      ok(await scene.api.delete(`${path}/d`));
      ok(await scene.api.post(path, configMap('bb')), 201);
      const seen = namesOf(first);
      let page = first;
      while ((page.metadata.continue ?? '') !== '') {
        const token = encodeURIComponent(page.metadata.continue);
        page = ok(await scene.api.get(`${path}?${select}&continue=${token}`));
        assert.equal(page.metadata.resourceVersion, first.metadata.resourceVersion);
        seen.push(...namesOf(page));
      }
      assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e']);
    },
  },
  {
    name: 'a page says how many more there are, unless a selector makes that dear',
    run: async (scene) => {
      await makeMaps(scene, ['a', 'b', 'c']);
      const path = scene.path('configmaps');
      const all = ok(await scene.api.get(path)).items.length;
      assert.equal(ok(await scene.api.get(`${path}?limit=1`)).metadata.remainingItemCount, all - 1);
      const selected = ok(await scene.api.get(`${path}?limit=1&labelSelector=!none`));
      assert.equal(selected.metadata.remainingItemCount, undefined);
      assert.notEqual(selected.metadata.continue, undefined);
    },
  },
  {
    name: 'version 0 is answered at once and whole, whatever the limit',
    run: async (scene) => {
      await makeMaps(scene, ['a', 'b', 'c']);
      const list = ok(await scene.api.get(`${scene.path('configmaps')}?resourceVersion=0&limit=1`));
      assert.equal(list.metadata.continue, undefined);
    },
  },
  {
    name: 'an exact version shows what was there then',
    run: async (scene) => {
      const version = await makeMaps(scene, ['a', 'b']);
      const path = scene.path('configmaps');
      ok(await scene.api.put(`${path}/a`, configMap('a', { key: 'new' })));
      ok(await scene.api.delete(`${path}/b`));
      await makeMaps(scene, ['c']);
      const then = ok(await scene.api.get(`${path}?resourceVersion=${version}&resourceVersionMatch=Exact`));
      assert.deepEqual(namesOf(then), ['a', 'b']);
      assert.equal(
        then.items.find((item: { metadata: { name: string } }) => item.metadata.name === 'a').data,
        undefined,
      );
      assert.equal(then.metadata.resourceVersion, version);
      const since = ok(await scene.api.get(`${path}?resourceVersion=${version}&resourceVersionMatch=NotOlderThan`));
      assert.deepEqual(namesOf(since), ['a', 'c']);
    },
  },
  {
    name: 'a version of the future is a timeout that says when to come again',
    run: async ({ api, path }) => {
      const answer = await api.get(`${path('configmaps')}?resourceVersion=99999999&resourceVersionMatch=NotOlderThan`);
      const status = refused(answer, 504, 'Timeout', /Too large resource version/);
      assert.equal(status.details.causes[0].reason, 'ResourceVersionTooLarge');
      assert.equal(status.details.retryAfterSeconds, 1);
    },
  },
  {
    name: 'a continue token of nonsense is a bad request',
    run: async ({ api, path }) => {
      refused(await api.get(`${path('configmaps')}?limit=1&continue=bm9uc2Vuc2U`), 400, 'BadRequest', /continue/);
    },
  },
  {
    name: 'get: the object, or 404 with what and which',
    run: async ({ api, path }) => {
      ok(await api.post(path('configmaps'), configMap('a', { key: 'value' })), 201);
      const map = ok(await api.get(`${path('configmaps')}/a`));
      assert.deepEqual([map.kind, map.apiVersion, map.data.key], ['ConfigMap', 'v1', 'value']);
      const status = refused(await api.get(`${path('configmaps')}/b`), 404, 'NotFound', /^configmaps "b" not found$/);
      assert.deepEqual(status.details, { name: 'b', kind: 'configmaps' });
      refused(await api.get(`${path('nosuchthings')}/b`), 404, 'NotFound');
    },
  },
  {
    name: 'metadata alone, where it is asked for',
    run: async ({ api, path }) => {
      ok(await api.post(path('configmaps'), configMap('a', { key: 'value' })), 201);
      const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
      const list = ok(await api.get(path('configmaps'), { headers: { accept } }));
      const item = list.items.find((each: { metadata: { name: string } }) => each.metadata.name === 'a');
      assert.equal(list.kind, 'PartialObjectMetadataList');
      assert.equal(item.data, undefined);
    },
  },
];

const selectorRows: readonly (readonly [query: string, names: string[]])[] = [
  ['labelSelector=app%3Dweb', ['web-1', 'web-2']],
  ['labelSelector=app%3D%3Dweb,tier!%3Dback', ['web-1']],
  ['labelSelector=app%20in%20(web,db),tier', ['web-2']],
  ['labelSelector=app%20notin%20(web)', ['bare', 'db-1']],
  ['labelSelector=!app', ['bare']],
  ['fieldSelector=metadata.name%3Ddb-1', ['db-1']],
  ['fieldSelector=spec.nodeName%3Dnode-a', ['web-2']],
  ['fieldSelector=spec.nodeName!%3Dnode-a&labelSelector=app', ['db-1', 'web-1']],
  ['fieldSelector=status.phase%3DPending,metadata.name%3Dweb-1', ['web-1']],
  ['fieldSelector=status.phase%3DRunning', []],
];

const selectors: readonly ApiCase[] = [
  {
    name: 'label and field selectors',
    run: async ({ api, path }) => {
      const pods = path('pods');
      ok(await api.post(pods, pod('web-1', {}, { labels: { app: 'web' } })), 201);
      ok(await api.post(pods, pod('web-2', { nodeName: 'node-a' }, { labels: { app: 'web', tier: 'back' } })), 201);
      ok(await api.post(pods, pod('db-1', {}, { labels: { app: 'db' } })), 201);
      ok(await api.post(pods, pod('bare')), 201);
      for (const [query, names] of selectorRows) {
        assert.deepEqual(namesOf(ok(await api.get(`${pods}?${query}`))), names, query);
      }
      refused(await api.get(`${pods}?fieldSelector=spec.nothing%3Da`), 400, 'BadRequest', /field label not supported/);
      refused(await api.get(`${pods}?labelSelector=a%3D%3D%3Db`), 400, 'BadRequest');
    },
  },
];

const watches: readonly ApiCase[] = [
  {
    name: 'a watch from a version tells what happened since and what happens',
    run: async (scene) => {
      const { api, path } = scene;
      const version = await makeMaps(scene, ['a']);
      await makeMaps(scene, ['b']);
      ok(await api.patch('merge', `${path('configmaps')}/a`, { data: { key: 'new' } }));
      const watch = await scene.watch(`${path('configmaps')}?watch=1&resourceVersion=${version}&${noRoots}`);
      assert.deepEqual(await watch.take(2), ['ADDED b', 'MODIFIED a']);
      const deleted = ok(await api.delete(`${path('configmaps')}/b`));
      assert.equal(deleted.status, 'Success');
      const event = await watch.next();
      assert.deepEqual([event?.type, event?.object.metadata.name], ['DELETED', 'b']);
      assert(Number(event?.object.metadata.resourceVersion) > Number(version) + 2);
    },
  },
  {
    name: 'a watch without a version, and one from 0, begin with what is there',
    run: async (scene) => {
      await makeMaps(scene, ['a', 'b']);
      for (const query of ['watch=1', 'watch=true&resourceVersion=0']) {
        const watch = await scene.watch(`${scene.path('configmaps')}?${query}&${noRoots}`);
        assert.deepEqual((await watch.take(2)).sort(), ['ADDED a', 'ADDED b'], query);
      }
    },
  },
  {
    name: 'a watch with a selector: what comes to match is added, what ceases to is deleted',
    run: async (scene) => {
      const { api, path } = scene;
      const version = await makeMaps(scene, ['a']);
      const query = `watch=1&resourceVersion=${version}&labelSelector=is%3Din`;
      const watch = await scene.watch(`${path('configmaps')}?${query}`);
      const label = (value: string) =>
        api.patch('merge', `${path('configmaps')}/a`, { metadata: { labels: { is: value } } });
      ok(await label('in'));
      ok(await api.patch('merge', `${path('configmaps')}/a`, { data: { key: 'x' } }));
      const out = ok(await label('out'));
      ok(await label('in'));
      assert.deepEqual(await watch.take(2), ['ADDED a', 'MODIFIED a']);
      const gone = await watch.next();
      assert.equal(gone?.type, 'DELETED');
      assert.equal(gone?.object.metadata.resourceVersion, out.metadata.resourceVersion);
      assert.deepEqual(await watch.take(1), ['ADDED a']);
    },
  },
  {
    name: 'the state as events: all of it, then a bookmark that says so',
    run: async (scene) => {
      const version = await makeMaps(scene, ['a', 'b']);
      const words = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
      const watch = await scene.watch(`${scene.path('configmaps')}?${words}&${noRoots}`);
      assert.deepEqual(await watch.take(2), ['ADDED a', 'ADDED b']);
      const mark = await watch.next();
      assert.equal(mark?.type, 'BOOKMARK');
      assert.equal(mark?.object.kind, 'ConfigMap');
      assert.equal(mark?.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
      assert(Number(mark?.object.metadata.resourceVersion) >= Number(version));
      await makeMaps(scene, ['c']);
      assert.deepEqual(await watch.take(1), ['ADDED c']);
    },
  },
  {
    name: 'the state as events needs a word about the version',
    run: async ({ api, path }) => {
      const answer = await api.get(`${path('configmaps')}?watch=1&sendInitialEvents=true`);
      refused(answer, 422, 'Invalid', /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/);
    },
  },
  {
    name: 'a watch ends in good order when its time is over',
    run: async (scene) => {
      const watch = await scene.watch(`${scene.path('secrets')}?watch=1&timeoutSeconds=1&resourceVersion=0`);
      assert.equal(watch.status, 200);
      while ((await watch.next()) !== null);
    },
  },
  {
    name: 'a watch of one object by its name',
    run: async (scene) => {
      const version = await makeMaps(scene, ['a']);
      await makeMaps(scene, ['b']);
      const query = `watch=1&resourceVersion=${version}&fieldSelector=metadata.name%3Dc`;
      const watch = await scene.watch(`${scene.path('configmaps')}?${query}`);
      await makeMaps(scene, ['c']);
      assert.deepEqual(await watch.take(1), ['ADDED c']);
    },
  },
];

export const readCases: readonly ApiCase[] = [...lists, ...selectors, ...watches];
