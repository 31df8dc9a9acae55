import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Box, boxesOf, curvesOf, distanceTo, labelBoxes, overlap, pointAt } from './geometry.ts';
import { layOut } from './layout.ts';

const graphs = fc
  .record({
    count: fc.integer({ min: 1, max: 40 }),
    pairs: fc.array(fc.tuple(fc.nat(44), fc.nat(44)), { maxLength: 80 }),
    lanes: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ count, pairs, lanes }) => ({
    nodes: Array.from({ length: count }, (_, at) => ({ id: `n${at}`, lane: `lane-${at % lanes}` })),
    edges: pairs.map(([a, b], at) => ({ id: `e${at}`, from: `n${a}`, to: `n${b}` })),
  }));

describe('geometry of the graph', () => {
  it('draws no box on another, and every box within its lane', () => {
    fc.assert(
      fc.property(graphs, ({ nodes, edges }) => {
        const layout = layOut(nodes, edges, null);
        const boxes = boxesOf(layout);
        const all = [...boxes.nodes.values()];
        all.forEach((box, at) => {
          for (const other of all.slice(at + 1)) assert.ok(!overlap(box, other));
        });
        for (const { id, lane } of nodes) {
          const box = boxes.nodes.get(id) as Box;
          const around = boxes.lanes.find(({ name }) => name === lane) as Box;
          assert.ok(box.x >= around.x && box.x + box.width <= around.x + around.width);
          assert.ok(box.y > around.y && box.y + box.height < around.y + around.height);
        }
      }),
    );
  });

  it('leads every edge from its one end to the other, and none whose end is missing', () => {
    fc.assert(
      fc.property(graphs, ({ nodes, edges }) => {
        const { nodes: boxes } = boxesOf(layOut(nodes, edges, null));
        const curves = curvesOf(boxes, edges);
        for (const { id, from, to } of edges) {
          const [a, b] = [boxes.get(from), boxes.get(to)];
          const curve = curves.get(id);
          assert.equal(curve !== undefined, a !== undefined && b !== undefined && from !== to);
          if (a === undefined || b === undefined || curve === undefined) continue;
          isAtSide(a, curve.x0, curve.y0);
          isAtSide(b, curve.x3, curve.y3);
          assert.ok(distanceTo(curve, pointAt(curve, 0.5).x, pointAt(curve, 0.5).y) < 1);
        }
      }),
    );
  });

  it('puts labels on free places only', () => {
    fc.assert(
      fc.property(graphs, ({ nodes, edges }) => {
        const { nodes: boxes } = boxesOf(layOut(nodes, edges, null));
        const wishes = edges.map(({ id }) => ({ id, width: 120, height: 22 }));
        const labels = [...labelBoxes(wishes, curvesOf(boxes, edges), boxes.values()).values()];
        labels.forEach((label, at) => {
          for (const other of [...labels.slice(at + 1), ...boxes.values()]) assert.ok(!overlap(label, other));
        });
      }),
    );
  });
});

function isAtSide(box: Box, x: number, y: number): void {
  assert.ok(x === box.x || x === box.x + box.width);
  assert.ok(y > box.y && y < box.y + box.height);
}
