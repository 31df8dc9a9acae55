// The head of the page: its parts with counts, whether it is live, pause, colours; and the banner when it is not live.

import { clockText, spanText } from '../format.ts';
import type { ViewName } from '../hash-state.ts';
import { stateOfProxy } from '../trouble.ts';
import type { App, Model } from './app.ts';
import { make, setAttribute, setText } from './dom.ts';
import { type IconName, icon } from './icons.ts';
import { applyTheme, storedTheme, type Theme, themes } from './theme.ts';

const themeIcons: Readonly<Record<Theme, IconName>> = { auto: 'auto', light: 'sun', dark: 'moon' };
const tickMs = 1_000;

/** Fills the header and the banner that the document has. */
export class Top {
  readonly #app: App;
  readonly #banner: HTMLElement;
  readonly #bannerText = make('span');
  readonly #tabs: Readonly<Record<'graph' | 'proxies' | 'problems', HTMLAnchorElement>>;
  readonly #counts = { proxies: make('span', { class: 'count' }), problems: make('span', { class: 'count' }) };
  readonly #link = make('span', { class: 'link-state', attributes: { role: 'status' } }, make('span'));
  readonly #pause = make('button', { class: 'tool', onClick: () => this.togglePause() });
  readonly #theme = make('button', { class: 'tool', onClick: () => this.#nextTheme() });
  #shownTheme = storedTheme();
  #shownPause: boolean | null = null;
  #timer = 0;

  constructor(app: App, onRetry: () => void) {
    this.#app = app;
    const header = document.querySelector('#top') as HTMLElement;
    this.#banner = document.querySelector('#banner') as HTMLElement;
    const mark = make('img', { class: 'mark', attributes: { src: '/assets/page/style/icon.svg', alt: '' } });
    this.#tabs = {
      graph: this.#tab('graph', 'Graph'),
      proxies: this.#tab('proxies', 'Proxies', this.#counts.proxies),
      problems: this.#tab('problems', 'Problems', this.#counts.problems),
    };
    this.#pause.id = 'pause';
    this.#theme.id = 'theme';
    header.append(
      make('span', { class: 'brand' }, mark, make('span', {}, 'Ambient')),
      make('nav', { class: 'tabs', label: 'Parts of this page' }, ...Object.values(this.#tabs)),
      make('span', { class: 'push' }),
      this.#link,
      this.#pause,
      this.#theme,
    );
    this.#banner.append(icon('warning'), this.#bannerText, make('button', { onClick: onRetry }, 'Try now'));
    this.#showTheme();
  }

  show(model: Model): void {
    const { state, proxies, problems, link, pausedMs } = model;
    const shown = state.view === 'list' ? 'graph' : state.view;
    for (const [name, tab] of Object.entries(this.#tabs))
      setAttribute(tab, 'aria-current', name === shown ? 'page' : null);
    const states = (proxies?.proxies ?? []).map(stateOfProxy);
    const badProxies = states.filter((one) => one !== 'ok').length;
    const worst = states.includes('error') ? 'error' : 'warning';
    showCount(this.#counts.proxies, badProxies === 0 ? states.length : badProxies, badProxies === 0 ? 'ok' : worst);
    const real = (problems?.problems ?? []).filter(({ severity }) => severity !== 'info');
    const isBad = real.some(({ severity }) => severity === 'error');
    showCount(this.#counts.problems, real.length, real.length === 0 ? 'ok' : isBad ? 'error' : 'warning');
    const title = real.length === 0 ? 'Ambient' : `(${real.length}) Ambient`;
    if (document.title !== title) document.title = title;
    this.#showPause(pausedMs !== null);
    this.#showLink(model);
    clearTimeout(this.#timer);
    if (link.state !== 'live') this.#timer = setTimeout(() => this.show(this.#app.model), tickMs);
  }

  togglePause(): void {
    this.#app.pause(this.#app.model.pausedMs === null ? Date.now() : null);
  }

  #tab(view: ViewName, text: string, ...more: readonly HTMLElement[]): HTMLAnchorElement {
    const tab = make('a', { class: 'tab', attributes: { href: `#/${view}` } }, text, ...more);
    tab.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#app.look({ view, selection: null }, true);
    });
    return tab;
  }

  #showLink({ link, pausedMs }: Model): void {
    const nowMs = Date.now();
    const since = clockText(link.sinceMs, nowMs);
    const isBad = link.state === 'lost' || link.state === 'stale';
    const state = isBad || link.state === 'connecting' || pausedMs === null ? link.state : 'paused';
    const texts = {
      connecting: 'Connecting',
      live: 'Live',
      stale: `Silent since ${since}`,
      lost: `Lost since ${since}`,
      paused: `Paused at ${clockText(pausedMs ?? nowMs, nowMs)}`,
    };
    setAttribute(this.#link, 'data-state', state);
    setText(this.#link.firstElementChild ?? this.#link, texts[state]);
    setAttribute(this.#link, 'title', texts[state]);
    this.#banner.hidden = !isBad;
    if (!isBad) return;
    const what = link.state === 'lost' ? 'The connection to the controller is lost' : 'The controller says nothing';
    const span = spanText(nowMs - link.sinceMs);
    setText(this.#bannerText, `${what} since ${since} (${span}): what is shown is as it was then. Trying again.`);
  }

  #showPause(isPaused: boolean): void {
    if (isPaused === this.#shownPause) return;
    this.#shownPause = isPaused;
    this.#pause.replaceChildren(icon(isPaused ? 'play' : 'pause'));
    const label = isPaused ? 'Go on (P)' : 'Pause (P)';
    setAttribute(this.#pause, 'aria-label', label);
    setAttribute(this.#pause, 'title', label);
    setAttribute(this.#pause, 'aria-pressed', String(isPaused));
  }

  #nextTheme(): void {
    this.#shownTheme = themes[(themes.indexOf(this.#shownTheme) + 1) % themes.length] ?? 'auto';
    this.#showTheme();
  }

  #showTheme(): void {
    applyTheme(this.#shownTheme);
    const label = { auto: 'Colours as the system has them', light: 'Light colours', dark: 'Dark colours' }[
      this.#shownTheme
    ];
    this.#theme.replaceChildren(icon(themeIcons[this.#shownTheme]));
    setAttribute(this.#theme, 'aria-label', label);
    setAttribute(this.#theme, 'title', label);
  }
}

function showCount(element: HTMLElement, count: number, state: string): void {
  setText(element, String(count));
  setAttribute(element, 'data-state', state);
}
