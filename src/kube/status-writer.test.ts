import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { definitionsPath, foreignDefinition } from '../../test/kube/foreign-definitions.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { controllerName, type ObjectStatus } from '../model/conditions.ts';
import { ApiClient } from './api/api-client.ts';
import { rootPath, watchedKinds } from './api/kinds.ts';
import { StatusWriter } from './status-writer.ts';

const timeout = { timeout: 30_000 };
const group = 'gateway.networking.k8s.io';
const apiVersion = `${group}/v1`;
const routes = `/apis/${apiVersion}/namespaces/default/httproutes`;
const parentRef = { group: '', kind: 'Service', namespace: 'default', name: 'web' };
const since = '2026-01-31T12:00:00Z';
const others = { type: 'Ready', status: 'True', reason: 'Fine', message: '', lastTransitionTime: since };
const elsewhere = { parentRef, controllerName: 'example.com/other', conditions: [others] };

type Json = Readonly<Record<string, unknown>>;
interface Route {
  readonly metadata: { readonly resourceVersion: string; readonly managedFields: readonly { manager: string }[] };
  readonly status?: { readonly parents?: readonly (typeof elsewhere & { conditions: readonly Json[] })[] };
}

function statusOf(isTrue: boolean, generation = 1): ObjectStatus {
  const condition = {
    type: 'Accepted',
    status: isTrue ? 'True' : 'False',
    reason: isTrue ? 'Accepted' : 'NoMatchingParent',
    message: '',
    observedGeneration: generation,
  } as const;
  const parents = [{ parentRef, controllerName, conditions: [condition] }];
  return { kind: 'HTTPRoute', namespace: 'default', name: 'r', conditions: [], parents };
}

function placeOf(kind: string, name: string) {
  const entry = watchedKinds.find((one) => one.kind === kind)!;
  const version = entry.versions[0]!;
  const path = `${rootPath(entry, version)}/namespaces/default/${entry.plural}/${name}`;
  return { path, apiVersion: `${entry.group}/${version}` };
}

