// What stands under deploy/samples/steps for people to apply: each file alone, on the shop, is read without a word.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { MeshCompiler } from '../model/compiler.ts';
import { type Resource, resourceKey } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import { readManifests } from './manifests.ts';

const samples = path.join(import.meta.dirname, '../../deploy/samples');
const steps = readdirSync(path.join(samples, 'steps'));

function resourcesOf(...files: readonly string[]): Map<string, Resource> {
  const texts = files.map((file) => ({ file, text: readFileSync(path.join(samples, file), 'utf8') }));
  const resources = texts.flatMap((one) => readManifests([one]).resources);
  return new Map(resources.map((each) => [resourceKey(each), each]));
}

/** What is found in the resources together. */
function issuesIn(resources: Iterable<Resource>): readonly ResourceIssue[] {
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system'],
    expandTemplates: true,
  });
  for (const resource of resources) compiler.upsert(resource);
  compiler.flush();
  return compiler.issues();
}

test('without the shop a step has findings', () => {
  assert.notDeepEqual(issuesIn(resourcesOf('steps/6-timeouts.yaml').values()), []);
});

for (const step of steps) {
  test(`${step} has no findings`, () => {
    const shop = readdirSync(path.join(samples, 'shop')).map((file) => `shop/${file}`);
    const before = step > '4' ? ['steps/4-waypoint.yaml'] : [];
    const own = resourcesOf(`steps/${step}`);
    const issues = issuesIn(resourcesOf(...shop, ...before, `steps/${step}`).values());
    assert.deepEqual(
      issues.filter((issue) => own.has(resourceKey(issue))),
      [],
    );
    assert(own.size > 0);
  });
}
