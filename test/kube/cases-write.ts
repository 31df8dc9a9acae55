// Create, update, patch and delete.
import assert from 'node:assert/strict';
import { type ApiCase, configMap, eventually, ok, pod, refused } from './api-case.ts';

const creates: readonly ApiCase[] = [
  {
    name: 'what is created gets uid, version and time, and the name is taken',
    run: async ({ api, path, namespace }) => {
      const map = ok(await api.post(path('configmaps'), configMap('a', { key: 'x' })), 201);
      assert.match(map.metadata.uid, /^[0-9a-f-]{36}$/);
      assert.match(map.metadata.resourceVersion, /^\d+$/);
      assert.match(map.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.equal(map.metadata.namespace, namespace);
      assert.equal(map.metadata.generation, undefined);
      const status = refused(
        await api.post(path('configmaps'), configMap('a')),
        409,
        'AlreadyExists',
        /^configmaps "a" already exists$/,
      );
      assert.deepEqual(status.details, { name: 'a', kind: 'configmaps' });
    },
  },
  {
    name: 'generateName makes names',
    run: async ({ api, path }) => {
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'made-' } };
      const names = [];
      for (let i = 0; i < 3; i++) names.push(ok(await api.post(path('configmaps'), body), 201).metadata.name);
      for (const name of names) assert.match(name, /^made-[a-z0-9]{5}$/);
      assert.equal(new Set(names).size, 3);
    },
  },
  {
    name: 'refused: no name, a bad name, another namespace, another kind, a version, a namespace that is not there',
    run: async ({ api, path, unique }) => {
      const maps = path('configmaps');
      refused(await api.post(maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} }), 422, 'Invalid', /name/);
      refused(await api.post(maps, configMap('No_Good')), 422, 'Invalid', /RFC 1123/);
      refused(await api.post(maps, configMap('a', {}, { namespace: 'other' })), 400, 'BadRequest', /does not match/);
      refused(await api.post(maps, { ...configMap('a'), kind: 'Secret' }), 400, 'BadRequest');
      const versioned = await api.post(maps, configMap('a', {}, { resourceVersion: '5' }));
      assert.deepEqual([versioned.status, versioned.body.code, versioned.body.reason], [500, 500, undefined]);
      const nowhere = `/api/v1/namespaces/none-${unique}/configmaps`;
      refused(await api.post(nowhere, configMap('a')), 404, 'NotFound', /namespaces .* not found/);
      refused(await api.call('POST', maps, '{ "not": json'), 400, 'BadRequest');
    },
  },
  {
    name: 'a dry run answers as if, and stores nothing',
    run: async ({ api, path }) => {
      const map = ok(await api.post(`${path('configmaps')}?dryRun=All`, configMap('a')), 201);
      assert.match(map.metadata.uid, /-/);
      refused(await api.get(`${path('configmaps')}/a`), 404, 'NotFound');
    },
  },
  {
    name: 'a secret is given text, and has bytes',
    run: async ({ api, path }) => {
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { key: 'text' } };
      const made = ok(await api.post(path('secrets'), secret), 201);
      assert.deepEqual([made.type, made.data.key, made.stringData], ['Opaque', 'dGV4dA==', undefined]);
    },
  },
  {
    name: 'a service gets its address, and keeps it over a change',
    run: async ({ api, path }) => {
      const body = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } };
      const made = ok(await api.post(path('services'), body), 201);
      assert.match(made.spec.clusterIP, /^\d+\.\d+\.\d+\.\d+$/);
      assert.deepEqual(made.spec.clusterIPs, [made.spec.clusterIP]);
      assert.deepEqual(made.spec.ports, [{ port: 80, protocol: 'TCP', targetPort: 80 }]);
      assert.equal(made.spec.type, 'ClusterIP');
      const patch = { spec: { ports: [{ port: 81, name: 'b' }] } };
      const changed = ok(await api.patch('merge', `${path('services')}/s`, patch));
      assert.equal(changed.spec.clusterIP, made.spec.clusterIP);
      assert.equal(changed.spec.ports[0].port, 81);
    },
  },
];

