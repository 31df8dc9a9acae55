// Assembles the data path of one thread: the tables, what connections share, and how a change of the mesh reaches each.
import { systemClock } from '../base/clock.ts';
import { Descriptors } from '../base/descriptors.ts';
import { MeshError } from '../base/errors.ts';
import { canonicalIp } from '../base/ip.ts';
import { version } from '../base/version.ts';
import { Admission } from '../forward/admission.ts';
import { ClientAddresses } from '../forward/client-address.ts';
import { ConnectionTraces } from '../forward/connection-traces.ts';
import { ConnectionTracker } from '../forward/connection-tracker.ts';
import type { ConnectTcp, ForwardConfig, ForwardContext } from '../forward/context.ts';
import { EdgeRecorder } from '../forward/edge-recorder.ts';
import { HoldQueue } from '../forward/hold-queue.ts';
import { recordRefused } from '../forward/inbound-hbone.ts';
import { judgeOf } from '../forward/judge.ts';
import { Networks, type NetworksInput } from '../forward/networks.ts';
import { PodNetworks } from '../forward/pod-networks.ts';
import { SharedUse } from '../forward/shared-use.ts';
import { Sweep, tickFor } from '../forward/sweep.ts';
import { identityOf } from '../forward/workload-names.ts';
import { threadBudget } from '../h2/receive-budget.ts';
import { connectTcp } from '../io/connect-tcp.ts';
import { tcpBackend } from '../io/tcp-backend.ts';
import { TransparentSockets } from '../io/transparent-socket.ts';
import { MeshCompactor } from '../model/compact-mesh.ts';
import { type ApplyChange, MeshIndex } from '../model/mesh-index.ts';
import { RevocationList } from '../model/revocation.ts';
import type { MeshUpdate, Revocation, SpiffeId, Workload } from '../model/types.ts';
import type { ConnectionView, EjectedListView } from '../model/views.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { EdgeCounters, edgeRowsMax } from '../telemetry/edge-counters.ts';
import { FlowRing } from '../telemetry/flow-ring.ts';
import { PolicyHits } from '../telemetry/policy-hits.ts';
import { RecordSink } from '../telemetry/record-sink.ts';
import { RequestCounters, requestRowsMax } from '../telemetry/request-counters.ts';
import type { SpanOrigin } from '../telemetry/traces/span.ts';
import { spanCounters, Tracer } from '../telemetry/traces/tracer.ts';
import { createTunnelPool } from '../tunnel/pool.ts';
import { createTunnelServer, type TunnelServer } from '../tunnel/server.ts';
import { CredentialStore } from './data-thread-credentials.ts';
import { credentialOptions, holdLimits, poolOptions, serverOptions } from './data-thread-limits.ts';
import type { DataThreadStart, LiveConfig, NoticeFields } from './messages.ts';

/** What a kind of proxy serves on its data threads besides connections: HTTP. */
export interface ThreadService {
  /** What is not over. */
  readonly active: number;
  /** The mesh or the routes have changed. */
  meshChanged(): void;
  /** So have policies of services, perhaps. */
  policiesChanged(): void;
  /** What is not over, for dumps; bounded. */
  views(thread: number): readonly ConnectionView[];
  counters(): Readonly<Record<string, number>>;
  /** Endpoints that get nothing for a while, and limits that refuse. */
  strain(): EjectedListView;
  /** Clients are asked to go elsewhere. */
  drain(deadlineMs: number): void;
  /** Ends everything at once. */
  close(): void;
}

/** Has a line written into the log of the program, at `info`. */
export type Notice = (message: string, fields: NoticeFields) => void;

export interface DataPathOptions {
  /** Default: nothing is written. */
  readonly notice?: Notice;
  readonly connect?: ConnectTcp | undefined;
  /** Who reports connections; default: source or destination, by their direction. */
  readonly reporter?: 'waypoint';
  /** Whom its spans are from. */
  readonly origin?: SpanOrigin;
}

