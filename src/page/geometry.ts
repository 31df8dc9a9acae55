// From rows and columns to pixels, and the curves of edges between what stands there. The graph's own units are
// pixels at zoom 1.
import type { Layout, LayoutEdge } from './layout-types.ts';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface LaneBox extends Box {
  readonly name: string;
}

/** A cubic Bézier curve: from (x0, y0) to (x3, y3). */
export interface Curve {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  readonly x3: number;
  readonly y3: number;
}

export interface GraphBoxes {
  readonly nodes: ReadonlyMap<string, Box>;
  readonly lanes: readonly LaneBox[];
  readonly width: number;
  readonly height: number;
}

export const nodeWidth = 188;
export const nodeHeight = 68;
export const columnPitch = 380;
export const rowPitch = 96;
const laneHead = 40;
const laneFoot = 18;
const laneGap = 14;
const laneInset = 26;
/** How far an edge goes straight on where it leaves and arrives, at least. */
const handleMin = 56;
const handleShare = 0.42;
/** The bulge of an edge between two of one column. */
const sideBulge = 78;

/** Where everything of a layout is drawn. */
export function boxesOf(layout: Layout): GraphBoxes {
  const lanes: LaneBox[] = [];
  const tops = new Map<string, number>();
  const width = 2 * laneInset + Math.max(1, layout.columns) * columnPitch - (columnPitch - nodeWidth);
  let top = 0;
  for (const { name, rows } of layout.lanes) {
    const height = laneHead + (rows - 1) * rowPitch + nodeHeight + laneFoot;
    lanes.push({ name, x: 0, y: top, width, height });
    tops.set(name, top + laneHead);
    top += height + laneGap;
  }
  const nodes = new Map<string, Box>();
  for (const [id, { lane, column, row }] of layout.places) {
    const x = laneInset + column * columnPitch;
    const y = (tops.get(lane) ?? 0) + row * rowPitch;
    nodes.set(id, { x, y, width: nodeWidth, height: nodeHeight });
  }
  return { nodes, lanes, width, height: Math.max(0, top - laneGap) };
}

type Side = 'left' | 'right';
interface Ends {
  readonly fromSide: Side;
  readonly toSide: Side;
}

/**
 * A curve for each edge whose ends are both there, by the edge's id. Edges at one side of a node are spread over it, in
 * the order of where they lead.
 */
export function curvesOf(
  nodes: ReadonlyMap<string, Box>,
  edges: readonly (LayoutEdge & { readonly id: string })[],
): Map<string, Curve> {
  const known = edges.filter(({ from, to }) => from !== to && nodes.has(from) && nodes.has(to));
  const ports = new Map<string, { readonly key: string; readonly y: number }[]>();
  const sides = new Map<string, Ends>();
  const addPort = (node: string, side: Side, key: string, y: number): void => {
    const name = `${side} ${node}`;
    ports.set(name, [...(ports.get(name) ?? []), { key, y }]);
  };
  for (const { id, from, to } of known) {
    const [a, b] = [nodes.get(from) as Box, nodes.get(to) as Box];
    const ends = endsOf(a, b);
    sides.set(id, ends);
    addPort(from, ends.fromSide, `${id} from`, b.y);
    addPort(to, ends.toSide, `${id} to`, a.y);
  }
  const shares = new Map<string, number>();
  for (const list of ports.values()) {
    list.sort((a, b) => a.y - b.y || (a.key < b.key ? -1 : 1));
    list.forEach(({ key }, at) => {
      shares.set(key, (at + 1) / (list.length + 1));
    });
  }
  return new Map(
    known.map(({ id, from, to }) => {
      const ends = sides.get(id) as Ends;
      const fromShare = shares.get(`${id} from`) ?? 0.5;
      const toShare = shares.get(`${id} to`) ?? 0.5;
      return [id, curveBetween(nodes.get(from) as Box, nodes.get(to) as Box, ends, fromShare, toShare)];
    }),
  );
}

