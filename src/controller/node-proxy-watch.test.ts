import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { workloadOf } from '../model/testing-mesh.ts';
import type { MeshUpdate, Workload } from '../model/types.ts';
import { NodeProxyWatch } from './node-proxy-watch.ts';

const none: MeshUpdate = {
  workloads: [],
  services: [],
  policies: [],
  revocations: [],
  removedAddresses: [],
  removedPolicies: [],
  complete: false,
};

test('a node whose proxy is gone for a minute is told of, once; one that is replaced, restarts or goes is not', () => {
  const clock = new ManualClock();
  const told: string[] = [];
  const watch = new NodeProxyWatch({
    accounts: ['ambient-system/ambient-node'],
    clock,
    tell: ({ regarding, type, reason }) => told.push(`${type} ${reason} ${regarding.kind} ${regarding.name}`),
  });
  const proxy = (uid: string, node: string, healthy: boolean): Workload =>
    workloadOf(`ambient-system/${uid}`, { uid, node, healthy, serviceAccount: 'ambient-node' });
  const take = (workloads: readonly Workload[], removedAddresses: readonly string[] = [], gone: string[] = []): void =>
    watch.take({ ...none, workloads, removedAddresses }, gone);
  // Never ready so far: its pod says why.
  take([proxy('a', 'n1', false), proxy('b', 'n2', true), proxy('c', 'n3', true)]);
  take([workloadOf('shop/x', { uid: 'x', node: 'n2', healthy: false, serviceAccount: 'ambient-node' })]);
  clock.advance(120_000);
  assert.deepEqual(told, []);
  take([proxy('a', 'n1', true), proxy('b', 'n2', false)]);
  clock.advance(59_000);
  take([proxy('b2', 'n2', true)], ['b']);
  clock.advance(120_000);
  assert.deepEqual(told, []);
  take([proxy('a', 'n1', false)], ['b2', 'c'], ['n3']);
  clock.advance(60_000);
  assert.deepEqual(told.sort(), ['Warning NodeProxyLost Node n1', 'Warning NodeProxyLost Node n2']);
  take([proxy('a', 'n1', true)]);
  assert.deepEqual(told.slice(2), ['Normal NodeProxyReady Node n1']);
  watch.close();
  assert.equal(clock.pending, 0);
});
