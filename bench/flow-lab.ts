// The real programs of `npm run bench -- flows`: a lab of two nodes and a waypoint under a steady load, whose proxies
// remember flows or do not, by their own configuration files, while what they use for each flow is measured.
//
// A proxy's CPU time for a short connection is twice as much at 400 a second as at 4,000, where each turn of its loop
// has many to serve; a client that opens thousands a second would be out of ports after some seconds (60 s in TIME_WAIT
// each) and fall from one into the other. Pods and nodes here therefore keep few of those.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MeshError } from '../src/base/errors.ts';
import type { LabClient } from '../src/lab/control-client.ts';
import { enterCommand } from '../src/lab/enter.ts';
import { launchLab } from '../src/lab/launch.ts';
import { hostPidOf, processIds } from '../src/lab/running.ts';
import type { ProxyDump, WaypointDump } from '../src/model/views.ts';
import { CpuClock } from './cpu-clock.ts';
import { benchManifests, benchPort, inPod } from './lab-pods.ts';
import { parseLoad } from './load.ts';
import { shuffled } from './paired.ts';

export const flowKinds = ['connection', 'request'] as const;
export type FlowKind = (typeof flowKinds)[number];

const run = promisify(execFile);
const script = path.join(import.meta.dirname, 'wrk.lua');
const mesh = { namespace: 'flows', servers: ['plain', 'routed'], clients: ['client'] };
const waypointName = `${mesh.namespace}/wp`;
const hosts = { connection: 'plain', request: 'through' } as const satisfies Record<FlowKind, string>;
const servers = { connection: 'plain', request: 'routed' } as const satisfies Record<FlowKind, string>;
const wrkConnections = 32;
const flowsMax = 2_048;
const followTimeoutMs = 10_000;
const lookMs = 10;
const warmUpMs = 2_000;
/** Long enough for a collection of garbage or two, short enough for many. */
const windowMs = 150;
/** What was under way when a proxy was switched is over. */
const settleMs = 30;
const timeWaitMax = 64;
const idleMs = 2_000;

/** Some ms of one load: without, and with flows remembered. Nanoseconds of CPU time of its proxies for each flow. */
export interface WindowPair {
  readonly off: number;
  readonly on: number;
  /** How many came without. */
  readonly perSecond: number;
}

/** A proxy whose flows are switched, by its own configuration file. */
interface Switched {
  readonly kind: 'node' | 'waypoint';
  readonly name: string;
  readonly hostPid: number;
  /** As seen from here. */
  readonly file: string;
  readonly original: string;
}

/** From `start` to `close`. */
export class FlowLab {
  readonly #lab: LabClient;
  readonly #folder: string;
  readonly #proxies: Readonly<Record<FlowKind, readonly Switched[]>>;
  readonly #serverPids: Readonly<Record<FlowKind, number>>;
  readonly #clock = new CpuClock();

  private constructor(
    lab: LabClient,
    folder: string,
    proxies: Readonly<Record<FlowKind, readonly Switched[]>>,
    serverPids: Readonly<Record<FlowKind, number>>,
  ) {
    this.#lab = lab;
    this.#folder = folder;
    this.#proxies = proxies;
    this.#serverPids = serverPids;
  }

