import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshIndex } from '../model/mesh-index.ts';
import { workloadOf } from '../model/testing-mesh.ts';
import { canonicalNames } from './mesh-messages.ts';

test('canonical names: of the ends that are asked for, by namespace and owner', () => {
  const index = new MeshIndex();
  const workloads = ['shop/web', 'shop/cart', 'other/web'].map((name) =>
    workloadOf(name, { workloadName: name.split('/')[1] ?? '', canonicalName: `canonical-${name}` }),
  );
  const nothing = { services: [], policies: [], removedAddresses: [], removedPolicies: [] };
  index.apply({ workloads, ...nothing, complete: true });
  const nameOf = canonicalNames(index, [
    { namespace: 'shop', workload: 'web' },
    { namespace: 'shop', workload: 'gone' },
  ]);
  assert.equal(nameOf('shop', 'web')?.service, 'canonical-shop/web');
  assert.equal(nameOf('shop', 'gone'), null);
  assert.equal(nameOf('shop', 'cart'), null, 'nobody asked for it');
});
