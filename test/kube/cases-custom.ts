// Kinds that definitions bring, discovery, and tables.
import assert from 'node:assert/strict';
import { type ApiCase, eventually, ok, pod, refused, type Scene } from './api-case.ts';
import type { Json } from './api-client.ts';

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

function definition(group: string, more: object = {}): Json {
  const spec = {
    type: 'object',
    required: ['host'],
    properties: {
      host: { type: 'string', minLength: 1 },
      port: { type: 'integer', default: 80 },
      mode: { type: 'string', enum: ['STRICT', 'PERMISSIVE'] },
      rules: { type: 'array', items: { type: 'object', properties: { weight: { type: 'integer', maximum: 100 } } } },
    },
  };
  const openAPIV3Schema = {
    type: 'object',
    properties: {
      spec,
      status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind: 'Widget', plural: 'widgets', singular: 'widget', shortNames: ['wdg'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema },
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'Host', type: 'string', jsonPath: '.spec.host' },
            { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
            { name: 'Port', type: 'integer', jsonPath: '.spec.port', priority: 1 },
          ],
        },
      ],
      ...more,
    },
  };
}

interface Widgets {
  readonly group: string;
  readonly own: string;
  readonly all: string;
  readonly make: (name: string, spec: object, metadata?: object) => Json;
}

/** Defines a kind of the case's own, and waits until it is served. */
async function withWidgets(scene: Scene): Promise<Widgets> {
  const group = `t${scene.unique}.ambient.test`;
  const own = `${crds}/widgets.${group}`;
  scene.clean(own);
  ok(await scene.api.post(crds, definition(group)), 201);
  await eventually(async () => {
    const { conditions } = ok(await scene.api.get(own)).status;
    assert(conditions.some((each: Json) => each.type === 'Established' && each.status === 'True'));
  });
  const all = scene.path('widgets', `${group}/v1`);
  await eventually(async () => void ok(await scene.api.get(all)));
  const make = (name: string, spec: object, metadata: object = {}): Json => ({
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name, ...metadata },
    spec,
  });
  return { group, own, all, make };
}