  /** Throws what keeps it from measuring. */
  static async start(): Promise<FlowLab> {
    const folder = mkdtempSync(path.join(tmpdir(), 'ambient-flows-'));
    writeFileSync(path.join(folder, 'mesh.yaml'), `${benchManifests(folder, mesh)}${waypointManifests()}`);
    const config = { threads: 1, log: { access: 'off' } };
    const lab = await launchLab({
      ...{ name: `flows-${process.pid}`, paths: [folder], foreground: true, timeoutMs: 90_000 },
      ...{ nodeConfig: config, waypointConfig: config },
    });
    try {
      const proxies = {
        connection: [await switchedOf(lab, 'node', 'node-1'), await switchedOf(lab, 'node', 'node-2')],
        request: [await switchedOf(lab, 'waypoint', waypointName)],
      };
      const pidOf = async (name: string): Promise<number> => (await lab.target('pod', mesh.namespace, name)).hostPid;
      const serverPids = { connection: await pidOf(servers.connection), request: await pidOf(servers.request) };
      await keepFewTimeWaits(lab);
      return new FlowLab(lab, folder, proxies, serverPids);
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#lab.down();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Pairs of windows, in an order that chance decides, while as many flows come for `seconds` as can. */
  async runLoaded(kind: FlowKind, seconds: number): Promise<WindowPair[]> {
    const { command, args, env } = await inPod(this.#lab, mesh, 'client', [
      ...['wrk', '-t1', `-c${wrkConnections}`, `-d${seconds}s`, '--timeout', '5s', '-s', script],
      ...(kind === 'connection' ? ['-H', 'Connection: close'] : []),
      `http://${hosts[kind]}:${benchPort}/`,
    ]);
    let isOver = false;
    const loading = run(command, args, { env }).finally(() => {
      isOver = true;
    });
    loading.catch(() => {}); // it is awaited below
    // What has never run, or not for long, is slow, and made fast beside what is measured.
    for (const isOn of [true, false]) {
      await this.#remember(kind, isOn);
      await delay(warmUpMs);
    }
    const pairs: WindowPair[] = [];
    while (!isOver) {
      const pair = { off: 0, on: 0, perSecond: 0 };
      for (const state of shuffled(['off', 'on'] as const)) {
        await this.#remember(kind, state === 'on');
        const { nsPerFlow, perSecond } = await this.#window(kind);
        pair[state] = nsPerFlow;
        if (state === 'off') pair.perSecond = perSecond;
      }
      if (!isOver) pairs.push(pair);
    }
    const { errors } = parseLoad((await loading).stdout);
    if (errors > 0) {
      throw new MeshError('NOT_REACHABLE', { what: hosts[kind], reason: `${errors} errors`, hint: 'look at the log' });
    }
    return pairs;
  }

  /**
   * `count` flows, one by one, `perSecond` of them, none remembered. Returns nanoseconds of each, without what the
   * proxies use when there are none.
   */
  async runQuiet(kind: FlowKind, perSecond: number, count: number): Promise<number> {
    await this.#remember(kind, false);
    const rate = kind === 'connection' ? quietConnections(perSecond, count) : quietRequests(perSecond, count);
    const { command, args, env } = await inPod(this.#lab, mesh, 'client', [
      ...['h2load', '--h1', '--threads=1', ...rate],
      `http://${hosts[kind]}:${benchPort}/`,
    ]);
    const idleFrom = this.#read(kind);
    await delay(idleMs);
    const idle = this.#read(kind);
    const idleNsPerMs = (idle.cpuNs - idleFrom.cpuNs) / (idle.atMs - idleFrom.atMs);
    const spawned = spawn(command, args, { env, stdio: 'ignore' });
    await new Promise((resolve) => spawned.once('exit', resolve));
    const now = this.#read(kind);
    return (now.cpuNs - idle.cpuNs - idleNsPerMs * (now.atMs - idle.atMs)) / (now.flows - idle.flows);
  }

  /** What each flow of the next moments costs. */
  async #window(kind: FlowKind): Promise<{ nsPerFlow: number; perSecond: number }> {
    await delay(settleMs);
    const before = this.#read(kind);
    await delay(windowMs);
    const now = this.#read(kind);
    const flows = now.flows - before.flows;
    return { nsPerFlow: (now.cpuNs - before.cpuNs) / flows, perSecond: (flows / (now.atMs - before.atMs)) * 1_000 };
  }

  /** All that the proxies have used, and all answers that the server has given: each is one segment with data. */
  #read(kind: FlowKind): { cpuNs: number; flows: number; atMs: number } {
    const pids = this.#proxies[kind].map(({ hostPid }) => hostPid);
    return {
      cpuNs: this.#clock.of(pids),
      flows: countOf(kind, this.#serverPids[kind]),
      atMs: performance.now(),
    };
  }

  /** Resolves when the proxies say that they have followed. */
  async #remember(kind: FlowKind, isOn: boolean): Promise<void> {
    const wanted = isOn ? flowsMax : 0;
    for (const { file, original } of this.#proxies[kind]) {
      const config = JSON.parse(original) as { readonly limits?: object };
      writeFileSync(file, JSON.stringify({ ...config, limits: { ...config.limits, flowsMax: wanted } }));
    }
    for (const proxy of this.#proxies[kind]) await this.#followed(proxy, wanted);
  }

  async #followed({ kind, name }: Switched, wanted: number): Promise<void> {
    const deadlineMs = performance.now() + followTimeoutMs;
    for (;;) {
      const { config } = await dumpOf(this.#lab, kind, name);
      const { limits } = config as { readonly limits: { readonly flowsMax: number } };
      if (limits.flowsMax === wanted) return;
      if (performance.now() > deadlineMs) {
        const hint = 'does it follow its configuration file?';
        throw new MeshError('TIMED_OUT', { what: `${kind} ${name}`, timeoutMs: followTimeoutMs, hint });
      }
      await delay(lookMs);
    }
  }
}

