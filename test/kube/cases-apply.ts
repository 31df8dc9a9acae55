// Server-side apply: who owns which fields, and what becomes of that.
import assert from 'node:assert/strict';
import { type ApiCase, configMap, ok, pod, refused } from './api-case.ts';
import type { Json } from './api-client.ts';

const by = (manager: string, more = '') => `?fieldManager=${manager}${more}`;

const ownersOf = (object: Json): string[] =>
  object.metadata.managedFields
    .map((each: Json) => `${each.manager} ${each.operation} ${each.subresource ?? ''}`.trim())
    .sort();

const service = (ports: object[]): Json => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's' },
  spec: { ports },
});

export const applyCases: readonly ApiCase[] = [
  {
    name: 'apply creates, changes, and changes nothing when there is nothing to change',
    run: async ({ api, path }) => {
      const a = `${path('configmaps')}/a`;
      const made = ok(await api.patch('apply', a + by('one'), configMap('a', { key: '1' })), 201);
      assert.deepEqual(ownersOf(made), ['one Apply']);
      assert.deepEqual(made.metadata.managedFields[0].fieldsV1, { 'f:data': { 'f:key': {} } });
      const changed = ok(await api.patch('apply', a + by('one'), configMap('a', { key: '2' })));
      assert.equal(changed.data.key, '2');
      const same = ok(await api.patch('apply', a + by('one'), configMap('a', { key: '2' })));
      assert.equal(same.metadata.resourceVersion, changed.metadata.resourceVersion);
      const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  key: "3"\n';
      assert.equal(ok(await api.patch('apply', a + by('one'), yaml)).data.key, '3');
    },
  },
  {
    name: 'what another has otherwise is a conflict, unless it is forced; the same value is shared',
    run: async ({ api, path }) => {
      const a = `${path('configmaps')}/a`;
      ok(await api.patch('apply', a + by('one'), configMap('a', { key: '1', own: 'x' })), 201);
      const answer = await api.patch('apply', a + by('two'), configMap('a', { key: '2' }));
      const status = refused(
        answer,
        409,
        'Conflict',
        /^Apply failed with 1 conflict: conflict with "one": \.data\.key$/,
      );
      assert.deepEqual(status.details.causes, [
        { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.key' },
      ]);
      const shared = ok(await api.patch('apply', a + by('two'), configMap('a', { key: '1' })));
      assert.deepEqual(ownersOf(shared), ['one Apply', 'two Apply']);
      const forced = ok(await api.patch('apply', a + by('two', '&force=true'), configMap('a', { key: '2' })));
      assert.deepEqual(forced.data, { key: '2', own: 'x' });
      const fields = Object.fromEntries(
        forced.metadata.managedFields.map((each: Json) => [each.manager, each.fieldsV1]),
      );
      assert.deepEqual(fields, { one: { 'f:data': { 'f:own': {} } }, two: { 'f:data': { 'f:key': {} } } });
    },
  },
  {
    name: 'what a manager does not apply any more goes, unless another owns it too',
    run: async ({ api, path }) => {
      const a = `${path('configmaps')}/a`;
      ok(await api.patch('apply', a + by('one'), configMap('a', { mine: '1', ours: '2', kept: '3' })), 201);
      ok(await api.patch('apply', a + by('two'), configMap('a', { ours: '2' })));
      const less = ok(await api.patch('apply', a + by('one'), configMap('a', { kept: '3' })));
      assert.deepEqual(less.data, { kept: '3', ours: '2' });
    },
  },
  {
    name: 'updates own what they change, and take it from who had it',
    run: async ({ api, path }) => {
      const a = `${path('configmaps')}/a`;
      ok(await api.patch('apply', a + by('one'), configMap('a', { key: '1' })), 201);
      const edited = ok(await api.patch('merge', a + by('editor'), { data: { key: '2' } }));
      assert.deepEqual(ownersOf(edited), ['editor Update']);
      const answer = await api.patch('apply', a + by('one'), configMap('a', { key: '1' }));
      refused(answer, 409, 'Conflict', /conflict with "editor" using v1: \.data\.key/);
    },
  },
  {
    name: 'lists with keys have an owner for each item',
    run: async ({ api, path }) => {
      const s = `${path('services')}/s`;
      ok(await api.patch('apply', s + by('one'), service([{ name: 'http', port: 80, protocol: 'TCP' }])), 201);
      const both = ok(await api.patch('apply', s + by('two'), service([{ name: 'admin', port: 81, protocol: 'TCP' }])));
      assert.deepEqual(
        both.spec.ports.map((each: Json) => `${each.name}:${each.port}`),
        ['http:80', 'admin:81'],
      );
      const less = ok(await api.patch('apply', s + by('one'), service([])));
      assert.deepEqual(
        less.spec.ports.map((each: Json) => each.name),
        ['admin'],
      );
    },
  },
  {
    name: 'conditions of one status by several managers',
    run: async ({ api, path }) => {
      ok(await api.post(path('pods'), pod('p')), 201);
      const status = (type: string, more: object = {}): Json => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p' },
        status: { conditions: [{ type, status: 'True', ...more }] },
      });
      const p = `${path('pods')}/p/status`;
      ok(await api.patch('apply', p + by('one'), status('Ready')));
      const both = ok(await api.patch('apply', p + by('two'), status('example.com/Meshed')));
      const types = both.status.conditions.map((each: Json) => each.type);
      assert(types.includes('Ready') && types.includes('example.com/Meshed'), types.join());
      assert(ownersOf(both).includes('one Apply status'), ownersOf(both).join());
      const other = { ...status('Ready'), status: { conditions: [{ type: 'Ready', status: 'False' }] } };
      refused(await api.patch('apply', p + by('two'), other), 409, 'Conflict', /conditions\[type="Ready"\]\.status/);
      const nothing = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status: {} };
      const left = ok(await api.patch('apply', p + by('one'), nothing));
      const stay = left.status.conditions.map((each: Json) => each.type);
      assert(!stay.includes('Ready') && stay.includes('example.com/Meshed'), stay.join());
    },
  },
  {
    name: 'refused: no manager, fields of managers, another name',
    run: async ({ api, path }) => {
      const a = `${path('configmaps')}/a`;
      refused(await api.patch('apply', a, configMap('a')), 422, 'Invalid', /fieldManager: Required value/);
      const managed = configMap('a', {}, { managedFields: [{ manager: 'x', operation: 'Apply' }] });
      refused(await api.patch('apply', a + by('one'), managed), 400, 'BadRequest', /managedFields must be nil/);
      refused(await api.patch('apply', a + by('one'), configMap('b')), 400, 'BadRequest');
    },
  },
];
