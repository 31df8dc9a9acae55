// The mesh on the main thread: follows the controller, starts from the state on disk, and passes on what changed.
//
//   disk ──┐
//          ├──▶ index ──▶ data threads (whole mesh once, then changes), capture, certificates, disk
//   ADS ───┘
import type { Clock } from '../base/clock.ts';
import { compactHeap } from '../base/compact-heap.ts';
import { messageOf } from '../base/errors.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import { DiscoveryClient, type DiscoveryClientOptions, type DiscoveryState } from '../discovery/delta-client.ts';
import type { HeldVersions } from '../discovery/held-resources.ts';
import type { ProxyNode } from '../discovery/proxy-node.ts';
import type { RefusedResource } from '../discovery/refusals.ts';
import { MeshCompactor } from '../model/compact-mesh.ts';
import { MeshIndex, serviceKey } from '../model/mesh-index.ts';
import { NodeNetworks } from '../model/node-networks.ts';
import { policyKey } from '../model/policy-table.ts';
import { RevocationList, revocationKey } from '../model/revocation.ts';
import type { MeshUpdate, Workload } from '../model/types.ts';
import type { NodeFinding, ProxyDump } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { SavedMesh } from './state-store.ts';

export interface MeshKeeperOptions {
  readonly config: ProxyConfig;
  readonly proxy: ProxyNode;
  readonly saved: SavedMesh | null;
  /** See `DiscoveryClientOptions`. */
  readonly attend?: NonNullable<DiscoveryClientOptions['attend']>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** A change has been taken into the index: pass it on. Called with null once, before all else: the mesh is known. */
  readonly onMesh: (update: MeshUpdate | null) => void;
  /** `MeshKeeper.revocations` changed; not called for those from disk. */
  readonly onRevocations: () => void;
  /**
   * The pods of this node or the networks of nodes changed; the change is acknowledged to the controller when this
   * resolves.
   */
  readonly onLocalPods: (pods: readonly Workload[]) => Promise<void>;
  readonly onState: (state: DiscoveryState) => void;
}

/** Holds the mesh of the main thread and follows the controller from `start` to `close`. */
export class MeshKeeper {
  readonly index = new MeshIndex();
  readonly revocations = new RevocationList();
  readonly nodes = new NodeNetworks();
  readonly #options: MeshKeeperOptions;
  readonly #compactor = new MeshCompactor();
  readonly #client: DiscoveryClient | null;
  readonly #fromDisk: boolean;
  readonly #since: string;
  #isKnown = false;
  #cancelCompaction = (): void => {};
  #stopWaiting = (): void => {};
  #isClosed = false;

