// Keeps in mind where the pods of this node are: what the configuration says, or else what the controller knows and
// what the node's own links and routes show, read again whenever the kernel says that they changed.
import { isDeepStrictEqual } from 'node:util';
import { Backoff } from '../base/backoff.ts';
import { disjointNetworks } from '../base/cidr-list.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { type CommandRunner, runCommand } from '../capture/command.ts';
import { noPodLinks, type PodLinks } from '../capture/desired.ts';
import { followNetwork } from '../capture/follow-network.ts';
import { type NodeNetworkReading, readNodeNetwork } from '../capture/node-network.ts';
import { type KnownPods, podNetworks, podNetworksUnseen } from '../capture/pod-networks.ts';
import type { PodNetworkView } from '../model/views.ts';
import type { ToDataThread } from '../proxy/messages.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface NetworkKeeperOptions {
  /** `podCidrs` and `meshCidrs` of the configuration; empty where they are to be found. */
  readonly podCidrs: readonly string[];
  readonly meshCidrs: readonly string[];
  /** False where nothing is captured: then the node is not looked at. */
  readonly isOn: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Other networks or links than before: tell the data threads, then the kernel. */
  readonly onChange: () => void;
  /** The seams that tests replace. */
  readonly run?: CommandRunner;
  readonly follow?: typeof followNetwork;
}

export interface NodeNetworks {
  readonly podCidrs: readonly string[];
  readonly meshCidrs: readonly string[];
  readonly links: PodLinks;
}

/** What is news to the kernel comes in bursts: so long after the first word of one it is read. */
const settleMs = 5;
/** Reading takes at most a tenth of the time. */
const restPerRead = 9;
/** A word of the kernel may be lost. */
const rereadMs = 30_000;
const followFirstMs = 500;
const followCapMs = 30_000;

/** `start` reads once and follows until `close`; `know` is what the controller says. Throws nothing. */
export class NetworkKeeper {
  readonly #options: NetworkKeeperOptions;
  #known: KnownPods & { readonly mesh: readonly string[] } = { networks: [], addresses: [], mesh: [] };
  #reading: NodeNetworkReading | null = null;
  #readAt: string | null = null;
  #reason: string | null = null;
  #networks: NodeNetworks;
  #stopFollowing = (): void => {};
  #cancel: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #dueMs = Number.POSITIVE_INFINITY;
  #restUntilMs = 0;
  #isClosed = false;

  constructor(options: NetworkKeeperOptions) {
    this.#options = options;
    this.#networks = this.#compute();
  }

  get networks(): NodeNetworks {
    return this.#networks;
  }

  /** The last reading of the node; null before the first. */
  get reading(): NodeNetworkReading | null {
    return this.#reading;
  }

  get view(): PodNetworkView {
    const { podCidrs, meshCidrs, links } = this.#networks;
    const bridges = links.bridges.map(({ name }) => name);
    const source = this.#isConfigured ? 'configured' : 'found';
    const { otherLinks } = links;
    return { source, podCidrs, meshCidrs, bridges, otherLinks, readAt: this.#readAt, reason: this.#reason };
  }

  /** What readiness waits for; null when nothing: a node that could be read once is captured as it was then. */
  pending(): string | null {
    return this.#options.isOn && this.#reading === null ? (this.#reason ?? 'not read yet') : null;
  }

  /** What a data thread has to be told. */
  message(): ToDataThread {
    const { podCidrs, meshCidrs, links } = this.#networks;
    return { type: 'networks', podCidrs, meshCidrs, byLinks: links.otherLinks !== null };
  }

  /** Resolves when the node has been read, or could not be. */
  async start(): Promise<void> {
    if (!this.#options.isOn) return;
    await this.#read();
    const { clock, random, follow = followNetwork } = this.#options;
    const backoff = new Backoff({ firstMs: followFirstMs, capMs: followCapMs, jitter: 0.2, random });
    this.#stopFollowing = follow({ clock, backoff, onChange: () => this.#due(settleMs) });
    this.#due(rereadMs);
  }

  /** What the controller says of this node's pods, and the networks of all nodes. True when `networks` changed. */
  know(known: KnownPods, mesh: readonly string[]): boolean {
    this.#known = { ...known, mesh };
    return this.#renew();
  }

  /** Follows no more. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopFollowing();
    this.#cancel?.();
    await this.#running;
  }

  get #isConfigured(): boolean {
    return this.#options.podCidrs.length > 0;
  }

  #compute(): NodeNetworks {
    const { podCidrs: configured, meshCidrs } = this.#options;
    const known = this.#isConfigured ? { networks: configured, addresses: [] } : this.#known;
    const reading = this.#reading;
    const found = reading === null ? null : podNetworks(reading, known);
    const links = found?.links ?? noPodLinks;
    const podCidrs = this.#isConfigured || found === null ? podNetworksUnseen(known) : found.networks;
    const mesh = [...podCidrs, ...this.#known.mesh, ...meshCidrs];
    return {
      podCidrs,
      meshCidrs: disjointNetworks(mesh),
      links: this.#isConfigured ? { ...links, otherLinks: null } : links,
    };
  }

  #renew(): boolean {
    const networks = this.#compute();
    if (isDeepStrictEqual(networks, this.#networks)) return false;
    this.#networks = networks;
    return true;
  }

  #due(delayMs: number): void {
    const { clock } = this.#options;
    const atMs = Math.max(clock.now() + delayMs, this.#restUntilMs);
    if (this.#isClosed || atMs >= this.#dueMs) return;
    this.#dueMs = atMs;
    this.#cancel?.();
    this.#cancel = clock.after(atMs - clock.now(), () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      void this.#readAgain();
    });
  }

  async #readAgain(): Promise<void> {
    await this.#running; // what changed since it began is not in it
    if (this.#isClosed) return;
    const isChanged = await this.#read();
    if (this.#isClosed) return;
    if (isChanged) this.#options.onChange();
    this.#due(rereadMs);
  }

  async #read(): Promise<boolean> {
    const { clock, log, run = runCommand } = this.#options;
    const beganMs = clock.now();
    const reading = readNodeNetwork(run).then(
      (found) => {
        this.#reading = found;
        this.#readAt = new Date(clock.now()).toISOString();
        this.#reason = null;
      },
      (error: unknown) => {
        const reason = messageOf(error);
        if (reason !== this.#reason) log.error({ reason }, 'the links and routes of the node cannot be read');
        this.#reason = reason;
      },
    );
    this.#running = reading;
    await reading;
    this.#running = null;
    const endedMs = clock.now();
    this.#restUntilMs = endedMs + (endedMs - beganMs) * restPerRead;
    return this.#renew();
  }
}