const updates: readonly ApiCase[] = [
  {
    name: 'an update with an old version is a conflict; without a version it counts',
    run: async ({ api, path }) => {
      const map = ok(await api.post(path('configmaps'), configMap('a')), 201);
      const one = ok(await api.put(`${path('configmaps')}/a`, { ...map, data: { key: '1' } }));
      assert.notEqual(one.metadata.resourceVersion, map.metadata.resourceVersion);
      assert.equal(one.metadata.uid, map.metadata.uid);
      const stale = await api.put(`${path('configmaps')}/a`, { ...map, data: { key: '2' } });
      refused(stale, 409, 'Conflict', /the object has been modified; please apply your changes to the latest version/);
      const blind = ok(await api.put(`${path('configmaps')}/a`, configMap('a', { key: '3' })));
      assert.equal(blind.data.key, '3');
    },
  },
  {
    name: 'an update that says nothing new keeps the version and tells no watch',
    run: async ({ api, path, watch }) => {
      const map = ok(await api.post(path('configmaps'), configMap('a', { key: '1' })), 201);
      const { resourceVersion } = map.metadata;
      const select = 'fieldSelector=metadata.name!%3Dkube-root-ca.crt';
      const events = await watch(`${path('configmaps')}?watch=1&resourceVersion=${resourceVersion}&${select}`);
      const same = ok(await api.put(`${path('configmaps')}/a`, map));
      assert.equal(same.metadata.resourceVersion, resourceVersion);
      const patched = ok(await api.patch('merge', `${path('configmaps')}/a`, { data: { key: '1' } }));
      assert.equal(patched.metadata.resourceVersion, resourceVersion);
      ok(await api.post(path('configmaps'), configMap('b')), 201);
      assert.deepEqual(await events.take(1), ['ADDED b']);
    },
  },
  {
    name: 'refused: another name, another uid, an object that is not there',
    run: async ({ api, path }) => {
      ok(await api.post(path('configmaps'), configMap('a')), 201);
      refused(await api.put(`${path('configmaps')}/a`, configMap('b')), 400, 'BadRequest', /does not match/);
      const other = configMap('a', {}, { uid: '11111111-2222-4333-8444-555555555555' });
      refused(await api.put(`${path('configmaps')}/a`, other), 409, 'Conflict', /UID in precondition/);
      refused(await api.put(`${path('configmaps')}/none`, configMap('none')), 404, 'NotFound');
      refused(await api.patch('merge', `${path('configmaps')}/none`, {}), 404, 'NotFound');
    },
  },
  {
    name: 'generation counts changes of the spec; the status has a path of its own, and neither writes the other',
    run: async ({ api, path }) => {
      const deployments = path('deployments', 'apps/v1');
      const template = { metadata: { labels: { app: 'd' } }, spec: pod('x').spec };
      const spec = { selector: { matchLabels: { app: 'd' } }, template };
      const body = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'd' },
        spec,
        status: { replicas: 9 },
      };
      const made = ok(await api.post(deployments, body), 201);
      assert.deepEqual([made.metadata.generation, made.spec.replicas, made.status.replicas], [1, 1, undefined]);
      const scaled = ok(
        await api.patch('merge', `${deployments}/d`, { spec: { replicas: 2 }, status: { replicas: 7 } }),
      );
      assert.deepEqual([scaled.metadata.generation, scaled.status.replicas], [2, undefined]);
      const labelled = ok(await api.patch('merge', `${deployments}/d`, { metadata: { labels: { a: 'b' } } }));
      assert.equal(labelled.metadata.generation, 2);
      const status = { status: { replicas: 2, observedGeneration: 2 }, spec: { replicas: 5 } };
      const told = ok(await api.patch('merge', `${deployments}/d/status`, status));
      assert.deepEqual([told.metadata.generation, told.spec.replicas, told.status.replicas], [2, 2, 2]);
      const whole = ok(await api.get(`${deployments}/d/status`));
      assert.equal(whole.status.observedGeneration, 2);
    },
  },
  {
    name: 'the scale of a deployment',
    run: async ({ api, path }) => {
      const deployments = path('deployments', 'apps/v1');
      const template = { metadata: { labels: { app: 'd' } }, spec: pod('x').spec };
      const spec = { selector: { matchLabels: { app: 'd' } }, template };
      ok(
        await api.post(deployments, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec }),
        201,
      );
      const scale = ok(await api.get(`${deployments}/d/scale`));
      assert.deepEqual([scale.kind, scale.apiVersion, scale.spec.replicas], ['Scale', 'autoscaling/v1', 1]);
      assert.equal(scale.status.selector, 'app=d');
      const changed = ok(await api.patch('merge', `${deployments}/d/scale`, { spec: { replicas: 3 } }));
      assert.equal(changed.spec.replicas, 3);
      const whole = ok(await api.get(`${deployments}/d`));
      assert.deepEqual([whole.spec.replicas, whole.metadata.generation], [3, 2]);
      const stale = { ...scale, spec: { replicas: 4 } };
      refused(await api.put(`${deployments}/d/scale`, stale), 409, 'Conflict');
    },
  },
  {
    name: 'a pod: what cannot change does not, and its status is for others to say',
    run: async ({ api, path }) => {
      const pods = path('pods');
      const made = ok(await api.post(pods, { ...pod('p'), status: { phase: 'Running' } }), 201);
      assert.equal(made.status.phase, 'Pending');
      assert.deepEqual([made.spec.restartPolicy, made.spec.dnsPolicy], ['Always', 'ClusterFirst']);
      refused(await api.patch('merge', `${pods}/p`, { spec: { hostNetwork: true } }), 422, 'Invalid', /may not change/);
      const running = { status: { phase: 'Running', podIP: '10.1.2.3', podIPs: [{ ip: '10.1.2.3' }] } };
      const told = ok(await api.patch('merge', `${pods}/p/status`, running));
      assert.deepEqual([told.status.phase, told.status.podIP], ['Running', '10.1.2.3']);
      const labelled = ok(await api.patch('merge', `${pods}/p`, { metadata: { labels: { a: 'b' } } }));
      assert.deepEqual([labelled.status.phase, labelled.metadata.labels.a], ['Running', 'b']);
    },
  },
];

