import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { projectFile } from '../base/project-files.ts';
import { metricCatalogue } from './metric-catalogue.ts';
import { metricPage, unitOf } from './metric-page.ts';

test('names say type and unit as Prometheus wants them, and no two are one family in OpenMetrics', () => {
  const families = new Set<string>();
  for (const [name, { type, help, normal }] of metricCatalogue()) {
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.match(name, /^(ambient|istio|process|nodejs)_[a-z0-9_]+$/);
    for (const text of [help, normal]) assert.match(text, /^[^|\n"\\]+("[^|\n\\]*)?$/, `${name}: ${text}`);
    const family = name.replace(/_total$/, '');
    assert(!families.has(family), `${family} is there twice`);
    families.add(family);
  }
});

test('units are of the end of the name', () => {
  const names = ['a_seconds', 'a_bytes_total', 'a_milliseconds', 'a_total', 'a_info'];
  assert.deepEqual(names.map(unitOf), ['seconds', 'bytes', 'milliseconds', '1', '']);
});

test('docs/metrics.md is what `npm run generate` writes', () => {
  const page = readFileSync(projectFile('docs/metrics.md'), 'utf8');
  assert.equal(page, metricPage());
  for (const name of metricCatalogue().keys()) assert(page.includes(`| \`${name}\` |`), name);
});
