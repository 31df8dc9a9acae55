// The proxies: in step or since when not, how busy, which version, how its certificates are. A row opens the panel.
import type { ProxyRow } from '../../model/page-views.ts';
import { durationText, plural, spanText } from '../format.ts';
import { isAllHeard, replicaWords } from '../replica-words.ts';
import { stateOfProxy } from '../trouble.ts';
import type { App, Model } from './app.ts';
import { make, type Row, Rows, Section, setAttribute, setText } from './dom.ts';
import { certificatesText } from './panel-proxy.ts';
import { commandLines, part, stateIcon } from './parts.ts';

const headers = ['Proxy', 'State', 'For', 'Connections', 'Event loop p99', 'Certificates', 'Version'] as const;

/** The page of proxies. */
export class ProxiesPage {
  readonly element: HTMLElement;
  readonly #rows: Rows<ProxyRow>;
  readonly #table: HTMLElement;
  readonly #lead = new Section(make('p', { class: 'lead' }));
  readonly #commands = new Section(make('div', { class: 'aside' }));
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
    const body = make('tbody');
    this.#rows = new Rows(body, proxyId, (proxy) => this.#rowOf(proxy));
    const head = headers.map((text, at) =>
      make('th', { class: at === 3 || at === 4 ? 'right' : '', attributes: { scope: 'col' } }, text),
    );
    this.#table = make('table', { class: 'proxy-table' }, make('thead', {}, make('tr', {}, ...head)), body);
    const column = make(
      'div',
      { class: 'column' },
      make('h1', {}, 'Proxies'),
      this.#lead.element,
      this.#table,
      this.#commands.element,
    );
    this.element = make('div', { class: 'scroll', data: { view: 'proxies' } }, column);
  }

  show({ proxies, state }: Model): void {
    if (proxies === null) return;
    const { controller, replicas = [] } = proxies;
    this.#lead.show({ controller, replicas }, () => [
      controller.proxies === 0
        ? `No proxy follows the controller yet, version ${controller.version}: no traffic is in the mesh. `
        : `${controller.inStep} of ${plural(controller.proxies, 'proxy', 'proxies')} in step with the controller, ` +
          `version ${controller.version}. `,
      make('span', { class: isAllHeard(replicas) ? '' : 'warn' }, replicaWords(replicas)),
    ]);
    this.#table.hidden = proxies.proxies.length === 0;
    this.#rows.show(proxies.proxies);
    for (const proxy of proxies.proxies) {
      const isOpen = state.selection?.kind === 'proxy' && state.selection.id === proxyId(proxy);
      const row = this.#rows.get(proxyId(proxy));
      if (row !== undefined) setAttribute(row, 'data-open', isOpen ? '' : null);
    }
    this.#commands.show(proxies.commands, () => [part('The same in a terminal', ...commandLines(proxies.commands))]);
  }

  #rowOf(first: ProxyRow): Row<ProxyRow> {
    const id = proxyId(first);
    const open = (): void => this.#app.look({ selection: { kind: 'proxy', id } }, true);
    const name = make('button', { class: 'who', data: { proxy: id } }, first.name);
    const status = make('div', { class: 'status' });
    const text = make('span');
    const cells = headers.map((label, at) =>
      make('td', { class: at === 3 || at === 4 ? 'right' : '', data: at < 2 ? {} : { label } }),
    );
    cells[0]?.append(name, make('span', {}, first.kind === 'node' ? 'node proxy' : `waypoint on ${first.node}`));
    cells[1]?.append(status);
    cells[1]?.classList.add('whole');
    const element = make('tr', { data: { proxy: first.name, kind: first.kind }, onClick: open }, ...cells);
    let shownState = '';
    return {
      element,
      update(proxy) {
        const state = stateOfProxy(proxy);
        setAttribute(element, 'data-state', state);
        setAttribute(status, 'data-state', state);
        if (state !== shownState) status.replaceChildren(stateIcon(state), text);
        shownState = state;
        setText(text, [proxy.text, ...proxy.notes.map((note) => note.text)].filter(isFirst).join(' · '));
        const [certificates, tone] = certificatesText(proxy);
        const words = [
          proxy.since === null ? '' : spanText(Date.now() - Date.parse(proxy.since)),
          proxy.load === null ? '–' : String(proxy.load.connections),
          proxy.load === null ? '–' : durationText(proxy.load.loopDelayP99Ms),
          certificates,
          proxy.version,
        ];
        words.forEach((word, at) => {
          const cell = cells[at + 2];
          if (cell === undefined) return;
          setText(cell, word);
          cell.hidden = false;
        });
        cells[5]?.classList.remove('warn', 'bad');
        if (tone !== '') cells[5]?.classList.add(tone);
      },
    };
  }
}

/** How a proxy is called in the address of the page. */
export function proxyId({ kind, name }: ProxyRow): string {
  return `${kind}/${name}`;
}

function isFirst(text: string, at: number, all: readonly string[]): boolean {
  return all.indexOf(text) === at;
}
