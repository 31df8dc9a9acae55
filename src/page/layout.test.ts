import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { layOut } from './layout.ts';
import { deepFrom, neighboursOf, ranksOf } from './layout-ranks.ts';
import { apart } from './layout-rows.ts';
import type { Layout, LayoutEdge, LayoutNode } from './layout-types.ts';

const graphs = fc
  .array(fc.record({ id: fc.integer({ min: 0, max: 400 }), lane: fc.integer({ min: 0, max: 6 }) }), { maxLength: 60 })
  .chain((drawn) => {
    const nodes: LayoutNode[] = [...new Map(drawn.map((one) => [one.id, one])).values()].map(({ id, lane }) => ({
      id: `n${id}`,
      lane: `lane-${lane}`,
    }));
    const end = nodes.length === 0 ? fc.constant('none') : fc.constantFrom(...nodes.map(({ id }) => id));
    const edge: fc.Arbitrary<LayoutEdge> = fc.record({
      from: end,
      to: fc.oneof({ weight: 9, arbitrary: end }, fc.constant('gone')),
    });
    return fc.record({ nodes: fc.constant(nodes), edges: fc.array(edge, { maxLength: 120 }) });
  });

describe('the layout of the graph', () => {
  it('has a place for every node in its own lane, and no two in one place', () => {
    fc.assert(fc.property(graphs, ({ nodes, edges }) => isSound(layOut(nodes, edges, null), nodes)));
  });

  it('does not depend on the order of the input', () => {
    fc.assert(
      fc.property(graphs, ({ nodes, edges }) => {
        assert.deepEqual(layOut(nodes.toReversed(), edges.toReversed(), null), layOut(nodes, edges, null));
      }),
    );
  });

  it('moves nothing when others come, go, or talk to somebody else', () => {
    fc.assert(
      fc.property(graphs, fc.integer({ min: 3, max: 9 }), ({ nodes, edges }, share) => {
        const before = nodes.filter((_, at) => at % share !== 0);
        const first = layOut(
          before,
          edges.filter((_, at) => at % 3 !== 0),
          null,
        );
        const second = layOut(nodes, edges, first);
        isSound(second, nodes);
        for (const { id } of before) assert.deepEqual(second.places.get(id), first.places.get(id), id);
        const order = second.lanes
          .map(({ name }) => name)
          .filter((name) => first.lanes.some((lane) => lane.name === name));
        assert.deepEqual(
          order,
          first.lanes.map(({ name }) => name),
        );
        const third = layOut(before, edges, second);
        for (const { id } of before) assert.deepEqual(third.places.get(id), first.places.get(id), id);
        for (const lane of third.lanes) {
          assert.equal(lane.rows, second.lanes.find(({ name }) => name === lane.name)?.rows);
        }
      }),
    );
  });

  it('puts callers left of those they call where nothing goes in circles and ways are short', () => {
    const forward = graphs.map(({ nodes, edges }) => ({ nodes, edges: edges.filter(({ from, to }) => from < to) }));
    fc.assert(
      fc.property(forward, ({ nodes, edges }) => {
        const { places } = layOut(nodes, edges, null);
        const ids = nodes.map(({ id }) => id);
        fc.pre(Math.max(0, ...ranksOf(ids, neighboursOf(ids, edges)).values()) < deepFrom);
        for (const { from, to } of edges) {
          const [a, b] = [places.get(from), places.get(to)];
          if (a !== undefined && b !== undefined) assert.ok(a.column < b.column, `${from} is not left of ${to}`);
        }
      }),
    );
  });

  it('lays a graph out afresh when most of it is new', () => {
    const nodes = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, lane: 'shop' }));
    const edges = nodes.slice(1).map(({ id }) => ({ from: 'a', to: id }));
    const early = layOut(nodes.slice(3), [], null);
    assert.deepEqual(layOut(nodes, edges, early), layOut(nodes, edges, null));
  });

  it('divides what would be one long column', () => {
    const nodes = Array.from({ length: 300 }, (_, at) => ({ id: `s${at}`, lane: `team-${at % 10}` }));
    const { columns, lanes } = layOut(nodes, [], null);
    assert.ok(columns > 3 && columns < 30, `${columns} columns`);
    assert.ok(Math.max(...lanes.map(({ rows }) => rows)) < 30);
  });

  it('makes no ribbon of a long chain with short cuts', () => {
    const nodes = Array.from({ length: 300 }, (_, at) => ({ id: `s${at}`, lane: `team-${at % 6}` }));
    const edges = nodes.flatMap((_, at) => [2 * at + 1, at + 6].map((to) => ({ from: `s${at}`, to: `s${to}` })));
    const { columns, lanes } = layOut(nodes, edges, null);
    assert.ok(columns < 30, `${columns} columns`);
    assert.ok(lanes.reduce((sum, { rows }) => sum + rows, 0) > 20);
  });

  it('keeps values apart and as near as may be', () => {
    assert.deepEqual(apart([0, 0, 0]), [-1, 0, 1]);
    assert.deepEqual(apart([0, 5, 5, 9]), [0, 4.5, 5.5, 9]);
    assert.deepEqual(apart([]), []);
  });
});

function isSound(layout: Layout, nodes: readonly LayoutNode[]): void {
  const rowsOf = new Map(layout.lanes.map(({ name, rows }) => [name, rows]));
  assert.equal(layout.places.size, nodes.length);
  const taken = new Map<string, number[]>();
  for (const { id, lane } of nodes) {
    const place = layout.places.get(id);
    assert.ok(place !== undefined && place.lane === lane, `${id} is not in ${lane}`);
    assert.ok(place.column >= 0 && place.column < layout.columns && Number.isInteger(place.column));
    assert.ok(
      place.row >= 0 && place.row <= (rowsOf.get(lane) ?? 0) - 1 && Number.isInteger(place.row * 2),
      `row ${place.row}`,
    );
    const key = `${lane} ${place.column}`;
    for (const row of taken.get(key) ?? []) assert.ok(Math.abs(row - place.row) >= 1, `${id} stands on another`);
    taken.set(key, [...(taken.get(key) ?? []), place.row]);
  }
}
