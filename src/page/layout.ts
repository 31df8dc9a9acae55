// Where the nodes of the graph stand: namespaces as lanes from top to bottom, callers left of those they call. What
// stands somewhere stays there when others come or go; only an empty or a very different graph is laid out afresh.
import { type Neighbours, neighboursOf, shallowRanksOf } from './layout-ranks.ts';
import { type Columns, rowsOf } from './layout-rows.ts';
import type { Lane, Layout, LayoutEdge, LayoutNode, Place } from './layout-types.ts';

/** Width of a column against the height of a row, in pixels or whatever. */
export interface Proportions {
  readonly column: number;
  readonly row: number;
  /** Of a lane's head and its distance from the next, in the same unit. */
  readonly laneGap: number;
  /** Width by height that the whole should have. */
  readonly aspect: number;
}

const usualProportions: Proportions = { column: 380, row: 96, laneGap: 72, aspect: 1.7 };
/** A column of a lane is not divided for fewer nodes than that. */
const stackMin = 3;

/**
 * The places of all nodes. Nodes of `previous` that are still there keep their column and row; lanes keep their order.
 * With fewer of them than new ones, or with null, all is laid out afresh. The order of the input does not matter.
 */
export function layOut(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
  previous: Layout | null,
  proportions: Proportions = usualProportions,
): Layout {
  const sorted = [...new Map(nodes.map((node) => [node.id, node])).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const ids = sorted.map(({ id }) => id);
  const neighbours = neighboursOf(ids, edges);
  const kept = sorted.filter(({ id, lane }) => previous?.places.get(id)?.lane === lane).length;
  if (previous === null || kept < sorted.length - kept) return fresh(sorted, neighbours, proportions);
  return extended(sorted, neighbours, previous);
}

function fresh(nodes: readonly LayoutNode[], neighbours: Neighbours, proportions: Proportions): Layout {
  const ranks = shallowRanksOf(
    nodes.map(({ id }) => id),
    neighbours,
  );
  const cells = cellsOf(nodes, ranks);
  const stack = bestStack(cells, proportions);
  const firstColumns = firstColumnsOf(cells, stack);
  const places = new Map<string, Place>();
  const lanes: Lane[] = [];
  for (const [lane, byRank] of lanesInOrder(cells)) {
    const columns: Columns = [];
    for (const [rank, ids] of byRank) {
      const parts = Math.ceil(ids.length / stack);
      const size = Math.ceil(ids.length / parts);
      for (let part = 0; part < parts; part++) {
        columns[(firstColumns[rank] ?? 0) + part] = ids.slice(part * size, (part + 1) * size);
      }
    }
    for (let column = 0; column < columns.length; column++) columns[column] ??= [];
    const rows = rowsOf(columns, neighbours);
    columns.forEach((ids, column) => {
      for (const id of ids) places.set(id, { lane, column, row: rows.get(id) ?? 0 });
    });
    lanes.push({ name: lane, rows: Math.max(1, ...columns.map((ids) => ids.length)) });
  }
  return { places, lanes, columns: columnsOf(places) };
}

/** By lane, by rank: the nodes. */
type Cells = Map<string, Map<number, string[]>>;

function cellsOf(nodes: readonly LayoutNode[], ranks: ReadonlyMap<string, number>): Cells {
  const cells: Cells = new Map();
  for (const { id, lane } of nodes) {
    const byRank = cells.get(lane) ?? new Map<number, string[]>();
    cells.set(lane, byRank);
    const rank = ranks.get(id) ?? 0;
    byRank.set(rank, [...(byRank.get(rank) ?? []), id]);
  }
  return cells;
}

/** Lanes with callers come first. */
function lanesInOrder(cells: Cells): [string, Map<number, string[]>][] {
  const meanRank = (byRank: Map<number, string[]>): number => {
    let [sum, count] = [0, 0];
    for (const [rank, ids] of byRank) {
      sum += rank * ids.length;
      count += ids.length;
    }
    return sum / count;
  };
  return [...cells].sort(([a, inA], [b, inB]) => meanRank(inA) - meanRank(inB) || (a < b ? -1 : 1));
}

/** How many columns each rank needs when no stack may be higher than `stack`: the first column of each, and the end. */
function firstColumnsOf(cells: Cells, stack: number): number[] {
  const needed: number[] = [];
  for (const byRank of cells.values()) {
    for (const [rank, ids] of byRank) needed[rank] = Math.max(needed[rank] ?? 1, Math.ceil(ids.length / stack));
  }
  const first = [0];
  for (let rank = 0; rank < needed.length; rank++) first.push((first[rank] ?? 0) + (needed[rank] ?? 1));
  return first;
}

/** The height of stacks that makes the whole most like the wished aspect; a single column per rank if that is near. */
function bestStack(cells: Cells, { column, row, laneGap, aspect }: Proportions): number {
  const tallest = Math.max(
    1,
    ...[...cells.values()].flatMap((byRank) => [...byRank.values()].map((ids) => ids.length)),
  );
  let best = { stack: tallest, off: Number.POSITIVE_INFINITY };
  for (let stack = tallest; stack >= Math.min(stackMin, tallest); stack--) {
    const width = (firstColumnsOf(cells, stack).at(-1) ?? 1) * column;
    let height = 0;
    for (const byRank of cells.values()) {
      const rows = Math.max(
        ...[...byRank.values()].map((ids) => Math.ceil(ids.length / Math.ceil(ids.length / stack))),
      );
      height += rows * row + laneGap;
    }
    const off = Math.abs(Math.log(width / height / aspect));
    if (off < best.off - 0.1) best = { stack, off };
  }
  return best.stack;
}

function extended(nodes: readonly LayoutNode[], neighbours: Neighbours, previous: Layout): Layout {
  const places = new Map<string, Place>();
  for (const { id, lane } of nodes) {
    const place = previous.places.get(id);
    if (place?.lane === lane) places.set(id, place);
  }
  for (const { id, lane } of nodes) {
    if (!places.has(id)) places.set(id, freePlace(id, lane, places, neighbours));
  }
  return { places, lanes: lanesOf(nodes, places, previous.lanes), columns: columnsOf(places) };
}

function freePlace(
  id: string,
  lane: string,
  places: ReadonlyMap<string, Place>,
  { callers, callees }: Neighbours,
): Place {
  const standing = (ids: readonly string[] = []): Place[] => ids.flatMap((other) => places.get(other) ?? []);
  const before = standing(callers.get(id));
  const after = standing(callees.get(id));
  const column =
    before.length > 0
      ? Math.max(...before.map((place) => place.column)) + 1
      : Math.max(0, Math.min(1, ...after.map((place) => place.column)) - 1);
  const near = [...before, ...after].filter((place) => place.lane === lane);
  const wish = near.length === 0 ? 0 : near.reduce((sum, { row }) => sum + row, 0) / near.length;
  const taken = [...places.values()]
    .filter((place) => place.lane === lane && place.column === column)
    .map(({ row }) => row);
  return { lane, column, row: nearestFree(Math.round(2 * wish) / 2, taken) };
}

function nearestFree(wish: number, taken: readonly number[]): number {
  for (let step = 0; ; step += 0.5) {
    for (const row of [wish + step, wish - step]) {
      if (row >= 0 && taken.every((other) => Math.abs(other - row) >= 1)) return row;
    }
  }
}

function lanesOf(
  nodes: readonly LayoutNode[],
  places: ReadonlyMap<string, Place>,
  previous: readonly Lane[],
): readonly Lane[] {
  const rows = new Map<string, number>();
  for (const { lane, row } of places.values()) rows.set(lane, Math.max(rows.get(lane) ?? 1, Math.ceil(row) + 1));
  const known = new Set(previous.map(({ name }) => name));
  const added = [...new Set(nodes.map(({ lane }) => lane))].filter((lane) => !known.has(lane)).sort();
  return [
    ...previous
      .filter(({ name }) => rows.has(name))
      .map((lane) => ({ name: lane.name, rows: Math.max(lane.rows, rows.get(lane.name) ?? 1) })),
    ...added.map((name) => ({ name, rows: rows.get(name) ?? 1 })),
  ];
}

function columnsOf(places: ReadonlyMap<string, Place>): number {
  return Math.max(0, ...[...places.values()].map(({ column }) => column + 1));
}
