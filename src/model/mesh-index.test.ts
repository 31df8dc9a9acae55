import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityOf, MeshIndex } from './mesh-index.ts';
import { policyOf, portOf, serviceOf, workloadOf } from './testing-mesh.ts';
import type { MeshUpdate } from './types.ts';

function update(given: Partial<MeshUpdate>): MeshUpdate {
  return {
    workloads: [],
    services: [],
    policies: [],
    removedAddresses: [],
    removedPolicies: [],
    complete: false,
    ...given,
  };
}

function indexOf(given: Partial<MeshUpdate>): MeshIndex {
  const index = new MeshIndex();
  index.apply(update(given));
  return index;
}

const key = 'shop/web.shop.svc.cluster.local';
const web = workloadOf('shop/web', { addresses: ['10.0.0.1', 'fd00::1'], services: { [key]: [portOf(80, 8080)] } });

test('workloads are found by uid, by each address and by node, until they go', () => {
  const index = indexOf({ workloads: [{ ...web, node: 'n1' }] });
  assert.equal(index.workloadByUid(web.uid)?.name, 'web');
  assert.equal(index.workloadByAddress('10.0.0.1')?.name, 'web');
  assert.equal(index.workloadByAddress('fd00::1')?.name, 'web');
  assert.deepEqual(
    index.workloadsOnNode('n1').map((one) => one.name),
    ['web'],
  );
  const moved = { ...web, node: 'n2', addresses: ['10.0.0.2'] };
  const change = index.apply(update({ workloads: [moved] }));
  assert.deepEqual(change, {
    changedWorkloads: [moved],
    removedWorkloads: [],
    policiesChanged: false,
    routesChanged: false,
  });
  assert.equal(index.workloadByAddress('10.0.0.1'), null);
  assert.deepEqual([index.workloadsOnNode('n1').length, index.workloadsOnNode('n2').length], [0, 1]);
  const gone = index.apply(update({ removedAddresses: [web.uid, 'not there'] }));
  assert.deepEqual(gone.removedWorkloads, [moved]);
  assert.equal(index.workloadByUid(web.uid), null);
  assert.deepEqual(index.endpointsOf(key), []);
});

// [what, one, other, who has the address]
const conflictRows = [
  [
    'a pod before another thing',
    workloadOf('a/p', { tunnelProtocol: 'NONE' }),
    workloadOf('a/e', { uid: 'K/g/E/a/e' }),
    'p',
  ],
  ['an enrolled pod before another', workloadOf('a/p', { tunnelProtocol: 'NONE' }), workloadOf('a/q'), 'q'],
  [
    'enrolled before not',
    workloadOf('a/e', { uid: 'K/g/E/a/e', tunnelProtocol: 'NONE' }),
    workloadOf('a/f', { uid: 'K/g/E/a/f' }),
    'f',
  ],
  ['healthy before not', workloadOf('a/p', { healthy: false }), workloadOf('a/q'), 'q'],
  [
    'host network never',
    workloadOf('a/p', { hostNetwork: true }),
    workloadOf('a/e', { uid: 'K/g/E/a/e', tunnelProtocol: 'NONE' }),
    'e',
  ],
] as const;
for (const [what, one, other, winner] of conflictRows) {
  test(`two workloads with one address: ${what}`, () => {
    const both = [one, other].map((each) => ({ ...each, addresses: ['10.0.0.1'] }));
    for (const workloads of [both, [...both].reverse()]) {
      assert.equal(indexOf({ workloads }).workloadByAddress('10.0.0.1')?.name, winner);
    }
  });
}

// [what, services, namespace of the client, namespace of the one found]
const vipRows = [
  ['the one of the own namespace', [serviceOf('a/s'), serviceOf('b/s')], 'b', 'b'],
  ['the canonical one', [serviceOf('a/s', { canonical: false }), serviceOf('b/s')], 'c', 'b'],
  ['own namespace before canonical', [serviceOf('a/s', { canonical: false }), serviceOf('b/s')], 'a', 'a'],
  ['the first of equals', [serviceOf('b/s'), serviceOf('a/s')], 'c', 'a'],
  ['none that is hidden', [serviceOf('a/s', { visibility: 'namespace' })], 'b', null],
  ['a hidden one of the own namespace', [serviceOf('a/s', { visibility: 'namespace' })], 'a', 'a'],
  ['a hidden one for an unknown client', [serviceOf('a/s', { visibility: 'namespace' })], null, 'a'],
] as const;
for (const [what, services, client, found] of vipRows) {
  test(`service by address and by name: ${what}`, () => {
    const all = services.map((one) => ({ ...one, addresses: ['10.96.0.1'], hostname: 's.example' }));
    const index = indexOf({ services: all });
    assert.equal(index.serviceByVip('10.96.0.1', client)?.namespace ?? null, found);
    assert.equal(index.serviceByHostname('s.example', client)?.namespace ?? null, found);
    const networks = indexOf({ services: all.map((one) => ({ ...one, addresses: ['10.96.0.0/16'] })) });
    assert.equal(networks.serviceByVip('10.96.0.1', client)?.namespace ?? null, found);
  });
}

