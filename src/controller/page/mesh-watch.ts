// What the live page is told, kept up to date while somebody watches: follows the flows of every proxy that is
// connected, asks each now and then how it stands, and makes the views once for all who watch. Without a watcher
// nothing is asked and nothing is kept.
import { analyze } from '../../analyze/analyze.ts';
import type { Clock } from '../../base/clock.ts';
import type { Aside } from '../../kube/aside.ts';
import type { MeshSource } from '../../kube/mesh-source.ts';
import type { MeshCompiler } from '../../model/compiler.ts';
import type { DetailsView, GraphView, ProblemsView, ProxiesView } from '../../model/page-views.ts';
import { type Resource, resourceKey } from '../../model/resources.ts';
import type { ResourceIssue } from '../../model/types.ts';
import type { CertificatesView, StatusView } from '../../model/views.ts';
import { edgeDetails, nodeDetails } from './details-view.ts';
import { FlowWindow } from './flow-window.ts';
import { type GraphSources, graphView } from './graph-view.ts';
import { LastCarried } from './last-carried.ts';
import { LiveCounters } from './live-counters.ts';
import { MeshMap } from './mesh-map.ts';
import { problemsView } from './problems-view.ts';
import { proxiesDown, proxiesView, silentReplicas } from './proxies-view.ts';
import { ProxyReader } from './proxy-reader.ts';
import type { Replicas } from './replicas.ts';
import { SeenPairs } from './seen-pairs.ts';

export interface MeshWatchOptions {
  /** Every replica of the controller, with the proxies that each knows. */
  readonly replicas: Pick<Replicas, 'look' | 'proxies' | 'status' | 'views'>;
  readonly compiler: Pick<MeshCompiler, 'mesh' | 'peerAuthenticationOf'>;
  readonly status: () => StatusView;
  readonly certificates: () => CertificatesView;
  readonly source: Pick<MeshSource, 'followAside'>;
  readonly clock: Clock;
}

/** A view as the browser gets it; `version` grows when something but a time has changed. */
interface Told<View> {
  readonly view: View;
  readonly json: string;
  readonly version: number;
}

export type Topic = 'graph' | 'proxies' | 'problems';

const turnMs = 1_000;
/** How long all goes on after the last one went: a page that is loaded again, or somebody who polls. */
const lingerMs = 15_000;
/** The linter reads the whole mesh: it runs at most so often, and not more than this share of the time. */
const analyzeEveryMs = 5_000;
const analyzeShare = 0.05;
/** The other replicas are asked what they have. */
const replicasEveryTurns = 3;
/** Proxies are told of again though nothing changed, for their times. */
const proxiesEveryTurns = 5;

/** Built once; costs nothing until `watch`, and again when all have gone. */
export class MeshWatch {
  readonly #options: MeshWatchOptions;
  readonly #resources = new Map<string, Resource>();
  readonly #told = new Map<Topic, Told<unknown>>();
  readonly #waiting = new Set<() => void>();
  #watchers = 0;
  #running: Running | null = null;
  #cancelTurn: (() => void) | null = null;
  #cancelEnd: (() => void) | null = null;
  #map: MeshMap | null = null;
  #findings: readonly ResourceIssue[] = [];
  #isAnalyzed = false;
  #analyzeAgainMs = 0;
  #turns = 0;
  #isClosed = false;

  constructor(options: MeshWatchOptions) {
    this.#options = options;
  }

  /** The resources that changed and those that went; the mesh has been compiled with them. */
  changed(upserts: readonly Resource[], gone: readonly { kind: string; namespace: string; name: string }[]): void {
    for (const one of gone) this.#resources.delete(resourceKey(one as Resource));
    for (const resource of upserts) this.#resources.set(resourceKey(resource), resource);
    this.#map = null;
    this.#isAnalyzed = false;
  }

