import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.ts';
import { drawBackend } from './backend-draw.ts';

test('20,000 draws are within one point of the weights; a weight of zero gets nothing', () => {
  const source = new Random(7);
  const random = (): number => source.next() / 2 ** 32;
  const backends = [
    { name: 'v1', weight: 70 },
    { name: 'v2', weight: 0 },
    { name: 'v3', weight: 30 },
  ];
  const counts = new Map<string, number>();
  for (let n = 0; n < 20_000; n++) {
    const { name } = drawBackend(backends, random())!;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  assert.ok(Math.abs(counts.get('v1')! / 20_000 - 0.7) < 0.01);
  assert.equal(counts.get('v2'), undefined);
});

test('nothing to draw', () => {
  assert.equal(drawBackend([], 0.5), null);
  assert.equal(drawBackend([{ weight: 0 }], 0.5), null);
  assert.equal(drawBackend([{ weight: 0 }, { weight: 0 }], 0.5), null);
  assert.equal(drawBackend([{ weight: 0 }, { weight: 1 }], 0.999999)?.weight, 1);
});
