// One pod's network namespace: its listeners, its rules, and what became of both. `pod-backend.ts` has all of them and
// says what is wanted; work on one namespace is done one step after the other, and the latest wish counts.
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, messageOf } from '../base/errors.ts';
import type { NetworkNamespaces } from '../io/network-namespace.ts';
import type { TransparentListeners } from '../io/transparent-listener.ts';
import type { PodCaptureView } from '../model/views.ts';
import type { CommandRunner } from './command.ts';
import type { CapturePorts } from './desired.ts';
import type { FoundNamespace } from './pod-finder.ts';
import { endingText, type PodRules, podRulesetText } from './pod-ruleset.ts';
import { applyInPod, type PodPlace, readPod, removeFromPod, replaceTable } from './pod-script.ts';
import { migrateAcceptQueuesNow } from './routes.ts';

export const listenerKinds = ['outbound', 'inbound', 'hbone'] as const;
export type ThreadSockets = Readonly<Record<(typeof listenerKinds)[number], number>>;

/** A pod whose connections come from now on; descriptors belong to the namespace that said so. */
export interface OpenPod {
  readonly id: number;
  readonly addresses: readonly string[];
  readonly namespace: { readonly fd: number; readonly inode: number };
  /** By data thread. */
  readonly listeners: readonly ThreadSockets[];
}

/** Who serves the connections. */
export interface PodSink {
  /** A new one, or one whose addresses have changed. */
  opened(pod: OpenPod): void;
  /** Its connections must end, its descriptors are closed when this returns. */
  closed(id: number): void;
  /** This proxy drains: descriptors are closed when this returns, and what runs goes on. */
  released(id: number): void;
}

export interface PodTools {
  readonly ownerMs: number;
  readonly threads: number;
  readonly sink: PodSink;
  readonly run: CommandRunner;
  readonly namespaces: NetworkNamespaces;
  readonly listeners: TransparentListeners;
  readonly nowMs: () => number;
}

/** `refused`: it is not sure whose namespace it is; nothing of it is served, and its rules reset. */
export type Wish =
  | { readonly kind: 'captured'; readonly rules: PodRules }
  | { readonly kind: 'outside' }
  | { readonly kind: 'refused'; readonly rules: PodRules; readonly reason: string };

/** Connections of a pod that leaves the mesh get so long to be reset before its rules go. */
const endingMs = 200;

/** Made when it is found; `want` and `check` work on it, `gone` lets go of it. Throws nothing: see `view`. */
export class PodNamespace {
  readonly id: number;
  readonly inode: number;
  readonly file: string;
  readonly seenMs: number;
  readonly #tools: PodTools;
  readonly #place: PodPlace;
  readonly #fd: number;
  #addresses: readonly string[];
  #state: PodCaptureView['state'] = 'pending';
  #reason: string | null = null;
  #tookMs: number | null = null;
  #listeners: ThreadSockets[] | null = null;
  #wish: Wish | null = null;
  /** What has been put in place, as text and as the kernel says it; null when that is not known. */
  #applied: { readonly text: string; readonly structure: string | null } | null = null;
  #isClean = false;
  #running: Promise<void> | null = null;
  #isGone = false;

  constructor(id: number, found: FoundNamespace, tools: PodTools) {
    this.id = id;
    this.inode = found.inode;
    this.file = found.file;
    this.#fd = found.fd;
    this.#addresses = found.addresses;
    this.#place = { file: `/proc/${process.pid}/fd/${found.fd}`, families: found.families };
    this.#tools = tools;
    this.seenMs = tools.nowMs();
  }

