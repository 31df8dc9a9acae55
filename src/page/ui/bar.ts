// The bar above graph and list: search, namespace, trouble only, graph or list; and the mesh in one line of numbers.
import type { GraphView } from '../../model/page-views.ts';
import { percentText, plural, rateText } from '../format.ts';
import { totalsOf, type Visible } from '../visible.ts';
import type { App, Model } from './app.ts';
import { make, Section, setAttribute } from './dom.ts';
import { icon } from './icons.ts';

const searchDelayMs = 140;

/** The bar; `show` takes what is to be seen. */
export class Bar {
  readonly element: HTMLElement;
  readonly #search = make('input', {
    label: 'Search by name or namespace',
    attributes: { type: 'search', placeholder: 'Search', autocomplete: 'off', spellcheck: 'false', maxlength: '200' },
  });
  readonly #namespace = make('select', { label: 'Namespace' });
  readonly #trouble: HTMLButtonElement;
  readonly #asList: HTMLButtonElement;
  readonly #headline = new Section(make('p', { class: 'headline' }));
  #namespaces: string | null = null;
  #searchTimer = 0;

  constructor(app: App) {
    this.#search.id = 'search';
    this.#search.addEventListener('input', () => {
      clearTimeout(this.#searchTimer);
      this.#searchTimer = setTimeout(() => app.look({ search: this.#search.value, camera: null }), searchDelayMs);
    });
    this.#namespace.addEventListener('change', () => app.look({ namespace: this.#namespace.value, camera: null }));
    this.#trouble = make(
      'button',
      {
        class: 'tool framed',
        title: 'Only what is in trouble (T)',
        onClick: () => app.look({ troubleOnly: !app.state.troubleOnly, camera: null }),
      },
      icon('warning'),
      'Only trouble',
    );
    this.#trouble.id = 'trouble-only';
    this.#asList = make(
      'button',
      {
        class: 'tool framed wide-only',
        title: 'As a list (L)',
        onClick: () => app.look({ view: app.state.view === 'list' ? 'graph' : 'list' }, true),
      },
      icon('list'),
      'List',
    );
    this.element = make(
      'div',
      { class: 'bar', attributes: { role: 'search', 'aria-label': 'What is shown' } },
      make('label', { class: 'field' }, icon('search'), this.#search),
      make('label', { class: 'field' }, icon('layers'), this.#namespace),
      this.#trouble,
      this.#asList,
      this.#headline.element,
    );
  }

  /** Puts the cursor into the search. */
  focus(): void {
    this.#search.focus();
    this.#search.select();
  }

  show({ state }: Model, graph: GraphView, visible: Visible): void {
    if (document.activeElement !== this.#search && this.#search.value !== state.search) {
      this.#search.value = state.search;
    }
    this.#showNamespaces(graph, state.namespace);
    setAttribute(this.#trouble, 'aria-pressed', String(state.troubleOnly));
    setAttribute(this.#asList, 'aria-pressed', String(state.view === 'list'));
    this.#showHeadline(graph, visible);
  }

  #showNamespaces(graph: GraphView, chosen: string): void {
    const names = new Set(graph.nodes.map(({ namespace }) => namespace).filter((name) => name !== ''));
    if (chosen !== '') names.add(chosen);
    const sorted = [...names].sort();
    if (sorted.join(' ') !== this.#namespaces) {
      this.#namespaces = sorted.join(' ');
      const option = (value: string, text: string): HTMLOptionElement => {
        const element = make('option', {}, text);
        element.value = value;
        return element;
      };
      this.#namespace.replaceChildren(
        option('', `All namespaces (${sorted.length})`),
        ...sorted.map((name) => option(name, name)),
      );
    }
    if (this.#namespace.value !== chosen) this.#namespace.value = chosen;
  }

  #showHeadline(graph: GraphView, visible: Visible): void {
    const { services, requestsPerS, connectionsPerS, refusedPerS, success, secured } = totalsOf(visible);
    const words: (readonly [value: string, text: string, tone: string])[] = [
      [String(services), plural(services, 'service').replace(/^\d+ /, ''), ''],
      requestsPerS > 0 ? [rateText(requestsPerS), 'requests', ''] : [rateText(connectionsPerS), 'connections', ''],
    ];
    if (success !== null) words.push([percentText(success), 'success', success < 0.99 ? 'bad' : '']);
    if (secured !== null) words.push([percentText(secured), 'encrypted', secured < 1 ? 'warn' : '']);
    if (refusedPerS > 0) words.push([rateText(refusedPerS), 'refused', 'bad']);
    const { nodes, edges } = graph.leftOut;
    if (nodes + edges > 0) words.push([String(nodes + edges), 'more, left out', 'warn']);
    const { silent } = graph.heard;
    this.#headline.show(words, () =>
      words.map(([value, text, tone]) => make('span', { class: tone }, make('b', {}, value), ` ${text}`)),
    );
    // The tab of proxies counts them.
    const title = silent.length > 0 ? `Without what these have seen: ${silent.join(', ')}` : null;
    setAttribute(this.#headline.element, 'title', title);
  }
}
