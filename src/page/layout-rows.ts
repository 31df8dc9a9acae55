// The rows of the nodes of one lane: each as near to its neighbours as those above and below it allow.
import type { Neighbours } from './layout-ranks.ts';

const sweeps = 6;

/** Nodes by column; the order within a column is changed. */
export type Columns = string[][];

/**
 * Sorts each column by where the neighbours of its nodes stand, and gives every node of it a row from 0, in halves, at
 * least one apart within a column.
 */
export function rowsOf(columns: Columns, neighbours: Neighbours): Map<string, number> {
  const height = Math.max(1, ...columns.map((column) => column.length));
  const rows = new Map<string, number>();
  for (const column of columns) {
    const top = (height - column.length) / 2;
    column.forEach((id, at) => {
      rows.set(id, top + at);
    });
  }
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const inTurn = sweep % 2 === 0 ? columns : columns.toReversed();
    for (const column of inTurn) settle(column, rows, neighbours, height);
  }
  return rows;
}

function settle(column: string[], rows: Map<string, number>, neighbours: Neighbours, height: number): void {
  const wished = new Map(column.map((id) => [id, wishOf(id, rows, neighbours)]));
  column.sort((a, b) => (wished.get(a) ?? 0) - (wished.get(b) ?? 0) || (a < b ? -1 : 1));
  const placed = apart(column.map((id) => wished.get(id) ?? 0));
  const last = height - 1;
  column.forEach((id, at) => {
    // Those above and below need their room as well.
    const lowest = last - (column.length - 1 - at);
    rows.set(id, Math.round(2 * Math.min(Math.max(placed[at] ?? 0, at), lowest)) / 2);
  });
}

/** The middle of its neighbours in the lane; where it stands, without any. */
function wishOf(id: string, rows: ReadonlyMap<string, number>, { callers, callees }: Neighbours): number {
  const near = [...(callers.get(id) ?? []), ...(callees.get(id) ?? [])].flatMap((other) => rows.get(other) ?? []);
  return near.length === 0 ? (rows.get(id) ?? 0) : near.reduce((sum, row) => sum + row, 0) / near.length;
}

/**
 * The values nearest to `wished` (ascending) in the sense of least squares that are at least one apart: pool adjacent
 * violators, on what is left of each wish when its place in the row is taken off.
 */
export function apart(wished: readonly number[]): number[] {
  const pools: { sum: number; count: number }[] = [];
  wished.forEach((wish, at) => {
    let pool = { sum: wish - at, count: 1 };
    for (let last = pools.at(-1); last !== undefined; last = pools.at(-1)) {
      if (last.sum / last.count <= pool.sum / pool.count) break;
      pools.pop();
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
    }
    pools.push(pool);
  });
  const values: number[] = [];
  for (const { sum, count } of pools) {
    for (let each = 0; each < count; each++) values.push(sum / count + values.length);
  }
  return values;
}
