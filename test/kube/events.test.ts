// What a person should see is told as Events beside the objects, once, by whoever leads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, ok } from './api-case.ts';
import type { Json } from './api-client.ts';
import { ControllerScene, service } from './controller-scene.ts';

const scene = ControllerScene.forFile();

/** `TYPE REASON KIND/NAME` of every Event of ours, and how often. */
async function told(): Promise<Record<string, number>> {
  const list = ok(await scene.api.get(`/apis/events.k8s.io/v1/namespaces/${scene.unique}/events`)).items;
  const own = list.filter((one: Json) => one.reportingController === 'ambient.mesh/controller');
  return Object.fromEntries(
    own.map(({ type, reason, regarding, series }: Json) => {
      assert.ok(regarding.uid !== '', 'found by kubectl describe');
      return [`${type} ${reason} ${regarding.kind}/${regarding.name}`, series?.count ?? 1];
    }),
  );
}

async function eventuallyTold(wanted: Readonly<Record<string, number>>): Promise<void> {
  await eventually(async () => assert.deepEqual({ ...(await told()), ...wanted }, await told()));
}

const misspelt = { action: 'DENNY', rules: [{}] };

test('objects that cannot be read, conditions that turn; nothing twice, nothing again after a restart', {
  timeout: 120_000,
}, async (context) => {
  ok(await scene.post('AuthorizationPolicy', 'before', misspelt), 201);
  const fixture = await scene.controller(context);
  const route = { parentRefs: [{ ...service, port: 81 }], rules: [{ backendRefs: [{ name: 'pay', port: 80 }] }] };
  ok(await scene.post('HTTPRoute', 'r', route), 201);
  await eventuallyTold({ 'Warning NoMatchingParent HTTPRoute/r': 1 });
  const right = { spec: { parentRefs: [service] } };
  ok(await scene.merge('HTTPRoute', 'r', right));
  await eventuallyTold({ 'Normal Accepted HTTPRoute/r': 1 });
  ok(await scene.post('AuthorizationPolicy', 'a', { action: 'DENY', rules: [{}] }), 201);
  ok(await scene.merge('AuthorizationPolicy', 'a', { spec: misspelt }));
  await eventuallyTold({ 'Warning Unreadable AuthorizationPolicy/a': 1 });
  ok(await scene.merge('AuthorizationPolicy', 'a', { spec: { action: 'DENY' } }));
  await eventuallyTold({ 'Normal Readable AuthorizationPolicy/a': 1 });
  // The same again is counted on the same Event.
  ok(await scene.merge('AuthorizationPolicy', 'a', { spec: misspelt }));
  await eventuallyTold({ 'Warning Unreadable AuthorizationPolicy/a': 2 });
  ok(await scene.merge('HTTPRoute', 'r', { spec: { parentRefs: [{ ...service, port: 81 }] } }));
  await eventuallyTold({ 'Warning NoMatchingParent HTTPRoute/r': 2 });
  const all = await told();
  assert.ok(!Object.keys(all).some((one) => one.endsWith('/before')), JSON.stringify(all));
  await fixture.controller.close();
  // The next one finds everything as it is. It tells something new after it has looked at all of it.
  await scene.controller(context);
  await eventually(async () => {
    ok(await scene.post('AuthorizationPolicy', `other-${Date.now()}`, misspelt), 201);
    assert.ok(Object.keys(await told()).some((one) => one.includes('Unreadable AuthorizationPolicy/other-')));
  });
  const others = Object.entries(await told()).filter(([key]) => !key.includes('/other-'));
  assert.deepEqual(Object.fromEntries(others), all);
});
