import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshCompactor } from './compact-mesh.ts';
import { portOf, workloadOf } from './testing-mesh.ts';
import type { MeshUpdate } from './types.ts';

const nothing = { services: [], policies: [], removedAddresses: [], removedPolicies: [], complete: false };

test('what comes out is what went in, and shares what is equal', () => {
  const make = (name: string) =>
    workloadOf(`shop/${name}`, {
      addresses: ['10.244.1.7'],
      policies: ['shop/a', 'shop/b'],
      locality: { region: 'r', zone: 'z', subzone: '' },
      services: { 'shop/web.shop.svc.cluster.local': [portOf(80, 8080)], 'shop/other': [portOf(81, 8080)] },
    });
  const update: MeshUpdate = structuredClone({ ...nothing, workloads: [make('a'), make('b'), make('a')] });
  const compact = new MeshCompactor().update(update);
  assert.deepEqual(compact, update);
  const [first, second] = compact.workloads;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(first.policies, second.policies);
  assert.equal(first.locality, second.locality);
  const key = 'shop/web.shop.svc.cluster.local';
  assert.equal(first.services[key], second.services[key]);
  assert.notEqual(first.services[key], first.services['shop/other']);
});

test('a change without workloads is left as it is', () => {
  const update: MeshUpdate = { ...nothing, workloads: [], removedAddresses: ['gone'] };
  assert.equal(new MeshCompactor().update(update), update);
});