  constructor(options: MeshKeeperOptions) {
    this.#options = options;
    const { config, proxy, saved, clock, random, log } = options;
    this.#since = new Date(clock.now()).toISOString();
    this.#fromDisk = saved !== null;
    if (saved !== null) {
      const { workloads, services, policies, revocations = [], routes = [], nodes = [] } = saved;
      this.revocations.apply({ complete: true, revocations });
      this.nodes.apply({ complete: true, nodes });
      const mesh = { workloads, services, policies, routes };
      const update = { ...mesh, removedAddresses: [], removedPolicies: [], complete: true };
      this.index.apply(this.#compactor.update(update));
    }
    const { controllerUrl: url, controllerRootsFile: rootsFile, tokenFile } = config;
    const attend = options.attend === undefined ? {} : { attend: options.attend };
    const access = { url, rootsFile, tokenFile, ...attend };
    const apply = (update: MeshUpdate) => this.#apply(update);
    const held = saved?.held ?? {};
    this.#client = url === '' ? null : new DiscoveryClient({ ...access, node: proxy, held, apply, clock, random });
    this.#client?.on('synced', () => void this.#becomeKnown());
    let said = '';
    this.#client?.on('state', (state) => {
      const { connected, lastError } = state;
      const now = connected ? 'following the controller' : 'not following the controller';
      if (`${now} ${lastError}` !== said) log.info({ error: lastError ?? undefined }, now);
      said = `${now} ${lastError}`;
      options.onState(state);
    });
  }

  /**
   * Begins to follow the controller, and passes on what is known from disk: at once when the controller cannot be
   * reached, else when it has not told the whole mesh in a moment. What is on disk is some seconds old: whoever takes
   * over from another proxy would serve what that one has long known to be gone.
   */
  async start(): Promise<void> {
    this.#client?.start();
    if (!this.#fromDisk) return;
    if (this.#client !== null) await this.#heard(this.#client);
    if (!this.#isClosed) await this.#becomeKnown();
  }

  /** Resolves when the controller has told everything, when it cannot be reached, or when it takes too long. */
  #heard(client: DiscoveryClient): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        client.off('synced', done).off('state', look);
        resolve();
      };
      const look = ({ lastError }: DiscoveryState): void => {
        if (lastError !== null) done();
      };
      const cancel = this.#options.clock.after(freshWaitMs, done);
      client.on('synced', done).on('state', look);
      this.#stopWaiting = done;
    });
  }

  /** The whole mesh is known, from the controller or from disk. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** The whole mesh has come from the controller since the start. */
  get isSynced(): boolean {
    return this.#client?.state().synced ?? false;
  }

  /** Tells the controller what of this node stands in the way. */
  report(findings: readonly NodeFinding[]): void {
    this.#client?.report(findings);
  }

  heldVersions(): HeldVersions {
    return this.#client?.heldVersions() ?? {};
  }

  localPods(): readonly Workload[] {
    return this.index.workloadsOnNode(this.#options.proxy.nodeName);
  }

  view(): ProxyDump['discovery'] {
    const state = this.#client?.state();
    return {
      connected: state?.connected ?? false,
      since: state?.since ?? this.#since,
      lastUpdateAt: state?.lastUpdateAt ?? null,
      lastError: state === undefined ? 'no controllerUrl is configured' : state.lastError,
      fromDisk: this.#isKnown && !this.isSynced,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelCompaction();
    this.#stopWaiting();
    await this.#client?.close();
  }

  async #becomeKnown(): Promise<void> {
    if (this.#isKnown) return;
    this.#isKnown = true;
    this.#options.onMesh(null);
    await this.#options.onLocalPods(this.localPods());
  }

  /** What a large change has left behind is collected when it has been passed on and saved. */
  #compactLater(): void {
    this.#cancelCompaction();
    this.#cancelCompaction = this.#options.clock.after(compactAfterMs, compactHeap);
  }

  async #apply(received: MeshUpdate): Promise<readonly RefusedResource[]> {
    const update = this.#compactor.update(received);
    if (update.workloads.length >= largeChange) this.#compactLater();
    const { onMesh, onLocalPods, onRevocations, log } = this.#options;
    const before = this.localPods();
    let areRevocationsNew = false;
    let areNodesNew = false;
    try {
      areRevocationsNew = this.revocations.apply(update);
      areNodesNew = this.nodes.apply(update);
      this.index.apply(update);
    } catch (error) {
      const reason = messageOf(error);
      log.error({ error }, 'a change of the mesh could not be taken');
      return namesOf(update).map((resource) => ({ resource, reason }));
    }
    if (areRevocationsNew) onRevocations();
    if (!this.#isKnown) return [];
    onMesh(update);
    const after = this.localPods();
    const same = before.length === after.length && before.every((pod, at) => pod === after[at]);
    if (!same || areNodesNew) await onLocalPods(after);
    return [];
  }
}

/** Longer than a controller that is there takes for a mesh that is mostly known, and short for one that is not. */
const freshWaitMs = 1_000;
/** Workloads of one response. */
const largeChange = 200;
const compactAfterMs = 5_000;

function namesOf(update: MeshUpdate): string[] {
  return [
    ...update.workloads.map(({ uid }) => uid),
    ...update.services.map(serviceKey),
    ...update.policies.map(policyKey),
    ...(update.revocations ?? []).map(revocationKey),
    ...(update.routes ?? []).map(({ service }) => service),
    ...(update.nodes ?? []).map(({ name }) => name),
  ];
}
