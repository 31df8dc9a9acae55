import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sparkline } from './sparkline.ts';

const rows: [title: string, values: number[], width: number, expected: string][] = [
  ['nothing', [], 5, ''],
  ['flat', [3, 3, 3], 5, '███'],
  ['from nothing to the most', [0, 1, 2, 4], 5, '▁▃▅█'],
  ['means where there is too little room', [0, 0, 4, 4], 2, '▁█'],
  ['zeroes', [0, 0], 5, '▁▁'],
];
for (const [title, values, width, expected] of rows) {
  test(title, () => assert.equal(sparkline(values, width), expected));
}
