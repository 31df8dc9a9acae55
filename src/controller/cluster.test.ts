// The whole controller on a cluster: an API server over loopback that fails on purpose, and a node proxy that counts
// what it is told.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { listPath, watchedKinds } from '../kube/api/kinds.ts';
import type { KubeObject } from '../kube/api/prune.ts';
import { status, testingApi } from '../kube/api/testing-api.ts';
import type { StatusView } from '../model/views.ts';
import {
  admin,
  discoveryClient,
  namespaceManifest,
  podManifest,
  setUp,
  eventually as soon,
} from './testing-controller.ts';

const paths = watchedKinds.filter((one) => !one.isCustom).map((one) => listPath(one, one.versions[0]!));
const pods = '/api/v1/pods';
/** Longer than it takes to ask again after some failures in a row. */
const eventually = (condition: () => boolean, what: string): Promise<void> => soon(condition, what, 4_000);
const object = (text: string): KubeObject => JSON.parse(text) as KubeObject;

test('a cluster: proxies are served when it is known, and a bad day of its API server costs no push', {
  timeout: 120_000,
}, async (context) => {
  const { api, port } = await testingApi(context);
  api.define(...paths);
  api.put('/api/v1/namespaces', object(namespaceManifest));
  const all = [
    podManifest('shop', 'web', 'a', 'web', '10.244.1.7'),
    podManifest('ambient-system', 'proxy-a', 'a', 'ambient-node', '10.80.0.11'),
  ];
  for (const one of all) api.put(pods, object(one));
  api.fail('/services?', status(500, 'InternalError'), 3);
  const fixture = await setUp(context, { source: 'kubernetes', sources: [] }, ({ file }) => {
    const text = { clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }] };
    const more = { contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }], users: [{ name: 'u', user: {} }] };
    writeFileSync(file('kubeconfig'), JSON.stringify({ ...text, ...more, 'current-context': 'c' }));
  });
  const { client, workloads, until } = discoveryClient(context, fixture);
  client.start();
  await until(() => workloads.get('Kubernetes//Pod/shop/web')?.tunnelProtocol === 'HBONE');
  const pushes = async (): Promise<string> => {
    const { metrics } = fixture.controller.addresses;
    const scrape = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    return scrape
      .split('\n')
      .filter((line) => line.startsWith('ambient_controller_pushes_total'))
      .join('\n');
  };
  const allWatch = (): boolean => paths.every((path) => api.watchers(path) > 0);
  await eventually(allWatch, 'every kind is watched');
  await eventually(() => fixture.controller.status().proxies[0]?.inStep === true, 'in step');
  const before = await pushes();
  assert.notEqual(before, '');
  // It forgets, it refuses, it restarts, and pods say that they are alive.
  api.forget();
  api.fail('watch=true', status(429, 'TooManyRequests', 0.01), 2);
  api.endWatches();
  await eventually(allWatch, 'every kind is watched after its history went');
  await api.stop();
  await eventually(() => fixture.controller.status().sources.some((one) => !one.ok), 'the trouble is told');
  assert.match(JSON.stringify((await admin<StatusView>(fixture, '/status')).sources), /cannot be reached/);
  api.forget();
  await api.start(port);
  for (const one of all) api.put(pods, object(one));
  await eventually(allWatch, 'every kind is watched after the restart');
  await eventually(() => fixture.controller.status().sources.every((one) => one.ok), 'all is well');
  assert.equal(await pushes(), before);
  api.put(pods, object(podManifest('shop', 'pay', 'a', 'pay', '10.244.1.8')));
  await until(() => workloads.has('Kubernetes//Pod/shop/pay'));
  api.remove(pods, 'pay');
  await until(() => !workloads.has('Kubernetes//Pod/shop/pay'));
});
