// Follows one kind: a paged list, then a watch that goes on from where the list stood, for as long as the program runs.
// Whatever the API server does, what was known stays known, and only what differs from it is told.

import { EventEmitter } from 'node:events';
import { Backoff } from '../../base/backoff.ts';
import { pause, systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { type Absence, findAbsence } from './absence.ts';
import { eventOf, listOf, pageKeep, type WatchEvent } from './answers.ts';
import type { ApiClient } from './api-client.ts';
import { apiErrorOfStatus, failureOf, isExpired } from './api-error.ts';
import { JsonLines } from './json-lines.ts';
import type { Keep } from './json-pick.ts';
import { fullName, listPath, type WatchedKind } from './kinds.ts';
import { KnownObjects, type ObjectChange } from './known-objects.ts';
import { keepOf } from './prune.ts';

export type { ObjectChange } from './known-objects.ts';

/**
 * `waiting`: not listed yet. `synced`: listed. `absent`: the API server does not have the kind, and says so for sure.
 * `refused`: it is not for us.
 */
export type ReflectorPhase = 'waiting' | 'synced' | 'absent' | 'refused';

export interface ReflectorState {
  readonly phase: ReflectorPhase;
  /** What goes wrong at present; '' when nothing does. */
  readonly problem: string;
  /** The problem is that there is no API server to ask, and not of this kind alone. */
  readonly isOutage: boolean;
}

export interface ReflectorEvents {
  /** Objects that came, changed or went, in the order in which that is to be carried out. */
  changed: [ObjectChange];
  /** `state` is another one. */
  state: [ReflectorState];
}

export interface ReflectorTimes {
  readonly pageTimeoutMs: number;
  /** A watch is asked to end after this to twice of it, so that none grows old. */
  readonly watchMs: number;
  /** The API server sends a bookmark each minute: a watch that says less than that is lost. */
  readonly inactivityMs: number;
  readonly retryFirstMs: number;
  readonly retryCapMs: number;
  /** How often a kind that is not there, or not for us, is asked for. */
  readonly absentRetryMs: number;
}

const usual: ReflectorTimes = {
  pageTimeoutMs: 60_000,
  watchMs: 300_000,
  inactivityMs: 100_000,
  retryFirstMs: 250,
  retryCapMs: 10_000,
  absentRetryMs: 5_000,
};

export interface ReflectorOptions {
  readonly client: ApiClient;
  readonly kind: WatchedKind;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly times?: Partial<ReflectorTimes>;
  /** Only objects with these labels. */
  readonly labelSelector?: string;
  /** What is kept of each object; default: what the readers of its kind look at. */
  readonly keep?: Keep;
  /** Names and versions alone are asked for, not what objects say. */
  readonly metadataOnly?: boolean;
}

const pageSize = 500;
/** Failures of watches in a row, none of them with news, after which everything is listed again. */
const fruitlessMax = 5;
/** A watch that has been open for so long counts as one that works. */
const settledMs = 1_000;
/** A problem is told when it lasts: watches end now and then. */
const toldFromFailure = 2;

/** Lists and watches from `start` to `close`. */
export class Reflector extends EventEmitter<ReflectorEvents> {
  readonly #options: ReflectorOptions;
  readonly #times: ReflectorTimes;
  readonly #known: KnownObjects;
  readonly #keep: Keep;
  readonly #pageKeep: Keep;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  #state: ReflectorState = { phase: 'waiting', problem: '', isOutage: false };
  #version: string;
  /** Where the watch goes on; '' when everything has to be listed. */
  #resourceVersion = '';
  #failures = 0;
  #running: Promise<void> | null = null;

  constructor(options: ReflectorOptions) {
    super();
    this.#options = options;
    this.#times = { ...usual, ...options.times };
    this.#version = options.kind.versions[0]!;
    this.#known = new KnownObjects(options.kind.kind);
    this.#keep = options.keep ?? keepOf(options.kind.kind);
    this.#pageKeep = pageKeep(this.#keep);
    const { retryFirstMs: firstMs, retryCapMs: capMs } = this.#times;
    this.#backoff = new Backoff({ firstMs, capMs, jitter: 0.5, random: options.random });
  }

  get state(): ReflectorState {
    return this.#state;
  }

  get kind(): WatchedKind {
    return this.#options.kind;
  }

  /** Which version of the kind is used. */
  get version(): string {
    return this.#version;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is under way any more; idempotent. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === '') await this.#list();
        await this.#watch();
      } catch (error) {
        if (!signal.aborted) await this.#recover(error);
      }
    }
  }

  /** Reads every page, and only then takes it in: half a list would look like deletions. */
  async #list(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#abort;
    const path = listPath(this.kind, this.#version);
    const pass = this.#known.beginList(this.#apiVersion());
    let next = '';
    let resourceVersion = '';
    do {
      const query = { ...this.#selector(), limit: String(pageSize), ...(next === '' ? {} : { continue: next }) };
      const timeoutMs = this.#times.pageTimeoutMs;
      const accept = this.#accept('PartialObjectMetadataList');
      const answer = await client.bytes({ path, query, signal, timeoutMs, ...accept });
      const page = listOf(answer, this.#pageKeep, path);
      for (const object of page.items) pass.add(object);
      resourceVersion = page.resourceVersion;
      next = page.next;
    } while (next !== '');
    this.#resourceVersion = resourceVersion;
    const change = pass.end();
    if (change.upserts.length > 0 || change.deletes.length > 0) this.emit('changed', change);
    this.#become('synced', '');
  }

  async #watch(): Promise<void> {
    const { client, random } = this.#options;
    const { watchMs, inactivityMs } = this.#times;
    const query = {
      ...this.#selector(),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#resourceVersion,
      timeoutSeconds: String(Math.ceil((watchMs * (1 + random())) / 1000)),
    };
    const path = listPath(this.kind, this.#version);
    const { signal } = this.#abort;
    const lines = new JsonLines();
    const startedMs = performance.now();
    let settled: NodeJS.Timeout | undefined;
    const opened = (): void => {
      settled = setTimeout(() => this.#succeeded(), settledMs);
    };
    try {
      for await (const chunk of client.watch({
        path,
        query,
        ...this.#accept('PartialObjectMetadata'),
        signal,
        inactivityMs,
        opened,
      })) {
        this.#take(lines.push(chunk), path);
      }
    } finally {
      clearTimeout(settled);
    }
    // One that the API server ends at once, each time, must not be asked for in a tight loop.
    if (performance.now() - startedMs < settledMs) await this.#pause(this.#backoff.next());
  }

  #take(lines: readonly Buffer[], path: string): void {
    if (lines.length === 0) return;
    const pass = this.#known.beginEvents(this.#apiVersion());
    try {
      for (const line of lines) {
        const { type, object }: WatchEvent = eventOf(line, this.#keep, path);
        if (type === 'ERROR') throw apiErrorOfStatus(`WATCH ${fullName(this.kind)}`, object);
        if (type === 'DELETED') pass.delete(object);
        else if (type !== 'BOOKMARK') pass.add(object);
        const { resourceVersion } = object.metadata;
        if (resourceVersion !== undefined) this.#resourceVersion = resourceVersion;
        this.#succeeded();
      }
    } finally {
      // What came before an error came all the same.
      const change = pass.end();
      if (change.upserts.length > 0 || change.deletes.length > 0) this.emit('changed', change);
    }
  }

  async #recover(error: unknown): Promise<void> {
    this.#failures++;
    const failure = failureOf(error);
    if (isExpired(error) || this.#failures % fruitlessMax === 0) this.#resourceVersion = '';
    if (failure?.status === 404 || failure?.status === 403) {
      this.#resourceVersion = '';
      await this.#explain(failure.status, messageOf(error));
      return;
    }
    this.#complain(error);
    await this.#pause(
      Math.max(this.#backoff.next(), (failure?.retryAfterMs ?? 0) * (1 + 0.1 * this.#options.random())),
    );
  }

  /** The kind is not there, in this version or at all, or it is kept from us. */
  async #explain(status: 403 | 404, words: string): Promise<void> {
    let found: Absence;
    try {
      found = await findAbsence(this.#options.client, this.kind, status, this.#abort.signal);
    } catch (error) {
      this.#complain(error);
      await this.#pause(this.#backoff.next());
      return;
    }
    switch (found.what) {
      case 'served':
        this.#version = found.version;
        // It said 404 of this very version a moment ago: it is only just coming up.
        await this.#pause(this.#backoff.next());
        return;
      case 'absent':
        this.#forgetAll();
        this.#become('absent', '');
        break;
      case 'uncertain':
        // What was known may be there still: only for who never knew any does it make no difference.
        if (this.#known.size === 0) this.#become('absent', '');
        else this.#become(this.#state.phase, words);
        break;
      case 'refused':
        this.#become(this.#state.phase === 'synced' ? 'synced' : 'refused', found.reason === '' ? words : found.reason);
        break;
    }
    await this.#pause(this.#times.absentRetryMs * (1 - 0.2 * this.#options.random()));
  }

  #forgetAll(): void {
    const deletes = this.#known.clear();
    if (deletes.length > 0) this.emit('changed', { upserts: [], deletes });
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#backoff.reset();
    if (this.#state.problem !== '') this.#become(this.#state.phase, '');
  }

  /** Something went wrong; it is told when it lasts. */
  #complain(error: unknown): void {
    if (this.#failures < toldFromFailure || isExpired(error)) return;
    this.#become(this.#state.phase, messageOf(error), failureOf(error) === null);
  }

  #become(phase: ReflectorPhase, problem: string, isOutage = false): void {
    const { phase: phaseBefore, problem: problemBefore } = this.#state;
    if (phase === phaseBefore && problem === problemBefore) return;
    this.#state = { phase, problem, isOutage };
    this.emit('state', this.#state);
  }

  #selector(): Readonly<Record<string, string>> {
    const { labelSelector } = this.#options;
    return labelSelector === undefined ? {} : { labelSelector };
  }

  #accept(shape: string): { readonly accept?: string } {
    const { metadataOnly = false } = this.#options;
    return metadataOnly ? { accept: `application/json;as=${shape};g=meta.k8s.io;v=v1,application/json` } : {};
  }

  #apiVersion(): string {
    const { group } = this.kind;
    return group === '' ? this.#version : `${group}/${this.#version}`;
  }

  #pause(delayMs: number): Promise<void> {
    return pause(systemClock, delayMs, this.#abort.signal);
  }
}
