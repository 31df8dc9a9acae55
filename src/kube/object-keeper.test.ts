import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '../base/clock.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { ApiClient } from './api/api-client.ts';
import { failureOf } from './api/api-error.ts';
import type { KubeObject } from './api/prune.ts';
import { ObjectKeeper, type ObjectSet, type SetProblem, type WantedObject } from './object-keeper.ts';
import { controllerUidOf, WrittenObjects } from './written-objects.ts';

const timeout = { timeout: 60_000 };
const base = '/api/v1/namespaces/default';
const contentType = 'application/merge-patch+json';
let ownerUid = '';
/** What is tried again after seconds is so at once. */
const clock: Clock = { ...systemClock, after: (ms, call) => systemClock.after(ms / 50, call) };
const ownerReferences = () => [{ apiVersion: 'v1', kind: 'Secret', name: 'owner', uid: ownerUid, controller: true }];

const map = (name: string, data: Readonly<Record<string, string>>): WantedObject => ({
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', annotations: { note: 'ours' }, ownerReferences: ownerReferences() },
  data,
});
const account = (): WantedObject => ({
  kind: 'ServiceAccount',
  metadata: { name: 'w', namespace: 'default', ownerReferences: ownerReferences() },
});
const setOf = (...objects: WantedObject[]): ObjectSet => ({
  id: 'w',
  objects,
  isOurs: (there) => controllerUidOf(there) === ownerUid,
  owner: { uid: ownerUid, path: `${base}/secrets/owner` },
});

async function open(context: TestContext) {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const tls = (): { ca: string } => ({ ca: caPem });
  const client = new ApiClient({ server: url, namespace: 'default', tls, authorization: () => `Bearer ${token}` });
  context.after(() => client.close());
  const owner = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'owner' } };
  const made = await client.json({ method: 'POST', path: `${base}/secrets`, body: owner });
  ownerUid = (made as KubeObject).metadata.uid ?? '';
  const writes: string[] = [];
  const replica = () => {
    const counting = new ApiClient({
      server: url,
      namespace: 'default',
      tls,
      authorization: () => `Bearer ${token}`,
    });
    context.after(() => counting.close());
    const json = counting.json.bind(counting);
    counting.json = (request) => {
      if (request.method !== undefined) writes.push(`${request.method} ${request.path.replace(base, '')}`);
      return json(request);
    };
    const there = new WrittenObjects({ client: counting, random: Math.random });
    const problems: (SetProblem | null)[] = [];
    const problem = (_: string, found: SetProblem | null): void => void problems.push(found);
    const keeper = new ObjectKeeper({ client: counting, clock, there, problem });
    there.start();
    context.after(async () => {
      await keeper.close();
      await there.close();
    });
    return { keeper, there, problems };
  };
  const read = async (path: string): Promise<KubeObject | null> =>
    (await client.json({ path: `${base}/${path}` }).catch((error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    })) as KubeObject | null;
  const change = (path: string, body: object): Promise<unknown> =>
    client.json({ method: 'PATCH', path: `${base}/${path}`, contentType, body });
  return { server, client, replica, read, change, writes };
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2_500; tries++) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`never: ${what}`);
}

test('objects are made, healed, changed and deleted, and otherwise nothing is written', timeout, async (context) => {
  const { client, replica, read, change, writes } = await open(context);
  const { keeper, problems } = replica();
  keeper.want([setOf(account(), map('a', { x: '1' }), map('b', { y: '1' }))]);
  keeper.switch(true);
  await until(
    'they are made',
    async () => (await read('configmaps/b')) !== null && (await keeper.problemOf('w')) === null,
  );
  const managed = (await read('configmaps/a'))?.metadata['managedFields'] ?? [];
  assert.deepEqual(
    (managed as { manager: string }[]).map(({ manager }) => manager),
    ['ambient-controller'],
  );
  const dataOf = async (path: string): Promise<string> => JSON.stringify((await read(path))?.['data']);
  const edits: readonly (readonly [string, object])[] = [
    ['a value', { data: { x: '2' } }],
    ['a key that is gone', { data: { x: null } }],
    ['our label', { metadata: { labels: { 'app.kubernetes.io/managed-by': null } } }],
    ['an annotation', { metadata: { annotations: { note: 'theirs' } } }],
  ];
  for (const [what, edit] of edits) {
    await change('configmaps/a', edit);
    await until(`healed: ${what}`, async () => {
      const { metadata, data } = (await read('configmaps/a')) as KubeObject & { data?: { x?: string } };
      const { labels, annotations } = metadata as { labels?: object; annotations?: { note?: string } };
      return labels !== undefined && data?.x === '1' && annotations?.note === 'ours';
    });
  }
  await client.json({ method: 'DELETE', path: `${base}/configmaps/b` });
  await until('healed: deleted', async () => (await read('configmaps/b')) !== null);
  // Somebody else may add what he likes.
  writes.length = 0;
  await change('configmaps/a', { data: { z: 'theirs' }, metadata: { labels: { team: 'a' } } });
  keeper.want([setOf(account(), map('a', { x: '1' }), map('b', { y: '2' }))]);
  await until('a change', async () => (await dataOf('configmaps/b')) === '{"y":"2"}');
  assert.deepEqual(writes, ['PATCH /configmaps/b']);
  assert.equal(await dataOf('configmaps/a'), '{"x":"1","z":"theirs"}');
  keeper.want([setOf(account(), map('a', { x: '1' }))]);
  await until('no longer wanted', async () => (await read('configmaps/b')) === null);
  assert.deepEqual(problems, []);
});

