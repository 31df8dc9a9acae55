// Follows the flows of every proxy that is connected to this controller, and asks each in turn how it stands. Proxies
// that come are taken in, those that go are remembered as silent.
import type { Clock } from '../../base/clock.ts';
import type { ObservedProxy } from '../../discovery/observe-server.ts';
import type { GraphView } from '../../model/page-views.ts';
import type { EdgeListView, ProxyStateView } from '../../model/views.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import { answerOf, observedView, wholeLines } from '../observed-proxies.ts';
import type { HeardState } from './proxies-view.ts';

export interface ProxyReaderOptions {
  readonly observed: { proxies(): readonly ObservedProxy[] };
  readonly clock: Clock;
  readonly flow: (flow: FlowView) => void;
  /** Called with what every proxy has counted. */
  readonly counted: (lists: readonly EdgeListView[]) => void;
}

/** Flows of the past that each proxy is asked for at first, for details alone. */
const pastFlows = 200;
/** Each proxy is asked how it stands every so many turns, and of several hundred a part in each turn. */
const statesEveryTurns = 3;
/** Who told no flows is asked for them again. */
const followAgainTurns = 10;
const askedAtOnceMax = 32;
const silentMax = 50;

interface Followed {
  readonly proxy: ObservedProxy;
  readonly stop: AbortController;
  isHeard: boolean;
  edges: EdgeListView;
}

/** Follows from `start` to `close`. */
export class ProxyReader {
  /** By `NAMESPACE/NAME` of the pod. */
  readonly states = new Map<string, HeardState>();
  readonly #options: ProxyReaderOptions;
  readonly #followed = new Map<ObservedProxy, Followed>();
  /** Pods whose past has been asked for: once more, and flows would count twice. */
  readonly #askedForPast = new Set<string>();
  #isAsking = false;
  #isClosed = false;

  constructor(options: ProxyReaderOptions) {
    this.#options = options;
  }

  /** Follows those that are there; resolves when each has been asked once, or has not answered. */
  async start(): Promise<void> {
    this.#followAll();
    await this.#askAll();
  }

  /** Takes in who has come, and asks again when it is time to. */
  turn(number: number): void {
    this.#followAll();
    if (number % followAgainTurns === 0) {
      for (const followed of this.#followed.values()) if (!followed.isHeard) void this.#follow(followed);
    }
    if (number % statesEveryTurns === 0 && !this.#isAsking) void this.#askAll();
  }

  /** Who tells flows. */
  heard(): GraphView['heard'] {
    const all = [...this.#followed.values()];
    const silent = all.filter(({ isHeard }) => !isHeard).map(({ proxy }) => nameOf(proxy));
    return { proxies: all.length - silent.length, silent: silent.slice(0, silentMax) };
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const { stop } of this.#followed.values()) stop.abort();
    this.#followed.clear();
  }

  #followAll(): void {
    const there = new Set(this.#options.observed.proxies());
    for (const [proxy, { stop }] of this.#followed) {
      if (there.has(proxy)) continue;
      stop.abort();
      this.#followed.delete(proxy);
    }
    for (const proxy of there) {
      if (this.#followed.has(proxy)) continue;
      const followed: Followed = { proxy, stop: new AbortController(), isHeard: false, edges: { edges: [] } };
      this.#followed.set(proxy, followed);
      void this.#follow(followed);
    }
    const pods = new Set([...there].map((proxy) => observedView(proxy).pod));
    for (const pod of this.states.keys()) if (!pods.has(pod)) this.states.delete(pod);
  }

  async #follow(followed: Followed): Promise<void> {
    const { proxy, stop } = followed;
    followed.isHeard = true;
    const { pod } = observedView(proxy);
    const last = this.#askedForPast.has(pod) ? 0 : pastFlows;
    this.#askedForPast.add(pod);
    const asked = proxy.ask(`GET /flows?follow=1&last=${last}`, stop.signal);
    for await (const text of wholeLines(asked)) {
      if (stop.signal.aborted) return;
      for (const line of text.split('\n')) if (line !== '') this.#take(line);
    }
    followed.isHeard = false; // it has gone, or tells no flows
  }

  #take(line: string): void {
    let flow: FlowView;
    try {
      flow = JSON.parse(line) as FlowView;
    } catch {
      return; // cut off where the proxy ended
    }
    this.#options.flow(flow);
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true;
    const waiting = [...this.#followed.values()];
    const ask = async (): Promise<void> => {
      for (let one = waiting.pop(); one !== undefined && !this.#isClosed; one = waiting.pop()) await this.#ask(one);
    };
    await Promise.all(Array.from({ length: askedAtOnceMax }, ask));
    this.#isAsking = false;
    if (!this.#isClosed) this.#options.counted([...this.#followed.values()].map(({ edges }) => edges));
  }

  async #ask(followed: Followed): Promise<void> {
    const { proxy } = followed;
    const view = observedView(proxy);
    const [state, edges] = await Promise.all([answerOf(proxy, '/state'), answerOf(proxy, '/edges')]);
    const known = this.states.get(view.pod);
    if (edges !== null) followed.edges = edges as EdgeListView;
    if (state === null) {
      this.states.set(view.pod, { view, state: known?.state ?? null, heardAt: known?.heardAt ?? null });
      return;
    }
    const heardAt = new Date(this.#options.clock.now()).toISOString();
    this.states.set(view.pod, { view, state: state as ProxyStateView, heardAt });
  }
}

function nameOf(proxy: ObservedProxy): string {
  const { kind, name } = observedView(proxy);
  return `${kind}/${name}`;
}
