// The lines of edges, and what flows along them, on two canvases under the nodes: one is painted when something
// changed, the other in every frame in which something flows.
import { type Curve, pointAt } from '../geometry.ts';
import type { Camera } from '../hash-state.ts';
import type { State } from '../trouble.ts';
import { colourOf, onColours } from './theme.ts';

export interface Line {
  readonly id: string;
  readonly curve: Curve;
  readonly state: State;
  readonly transport: 'mtls' | 'same-node' | 'plaintext' | 'mixed';
  readonly isRefused: boolean;
  /** Of 1: the edge with the most has 1; 0 for nothing. */
  readonly flow: number;
  readonly isFaded: boolean;
}

/** Ids of edges that stand out while something is looked at; null for none. */
export type Focus = ReadonlySet<string> | null;

const pixelRatioMax = 2;
const samples = 32;
/** Of what flows: speed in the graph's units, and how many drops a second the liveliest edge sends off. */
const dropSpeed = 110;
const dropsPerS = 3.2;
const dropsPerSMin = 0.22;
const dropsMax = 900;
const arrow = 7;
/** Drops that would be less than a pixel are not drawn. */
const dropsZoomMin = 0.12;
/** Nobody sees the corners of smaller ones, and they are quicker. */
const roundZoomMin = 0.5;
/** Longer pauses between frames were not watched. */
const frameMsMax = 100;

interface Flowing {
  readonly line: Line;
  /** Points along the curve, equally far apart: x, y, x, y. */
  readonly points: Float32Array;
  readonly length: number;
  /** Distance at which a drop follows another. */
  spacing: number;
  /** How far along each drop is, the newest last: what flows goes on evenly, whatever the rate is by now. */
  readonly drops: number[];
}

type Colours = Readonly<Record<'edge' | 'warn' | 'bad' | 'dot' | 'accent' | 'ground', string>>;

/** Paints lines; `setMoving(false)` ends all motion. */
export class EdgeCanvas {
  readonly elements: readonly [HTMLCanvasElement, HTMLCanvasElement];
  readonly #still: CanvasRenderingContext2D;
  readonly #flow: CanvasRenderingContext2D;
  #colours: Colours;
  #lines: readonly Line[] = [];
  #flowing: Flowing[] = [];
  #focus: Focus = null;
  #camera: Camera = { x: 0, y: 0, zoom: 1 };
  #size = { width: 0, height: 0 };
  #isMoving = true;
  #isDue = false;
  #frame = 0;
  #lastMs = 0;

