// Assembles the controller: sources → compiler → discovery, and the certificate authority beside it, behind one TLS
// port.
// Returns when it listens on all of its ports; nothing else builds these parts.
import { renameSync, writeFileSync } from 'node:fs';
import { Code, ConnectError } from '@connectrpc/connect';
import { type Clock, systemClock } from '../base/clock.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import type { ControllerConfig } from '../config/controller.ts';
import { DiscoveryServer, type DiscoveryServerOptions } from '../discovery/delta-server.ts';
import { ObserveServer } from '../discovery/observe-server.ts';
import { RpcServer, type RpcServerOptions, type ServerCredentials } from '../discovery/rpc-server.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { admittedKinds } from '../kube/api/kinds.ts';
import type { ClusterEvent } from '../kube/event-writer.ts';
import { MeshCompiler } from '../model/compiler.ts';
import type { CertificatesView, EventListView, StatusView } from '../model/views.ts';
import { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { SimpleServer } from '../telemetry/metrics-server.ts';
import { adminRoutes, metricsRoutes } from './admin.ts';
import { awaitIssuer } from './await-issuer.ts';
import { CertificateService } from './certificate-service.ts';
import type { ClusterWrites } from './cluster-writes.ts';
import { EjectionWatch, type EjectionWatchOptions } from './ejection-watch.ts';
import { EventBoard } from './event-board.ts';
import { Gate } from './gate.ts';
import { IssuerKeeper } from './issuer-keeper.ts';
import { MeshFeed } from './mesh-feed.ts';
import { NodeProxyWatch } from './node-proxy-watch.ts';
import { type OpenedSource, openSource } from './open-source.ts';
import { Page } from './page/page.ts';
import { replicaRoutes } from './page/replicas.ts';
import { Probes } from './probes.ts';
import { ReplicaLinks } from './replica-links.ts';
import { ServerCertificate } from './server-certificate.ts';
import { eventOfIssuer } from './told-events.ts';
import { Webhook } from './webhook.ts';

export interface RunningController {
  readonly addresses: {
    readonly discovery: { readonly host: string; readonly port: number };
    readonly admin: number;
    readonly metrics: number;
    readonly readiness: number;
    /** Null where it is not asked for. */
    readonly webhook: number | null;
    /** Null where it is switched off. */
    readonly page: number | null;
  };
  readonly compiler: MeshCompiler;
  /** What `GET /status` answers. */
  status(): StatusView;
  /** Ends streams so that proxies look for another replica, then closes everything. Idempotent. */
  close(): Promise<void>;
}

export interface ControllerOptions {
  readonly clock?: Clock;
  /** Default: one as `config.log` says, on standard error. */
  readonly log?: Logger;
}

const adminHost = '127.0.0.1';
/** Istio's root namespace is one here too, so that policies written for it keep their meaning. */
const istioRootNamespace = 'istio-system';
const drainMs = 5_000;
const admittedNames = new Set(admittedKinds.map(({ kind }) => kind));
/** How long before its end the issuer is warned about. */
const issuerWarningMs = 30 * 24 * 3_600_000;

/**
 * Starts a controller. Waits for an API server that has to be asked for the issuer first, and answers probes meanwhile.
 * Throws CONFIG_INVALID for an authority or a cluster that cannot be used, NOT_REACHABLE for a port that cannot be had;
 * whatever was started by then is closed.
 */
export async function startController(
  config: ControllerConfig,
  options: ControllerOptions = {},
): Promise<RunningController> {
  const log = options.log ?? createLogger(config.log);
  const clock = options.clock ?? systemClock;
  const opened = await openSource(config);
  const probes = new Probes(config.ports.readiness);
  let controller: Controller | null = null;
  try {
    const readiness = await probes.start();
    const { secret } = opened;
    log.info({ version, readiness }, 'the controller is starting');
    const waits = (what: string): void => {
      probes.pending = () => [what];
    };
    if (secret !== null) await awaitIssuer({ secret, clock, random: Math.random, log, waits });
    controller = new Controller(config, opened, clock, log);
    return await controller.start(probes, readiness);
  } catch (error) {
    await controller?.close();
    await probes.close();
    await opened.api?.close();
    throw error;
  }
}

class Controller {
  readonly #config: ControllerConfig;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #authority: CertificateAuthority;
  readonly #compiler: MeshCompiler;
  readonly #feed: MeshFeed;
  readonly #discovery: DiscoveryServer;
  readonly #observe: ObserveServer;
  readonly #certificates: CertificateService;
  readonly #serverCertificate: ServerCertificate;
  readonly #issuerKeeper: IssuerKeeper;
  readonly #nodeProxies: NodeProxyWatch;
  readonly #told = new EventBoard();
  readonly #replicas: ReplicaLinks | null;
  readonly #ejections: EjectionWatch;
  readonly #page: Page | null;
  readonly #metrics: ControllerMetrics;
  readonly #opened: OpenedSource;
  readonly #servers: SimpleServer[] = [];
  #probes: Probes | null = null;
  #webhook: Webhook | null = null;
  #writes: ClusterWrites | null = null;
  #rpc: RpcServer | null = null;
  #isListening = false;
  #closing: Promise<void> | null = null;

  constructor(config: ControllerConfig, opened: OpenedSource, clock: Clock, log: Logger) {
    const { trustDomain, clusterId, clusterDomain, systemNamespace } = config;
    this.#config = config;
    this.#opened = opened;
    this.#log = log;
    this.#clock = clock;
    const overlapMs = config.certificateTtlMs;
    this.#authority = new CertificateAuthority({ dir: config.caDir, trustDomain, clock, overlapMs });
    const rootNamespaces = [systemNamespace, istioRootNamespace];
    const compiler = new MeshCompiler({
      trustDomain,
      clusterId,
      clusterDomain,
      rootNamespaces,
      expandTemplates: false,
    });
    this.#compiler = compiler;
    this.#metrics = new ControllerMetrics(() => this.#reading(), version);
    const gate = this.#gate(clock);
    const callerOf = async (headers: Headers, call: 'discovery' | 'observe') => {
      if (!this.#feed.isRead) throw new ConnectError('the sources have not been read', Code.Unavailable);
      return gate.caller(headers, call);
    };
    const authenticate: DiscoveryServerOptions['authenticate'] = async (headers) => {
      const caller = await callerOf(headers, 'discovery');
      return (claimed) => gate.proxy(caller, claimed);
    };
    this.#observe = new ObserveServer({
      authenticate: async (headers) => {
        const caller = await callerOf(headers, 'observe');
        return (claimed) => gate.attendant(caller, claimed);
      },
    });
    this.#discovery = new DiscoveryServer({
      clock,
      authenticate,
      observer: {
        pushed: (type) => this.#metrics.pushes.inc({ type }),
        answered: (type, durationMs, refused) => {
          this.#metrics.pushSeconds.observe({ type }, durationMs / 1000);
          if (refused > 0) this.#metrics.resourcesRefused.inc({ type }, refused);
        },
      },
      isExpected: (proxy) => compiler.pod(proxy.namespace, proxy.name) !== null,
    });
    this.#certificates = this.#makeCertificates(gate);
    this.#serverCertificate = this.#makeServerCertificate();
    this.#issuerKeeper = this.#makeIssuerKeeper();
    this.#replicas = this.#makeReplicas();
    this.#page = this.#makePage();
    this.#nodeProxies = this.#makeNodeProxyWatch();
    this.#ejections = this.#makeEjectionWatch();
    this.#feed = new MeshFeed({
      source: opened.source,
      compiler,
      publish: (update) => this.#discovery.update(update),
      log,
      compiled: (update, gone, upserts) => {
        this.#page?.changed(upserts, gone);
        this.#nodeProxies.take(
          update,
          gone.flatMap(({ kind, name }) => (kind === 'Node' ? [name] : [])),
        );
        this.#replicas?.take(update);
        this.#writes?.compiled();
      },
    });
  }

  /** Takes over the probes, which listen on the port `readiness`. */
  async start(probes: Probes, readiness: number): Promise<RunningController> {
    const { ports } = this.#config;
    this.#probes = probes;
    probes.pending = () => this.#pending();
    this.#log.info({ ...this.#authority.describe(), version }, 'the certificate authority is ready');
    if (this.#authority.notAfterMs - this.#clock.now() < issuerWarningMs) {
      this.#log.warn(this.#authority.describe(), 'the issuer ends soon; renew it, since nothing it issues outlives it');
    }
    this.#issuerKeeper.start();
    const statuses = () => this.#compiler.statuses();
    const gateways = () => this.#compiler.gateways();
    const rootsPem = () => this.#authority.rootsPem();
    const parts = { statuses, gateways, rootsPem, webhook: this.#config.webhook.configuration };
    this.#writes = await this.#opened.writesOf({ ...parts, clock: this.#clock, log: this.#log });
    this.#writes?.start();
    this.#ejections.start();
    // Read before anyone may ask: a controller that knows nothing yet would tell proxies that all is gone.
    await this.#feed.start();
    const metrics = await this.#serve('', ports.metrics, metricsRoutes(this.#metrics));
    const routes = { ...adminRoutes(this, this.#page, this.#observe, this.#log), ...metricsRoutes(this.#metrics) };
    const admin = await this.#serve(adminHost, ports.admin, routes);
    const discovery = await this.#listen();
    this.#replicas?.start(discovery.port);
    const webhook = await this.#startWebhook();
    const page = (await this.#page?.start()) ?? null;
    this.#isListening = true;
    const addresses = { discovery, admin, metrics, readiness, webhook, page };
    const bound = { ...addresses, discovery: `${discovery.host}:${discovery.port}` };
    this.#log.info(bound, this.#feed.isRead ? 'the controller is ready' : 'the controller waits for its sources');
    return { addresses, compiler: this.#compiler, status: () => this.status(), close: () => this.close() };
  }

  status(): StatusView {
    return {
      version,
      proxies: this.#discovery.proxies(),
      sources: this.#feed.sources(),
      issues: this.#compiler.issues(),
      objects: this.#writes?.statuses() ?? this.#compiler.statuses(),
    };
  }

  certificates(): CertificatesView {
    const servers = [
      ...this.#serverCertificate.views(),
      ...(this.#webhook?.views() ?? []),
      ...(this.#page?.views() ?? []),
    ];
    return { ...this.#authority.view(), servers };
  }

  events(): EventListView {
    return { events: this.#told.views() };
  }

  mesh(): ReturnType<MeshCompiler['mesh']> {
    return this.#compiler.mesh();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isListening = false;
    this.#feed.close();
    this.#serverCertificate.close();
    await this.#webhook?.close();
    await this.#page?.close();
    this.#issuerKeeper.close();
    this.#nodeProxies.close();
    this.#replicas?.close();
    this.#ejections.close();
    this.#discovery.close();
    this.#observe.close();
    await this.#rpc?.close(drainMs);
    await this.#writes?.close();
    await Promise.all([this.#probes, ...this.#servers].map((server) => server?.close()));
    await this.#opened.api?.close();
  }

  #gate(clock: Clock): Gate {
    const { nodeAccounts } = this.#config.auth;
    const verify = this.#opened.verifier(clock);
    return new Gate({
      verify: (token) => {
        if (this.#feed.isRead) return verify(token);
        // Whoever calls is a pod that is not known yet.
        const hint = 'callers are asked to wait';
        throw new MeshError('NOT_REACHABLE', { what: 'the mesh', reason: 'its sources have not been read', hint });
      },
      nodeAccounts,
      replicaAccount: this.#config.replicas.account,
      pod: (namespace, name) => this.#compiler.pod(namespace, name),
      clock,
      log: this.#log,
      refused: (call) => this.#metrics.callersRefused.inc({ call }),
    });
  }

  async #listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { listenHost, ports } = this.#config;
    let first: ServerCredentials | null = null;
    this.#serverCertificate.start((credentials) => {
      first = credentials;
      this.#rpc?.setCredentials(credentials);
    });
    if (first === null) throw new MeshError('INTERNAL', { reason: 'no server certificate' });
    const routes: RpcServerOptions['routes'] = (router) => {
      this.#discovery.routes(router);
      this.#observe.routes(router);
      this.#certificates.routes(router);
    };
    this.#rpc = new RpcServer({ host: listenHost, port: ports.discovery, credentials: first, routes });
    return this.#rpc.start();
  }

  #makeIssuerKeeper(): IssuerKeeper {
    const { caDir: dir, rootsFile } = this.#config;
    return new IssuerKeeper({
      authority: this.#authority,
      dir,
      secret: this.#opened.secret,
      clock: this.#clock,
      log: this.#log,
      rootsChanged: (rootsPem) => {
        if (rootsFile !== '') writeAtomically(rootsFile, rootsPem.join(''));
        this.#writes?.changed();
      },
      troubled: (what, problem) => this.#tellIssuer(what, problem),
    });
  }

  #tellIssuer(what: 'files' | 'signing' | 'end', problem: string | null): void {
    const { caSecret: name, systemNamespace: namespace } = this.#config;
    if (name !== '') this.#tell(eventOfIssuer({ namespace, name }, what, problem));
  }

  #tell(event: ClusterEvent): void {
    this.#told.tell(event, this.#clock.now());
    this.#writes?.tell(event);
  }

  #makeServerCertificate(): ServerCertificate {
    const { serverNames: names, certificateTtlMs: ttlMs } = this.#config;
    const [authority, clock, log] = [this.#authority, this.#clock, this.#log];
    return new ServerCertificate({ authority, names, server: 'discovery', ttlMs, clock, log });
  }

  async #startWebhook(): Promise<number | null> {
    if (this.#config.webhook.configuration === '') return null;
    this.#webhook = new Webhook({
      config: this.#config,
      authority: this.#authority,
      mesh: this.#compiler,
      isKnown: () => this.#feed.isRead,
      judged: (kind, verdict) => this.#metrics.reviews.inc({ kind: admittedNames.has(kind) ? kind : 'other', verdict }),
      clock: this.#clock,
      log: this.#log,
    });
    return this.#webhook.start();
  }

  #makeCertificates(gate: Gate): CertificateService {
    const [config, compiler, clock, log] = [this.#config, this.#compiler, this.#clock, this.#log];
    return new CertificateService({
      authority: this.#authority,
      gate,
      trustDomain: config.trustDomain,
      ttlMs: config.certificateTtlMs,
      ttlMaxMs: config.certificateTtlMaxMs,
      hasIdentityOnNode: (identity, node) => compiler.hasIdentityOnNode(identity, node),
      clock,
      issuedBeforeMs: (identity) => compiler.issuedBeforeMs(identity),
      log,
      issued: () => this.#metrics.certificatesIssued.inc(),
      failed: (reason) => this.#tellIssuer('signing', reason),
    });
  }

  #makeReplicas(): ReplicaLinks | null {
    const { replicas, serverNames, clusterId } = this.#config;
    const [serverName] = serverNames;
    if (replicas.account === '' || serverName === undefined) return null;
    return new ReplicaLinks({
      ...{ ...replicas, serverName, clusterId, version, clock: this.#clock, log: this.#log },
      rootsPem: () => this.#authority.rootsPem(),
      routes: replicaRoutes(this.#observe, () => this.status()),
    });
  }

  #makeNodeProxyWatch(): NodeProxyWatch {
    const { nodeAccounts: accounts } = this.#config.auth;
    return new NodeProxyWatch({ accounts, clock: this.#clock, tell: (event) => this.#tell(event) });
  }

  #makeEjectionWatch(): EjectionWatch {
    const tell: EjectionWatchOptions['tell'] = (event) => {
      this.#told.tell(event, this.#clock.now());
      this.#writes?.tellOwn(event);
    };
    return new EjectionWatch({ observed: this.#observe, compiler: this.#compiler, clock: this.#clock, tell });
  }

  #makePage(): Page | null {
    if (!this.#config.page.enabled) return null;
    const [config, authority, clock, log] = [this.#config, this.#authority, this.#clock, this.#log];
    const [observed, compiler, { source }] = [this.#observe, this.#compiler, this.#opened];
    const replicas = this.#replicas;
    return new Page({ config, authority, observed, replicas, compiler, source, controller: this, clock, log });
  }

  async #serve(
    host: string,
    port: number,
    routes: ConstructorParameters<typeof SimpleServer>[0]['routes'],
  ): Promise<number> {
    const server = new SimpleServer({ host, port, routes });
    this.#servers.push(server);
    return server.start();
  }

  /** What readiness waits for; empty when ready. A broken source is no reason: the last good state is served. */
  #pending(): string[] {
    const pending: string[] = [];
    if (!this.#feed.isRead) pending.push('a source has not been readable yet; GET /status names it');
    if (!this.#isListening) pending.push('the discovery port is not open');
    return pending;
  }

  #reading(): ReturnType<ConstructorParameters<typeof ControllerMetrics>[0]> {
    const proxies = this.#discovery.proxies();
    return {
      proxiesConnected: this.#discovery.connected,
      proxiesInStep: proxies.filter((proxy) => proxy.inStep).length,
      sourcesBroken: this.#feed.sources().filter((source) => !source.ok).length,
      ...this.#discovery.sizes(),
      ready: this.#pending().length === 0,
      issuerNotAfterMs: this.#authority.notAfterMs,
    };
  }
}

/** A reader sees the old content or the new, never half of it. */
function writeAtomically(file: string, text: string): void {
  try {
    const temporary = `${file}.${process.pid}`;
    writeFileSync(temporary, text, { mode: 0o644 });
    renameSync(temporary, file);
  } catch (error) {
    throw new MeshError(
      'CONFIG_INVALID',
      { place: file, reason: `the roots cannot be written: ${messageOf(error)}` },
      { cause: error },
    );
  }
}