test('networks as addresses: the own namespace before the narrower one, an exact address before both', () => {
  const wide = serviceOf('a/wide', { addresses: ['10.0.0.0/8'] });
  const narrow = serviceOf('b/narrow', { addresses: ['10.96.0.0/16'] });
  const exact = serviceOf('b/exact', { addresses: ['10.96.0.1'] });
  const index = indexOf({ services: [wide, narrow, exact] });
  assert.equal(index.serviceByVip('10.96.0.2', 'c')?.name, 'narrow');
  assert.equal(index.serviceByVip('10.96.0.2', 'a')?.name, 'wide');
  assert.equal(index.serviceByVip('10.96.0.1', 'a')?.name, 'exact');
  index.apply(update({ removedAddresses: ['b/narrow.b.svc.cluster.local', 'b/exact.b.svc.cluster.local'] }));
  assert.equal(index.serviceByVip('10.96.0.1', 'c')?.name, 'wide');
});

test('endpoints may come before their service, and go with their workload', () => {
  const index = indexOf({ workloads: [web] });
  assert.equal(index.serviceByKey(key), null);
  index.apply(update({ services: [serviceOf('shop/web')] }));
  const endpoints = index.endpointsOf(key);
  assert.deepEqual(
    endpoints.map((one) => one.workload.name),
    ['web'],
  );
  assert.equal(index.endpointsOf(key), endpoints, 'the same list while nothing changes');
  index.apply(update({ workloads: [{ ...web, healthy: false }] }));
  assert.deepEqual(
    index.endpointsOf(key).map((one) => one.workload.healthy),
    [false],
  );
  index.apply(update({ workloads: [{ ...web, services: {} }] }));
  assert.deepEqual(index.endpointsOf(key), []);
});

test('the policies of a workload: of the mesh, of its namespace, and those it names', () => {
  const mesh = policyOf('root/mesh', 'deny', [], { scope: 'global' });
  const space = policyOf('shop/space', 'allow', []);
  const other = policyOf('other/space', 'allow', []);
  const own = policyOf('shop/own', 'allow', [], { scope: 'workload' });
  const workload = { ...web, policies: ['shop/own', 'shop/late'] };
  const index = indexOf({ workloads: [workload], policies: [own, other, space, mesh] });
  const before = index.policiesFor(workload);
  assert.deepEqual(before, { policies: [mesh, space, own], missing: ['shop/late'] });
  assert.equal(index.policiesFor(workload), before, 'the same object while nothing changes');
  const late = policyOf('shop/late', 'deny', [], { scope: 'workload' });
  assert.equal(index.apply(update({ policies: [late] })).policiesChanged, true);
  assert.deepEqual(index.policiesFor(workload), { policies: [mesh, space, own, late], missing: [] });
  assert.equal(index.apply(update({ policies: [{ ...late }] })).policiesChanged, false);
  assert.equal(index.apply(update({ removedPolicies: ['shop/space'] })).policiesChanged, true);
  assert.deepEqual(index.policiesFor(workload).policies, [mesh, own, late]);
});

test('a complete update removes what it does not name and leaves what is equal as it is', () => {
  const policy = policyOf('shop/p', 'deny', []);
  const held = workloadOf('shop/held');
  const index = indexOf({
    workloads: [held, workloadOf('shop/old')],
    services: [serviceOf('shop/old')],
    policies: [policy],
  });
  const fresh = workloadOf('shop/new');
  const change = index.apply(update({ workloads: [{ ...held }, fresh], complete: true }));
  assert.deepEqual(change.changedWorkloads, [fresh]);
  assert.deepEqual(
    change.removedWorkloads.map((one) => one.name),
    ['old'],
  );
  assert.equal(change.policiesChanged, true);
  assert.equal(index.workloadByUid(held.uid), held);
  assert.deepEqual([[...index.services()].length, [...index.policies()].length], [0, 0]);
});

test('the identity of a workload, also where the wire leaves out what is usual', () => {
  assert.equal(identityOf(web), 'spiffe://cluster.local/ns/shop/sa/web');
  const bare = { ...web, trustDomain: '', serviceAccount: '' };
  assert.equal(identityOf(bare), 'spiffe://cluster.local/ns/shop/sa/default');
});
