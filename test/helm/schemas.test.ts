// What is installed and what stands in the samples is valid by the schemas of Kubernetes, of Gateway API, of Istio and
// of our own kinds.
import assert from 'node:assert/strict';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { cleanupObjects } from '../../src/install/cleanup-objects.ts';
import { installManifests, manifestsText } from '../../src/install/manifests.ts';
import type { Manifest } from '../../src/install/parts.ts';
import { readValues } from '../../src/install/values.ts';
import { whenTold } from '../conformance/support/tools.ts';
import { everything } from './any-values.ts';
import { kubernetesVersions, schemaFaults, schemaTools } from './schemas.ts';

const root = path.join(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'ambient-schemas-'));
after(() => rmSync(folder, { recursive: true }));

async function fileOf(name: string, objects: readonly Manifest[]): Promise<string> {
  const file = path.join(folder, `${name}.yaml`);
  writeFileSync(file, await manifestsText(objects));
  return file;
}

test('schemas and kubeconform can be had', { timeout: 430_000 }, async () => {
  await whenTold(schemaTools);
});

for (const version of kubernetesVersions) {
  test(`manifests and samples are valid in Kubernetes ${version}`, async () => {
    const values = await readValues({ files: [{ text: JSON.stringify(everything), file: 'everything' }] });
    const installed = installManifests(values);
    const cleanup = cleanupObjects(values);
    const made = [await fileOf('install', installed), await fileOf('cleanup', cleanup)];
    const samples = globSync('deploy/samples/**/*.yaml', { cwd: root }).map((file) => path.join(root, file));
    const { faults, count } = await schemaFaults(version, [...made, ...samples]);
    assert.deepEqual(faults, []);
    assert(count > installed.length + cleanup.length + samples.length, `${count} objects`);
  });
}

test('what is wrong is found', async () => {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } } as unknown as Manifest;
  const policy = { ...object, apiVersion: 'ambient.mesh/v1alpha1', kind: 'TrafficPolicy', spec: { targetRef: [] } };
  const deployment = { ...object, apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 'two' } };
  const files = [await fileOf('bad', [{ ...object, dato: {} }, policy, deployment])];
  const { faults } = await schemaFaults(kubernetesVersions[1], files);
  assert.equal(faults.length, 3, faults.join('\n'));
});
