// What the parts of the page share: what the controller said last, what is looked at, and who wants to know when either
// changes. Everything is drawn at most once per frame, and only when something changed.
import type { GraphView, ProblemsView, ProxiesView } from '../../model/page-views.ts';
import { hashOf, type PageState, stateOf } from '../hash-state.ts';

export interface LinkState {
  /** `stale`: connected, and silent for too long. */
  readonly state: 'connecting' | 'live' | 'stale' | 'lost';
  readonly sinceMs: number;
}

export interface Told {
  readonly graph: GraphView | null;
  readonly proxies: ProxiesView | null;
  readonly problems: ProblemsView | null;
}

export interface Model extends Told {
  readonly state: PageState;
  readonly link: LinkState;
  /** Since when nothing new is shown, because somebody asked for that; null when not. */
  readonly pausedMs: number | null;
}

/** A part of the page: it is told of everything that changed, and knows itself what of that it shows. */
export type Painter = (model: Model) => void;

/** Holds the model, and the part of the address behind `#`. */
export class App {
  readonly #painters: Painter[] = [];
  #model: Model;
  #held: Partial<Told> = {};
  #isDue = false;

  constructor(nowMs: number) {
    this.#model = {
      ...{ graph: null, proxies: null, problems: null, pausedMs: null },
      state: stateOf(location.hash),
      link: { state: 'connecting', sinceMs: nowMs },
    };
    addEventListener('hashchange', () => this.#change({ state: stateOf(location.hash) }));
  }

  get model(): Model {
    return this.#model;
  }

  get state(): PageState {
    return this.#model.state;
  }

  /** Calls `painter` before the next frame after each change. */
  paint(painter: Painter): void {
    this.#painters.push(painter);
    this.#plan();
  }

  /** Takes what the controller said; while paused it is kept for later. */
  tell(told: Partial<Told>): void {
    if (this.#model.pausedMs === null) this.#change(told);
    else this.#held = { ...this.#held, ...told };
  }

  setLink(link: LinkState): void {
    if (link.state !== this.#model.link.state) this.#change({ link });
  }

  /** Stops or goes on showing what is new. */
  pause(sinceMs: number | null): void {
    const held = sinceMs === null ? this.#held : {};
    this.#held = {};
    this.#change({ pausedMs: sinceMs, ...held });
  }

  /** Looks at something else. A `step` is one that the browser's way back undoes. */
  look(state: Partial<PageState>, step = false): void {
    const next = { ...this.#model.state, ...state };
    const hash = hashOf(next);
    if (hash === hashOf(this.#model.state)) return;
    const address = hash === '' ? location.pathname + location.search : hash;
    if (step) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
    this.#change({ state: next });
  }

  #change(change: Partial<Model>): void {
    this.#model = { ...this.#model, ...change };
    this.#plan();
  }

  #plan(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      for (const painter of this.#painters) painter(this.#model);
    });
  }
}
