// `npm run bench -- l7`: what one hop of HTTP costs, one worker thread, with the same ten rules, retries and time-out
// whoever it is. Part a is plaintext on both sides: our HTTP path beside Envoy, nginx, HAProxy, and no hop at all.
// Part b is mutual TLS on both sides: ours between tunnels, Envoy between TLS connections. Part c is the whole way
// between two pods: through our node proxies and the waypoint, and through a pair of Envoy sidecars.
//
// Every hop stands ready; each metric is then measured hop after hop, in another order each round.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeCertificates } from './certificates.ts';
import { Contest } from './contest.ts';
import { runH2Load } from './h2load.ts';
import { startAmbientHop, startAmbientTunnelHop } from './hops/ambient.ts';
import { type HopContext, host, type RunningHop, type StartHop, serverPorts } from './hops/hop.ts';
import { startEnvoyHop, startEnvoyTlsHop, startHaproxyHop, startNginxHop, startNone } from './hops/peers.ts';
import { startSidecars, startWaypointWay } from './hops/ways.ts';
import { holdConnections, type LoadResult, probe, runLoad } from './load.ts';
import { findEnvoy } from './paths/envoy.ts';
import { serverConfig } from './paths/nginx.ts';
import { eventually, Service, usageOf } from './processes.ts';
import { describeMachine, type Report } from './report.ts';

/** What `l7` measures of a hop, and what is to be reached beside Envoy. */
export const l7Metrics = {
  rps: { title: 'HTTP/1.1 64 conns, req/s', target: '≥ 2 × Envoy; b, c 1.5 ×' },
  p50Ms: { title: '  p50 ms', target: '' },
  p99Ms: { title: '  p99 ms', target: '≤ Envoy' },
  cpuUsPerRequest: { title: '  CPU µs/req', target: '≤ 0.5 × Envoy' },
  oneConnectionRps: { title: 'one connection, req/s', target: '' },
  fixedP50Ms: { title: 'at 8,000 req/s, p50 ms', target: '' },
  fixedP99Ms: { title: '  p99 ms', target: '≤ Envoy' },
  postRps: { title: 'POST 1 KiB, req/s', target: '' },
  postCpuUs: { title: '  CPU µs/req', target: '' },
  bulkGBps: { title: '10 MiB bodies, GB/s', target: '' },
  cpuSPerGB: { title: '  CPU s/GB', target: '' },
  connectionsPerS: { title: 'new connections/s', target: '' },
  grpcRps: { title: 'gRPC unary 8 × 32, req/s', target: '≥ 1.5 × Envoy' },
  grpcP99Ms: { title: '  p99 ms', target: '' },
  grpcCpuUs: { title: '  CPU µs/req', target: '' },
  rssMB: { title: 'RSS at rest, MB', target: '' },
  kbPerIdleConnection: { title: 'KB per idle connection', target: '' },
  waypointRssMB: { title: 'waypoint alone: RSS at rest, MB', target: '≤ 120' },
  waypointHeldMB: { title: '  RSS with 3,500 connections, MB', target: '' },
  waypointKb: { title: '  KB per idle connection', target: '≤ 8' },
} as const satisfies Record<string, { title: string; target: string }>;
export type L7Metric = keyof typeof l7Metrics;
const metricNames = Object.keys(l7Metrics) as L7Metric[];

export const l7Parts = ['a', 'b', 'c'] as const;
export type L7Part = (typeof l7Parts)[number];

export interface L7Options {
  readonly rounds: number;
  readonly quick: boolean;
  /** Empty for all. */
  readonly parts: readonly L7Part[];
  /** Names of hops; empty for all. */
  readonly only: readonly string[];
  readonly dir: string;
  readonly cacheDir: string;
  readonly say: (line: string) => void;
  readonly nodeFlags: readonly string[];
}

const readyTimeoutMs = 20_000;
const firstPort = 18_600;
/** A waypoint compacts its heap four seconds after its start. */
const compactedMs = 6_000;
const fixedRatePerS = 8_000;
const grpc = { connections: 8, streams: 32 } as const;
/** A message of gRPC with nothing in it: not compressed, length 0. */
const grpcBody = Buffer.alloc(5);
const grpcHeaders = ['content-type: application/grpc', 'te: trailers', 'grpc-timeout: 15S', 'user-agent: grpc-bench/1'];

/** Runs the suite; a hop that cannot be measured is left out with its reason. */
export class L7Bench {
  readonly #options: L7Options;
  readonly #services: Service[] = [];
  readonly #contest: Contest<L7Metric>;

  constructor(options: L7Options) {
    this.#options = options;
    this.#contest = new Contest(metricNames, options.say);
  }