  get fd(): number {
    return this.#fd;
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** True once its connections come to the proxy: then its addresses are taken. */
  get isOpen(): boolean {
    return this.#listeners !== null;
  }

  view(): PodCaptureView {
    const { addresses, file: namespace } = this;
    return { addresses, namespace, state: this.#state, reason: this.#reason, tookMs: this.#tookMs };
  }

  /** The addresses of a namespace that is still being set up. */
  setAddresses(addresses: readonly string[]): void {
    this.#addresses = addresses;
    if (this.#listeners !== null) this.#tellSink(this.#listeners);
  }

  /** Brings about what is wished; resolves when it has been tried. */
  want(wish: Wish): Promise<void> {
    this.#wish = wish;
    this.#running ??= this.#work().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Reads the rules back; returns what differs, which the next `want` mends. */
  async check(): Promise<string[]> {
    await this.#running;
    const applied = this.#applied;
    if (applied === null || this.#state !== 'redirected' || this.#isGone) return [];
    try {
      const { structure, ownerMs, missing } = await readPod(this.#place, this.#tools.run);
      const isOthers = (ownerMs ?? 0) > this.#tools.ownerMs;
      const isChanged = !isOthers && structure !== applied.structure;
      if (!isChanged && missing.length === 0) return [];
      if (this.#applied === applied) this.#applied = null;
      const what =
        structure === null ? 'table inet ambient is missing' : 'the rules of table inet ambient were changed';
      return [...(isChanged ? [what] : []), ...missing].map((finding) => `${this.#addresses[0]}: ${finding}`);
    } catch (error) {
      return [`${this.#addresses[0]}: ${messageOf(error)}`];
    }
  }

  /** The namespace has gone: its connections end. */
  async gone(): Promise<void> {
    this.#closeListeners();
    await this.release();
  }

  /** The proxy drains: lets go of everything but the rules; data threads close their own descriptors. */
  async release(): Promise<void> {
    if (this.#isGone) return;
    this.#isGone = true;
    if (this.#listeners !== null) {
      this.#tools.sink.released(this.id);
      closeAll(this.#listeners);
      this.#listeners = null;
    }
    await this.#running;
    closeSync(this.#fd); // not before: tools may be on their way in by this very number
  }

  async #work(): Promise<void> {
    let done: Wish | null = null;
    while (this.#wish !== done && !this.#isGone) {
      done = this.#wish;
      try {
        await this.#bringAbout(done!);
      } catch (error) {
        this.#fail(messageOf(error));
      }
    }
  }

  async #bringAbout(wish: Wish): Promise<void> {
    if (wish.kind === 'outside') return await this.#leave();
    this.#isClean = false;
    if (wish.kind === 'captured') return await this.#capture(wish.rules);
    this.#closeListeners();
    this.#fail(wish.reason);
    try {
      await this.#applyRules(wish.rules);
    } catch (error) {
      // Why it is refused is what somebody has to know first.
      this.#fail(`${wish.reason}; ${messageOf(error)}`);
    }
  }

  /** Without listeners the rules reset what the pod sends and is sent: closed, as while no proxy runs. */
  async #capture(rules: PodRules): Promise<void> {
    const failure = this.#open(rules.ports);
    await this.#applyRules(rules);
    if (failure !== null) throw failure;
    this.#state = 'redirected';
    this.#reason = null;
    this.#tookMs ??= Math.round(this.#tools.nowMs() - this.seenMs);
  }

  async #applyRules(rules: PodRules): Promise<void> {
    const { ownerMs, run } = this.#tools;
    const text = podRulesetText(rules, ownerMs);
    if (this.#applied?.text !== text) {
      const result = await applyInPod(this.#place, text, ownerMs, run);
      if (result !== 'superseded' && result.structure === null) {
        const hint = 'another program in the pod may have removed it at once';
        throw new MeshError('CAPTURE_FAILED', { reason: 'the table is not there after it was applied', hint });
      }
      this.#applied = { text, structure: result === 'superseded' ? null : result.structure };
    }
  }

  /** What keeps its listeners from being opened, or null. */
  #open(ports: CapturePorts): MeshError | null {
    if (this.#listeners !== null) return null;
    const { namespaces, listeners, threads } = this.#tools;
    const opened: ThreadSockets[] = [];
    const failure = namespaces.within(this.#fd, () => {
      migrateAcceptQueuesNow();
      for (let thread = 0; thread < threads; thread++) {
        const row = { outbound: -1, inbound: -1, hbone: -1 };
        opened.push(row);
        for (const kind of listenerKinds) {
          const result = listeners.open(ports[kind]);
          if ('failed' in result) return { ...result, port: ports[kind] };
          row[kind] = result.fd;
        }
      }
      return undefined;
    });
    if (failure === undefined) {
      this.#listeners = opened;
      this.#tellSink(opened);
      return null;
    }
    closeAll(opened);
    return new MeshError('CAPTURE_FAILED', reasonOf(failure));
  }

  #tellSink(listeners: readonly ThreadSockets[]): void {
    const { id, inode } = this;
    this.#tools.sink.opened({
      id,
      addresses: this.#addresses,
      namespace: { fd: this.#fd, inode },
      listeners,
    });
  }

  /** Out of the mesh: what was captured is reset, then nothing reminds of it. */
  async #leave(): Promise<void> {
    const { ownerMs, run } = this.#tools;
    if (!this.#isClean) {
      if (this.#listeners !== null) {
        await replaceTable(this.#place, endingText(ownerMs), run);
        this.#closeListeners();
        await sleep(endingMs);
      }
      this.#applied = null;
      await removeFromPod(this.#place, run);
      this.#isClean = true;
    }
    this.#state = 'outside';
    this.#reason = null;
    this.#tookMs = null;
  }

  /** Nothing comes any more, and what runs ends. */
  #closeListeners(): void {
    const listeners = this.#listeners;
    if (listeners === null) return;
    this.#listeners = null;
    this.#tools.sink.closed(this.id);
    closeAll(listeners);
  }

  #fail(reason: string): void {
    this.#state = 'failed';
    this.#reason = reason;
  }
}

function reasonOf(failure: { readonly failed: string; readonly port: number } | null): {
  reason: string;
  hint: string;
} {
  if (failure === null) {
    const hint = 'the proxy needs CAP_SYS_ADMIN; see docs/security.md';
    return { reason: "the pod's network namespace may not be entered", hint };
  }
  const { failed, port } = failure;
  if (failed === 'port') {
    const hint = 'a program of the pod listens there: give it another port, or the proxy (ports in its configuration)';
    return { reason: `port ${port} is taken in the pod`, hint };
  }
  const hint = failed === 'socket' ? 'raise the limit of open files' : 'the proxy needs CAP_NET_ADMIN';
  return { reason: `no listener on port ${port} in the pod`, hint };
}

function closeAll(listeners: readonly ThreadSockets[]): void {
  for (const row of listeners) for (const kind of listenerKinds) if (row[kind] >= 0) closeSync(row[kind]);
}
