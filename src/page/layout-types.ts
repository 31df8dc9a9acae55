// What the layout of the graph takes and gives: nodes in lanes, columns, and rows. No pixels; `geometry.ts` has those.

export interface LayoutNode {
  readonly id: string;
  /** The namespace. */
  readonly lane: string;
}

export interface LayoutEdge {
  readonly from: string;
  readonly to: string;
}

/** Where a node stands. Rows count from the top of its lane, in halves; two of a column are at least one apart. */
export interface Place {
  readonly lane: string;
  readonly column: number;
  readonly row: number;
}

export interface Lane {
  readonly name: string;
  /** How many rows it is high; it never gets lower while it is there, so that what stands below does not jump. */
  readonly rows: number;
}

export interface Layout {
  readonly places: ReadonlyMap<string, Place>;
  /** From top to bottom. */
  readonly lanes: readonly Lane[];
  readonly columns: number;
}