const definitions: readonly ApiCase[] = [
  {
    name: 'a definition brings a kind and takes it away, its objects and watches with it',
    run: async (scene) => {
      const { api } = scene;
      assert.equal((await api.get(scene.path('widgets', `t${scene.unique}.ambient.test/v1`))).status, 404);
      const { group, own, all, make } = await withWidgets(scene);
      const made = ok(await api.post(all, make('a', { host: 'x' })), 201);
      assert.equal(made.metadata.generation, 1);
      const watch = await scene.watch(`${all}?watch=1&resourceVersion=${made.metadata.resourceVersion}`);
      await eventually(async () => {
        const { resources } = ok(await api.get(`/apis/${group}/v1`));
        const names = resources.map((each: Json) => each.name).sort();
        assert.deepEqual(names, ['widgets', 'widgets/status']);
      });
      ok(await api.delete(own));
      await eventually(async () => assert.equal((await api.get(all)).status, 404));
      await eventually(async () => void refused(await api.get(own), 404, 'NotFound'));
      assert.deepEqual(await watch.take(1), ['DELETED a']);
      ok(await api.post(crds, definition(group)), 201);
      await eventually(async () => assert.deepEqual(ok(await api.get(all)).items, []));
    },
  },
  {
    name: 'a schema refuses what it does not know, fills in defaults and prunes',
    run: async (scene) => {
      const { all, make } = await withWidgets(scene);
      const { api } = scene;
      const made = ok(await api.post(all, make('a', { host: 'x', extra: true })), 201);
      assert.deepEqual(made.spec, { host: 'x', port: 80 });
      const bad = refused(await api.post(all, make('b', { mode: 'LAX', port: 'http' })), 422, 'Invalid');
      const fields = bad.details.causes.map((each: Json) => `${each.field} ${each.reason}`).sort();
      assert.deepEqual(fields, [
        'spec.host FieldValueRequired',
        'spec.mode FieldValueNotSupported',
        'spec.port FieldValueTypeInvalid',
      ]);
      const heavy = await api.patch('merge', `${all}/a`, { spec: { rules: [{ weight: 101 }] } });
      refused(heavy, 422, 'Invalid', /spec\.rules\[0\]\.weight/);
      const strict = await api.post(`${all}?fieldValidation=Strict`, make('c', { host: 'x', extra: true }));
      refused(strict, 400, 'BadRequest', /strict decoding error: unknown field "spec\.extra"/);
      const warned = await api.post(`${all}?fieldValidation=Warn`, make('c', { host: 'x', extra: true }));
      assert.match(String(warned.headers.warning), /unknown field \\"spec\.extra\\"/);
    },
  },
  {
    name: 'status and spec of a custom object are written apart; an update names its version',
    run: async (scene) => {
      const { all, make } = await withWidgets(scene);
      const { api } = scene;
      const made = ok(await api.post(all, { ...make('a', { host: 'x' }), status: { seen: true } }), 201);
      assert.equal(made.status, undefined);
      refused(await api.put(`${all}/a`, make('a', { host: 'y' })), 422, 'Invalid', /must be specified for an update/);
      const changed = ok(await api.put(`${all}/a`, { ...made, spec: { host: 'y' }, status: { seen: true } }));
      assert.deepEqual([changed.metadata.generation, changed.status, changed.spec.host], [2, undefined, 'y']);
      const change = { status: { conditions: [{ type: 'Ready', status: 'True' }] }, spec: { host: 'z' } };
      const labelled = { ...change, metadata: { labels: { not: 'here' } } };
      const told = ok(await api.patch('merge', `${all}/a/status`, labelled));
      assert.deepEqual([told.metadata.generation, told.spec.host, told.metadata.labels], [2, 'y', undefined]);
      assert.equal(told.status.conditions[0].status, 'True');
      refused(await api.patch('strategic', `${all}/a`, {}), 415, 'UnsupportedMediaType');
    },
  },
  {
    name: 'server-side apply of a custom object',
    run: async (scene) => {
      const { all, make } = await withWidgets(scene);
      const { api } = scene;
      ok(await api.patch('apply', `${all}/a?fieldManager=one`, make('a', { host: 'x', mode: 'STRICT' })), 201);
      const conflict = await api.patch('apply', `${all}/a?fieldManager=two`, make('a', { host: 'y' }));
      refused(conflict, 409, 'Conflict', /conflict with "one": \.spec\.host/);
      const less = ok(await api.patch('apply', `${all}/a?fieldManager=one`, make('a', { host: 'x' })));
      assert.deepEqual([less.spec.mode, less.metadata.generation], [undefined, 2]);
      const status = { ...make('a', {}), spec: undefined, status: { conditions: [{ type: 'Ready', status: 'True' }] } };
      const told = ok(await api.patch('apply', `${all}/a/status?fieldManager=us`, status));
      assert.deepEqual([told.spec.host, told.status.conditions[0].type, told.metadata.generation], ['x', 'Ready', 2]);
    },
  },
];

const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };

