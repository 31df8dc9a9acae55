// Deployments, StatefulSets and DaemonSets become pods, and rolling replacement keeps its promises at every step.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isReady, type Pod, type WorkloadObject } from './objects.ts';
import { isTerminating, templateHash, withCondition } from './pods.ts';
import { ObjectStore } from './store.ts';
import { WorkloadControllers } from './workloads.ts';

function workload(kind: string, spec: Partial<WorkloadObject['spec']>, image = 'one'): WorkloadObject {
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image }] } };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: 'web', namespace: 'shop' },
    spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template, ...spec },
  };
}

class Bench {
  readonly store = new ObjectStore({ dir: null, now: () => 0 });
  #seed = 1;
  readonly controllers = new WorkloadControllers({ store: this.store, now: () => 0, random: () => this.#random() });

  pods(): Pod[] {
    return this.store.list<Pod>('Pod').filter((pod) => !isTerminating(pod));
  }

  images(): string[] {
    return this.pods().map((pod) => pod.spec.containers[0]?.image ?? '');
  }

  setReady(pod: Pod, ready: boolean): void {
    this.store.update(pod, (each) => withCondition(each, 'Ready', ready, 0));
  }

  /** Ends what was asked to end. */
  bury(): void {
    for (const pod of this.store.list<Pod>('Pod')) if (isTerminating(pod)) this.store.remove(pod);
  }

  settle(): void {
    for (let step = 0; step < 50; step++) {
      this.controllers.reconcile();
      this.bury();
      for (const pod of this.pods()) this.setReady(pod, true);
    }
  }

  #random(): number {
    this.#seed = (this.#seed * 16807) % 2147483647;
    return this.#seed / 2147483647;
  }
}

describe('workloads', () => {
  test('pods of a Deployment have a cluster’s names, labels and owners', () => {
    const bench = new Bench();
    const deployment = workload('Deployment', {});
    bench.store.put(deployment);
    bench.settle();
    const hash = templateHash(deployment.spec.template);
    assert.equal(bench.pods().length, 2);
    for (const pod of bench.pods()) {
      assert.match(pod.metadata.name, new RegExp(`^web-${hash}-[a-z0-9]{5}$`));
      assert.equal(pod.metadata.labels?.['pod-template-hash'], hash);
      assert.equal(pod.metadata.ownerReferences?.[0]?.kind, 'ReplicaSet');
    }
  });

  test('at every step of a rolling update enough pods are ready and not too many exist', () => {
    const surgeOrPart = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('0%', '25%', '50%', '100%'));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        surgeOrPart,
        surgeOrPart,
        fc.array(fc.nat(), { maxLength: 60 }),
        (replicas, maxSurge, maxUnavailable, luck) => {
          const part = (value: number | string, round: (x: number) => number) =>
            typeof value === 'number' ? value : round((Number.parseInt(value, 10) * replicas) / 100);
          const surge = part(maxSurge, Math.ceil);
          const unavailable = part(maxUnavailable, Math.floor);
          const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } };
          const bench = new Bench();
          bench.store.put(workload('Deployment', { replicas, strategy }));
          bench.settle();
          bench.store.put(workload('Deployment', { replicas, strategy }, 'two'));
          for (const chance of luck) {
            bench.controllers.reconcile();
            const pods = bench.pods();
            const most = replicas + (surge === 0 && unavailable === 0 ? 1 : surge);
            assert(pods.length <= most, `${pods.length} pods, at most ${most}`);
            assert(pods.filter(isReady).length >= replicas - unavailable, 'enough are ready');
            bench.bury();
            const waiting = bench.pods().filter((pod) => !isReady(pod));
            const lucky = waiting[chance % Math.max(1, waiting.length)];
            if (lucky !== undefined && chance % 3 > 0) bench.setReady(lucky, true);
          }
          bench.settle();
          assert.deepEqual(
            bench.images(),
            Array.from({ length: replicas }, () => 'two'),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test('Recreate ends the old before the new begin', () => {
    const bench = new Bench();
    bench.store.put(workload('Deployment', { strategy: { type: 'Recreate' } }));
    bench.settle();
    bench.store.put(workload('Deployment', { strategy: { type: 'Recreate' } }, 'two'));
    bench.controllers.reconcile();
    assert.deepEqual(bench.images(), []);
    bench.settle();
    assert.deepEqual(bench.images(), ['two', 'two']);
  });

  test('scaling down gives up what is not ready first; deleting the Deployment ends all', () => {
    const bench = new Bench();
    bench.store.put(workload('Deployment', { replicas: 3 }));
    bench.settle();
    const sick = bench.pods()[1] as Pod;
    bench.setReady(sick, false);
    bench.store.put(workload('Deployment', { replicas: 2 }));
    bench.controllers.reconcile();
    assert.equal(
      bench.pods().some((pod) => pod.metadata.uid === sick.metadata.uid),
      false,
    );
    assert.equal(bench.pods().length, 2);
    bench.store.remove(workload('Deployment', {}));
    bench.settle();
    assert.deepEqual(bench.pods(), []);
    assert.deepEqual(bench.store.list('ReplicaSet'), []);
  });

  test('a StatefulSet brings its pods up in order, by number, with stable host names', () => {
    const bench = new Bench();
    bench.store.put(workload('StatefulSet', { serviceName: 'web' }));
    bench.controllers.reconcile();
    assert.deepEqual(
      bench.pods().map((pod) => pod.metadata.name),
      ['web-0'],
    );
    bench.controllers.reconcile();
    assert.equal(bench.pods().length, 1, 'the second waits for the first');
    bench.settle();
    assert.deepEqual(
      bench.pods().map((pod) => [pod.spec.hostname, pod.spec.subdomain]),
      [
        ['web-0', 'web'],
        ['web-1', 'web'],
      ],
    );
    bench.store.put(workload('StatefulSet', { serviceName: 'web' }, 'two'));
    bench.settle();
    assert.deepEqual(bench.images(), ['two', 'two']);
    bench.store.put(workload('StatefulSet', { serviceName: 'web', replicas: 1 }, 'two'));
    bench.settle();
    assert.deepEqual(
      bench.pods().map((pod) => pod.metadata.name),
      ['web-0'],
    );
  });

  test('a DaemonSet has one pod on each node that it selects', () => {
    const bench = new Bench();
    for (const name of ['a', 'b']) {
      bench.store.put({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels: { disk: name === 'a' ? 'fast' : 'slow' } },
      });
    }
    bench.store.put(workload('DaemonSet', {}));
    bench.settle();
    assert.deepEqual(
      bench
        .pods()
        .map((pod) => pod.spec.nodeName)
        .sort(),
      ['a', 'b'],
    );
    const template = { metadata: { labels: { app: 'web' } }, spec: { nodeSelector: { disk: 'fast' }, containers: [] } };
    bench.store.put(workload('DaemonSet', { template }));
    bench.settle();
    assert.deepEqual(
      bench.pods().map((pod) => pod.spec.nodeName),
      ['a'],
    );
  });
});