const patches: readonly ApiCase[] = [
  {
    name: 'merge patch: null removes, lists are replaced',
    run: async ({ api, path }) => {
      ok(await api.post(path('configmaps'), configMap('a', { one: '1', two: '2' })), 201);
      const map = ok(await api.patch('merge', `${path('configmaps')}/a`, { data: { one: null, three: '3' } }));
      assert.deepEqual(map.data, { two: '2', three: '3' });
    },
  },
  {
    name: 'a patch with an old version is a conflict',
    run: async ({ api, path }) => {
      const { metadata } = ok(await api.post(path('configmaps'), configMap('a')), 201);
      ok(await api.patch('merge', `${path('configmaps')}/a`, { data: { key: '1' } }));
      const stale = { metadata: { resourceVersion: metadata.resourceVersion }, data: { key: '2' } };
      refused(await api.patch('merge', `${path('configmaps')}/a`, stale), 409, 'Conflict', /has been modified/);
    },
  },
  {
    name: 'JSON patch: add, replace, remove, test, move',
    run: async ({ api, path }) => {
      ok(await api.post(path('configmaps'), configMap('a', { one: '1', two: '2' })), 201);
      const operations = [
        { op: 'test', path: '/data/one', value: '1' },
        { op: 'replace', path: '/data/one', value: '11' },
        { op: 'remove', path: '/data/two' },
        { op: 'add', path: '/metadata/labels', value: { 'example.com/x': 'y' } },
        { op: 'replace', path: '/metadata/labels/example.com~1x', value: 'z' },
        { op: 'move', from: '/data/one', path: '/data/uno' },
      ];
      const map = ok(await api.patch('json', `${path('configmaps')}/a`, operations));
      assert.deepEqual(map.data, { uno: '11' });
      assert.equal(map.metadata.labels['example.com/x'], 'z');
      const failing = [{ op: 'test', path: '/data/uno', value: 'x' }];
      refused(await api.patch('json', `${path('configmaps')}/a`, failing), 422, 'Invalid');
      refused(
        await api.patch('json', `${path('configmaps')}/a`, [{ op: 'remove', path: '/data/none' }]),
        422,
        'Invalid',
      );
    },
  },
  {
    name: 'strategic merge: lists with keys merge item by item',
    run: async ({ api, path }) => {
      const deployments = path('deployments', 'apps/v1');
      const containers = [
        { name: 'one', image: 'a:1', env: [{ name: 'A', value: '1' }] },
        { name: 'two', image: 'b:1' },
      ];
      const template = { metadata: { labels: { app: 'd' } }, spec: { containers } };
      const spec = { selector: { matchLabels: { app: 'd' } }, template };
      ok(
        await api.post(deployments, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec }),
        201,
      );
      const change = (list: object[]) => ({ spec: { template: { spec: { containers: list } } } });
      const patch = change([{ name: 'one', image: 'a:2', env: [{ name: 'B', value: '2' }] }]);
      const changed = ok(await api.patch('strategic', `${deployments}/d`, patch)).spec.template.spec.containers;
      const shown = changed.map((each: { name: string; image: string }) => `${each.name}=${each.image}`);
      assert.deepEqual(shown, ['one=a:2', 'two=b:1']);
      const names = changed[0].env.map((each: { name: string }) => each.name).sort();
      assert.deepEqual(names, ['A', 'B']);
      const dropped = ok(await api.patch('strategic', `${deployments}/d`, change([{ name: 'two', $patch: 'delete' }])));
      assert.equal(dropped.spec.template.spec.containers.length, 1);
    },
  },
  {
    name: 'a patch of no known type is refused',
    run: async ({ api, path }) => {
      ok(await api.post(path('configmaps'), configMap('a')), 201);
      const answer = await api.call('PATCH', `${path('configmaps')}/a`, {}, { contentType: 'application/json' });
      refused(answer, 415, 'UnsupportedMediaType');
    },
  },
];

