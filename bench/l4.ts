// `npm run bench -- l4`: what a pair of proxies costs between two pods on two nodes.
//
// Every path stands ready; each metric is then measured path after path, in another order each round, so that a slow
// hour of the machine hits all of them. Memory is taken before any load.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MeshError } from '../src/base/errors.ts';
import { makeCertificates } from './certificates.ts';
import { Contest } from './contest.ts';
import { type MemoryPlan, measureMemory } from './l4-memory.ts';
import { type LoadOptions, type LoadResult, probe, runLoad } from './load.ts';
import { startAmbient } from './paths/ambient.ts';
import { type ControlPlane, startControlPlane } from './paths/control-plane.ts';
import { startDirect } from './paths/direct.ts';
import { findEnvoy, startEnvoy } from './paths/envoy.ts';
import { startHaproxy } from './paths/haproxy.ts';
import { startServer } from './paths/nginx.ts';
import { type RunningPath, type StartPath, serverPort } from './paths/path.ts';
import { startZtunnel } from './paths/ztunnel.ts';
import { eventually, type Service, usageOf } from './processes.ts';
import { type Profile, profileOf, renderProfiles } from './profile.ts';
import { describeMachine, type MetricName, metricNames, type Report } from './report.ts';
import { makeTopology, serverAddress, type Topology } from './topology.ts';

/** What is measured together, in this order. */
export const metricGroups = ['memory', 'requests', 'latency', 'connections', 'bulk', 'beside'] as const;
export type MetricGroup = (typeof metricGroups)[number];

export interface L4Options {
  readonly rounds: number;
  readonly quick: boolean;
  /** Names of paths to measure; empty for all. */
  readonly only: readonly string[];
  /** Groups of metrics to measure; empty for all. */
  readonly groups: readonly MetricGroup[];
  readonly dir: string;
  readonly cacheDir: string;
  readonly say: (line: string) => void;
  /** Node's flags for our own proxies, such as `--cpu-prof`. */
  readonly nodeFlags: readonly string[];
  /** A real ztunnel's binary; null to do without. */
  readonly ztunnel: string | null;
}

interface Durations {
  readonly warmUpS: number;
  readonly requestsS: number;
  readonly oneConnectionS: number;
  readonly reconnectS: number;
  readonly bulkS: number;
  readonly besideS: number;
  readonly memory: MemoryPlan;
}

const fullDurations: Durations = {
  warmUpS: 2,
  requestsS: 4,
  oneConnectionS: 2,
  reconnectS: 3,
  bulkS: 3,
  besideS: 2,
  memory: { settleMs: 10_000, firstConnections: 500, heldConnections: 9_000, afterMs: 60_000 },
};
const quickDurations: Durations = {
  warmUpS: 1,
  requestsS: 2,
  oneConnectionS: 1,
  reconnectS: 2,
  bulkS: 2,
  besideS: 1,
  memory: { settleMs: 1_000, firstConnections: 200, heldConnections: 1_000, afterMs: null },
};
const readyTimeoutMs = 30_000;
const gigabyte = 1e9;
const mebibyte = 2 ** 20;
const connectionsOf = { requests: 64, reconnect: 32, bulk: 4, beside: 16, besideBulk: 2 } as const;
/** The bulk streams run this much longer than the requests beside them, at either end. */
const besideLeadS = 0.5;
const profileS = 6;

interface Topologies {
  readonly plain: Topology;
  readonly mesh: Topology;
  readonly ztunnel?: Topology;
}

/** Runs the whole suite and returns its report. A path that cannot be measured is left out with its reason. */
export class L4Bench {
  readonly #options: L4Options;
  readonly #durations: Durations;
  readonly #services: Service[] = [];
  readonly #contest: Contest<MetricName>;

  constructor(options: L4Options) {
    this.#options = options;
    this.#durations = options.quick ? quickDurations : fullDurations;
    this.#contest = new Contest(metricNames, options.say);
  }

