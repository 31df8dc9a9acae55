// The share of traces that a Namespace asks for reaches the routes of its services.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readManifests } from './manifests.ts';
import { compileText } from './testing-compile.ts';

const service =
  '---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: cart}\nspec: {ports: [{port: 80}]}\n';

function namespace(share: string): string {
  const annotations = `{ambient.mesh/trace-sampling-percent: "${share}"}`;
  return `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: ${annotations}}\n`;
}

const rows: readonly (readonly [share: string, percent: number | undefined, findings: number])[] = [
  ['5', 5, 0],
  ['0', 0, 0],
  ['0.25', 0.25, 0],
  ['100', 100, 0],
  ['101', undefined, 1],
  ['5%', undefined, 1],
  ['-1', undefined, 1],
  ['1e2', undefined, 1],
];

for (const [share, percent, findings] of rows) {
  test(`a share of ${share}`, () => {
    const { compiler, issues } = compileText(`${namespace(share)}${service}`);
    const [routes] = compiler.mesh().routes ?? [];
    assert.equal(routes?.tracePercent, percent);
    assert.deepEqual(
      issues.map(({ code }) => code),
      findings === 0 ? [] : ['AMB0104'],
    );
  });
}

test('it changes with the Namespace alone', () => {
  const { compiler } = compileText(`${namespace('5')}${service}`);
  const [changed] = readManifests([{ text: namespace('7'), file: 'n.yaml' }]).resources;
  compiler.upsert(changed!);
  const { routes, removedRoutes } = compiler.flush().update;
  assert.deepEqual([routes?.map(({ tracePercent }) => tracePercent), removedRoutes], [[7], []]);
  compiler.delete('Namespace', '', 'shop');
  assert.deepEqual(compiler.flush().update.removedRoutes, ['shop/cart.shop.svc.cluster.local']);
});
