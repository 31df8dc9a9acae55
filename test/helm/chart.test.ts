// The chart says what `ambientctl install` says, whatever the values; what differs is helm's own.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { parse, parseAllDocuments } from 'yaml';
import { object } from '../../src/config/schema.ts';
import { installManifests } from '../../src/install/manifests.ts';
import { nextSteps } from '../../src/install/next-steps.ts';
import type { Manifest } from '../../src/install/parts.ts';
import { readValues, valuesShape } from '../../src/install/values.ts';
import { whenTold } from '../conformance/support/tools.ts';
import { anyValues, everything } from './any-values.ts';
import { Chart, chartDir, objectsOf, withoutHelm } from './chart.ts';
import { upgradeTests } from './older-cases.ts';

const namespace = 'ambient-system';
const runs = 60;
const root = path.join(import.meta.dirname, '../..');
const profile = (name: string): unknown => parse(readFileSync(path.join(chartDir, `values-${name}.yaml`), 'utf8'));

const profiles = readdirSync(chartDir).flatMap((name) => /^values-(\w+)\.yaml$/.exec(name)?.[1] ?? []);

describe('the chart', () => {
  let chart: Chart;
  test('its engine can be built', { timeout: 430_000 }, async () => {
    chart = await whenTold(() => new Chart());
  });
  after(() => chart?.close());

  /** Fails unless helm and `ambientctl install` make the same of the values. */
  async function assertSame(values: unknown): Promise<void> {
    const rendering = await chart.render({ values, namespace });
    assert.equal(rendering.error, '');
    const helm = byKey(objectsOf(rendering).map(withoutHelm));
    const read = await readValues({
      files: [{ text: JSON.stringify({ ...(values as object), namespace }), file: 'v' }],
    });
    const all = JSON.parse(JSON.stringify(installManifests(read))) as Manifest[];
    assert.deepEqual(helm, byKey(all.filter(({ kind }) => kind !== 'Namespace')));
  }

  const rows: readonly (readonly [name: string, values: unknown])[] = [
    ['nothing', {}],
    ...profiles.map((name) => [`values-${name}.yaml`, profile(name)] as const),
    ['everything switched on', everything],
    ['nothing asked for', { node: { resources: { cpu: '', memory: '', memoryLimit: '' } } }],
    ['a page that is open, and switched off', { page: { enabled: false, listen: 'everywhere' } }],
    ['a tag like a number', { image: { tag: '1.10', repository: 'registry.local:5000/a' } }],
    ['values of an older release', { networkPolicies: true, podMonitors: true }],
    ['characters that JSON escapes', { controller: { config: { auth: { issuer: '<&>\u2028' } } } }],
    ['what the installation has chosen, chosen again', { node: { config: { threads: 0, log: { level: 'debug' } } } }],
  ];
  for (const [name, values] of rows) test(`equals ambientctl install: ${name}`, () => assertSame(values));

  for (const [name, values] of [
    ['deploy/kustomize/default/generated/ambient.yaml', {}],
    ['deploy/kustomize/ha/generated/ambient.yaml', profile('ha')],
  ] as const) {
    test(`renders ${name}, but for the namespace`, async () => {
      const documents = parseAllDocuments(readFileSync(path.join(root, name), 'utf8'));
      const kept = documents.map((one) => one.toJS() as Manifest).filter(({ kind }) => kind !== 'Namespace');
      assert.deepEqual(byKey(objectsOf(await chart.render({ values })).map(withoutHelm)), byKey(kept));
    });
  }

  const gateway = 'gateway.networking.k8s.io';

  test('labels everything as helm does, and selects by none of these labels', async () => {
    const objects = objectsOf(await chart.render({ values: everything }));
    assert(objects.length > 15, `${objects.length} objects`);
    for (const { kind, metadata, spec } of objects) {
      const { labels } = metadata;
      assert.match(labels['helm.sh/chart'] ?? '', /^ambient-\d+\.\d+\.\d+$/, kind);
      assert.equal(labels['app.kubernetes.io/instance'], 'ambient', kind);
      assert.equal(labels['app.kubernetes.io/managed-by'], 'Helm', kind);
      const { selector } = (spec ?? {}) as { selector?: Record<string, unknown> };
      const chosen = (selector?.['matchLabels'] ?? selector ?? {}) as Record<string, unknown>;
      // Waypoints are not the chart's: what reads their metrics finds them by their class.
      const by = metadata.name === 'ambient-waypoint' ? `${gateway}/gateway-class-name` : 'app.kubernetes.io/name';
      if (selector !== undefined) assert.deepEqual(Object.keys(chosen), [by], kind);
    }
  });

  test('keeps the definitions when it goes, and carries them when it is upgraded', async () => {
    const objects = objectsOf(await chart.render());
    const definitions = objects.filter(({ kind }) => kind === 'CustomResourceDefinition');
    assert.equal(definitions.length, 3);
    for (const { metadata } of definitions as readonly { metadata: { annotations?: Record<string, string> } }[]) {
      assert.deepEqual(metadata.annotations, { 'helm.sh/resource-policy': 'keep' });
    }
  });

  for (const values of [{}, { node: { config: { podCidrs: ['10.0.0.0/8'] } } }]) {
    test(`ends with the next step: ${JSON.stringify(values)}`, async () => {
      const { files } = await chart.render({ values });
      const notes = files.get('ambient/templates/NOTES.txt')!;
      const read = await readValues({ files: [{ text: JSON.stringify(values), file: 'v' }] });
      assert(
        notes.endsWith(
          `next:\n${nextSteps(read)
            .map((step) => `  ${step}\n`)
            .join('')}`,
        ),
        notes,
      );
      assert(!notes.includes('note: '), notes);
    });
  }

  const refused: readonly (readonly [values: unknown, says: RegExp])[] = [
    [{ controler: {} }, /at '': additional properties 'controler' not allowed/],
    [{ controller: { replicas: 0 } }, /at '\/controller\/replicas': minimum: got 0, want 1/],
    [{ controller: { replicas: '2' } }, /at '\/controller\/replicas': got string, want integer/],
    [{ image: { pullPolicy: 'Sometimes' } }, /at '\/image\/pullPolicy': value must be one of 'IfNotPresent'/],
    [{ node: { config: { podCidr: [] } } }, /at '\/node\/config': additional properties 'podCidr' not allowed/],
    [{ node: { config: { stateDir: '/x' } } }, /at '\/node\/config': additional properties 'stateDir' not allowed/],
    [{ networkPolicies: 'yes' }, /at '\/networkPolicies': 'anyOf' failed/],
    [{ namespace: 'mesh' }, /the values say mesh, helm says ambient-system; give helm --namespace mesh/],
  ];
  for (const [values, says] of refused) {
    test(`refuses ${JSON.stringify(values)}`, async () => {
      const { error, files } = await chart.render({ values });
      assert.equal(files.size, 0);
      assert.match(error, says);
    });
  }

  upgradeTests(() => chart);

  test('equals ambientctl install: any values', { timeout: 120_000 }, async () => {
    const values = anyValues(object(valuesShape).schema);
    await fc.assert(fc.asyncProperty(values, assertSame), { numRuns: runs });
  });
});

function byKey(objects: readonly Manifest[]): Record<string, Manifest> {
  return Object.fromEntries(objects.map((one) => [`${one.kind} ${one.metadata.name}`, one]));
}
