import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compactHeap } from '../base/compact-heap.ts';
import { HeapKeeper } from './heap-keeper.ts';

const looks: { name: string; connections: number[]; compactions: number; trims?: number }[] = [
  { name: 'the start is cleaned up after', connections: [0], compactions: 1 },
  { name: 'a start under load is left alone', connections: [5_000], compactions: 0 },
  { name: 'a quiet thread is compacted once', connections: [0, 0, 0, 3, 0], compactions: 1 },
  { name: 'many have gone, once it is over', connections: [0, 9_000, 2_000, 5, 0, 0], compactions: 2 },
  { name: 'while they are going, nothing is done', connections: [0, 9_000, 2_000, 1_000], compactions: 1 },
  { name: 'half of them staying is no quiet moment', connections: [0, 9_000, 4_500, 4_500], compactions: 1, trims: 1 },
  { name: 'few have gone', connections: [0, 400, 0, 0], compactions: 1 },
  { name: 'twice', connections: [0, 600, 0, 0, 600, 0, 0], compactions: 3 },
  { name: 'many have come, once it is over', connections: [0, 4_000, 9_000, 9_000, 9_000], compactions: 1, trims: 1 },
  { name: 'many come, stay and go', connections: [0, 900, 900, 0, 0, 900, 900], compactions: 2, trims: 2 },
];

for (const { name, connections, compactions, trims = 0 } of looks) {
  test(`heap keeper: ${name}`, () => {
    let now = 0;
    const counts = { compactions: 0, trims: 0 };
    const keeper = new HeapKeeper({
      connections: () => now,
      compact: () => counts.compactions++,
      trim: () => counts.trims++,
    });
    for (now of connections) keeper.look();
    assert.deepEqual(counts, { compactions, trims });
  });
}

test('what is garbage leaves the heap', () => {
  let waste: number[][] | null = Array.from({ length: 200 }, () => Array.from({ length: 10_000 }, Math.random));
  const before = process.memoryUsage().heapTotal;
  assert.equal(waste.length, 200);
  waste = null;
  compactHeap();
  assert.ok(process.memoryUsage().heapTotal < before - 8e6);
});
