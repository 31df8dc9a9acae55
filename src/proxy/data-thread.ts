// A data thread: one worker with its own tables, certificates, tunnels and listeners. A connection lives and dies on
// one of them. The main thread feeds it over a MessagePort and asks it for snapshots; see `messages.ts`.
import { flushCompileCache } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { MeshError } from '../base/errors.ts';
import { tcpBackendName } from '../io/tcp-backend.ts';
import type { SpiffeId } from '../model/types.ts';
import { activeResources } from './active-resources.ts';
import type { DataPath, Notice } from './data-path.ts';
import { HeapKeeper } from './heap-keeper.ts';
import { LoopDelay } from './loop-delay.ts';
import type { DataThreadStart, FromDataThread, PodOpened, ToDataThread } from './messages.ts';

/** The listening sockets of a data thread. */
export interface ThreadListeners {
  /** Opens all. Rejects with NOT_REACHABLE when one cannot be opened. */
  open(start: DataThreadStart): Promise<void>;
  /** Accepts no more. Idempotent. */
  close(): void;
  /** A pod's own listeners come, and go. */
  openPod?(pod: PodOpened): void;
  closePod?(id: number): void;
}

/**
 * What a kind of proxy makes its data threads of; `ask` requests a certificate from the main thread, `notice` has it
 * write a line into the log.
 */
export type AssembleThread = (
  start: DataThreadStart,
  ask: (identity: SpiffeId) => void,
  notice: Notice,
) => { readonly path: DataPath; readonly listeners: ThreadListeners };

/** What piscina hands to a worker. */
export interface DataThreadTask {
  readonly start: DataThreadStart;
  readonly port: MessagePort;
}

/**
 * The task that piscina runs in each worker: serves until the port is closed. Resolves then; rejects when a listener
 * cannot be opened.
 */
export async function serveThread({ start, port }: DataThreadTask, assemble: AssembleThread): Promise<void> {
  const thread = new DataThread(start, port, assemble);
  // Whatever ends the worker, the lines of ended connections get out.
  const flush = (): void => thread.flushLogs();
  process.once('exit', flush);
  // A worker that dies must not seem to have said all. Not every back end is reset by its death (`io/death-reset.ts`),
  // and peers and the access log are to hear why: what it carries is reset before.
  const crash = (error: unknown): void => {
    process.off('uncaughtException', crash);
    thread.abort(error);
    setTimeout(() => {
      throw error;
    }, crashDelayMs);
  };
  process.on('uncaughtException', crash);
  setTimeout(flushCompileCache, compileCacheAfterMs).unref();
  try {
    await thread.done;
    await atRest();
  } finally {
    process.off('exit', flush);
    process.off('uncaughtException', crash);
  }
}

/**
 * What was closed is let go of in the next turns of the event loop. Resolves when no socket is left in this thread, or
 * after some turns.
 */
async function atRest(): Promise<void> {
  for (let turn = 0; turn < restTurnsMax; turn++) {
    await nextTurn();
    if (!process.getActiveResourcesInfo().some((name) => /^(TCP|TLS)/.test(name))) return;
  }
}

const restTurnsMax = 100;
/** Time for resets to leave before the thread is gone. */
const crashDelayMs = 20;
/** Each thread has a compile cache of its own, which Node writes at its exit only, and one that is killed has none. */
const compileCacheAfterMs = 2_000;

/** Assembles the data path and obeys the messages of the main thread. Ends when the port is closed. */
export class DataThread {
  /** Settles when this thread has ended; rejects when it could not serve. */
  readonly done: Promise<void>;
  readonly #start: DataThreadStart;
  readonly #port: MessagePort;
  readonly #path: DataPath;
  readonly #listeners: ThreadListeners;
  readonly #heap: HeapKeeper;
  readonly #loopDelay = new LoopDelay();
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #knowsMesh = false;
  #knowsClientAddresses: boolean;
  #listening = false;
  #draining = false;
  #closed = false;

