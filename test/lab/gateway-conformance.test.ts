// Gateway API's mesh conformance tests, by name, in a lab: each with its routes, its requests from within a pod, and
// the suite's patience and tolerances. See docs/conformance.md.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { compileRouteText, serviceText } from '../../src/http/routes/testing-routes.ts';
import { runEntered } from '../../src/lab/enter.ts';
import type { KubeObject } from '../../src/lab/objects.ts';
import type { Condition, ParentStatus } from '../../src/model/conditions.ts';
import { conformanceCases } from './gateway/cases.ts';
import { Askers, gatewayScene, meshSpace } from './gateway/scene.ts';
import { statusCases, unsupportedCases } from './gateway/status-cases.ts';
import { document, startLab, type TestLab } from './harness.ts';

describe('Gateway API, for meshes', { timeout: 175_000 }, () => {
  let lab: TestLab;
  let askers: Askers;

  before(async () => {
    lab = await startLab(gatewayScene);
    askers = await Askers.in(lab);
  });
  after(() => lab?.close());

  async function during(objects: readonly object[], what: () => Promise<void>): Promise<void> {
    const yaml = objects.map(document).join('');
    if (yaml !== '') await lab.apply(yaml);
    try {
      await what();
    } finally {
      if (yaml !== '') await lab.delete(yaml);
    }
  }

  for (const { name, routes, asks = [], weigh } of conformanceCases) {
    test(name, () =>
      during(routes, async () => {
        for (const ask of asks) await askers.expect(ask);
        if (weigh !== undefined) await askers.weigh(weigh.url, weigh.shares);
        // The one reference of the suite that leads nowhere has the weight 0.
        const resolved = name === 'MeshGRPCRouteWeight' ? 'False BackendNotFound' : 'True ResolvedRefs';
        const wanted = ['Accepted True Accepted', `ResolvedRefs ${resolved}`, 'Programmed True Programmed'];
        for (const route of routes) await assertParents(lab, route as KubeObject, [wanted]);
      }),
    );
  }

  for (const { name, objects, parents, asks } of statusCases) {
    test(`conditions: ${name}`, () =>
      during(objects, async () => {
        for (const ask of asks) await askers.expect(ask);
        await assertParents(lab, objects[0] as KubeObject, parents);
      }));
  }

  for (const { name, route, message } of unsupportedCases) {
    test(`not supported, and refused: ${name}`, async () => {
      const { refused } = await lab.client.apply([{ file: 'test.yaml', text: document(route) }]);
      assert.deepEqual(
        refused.map((issue) => issue.message),
        [message],
      );
      // Where nobody checks beforehand, the route's conditions say it.
      const compiled = compileRouteText(`${serviceText(`echo.${meshSpace}`)}${document(route)}`);
      const [parent] = compiled.status('HTTPRoute', `${meshSpace}/unsupported`).parents;
      const [accepted] = parent?.conditions ?? [];
      assert.deepEqual([accepted?.status, accepted?.reason], ['False', 'UnsupportedValue']);
      assert.match(accepted?.message ?? '', new RegExp(name.split(' ').at(-1)!));
    });
  }

  test('HTTPRouteObservedGenerationBump: conditions are about the newest generation', async () => {
    const route = conformanceCases.find(({ name }) => name === 'MeshHTTPRouteSimpleSameNamespace')!
      .routes[0] as KubeObject;
    const spec = { ...(route.spec as object), rules: [{ backendRefs: [{ name: 'echo-v2', port: 8080 }] }] };
    await during([route], async () => {
      const before = await assertParents(lab, route, [['Accepted True Accepted']]);
      await lab.apply(document({ ...route, spec }));
      const now = await assertParents(lab, route, [['Accepted True Accepted']]);
      assert.ok(now > before, `${before}, ${now}`);
      await askers.expect({ url: 'http://echo/', backend: 'echo-v2' });
    });
  });

  test('the client runs by its name, as the suite runs it', async () => {
    const target = await lab.client.target('pod', meshSpace, 'deploy/echo-v1');
    assert.equal(await runEntered(target, ['client', 'http://echo/'], { stdio: 'ignore' }), 0);
  });

  test('the TLS port of the fixture passes through', async () => {
    await askers.expect({ url: 'https://echo-v1/', backend: 'echo-v1' });
  });
});

/**
 * The route has these parents, ours, with at least these conditions, all of them about the route as it is now. Resolves
 * with its generation.
 */
async function assertParents(lab: TestLab, route: KubeObject, wanted: readonly (readonly string[])[]): Promise<number> {
  const { kind, metadata } = route;
  const [there] = await lab.client.get(kind, metadata.name, metadata.namespace);
  const { metadata: now, status = {} } = there as unknown as KubeObject & {
    readonly status?: { readonly parents?: readonly ParentStatus[] };
  };
  const { parents = [] } = status;
  const said = ({ type, status: is, reason }: Condition): string => `${type} ${is} ${reason}`;
  parents.forEach(({ controllerName, conditions }, at) => {
    assert.equal(controllerName, 'ambient.mesh/controller');
    const words = conditions.map(said);
    for (const one of wanted[at] ?? []) assert.ok(words.includes(one), `${one} in ${words.join(', ')}`);
    for (const one of conditions) assert.equal(one.observedGeneration, now.generation);
  });
  assert.equal(parents.length, wanted.length);
  return now.generation ?? 0;
}
