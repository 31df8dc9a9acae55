// The page as a whole: what stands where, which part is shown, and keys that hold everywhere.
import type { Selection } from '../hash-state.ts';
import { type Visible, visibleOf } from '../visible.ts';
import { App, type Model } from './app.ts';
import { Bar } from './bar.ts';
import { make } from './dom.ts';
import { GraphView } from './graph-view.ts';
import { ListView } from './list-view.ts';
import { Live } from './live.ts';
import { Panel } from './panel.ts';
import { ProblemsPage } from './problems-view.ts';
import { ProxiesPage } from './proxies-view.ts';
import { Top } from './top.ts';

/** Narrower windows get the list. */
const narrow = matchMedia('(max-width: 719px)');

class MeshPage {
  readonly #app = new App(Date.now());
  readonly #live = new Live(this.#app);
  readonly #top = new Top(this.#app, () => this.#live.retryNow());
  readonly #bar = new Bar(this.#app);
  readonly #graph = new GraphView(this.#app);
  readonly #list = new ListView(this.#app);
  readonly #proxies = new ProxiesPage(this.#app);
  readonly #problems = new ProblemsPage(this.#app);
  readonly #panel = new Panel(this.#app, (selection) => this.#focusBack(selection));
  readonly #mesh = make('div', { class: 'view', data: { view: 'graph' } });
  readonly #main = document.querySelector('#main') as HTMLElement;
  #visible: Visible | null = null;
  #visibleFor: unknown[] = [];

  start(): void {
    this.#mesh.append(this.#bar.element, this.#graph.element, this.#list.element);
    for (const element of [this.#mesh, this.#proxies.element, this.#problems.element]) element.hidden = true;
    this.#main.append(this.#mesh, this.#proxies.element, this.#problems.element, this.#panel.element);
    this.#app.paint((model) => this.#show(model));
    narrow.addEventListener('change', () => this.#show(this.#app.model));
    addEventListener('keydown', (event) => this.#press(event));
    this.#live.start();
  }

  #show(model: Model): void {
    const { state, graph } = model;
    this.#top.show(model);
    const view = state.view === 'graph' && narrow.matches ? 'list' : state.view;
    this.#mesh.hidden = graph === null || (view !== 'graph' && view !== 'list');
    this.#graph.element.hidden = view !== 'graph';
    this.#list.element.hidden = view !== 'list';
    this.#proxies.element.hidden = model.proxies === null || view !== 'proxies';
    this.#problems.element.hidden = model.problems === null || view !== 'problems';
    if (view === 'proxies') this.#proxies.show(model);
    if (view === 'problems') this.#problems.show(model);
    this.#panel.show(model);
    if (graph === null) return;
    if (!this.#mesh.hidden) this.#showMesh(model, view === 'list');
    if (view !== 'list') this.#list.clear();
    document.querySelector('#hello')?.remove();
    document.documentElement.dataset['ready'] = '';
  }

  #showMesh(model: Model, asList: boolean): void {
    const { graph, state } = model;
    if (graph === null) return;
    const question = [graph, state.search, state.namespace, state.troubleOnly];
    if (this.#visible === null || question.some((part, at) => part !== this.#visibleFor[at])) {
      this.#visible = visibleOf(graph, state);
      this.#visibleFor = question;
    }
    this.#bar.show(model, graph, this.#visible);
    if (asList) this.#list.show(this.#visible, graph.nodes.length);
    else this.#graph.show(model, this.#visible);
  }

  #focusBack(selection: Selection): void {
    if (selection.kind === 'proxy') {
      document.querySelector<HTMLElement>(`button[data-proxy="${CSS.escape(selection.id)}"]`)?.focus();
    } else if (this.#list.element.hidden) {
      this.#graph.focus(selection);
    } else {
      this.#list.focus(selection.id);
    }
  }

  #press(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    const isTyping = (event.target as Element).matches('input, select, textarea');
    if (event.key === 'Escape') {
      if (isTyping) (event.target as HTMLElement).blur();
      else this.#panel.close();
      return;
    }
    if (isTyping) return;
    const { state } = this.#app;
    const keys: Readonly<Record<string, () => void>> = {
      '/': () => {
        if (state.view !== 'graph' && state.view !== 'list') this.#app.look({ view: 'graph', selection: null }, true);
        this.#mesh.hidden = false;
        this.#bar.focus();
      },
      t: () => this.#app.look({ troubleOnly: !state.troubleOnly, camera: null }),
      l: () => this.#app.look({ view: state.view === 'list' ? 'graph' : 'list' }, true),
      p: () => this.#top.togglePause(),
    };
    const action = keys[event.key.toLowerCase()];
    if (action === undefined) return;
    event.preventDefault();
    action();
  }
}

new MeshPage().start();
