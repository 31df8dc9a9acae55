// `npm run bench -- l7`: what one hop of HTTP costs, one worker thread, with the same ten rules, retries and time-out
// whoever it is. Part a is plaintext on both sides: our HTTP path beside Envoy, nginx, HAProxy, and no hop at all.
// Part b is mutual TLS on both sides: ours between tunnels, Envoy between TLS connections. Part c is the whole way
// between two pods: through our node proxies and the waypoint, and through a pair of Envoy sidecars. Part d, only where
// it is asked for, is our path with tracing off, on, and with so many percent of the requests traced.
//
// Every hop stands ready; each metric is then measured hop after hop, in another order each round.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeCertificates } from './certificates.ts';
import { Contest } from './contest.ts';
import { runH2Load } from './h2load.ts';
import { ownTree, startAmbientHop, startAmbientTunnelHop } from './hops/ambient.ts';
import { type HopContext, host, type RunningHop, type StartHop, serverPorts } from './hops/hop.ts';
import { startEnvoyHop, startEnvoyTlsHop, startHaproxyHop, startNginxHop, startNone } from './hops/peers.ts';
import { startSidecars, startWaypointWay } from './hops/ways.ts';
import { holdConnections, type LoadResult, probe, runLoad } from './load.ts';
import { findEnvoy } from './paths/envoy.ts';
import { serverConfig } from './paths/nginx.ts';
import { eventually, Service, usageOf } from './processes.ts';
import { type Profile, profileOf, renderProfiles } from './profile.ts';
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

export const l7Parts = ['a', 'b', 'c', 'd'] as const;
export type L7Part = (typeof l7Parts)[number];

/** What is measured together, in this order. */
export const l7Groups = ['memory', 'requests', 'fixed', 'post', 'bulk', 'connections', 'grpc'] as const;
export type L7Group = (typeof l7Groups)[number];

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
  /** Groups of metrics; empty for all. */
  readonly groups: readonly L7Group[];
  /** Another tree, whose hops are measured too; null for none. */
  readonly base: string | null;
}

const readyTimeoutMs = 20_000;
const firstPort = 18_600;
/** A waypoint compacts its heap four seconds after its start. */
const compactedMs = 6_000;
const fixedRatePerS = 8_000;
const profileS = 6;
const wayBulkS = 3;
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
    if (this.#isAsked('memory')) {
      for (const hop of contest.alive(hops)) await contest.attempt(hop, () => this.#memory(hop));
    }
    for (const hop of contest.alive(hops)) await contest.attempt(hop, () => this.#warmUp(hop));
    await contest.rounds(rounds, hops, this.#measures());
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

  /** Where the CPU time of our own hops goes, under HTTP/1.1, gRPC and bulk. Throws when it cannot be measured. */
  async profile(): Promise<string> {
    const { dir, say } = this.#options;
    const tables: string[] = [];
    for (const hop of await this.#startAll()) {
      const pids = hop.proxies.map(({ pid }) => pid);
      const load = { netns: hop.netns, connections: 64, seconds: profileS };
      const loads: [name: string, load: () => Promise<unknown>][] = [
        ['HTTP/1.1', () => runLoad({ ...load, url: `${hop.http1}/` })],
        ['gRPC', () => this.#runGrpc(hop, hop.http2 ?? hop.http1, profileS)],
        ['10 MiB bodies', () => runLoad({ ...load, url: `${hop.http1}/bulk`, connections: 4 })],
      ];
      const profiles = new Map<string, Profile>();
      for (const [name, run] of loads) {
        say(`profile: ${hop.name}, ${name}`);
        await run();
        profiles.set(name, await profileOf(dir, pids, run));
      }
      tables.push(`${hop.name}\n\n${renderProfiles(profiles)}`);
    }
    return tables.join('\n\n');
  }

  /** Stops everything, last started first. */
  async close(): Promise<void> {
    for (const service of this.#services.splice(0).reverse()) await service.stop();
  }

  async #startAll(): Promise<RunningHop[]> {
    const { only, parts, cacheDir, nodeFlags, base, say } = this.#options;
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
      ['a', 'ambient', startAmbientHop({ name: 'ambient', tree: ownTree, nodeFlags })],
      ['b', 'envoy-mtls', (context) => startEnvoyTlsHop(findEnvoy(cacheDir))(context)],
      ['b', 'ambient-mtls', startAmbientTunnelHop({ name: 'ambient-mtls', tree: ownTree, nodeFlags })],
      ['c', 'envoy-sidecars', (context) => startSidecars(findEnvoy(cacheDir), keep)(context)],
      ['c', 'ambient-waypoint', startWaypointWay(nodeFlags, keep)],
    ];
    if (parts.includes('d')) {
      const hop = { tree: ownTree, nodeFlags };
      candidates.push(['d', 'untraced', startAmbientHop({ ...hop, name: 'untraced' })]);
      for (const tracedPercent of [0, 1, 100]) {
        const name = `traced-${tracedPercent}`;
        candidates.push(['d', name, startAmbientHop({ ...hop, name, tracedPercent })]);
      }
    }
    if (base !== null) {
      candidates.push(['a', 'base', startAmbientHop({ name: 'base', tree: base, nodeFlags })]);
      candidates.push(['b', 'base-mtls', startAmbientTunnelHop({ name: 'base-mtls', tree: base, nodeFlags })]);
    }
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

  #isAsked(group: L7Group): boolean {
    return this.#options.groups.length === 0 || this.#options.groups.includes(group);
  }

  #measures(): ((hop: RunningHop) => Promise<void>)[] {
    const all = [
      ['requests', this.#requests],
      ['fixed', this.#fixed],
      ['post', this.#post],
      ['bulk', this.#bulk],
      ['connections', this.#reconnect],
      ['grpc', this.#grpc],
    ] as const;
    return all.filter(([group]) => this.#isAsked(group)).map(([, measure]) => measure.bind(this));
  }

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
    // On a whole way of a busy machine no body may come through in a second.
    const seconds = hop.netns === null ? this.#seconds : wayBulkS;
    const load = { netns: hop.netns, url: `${hop.http1}/bulk`, connections: 4, seconds };
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