  async run(): Promise<Report<L7Metric>> {
    const startedAt = new Date().toISOString();
    const { rounds, quick } = this.#options;
    const contest = this.#contest;
    const hops = await this.#startAll();
    for (const hop of contest.alive(hops)) await contest.attempt(hop, () => this.#memory(hop));
    for (const hop of contest.alive(hops)) await contest.attempt(hop, () => this.#warmUp(hop));
    const measures = [this.#requests, this.#fixed, this.#post, this.#bulk, this.#reconnect, this.#grpc];
    await contest.rounds(
      rounds,
      hops,
      measures.map((measure) => measure.bind(this)),
    );
    return {
      name: 'l7',
      machine: describeMachine(),
      node: process.version,
      startedAt,
      rounds,
      quick,
      rows: contest.rows(hops),
      leftOut: contest.leftOut,
    };
  }

  /** Stops everything, last started first. */
  async close(): Promise<void> {
    for (const service of this.#services.splice(0).reverse()) await service.stop();
  }

  async #startAll(): Promise<RunningHop[]> {
    const { only, parts, cacheDir, nodeFlags, say } = this.#options;
    const dir = this.#folder('server');
    const words = serverConfig(dir, `${host}:${serverPorts.http1}`, `${host}:${serverPorts.http2}`);
    const made = makeCertificates(dir, ['client', 'server']);
    const certificates = { client: made.get('client')!, server: made.get('server')! };
    const server = new Service({ name: 'nginx', netns: null, words, logFile: path.join(dir, 'nginx.log') });
    this.#services.push(server);
    writeFileSync(path.join(this.#options.dir, 'grpc-body'), grpcBody);
    const keep = (service: Service): void => void this.#services.push(service);
    const candidates: [L7Part, string, StartHop][] = [
      ['a', 'direct', startNone],
      ['a', 'haproxy', startHaproxyHop],
      ['a', 'nginx', startNginxHop],
      ['a', 'envoy-l7', (context) => startEnvoyHop(findEnvoy(cacheDir))(context)],
      ['a', 'ambient', startAmbientHop(nodeFlags)],
      ['b', 'envoy-mtls', (context) => startEnvoyTlsHop(findEnvoy(cacheDir))(context)],
      ['b', 'ambient-mtls', startAmbientTunnelHop(nodeFlags)],
      ['c', 'envoy-sidecars', (context) => startSidecars(findEnvoy(cacheDir), keep)(context)],
      ['c', 'ambient-waypoint', startWaypointWay(nodeFlags, keep)],
    ];
    const hops: RunningHop[] = [];
    for (const [index, [part, name, start]] of candidates.entries()) {
      if (only.length > 0 && !only.includes(name)) continue;
      if (parts.length > 0 && !parts.includes(part)) continue;
      try {
        say(`starting ${name}`);
        const http1Port = firstPort + 2 * index;
        const context: HopContext = { dir: this.#folder(name), http1Port, http2Port: http1Port + 1, certificates };
        const hop = await start(context);
        this.#services.push(...hop.services);
        const services = hop.proxies.length === 0 ? [server] : hop.services;
        await eventually(name, readyTimeoutMs, services, () => probe(hop.netns, `${hop.http1}/`));
        hops.push(hop);
      } catch (error) {
        this.#contest.leaveOut(name, error);
      }
    }
    return hops;
  }

  #folder(name: string): string {
    const folder = path.join(this.#options.dir, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  // === The measurements ===

  get #seconds(): number {
    return this.#options.quick ? 1 : 3;
  }

  async #memory(hop: RunningHop): Promise<void> {
    const { name, netns, http1, proxies, waypoint } = hop;
    if (proxies.length === 0) return;
    const settleMs = waypoint !== null ? compactedMs : this.#options.quick ? 500 : 3_000;
    const samples = this.#contest.samplesOf(name);
    const rssOf = (of: readonly Service[]): number => usageOf(of.map(({ pid }) => pid)).rssBytes;
    const look = (): { all: number; waypoint: number } => ({
      all: rssOf(proxies),
      waypoint: waypoint === null ? 0 : rssOf([waypoint]),
    });
    await delay(settleMs);
    const rest = look();
    const first = await holdConnections(netns, `${http1}/`, 500);
    await delay(settleMs);
    const few = look();
    const more = await holdConnections(netns, `${http1}/`, 3_000);
    await delay(settleMs);
    const many = look();
    samples.rssMB.push(rest.all / 1e6);
    samples.kbPerIdleConnection.push((many.all - few.all) / 1024 / more.count);
    if (waypoint !== null) {
      samples.waypointRssMB.push(rest.waypoint / 1e6);
      samples.waypointHeldMB.push(many.waypoint / 1e6);
      samples.waypointKb.push((many.waypoint - few.waypoint) / 1024 / more.count);
    }
    await Promise.all([first.release(), more.release()]);
  }

  async #warmUp(hop: RunningHop): Promise<void> {
    const seconds = this.#options.quick ? 1 : 2;
    await runLoad({ netns: hop.netns, url: `${hop.http1}/`, connections: 64, seconds });
    if (hop.http2 !== null) await this.#runGrpc(hop, hop.http2, 1);
  }

  async #requests(hop: RunningHop): Promise<void> {
    const samples = this.#contest.samplesOf(hop.name);
    const seconds = this.#seconds;
    const { result, cpuS } = await this.#measured(hop, () =>
      runLoad({ netns: hop.netns, url: `${hop.http1}/`, connections: 64, seconds }),
    );
    samples.rps.push(result.requests / result.seconds);
    samples.p50Ms.push(result.p50Ms);
    samples.p99Ms.push(result.p99Ms);
    if (cpuS !== null) samples.cpuUsPerRequest.push((cpuS * 1e6) / result.requests);
    const one = await this.#measured(hop, () =>
      runLoad({ netns: hop.netns, url: `${hop.http1}/`, connections: 1, seconds: 1 }),
    );
    samples.oneConnectionRps.push(one.result.requests / one.result.seconds);
  }

  async #fixed(hop: RunningHop): Promise<void> {
    const { result } = await this.#measured(hop, () =>
      runH2Load({
        netns: hop.netns,
        url: `${hop.http1}/`,
        protocol: 'http1',
        connections: 64,
        streams: 1,
        seconds: this.#seconds,
        ratePerS: fixedRatePerS,
        dir: this.#options.dir,
      }),
    );
    this.#contest.samplesOf(hop.name).fixedP50Ms.push(result.p50Ms);
    this.#contest.samplesOf(hop.name).fixedP99Ms.push(result.p99Ms);
  }

  async #post(hop: RunningHop): Promise<void> {
    const samples = this.#contest.samplesOf(hop.name);
    const load = { netns: hop.netns, url: `${hop.http1}/`, connections: 64, seconds: this.#seconds, bodyBytes: 1024 };
    const { result, cpuS } = await this.#measured(hop, () => runLoad(load));
    samples.postRps.push(result.requests / result.seconds);
    if (cpuS !== null) samples.postCpuUs.push((cpuS * 1e6) / result.requests);
  }

  async #bulk(hop: RunningHop): Promise<void> {
    const samples = this.#contest.samplesOf(hop.name);
    const load = { netns: hop.netns, url: `${hop.http1}/bulk`, connections: 4, seconds: this.#seconds };
    const { result, cpuS } = await this.#measured(hop, () => runLoad(load));
    samples.bulkGBps.push(result.bytes / 1e9 / result.seconds);
    if (cpuS !== null) samples.cpuSPerGB.push(cpuS / (result.bytes / 1e9));
  }

  async #reconnect(hop: RunningHop): Promise<void> {
    const load = { netns: hop.netns, url: `${hop.http1}/`, connections: 32, seconds: 1, reconnect: true };
    const { result } = await this.#measured(hop, () => runLoad(load));
    this.#contest.samplesOf(hop.name).connectionsPerS.push(result.requests / result.seconds);
  }

  async #grpc(hop: RunningHop): Promise<void> {
    const { http2 } = hop;
    if (http2 === null) return;
    const samples = this.#contest.samplesOf(hop.name);
    const { result, cpuS } = await this.#measured(hop, () => this.#runGrpc(hop, http2, this.#seconds));
    samples.grpcRps.push(result.requests / result.seconds);
    samples.grpcP99Ms.push(result.p99Ms);
    if (cpuS !== null) samples.grpcCpuUs.push((cpuS * 1e6) / result.requests);
  }

  #runGrpc({ netns }: RunningHop, url: string, seconds: number): Promise<LoadResult> {
    const { dir } = this.#options;
    const bodyFile = path.join(dir, 'grpc-body');
    return runH2Load({
      netns,
      url: `${url}/`,
      protocol: 'http2',
      ...grpc,
      seconds,
      headers: grpcHeaders,
      bodyFile,
      dir,
    });
  }

  async #measured(
    hop: RunningHop,
    load: () => Promise<LoadResult>,
  ): Promise<{ result: LoadResult; cpuS: number | null }> {
    const pids = hop.proxies.map(({ pid }) => pid);
    const before = usageOf(pids).cpuS;
    const result = await load();
    const cpuS = pids.length === 0 ? null : usageOf(pids).cpuS - before;
    this.#contest.samplesOf(hop.name).errors += result.errors;
    return { result, cpuS };
  }
}