const tables: readonly ApiCase[] = [
  {
    name: 'a table of pods',
    run: async ({ api, path }) => {
      ok(await api.post(path('pods'), pod('p', { nodeName: 'n' })), 201);
      const told = { status: { phase: 'Running', podIP: '10.1.2.3', podIPs: [{ ip: '10.1.2.3' }] } };
      ok(await api.patch('merge', `${path('pods')}/p/status`, told));
      const answer = ok(await api.get(path('pods'), { headers: table }));
      assert.deepEqual([answer.kind, answer.apiVersion], ['Table', 'meta.k8s.io/v1']);
      const names = answer.columnDefinitions.map((each: Json) => `${each.name} ${each.priority}`);
      assert.deepEqual(names, [
        'Name 0',
        'Ready 0',
        'Status 0',
        'Restarts 0',
        'Age 0',
        'IP 1',
        'Node 1',
        'Nominated Node 1',
        'Readiness Gates 1',
      ]);
      const [row] = answer.rows;
      const { cells } = row;
      assert.deepEqual(cells.slice(0, 3), ['p', '0/1', 'Running']);
      assert.equal(String(cells[3]), '0');
      assert.match(cells[4], /^\d+s$/);
      assert.deepEqual(cells.slice(5, 7), ['10.1.2.3', 'n']);
      assert.deepEqual([row.object.kind, row.object.metadata.name], ['PartialObjectMetadata', 'p']);
    },
  },
  {
    name: 'a table of a custom kind has the columns of its definition',
    run: async (scene) => {
      const { all, make } = await withWidgets(scene);
      const { api } = scene;
      ok(await api.post(all, make('a', { host: 'x' })), 201);
      ok(await api.patch('merge', `${all}/a/status`, { status: { conditions: [{ type: 'Ready', status: 'True' }] } }));
      const { columnDefinitions, rows } = ok(await api.get(all, { headers: table }));
      assert.deepEqual(
        columnDefinitions.map((each: Json) => `${each.name} ${each.type} ${each.priority}`),
        ['Name string 0', 'Host string 0', 'Ready string 0', 'Port integer 1'],
      );
      assert.deepEqual(rows[0].cells, ['a', 'x', 'True', 80]);
    },
  },
  {
    name: 'a watch of tables names the columns once',
    run: async ({ api, path }) => {
      ok(await api.post(path('pods'), pod('p')), 201);
      ok(await api.post(path('pods'), pod('q')), 201);
      const answer = await api.watch(`${path('pods')}?watch=1`, { headers: table });
      const [first, second] = [await answer.next(), await answer.next()];
      answer.close();
      assert.deepEqual([first?.type, first?.object.kind, first?.object.rows.length], ['ADDED', 'Table', 1]);
      assert(first?.object.columnDefinitions.length > 0);
      assert.equal(second?.object.columnDefinitions, null);
    },
  },
];

const aggregated = {
  accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json',
};

const discovery: readonly ApiCase[] = [
  {
    name: 'discovery, group by group and all at once',
    run: async ({ api }) => {
      assert.deepEqual(ok(await api.get('/api')).versions, ['v1']);
      const { groups } = ok(await api.get('/apis'));
      const apps = groups.find((each: Json) => each.name === 'apps');
      assert.deepEqual(apps.preferredVersion, { groupVersion: 'apps/v1', version: 'v1' });
      const { resources } = ok(await api.get('/api/v1'));
      const pods = resources.find((each: Json) => each.name === 'pods');
      assert.deepEqual([pods.kind, pods.namespaced, pods.shortNames, pods.singularName], ['Pod', true, ['po'], 'pod']);
      assert(resources.some((each: Json) => each.name === 'pods/status'));
      assert(pods.verbs.includes('watch') && pods.verbs.includes('deletecollection'));
      const both = [await api.get('/api', { headers: aggregated }), await api.get('/apis', { headers: aggregated })];
      for (const answer of both) {
        assert.equal(ok(answer).kind, 'APIGroupDiscoveryList');
        assert.match(String(answer.headers['content-type']), /as=APIGroupDiscoveryList/);
      }
      const core = both[0]?.body.items[0].versions[0];
      const item = core.resources.find((each: Json) => each.resource === 'pods');
      assert.deepEqual([core.version, item.scope, item.responseKind.kind], ['v1', 'Namespaced', 'Pod']);
      assert.equal((await api.get('/apis/none.example.com')).status, 404);
    },
  },
  {
    name: 'version, health, and an OpenAPI that knows fieldValidation',
    run: async ({ api }) => {
      assert.equal(ok(await api.get('/version')).major, '1');
      for (const path of ['/healthz', '/livez', '/readyz']) assert.equal(ok(await api.get(path)), 'ok');
      const { paths } = ok(await api.get('/openapi/v3'));
      const core = ok(await api.get(paths['api/v1'].serverRelativeURL));
      const { patch } = core.paths['/api/v1/namespaces/{namespace}/pods/{name}'];
      assert(patch.parameters.some((each: Json) => each.name === 'fieldValidation'));
      const kind = { group: '', version: 'v1', kind: 'Pod' };
      assert.deepEqual(patch['x-kubernetes-group-version-kind'], kind);
    },
  },
];

export const customCases: readonly ApiCase[] = [...definitions, ...tables, ...discovery];