async function open(context: TestContext, clock: Clock = systemClock) {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const tls = (): { ca: string } => ({ ca: caPem });
  const client = new ApiClient({ server: url, namespace: 'default', tls, authorization: () => `Bearer ${token}` });
  context.after(() => client.close());
  for (const kind of ['HTTPRoute', 'Gateway', 'AuthorizationPolicy']) {
    await client.json({ method: 'POST', path: definitionsPath, body: foreignDefinition(kind) });
  }
  const route = { apiVersion, kind: 'HTTPRoute', metadata: { name: 'r', namespace: 'default' }, spec: {} };
  for (let tries = 0; ; tries++) {
    const failed = await client.json({ method: 'POST', path: routes, body: route }).catch((error: unknown) => error);
    if (!(failed instanceof Error)) break;
    if (tries > 100) throw failed;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const contentType = 'application/merge-patch+json';
  const body = { status: { parents: [elsewhere] } };
  await client.json({ method: 'PATCH', path: `${routes}/r/status`, contentType, body });
  const troubles: string[] = [];
  const writer = new StatusWriter({
    client,
    place: ({ kind, name }) => placeOf(kind, name),
    clock,
    turned: () => {},
    trouble: (title, reason) => troubles.push(`${title}: ${reason}`),
  });
  context.after(() => writer.close());
  const read = async (): Promise<Route> => (await client.json({ path: `${routes}/r` })) as Route;
  const ours = (route: Route): readonly Json[] =>
    route.status?.parents?.find((one) => one.controllerName === controllerName)?.conditions ?? [];
  const until = async (what: string, isSo: (route: Route) => boolean): Promise<Route> => {
    for (let tries = 0; tries < 1_000; tries++) {
      const route = await read();
      if (isSo(route)) return route;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return assert.fail(`never: ${what}; ${JSON.stringify(await read())} ${troubles}`);
  };
  return { server, client, writer, read, ours, until, troubles };
}

test('conditions are applied beside those of others, on change alone, and taken back', timeout, async (context) => {
  const { writer, read, ours, until, troubles } = await open(context);
  writer.update([statusOf(true)]);
  assert.deepEqual(ours(await read()), [], 'not before it is on');
  writer.switch(true);
  const first = await until('it is written', (route) => ours(route).length === 1);
  assert.equal(first.status?.parents?.[0]?.controllerName, 'example.com/other');
  assert.ok(first.metadata.managedFields.some(({ manager }) => manager === 'ambient-controller'));
  const [{ lastTransitionTime, ...condition } = {}] = ours(first);
  const expected = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', observedGeneration: 1 };
  assert.deepEqual(condition, expected);
  // The same again, and by another replica: nothing is written.
  writer.update([statusOf(true)]);
  writer.switch(false);
  writer.switch(true);
  writer.update([statusOf(true, 2)]);
  const second = await until('the generation', (route) => ours(route)[0]?.['observedGeneration'] === 2);
  assert.equal(ours(second)[0]?.['lastTransitionTime'], lastTransitionTime, 'nothing has changed but the generation');
  writer.switch(false);
  writer.switch(true);
  writer.update([statusOf(false, 2)]);
  await until('the other status', (route) => ours(route)[0]?.['status'] === 'False');
  writer.update([]);
  const last = await until('it is taken back', (route) => ours(route).length === 0);
  assert.equal(last.status?.parents?.length, 1);
  assert.deepEqual(troubles, []);
});

test('what stands there already is not written', timeout, async (context) => {
  const { writer, until, ours, read } = await open(context);
  writer.switch(true);
  writer.update([statusOf(true)]);
  const { resourceVersion } = (await until('it is written', (route) => ours(route).length === 1)).metadata;
  await writer.close();
  writer.switch(true);
  await writer.close();
  assert.equal((await read()).metadata.resourceVersion, resourceVersion);
});

test('a conflict is tried again at once, a refusal is told', timeout, async (context) => {
  const clock = new ManualClock();
  const { server, writer, until, ours, troubles } = await open(context, clock);
  server.faults.add({ match: { verb: 'patch' }, status: 409, times: 3 });
  writer.switch(true);
  writer.update([statusOf(true)]);
  await until('it is written', (route) => ours(route).length === 1);
  assert.deepEqual(troubles, []);
  server.faults.add({ match: { verb: 'patch' }, status: 403, times: 1 });
  writer.update([statusOf(false)]);
  while (troubles.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  clock.advance(5_000);
  await until('it is written later', (route) => ours(route)[0]?.['status'] === 'False');
  assert.match(troubles.join(), /^HTTPRoute default\/r: .*403/);
});

test('what fails is left alone for a while, whatever else is written', timeout, async (context) => {
  const clock = new ManualClock();
  const { server, writer, until, ours, troubles } = await open(context, clock);
  server.faults.add({ match: { verb: 'get' }, status: 500 });
  writer.switch(true);
  writer.update([statusOf(true), { ...statusOf(true), name: 'other' }]);
  while (clock.pending === 0 || troubles.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  writer.update([statusOf(true), { ...statusOf(true), name: 'third' }]);
  while (troubles.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(troubles.length, 3, troubles.join('\n'));
  server.faults.clear();
  clock.advance(5_000);
  await until('it is written', (route) => ours(route).length === 1);
});

test('what a schema has no room for is left out: long messages, more parents than 32', timeout, async (context) => {
  const { writer, until, troubles, read } = await open(context);
  const { parents, ...status } = statusOf(true);
  const message = '\u{1f980}'.repeat(20_000);
  const many = Array.from({ length: 40 }, (_, at) => ({
    ...parents[0]!,
    parentRef: { ...parentRef, name: `s${at}` },
    conditions: [{ ...parents[0]!.conditions[0]!, message }],
  }));
  writer.switch(true);
  writer.update([{ ...status, parents: many }]);
  await until('it is written', (route) => route.status?.parents?.length === 32);
  const written = (await read()).status?.parents ?? [];
  assert.equal(written[0]?.controllerName, 'example.com/other', 'others are not pushed out');
  const said = String(written[1]?.conditions[0]?.['message']);
  assert.deepEqual([[...said].length, said.at(-1)], [4_096, '…']);
  assert.deepEqual(troubles, []);
});

test(
  'a condition that we said goes when it is not true any more, and those of others stay',
  timeout,
  async (context) => {
    const { client, writer, until, troubles } = await open(context);
    const kinds = ['Gateway', 'AuthorizationPolicy'] as const;
    const conditionsOf = async (kind: string): Promise<string> => {
      const object = (await client.json({ path: placeOf(kind, 'it').path })) as { status?: { conditions?: Json[] } };
      const told = (object.status?.conditions ?? []).map(({ type, reason }) => `${String(type)} ${String(reason)}`);
      return told.sort().join();
    };
    const untilIs = async (kind: string, expected: string): Promise<void> => {
      for (let tries = 0; (await conditionsOf(kind)) !== expected; tries++) {
        if (tries > 1_000) assert.equal(await conditionsOf(kind), expected, `${kind} ${troubles}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    const contentType = 'application/merge-patch+json';
    for (const kind of kinds) {
      const { path, apiVersion: version } = placeOf(kind, 'it');
      const body = { apiVersion: version, kind, metadata: { name: 'it', namespace: 'default' }, spec: {} };
      const list = path.slice(0, path.lastIndexOf('/'));
      for (let tries = 0; ; tries++) {
        const failed = await client.json({ method: 'POST', path: list, body }).catch((error: unknown) => error);
        if (!(failed instanceof Error)) break;
        if (tries > 500) throw failed;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const status = { conditions: [others] };
      await client.json({ method: 'PATCH', path: `${path}/status`, contentType, body: { status } });
    }
    const say = (types: readonly ('Accepted' | 'Programmed')[]): void =>
      writer.update(
        kinds.map((kind) => ({
          ...{ kind, namespace: 'default', name: 'it', parents: [] },
          conditions: types.map((type) => ({
            ...{ type, status: 'True', reason: 'Ours', message: '', observedGeneration: 1 },
          })) as ObjectStatus['conditions'],
        })),
      );
    writer.switch(true);
    say(['Accepted', 'Programmed']);
    for (const kind of kinds) await untilIs(kind, 'Accepted Ours,Programmed Ours,Ready Fine');
    say(['Accepted']);
    for (const kind of kinds) await untilIs(kind, 'Accepted Ours,Ready Fine');
    // Another replica has not said it, and takes it back all the same.
    writer.switch(false);
    writer.switch(true);
    writer.update([]);
    for (const kind of kinds) await untilIs(kind, 'Ready Fine');
    assert.deepEqual(troubles, []);
    await until('the route is as it was', (route) => route.status?.parents?.length === 1);
  },
);
