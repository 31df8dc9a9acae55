// Objects, their files, what is applied and what of it is refused.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { AddressPool } from './addresses.ts';
import { Applier, refusals, refuseDuplicates } from './apply.ts';
import { kindOf } from './kinds.ts';
import { readLabManifests } from './manifests.ts';
import type { KubeObject, Pod } from './objects.ts';
import { isTerminating } from './pods.ts';
import { chooseNode } from './scheduler.ts';
import { ServiceAllocator } from './services.ts';
import { fileNameOf, ObjectStore } from './store.ts';

const account = (name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace: 'shop', labels },
});

function podManifest(name: string, image = 'one', spec: object = {}): KubeObject {
  const containers = [{ name: 'main', image }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop' }, spec: { containers, ...spec } };
}

describe('object store', () => {
  test('each object is one file that is replaced whole and goes with it', () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'ambient-test-'));
    try {
      const store = new ObjectStore({ dir, now: () => 0 });
      assert.equal(store.put(account('web')), 'created');
      assert.equal(store.put(account('web', { a: 'b' })), 'changed');
      const [file = ''] = readdirSync(dir);
      assert.equal(file, 'ServiceAccount.shop.web.json');
      assert.deepEqual(JSON.parse(readFileSync(path.join(dir, file), 'utf8')).metadata.labels, { a: 'b' });
      store.remove(account('web'));
      assert.deepEqual(readdirSync(dir), []);
    } finally {
      rmSync(dir, { recursive: true, force: true });
      rmSync(`${dir}.staging`, { recursive: true, force: true });
    }
  });

  test('uid and creation time stay over a change; what says nothing new tells nobody', () => {
    let nowMs = 1_000;
    const store = new ObjectStore({ dir: null, now: () => nowMs });
    const told: string[] = [];
    store.onChange(({ action }) => told.push(action));
    store.put(account('web'));
    const first = store.get('ServiceAccount', 'shop', 'web')?.metadata;
    nowMs = 90_000;
    assert.equal(store.put(account('web')), 'unchanged');
    store.put(account('web', { a: 'b' }));
    const second = store.get('ServiceAccount', 'shop', 'web')?.metadata;
    assert.deepEqual([second?.uid, second?.creationTimestamp], [first?.uid, first?.creationTimestamp]);
    assert.deepEqual(told, ['created', 'changed']);
  });

  test('a file name never leaves its folder and never grows too long', () => {
    const evil = { apiVersion: 'x/../y/v1', kind: '../Kind', metadata: { name: '../../etc/passwd', namespace: 'a/b' } };
    assert.equal(path.basename(fileNameOf(evil)), fileNameOf(evil));
    const long = fileNameOf({
      ...account('n'.repeat(253)),
      metadata: { name: 'n'.repeat(253), namespace: 'm'.repeat(63) },
    });
    assert(long.length <= 255, String(long.length));
  });
});