  constructor(start: DataThreadStart, port: MessagePort, assemble: AssembleThread) {
    this.#start = start;
    this.#knowsClientAddresses = !start.awaitsClientAddresses;
    this.#port = port;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    const ask = (identity: SpiffeId): void => this.#tell({ type: 'certificateWanted', identity });
    const parts = assemble(start, ask, (message, fields) => this.#tell({ type: 'notice', message, fields }));
    this.#path = parts.path;
    this.#listeners = parts.listeners;
    this.#loopDelay.start();
    this.#heap = new HeapKeeper({ connections: () => this.#path.tracker.size });
    port.on('message', (message: ToDataThread) => this.#obey(message));
    port.on('close', () => this.close());
  }

  /** Resets every connection, because of a failure that this thread does not survive. */
  abort(error: unknown): void {
    this.#listeners.close();
    this.#path.abort(MeshError.from(error));
    this.flushLogs();
  }

  counters(): Record<string, number> {
    return this.#path.counters();
  }

  flushLogs(): void {
    this.#path.accessLog.flush();
  }

  /** Ends every connection at once and lets go of everything. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.close();
    this.#heap.close();
    this.#loopDelay.close();
    this.#path.close();
    this.#port.close();
    this.#resolve();
  }

  #tell(message: FromDataThread): void {
    this.#port.postMessage(message);
  }

  #obey(message: ToDataThread): void {
    const { credentials, accessLog } = this.#path;
    switch (message.type) {
      case 'mesh':
        this.#path.applyMesh(message.update);
        if (message.update.complete) this.#meshKnown();
        break;
      case 'meshKnown':
        this.#meshKnown();
        break;
      case 'certificate':
        credentials.set(message);
        break;
      case 'certificateFailed':
        credentials.fail(message.identity, message.reason);
        break;
      case 'certificateForgotten':
        credentials.forget(message.identity);
        break;
      case 'revocations':
        this.#path.revoke(message.revocations);
        break;
      case 'snapshot':
        this.#snapshot(message.id, message.connections);
        break;
      case 'flows':
        this.#tell({ type: 'flows', id: message.id, ...this.#path.flows.since(message.mark, message.max) });
        break;
      case 'strain':
        this.#tell({ type: 'strain', id: message.id, strain: this.#path.strain() });
        break;
      case 'drain':
        this.#drain(message.deadlineMs);
        break;
      case 'clientAddresses':
        this.#path.clientAddresses.set(message);
        this.#knowsClientAddresses = true;
        this.#listen();
        break;
      case 'networks':
        this.#path.setNetworks(message);
        break;
      case 'logLevel':
        accessLog.setLevel(message.level);
        break;
      case 'config':
        this.#path.reconfigure(message.config);
        break;
      case 'podOpened':
        this.#listeners.openPod?.(message.pod);
        break;
      case 'podClosed':
        this.#listeners.closePod?.(message.id);
        break;
      case 'crash':
        setImmediate(() => {
          throw new MeshError('INTERNAL', { reason: 'the thread was asked to crash' });
        });
        break;
      default:
        message satisfies never;
    }
  }

  #meshKnown(): void {
    this.#knowsMesh = true;
    this.#listen();
  }

  /** Before the whole mesh is known, an enrolled pod would look like one outside, so that nothing is accepted. */
  #listen(): void {
    if (!this.#knowsMesh || !this.#knowsClientAddresses || this.#listening || this.#draining) return;
    this.#listening = true;
    this.#listeners.open(this.#start).then(
      () => {
        this.#tell({ type: 'serving', tcp: tcpBackendName() });
        if (!this.#closed) this.#heap.start();
      },
      (error: unknown) => {
        this.#reject(error);
        this.close();
      },
    );
  }

  #snapshot(id: number, connections: boolean): void {
    const { tracker, edges, requests } = this.#path;
    tracker.countBytes();
    this.#tell({
      type: 'snapshot',
      id,
      connections: connections ? this.#path.views() : [],
      edges: edges.views(),
      requests: requests.rows(),
      counters: this.#path.counters(),
      loopDelayMs: this.#loopDelay.view(),
      ...(connections ? { resources: activeResources() } : {}),
    });
  }

  #drain(deadlineMs: number): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#listeners.close();
    this.#path.drain(deadlineMs, new MeshError('DRAINED'), (closedByDeadline) => {
      this.#path.accessLog.flush();
      if (!this.#closed) this.#tell({ type: 'drained', closedByDeadline });
    });
  }
}