  async run(): Promise<Report> {
    const startedAt = new Date().toISOString();
    const paths = await this.#startAll();
    if (this.#isAsked('memory')) await this.#memory(paths);
    for (const running of this.#contest.alive(paths)) {
      await this.#contest.attempt(running, () =>
        this.#load(running, '/', connectionsOf.requests, this.#durations.warmUpS),
      );
      // Opening connections is other code than carrying requests: in a fresh proxy most of it is not compiled yet.
      await this.#contest.attempt(running, () =>
        this.#load(running, '/', connectionsOf.reconnect, this.#durations.warmUpS, { reconnect: true }),
      );
    }
    await this.#contest.rounds(this.#options.rounds, paths, this.#measures());
    return {
      name: 'l4',
      machine: describeMachine(),
      node: process.version,
      startedAt,
      rounds: this.#options.rounds,
      quick: this.#options.quick,
      rows: this.#contest.rows(paths),
      leftOut: this.#contest.leftOut,
    };
  }

  /** Where the CPU time of our own pair goes, under each kind of load. Throws when it cannot be measured. */
  async profile(): Promise<string> {
    const [running] = await this.#startAll();
    if (running === undefined)
      throw new MeshError('NOT_REACHABLE', { what: 'ambient', ...this.#contest.leftOut[0], hint: 'see above' });
    const { requests, reconnect, bulk } = connectionsOf;
    const loads: [name: string, load: (seconds: number) => Promise<unknown>][] = [
      ['requests', (seconds) => this.#load(running, '/', requests, seconds)],
      ['new connections', (seconds) => this.#load(running, '/', reconnect, seconds, { reconnect: true })],
      ['bulk', (seconds) => this.#load(running, '/bulk', bulk, seconds)],
    ];
    const pids = running.proxies.map(({ pid }) => pid);
    const profiles = new Map<string, Profile>();
    for (const [name, load] of loads) {
      this.#options.say(`profile: ${name}`);
      await load(this.#durations.warmUpS);
      profiles.set(name, await profileOf(this.#options.dir, pids, () => load(profileS)));
    }
    return renderProfiles(profiles);
  }

  /** Stops everything, last started first. */
  async close(): Promise<void> {
    for (const service of this.#services.splice(0).reverse()) await service.stop();
  }

  async #startAll(): Promise<RunningPath[]> {
    const { dir, say } = this.#options;
    const certificates = makeCertificates(this.#folder('certificates'), ['client', 'server']);
    const client = certificates.get('client');
    const server = certificates.get('server');
    if (client === undefined || server === undefined) return [];
    const topologies = this.#topologies();
    for (const [name, { server: netns }] of Object.entries(topologies)) {
      const server = startServer(this.#folder(`nginx-${name}`), netns);
      this.#services.push(server);
      await eventually('nginx', readyTimeoutMs, [server], () => probe(netns, `http://${serverAddress}:${serverPort}`));
    }
    const controlPlane = await startControlPlane({
      dir: this.#folder('controller'),
      serverNames: [topologies.mesh, topologies.ztunnel].flatMap((topology) => topology?.controlAddresses ?? []),
      keep: (service) => this.#services.push(service),
    });
    const running: RunningPath[] = [];
    for (const [name, topology, start] of this.#candidates(topologies, controlPlane)) {
      try {
        say(`starting ${name}`);
        const context = { dir: this.#folder(name), topology, certificates: { client, server } };
        const started = await start(context);
        this.#services.push(...started.services);
        await eventually(name, readyTimeoutMs, started.services, () => probe(topology.client, started.origin));
        running.push(started);
      } catch (error) {
        this.#contest.leaveOut(name, error);
      }
    }
    say(`scratch folder: ${dir}`);
    return running;
  }

  /** What captures has a network of its own; the peers that are called by name share one. */
  #topologies(): Topologies {
    const { ztunnel } = this.#options;
    const captured = {
      mesh: makeTopology('mesh', 1),
      ...(ztunnel !== null && { ztunnel: makeTopology('ztunnel', 2) }),
    };
    return { plain: makeTopology('bench', 0), ...captured };
  }

  #candidates(topologies: Topologies, controlPlane: ControlPlane): [string, Topology, StartPath][] {
    const { cacheDir, only, nodeFlags, ztunnel } = this.#options;
    const keep = (service: Service): void => void this.#services.push(service);
    const all: [string, Topology, StartPath][] = [
      ['direct', topologies.plain, startDirect],
      ['haproxy', topologies.plain, startHaproxy],
      ['envoy-hbone', topologies.plain, (context) => startEnvoy(findEnvoy(cacheDir))(context)],
      ['ambient', topologies.mesh, startAmbient({ controlPlane, nodeFlags, keep })],
    ];
    if (ztunnel !== null && topologies.ztunnel !== undefined) {
      all.splice(3, 0, ['ztunnel', topologies.ztunnel, startZtunnel(ztunnel, controlPlane)]);
    }
    return all.filter(([name]) => only.length === 0 || only.includes(name));
  }

  #folder(name: string): string {
    const folder = path.join(this.#options.dir, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  // === The measurements ===

  #isAsked(group: MetricGroup): boolean {
    return this.#options.groups.length === 0 || this.#options.groups.includes(group);
  }

  #measures(): ((running: RunningPath) => Promise<void>)[] {
    const all = [
      ['requests', this.#requests],
      ['latency', this.#oneConnection],
      ['connections', this.#reconnect],
      ['bulk', this.#bulk],
      ['beside', this.#beside],
    ] as const;
    return all.filter(([group]) => this.#isAsked(group)).map(([, measure]) => measure.bind(this));
  }

  async #memory(paths: readonly RunningPath[]): Promise<void> {
    const later: Promise<void>[] = [];
    for (const running of paths.filter(({ proxies }) => proxies.length > 0)) {
      await this.#contest.attempt(running, async () => {
        const { held, after } = await measureMemory(running, this.#durations.memory);
        const take = (found: Partial<Record<MetricName, number>>): void => {
          const samples = this.#contest.samplesOf(running.name);
          for (const [metric, value] of Object.entries(found)) samples[metric as MetricName].push(value);
        };
        take(held);
        later.push(this.#contest.attempt(running, async () => take(await after)));
      });
    }
    await Promise.all(later);
  }

  async #requests(running: RunningPath): Promise<void> {
    const samples = this.#contest.samplesOf(running.name);
    const { result, cpuS } = await this.#load(running, '/', connectionsOf.requests, this.#durations.requestsS);
    samples.rps.push(result.requests / result.seconds);
    samples.p50Ms.push(result.p50Ms);
    samples.p99Ms.push(result.p99Ms);
    if (cpuS !== null) samples.cpuUsPerRequest.push((cpuS * 1e6) / result.requests);
  }

  async #oneConnection(running: RunningPath): Promise<void> {
    const samples = this.#contest.samplesOf(running.name);
    const { result } = await this.#load(running, '/', 1, this.#durations.oneConnectionS);
    samples.oneConnectionRps.push(result.requests / result.seconds);
    samples.oneConnectionP50Ms.push(result.p50Ms);
  }

  async #reconnect(running: RunningPath): Promise<void> {
    const samples = this.#contest.samplesOf(running.name);
    const seconds = this.#durations.reconnectS;
    const { result, cpuS } = await this.#load(running, '/', connectionsOf.reconnect, seconds, { reconnect: true });
    samples.connectionsPerS.push(result.requests / result.seconds);
    if (cpuS !== null) samples.cpuUsPerConnection.push((cpuS * 1e6) / result.requests);
  }

  async #bulk(running: RunningPath): Promise<void> {
    const samples = this.#contest.samplesOf(running.name);
    const { result, cpuS } = await this.#load(running, '/bulk', connectionsOf.bulk, this.#durations.bulkS);
    samples.bulkGBps.push(result.bytes / gigabyte / result.seconds);
    if (cpuS === null) return;
    samples.cpuSPerGB.push(cpuS / (result.bytes / gigabyte));
    samples.cpuUsPerMiB.push((cpuS * 1e6) / (result.bytes / mebibyte));
  }

  /** Small requests alone, and at once beside two bulk streams. */
  async #beside(running: RunningPath): Promise<void> {
    const samples = this.#contest.samplesOf(running.name);
    const { besideS } = this.#durations;
    const alone = await this.#load(running, '/', connectionsOf.beside, besideS);
    samples.quietP50Ms.push(alone.result.p50Ms);
    const bulk = this.#load(running, '/bulk', connectionsOf.besideBulk, besideS + 2 * besideLeadS);
    await delay(besideLeadS * 1_000);
    const beside = await this.#load(running, '/', connectionsOf.beside, besideS);
    await bulk;
    samples.besideBulkP50Ms.push(beside.result.p50Ms);
  }

  async #load(
    running: RunningPath,
    file: string,
    connections: number,
    seconds: number,
    more: Pick<LoadOptions, 'reconnect'> = {},
  ): Promise<{ result: LoadResult; cpuS: number | null }> {
    const pids = running.proxies.map(({ pid }) => pid);
    const before = usageOf(pids).cpuS;
    const url = `${running.origin}${file}`;
    const result = await runLoad({ netns: running.topology.client, url, connections, seconds, ...more });
    const cpuS = pids.length === 0 ? null : usageOf(pids).cpuS - before;
    this.#contest.samplesOf(running.name).errors += result.errors;
    return { result, cpuS };
  }
}
