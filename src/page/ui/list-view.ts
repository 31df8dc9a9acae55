// The mesh as a list: services by namespace, each with those it calls. For phones, and for who would rather read.
import type { GraphEdge, GraphNode } from '../../model/page-views.ts';
import { durationText, percentText } from '../format.ts';
import { stateOfNode, trafficText, troubleWords } from '../trouble.ts';
import type { Visible } from '../visible.ts';
import type { App } from './app.ts';
import { make, type Row, Rows, Section, setAttribute } from './dom.ts';
import { EmptyNote } from './graph-furniture.ts';
import { icon } from './icons.ts';
import { stateIcon, wayRow } from './parts.ts';

interface Group {
  readonly namespace: string;
  readonly services: readonly Service[];
}

interface Service {
  readonly node: GraphNode;
  readonly calls: readonly GraphEdge[];
}

/** The list; nothing is in the document while it is not shown. */
export class ListView {
  readonly element = make('div', { class: 'scroll', data: { view: 'list' } });
  readonly #groups: Rows<Group>;
  readonly #empty: EmptyNote;
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
    this.#empty = new EmptyNote(app);
    const column = make('div', { class: 'column' });
    this.element.append(column, this.#empty.element);
    this.#groups = new Rows(
      column,
      ({ namespace }) => namespace,
      ({ namespace }) => this.#groupOf(namespace),
    );
  }

  /** Shows what is visible, of so many nodes. */
  show({ nodes, edges }: Visible, all: number): void {
    this.#empty.show(nodes.length, all);
    const calls = Map.groupBy(edges, ({ from }) => from);
    const groups = Map.groupBy(nodes, ({ namespace }) => namespace);
    this.#groups.show(
      [...groups].map(([namespace, members]) => ({
        namespace,
        services: members.map((node) => ({ node, calls: calls.get(node.id) ?? [] })),
      })),
    );
  }

  clear(): void {
    this.#groups.show([]);
  }

  /** Puts the focus back on the row of a service. */
  focus(id: string): void {
    this.element.querySelector<HTMLElement>(`.way[data-node="${CSS.escape(id)}"]`)?.focus();
  }

  #groupOf(namespace: string): Row<Group> {
    const cards = make('div', { class: 'service-cards' });
    const rows = new Rows<Service>(
      cards,
      ({ node }) => node.id,
      () => this.#cardOf(),
    );
    const heading = make('h2', {}, namespace === '' ? 'outside the mesh' : namespace);
    const element = make('section', { class: 'service-group' }, heading, cards);
    return { element, update: ({ services }) => rows.show(services) };
  }

  #cardOf(): Row<Service> {
    const section = new Section(make('article', { class: 'service-card' }));
    return {
      element: section.element,
      update: ({ node, calls }) => {
        setAttribute(section.element, 'data-state', stateOfNode(node));
        section.show([node, calls], () => [
          this.#head(node),
          ...calls.map((edge) =>
            wayRow(edge, 'out', shortName(edge.to, node.namespace), () => this.#open('edge', edge.id)),
          ),
        ]);
      },
    };
  }

  #head(node: GraphNode): HTMLElement {
    const { incoming, notes, waypoint } = node;
    const state = stateOfNode(node);
    const trouble = troubleWords(notes);
    const numbers = [
      trafficText(incoming),
      incoming.success === null ? '' : percentText(incoming.success),
      incoming.p99Ms === null ? '' : durationText(incoming.p99Ms),
    ];
    return make(
      'button',
      { class: 'way', data: { node: node.id, state }, onClick: () => this.#open('node', node.id) },
      state === 'ok' ? null : stateIcon(state),
      make('span', { class: 'to' }, node.name, trouble === '' ? null : make('span', { class: 'why' }, trouble)),
      make('span', { class: 'nums' }, ...numbers.filter(Boolean).map((text) => make('span', {}, text))),
      waypoint === null ? null : icon('waypoint', `waypoint ${waypoint}`),
    );
  }

  #open(kind: 'node' | 'edge', id: string): void {
    this.#app.look({ selection: { kind, id } }, true);
  }
}

function shortName(id: string, namespace: string): string {
  return id.startsWith(`${namespace}/`) ? id.slice(namespace.length + 1) : id;
}
