// Moves and scales the graph with mouse, fingers and keys. Knows nothing of what is drawn.
import { fitted, type Size, showing, zoomed } from '../camera.ts';
import type { Box } from '../geometry.ts';
import type { Camera } from '../hash-state.ts';

const wheelStep = 0.0016;
/** A turn of a mouse's wheel is coarse and goes one way; fingers on a pad are neither. */
const mouseWheelMin = 40;
const restMs = 160;
const dragMin = 4;
const keyZoom = 1.25;
const keyMove = 60;

export interface ViewportOptions {
  readonly stage: HTMLElement;
  /** Called for each change of what is seen; `byHand` when it was not a fit. */
  readonly onMove: (camera: Camera, byHand: boolean) => void;
  /** Called for a press and release in one place that hit nothing of its own. */
  readonly onTap: (at: { x: number; y: number }, event: PointerEvent) => void;
}

/** The camera over a stage, and what moves it. */
export class Viewport {
  readonly #options: ViewportOptions;
  readonly #pointers = new Map<number, { x: number; y: number }>();
  #size: Size = { width: 0, height: 0 };
  #camera: Camera = { x: 0, y: 0, zoom: 1 };
  #content: Box = { x: 0, y: 0, width: 0, height: 0 };
  #isFitting = true;
  #hasDragged = false;
  #restTimer = 0;

  constructor(options: ViewportOptions) {
    this.#options = options;
    const { stage } = options;
    stage.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    stage.addEventListener('pointerdown', (event) => this.#down(event));
    stage.addEventListener('pointermove', (event) => this.#drag(event));
    for (const name of ['pointerup', 'pointercancel'] as const) {
      stage.addEventListener(name, (event) => this.#up(event));
    }
    new ResizeObserver(() => this.#resize()).observe(stage);
    this.#resize();
  }

  get camera(): Camera {
    return this.#camera;
  }

  get size(): Size {
    return this.#size;
  }

  /** True while everything is kept in the window. */
  get isFitting(): boolean {
    return this.#isFitting;
  }

  /** What is there to be seen; keeps fitting where it did. */
  setContent(content: Box): void {
    this.#content = content;
    if (this.#isFitting) this.fit();
  }

  /** Shows everything, and goes on doing so. */
  fit(): void {
    this.#isFitting = true;
    if (this.#size.width > 0) this.#set(fitted(this.#content, this.#size), false);
  }

  /** Looks from there, as a link asks for; null fits. */
  look(camera: Camera | null): void {
    if (camera === null) this.fit();
    else this.#byHand(camera);
  }

  /** Brings a box into the window. */
  reveal(box: Box): void {
    const camera = showing(this.#camera, box, this.#size);
    if (Math.hypot(camera.x - this.#camera.x, camera.y - this.#camera.y) > 1) this.#byHand(camera);
  }

  /** Zooms about the middle. */
  zoomBy(factor: number): void {
    this.#byHand(zoomed(this.#camera, factor, { x: this.#size.width / 2, y: this.#size.height / 2 }, this.#size));
  }

  /** True when the key was one of those that move the window: `+`, `-`, `0`, and arrows. */
  key(key: string): boolean {
    const { x, y, zoom } = this.#camera;
    const step = keyMove / zoom;
    const moves: Readonly<Record<string, () => void>> = {
      '+': () => this.zoomBy(keyZoom),
      '=': () => this.zoomBy(keyZoom),
      '-': () => this.zoomBy(1 / keyZoom),
      '0': () => this.fit(),
      ArrowLeft: () => this.#byHand({ x: x - step, y, zoom }),
      ArrowRight: () => this.#byHand({ x: x + step, y, zoom }),
      ArrowUp: () => this.#byHand({ x, y: y - step, zoom }),
      ArrowDown: () => this.#byHand({ x, y: y + step, zoom }),
    };
    moves[key]?.();
    return key in moves;
  }

  /** A point of the window in the graph's own units. */
  inGraph({ x, y }: { x: number; y: number }): { x: number; y: number } {
    const { zoom } = this.#camera;
    return {
      x: this.#camera.x + (x - this.#size.width / 2) / zoom,
      y: this.#camera.y + (y - this.#size.height / 2) / zoom,
    };
  }

  #byHand(camera: Camera): void {
    this.#isFitting = false;
    this.#set(camera, true);
  }

  #set(camera: Camera, byHand: boolean): void {
    this.#camera = camera;
    this.#options.onMove(camera, byHand);
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#options.stage;
    if (width === this.#size.width && height === this.#size.height) return;
    this.#size = { width, height };
    if (this.#isFitting) this.fit();
    else this.#set(this.#camera, false);
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    this.#move();
    const isMouse = event.deltaMode !== 0 || (event.deltaX === 0 && Math.abs(event.deltaY) >= mouseWheelMin);
    if (!event.ctrlKey && !event.metaKey && !isMouse) {
      const { x, y, zoom } = this.#camera;
      this.#byHand({ x: x + event.deltaX / zoom, y: y + event.deltaY / zoom, zoom });
      return;
    }
    const pinch = event.ctrlKey && !isMouse ? 6 : 1;
    const factor = Math.exp(-event.deltaY * (event.deltaMode === 0 ? wheelStep : wheelStep * 20) * pinch);
    this.#byHand(zoomed(this.#camera, factor, this.#inStage(event), this.#size));
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0 || (event.target as Element).closest('button, .legend, .corner') !== null) return;
    this.#pointers.set(event.pointerId, this.#inStage(event));
    this.#hasDragged = false;
    this.#options.stage.setPointerCapture(event.pointerId);
  }

  #drag(event: PointerEvent): void {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) return;
    const after = this.#inStage(event);
    const [dx, dy] = [after.x - before.x, after.y - before.y];
    if (!this.#hasDragged && Math.hypot(dx, dy) < dragMin) return;
    this.#hasDragged = true;
    this.#move();
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, after);
    const { x, y, zoom } = this.#camera;
    if (other === undefined) {
      this.#byHand({ x: x - dx / zoom, y: y - dy / zoom, zoom });
      return;
    }
    const spread = (point: { x: number; y: number }): number => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    const middle = { x: (after.x + other.x) / 2, y: (after.y + other.y) / 2 };
    const moved = { x: x - dx / 2 / zoom, y: y - dy / 2 / zoom, zoom };
    this.#byHand(zoomed(moved, spread(after) / spread(before), middle, this.#size));
  }

  #up(event: PointerEvent): void {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (!this.#hasDragged && event.type === 'pointerup') this.#options.onTap(this.#inStage(event), event);
  }

  /** Says that the layer moves, so that it is only moved, and drawn sharp again when it rests. */
  #move(): void {
    const { stage } = this.#options;
    stage.dataset['moving'] = '';
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      delete stage.dataset['moving'];
    }, restMs);
  }

  #inStage(event: MouseEvent): { x: number; y: number } {
    const { left, top } = this.#options.stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }
}
