// The chart says what `ambientctl install` says, whatever the values; what differs is helm's own.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { object } from '../../src/config/schema.ts';
import { installManifests } from '../../src/install/manifests.ts';
import type { Manifest } from '../../src/install/parts.ts';
import { readValues, valuesShape } from '../../src/install/values.ts';
import { anyValues } from './any-values.ts';
import { Chart, chartDir, objectsOf, withoutHelm } from './chart.ts';

const namespace = 'ambient-system';
const runs = 60;
const profile = (name: string): unknown => parse(readFileSync(path.join(chartDir, `values-${name}.yaml`), 'utf8'));

describe('the chart', () => {
  let chart: Chart;
  test('its engine can be built', { timeout: 430_000 }, () => {
    chart = new Chart();
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
    ['high availability', profile('ha')],
    ['everything switched on', everything()],
    ['nothing asked for', { node: { resources: { cpu: '', memory: '', memoryLimit: '' } } }],
    ['a tag like a number', { image: { tag: '1.10', repository: 'registry.local:5000/a' } }],
    ['values of an older release', { networkPolicies: true, podMonitors: true }],
    ['characters that JSON escapes', { controller: { config: { auth: { issuer: '<&>\u2028' } } } }],
    ['what the installation has chosen, chosen again', { node: { config: { threads: 0, log: { level: 'debug' } } } }],
  ];
  for (const [name, values] of rows) test(`equals ambientctl install: ${name}`, () => assertSame(values));

  test('equals ambientctl install: any values', { timeout: 120_000 }, async () => {
    const values = anyValues(object(valuesShape).schema);
    await fc.assert(fc.asyncProperty(values, assertSame), { numRuns: runs });
  });
});

/** Every switch of the shape, and a value for what has none by itself. */
function everything(): unknown {
  return {
    image: { pullSecrets: ['registry', 'other'] },
    controller: { replicas: 3 },
    node: { config: { podCidrs: ['10.244.0.0/24'] } },
    networkPolicies: { enabled: true },
    podMonitors: { enabled: true, labels: { release: 'prometheus' } },
    criticalPodsQuota: { enabled: true },
  };
}

function byKey(objects: readonly Manifest[]): Record<string, Manifest> {
  return Object.fromEntries(objects.map((one) => [`${one.kind} ${one.metadata.name}`, one]));
}
