import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isoTime } from './clock.ts';

test('property: a time is written as toISOString writes it, in whatever order times come', () => {
  const time = fc.integer({ min: 0, max: Date.UTC(9999, 0) });
  const near = fc
    .tuple(time, fc.array(fc.integer({ min: 0, max: 2_500 })))
    .map(([from, more]) => [from, ...more.map((ms) => from + ms)]);
  fc.assert(
    fc.property(near, (times) => {
      for (const ms of times) assert.equal(isoTime(ms), new Date(ms).toISOString());
    }),
  );
});
