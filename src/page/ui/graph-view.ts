// The graph: lanes, nodes and labels as elements in one layer, lines on canvases. Lays out when who talks to whom has
// changed, writes when numbers have, and is moved as a whole otherwise.
import type { GraphEdge } from '../../model/page-views.ts';
import { around } from '../camera.ts';
import { type Box, boxesOf, type Curve, curvesOf, distanceTo, type GraphBoxes, labelBoxes } from '../geometry.ts';
import type { Camera, Selection } from '../hash-state.ts';
import { layOut } from '../layout.ts';
import type { Layout } from '../layout-types.ts';
import { edgeTrouble, livelinessOf, stateOfEdge } from '../trouble.ts';
import type { Visible } from '../visible.ts';
import type { App, Model } from './app.ts';
import { make, Rows, setAttribute } from './dom.ts';
import { EdgeCanvas } from './edge-canvas.ts';
import { edgeLabel, labelSize, type ShownEdge, troubledLabelSize } from './edge-label.ts';
import { corner, EmptyNote, laneRow, legend, type ShownLane } from './graph-furniture.ts';
import { GraphKeys } from './graph-keys.ts';
import { nodeCard, type ShownNode } from './node-card.ts';
import { Viewport } from './viewport.ts';

/** Below that nodes show their names alone, larger. */
const farZoom = 0.55;
const farthestZoom = 0.3;
const tapDistance = 9;
const cameraToHashMs = 250;
/** Filters whose places are remembered. */
const layoutsMax = 8;

/** The graph and all that is done with it. */
export class GraphView {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #layer = make('div', { class: 'layer' });
  readonly #canvas = new EdgeCanvas();
  readonly #viewport: Viewport;
  readonly #keys: GraphKeys;
  readonly #empty: EmptyNote;
  readonly #lanes: Rows<ShownLane>;
  readonly #nodes: Rows<ShownNode>;
  readonly #labels: Rows<ShownEdge>;
  readonly #layouts = new Map<string, Layout>();
  readonly #calm = matchMedia('(prefers-reduced-motion: reduce)');
  #visible: Visible | null = null;
  #topology = '';
  #boxes: GraphBoxes = { nodes: new Map(), lanes: [], width: 0, height: 0 };
  #curves = new Map<string, Curve>();
  #labelTopology = '';
  #hovered: Selection | null = null;
  #focusKey = '';
  #cameraTimer = 0;
  #wasShown = false;