/** Everything of one data thread but its listeners. */
export class DataPath {
  readonly context: ForwardContext;
  readonly tracker: ConnectionTracker;
  readonly edges = new EdgeCounters();
  readonly requests = new RequestCounters();
  readonly policyHits = new PolicyHits();
  /** Null where nothing is traced. */
  readonly tracer: Tracer | null;
  readonly accessLog: AccessLog;
  readonly flows: FlowRing;
  readonly records: RecordSink;
  readonly credentials: CredentialStore;
  readonly tunnelServer: TunnelServer;
  readonly clientAddresses: ClientAddresses;
  readonly pods = new PodNetworks();
  readonly #compactor = new MeshCompactor();
  readonly #revocations = new RevocationList();
  /** Every part reads these at each use, so that a change of them is a change for all. */
  readonly #live: Pick<ForwardConfig, 'timeouts' | 'limits'>;
  #stopLooking: () => void = () => {};
  #service: ThreadService | null = null;
  readonly #threadId: number;
  readonly notice: Notice;

  /** `ask` requests a certificate from the main thread; tests bring their own `connect`. */
  constructor(start: DataThreadStart, ask: (identity: SpiffeId) => void, options: DataPathOptions = {}) {
    const { connect = connectTcp, reporter = null, notice = () => {} } = options;
    this.notice = notice;
    // The main thread has read and checked it; it arrives as a structured clone.
    const given = start.config as unknown as ForwardConfig;
    const config = { ...given, timeouts: { ...given.timeouts }, limits: { ...given.limits } };
    const { timeouts, limits, log } = config;
    this.#live = { timeouts, limits };
    const index = new MeshIndex();
    const { threadId } = start;
    this.#threadId = threadId;
    const use = new SharedUse(start.use ?? threadId + 1);
    const admission = new Admission({ limits, use, descriptors: new Descriptors(), threadId });
    this.accessLog = new AccessLog({ format: log.format, file: log.accessFile, access: log.access, level: log.level });
    this.flows = new FlowRing(limits);
    this.records = new RecordSink(this.accessLog, this.flows);
    const { records, policyHits } = this;
    this.tracer = this.#tracerOf(config, options.origin);
    const traces = this.tracer === null ? null : new ConnectionTraces(this.tracer);
    const edges = new EdgeRecorder(this.edges, reporter);
    this.tracker = new ConnectionTracker({
      threadId,
      admission,
      judge: judgeOf(index),
      records,
      edges,
      policyHits,
      traces,
    });
    this.credentials = new CredentialStore(credentialOptions(config, ask));
    const sockets = start.awaitsClientAddresses || start.hasPodNetworks ? TransparentSockets.load() : null;
    const pods = start.hasPodNetworks === true ? this.pods : null;
    const nowMs = (): number => performance.now();
    this.clientAddresses = new ClientAddresses(connect, sockets, Math.random, nowMs, pods);
    const { nodeName } = config;
    const isLocal = (address: string): boolean =>
      nodeName !== '' && index.workloadByAddress(plain(address))?.node === nodeName;
    let ids = 0;
    this.context = {
      config,
      networks: new Networks({ ...config, meshCidrs: config.meshCidrs ?? config.podCidrs, byLinks: false }),
      index,
      tracker: this.tracker,
      credentials: this.credentials,
      pool: createTunnelPool(poolOptions(config, this.#revocations, isLocal)),
      holds: new HoldQueue(holdLimits(config)),
      sweep: new Sweep({ tickMs: tickFor(timeouts.idleMs, timeouts.halfCloseMs) }),
      connect: this.clientAddresses.connect,
      traces,
      random: Math.random,
      nextId: () => `${threadId}-${++ids}`,
    };
    threadBudget.limits = config.limits;
    this.tunnelServer = createTunnelServer(
      serverOptions(config, this.#revocations, isLocal, (error, remote, local) =>
        recordRefused(this.context, error, plain(remote), plain(local)),
      ),
    );
    this.context.sweep.start();
  }

  /** Serves `service` too from here on: it is told of changes, drained and closed with the rest. */
  attach(service: ThreadService): void {
    this.#service = service;
  }

  /** Takes another log, other times and other limits from here on, for what runs as well. */
  reconfigure({ log, tracing, timeouts, limits }: LiveConfig): void {
    Object.assign(this.#live.timeouts, timeouts);
    Object.assign(this.#live.limits, limits);
    this.context.sweep.retune(tickFor(timeouts.idleMs, timeouts.halfCloseMs));
    this.accessLog.setStyle(log);
    this.accessLog.setLevel(log.level);
    this.flows.resize(limits);
    this.tracer?.reconfigure(tracing);
  }

  /** Puts a change into the tables; connections and requests that it refuses end within this call, up to a batch. */
  applyMesh(update: MeshUpdate): void {
    const { routesChanged } = applyMesh(this.context, this.tunnelServer, this.#compactor.update(update));
    this.#service?.meshChanged();
    if (routesChanged) this.#service?.policiesChanged();
  }

  /** Takes other networks of pods; what is held for an address goes on waiting for the pod. */
  setNetworks(networks: NetworksInput): void {
    this.context.networks.set(networks);
  }

  /** Takes all revocations; sessions with a peer whose certificate is among them end within this call. */
  revoke(revocations: readonly Revocation[]): void {
    if (!this.#revocations.apply({ complete: true, revocations })) return;
    this.context.pool.recheck();
    this.tunnelServer.recheck();
  }

  /** Connections and requests that run. */
  views(): readonly ConnectionView[] {
    return [...this.tracker.views(), ...(this.#service?.views(this.#threadId) ?? [])];
  }

  /** What this thread holds back now. */
  strain(): EjectedListView {
    return this.#service?.strain() ?? { ejected: [] };
  }

  /** Counters and gauges by name. */
  counters(): Record<string, number> {
    const { tracker, holds } = this.context;
    const pool = this.context.pool.stats();
    const server = this.tunnelServer.stats();
    const rejections: Record<string, number> = {};
    for (const [limit, count] of tracker.rejections) rejections[`ambient_limit_rejections_total/${limit}`] = count;
    return {
      ...rejections,
      ...this.policyHits.counters(),
      ...(this.tracer?.counters() ?? spanCounters(null)),
      ...this.#service?.counters(),
      ambient_connections_open: tracker.size,
      ambient_connections_held: holds.size + this.credentials.waiting,
      ambient_certificates_loaded: this.credentials.size,
      ambient_tunnel_client_sessions: pool.sessions,
      ambient_tunnel_client_streams: pool.streams,
      ambient_tunnel_client_sessions_opened_total: pool.sessionsOpened,
      ambient_tunnel_client_streams_opened_total: pool.streamsOpened,
      ambient_tunnel_server_handshakes: server.handshakes,
      ambient_tunnel_server_sessions: server.sessions,
      ambient_tunnel_server_streams: server.streams,
      ambient_tunnel_server_sessions_accepted_total: server.sessionsAccepted,
      ambient_tunnel_server_streams_accepted_total: server.streamsAccepted,
      ambient_client_addresses_kept_total: this.clientAddresses.kept,
      ambient_client_addresses_lost_total: this.clientAddresses.lost,
      ambient_tunnel_buffered_bytes: threadBudget.usedBytes,
      ambient_tunnel_streams_shed_total: threadBudget.shedCount,
      ambient_tcp_raw_threads: tcpBackend().name === 'raw' ? 1 : 0,
      ambient_access_log_dropped_total: this.accessLog.dropped,
      'ambient_metrics_folded_total/tcp': this.edges.folded,
      'ambient_metrics_folded_total/http': this.requests.folded,
      'ambient_metrics_series/tcp': this.edges.size,
      'ambient_metrics_series/http': this.requests.size,
      'ambient_metrics_series_max/tcp': edgeRowsMax,
      'ambient_metrics_series_max/http': requestRowsMax,
    };
  }

  /**
   * Waits for connections to end; those left at the deadline end with `error`. Calls back once with their number.
   * What was accepted is served, however far it has got: it may still need a tunnel, so the pool is told at the end.
   */
  drain(deadlineMs: number, error: MeshError, done: (closedByDeadline: number) => void): void {
    const { tracker, pool } = this.context;
    void this.tunnelServer.drain(deadlineMs);
    this.#service?.drain(deadlineMs);
    const settle = (closed: number): void => {
      this.#stopLooking();
      void pool.drain(0);
      if (this.tracer === null) done(closed);
      else void this.tracer.close(Math.max(endsAtMs - performance.now(), lastSpansMs)).then(() => done(closed));
    };
    const endsAtMs = performance.now() + deadlineMs;
    const timer = setTimeout(() => {
      const left = this.#service?.active ?? 0;
      this.#service?.close();
      settle(left + tracker.abortAll(error));
    }, deadlineMs);
    const look = setInterval(() => {
      if (this.#isQuiet()) settle(0);
    }, drainLookMs);
    this.#stopLooking = () => {
      clearTimeout(timer);
      clearInterval(look);
    };
  }

  /** No connection is left, none is on its way to being one, and every peer has taken its leave. */
  #isQuiet(): boolean {
    const { tracker, holds } = this.context;
    const { sessions, handshakes } = this.tunnelServer.stats();
    const served = this.#service?.active ?? 0;
    return tracker.size + holds.size + this.credentials.waiting + sessions + handshakes + served === 0;
  }

  /** Resets every connection and takes no more, on tunnels neither: what came now would end as if all had been said. */
  abort(error: MeshError): void {
    const { holds, tracker, pool } = this.context;
    this.#service?.close();
    holds.close();
    tracker.abortAll(error);
    pool.close();
    this.tunnelServer.close();
  }

  /** A pod's network is not this proxy's any more: its connections end. */
  closePod(id: number): void {
    const pod = this.pods.remove(id);
    if (pod === null) return;
    const [workload = ''] = pod.addresses;
    this.tracker.abortWhere(
      ({ source, destination }) => pod.has(source.address) || pod.has(destination.address),
      new MeshError('WORKLOAD_GONE', { workload }),
    );
    for (const address of pod.addresses) this.tunnelServer.drainAddress(address);
  }

  /** Ends every connection at once and lets go of everything. */
  close(): void {
    const { holds, tracker, pool, sweep } = this.context;
    this.#stopLooking();
    this.#service?.close();
    holds.close();
    tracker.abortAll(new MeshError('DRAINED'));
    pool.close();
    this.tunnelServer.close();
    this.credentials.close();
    sweep.close();
    this.accessLog.close();
    this.tracer?.destroy();
  }

  #tracerOf({ tracing }: ForwardConfig, origin = nobody): Tracer | null {
    if (tracing === undefined || tracing.endpoint === '') return null;
    const { notice } = this;
    return new Tracer({ config: tracing, origin, clock: systemClock, random: Math.random, notice });
  }
}

/** For spans of what only the end of a drain has ended. */
const lastSpansMs = 500;
const nobody: SpanOrigin = { resource: { attributes: {} }, instrumentationScope: { name: 'ambient', version } };

/** A drain is over when five things are at rest; it is rare, so it looks instead of being told. */
const drainLookMs = 20;

function applyMesh(context: ForwardContext, server: TunnelServer, update: MeshUpdate): ApplyChange {
  const { index, tracker, pool, holds } = context;
  const replaced = update.workloads
    .map((workload) => ({ before: index.workloadByUid(workload.uid), now: workload }))
    .filter(({ before, now }) => isReplaced(before, now));
  const change = index.apply(update);
  // Sessions from and to a pod that has gone take no new streams: its address may be another's tomorrow.
  const gone = [...replaced.flatMap(({ before }) => before ?? []), ...change.removedWorkloads];
  for (const workload of gone) {
    pool.purgeWorkload(workload.uid);
    for (const address of workload.addresses) server.drainAddress(address);
  }
  for (const workload of change.removedWorkloads) {
    tracker.workloadChanged(workload.uid, null);
  }
  for (const workload of change.changedWorkloads) tracker.workloadChanged(workload.uid, workload);
  // Routes have the policies that a waypoint enforces.
  if (change.policiesChanged || change.routesChanged) tracker.policiesChanged();
  if (holds.size === 0) return change;
  for (const workload of update.workloads) for (const address of workload.addresses) holds.arrived(address);
  for (const service of update.services) for (const address of service.addresses) holds.arrived(address);
  return change;
}

/** True when the uid stands for another pod than before: other addresses, or another identity. */
function isReplaced(before: Workload | null, now: Workload): boolean {
  if (before === null) return false;
  return identityOf(before) !== identityOf(now) || before.addresses.some((address) => !now.addresses.includes(address));
}

/** Sockets show IPv4 peers in IPv6 form. */
function plain(address: string): string {
  return canonicalIp(address) ?? address;
}
