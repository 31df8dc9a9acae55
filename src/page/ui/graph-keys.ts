// The graph by keyboard: one tab stop for services and one for edges, arrows between neighbours, and what the window
// itself understands.
import type { GraphEdge } from '../../model/page-views.ts';
import type { Box } from '../geometry.ts';

export interface KeyTarget {
  readonly boxes: () => ReadonlyMap<string, Box>;
  readonly edges: () => readonly GraphEdge[];
  readonly reveal: (box: Box) => void;
  /** True when the window took the key. */
  readonly move: (key: string) => boolean;
}

type Kind = 'node' | 'edge';
const arrows = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'] as const;
type Arrow = (typeof arrows)[number];

/** Listens on the stage. */
export class GraphKeys {
  readonly #stage: HTMLElement;
  readonly #target: KeyTarget;
  readonly #stops: Record<Kind, string> = { node: '', edge: '' };

  constructor(stage: HTMLElement, target: KeyTarget) {
    this.#stage = stage;
    this.#target = target;
    stage.addEventListener('keydown', (event) => {
      if (!event.altKey && !event.ctrlKey && !event.metaKey && this.#press(event)) event.preventDefault();
    });
    stage.addEventListener('focusin', (event) => {
      const { node, edge } = (event.target as HTMLElement).dataset;
      if (node !== undefined) this.#stops.node = node;
      if (edge !== undefined) this.#stops.edge = edge;
      this.keepTabStops();
      const box = node === undefined ? undefined : this.#target.boxes().get(node);
      if (box !== undefined && (event.target as Element).matches(':focus-visible')) this.#target.reveal(box);
    });
  }

  /** Lets Tab reach one service and one edge: those that had the focus last, else the first. */
  keepTabStops(): void {
    for (const kind of ['node', 'edge'] as const) {
      const elements = [...this.#stage.querySelectorAll<HTMLElement>(`[data-${kind}]:not([data-unplaced])`)];
      const stop = elements.find((element) => element.dataset[kind] === this.#stops[kind]) ?? elements[0];
      for (const element of elements) {
        const index = element === stop ? 0 : -1;
        if (element.tabIndex !== index) element.tabIndex = index;
      }
    }
  }

  /** Puts the focus on one; false where it is not shown. */
  focus(kind: Kind, id: string): boolean {
    const element = this.#stage.querySelector<HTMLElement>(`[data-${kind}="${CSS.escape(id)}"]`);
    element?.focus({ preventScroll: true });
    return element !== null && document.activeElement === element;
  }

  #press(event: KeyboardEvent): boolean {
    const { node, edge } = (event.target as HTMLElement).dataset;
    const arrow = arrows.find((key) => key === event.key);
    if (arrow !== undefined && node !== undefined) {
      return event.shiftKey ? this.#toEdge(node, arrow) : this.#toNode(node, arrow);
    }
    if (arrow !== undefined && edge !== undefined) return this.#fromEdge(edge, arrow);
    return event.target === this.#stage || arrow === undefined ? this.#target.move(event.key) : false;
  }

  #toNode(id: string, arrow: Arrow): boolean {
    const boxes = this.#target.boxes();
    const here = boxes.get(id);
    if (here === undefined) return false;
    const ids = arrow === 'ArrowLeft' || arrow === 'ArrowRight' ? this.#neighbours(id, arrow) : [...boxes.keys()];
    const direction = arrow === 'ArrowUp' ? -1 : 1;
    let [best, least] = ['', Number.POSITIVE_INFINITY];
    for (const other of ids) {
      const box = boxes.get(other);
      if (box === undefined || other === id) continue;
      const [dx, dy] = [Math.abs(box.x - here.x), box.y - here.y];
      const isVertical = arrow === 'ArrowUp' || arrow === 'ArrowDown';
      if (isVertical && dy * direction <= 0) continue;
      const distance = isVertical ? Math.abs(dy) + 3 * dx : Math.abs(dy);
      if (distance < least) [best, least] = [other, distance];
    }
    return best !== '' && this.focus('node', best);
  }

  #neighbours(id: string, arrow: Arrow): string[] {
    const edges = this.#target.edges();
    return arrow === 'ArrowRight'
      ? edges.filter(({ from }) => from === id).map(({ to }) => to)
      : edges.filter(({ to }) => to === id).map(({ from }) => from);
  }

  #toEdge(id: string, arrow: Arrow): boolean {
    const edges = this.#target.edges();
    const found = edges.filter(({ from, to }) => (arrow === 'ArrowLeft' ? to === id : from === id));
    return found.some((edge) => this.focus('edge', edge.id));
  }

  #fromEdge(id: string, arrow: Arrow): boolean {
    const edges = this.#target.edges();
    const at = edges.findIndex((edge) => edge.id === id);
    const edge = edges[at];
    if (edge === undefined) return false;
    if (arrow === 'ArrowLeft') return this.focus('node', edge.from);
    if (arrow === 'ArrowRight') return this.focus('node', edge.to);
    const step = arrow === 'ArrowUp' ? -1 : 1;
    for (let other = at + step; edges[other] !== undefined; other += step) {
      if (this.focus('edge', edges[other]?.id ?? '')) return true;
    }
    return false;
  }
}