  constructor(app: App) {
    this.#app = app;
    const label = 'Service graph. Tab reaches services and edges, arrows go between neighbours, Enter opens.';
    const [lanes, nodes, edges] = [make('div'), make('div'), make('div')];
    setAttribute(nodes, 'role', 'group');
    setAttribute(nodes, 'aria-label', 'Services');
    setAttribute(edges, 'role', 'group');
    setAttribute(edges, 'aria-label', 'Edges');
    this.#layer.append(edges, nodes);
    const laneLayer = make('div', { class: 'layer' }, lanes);
    this.#empty = new EmptyNote(app);
    this.element = make(
      'div',
      { class: 'stage', attributes: { tabindex: '0', role: 'region', 'aria-label': label } },
      laneLayer,
      ...this.#canvas.elements,
      this.#layer,
      this.#empty.element,
      legend(),
      corner({
        zoomBy: (factor) => this.#viewport.zoomBy(factor),
        fit: () => this.#fit(),
        tidy: () => this.#tidy(),
      }),
    );
    this.#lanes = new Rows(
      lanes,
      ({ box }) => box.name,
      (lane) => laneRow(lane, (name) => this.#toggleLane(name)),
    );
    this.#nodes = new Rows(nodes, ({ node }) => node.id, nodeCard);
    this.#labels = new Rows(edges, ({ edge }) => edge.id, edgeLabel);
    this.#viewport = new Viewport({
      stage: this.element,
      onMove: (camera, byHand) => {
        this.#showCamera(camera, laneLayer);
        if (byHand) this.#keepCamera();
      },
      onTap: (at) => this.#tap(at),
    });
    this.#keys = new GraphKeys(this.element, {
      boxes: () => this.#boxes.nodes,
      edges: () => this.#visible?.edges ?? [],
      reveal: (box) => this.#viewport.reveal(box),
      move: (key) => this.#viewport.key(key),
    });
    this.#listen();
    this.#calm.addEventListener('change', () => this.#showMotion(app.model));
    if (app.state.camera !== null) this.#viewport.look(app.state.camera);
    addEventListener('hashchange', () => this.#viewport.look(app.state.camera));
  }

  /** Shows what is visible of the graph. */
  show(model: Model, visible: Visible): void {
    const isSame = visible === this.#visible && this.#wasShown;
    this.#visible = visible;
    this.#wasShown = true;
    if (!isSame) this.#place(visible);
    this.#showItems(model, visible);
    if (!isSame) this.#showLines(visible);
    this.#placeLabels(visible, model.state.selection);
    this.#showFocus();
    this.#showMotion(model);
    this.#empty.show(visible.nodes.length, model.graph?.nodes.length ?? 0);
    this.#keys.keepTabStops();
  }

  /** Puts the focus on a node or an edge. */
  focus(selection: Selection): void {
    this.#keys.focus(selection.kind === 'edge' ? 'edge' : 'node', selection.id);
  }

  #place({ nodes, edges, filter }: Visible): void {
    const topology = JSON.stringify([filter, nodes.map(({ id }) => id), edges.map(({ id }) => id)]);
    if (topology === this.#topology) return;
    this.#topology = topology;
    const layout = layOut(
      nodes.map(({ id, namespace }) => ({ id, lane: namespace })),
      edges,
      this.#layouts.get(filter) ?? null,
    );
    this.#layouts.delete(filter);
    this.#layouts.set(filter, layout);
    if (this.#layouts.size > layoutsMax) this.#layouts.delete([...this.#layouts.keys()][1] ?? '');
    this.#boxes = boxesOf(layout);
    this.#curves = curvesOf(this.#boxes.nodes, edges);
    this.#labelTopology = '';
    this.#viewport.setContent(around(this.#boxes.lanes));
  }

  #showItems({ state }: Model, { nodes, edges, faded }: Visible): void {
    const open = (kind: Selection['kind'], id: string): boolean =>
      state.selection?.kind === kind && state.selection.id === id;
    const counts = new Map<string, number>();
    for (const { namespace } of nodes) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
    this.#lanes.show(this.#boxes.lanes.map((box) => ({ box, services: counts.get(box.name) ?? 0 })));
    this.#nodes.show(nodes.map((node) => ({ node, isFaded: faded.has(node.id), isOpen: open('node', node.id) })));
    this.#labels.show(edges.map((edge) => ({ edge, isFaded: false, isOpen: open('edge', edge.id) })));
    for (const [id, box] of this.#boxes.nodes) stand(this.#nodes.get(id), box);
  }

  #showLines({ edges }: Visible): void {
    const most = Math.max(1e-9, ...edges.map(livelinessOf));
    this.#canvas.setLines(
      edges.flatMap((edge) => {
        const curve = this.#curves.get(edge.id);
        if (curve === undefined) return [];
        const { id, transport } = edge;
        const isRefused = edge.refusedPerS > 0 && edge.success === 0;
        const flow = Math.min(1, Math.max(livelinessOf(edge), edge.refusedPerS) / most);
        return [{ id, curve, state: stateOfEdge(edge), transport, isRefused, flow, isFaded: false }];
      }),
    );
  }

  /** Trouble chooses its place first, then short edges; of the same graph always alike, so that labels stay. */
  #placeLabels({ edges }: Visible, selection: Selection | null): void {
    const isTroubled = (edge: GraphEdge): boolean => edgeTrouble(edge) !== '';
    const spanOf = ({ id }: GraphEdge): number => {
      const curve = this.#curves.get(id);
      return curve === undefined ? 0 : Math.abs(curve.x3 - curve.x0) + Math.abs(curve.y3 - curve.y0);
    };
    const order = edges.toSorted(
      (a, b) =>
        Number(isTroubled(b)) - Number(isTroubled(a)) || Math.sign(spanOf(a) - spanOf(b)) || (a.id < b.id ? -1 : 1),
    );
    const chosen = selection?.kind === 'edge' ? selection.id : '';
    const topology = `${chosen} ${order.map((edge) => `${edge.id}${isTroubled(edge) ? '!' : ''}`).join(' ')}`;
    if (topology === this.#labelTopology) return;
    this.#labelTopology = topology;
    const wishes = order.map((edge) => ({ id: edge.id, ...(isTroubled(edge) ? troubledLabelSize : labelSize) }));
    const boxes = labelBoxes(wishes, this.#curves, this.#boxes.nodes.values());
    for (const wish of wishes) {
      const label = this.#labels.get(wish.id);
      const curve = this.#curves.get(wish.id);
      if (label === undefined) continue;
      const forced = wish.id === chosen && curve !== undefined ? middleOf(curve, wish) : undefined;
      const box = boxes.get(wish.id) ?? forced;
      setAttribute(label, 'data-unplaced', box === undefined ? '' : null);
      if (box !== undefined) standAbout(label, box);
    }
  }

  #showMotion({ pausedMs, link }: Model): void {
    this.#canvas.setMoving(!this.#calm.matches && pausedMs === null && link.state === 'live');
  }

  #showCamera(camera: Camera, laneLayer: HTMLElement): void {
    const { width, height } = this.#viewport.size;
    const { x, y, zoom } = camera;
    const transform = `translate(${width / 2 - x * zoom}px, ${height / 2 - y * zoom}px) scale(${zoom})`;
    for (const layer of [this.#layer, laneLayer]) {
      layer.style.transform = transform;
      setAttribute(layer, 'data-far', zoom < farthestZoom ? '2' : zoom < farZoom ? '1' : null);
    }
    this.#canvas.setCamera(camera, this.#viewport.size);
  }

  #keepCamera(): void {
    clearTimeout(this.#cameraTimer);
    this.#cameraTimer = setTimeout(() => this.#app.look({ camera: this.#viewport.camera }), cameraToHashMs);
  }

  #fit(): void {
    clearTimeout(this.#cameraTimer);
    this.#viewport.fit();
    this.#app.look({ camera: null });
  }

  /** Forgets where everything stood. */
  #tidy(): void {
    this.#layouts.clear();
    this.#topology = '';
    const visible = this.#visible;
    if (visible !== null) {
      this.#wasShown = false;
      this.show(this.#app.model, visible);
    }
    this.#fit();
  }

  #toggleLane(name: string): void {
    this.#app.look({ namespace: this.#app.state.namespace === name ? '' : name, camera: null });
  }

  #listen(): void {
    const targetOf = (event: Event): Selection | null => {
      const element = (event.target as Element).closest<HTMLElement>('[data-node], [data-edge]');
      const { node, edge } = element?.dataset ?? {};
      if (node !== undefined) return { kind: 'node', id: node };
      return edge === undefined ? null : { kind: 'edge', id: edge };
    };
    this.#layer.addEventListener('click', (event) => {
      const target = targetOf(event);
      if (target !== null) this.#open(target);
    });
    const hover = (target: Selection | null): void => {
      this.#hovered = target;
      this.#showFocus();
    };
    this.#layer.addEventListener('pointerover', (event) => {
      if (event.pointerType === 'mouse') hover(targetOf(event));
    });
    this.#layer.addEventListener('pointerleave', () => hover(null));
    this.#layer.addEventListener('focusin', (event) => {
      if ((event.target as Element).matches(':focus-visible')) hover(targetOf(event));
    });
    this.#layer.addEventListener('focusout', () => hover(null));
  }

  #open(target: Selection | null): void {
    this.#app.look({ selection: target }, target !== null);
  }

  /** A press on a line opens its edge; one on nothing closes what is open. */
  #tap(at: { x: number; y: number }): void {
    const { x, y } = this.#viewport.inGraph(at);
    const reach = tapDistance / this.#viewport.camera.zoom;
    let [nearest, least] = ['', reach];
    for (const [id, curve] of this.#curves) {
      const distance = distanceTo(curve, x, y);
      if (distance < least) [nearest, least] = [id, distance];
    }
    this.#open(nearest === '' ? null : { kind: 'edge', id: nearest });
  }

  /** What is hovered or opened, with its neighbours, stands out; the rest steps back. */
  #showFocus(): void {
    const target = this.#hovered ?? this.#app.state.selection;
    const key = `${target?.kind} ${target?.id} ${this.#topology.length}`;
    if (key === this.#focusKey) return;
    this.#focusKey = key;
    const edges = (this.#visible?.edges ?? []).filter((edge) =>
      target?.kind === 'edge' ? edge.id === target.id : edge.from === target?.id || edge.to === target?.id,
    );
    const isThere = edges.length > 0 || this.#boxes.nodes.has(target?.id ?? '');
    const near = new Set([target?.id ?? '', ...edges.flatMap(({ id, from, to }) => [id, from, to])]);
    setAttribute(this.#layer, 'data-focus', isThere ? '' : null);
    for (const { id } of this.#visible?.nodes ?? []) mark(this.#nodes.get(id), isThere && near.has(id));
    for (const { id } of this.#visible?.edges ?? []) mark(this.#labels.get(id), isThere && near.has(id));
    this.#canvas.setFocus(isThere ? near : null);
  }
}

function mark(element: HTMLElement | undefined, isNear: boolean): void {
  if (element !== undefined) setAttribute(element, 'data-near', isNear ? '' : null);
}

function stand(element: HTMLElement | undefined, { x, y }: Box): void {
  if (element === undefined) return;
  const transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  if (element.style.transform !== transform) element.style.transform = transform;
}

/** A label is as wide as what it says, about the middle of its place. */
function standAbout(element: HTMLElement, { x, y, width, height }: Box): void {
  const middle = `translate(${Math.round(x + width / 2)}px, ${Math.round(y + height / 2)}px)`;
  const transform = `${middle} translate(-50%, -50%)`;
  if (element.style.transform !== transform) element.style.transform = transform;
}

function middleOf(curve: Curve, { width, height }: { width: number; height: number }): Box {
  return { x: (curve.x0 + curve.x3 - width) / 2, y: (curve.y0 + curve.y3 - height) / 2, width, height };
}