  /** Begins to watch; the function ends it. */
  watch(): () => void {
    this.#watchers++;
    this.#begin();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#watchers--;
      this.#endLater();
    };
  }

  /** What is told now, as JSON, with its version. Waits until it was looked for the first time. */
  async tell(topic: Topic): Promise<{ readonly json: string; readonly version: number }> {
    const release = this.watch();
    try {
      await this.#running?.first;
      if (!this.#told.has(topic)) this.#make();
      return this.#told.get(topic) ?? { json: 'null', version: 0 };
    } finally {
      release();
    }
  }

  /** What is told as of the last turn; null before the first. */
  last(topic: Topic): { readonly json: string; readonly version: number } | null {
    return this.#told.get(topic) ?? null;
  }

  /** Resolves with the next turn, or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      if (signal.aborted || this.#isClosed) return resolve();
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Details of a node or an edge; null for what is not there. */
  async details(of: 'node' | 'edge', id: string): Promise<DetailsView | null> {
    const release = this.watch();
    try {
      await this.#running?.first;
      const sources = this.#sources();
      if (sources === null) return null;
      return of === 'node' ? nodeDetails(id, sources) : edgeDetails(id, sources);
    } finally {
      release();
    }
  }

  /** True while something is followed. */
  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#end();
    for (const done of [...this.#waiting]) done();
  }

  #begin(): void {
    this.#cancelEnd?.();
    this.#cancelEnd = null;
    if (this.#running !== null || this.#isClosed) return;
    const { replicas, clock, source } = this.#options;
    const window = new FlowWindow(clock.now());
    const live = new LiveCounters();
    const pairs = new SeenPairs();
    const carried = new LastCarried();
    const reader = new ProxyReader({
      observed: replicas,
      clock,
      flow: (flow) => {
        const map = this.#mapNow();
        const place = map.placeOf(flow);
        if (place !== null) window.add(flow, place, clock.now());
        carried.add(flow, map, clock.now());
      },
      counted: (lists) => {
        live.take(lists, this.#mapNow(), clock.now());
        if (pairs.take(lists)) this.#isAnalyzed = false;
      },
    });
    const aside = source.followAside(() => {
      this.#isAnalyzed = false;
    });
    const first = replicas.look().then(() => reader.start());
    this.#running = { window, live, pairs, carried, reader, aside, first };
    this.#isAnalyzed = false;
    this.#armTurn();
  }

  #armTurn(): void {
    this.#cancelTurn = this.#options.clock.after(turnMs, () => {
      if (this.#running === null) return;
      this.#turns++;
      if (this.#turns % replicasEveryTurns === 0) void this.#options.replicas.look();
      this.#running.reader.turn(this.#turns);
      this.#make();
      for (const done of [...this.#waiting]) done();
      this.#armTurn();
    });
  }

  #endLater(): void {
    if (this.#watchers > 0 || this.#cancelEnd !== null) return;
    this.#cancelEnd = this.#options.clock.after(lingerMs, () => this.#end());
  }

  #end(): void {
    this.#cancelEnd?.();
    this.#cancelEnd = null;
    this.#cancelTurn?.();
    this.#running?.reader.close();
    this.#running?.aside.close();
    this.#running = null;
    this.#told.clear();
    this.#map = null;
  }

  /** Makes every view anew; a fault of one of them is no reason not to tell the others. */
  #make(): void {
    const running = this.#running;
    if (running === null) return;
    const { status, certificates, replicas, clock } = this.#options;
    const nowMs = clock.now();
    const { states } = running.reader;
    const map = this.#mapNow();
    const own = status();
    const told = { status: replicas.status(own), replicas: replicas.views(own), mesh: map.mesh };
    const shared = { ...told, states, carried: running.carried, nowMs };
    const proxies = proxiesView(shared);
    running.proxies = proxies;
    this.#tell('proxies', proxies, this.#turns % proxiesEveryTurns === 0);
    const sources = this.#sources();
    if (sources !== null) this.#tell('graph', graphView({ ...sources, nowMs }), true);
    this.#analyze(nowMs, running);
    const unseen = running.aside.problems();
    const problems = { ...shared, map, certificates: certificates(), findings: this.#findings, unseen };
    this.#tell('problems', problemsView(problems), false);
  }

  #tell(topic: Topic, view: GraphView | ProxiesView | ProblemsView, always: boolean): void {
    const before = this.#told.get(topic);
    const isSame = !always && before !== undefined && sameButTime(before.view as object, view);
    if (isSame) return;
    this.#told.set(topic, { view, json: JSON.stringify(view), version: (before?.version ?? 0) + 1 });
  }

  #sources(): GraphSources | null {
    const running = this.#running;
    if (running === null) return null;
    const { reader, window, live, proxies } = running;
    const heard = reader.heard();
    const controllers = silentReplicas(proxies?.replicas ?? []).map((pod) => `controller/${pod}`);
    const states = [...reader.states.values()].flatMap(({ state }) => (state === null ? [] : [state]));
    return {
      map: this.#mapNow(),
      window,
      live: live.edges,
      ejected: states.flatMap(({ ejected = [] }) => ejected),
      refusing: states.flatMap(({ refusing = [] }) => refusing),
      heard: { proxies: heard.proxies, silent: [...controllers, ...heard.silent] },
      proxiesDown: proxies === undefined ? new Map() : proxiesDown(proxies),
      nowMs: this.#options.clock.now(),
      strictFor: (pod) => this.#strictFor(pod),
    };
  }

  #strictFor(name: string): string | null {
    const pod = this.#mapNow().pod(name);
    const found = pod === null ? null : this.#options.compiler.peerAuthenticationOf(pod);
    return found === null ? null : `${found.namespace}/${found.name}`;
  }

  #mapNow(): MeshMap {
    this.#map ??= new MeshMap(this.#options.compiler.mesh());
    return this.#map;
  }

  #analyze(nowMs: number, { pairs: { edges }, aside }: Running): void {
    if (this.#isAnalyzed || nowMs < this.#analyzeAgainMs) return;
    const startedMs = performance.now();
    this.#findings = analyze({
      resources: [...this.#resources.values()],
      unused: aside.objects(),
      unreadable: [],
      edges,
    });
    const tookMs = performance.now() - startedMs;
    this.#isAnalyzed = true;
    this.#analyzeAgainMs = nowMs + Math.max(analyzeEveryMs, tookMs / analyzeShare);
  }
}

interface Running {
  readonly window: FlowWindow;
  readonly live: LiveCounters;
  readonly pairs: SeenPairs;
  readonly carried: LastCarried;
  readonly reader: ProxyReader;
  readonly aside: Aside;
  /** Every proxy has been asked once. */
  readonly first: Promise<void>;
  /** As last made. */
  proxies?: ProxiesView;
}

function sameButTime(before: object, now: object): boolean {
  const withoutTimes = (view: object): string =>
    JSON.stringify(view, (key, value) => (key === 'time' || key === 'heardAt' || key === 'load' ? undefined : value));
  return withoutTimes(before) === withoutTimes(now);
}