const deletes: readonly ApiCase[] = [
  {
    name: 'delete says what has gone; then it is not there',
    run: async ({ api, path }) => {
      const { metadata } = ok(await api.post(path('configmaps'), configMap('a')), 201);
      const status = ok(await api.delete(`${path('configmaps')}/a`));
      assert.deepEqual([status.kind, status.status], ['Status', 'Success']);
      assert.deepEqual(status.details, { name: 'a', kind: 'configmaps', uid: metadata.uid });
      refused(await api.delete(`${path('configmaps')}/a`), 404, 'NotFound');
      const again = ok(await api.post(path('configmaps'), configMap('a')), 201);
      assert.notEqual(again.metadata.uid, metadata.uid);
    },
  },
  {
    name: 'preconditions: the uid and the version that are meant',
    run: async ({ api, path }) => {
      const { metadata } = ok(await api.post(path('configmaps'), configMap('a')), 201);
      const other = { preconditions: { uid: '11111111-2222-4333-8444-555555555555' } };
      refused(await api.delete(`${path('configmaps')}/a`, other), 409, 'Conflict');
      refused(
        await api.delete(`${path('configmaps')}/a`, { preconditions: { resourceVersion: '1' } }),
        409,
        'Conflict',
      );
      const { uid, resourceVersion } = metadata;
      ok(await api.delete(`${path('configmaps')}/a`, { preconditions: { uid, resourceVersion } }));
    },
  },
  {
    name: 'a finalizer holds an object until it is taken away; none may be added meanwhile',
    run: async ({ api, path, watch }) => {
      const finalizers = ['example.com/hold'];
      const made = ok(await api.post(path('configmaps'), configMap('a', {}, { finalizers })), 201);
      const since = `watch=1&resourceVersion=${made.metadata.resourceVersion}`;
      const events = await watch(`${path('configmaps')}?${since}&fieldSelector=metadata.name%3Da`);
      const ending = ok(await api.delete(`${path('configmaps')}/a`));
      assert.notEqual(ending.metadata.deletionTimestamp, undefined);
      assert.equal(ending.metadata.deletionGracePeriodSeconds, 0);
      ok(await api.get(`${path('configmaps')}/a`));
      const more = { metadata: { finalizers: [...finalizers, 'example.com/more'] } };
      refused(await api.patch('merge', `${path('configmaps')}/a`, more), 422, 'Invalid', /no new finalizers/);
      ok(await api.patch('merge', `${path('configmaps')}/a`, { metadata: { finalizers: null } }));
      refused(await api.get(`${path('configmaps')}/a`), 404, 'NotFound');
      assert.deepEqual(await events.take(2), ['MODIFIED a', 'DELETED a']);
    },
  },
  {
    name: 'a pod on a node is asked to end, and goes when its kubelet says so; one on no node goes at once',
    run: async ({ api, path }) => {
      const pods = path('pods');
      ok(await api.post(pods, pod('placed', { nodeName: 'nowhere', terminationGracePeriodSeconds: 7 })), 201);
      ok(await api.post(pods, pod('loose')), 201);
      ok(await api.delete(`${pods}/loose`));
      refused(await api.get(`${pods}/loose`), 404, 'NotFound');
      const ending = ok(await api.delete(`${pods}/placed`));
      assert.equal(ending.metadata.deletionGracePeriodSeconds, 7);
      assert.notEqual(ok(await api.get(`${pods}/placed`)).metadata.deletionTimestamp, undefined);
      ok(await api.delete(`${pods}/placed`, { gracePeriodSeconds: 0 }));
      refused(await api.get(`${pods}/placed`), 404, 'NotFound');
    },
  },
  {
    name: 'a collection is deleted by selector',
    run: async ({ api, path }) => {
      for (const [name, app] of [
        ['a', 'x'],
        ['b', 'x'],
        ['c', 'y'],
      ] as const) {
        ok(await api.post(path('configmaps'), configMap(name, {}, { labels: { app } })), 201);
      }
      ok(await api.delete(`${path('configmaps')}?labelSelector=app%3Dx`));
      const left = ok(await api.get(`${path('configmaps')}?labelSelector=app`));
      assert.deepEqual(
        left.items.map((each: { metadata: { name: string } }) => each.metadata.name),
        ['c'],
      );
    },
  },
  {
    name: 'owners: what they own goes after them, or with them, or stays',
    run: async ({ api, path }) => {
      const maps = path('configmaps');
      const owned = async (owner: string, name: string) => {
        const { uid } = ok(await api.get(`${maps}/${owner}`)).metadata;
        const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid, blockOwnerDeletion: true }];
        ok(await api.post(maps, configMap(name, {}, { ownerReferences })), 201);
      };
      for (const policy of ['Background', 'Foreground', 'Orphan']) {
        const [owner, child] = [`owner-${policy.toLowerCase()}`, `child-${policy.toLowerCase()}`];
        ok(await api.post(maps, configMap(owner)), 201);
        await owned(owner, child);
        ok(await api.delete(`${maps}/${owner}`, { propagationPolicy: policy }));
        await eventually(async () => void refused(await api.get(`${maps}/${owner}`), 404, 'NotFound'));
        if (policy === 'Orphan') {
          assert.equal(ok(await api.get(`${maps}/${child}`)).metadata.ownerReferences, undefined);
        } else await eventually(async () => void refused(await api.get(`${maps}/${child}`), 404, 'NotFound'));
      }
    },
  },
  {
    name: 'a namespace ends with what is in it, and takes nothing new meanwhile',
    run: async ({ api, unique, clean }) => {
      const own = `/api/v1/namespaces/ending-${unique}`;
      clean(own);
      const metadata = { name: `ending-${unique}` };
      const made = ok(await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata }), 201);
      assert.equal(made.status.phase, 'Active');
      assert.equal(made.metadata.labels['kubernetes.io/metadata.name'], `ending-${unique}`);
      const held = configMap('held', {}, { finalizers: ['example.com/hold'] });
      ok(await api.post(`${own}/configmaps`, held), 201);
      ok(await api.delete(own));
      await eventually(async () => {
        const map = ok(await api.get(`${own}/configmaps/held`));
        assert.notEqual(map.metadata.deletionTimestamp, undefined);
      });
      assert.equal(ok(await api.get(own)).status.phase, 'Terminating');
      refused(await api.post(`${own}/configmaps`, configMap('late')), 403, 'Forbidden', /being terminated/);
      ok(await api.patch('merge', `${own}/configmaps/held`, { metadata: { finalizers: null } }));
      await eventually(async () => void refused(await api.get(own), 404, 'NotFound'));
    },
  },
];

export const writeCases: readonly ApiCase[] = [...creates, ...updates, ...patches, ...deletes];
