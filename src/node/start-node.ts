// Assembles a node proxy on the main thread and is the only place that knows all of its parts:
//
//   log ─ disk ─ mesh (discovery) ─┬─ data threads
//                                  ├─ capture
//                                  ├─ certificates
//                                  └─ admin, metrics, readiness
import { type Clock, systemClock } from '../base/clock.ts';
import type { MeshError } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { type CaptureBackend, NoCapture } from '../capture/backend.ts';
import { HostCapture } from '../capture/host-backend.ts';
import type { NodeConfig } from '../config/node.ts';
import { CertificateClient } from '../discovery/certificate-client.ts';
import type { CertificateManagerOptions } from '../identity/certificate-manager.ts';
import type { Workload } from '../model/types.ts';
import type { NodeDump } from '../model/views.ts';
import { type AdminPorts, AdminServers } from '../proxy/admin.ts';
import { CertificateKeeper, revocationOf, signNothing } from '../proxy/certificate-keeper.ts';
import { ConfigKeeper } from '../proxy/config-keeper.ts';
import { limitReadings } from '../proxy/limits-view.ts';
import { MeshKeeper } from '../proxy/mesh-keeper.ts';
import { canonicalNames, meshMessages } from '../proxy/mesh-messages.ts';
import type { DataThreadStart, ToDataThread } from '../proxy/messages.ts';
import { type SavedMesh, StateStore } from '../proxy/state-store.ts';
import { ThreadPool } from '../proxy/thread-pool.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { NodeMetrics, type NodeReading } from '../telemetry/registry.ts';
import { CaptureKeeper } from './capture-keeper.ts';
import { ClientAddressKeeper } from './client-address-keeper.ts';
import type { Listeners } from './listeners.ts';
import { captureFor, localIdentities } from './local-pods.ts';
import { proxyNode } from './proxy-node.ts';
import { Readiness } from './readiness.ts';

export interface NodeOptions {
  /** The launcher's sockets; or how to listen without them, for tests. */
  readonly listeners: Listeners | { readonly threads: number; readonly addresses: DataThreadStart['addresses'] };
  /** The file that `config` was read from: it is followed from then on. */
  readonly configFile?: string;
  /** SHA-256 of its content when `config` was read from it. */
  readonly digest?: string;
  /** The proxy cannot go on and must be ended; default: the process ends with 1. */
  readonly onFatal?: (error: MeshError) => void;
  readonly log?: Logger;
  readonly capture?: CaptureBackend;
  readonly sign?: CertificateManagerOptions['sign'];
  readonly clock?: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

export interface RunningNode {
  readonly ports: AdminPorts;
  /** What readiness waits for; empty when ready. */
  pending(): readonly string[];
  dump(): Promise<NodeDump>;
  /** Stops accepting, lets connections end until `drainMs`, closes everything. The capture rules stay. Idempotent. */
  drain(): Promise<void>;
  /** Closes everything at once. The capture rules stay. Idempotent. */
  close(): Promise<void>;
  /** Resolves when everything is closed, whoever asked for it. */
  readonly ended: Promise<void>;
}

const reader = async () => (await import('../config/node.ts')).readNodeConfig;

/** Keeps this thread busy, so that a test can see that the data threads do not need it. */
function blockThisThread(durationMs: number): void {
  const end = performance.now() + durationMs;
  while (performance.now() < end);
}

/** A scrape or a dump waits this long for a data thread. */
const snapshotDeadlineMs = 1_000;
/** So often what the data threads counted is fetched, so that little is lost when one dies. */
const snapshotEveryMs = 5_000;
/** What is left after the drain deadline gets this long to be reset before the threads are ended. */
const drainGraceMs = 1_000;

/**
 * Starts a node proxy and returns when its admin ports are open; it becomes ready later. Throws what keeps it from
 * starting.
 */
export async function startNode(config: NodeConfig, options: NodeOptions): Promise<RunningNode> {
  const node = new NodeProxy(config, options);
  try {
    await node.start();
    return node;
  } catch (error) {
    await node.close();
    throw error;
  }
}

interface SharedParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

class NodeProxy implements RunningNode {
  ports: AdminPorts = { admin: 0, metrics: 0, readiness: 0 };
  readonly ended: Promise<void>;
  #config: NodeConfig;
  readonly #configFile: ConfigKeeper<NodeConfig> | null;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #logStyle: { readonly level: string; format: 'json' | 'text' };
  readonly #store: StateStore | null;
  readonly #mesh: MeshKeeper;
  readonly #threads: ThreadPool;
  readonly #capture: CaptureKeeper;
  readonly #clientAddresses: ClientAddressKeeper;
  readonly #certificates: CertificateKeeper;
  readonly #client: CertificateClient | null;
  readonly #readiness: Readiness;
  readonly #metrics: NodeMetrics;
  readonly #admin: AdminServers;
  readonly #savedAt: string | null;
  readonly #listeners: NodeOptions['listeners'];
  readonly #onEnd: () => void;
  #draining: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #cancelSnapshot: (() => void) | null = null;

