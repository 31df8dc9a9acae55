// The panel at the side: one node, edge or proxy, whole. Asks for its details while it is open.
import { type DetailsView, type GraphEdge, type GraphNode, pagePaths } from '../../model/page-views.ts';
import type { Selection } from '../hash-state.ts';
import type { App, Model } from './app.ts';
import { make, Section, setAttribute } from './dom.ts';
import { icon } from './icons.ts';
import { aboutEdge, aboutNode, detailParts, FlowList, partsAfter } from './panel-details.ts';
import { proxyParts } from './panel-proxy.ts';
import { noteLine, part, wayRow } from './parts.ts';

const askEveryMs = 2_000;
const askTimeoutMs = 8_000;

/** One panel that shows what is selected. */
export class Panel {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #title = new Section(make('h2', { attributes: { tabindex: '-1' } }));
  readonly #ways = new Section(make('div'));
  readonly #parts = new Section(make('div'));
  readonly #more = new Section(make('div'));
  readonly #flows = new FlowList();
  readonly #onClosed: (selection: Selection) => void;
  #shown: Selection | null = null;
  #details: DetailsView | null = null;
  #isGone = false;
  #timer = 0;
  #question: AbortController | null = null;

  /** `onClosed` is told what was open, so that the focus can go back there. */
  constructor(app: App, onClosed: (selection: Selection) => void) {
    this.#app = app;
    this.#onClosed = onClosed;
    const close = make('button', { class: 'tool', label: 'Close (Esc)', title: 'Close (Esc)' }, icon('close'));
    close.addEventListener('click', () => this.close());
    const scrolled = [this.#parts.element, this.#ways.element, this.#more.element, this.#flows.element];
    const body = make('div', { class: 'body', attributes: { tabindex: '0' } }, ...scrolled);
    this.element = make('aside', { class: 'panel' }, make('header', {}, this.#title.element, close), body);
    this.element.id = 'panel';
    this.element.hidden = true;
    document.addEventListener('visibilitychange', () => this.#plan(0));
  }

  /** Closes what is open; false where nothing is. */
  close(): boolean {
    const before = this.#shown;
    if (before === null) return false;
    this.#app.look({ selection: null }, true);
    this.show(this.#app.model);
    this.#onClosed(before);
    return true;
  }

  show(model: Model): void {
    const { selection } = model.state;
    const isNew = selection?.kind !== this.#shown?.kind || selection?.id !== this.#shown?.id;
    this.#shown = selection;
    this.element.hidden = selection === null;
    if (selection === null) {
      this.#stopAsking();
      return;
    }
    if (isNew) this.#open(selection);
    setAttribute(this.element, 'data-of', selection.id);
    if (selection.kind === 'proxy') this.#showProxy(model, selection.id);
    else this.#showPlace(model, selection);
  }

  #open(selection: Selection): void {
    this.#stopAsking();
    this.#details = null;
    this.#isGone = false;
    this.element.querySelector('.body')?.scrollTo(0, 0);
    if (selection.kind !== 'proxy') this.#plan(0);
    // Whoever opened it with the keyboard goes on reading there.
    const isByKeyboard =
      document.activeElement?.matches(':is([data-node], [data-edge], [data-proxy]):focus-visible') ?? false;
    if (isByKeyboard) this.#title.element.focus({ preventScroll: true });
  }

  #showProxy({ proxies }: Model, id: string): void {
    const proxy = proxies?.proxies.find(({ kind, name }) => `${kind}/${name}` === id) ?? null;
    this.#setState(proxy === null ? 'gone' : 'told', id);
    this.#title.show([id, proxy?.version, proxy?.node], () => [
      proxy?.name ?? id,
      proxy === null
        ? null
        : make(
            'span',
            { class: 'about' },
            ...[proxy.kind === 'node' ? 'node proxy' : `waypoint on ${proxy.node}`, proxy.version].map((text) =>
              make('span', {}, text),
            ),
          ),
    ]);
    this.#parts.show([proxy, Math.floor(Date.now() / 1000)], () =>
      proxy === null ? [gone('This proxy is no longer there.')] : proxyParts(proxy),
    );
    this.#ways.show(null, () => []);
    this.#more.show(null, () => []);
    this.#flows.show([]);
  }

