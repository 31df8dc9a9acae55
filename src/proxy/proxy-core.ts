// The main thread of a proxy, whatever its kind: assembles what node proxies and waypoints have in common, and is the
// only place that knows all of it. What a kind adds comes as a `ProxyRole`.
//
//   log ─ disk ─ mesh (discovery) ─┬─ data threads
//                                  ├─ the role: capture, identities
//                                  ├─ certificates
//                                  └─ admin, metrics, readiness
import { type Clock, systemClock } from '../base/clock.ts';
import type { MeshError } from '../base/errors.ts';
import { returnPages } from '../base/return-pages.ts';
import { version } from '../base/version.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import { CertificateClient } from '../discovery/certificate-client.ts';
import { ObserveClient } from '../discovery/observe-client.ts';
import type { ProxyNode } from '../discovery/proxy-node.ts';
import type { CertificateManagerOptions } from '../identity/certificate-manager.ts';
import type { Workload } from '../model/types.ts';
import type { EdgeListView, EjectedListView, LimitView, ProxyDump, ProxyStateView } from '../model/views.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { ProxyMetrics, type ProxyReading } from '../telemetry/registry.ts';
import { activeResources } from './active-resources.ts';
import { type AdminPorts, AdminServers } from './admin.ts';
import { CertificateKeeper, revocationOf, signNothing } from './certificate-keeper.ts';
import { ConfigKeeper, type ConfigKeeperOptions } from './config-keeper.ts';
import { FlowReader } from './flow-reader.ts';
import { limitReadings } from './limits-view.ts';
import { MeshKeeper } from './mesh-keeper.ts';
import { canonicalNames, meshMessages } from './mesh-messages.ts';
import type { ToDataThread } from './messages.ts';
import { Readiness } from './readiness.ts';
import { type SavedMesh, StateStore } from './state-store.ts';
import { mergeStrain } from './strain.ts';
import { ThreadPool, type ThreadPoolOptions } from './thread-pool.ts';

/** What a program may set about its proxy, and tests replace. */
export interface ProxyOptions {
  /** The file that the configuration was read from: it is followed from then on. */
  readonly configFile?: string;
  /** SHA-256 of its content when the configuration was read from it. */
  readonly digest?: string;
  /** The proxy cannot go on and must be ended; default: the process ends with 1. */
  readonly onFatal?: (error: MeshError) => void;
  readonly log?: Logger;
  readonly sign?: CertificateManagerOptions['sign'];
  readonly clock?: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** What a kind of proxy adds. Called from `start` of the core on. */
export interface ProxyRole {
  /** What a data thread that starts is told besides. */
  messages(threadId: number): readonly ToDataThread[];
  /** The mesh is known, or the pods of this node changed; what this resolves is acknowledged to the controller. */
  onLocalPods(pods: readonly Workload[]): Promise<void>;
  /** What readiness waits for besides. */
  pending(): readonly string[];
  reading(): Pick<ProxyReading, 'capture' | 'clientAddresses' | 'alsoAsDestination'>;
  /** What `GET /state` says besides. */
  state(): Pick<ProxyStateView, 'capture' | 'findings'>;
  /** No new traffic comes when this resolves. */
  beforeDrain(): Promise<void>;
  close(): Promise<void>;
}

export interface ProxyCoreOptions<Config extends ProxyConfig> extends ProxyOptions {
  readonly program: 'ambient-node' | 'ambient-waypoint';
  readonly config: Config;
  readonly reader: ConfigKeeperOptions<Config>['reader'];
  readonly proxy: ProxyNode;
  /** Whose state it is that lies on disk. */
  readonly stateOwner: string;
  readonly threads: Pick<ThreadPoolOptions, 'threads' | 'entry' | 'startOf'>;
  readonly role: ProxyRole;
  readonly dump: () => Promise<ProxyDump>;
  /** It takes endpoints out of rotation, and can be asked which. */
  readonly ejects?: boolean;
}

/** Keeps this thread busy, so that a test can see that the data threads do not need it. */
function blockThisThread(durationMs: number): void {
  const end = performance.now() + durationMs;
  while (performance.now() < end);
}

/** A scrape or a dump waits this long for a data thread. */
const snapshotDeadlineMs = 1_000;
/** So often what the data threads counted is fetched, so that little is lost when one dies. */
const snapshotEveryMs = 5_000;
/** Every half minute: a collection of garbage on a quiet heap touches pages that are not needed again for long. */
const snapshotsPerReturn = 6;
/** What is left after the drain deadline gets this long to be reset before the threads are ended. */
const drainGraceMs = 1_000;

/** Built, then `start`, then `drain` or `close`. */
export class ProxyCore<Config extends ProxyConfig> {
  ports: AdminPorts = { admin: 0, metrics: 0, readiness: 0 };
  /** Resolves when everything is closed, whoever asked for it. */
  readonly ended: Promise<void>;
  readonly log: Logger;
  readonly mesh: MeshKeeper;
  readonly threads: ThreadPool;
  readonly certificates: CertificateKeeper;
  readonly readiness: Readiness;
  /** When the state on disk was saved, RFC 3339; null when there is none. */
  readonly savedAt: string | null;
  readonly #options: ProxyCoreOptions<Config>;
  readonly #role: ProxyRole;
  readonly #clock: Clock;
  readonly #logStyle: { readonly level: string; format: 'json' | 'text' };
  readonly #configFile: ConfigKeeper<Config> | null;
  readonly #store: StateStore | null;
  readonly #client: CertificateClient | null;
  readonly #metrics: ProxyMetrics;
  readonly #admin: AdminServers;
  readonly #flows: FlowReader;
  readonly #observer: ObserveClient;
  readonly #onEnd: () => void;
  #config: Config;
  #draining: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #cancelSnapshot: (() => void) | null = null;
  #snapshots = 0;