  constructor(config: NodeConfig, options: NodeOptions) {
    const { clock = systemClock, random = Math.random } = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#onEnd = resolve;
    this.#config = config;
    this.#logStyle = { level: config.log.level, format: config.log.format };
    this.#listeners = options.listeners;
    this.#clock = clock;
    this.#log = options.log ?? createLogger(this.#logStyle);
    const shared = { clock, random, log: this.#log };
    const { configFile: file, digest } = options;
    const onChange = (changed: NodeConfig): void => this.#reconfigure(changed);
    this.#configFile =
      file === undefined
        ? null
        : new ConfigKeeper({ ...shared, file, ...(digest !== undefined && { digest }), config, reader, onChange });
    this.#store = this.#openStore();
    const saved = this.#store?.loadMesh() ?? null;
    const savedAt = saved?.savedAt ?? null;
    this.#savedAt = savedAt;
    this.#clientAddresses = this.#clientAddressKeeper(options);
    this.#threads = new ThreadPool({ ...shared, ...this.#threadOptions(options) });
    this.#client = config.controllerUrl === '' ? null : this.#certificateClient();
    this.#certificates = new CertificateKeeper({
      ...shared,
      sign: options.sign ?? this.#client?.sign ?? signNothing,
      ttlMs: config.certificateTtlMs,
      revoked: (certificate) => revocationOf(certificate, this.#mesh.revocations),
      broadcast: (message) => this.#threads.broadcast(message),
      onChange: () => this.#onCertificates(),
    });
    const isOn = config.capture.backend === 'host' || options.capture !== undefined;
    const backend = options.capture ?? (isOn ? new HostCapture(clock.now()) : new NoCapture());
    this.#capture = new CaptureKeeper({ ...shared, backend, isOn, onChange: () => this.#onCapture() });
    this.#mesh = this.#meshKeeper(shared, saved);
    const parts = {
      mesh: this.#mesh,
      certificates: this.#certificates,
      threads: this.#threads,
      capture: this.#capture,
      clientAddresses: this.#clientAddresses,
    };
    this.#readiness = new Readiness({ ...parts, log: this.#log, savedAt });
    this.#metrics = new NodeMetrics(() => this.#reading(), { version, node: config.nodeName });
    this.#admin = new AdminServers('ambient-node', config, {
      dump: () => this.dump(),
      scrape: () => this.#metrics.scrape(),
      readiness: () => ({ pending: this.pending(), note: this.#readiness.note() }),
      setLogLevel: (level) => this.#setLogLevel(level),
      drain: () => void this.drain(),
      killThread: (id) => this.#threads.crash(id),
      blockMain: blockThisThread,
    });
  }