test('a successor completes what a leader left half-written, and writes nothing twice', timeout, async (context) => {
  const { server, replica, read, writes } = await open(context);
  const first = replica();
  const wanted = [setOf(account(), map('a', { x: '1' }), map('b', { y: '1' }))];
  // The leader dies with its second object: the first one is there, the third one is not.
  server.faults.add({ match: { verb: 'patch', resource: 'configmaps' }, status: 500, times: 100 });
  first.keeper.want(wanted);
  first.keeper.switch(true);
  await until(
    'half of it is there',
    async () => (await read('serviceaccounts/w')) !== null && first.problems.length > 0,
  );
  await first.keeper.close();
  server.faults.clear();
  writes.length = 0;
  const second = replica();
  second.keeper.want(wanted);
  second.keeper.switch(true);
  await until('the rest', async () => (await read('configmaps/b')) !== null);
  await second.keeper.close();
  assert.deepEqual(writes, ['PATCH /configmaps/a', 'PATCH /configmaps/b']);
  // And a third one finds everything as it should be.
  writes.length = 0;
  const third = replica();
  await until('what is there is known', () => third.there.ofOwner(ownerUid).length === 3);
  third.keeper.want(wanted);
  third.keeper.switch(true);
  third.keeper.want([setOf(account(), map('a', { x: '3' }), map('b', { y: '1' }))]);
  await until('a change', async () => JSON.stringify((await read('configmaps/a'))?.['data']) === '{"x":"3"}');
  assert.deepEqual(writes, ['PATCH /configmaps/a']);
});

test("somebody else's object is left alone, nothing is made beside it, and it is said", timeout, async (context) => {
  const { client, replica, read } = await open(context);
  const { keeper, problems } = replica();
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { x: 'theirs' } };
  await client.json({ method: 'POST', path: `${base}/configmaps`, body });
  keeper.want([setOf(account(), map('a', { x: '1' }))]);
  keeper.switch(true);
  await until('it is said', () => problems.length > 0);
  assert.equal(problems[0]?.what, 'taken');
  assert.match(problems[0]?.message ?? '', /^ConfigMap default\/a is there already/);
  assert.deepEqual((await read('configmaps/a'))?.['data'], { x: 'theirs' });
  assert.equal(await read('serviceaccounts/w'), null);
  await client.json({ method: 'DELETE', path: `${base}/configmaps/a` });
  await until('it is made', async () => (await read('serviceaccounts/w')) !== null);
  await until('nothing is wrong', () => keeper.problemOf('w') === null);
});

test('what is refused is named, and the rest is made', timeout, async (context) => {
  const { server, replica, read } = await open(context);
  const { keeper, problems } = replica();
  server.faults.add({ match: { verb: 'patch', resource: 'serviceaccounts' }, status: 403, times: 1 });
  keeper.want([setOf(account(), map('a', { x: '1' }))]);
  keeper.switch(true);
  await until('it is said', () => problems.length > 0);
  assert.match(problems[0]?.message ?? '', /serviceaccounts\/w: the API server answered 403/);
  assert.notEqual(await read('configmaps/a'), null);
  await until('it is tried again', async () => (await read('serviceaccounts/w')) !== null);
});