  constructor() {
    this.elements = [document.createElement('canvas'), document.createElement('canvas')];
    for (const canvas of this.elements) canvas.setAttribute('aria-hidden', 'true');
    this.#still = this.elements[0].getContext('2d') as CanvasRenderingContext2D;
    this.#flow = this.elements[1].getContext('2d') as CanvasRenderingContext2D;
    this.#colours = readColours();
    onColours(() => {
      this.#colours = readColours();
      this.#paintSoon();
    });
    document.addEventListener('visibilitychange', () => this.#run());
  }

  /** What is to be drawn. Drops go on from where they were. */
  setLines(lines: readonly Line[]): void {
    const before = new Map(this.#flowing.map((one) => [one.line.id, one]));
    this.#lines = lines;
    this.#flowing = lines.filter(({ flow }) => flow > 0).map((line) => flowingOf(line, before.get(line.id)));
    const drops = this.#flowing.reduce((sum, { length, spacing }) => sum + length / spacing, 0);
    // Fewer on every edge, rather than none on some.
    if (drops > dropsMax) for (const one of this.#flowing) one.spacing *= drops / dropsMax;
    for (const one of this.#flowing) if (!before.has(one.line.id)) fill(one);
    this.#paintSoon();
  }

  setFocus(focus: Focus): void {
    if (focus === this.#focus) return;
    this.#focus = focus;
    this.#paintSoon();
  }

  setCamera(camera: Camera, size: { readonly width: number; readonly height: number }): void {
    this.#camera = camera;
    if (size.width !== this.#size.width || size.height !== this.#size.height) {
      this.#size = { width: size.width, height: size.height };
      const ratio = pixelRatio();
      for (const canvas of this.elements) {
        canvas.width = Math.round(size.width * ratio);
        canvas.height = Math.round(size.height * ratio);
        canvas.style.width = `${size.width}px`;
        canvas.style.height = `${size.height}px`;
      }
    }
    this.#paintSoon();
  }

  setMoving(isMoving: boolean): void {
    if (isMoving === this.#isMoving) return;
    this.#isMoving = isMoving;
    this.#paintSoon();
  }

  #paintSoon(): void {
    this.#isDue = true;
    this.#run();
  }

  #run(): void {
    if (this.#frame === 0 && !document.hidden) this.#frame = requestAnimationFrame((nowMs) => this.#paint(nowMs));
  }

  #paint(nowMs: number): void {
    this.#frame = 0;
    const passedMs = this.#lastMs === 0 ? 0 : Math.min(frameMsMax, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    if (this.#isDue) this.#paintLines();
    const flows = this.#isMoving && this.#camera.zoom >= dropsZoomMin && this.#flowing.length > 0;
    if (flows) this.#paintDrops(passedMs);
    else if (this.#isDue) clear(this.#flow);
    this.#isDue = false;
    if (flows) this.#run();
    else this.#lastMs = 0;
  }

  #paintLines(): void {
    const context = this.#still;
    clear(context);
    this.#place(context);
    context.lineCap = 'butt';
    for (const line of this.#lines) {
      const isNear = this.#focus === null || this.#focus.has(line.id);
      if (!this.#isSeen(line.curve)) continue;
      context.globalAlpha = (isNear ? 0.8 : 0.13) * (line.isFaded ? 0.5 : 1);
      const colour = this.#colourOf(line, isNear && this.#focus !== null);
      context.strokeStyle = colour;
      context.fillStyle = colour;
      // A line may be thin, but never so thin that it is not seen from afar.
      context.lineWidth = Math.max(1.2 + 1.3 * Math.sqrt(line.flow), 0.9 / this.#camera.zoom);
      context.setLineDash(dashOf(line));
      strokeCurve(context, line.curve);
      context.setLineDash([]);
      if (line.isRefused) drawBar(context, line.curve);
      drawArrow(context, line.curve);
    }
    context.globalAlpha = 1;
  }

  #paintDrops(passedMs: number): void {
    const context = this.#flow;
    clear(context);
    this.#place(context);
    const size = Math.max(4.8, 2.2 / this.#camera.zoom);
    const areRound = this.#camera.zoom > roundZoomMin;
    const paths = { ok: new Path2D(), warning: new Path2D(), error: new Path2D() };
    for (const one of this.#flowing) {
      const { line, points, length, drops } = one;
      // What is refused does not arrive.
      advance(one, (passedMs / 1000) * dropSpeed, line.isRefused ? length * 0.86 : length);
      if ((this.#focus !== null && !this.#focus.has(line.id)) || !this.#isSeen(line.curve)) continue;
      const path = paths[line.state];
      for (const at of drops) {
        const index = (at / length) * samples;
        const whole = Math.min(samples - 1, Math.floor(index));
        const rest = index - whole;
        const base = whole * 2;
        const x = points[base]! + (points[base + 2]! - points[base]!) * rest;
        const y = points[base + 1]! + (points[base + 3]! - points[base + 1]!) * rest;
        // A line of no length with round ends is a dot.
        if (areRound) path.moveTo(x, y);
        if (areRound) path.lineTo(x + 0.01, y);
        else path.rect(x - size / 2, y - size / 2, size, size);
      }
    }
    context.lineWidth = size;
    context.lineCap = 'round';
    for (const state of ['ok', 'warning', 'error'] as const) {
      const colour = { ok: this.#colours.dot, warning: this.#colours.warn, error: this.#colours.bad }[state];
      context.strokeStyle = colour;
      context.fillStyle = colour;
      if (areRound) context.stroke(paths[state]);
      else context.fill(paths[state]);
    }
  }

  #colourOf({ state }: Line, stands: boolean): string {
    if (state === 'error') return this.#colours.bad;
    if (state === 'warning') return this.#colours.warn;
    return stands ? this.#colours.accent : this.#colours.edge;
  }

  #place(context: CanvasRenderingContext2D): void {
    const { x, y, zoom } = this.#camera;
    const scale = zoom * pixelRatio();
    const { width, height } = context.canvas;
    context.setTransform(scale, 0, 0, scale, width / 2 - x * scale, height / 2 - y * scale);
  }

  #isSeen({ x0, x1, x2, x3, y0, y3 }: Curve): boolean {
    const { x, y, zoom } = this.#camera;
    const [halfWidth, halfHeight] = [this.#size.width / 2 / zoom, this.#size.height / 2 / zoom];
    if (Math.max(x0, x1, x2, x3) < x - halfWidth || Math.min(x0, x1, x2, x3) > x + halfWidth) return false;
    return Math.max(y0, y3) > y - halfHeight - 10 && Math.min(y0, y3) < y + halfHeight + 10;
  }
}

function flowingOf(line: Line, before: Flowing | undefined): Flowing {
  const spacing = dropSpeed / Math.max(dropsPerSMin, dropsPerS * line.flow);
  const isSame = before !== undefined && isSameCurve(before.line.curve, line.curve);
  const { points, length } = isSame ? before : evenPoints(line.curve);
  return { line, points, length, spacing, drops: isSame ? before.drops : [] };
}

/** A new edge begins as if it had flowed for long. */
function fill({ line, length, spacing, drops }: Flowing): void {
  for (let at = length - ((hashOf(line.id) % 1000) / 1000) * spacing; at > 0; at -= spacing) drops.push(at);
}

function advance({ drops, spacing }: Flowing, by: number, end: number): void {
  for (let at = 0; at < drops.length; at++) drops[at]! += by;
  while (drops.length > 0 && drops[0]! >= end) drops.shift();
  if (drops.length === 0 || drops.at(-1)! >= spacing) drops.push(0);
}

/** So that not all edges send off their drops together. */
function hashOf(text: string): number {
  let hash = 7;
  for (let at = 0; at < text.length; at++) hash = (hash * 31 + text.charCodeAt(at)) % 1_000_003;
  return hash;
}

function isSameCurve(a: Curve, b: Curve): boolean {
  return a.x0 === b.x0 && a.y0 === b.y0 && a.x3 === b.x3 && a.y3 === b.y3 && a.x1 === b.x1;
}

function evenPoints(curve: Curve): { points: Float32Array; length: number } {
  const fine = Array.from({ length: samples * 3 + 1 }, (_, at) => pointAt(curve, at / (samples * 3)));
  const distances = [0];
  for (let at = 1; at < fine.length; at++) {
    const [a, b] = [fine[at - 1]!, fine[at]!];
    distances.push(distances[at - 1]! + Math.hypot(b.x - a.x, b.y - a.y));
  }
  const length = distances.at(-1) ?? 0;
  const points = new Float32Array((samples + 1) * 2);
  let near = 0;
  for (let at = 0; at <= samples; at++) {
    const wished = (length * at) / samples;
    while (near < fine.length - 2 && distances[near + 1]! < wished) near++;
    const span = distances[near + 1]! - distances[near]! || 1;
    const rest = Math.min(1, (wished - distances[near]!) / span);
    points[at * 2] = fine[near]!.x + (fine[near + 1]!.x - fine[near]!.x) * rest;
    points[at * 2 + 1] = fine[near]!.y + (fine[near + 1]!.y - fine[near]!.y) * rest;
  }
  return { points, length };
}

function dashOf({ transport, isRefused }: Line): number[] {
  if (isRefused) return [];
  if (transport === 'plaintext') return [4, 5];
  return transport === 'mixed' ? [12, 4, 3, 4] : [];
}

function strokeCurve(context: CanvasRenderingContext2D, curve: Curve): void {
  context.beginPath();
  context.moveTo(curve.x0, curve.y0);
  context.bezierCurveTo(curve.x1, curve.y1, curve.x2, curve.y2, curve.x3, curve.y3);
  context.stroke();
}

function drawArrow(context: CanvasRenderingContext2D, { x2, x3, y3 }: Curve): void {
  const back = x3 > x2 ? -arrow : arrow;
  context.beginPath();
  context.moveTo(x3, y3);
  context.lineTo(x3 + back, y3 - arrow * 0.55);
  context.lineTo(x3 + back, y3 + arrow * 0.55);
  context.fill();
}

/** A bar across the line where it ends: nothing gets through. */
function drawBar(context: CanvasRenderingContext2D, { x2, x3, y3 }: Curve): void {
  const x = x3 + (x3 > x2 ? -13 : 13);
  context.fillRect(x - 1.75, y3 - 9, 3.5, 18);
}

function clear(context: CanvasRenderingContext2D): void {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
}

function pixelRatio(): number {
  return Math.min(pixelRatioMax, devicePixelRatio || 1);
}

function readColours(): Colours {
  return {
    edge: colourOf('--edge'),
    warn: colourOf('--warn'),
    bad: colourOf('--bad'),
    dot: colourOf('--dot'),
    accent: colourOf('--accent'),
    ground: colourOf('--ground'),
  };
}