  constructor(options: ProxyCoreOptions<Config>) {
    const { config, role, program, proxy, clock = systemClock, random = Math.random } = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#onEnd = resolve;
    this.#options = options;
    this.#role = role;
    this.#config = config;
    this.#clock = clock;
    this.#logStyle = { level: config.log.level, format: config.log.format };
    this.log = options.log ?? createLogger(this.#logStyle);
    const shared = { clock, random, log: this.log };
    this.#configFile = this.#configKeeper();
    this.#store = this.#openStore();
    const saved = this.#store?.loadMesh() ?? null;
    this.savedAt = saved?.savedAt ?? null;
    this.threads = new ThreadPool({ ...shared, ...this.#threadOptions() });
    this.#client = config.controllerUrl === '' ? null : this.#certificateClient();
    this.certificates = new CertificateKeeper({
      ...shared,
      sign: options.sign ?? this.#client?.sign ?? signNothing,
      ttlMs: config.certificateTtlMs,
      revoked: (certificate) => revocationOf(certificate, this.mesh.revocations),
      broadcast: (message) => this.threads.broadcast(message),
      onChange: () => this.#onCertificates(),
    });
    this.mesh = this.#meshKeeper(shared, saved);
    const { mesh, certificates, threads, savedAt } = this;
    const more = () => role.pending();
    this.readiness = new Readiness({ mesh, certificates, threads, more, log: this.log, savedAt });
    this.#metrics = new ProxyMetrics(() => this.#reading(), { component: program, version, node: proxy.nodeName });
    const { kind, name, namespace, nodeName } = proxy;
    const pod = `${namespace}/${name}`;
    this.#flows = new FlowReader(this.threads, {
      kind,
      name: kind === 'node' ? nodeName : options.stateOwner.replace(/^waypoint\//, ''),
      pod,
    });
    this.#admin = this.#adminServers();
    this.#observer = new ObserveClient(proxy, this.#admin.observed);
  }

  /** What is in force. */
  get config(): Config {
    return this.#config;
  }

  /** Opens the admin ports, starts everything else. Throws NOT_REACHABLE when a port cannot be had. */
  async start(): Promise<void> {
    this.ports = await this.#admin.start();
    this.certificates.restore(this.#store?.loadCertificates() ?? []);
    this.threads.start();
    await Promise.all([this.mesh.start(), this.#configFile?.start()]);
    this.#armSnapshot();
  }

  /** What readiness waits for; empty when ready. */
  pending(): string[] {
    return this.readiness.pending();
  }

  /** Something that readiness looks at may have changed. */
  onProgress(): void {
    if (this.mesh?.isKnown) this.readiness?.changed(); // parts report while the others are still being built
  }

  async dump(): Promise<ProxyDump> {
    const connections = await this.threads.snapshot(true, snapshotDeadlineMs);
    const { index } = this.mesh;
    return {
      ...this.#standing(),
      resources: activeResources(),
      workloads: [...index.workloads()],
      services: [...index.services()],
      policies: [...index.policies()],
      revocations: this.mesh.revocations.values(),
      connections,
      edges: this.threads.totals.edges(),
      config: { ...this.#config },
    };
  }

  /** What the data threads hold back now. */
  async strain(): Promise<Required<EjectedListView>> {
    const { threads } = this;
    return mergeStrain(await threads.strain(snapshotDeadlineMs), threads.views().length);
  }

  /** Stops accepting, lets connections end until `drainMs`, closes everything. Idempotent. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  /** Closes everything at once. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #drain(): Promise<void> {
    this.readiness.isDraining = true;
    const { drainMs } = this.#config.timeouts;
    this.log.info({ drainMs }, 'draining');
    const startedMs = this.#clock.now();
    await this.#role.beforeDrain();
    const deadline = new Promise<null>((resolve) => {
      this.#clock.after(drainMs + drainGraceMs, () => resolve(null));
    });
    const left = await Promise.race([this.threads.drain(drainMs), deadline]);
    // What was left at the deadline has been reset. `lab restart --rolling` reads pid and left.
    const { pid } = process;
    this.log.info({ pid, left: left ?? 'unknown', tookMs: this.#clock.now() - startedMs }, 'drained');
    await this.close();
  }

  async #close(): Promise<void> {
    this.readiness.isDraining = true;
    this.#cancelSnapshot?.();
    this.#configFile?.close();
    await Promise.all([this.#admin.close(), this.mesh.close(), this.#role.close()]);
    await this.#store?.close(); // before the certificates go: it writes those in service
    this.certificates.close();
    this.#client?.close();
    await this.threads.close();
    this.log.info(`${this.#options.program} ended`);
    this.#onEnd();
  }

  #configKeeper(): ConfigKeeper<Config> | null {
    const { configFile: file, digest, config, reader } = this.#options;
    if (file === undefined) return null;
    const known = digest === undefined ? {} : { digest };
    const onChange = (changed: Config): void => this.#reconfigure(changed);
    return new ConfigKeeper({ ...known, file, config, reader, clock: this.#clock, log: this.log, onChange });
  }

  #meshKeeper(
    shared: { readonly clock: Clock; readonly random: () => number; readonly log: Logger },
    saved: SavedMesh | null,
  ): MeshKeeper {
    return new MeshKeeper({
      ...shared,
      config: this.#config,
      proxy: this.#options.proxy,
      attend: (transport, headers, signal) => void this.#observer.attend(transport, headers, signal),
      saved,
      onMesh: (update) => {
        for (const message of update === null ? meshMessages(this.mesh.index) : [{ type: 'mesh', update } as const]) {
          this.threads.broadcast(message);
        }
        this.#store?.meshChanged();
        this.onProgress();
      },
      onRevocations: () => this.#onRevocations(),
      onLocalPods: (pods) => this.#role.onLocalPods(pods),
      onState: (state) => {
        if (state.connected) this.certificates.retryNow();
        this.onProgress();
      },
    });
  }

  #openStore(): StateStore | null {
    const { stateDir: folder, clusterId } = this.#config;
    if (folder === '') return null;
    try {
      return new StateStore({
        folder,
        nodeName: this.#options.stateOwner,
        clusterId,
        clock: this.#clock,
        log: this.log,
        mesh: () => {
          const { index } = this.mesh;
          const mesh = { workloads: [...index.workloads()], services: [...index.services()] };
          const revocations = this.mesh.revocations.values();
          const policies = [...index.policies()];
          const routes = [...index.routes()];
          const nodes = this.mesh.nodes.values();
          return { ...mesh, policies, routes, revocations, nodes, held: this.mesh.heldVersions() };
        },
        certificates: () => this.certificates.held(),
      });
    } catch (error) {
      this.log.error({ folder, error }, 'stateDir cannot be used; a restart needs the controller');
      return null;
    }
  }

  #certificateClient(): CertificateClient {
    const { controllerUrl: url, controllerRootsFile: rootsFile, tokenFile, clusterId } = this.#config;
    return new CertificateClient({ url, rootsFile, tokenFile, clusterId });
  }

  #threadOptions(): Omit<ThreadPoolOptions, 'clock' | 'random' | 'log'> {
    const { threads, onFatal } = this.#options;
    return {
      ...threads,
      welcome: (threadId) => this.#welcome(threadId),
      onCertificateWanted: (identity, reply) => this.certificates.wanted(identity, reply),
      onChange: () => this.onProgress(),
      onFatal: (error: MeshError) => {
        this.log.fatal({ error }, 'the proxy cannot go on');
        (onFatal ?? (() => process.exit(1)))(error);
      },
    };
  }

  #adminServers(): AdminServers {
    const { program, dump, ejects } = this.#options;
    return new AdminServers(program, this.#config, {
      dump,
      state: () => this.#state(),
      edges: () => this.#edges(),
      scrape: (accept) => this.#metrics.scrape(accept),
      readiness: () => ({ pending: this.pending(), note: this.readiness.note() }),
      logLevel: {
        current: () => this.log.level,
        configured: () => this.#config.log.level,
        set: (level) => this.#setLogLevel(level),
      },
      drain: () => void this.drain(),
      flows: (url, signal) => this.#flows.answer(url, signal),
      ...(ejects === true ? { ejected: () => this.strain() } : {}),
      killThread: (id) => this.threads.crash(id),
      blockMain: blockThisThread,
    });
  }

  #welcome(threadId: number): ToDataThread[] {
    const known = [this.#revocationMessage(), ...this.certificates.messages(), ...this.#role.messages(threadId)];
    return this.mesh.isKnown ? [...known, ...meshMessages(this.mesh.index)] : known;
  }

  #revocationMessage(): ToDataThread {
    return { type: 'revocations', revocations: this.mesh.revocations.values() };
  }

  #onRevocations(): void {
    this.threads.broadcast(this.#revocationMessage());
    this.certificates.recheck();
    this.#store?.meshChanged();
  }

  #onCertificates(): void {
    this.#store?.certificatesChanged();
    this.onProgress();
  }

  #reconfigure(config: Config): void {
    const { log, tracing, timeouts, limits } = config;
    const { log: before } = this.#config;
    // The level that an operator has set by hand stays until the file names another.
    const level = log.level === before.level ? this.log.level : log.level;
    this.#config = config;
    this.log.level = level;
    this.#logStyle.format = log.format;
    this.threads.broadcast({ type: 'config', config: { log: { ...log, level }, tracing, timeouts, limits } });
  }

  #setLogLevel(level: string): void {
    this.log.level = level;
    this.threads.broadcast({ type: 'logLevel', level });
  }

  #armSnapshot(): void {
    this.#cancelSnapshot = this.#clock.after(snapshotEveryMs, () => {
      this.#snapshots++;
      if (this.#snapshots % snapshotsPerReturn === 0) returnPages(); // this thread pays for it, not those with traffic
      void this.threads.snapshot(false, snapshotDeadlineMs).then(() => {
        if (this.#closing === null) this.#armSnapshot();
      });
    });
  }

  async #state(): Promise<ProxyStateView> {
    const strain = this.#options.ejects === true ? this.strain() : {};
    await this.threads.snapshot(false, snapshotDeadlineMs);
    return {
      ...this.#standing(),
      limits: this.#limits(),
      ...this.#role.state(),
      ...(await strain),
    };
  }

  /** What the dump and the small view of the state both begin with. */
  #standing() {
    const pending = this.pending();
    return {
      pid: process.pid,
      version,
      ready: pending.length === 0,
      pending,
      discovery: this.mesh.view(),
      threads: this.threads.views(),
      certificates: this.certificates.views(),
      configFile: this.#configFile?.view() ?? null,
    };
  }

  async #edges(): Promise<EdgeListView> {
    await this.threads.snapshot(false, snapshotDeadlineMs);
    return { edges: this.threads.totals.edges() };
  }

  #limits(): LimitView[] {
    const { use, totals } = this.threads;
    const counted = { counters: totals.counters(), use, localPods: this.mesh.localPods() };
    return limitReadings({ ...counted, threads: this.threads.views().length, config: this.#config });
  }

  async #reading(): Promise<ProxyReading> {
    const strain = this.#options.ejects === true ? this.strain() : null;
    await this.threads.snapshot(false, snapshotDeadlineMs);
    const { connected, lastUpdateAt } = this.mesh.view();
    const threads = this.threads.views();
    const counters = this.threads.totals.counters();
    const edges = this.threads.totals.edges();
    const requests = this.threads.totals.requests();
    const ends = [...edges, ...requests.map(({ key }) => key)].flatMap(({ source, destination }) => [
      source,
      destination,
    ]);
    return {
      ...this.#role.reading(),
      clusterId: this.#config.clusterId,
      edges,
      requests,
      ...(strain === null ? {} : { ejected: (await strain).ejected }),
      counters,
      threads,
      limits: this.#limits(),
      discovery: { connected, lastUpdateAtMs: lastUpdateAt === null ? null : Date.parse(lastUpdateAt) },
      certificates: this.certificates.expiries(),
      ready: this.pending().length === 0,
      canonicalName: canonicalNames(this.mesh.index, ends),
    };
  }
}