/** A connection for each request, some of them ten times a second. */
function quietConnections(perSecond: number, count: number): string[] {
  const clients = [`--clients=${count}`, `--requests=${count}`];
  return [...clients, `--rate=${Math.round(perSecond / 10)}`, '--rate-period=100ms'];
}

function quietRequests(perSecond: number, count: number): string[] {
  return ['--clients=1', '--max-concurrent-streams=1', `--requests=${count}`, `--rps=${perSecond}`];
}

/** Where the kernel counts what reaches a server: connections, and answers on those, each of which is one segment. */
const counters = {
  connection: { file: 'snmp', group: 'Tcp:', name: 'PassiveOpens' },
  request: { file: 'netstat', group: 'TcpExt:', name: 'TCPOrigDataSent' },
} as const satisfies Record<FlowKind, object>;

/** How many flows have reached the network namespace of `pid`. */
function countOf(kind: FlowKind, pid: number): number {
  const { file, group, name } = counters[kind];
  const lines = readFileSync(`/proc/${pid}/net/${file}`, 'utf8').split('\n');
  const [names = [], values = []] = lines.filter((line) => line.startsWith(group)).map((line) => line.split(' '));
  return Number(values[names.indexOf(name)]);
}

async function keepFewTimeWaits(lab: LabClient): Promise<void> {
  const words = ['sysctl', '-qw', `net.ipv4.tcp_max_tw_buckets=${timeWaitMax}`];
  const targets = [
    ...(await Promise.all(['client', ...mesh.servers].map((name) => lab.target('pod', mesh.namespace, name)))),
    ...(await Promise.all(['node-1', 'node-2'].map((name) => lab.target('node', '', name)))),
  ];
  for (const target of targets) {
    const { command, args } = enterCommand(target, words);
    await run(command, args, { env: { ...process.env, ...target.env } });
  }
}

async function dumpOf(lab: LabClient, kind: Switched['kind'], name: string): Promise<ProxyDump> {
  return (await lab.admin(kind, name, '/config_dump')) as ProxyDump;
}

async function switchedOf(lab: LabClient, kind: Switched['kind'], name: string): Promise<Switched> {
  const { pid, configFile } = await dumpOf(lab, kind, name);
  if (configFile === null) throw new MeshError('NOT_FOUND', { what: 'its configuration file', hint: name });
  const hostPid = kind === 'node' ? hostPidOf(lab.lab, pid) : await podProcess(lab, name, pid);
  const file = `/proc/${hostPid}/root${configFile.file}`;
  return { kind, name, hostPid, file, original: readFileSync(file, 'utf8') };
}

/** A waypoint knows itself by its id in its pod. */
async function podProcess(lab: LabClient, waypoint: string, pid: number): Promise<number> {
  const { pod } = (await dumpOf(lab, 'waypoint', waypoint)) as WaypointDump;
  const { hostPid } = await lab.target('pod', mesh.namespace, pod.replace(/^.*\//, ''));
  const spaceOf = (of: string | number): string => readlinkSync(`/proc/${of}/ns/pid`);
  const space = spaceOf(hostPid);
  const found = readdirSync('/proc').find((entry) => {
    const ids = /^\d+$/.test(entry) ? (processIds(entry)?.ids ?? []) : [];
    return ids.length > 1 && ids.at(-1) === pid && spaceOf(entry) === space;
  });
  if (found === undefined) throw new MeshError('NOT_FOUND', { what: `process ${pid}`, hint: `of ${pod}` });
  return Number(found);
}

function waypointManifests(): string {
  const { namespace } = mesh;
  const listeners = [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }];
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'wp', namespace },
    spec: { gatewayClassName: 'ambient-waypoint', listeners },
  };
  const labels = { app: servers.request, 'ambient.mesh/use-waypoint': 'wp' };
  const ports = [{ name: 'http', port: benchPort, targetPort: benchPort }];
  const service = {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: hosts.request, namespace, labels } },
    spec: { selector: { app: servers.request }, ports },
  };
  return [gateway, service].map((each) => `---\n${JSON.stringify(each)}\n`).join('');
}
