import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { controllerName, type ObjectStatus } from '../model/conditions.ts';
import { ApiClient } from './api/api-client.ts';
import { StatusWriter } from './status-writer.ts';

const timeout = { timeout: 30_000 };
const group = 'gateway.networking.k8s.io';
const apiVersion = `${group}/v1`;
const routes = `/apis/${apiVersion}/namespaces/default/httproutes`;
const parentRef = { group: '', kind: 'Service', namespace: 'default', name: 'web' };
const elsewhere = { parentRef, controllerName: 'example.com/other', conditions: [] };

type Json = Readonly<Record<string, unknown>>;
interface Route {
  readonly metadata: { readonly resourceVersion: string; readonly managedFields: readonly { manager: string }[] };
  readonly status?: { readonly parents?: readonly (typeof elsewhere & { conditions: readonly Json[] })[] };
}

function definition(): Json {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const versions = [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema }];
  const names = { kind: 'HTTPRoute', listKind: 'HTTPRouteList', plural: 'httproutes', singular: 'httproute' };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `httproutes.${group}` },
    spec: { group, scope: 'Namespaced', names, versions },
  };
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

async function open(context: TestContext) {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const tls = (): { ca: string } => ({ ca: caPem });
  const client = new ApiClient({ server: url, namespace: 'default', tls, authorization: () => `Bearer ${token}` });
  context.after(() => client.close());
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  await client.json({ method: 'POST', path: definitions, body: definition() });
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
    place: ({ name }) => ({ path: `${routes}/${name}`, apiVersion }),
    clock: systemClock,
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
  return { server, writer, read, ours, until, troubles };
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
  const { server, writer, until, ours, troubles } = await open(context);
  server.faults.add({ match: { verb: 'patch' }, status: 409, times: 3 });
  writer.switch(true);
  writer.update([statusOf(true)]);
  await until('it is written', (route) => ours(route).length === 1);
  assert.deepEqual(troubles, []);
  server.faults.add({ match: { verb: 'patch' }, status: 403, times: 1 });
  writer.update([statusOf(false)]);
  await until('it is written later', (route) => ours(route)[0]?.['status'] === 'False');
  assert.match(troubles.join(), /^HTTPRoute default\/r: .*403/);
});
