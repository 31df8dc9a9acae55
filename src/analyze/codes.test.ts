// Each code of the linter: the least that trips it, and the same mended, which does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { issueOf } from '../kube/findings.ts';
import { readLeniently } from '../kube/manifests.ts';
import { findingCodes } from '../model/finding-codes.ts';
import { analyze } from './analyze.ts';
import type { SeenEdge } from './seen-edges.ts';
import { acrossRows } from './testing-across-rows.ts';
import { outlier, pay, several } from './testing-manifests.ts';
import { objectRows } from './testing-object-rows.ts';
import { shop } from './testing-shop.ts';

function findingsIn(text: string, edges: readonly SeenEdge[] = []) {
  const { resources, unused, errors } = readLeniently([
    { text: shop, file: 'shop.yaml' },
    { text, file: 'case.yaml' },
  ]);
  return analyze({ resources, unused, unreadable: errors.map(issueOf), edges });
}

const rows = [...objectRows, ...acrossRows];

for (const { code, bad, mend, says, edges } of rows) {
  test(`${code}: ${findingCodes[code].title}`, () => {
    const found = findingsIn(bad, edges).filter((issue) => issue.code === code);
    assert.ok(found.length > 0, `nothing is found; but ${JSON.stringify(findingsIn(bad, edges), null, 1)}`);
    for (const { place } of found) assert.ok(place !== null && place.line > 0);
    if (says !== undefined) assert.match(found.map(({ message, fix }) => `${message}; ${fix}`).join('\n'), says);
    const mended = bad.replace(...mend);
    assert.notEqual(mended, bad);
    assert.deepEqual(
      findingsIn(mended, edges).filter((issue) => issue.code === code),
      [],
    );
  });
}

test('ejection of a service whose pods are not among the manifests is not judged', () => {
  const alone = pay.split('\n---\n')[0] ?? '';
  const found = findingsIn(several(alone, outlier('consecutive5xxErrors: 1')));
  assert.deepEqual(
    found.filter(({ code }) => code === 'AMB1023'),
    [],
  );
});

/** Said of nodes of a lab alone. */
const elsewhere = ['AMB0003'];

test('there is a row for every code', () => {
  const covered = new Set<string>(rows.map(({ code }) => code));
  assert.deepEqual(
    Object.keys(findingCodes).filter((code) => !covered.has(code)),
    elsewhere,
  );
});
