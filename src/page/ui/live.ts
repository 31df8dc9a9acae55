// The stream of what the controller says: connects, notices silence, and connects again by itself.
import { type HeartbeatView, pageEvents, pagePaths } from '../../model/page-views.ts';
import type { App } from './app.ts';

const retryFirstMs = 500;
const retryMaxMs = 5_000;
const heartbeatUsualMs = 5_000;
/** So many heartbeats may fail to come. */
const silenceBeats = 3;
const lookEveryMs = 1_000;

/** One EventSource at a time, from `start` on. */
export class Live {
  readonly #app: App;
  #source: EventSource | null = null;
  #retryMs = retryFirstMs;
  #retryTimer = 0;
  #heardMs = 0;
  #everyMs = heartbeatUsualMs;

  constructor(app: App) {
    this.#app = app;
  }

  start(): void {
    this.#connect();
    setInterval(() => this.#look(), lookEveryMs);
    // A computer that slept should not wait for its timers.
    addEventListener('online', () => this.retryNow());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#app.model.link.state === 'lost') this.retryNow();
    });
  }

  /** Connects at once when there is no connection. */
  retryNow(): void {
    if (this.#source !== null) return;
    clearTimeout(this.#retryTimer);
    this.#retryMs = retryFirstMs;
    this.#connect();
  }

  #connect(): void {
    const source = new EventSource(pagePaths.events);
    this.#source = source;
    this.#heardMs = Date.now();
    const on = (name: string, take: (data: unknown) => void): void => {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        if (source !== this.#source) return;
        this.#hear();
        take(JSON.parse(event.data));
      });
    };
    on(pageEvents.graph, (graph) => this.#app.tell({ graph } as object));
    on(pageEvents.proxies, (proxies) => this.#app.tell({ proxies } as object));
    on(pageEvents.problems, (problems) => this.#app.tell({ problems } as object));
    on(pageEvents.heartbeat, (beat) => {
      this.#everyMs = (beat as HeartbeatView).everyMs;
    });
    source.addEventListener('error', () => {
      if (source === this.#source) this.#lose();
    });
  }

  #hear(): void {
    this.#heardMs = Date.now();
    this.#retryMs = retryFirstMs;
    this.#app.setLink({ state: 'live', sinceMs: this.#heardMs });
  }

  #lose(): void {
    this.#source?.close();
    this.#source = null;
    this.#app.setLink({ state: 'lost', sinceMs: this.#heardMs });
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(retryMaxMs, this.#retryMs * 2);
  }

  /** Whoever is silent for long may be gone without a word. */
  #look(): void {
    if (this.#source === null) return;
    const silentMs = Date.now() - this.#heardMs;
    const patienceMs = silenceBeats * this.#everyMs;
    if (silentMs > 2 * patienceMs) this.#lose();
    else if (silentMs > patienceMs) this.#app.setLink({ state: 'stale', sinceMs: this.#heardMs });
  }
}