function endsOf(from: Box, to: Box): Ends {
  if (to.x > from.x) return { fromSide: 'right', toSide: 'left' };
  if (to.x < from.x) return { fromSide: 'left', toSide: 'right' };
  return { fromSide: 'right', toSide: 'right' };
}

function curveBetween(from: Box, to: Box, ends: Ends, fromShare: number, toShare: number): Curve {
  const out = ends.fromSide === 'right' ? 1 : -1;
  const into = ends.toSide === 'right' ? 1 : -1;
  const x0 = out > 0 ? from.x + from.width : from.x;
  const x3 = into > 0 ? to.x + to.width : to.x;
  const y0 = from.y + from.height * fromShare;
  const y3 = to.y + to.height * toShare;
  const handle = out === into ? sideBulge : Math.max(handleMin, Math.abs(x3 - x0) * handleShare);
  return { x0, y0, x1: x0 + out * handle, y1: y0, x2: x3 + into * handle, y2: y3, x3, y3 };
}

/** The point at `t` of a curve, 0 to 1. */
export function pointAt(curve: Curve, t: number): { readonly x: number; readonly y: number } {
  const u = 1 - t;
  const [a, b, c, d] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return {
    x: a * curve.x0 + b * curve.x1 + c * curve.x2 + d * curve.x3,
    y: a * curve.y0 + b * curve.y1 + c * curve.y2 + d * curve.y3,
  };
}

const distanceSamples = 24;

/** How far a point is from a curve, nearly. */
export function distanceTo(curve: Curve, x: number, y: number): number {
  let least = Number.POSITIVE_INFINITY;
  let before = pointAt(curve, 0);
  for (let at = 1; at <= distanceSamples; at++) {
    const after = pointAt(curve, at / distanceSamples);
    least = Math.min(least, distanceToLine(before, after, x, y));
    before = after;
  }
  return least;
}

function distanceToLine(a: { x: number; y: number }, b: { x: number; y: number }, x: number, y: number): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const share = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / length));
  return Math.hypot(a.x + share * dx - x, a.y + share * dy - y);
}

/** True when two boxes share some area. */
export function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

export interface LabelWish {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

const labelPlaces = [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7, 0.25, 0.75, 0.2, 0.8, 0.15, 0.85];

/**
 * Where the labels of edges stand, by id: on their curve, the middle first, where nothing else is. Whoever comes first
 * in `wishes` chooses first; one that finds no place has none.
 */
export function labelBoxes(
  wishes: readonly LabelWish[],
  curves: ReadonlyMap<string, Curve>,
  obstacles: Iterable<Box>,
): Map<string, Box> {
  const grid = new BoxGrid();
  for (const box of obstacles) grid.add(box);
  const placed = new Map<string, Box>();
  for (const { id, width, height } of wishes) {
    const curve = curves.get(id);
    if (curve === undefined) continue;
    for (const t of labelPlaces) {
      const { x, y } = pointAt(curve, t);
      const box = { x: x - width / 2, y: y - height / 2, width, height };
      if (grid.isTaken(box)) continue;
      grid.add(box);
      placed.set(id, box);
      break;
    }
  }
  return placed;
}

const cellSize = 240;

/** Boxes by the squares of a grid that they lie in. */
class BoxGrid {
  readonly #cells = new Map<string, Box[]>();

  add(box: Box): void {
    for (const cell of this.#cellsOf(box)) {
      const list = this.#cells.get(cell);
      if (list === undefined) this.#cells.set(cell, [box]);
      else list.push(box);
    }
  }

  isTaken(box: Box): boolean {
    return this.#cellsOf(box).some((cell) => this.#cells.get(cell)?.some((other) => overlap(box, other)) ?? false);
  }

  #cellsOf({ x, y, width, height }: Box): string[] {
    const cells: string[] = [];
    for (let column = Math.floor(x / cellSize); column <= Math.floor((x + width) / cellSize); column++) {
      for (let row = Math.floor(y / cellSize); row <= Math.floor((y + height) / cellSize); row++) {
        cells.push(`${column} ${row}`);
      }
    }
    return cells;
  }
}