  #showPlace({ graph }: Model, { kind, id }: Selection): void {
    const node = kind === 'node' ? (graph?.nodes.find((one) => one.id === id) ?? null) : null;
    const edge = kind === 'edge' ? (graph?.edges.find((one) => one.id === id) ?? null) : null;
    const details = this.#details?.id === id ? this.#details : null;
    this.#setState(details !== null ? 'told' : this.#isGone ? 'gone' : 'asking', id);
    const title = details?.title ?? id.replace('>', ' → ');
    this.#title.show([title, aboutState(node, edge)], () => [
      title,
      node === null ? null : aboutNode(node),
      edge === null ? null : aboutEdge(edge),
    ]);
    // What the stream says comes every second; details are older by up to two.
    const traffic = edge ?? node?.incoming ?? details?.traffic ?? null;
    const notes = (node ?? edge)?.notes ?? details?.notes ?? [];
    const refusals = edge?.refusals ?? details?.refusals ?? [];
    this.#parts.show([traffic, notes, details?.segments, refusals, node?.splits, this.#isGone], () => [
      this.#isGone ? gone('It is no longer there, or has had no traffic for a while.') : null,
      ...detailParts({ traffic, notes, refusals, details, node }),
    ]);
    const edges = kind === 'node' ? (graph?.edges ?? []).filter(({ from, to }) => from === id || to === id) : [];
    this.#ways.show(edges, () => this.#waysOf(id, edges));
    this.#flows.show(details?.flows ?? []);
    const { routes, policies, endpoints, commands } = details ?? {};
    this.#more.show([routes, policies, endpoints, commands], () => (details === null ? [] : partsAfter(details)));
  }

  #waysOf(id: string, edges: readonly GraphEdge[]): (HTMLElement | null)[] {
    const open = (edge: GraphEdge) => () => this.#app.look({ selection: { kind: 'edge', id: edge.id } }, true);
    const row = (edge: GraphEdge, way: 'in' | 'out'): HTMLElement =>
      wayRow(edge, way, way === 'out' ? edge.to : edge.from, open(edge));
    return [
      part('Called by', ...edges.filter(({ to }) => to === id).map((edge) => row(edge, 'in'))),
      part('Calls', ...edges.filter(({ from }) => from === id).map((edge) => row(edge, 'out'))),
    ];
  }

  #setState(state: 'asking' | 'told' | 'gone', id: string): void {
    setAttribute(this.element, 'data-state', state);
    setAttribute(this.element, 'aria-label', `Details of ${id}`);
    setAttribute(this.element, 'role', 'region');
  }

  #plan(afterMs: number): void {
    clearTimeout(this.#timer);
    if (this.#shown === null || this.#shown.kind === 'proxy' || document.hidden) return;
    this.#timer = setTimeout(() => void this.#ask(), afterMs);
  }

  async #ask(): Promise<void> {
    const selection = this.#shown;
    if (selection === null) return;
    if (this.#details === null || this.#app.model.pausedMs === null) await this.#askFor(selection);
    if (selection === this.#shown || selection.id === this.#shown?.id) this.#plan(askEveryMs);
  }

  async #askFor({ kind, id }: Selection): Promise<void> {
    const question = new AbortController();
    this.#question = question;
    const timer = setTimeout(() => question.abort(), askTimeoutMs);
    try {
      const url = `${pagePaths.details}?${kind}=${encodeURIComponent(id)}`;
      const response = await fetch(url, { signal: question.signal });
      if (this.#shown?.id !== id) return;
      if (response.ok) {
        this.#details = (await response.json()) as DetailsView;
        this.#isGone = false;
      } else if (response.status === 404) {
        this.#isGone = true;
      }
      if (this.#shown?.id === id) this.show(this.#app.model);
    } catch {
      // The stream says that the connection is lost; what was told last stays.
    } finally {
      clearTimeout(timer);
    }
  }

  #stopAsking(): void {
    clearTimeout(this.#timer);
    this.#question?.abort();
    this.#question = null;
  }
}

function aboutState(node: GraphNode | null, edge: GraphEdge | null): unknown {
  return [node?.endpoints, node?.waypoint, node?.enrolled, edge?.transport, edge?.waypoint];
}

function gone(text: string): HTMLElement {
  return make('div', { class: 'part' }, noteLine({ severity: 'info', text }));
}
