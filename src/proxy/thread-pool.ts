// The data threads of a proxy: a piscina pool with one never-ending serve task per thread. A thread that dies
// takes only its own connections with it; it is replaced, with the next descriptors of its row, and told everything
// anew.
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { letWorkersCompact } from '../base/compact-heap.ts';
import { MeshError } from '../base/errors.ts';
import { SharedUse } from '../forward/shared-use.ts';
import type { ConnectionView, EjectedListView, LoopDelayView, NodeDump, ResourcesView } from '../model/views.ts';
import type { KeptFlow } from '../telemetry/flow-ring.ts';
import type { Logger } from '../telemetry/logger.ts';
import { noDelay } from './loop-delay.ts';
import type { DataThreadStart, FromDataThread, ToDataThread } from './messages.ts';
import { ThreadTotals } from './thread-totals.ts';

export interface ThreadPoolOptions {
  readonly threads: number;
  /**
   * The start of a thread's life number `life`, from 0. Throws when its descriptors are used up: then the process
   * must end.
   */
  readonly startOf: (threadId: number, life: number) => DataThreadStart;
  /**
   * What a thread that has just started must be told: the whole mesh, certificates, log level. Empty before they are
   * known.
   */
  readonly welcome: (threadId: number) => readonly ToDataThread[];
  readonly onCertificateWanted: (identity: string, reply: (message: ToDataThread) => void) => void;
  /** A thread began to serve, or died. */
  readonly onChange: () => void;
  /** The pool cannot go on. */
  readonly onFatal: (error: MeshError) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Path of the module that exports `serve`: what each worker runs. */
  readonly entry: string;
}

interface Thread {
  readonly id: number;
  state: 'starting' | 'serving' | 'dead';
  life: number;
  port: MessagePort | null;
  readonly backoff: Backoff;
  servingSinceMs: number;
  tcp: string;
  loopDelayMs: LoopDelayView;
  resources: ResourcesView;
}

type ThreadView = NodeDump['threads'][number];
type RunOptions = Parameters<Piscina['run']>[1];

/** How far somebody has read the flows of a thread: of another life, it begins anew. */
export interface FlowMark {
  readonly life: number;
  readonly mark: number;
}

/** Questions to one thread, and their answers. */
type Question = Extract<ToDataThread, { type: 'flows' | 'strain' }>;
type AnswerTo<Type extends Question['type']> = Extract<FromDataThread, { type: Type }>;

interface PendingAnswer {
  readonly thread: Thread;
  readonly resolve: (message: AnswerTo<Question['type']> | null) => void;
}

interface PendingSnapshot {
  readonly waitingFor: Set<number>;
  readonly connections: ConnectionView[];
  readonly resolve: (connections: ConnectionView[]) => void;
  readonly cancel: () => void;
}

const restartFirstMs = 10;
const restartCapMs = 2_000;
const restartJitter = 0.2;
/** V8 would let it grow to 48 MB under load, and it does not pay: what a connection allocates lives long or briefly. */
const youngGenerationMb = 12;
/** How long a thread may take to close what it holds before it is terminated. */
const closeMaxMs = 2_000;
/** A thread that served this long before it died is restarted at once. */
const healthyAfterMs = 60_000;