describe('apply', () => {
  function bench() {
    const store = new ObjectStore({ dir: null, now: () => 0 });
    const applier = new Applier({ store, services: new ServiceAllocator(), now: () => 0 });
    const apply = (...objects: KubeObject[]) => applier.apply(objects.map((object) => ({ object, place: null })));
    const pod = () => store.get<Pod>('Pod', 'shop', 'web');
    return { store, applier, apply, pod };
  }

  test('a namespace comes with its default account, also when nobody wrote it', () => {
    const { store, apply } = bench();
    apply(account('web'));
    assert.equal(store.get('Namespace', '', 'shop')?.metadata.labels?.['kubernetes.io/metadata.name'], 'shop');
    assert(store.get('ServiceAccount', 'shop', 'default') !== undefined);
  });

  test('a bare pod whose spec changes is ended, and comes back as the new one', () => {
    const { store, apply, pod } = bench();
    assert.equal(apply(podManifest('web'))[0]?.action, 'created');
    const first = pod() as Pod;
    assert.equal(apply(podManifest('web'))[0]?.action, 'unchanged');
    assert.equal(apply(podManifest('web', 'two'))[0]?.action, 'changed');
    assert.equal(isTerminating(pod() as Pod), true);
    store.remove(pod() as Pod);
    assert.equal(pod()?.spec.containers[0]?.image, 'two');
    assert.notEqual(pod()?.metadata.uid, first.metadata.uid);
  });

  test('deleting a namespace deletes what is in it', () => {
    const { store, apply, applier, pod } = bench();
    apply(account('web'), podManifest('web'));
    applier.delete([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }]);
    assert.deepEqual(store.list('ServiceAccount', 'shop'), []);
    assert.equal(isTerminating(pod() as Pod), true);
  });

  test('a new node and an object that stands there twice are refused', () => {
    const { store } = bench();
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'late' } };
    assert.equal(refusals([{ object: node, place: null }], store)[0]?.name, 'late');
    const place = { file: 'a.yaml', line: 3, column: 1 };
    const twice = [0, 1].map(() => ({ object: account('web'), place }));
    assert.throws(() => refuseDuplicates(twice), /a\.yaml:3:1/);
  });

  test('manifests are read with places, lists are taken apart, and kinds of no use to the mesh are kept', () => {
    const list = {
      apiVersion: 'v1',
      kind: 'List',
      items: [account('a'), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } }],
    };
    const { objects } = readLabManifests([{ file: 'list.json', text: JSON.stringify(list) }]);
    assert.deepEqual(
      objects.map(({ object }) => [object.kind, object.metadata.namespace]),
      [
        ['ServiceAccount', 'shop'],
        ['ConfigMap', 'default'],
      ],
    );
    assert.throws(
      () => readLabManifests([{ file: 'x.yaml', text: 'apiVersion: v1\nkind: ConfigMap\n' }]),
      /x\.yaml:1:1/,
    );
  });
});

describe('scheduler', () => {
  const nodes = ['a', 'b'].map((name) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { name } } }));
  const place = (name: string, node: string | undefined, owner: string): Pod => ({
    ...(podManifest(name) as Pod),
    metadata: {
      name,
      namespace: 'shop',
      uid: name,
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }],
    },
    spec: { containers: [], ...(node === undefined ? {} : { nodeName: node }) },
  });

  test('pods of one owner spread; labels bind; a wish that no node fulfils has no node', () => {
    const others = [place('x', 'a', 'web'), place('y', 'b', 'other'), place('z', 'b', 'other')];
    assert.equal(chooseNode(place('new', undefined, 'web'), nodes, others), 'b');
    assert.equal(chooseNode(place('new', undefined, 'third'), nodes, others), 'a');
    const bound = place('new', undefined, 'web');
    assert.equal(chooseNode({ ...bound, spec: { ...bound.spec, nodeSelector: { name: 'a' } } }, nodes, others), 'a');
    assert.equal(chooseNode({ ...bound, spec: { ...bound.spec, nodeSelector: { name: 'c' } } }, nodes, others), null);
  });
});

describe('addresses and kinds', () => {
  test('a pool hands out every address once, and one that was given back as late as possible', () => {
    const pool = new AddressPool('10.0.0.0/29', 2);
    const all = Array.from({ length: 5 }, () => pool.take());
    assert.deepEqual(all, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
    assert.throws(() => pool.take(), /limit/);
    pool.release('10.0.0.4');
    assert.equal(pool.take(), '10.0.0.4');
    assert.equal(new AddressPool('fd00:10:244:1::/64', 2).take(), 'fd00:10:244:1::2');
  });

  test('kinds are found by short name, plural and any case', () => {
    const known = ['Pod', 'NetworkPolicy'];
    for (const word of ['po', 'pod', 'pods', 'Pod', 'PODS']) assert.equal(kindOf(word, known), 'Pod');
    assert.equal(kindOf('networkpolicies', known), 'NetworkPolicy');
    assert.equal(kindOf('svc', known), 'Service');
    assert.equal(kindOf('unknown', known), 'unknown');
  });
});