  async start(): Promise<void> {
    this.ports = await this.#admin.start();
    const { nodeName, controllerUrl, podCidrs } = this.#config;
    const threads = this.#threads.views().length;
    this.#log.info(
      { nodeName, version, threads, controllerUrl, podCidrs, stateFrom: this.#savedAt },
      'node proxy starts',
    );
    this.#certificates.restore(this.#store?.loadCertificates() ?? []);
    void this.#clientAddresses.begin().then(() => this.#onProgress());
    this.#threads.start();
    await Promise.all([this.#mesh.start(), this.#configFile?.start()]);
    this.#armSnapshot();
  }

  pending(): string[] {
    return this.#readiness.pending();
  }

  async dump(): Promise<NodeDump> {
    const connections = await this.#threads.snapshot(true, snapshotDeadlineMs);
    const pending = this.pending();
    const { index } = this.#mesh;
    return {
      node: this.#config.nodeName,
      pid: process.pid,
      version,
      ready: pending.length === 0,
      pending,
      discovery: this.#mesh.view(),
      capture: this.#capture.view,
      clientAddresses: this.#clientAddresses.view,
      threads: this.#threads.views(),
      certificates: this.#certificates.views(),
      workloads: [...index.workloads()],
      services: [...index.services()],
      policies: [...index.policies()],
      revocations: this.#mesh.revocations.values(),
      connections,
      edges: this.#threads.totals.edges(),
      config: { ...this.#config },
      configFile: this.#configFile?.view() ?? null,
    };
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #drain(): Promise<void> {
    this.#readiness.isDraining = true;
    const { drainMs } = this.#config.timeouts;
    this.#log.info({ drainMs }, 'draining');
    await this.#capture.close(); // a proxy that replaces this one decides about the rules from now on
    const startedMs = this.#clock.now();
    const deadline = new Promise<null>((resolve) => {
      this.#clock.after(drainMs + drainGraceMs, () => resolve(null));
    });
    if ('of' in this.#listeners) this.#listeners.closeSpares();
    const left = await Promise.race([this.#threads.drain(drainMs), deadline]);
    // What was left at the deadline has been reset. `lab restart --rolling` reads pid and left.
    const { pid } = process;
    this.#log.info({ pid, left: left ?? 'unknown', tookMs: this.#clock.now() - startedMs }, 'drained');
    await this.close();
  }

  async #close(): Promise<void> {
    this.#readiness.isDraining = true;
    this.#cancelSnapshot?.();
    this.#configFile?.close();
    await Promise.all([this.#admin.close(), this.#mesh.close(), this.#capture.close()]);
    await this.#store?.close(); // before the certificates go: it writes those in service
    this.#certificates.close();
    this.#client?.close();
    await this.#threads.close();
    this.#log.info('node proxy ended');
    this.#onEnd();
  }

  #meshKeeper(shared: SharedParts, saved: SavedMesh | null): MeshKeeper {
    return new MeshKeeper({
      ...shared,
      config: this.#config,
      proxy: proxyNode(this.#config),
      saved,
      onMesh: (update) => {
        for (const message of update === null ? meshMessages(this.#mesh.index) : [{ type: 'mesh', update } as const]) {
          this.#threads.broadcast(message);
        }
        this.#store?.meshChanged();
        this.#onProgress();
      },
      onRevocations: () => this.#onRevocations(),
      onLocalPods: (pods) => this.#onLocalPods(pods),
      onState: (state) => {
        if (state.connected) this.#certificates.retryNow();
        this.#onProgress();
      },
    });
  }

  #openStore(): StateStore | null {
    const { stateDir: folder, nodeName, clusterId } = this.#config;
    if (folder === '') return null;
    try {
      return new StateStore({
        folder,
        nodeName,
        clusterId,
        clock: this.#clock,
        log: this.#log,
        mesh: () => {
          const { index } = this.#mesh;
          const mesh = { workloads: [...index.workloads()], services: [...index.services()] };
          const revocations = this.#mesh.revocations.values();
          return { ...mesh, policies: [...index.policies()], revocations, held: this.#mesh.heldVersions() };
        },
        certificates: () => this.#certificates.held(),
      });
    } catch (error) {
      this.#log.error({ folder, error }, 'stateDir cannot be used; a restart needs the controller');
      return null;
    }
  }

  #clientAddressKeeper(options: NodeOptions): ClientAddressKeeper {
    return new ClientAddressKeeper({
      log: this.#log,
      setting: this.#config.keepClientAddress,
      isPossible: this.#config.capture.backend === 'host' && options.capture === undefined,
      broadcast: (message) => this.#threads.broadcast(message),
    });
  }

  #certificateClient(): CertificateClient {
    const { controllerUrl: url, controllerRootsFile: rootsFile, tokenFile, clusterId } = this.#config;
    return new CertificateClient({ url, rootsFile, tokenFile, clusterId });
  }

  #threadOptions({ listeners, onFatal }: NodeOptions) {
    const { nodeName, trustDomain, clusterId } = this.#config;
    const none = { outbound: [], inbound: [], hbone: [] };
    return {
      threads: listeners.threads,
      entry: new URL('./data-thread.ts', import.meta.url),
      startOf: (threadId: number, life: number): DataThreadStart => {
        const config = { ...this.#config, log: { ...this.#config.log, level: this.#log.level } };
        const awaitsClientAddresses = this.#clientAddresses.isAwaited;
        const start = { threadId, nodeName, trustDomain, clusterId, config, awaitsClientAddresses };
        if ('of' in listeners) return { ...start, listeners: listeners.of(threadId, life) };
        return { ...start, listeners: none, ...(listeners.addresses && { addresses: listeners.addresses }) };
      },
      welcome: () => this.#welcome(),
      onCertificateWanted: this.#certificateWanted,
      onChange: () => this.#onProgress(),
      onFatal: (error: MeshError) => {
        this.#log.fatal({ error }, 'the proxy cannot go on');
        (onFatal ?? (() => process.exit(1)))(error);
      },
    };
  }

  #certificateWanted = (identity: string, reply: Parameters<CertificateKeeper['wanted']>[1]): void =>
    this.#certificates.wanted(identity, reply);

  #welcome() {
    const known = [this.#revocationMessage(), ...this.#certificates.messages(), ...this.#clientAddresses.messages()];
    return this.#mesh.isKnown ? [...known, ...meshMessages(this.#mesh.index)] : known;
  }

  async #onLocalPods(pods: readonly Workload[]): Promise<void> {
    this.#certificates.setLocal(localIdentities(pods));
    this.#readiness.knowsPods = true;
    this.#onProgress();
    await this.#capture.want(captureFor(this.#config, pods));
    this.#onCapture();
  }

  #revocationMessage(): ToDataThread {
    return { type: 'revocations', revocations: this.#mesh.revocations.values() };
  }

  #onRevocations(): void {
    this.#threads.broadcast(this.#revocationMessage());
    this.#certificates.recheck();
    this.#store?.meshChanged();
  }

  #onCapture(): void {
    const test = this.#clientAddresses.captured(this.#capture.view.state === 'applied');
    void test.then(() => this.#onProgress());
    this.#onProgress();
  }

  #onCertificates(): void {
    this.#store?.certificatesChanged();
    this.#onProgress();
  }

  #onProgress(): void {
    if (this.#mesh?.isKnown) this.#readiness.changed(); // parts report while the others are still being built
  }

  #reconfigure(config: NodeConfig): void {
    const { log, timeouts, limits } = config;
    const { log: before } = this.#config;
    // The level that an operator has set by hand stays until the file names another.
    const level = log.level === before.level ? this.#log.level : log.level;
    this.#config = config;
    this.#log.level = level;
    this.#logStyle.format = log.format;
    this.#threads.broadcast({ type: 'config', config: { log: { ...log, level }, timeouts, limits } });
  }

  #setLogLevel(level: string): void {
    this.#log.level = level;
    this.#threads.broadcast({ type: 'logLevel', level });
  }

  #armSnapshot(): void {
    this.#cancelSnapshot = this.#clock.after(snapshotEveryMs, () => {
      void this.#threads.snapshot(false, snapshotDeadlineMs).then(() => {
        if (this.#closing === null) this.#armSnapshot();
      });
    });
  }

  async #reading(): Promise<NodeReading> {
    await this.#threads.snapshot(false, snapshotDeadlineMs);
    const { connected, lastUpdateAt } = this.#mesh.view();
    const threads = this.#threads.views();
    const counters = this.#threads.totals.counters();
    const counted = { counters, use: this.#threads.use };
    const certificates = this.#certificates.views().map(({ identity, chain }) => {
      const leaf = chain.find(({ type }) => type === 'leaf');
      return { identity, notAfterMs: leaf === undefined ? null : Date.parse(leaf.notAfter) };
    });
    return {
      clusterId: this.#config.clusterId,
      edges: this.#threads.totals.edges(),
      counters,
      threads,
      limits: limitReadings({
        ...counted,
        config: this.#config,
        localPods: this.#mesh.localPods(),
        threads: threads.length,
      }),
      capture: { state: this.#capture.view.state, repairs: this.#capture.repairs },
      clientAddresses: this.#clientAddresses.view,
      discovery: { connected, lastUpdateAtMs: lastUpdateAt === null ? null : Date.parse(lastUpdateAt) },
      certificates,
      ready: this.pending().length === 0,
      canonicalName: canonicalNames(this.#mesh.index),
    };
  }
}