/** Runs `threads` data threads from `start` to `close`, each in an endless series of lives. */
export class ThreadPool {
  readonly totals = new ThreadTotals();
  /** What all threads count together. */
  readonly use: SharedUse;
  readonly #options: ThreadPoolOptions;
  readonly #pool: Piscina;
  readonly #threads: Thread[];
  readonly #snapshots = new Map<number, PendingSnapshot>();
  readonly #asked = new Map<number, PendingAnswer>();
  readonly #draining = new Map<number, (closedByDeadline: number) => void>();
  /** Settles with each task, however it ended. */
  readonly #tasks = new Set<Promise<void>>();
  #nextSnapshot = 1;
  #isClosing = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    letWorkersCompact();
    const { threads, random, entry } = options;
    this.use = new SharedUse(threads);
    // One endless task per thread: nothing may ever wait for a signal between tasks.
    const sizes = {
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 1,
      atomics: 'disabled',
    } as const;
    this.#pool = new Piscina({
      filename: entry,
      name: 'serve',
      idleTimeout: Number.POSITIVE_INFINITY,
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
      ...sizes,
    });
    this.#pool.on('error', (error: unknown) =>
      options.log.error({ error }, 'a data thread failed outside of its task'),
    );
    this.#threads = Array.from({ length: threads }, (_, id) => {
      const backoff = new Backoff({ firstMs: restartFirstMs, capMs: restartCapMs, jitter: restartJitter, random });
      const seen = { servingSinceMs: 0, tcp: '', loopDelayMs: noDelay, resources: {} };
      return { id, state: 'starting', life: 0, port: null, backoff, ...seen };
    });
  }

  /** Starts every thread; they serve once they have been told the whole mesh. */
  start(): void {
    for (const thread of this.#threads) this.#run(thread);
  }

  views(): ThreadView[] {
    return this.#threads.map(({ id, state, life, tcp, loopDelayMs, resources }) => {
      return { id, state, restarts: life, connections: this.totals.connectionsOf(id), tcp, loopDelayMs, resources };
    });
  }

  /** Sends to every thread that lives. */
  broadcast(message: ToDataThread): void {
    for (const { port } of this.#threads) port?.postMessage(message);
  }

  /** Sends to one thread what `make` makes; it is not called when that thread does not live. */
  tell(threadId: number, make: () => ToDataThread | null): void {
    const port = this.#threads[threadId]?.port ?? null;
    const message = port === null ? null : make();
    if (message !== null) port?.postMessage(message);
  }

  /**
   * Asks all threads for their counters, which go into `totals`, and for their connections if wanted. A thread that
   * does not answer within `deadlineMs` is left out.
   */
  snapshot(connections: boolean, deadlineMs: number): Promise<ConnectionView[]> {
    const asked = this.#serving();
    if (asked.length === 0) return Promise.resolve([]);
    const id = this.#nextSnapshot++;
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(deadlineMs, () => this.#settleSnapshot(id));
      const waitingFor = new Set(asked.map((thread) => thread.id));
      this.#snapshots.set(id, { waitingFor, connections: [], resolve, cancel });
      for (const { port } of asked) port?.postMessage({ type: 'snapshot', id, connections } satisfies ToDataThread);
    });
  }

  /**
   * Resolves to the flows that threads have kept since `marks`, oldest first, and moves the marks; at most the newest
   * `max` of each thread. A thread that does not answer within `deadlineMs` is left out.
   */
  async flowsSince(marks: Map<number, FlowMark>, max: number, deadlineMs: number): Promise<KeptFlow[]> {
    const answers = await Promise.all(
      this.#serving().map(async (thread) => {
        const { id: threadId, life } = thread;
        const before = marks.get(threadId);
        const mark = before?.life === life ? before.mark : 0;
        const answer = await this.#ask(thread, (id) => ({ type: 'flows', id, mark, max }), deadlineMs);
        if (answer !== null) marks.set(threadId, { life, mark: answer.last });
        return answer?.flows ?? [];
      }),
    );
    return answers.flat().sort((a, b) => (a.record.time < b.record.time ? -1 : 1));
  }

  /** What each thread holds back now; one that does not answer within `deadlineMs` is left out. */
  async strain(deadlineMs: number): Promise<EjectedListView[]> {
    const ask = (thread: Thread) => this.#ask(thread, (id) => ({ type: 'strain', id }), deadlineMs);
    const answers = await Promise.all(this.#serving().map(ask));
    return answers.flatMap((answer) => answer?.strain ?? []);
  }

  #serving(): Thread[] {
    return this.#threads.filter(({ port, state }) => port !== null && state === 'serving');
  }

  /** Null when the thread ends, or does not answer in time. */
  #ask<Asked extends Question>(
    thread: Thread,
    make: (id: number) => Asked,
    deadlineMs: number,
  ): Promise<AnswerTo<Asked['type']> | null> {
    const id = this.#nextSnapshot++;
    return new Promise((resolve) => {
      const settle: PendingAnswer['resolve'] = (message) => {
        this.#asked.delete(id);
        cancel();
        resolve(message as AnswerTo<Asked['type']> | null);
      };
      const cancel = this.#options.clock.after(deadlineMs, () => settle(null));
      this.#asked.set(id, { thread, resolve: settle });
      thread.port?.postMessage(make(id));
    });
  }

  /** Makes a thread that serves crash; false when there is none with this id. For tests of what follows. */
  crash(threadId: number): boolean {
    const thread = this.#threads[threadId];
    if (thread?.state !== 'serving') return false;
    thread.port?.postMessage({ type: 'crash' } satisfies ToDataThread);
    return true;
  }

  /**
   * No thread accepts any more; resolves when the last connection has ended, or at the deadline, which ends what is
   * left, with the number of connections that it ended.
   */
  async drain(deadlineMs: number): Promise<number> {
    this.#isClosing = true;
    const living = this.#threads.filter(({ port }) => port !== null);
    const done = living.map(({ id }) => new Promise<number>((resolve) => this.#draining.set(id, resolve)));
    this.broadcast({ type: 'drain', deadlineMs });
    return (await Promise.all(done)).reduce((sum, closed) => sum + closed, 0);
  }

  /** Ends every thread; resolves when the last one has let go of what it held. Idempotent. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const id of [...this.#snapshots.keys()]) this.#settleSnapshot(id);
    for (const { resolve } of [...this.#asked.values()]) resolve(null);
    for (const thread of this.#threads) thread.port?.close();
    // A worker that is terminated while it closes its sockets has brought the whole process down.
    const deadline = new AbortController();
    await Promise.race([Promise.all(this.#tasks), sleep(closeMaxMs, undefined, { signal: deadline.signal })]);
    deadline.abort();
    await this.#pool.destroy();
  }

  #run(thread: Thread): void {
    const { log, onFatal, onChange, welcome, startOf } = this.#options;
    let start: DataThreadStart;
    try {
      start = { ...startOf(thread.id, thread.life), use: this.use.memory };
    } catch (error) {
      onFatal(MeshError.from(error));
      return;
    }
    const { port1, port2 } = new MessageChannel();
    thread.state = 'starting';
    thread.port = port1;
    port1.on('message', (message: FromDataThread) => this.#onMessage(thread, message));
    for (const message of welcome(thread.id)) port1.postMessage(message);
    const task = { start, port: port2 };
    const reason = 'it ended by itself';
    // piscina's types know the list by the signature of an older Node.
    const transferList = [port2] as unknown as NonNullable<RunOptions>['transferList'];
    const ended = this.#pool.run(task, { transferList }).then(
      () => this.#onDeath(thread, new MeshError('INTERNAL', { reason })),
      (error: unknown) => this.#onDeath(thread, error),
    );
    this.#tasks.add(ended);
    void ended.then(() => this.#tasks.delete(ended));
    log.debug({ thread: thread.id, life: thread.life }, 'data thread starts');
    onChange();
  }

  #onDeath(thread: Thread, error: unknown): void {
    const { log, clock, onChange } = this.#options;
    thread.port?.close();
    thread.port = null;
    thread.state = 'dead';
    this.#draining.get(thread.id)?.(0);
    this.totals.retire(thread.id);
    this.use.clear(thread.id);
    for (const [id, pending] of this.#snapshots) {
      if (pending.waitingFor.delete(thread.id) && pending.waitingFor.size === 0) this.#settleSnapshot(id);
    }
    for (const { thread: asked, resolve } of [...this.#asked.values()]) if (asked === thread) resolve(null);
    if (this.#isClosing) return;
    if (thread.servingSinceMs > 0 && clock.now() - thread.servingSinceMs > healthyAfterMs) thread.backoff.reset();
    thread.life += 1;
    thread.servingSinceMs = 0;
    thread.loopDelayMs = noDelay;
    thread.resources = {};
    const delayMs = thread.backoff.next();
    log.error({ thread: thread.id, life: thread.life, delayMs, error }, 'data thread died and is replaced');
    onChange();
    clock.after(delayMs, () => {
      if (!this.#isClosing) this.#run(thread);
    });
  }

  #onMessage(thread: Thread, message: FromDataThread): void {
    switch (message.type) {
      case 'serving':
        thread.state = 'serving';
        thread.servingSinceMs = this.#options.clock.now();
        thread.tcp = message.tcp;
        if (message.tcp !== 'raw')
          this.#options.log.warn({ thread: thread.id, tcp: message.tcp }, 'TCP is not at its best');
        this.#options.onChange();
        break;
      case 'certificateWanted':
        this.#options.onCertificateWanted(message.identity, (reply) => thread.port?.postMessage(reply));
        break;
      case 'notice':
        this.#options.log.info({ thread: thread.id, ...message.fields }, message.message);
        break;
      case 'snapshot':
        this.#onSnapshot(thread, message);
        break;
      case 'flows':
      case 'strain':
        this.#asked.get(message.id)?.resolve(message);
        break;
      case 'drained':
        this.#draining.get(thread.id)?.(message.closedByDeadline);
        break;
      default:
        message satisfies never;
    }
  }

  #onSnapshot(thread: Thread, message: Extract<FromDataThread, { type: 'snapshot' }>): void {
    this.totals.update(thread.id, message);
    thread.loopDelayMs = message.loopDelayMs;
    if (message.resources !== undefined) thread.resources = message.resources;
    const pending = this.#snapshots.get(message.id);
    if (pending === undefined) return;
    pending.connections.push(...message.connections);
    pending.waitingFor.delete(thread.id);
    if (pending.waitingFor.size === 0) this.#settleSnapshot(message.id);
  }

  #settleSnapshot(id: number): void {
    const pending = this.#snapshots.get(id);
    if (pending === undefined) return;
    this.#snapshots.delete(id);
    pending.cancel();
    pending.resolve(pending.connections);
  }
}
