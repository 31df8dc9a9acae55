// `npm run bench -- flows`: what it costs a proxy to remember its recent flows (`limits.flowsMax`), on and off by turns
// in the same processes of one lab, with the access log off, so that no record would be made for that either.
//
// Connections: every request on a connection of its own, through both node proxies. Requests: over 32 connections
// through a waypoint. Judged by the proxies' CPU time for each, as the machine may be busy with something else.
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MeshError } from '../src/base/errors.ts';
import type { LabClient } from '../src/lab/control-client.ts';
import { launchLab } from '../src/lab/launch.ts';
import { hostPidOf, processIds } from '../src/lab/running.ts';
import type { ProxyDump, WaypointDump } from '../src/model/views.ts';
import { benchManifests, benchPort, inPod } from './lab-pods.ts';
import { parseLoad } from './load.ts';
import { usageOf } from './processes.ts';
import { readable, spreadOf } from './statistics.ts';

export interface FlowsOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

const run = promisify(execFile);
const script = path.join(import.meta.dirname, 'wrk.lua');
const mesh = { namespace: 'flows', servers: ['plain', 'routed'], clients: ['client'] };
const connections = 32;
const followTimeoutMs = 10_000;
const settleMs = 300;

const kinds = {
  connections: { words: 'a connection, both node proxies', server: 'plain', header: ['-H', 'Connection: close'] },
  requests: { words: 'a request, the waypoint', server: 'routed', header: [] },
} as const;
type Kind = keyof typeof kinds;
const kindNames = Object.keys(kinds) as Kind[];

/** Measures and returns the table. Throws what keeps it from measuring. */
export async function runFlows(options: FlowsOptions): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-flows-'));
  writeFileSync(path.join(folder, 'mesh.yaml'), `${benchManifests(folder, mesh)}${waypoint()}`);
  const config = { threads: 1, log: { access: 'off' } };
  const lab = await launchLab({
    ...{ name: `flows-${process.pid}`, paths: [folder], foreground: true, timeoutMs: 90_000 },
    ...{ nodeConfig: config, waypointConfig: config },
  });
  try {
    return await new FlowsBench(lab, options).run();
  } finally {
    await lab.down();
    rmSync(folder, { recursive: true, force: true });
  }
}

function waypoint(): string {
  const { namespace } = mesh;
  const listeners = [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }];
  const spec = { gatewayClassName: 'ambient-waypoint', listeners };
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'wp', namespace },
    spec,
  };
  const labels = { app: kinds.requests.server, 'ambient.mesh/use-waypoint': 'wp' };
  const ports = [{ name: 'http', port: benchPort, targetPort: benchPort }];
  const service = {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'through', namespace, labels } },
    spec: { selector: { app: kinds.requests.server }, ports },
  };
  return [gateway, service].map((each) => `---\n${JSON.stringify(each)}\n`).join('');
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

class FlowsBench {
  readonly #lab: LabClient;
  readonly #options: FlowsOptions;

  constructor(lab: LabClient, options: FlowsOptions) {
    this.#lab = lab;
    this.#options = options;
  }

  async run(): Promise<string> {
    const nodes = [await this.#proxy('node', 'node-1'), await this.#proxy('node', 'node-2')];
    const proxies: Readonly<Record<Kind, readonly Switched[]>> = {
      connections: nodes,
      requests: [await this.#proxy('waypoint', `${mesh.namespace}/wp`)],
    };
    const ratios: Record<Kind, number[]> = { connections: [], requests: [] };
    const costs: Record<Kind, number[]> = { connections: [], requests: [] };
    for (const kind of kindNames) await this.#cpuUs(kind, proxies[kind]);
    for (let round = 0; round < this.#options.rounds; round++) {
      this.#options.say(`round ${round + 1} of ${this.#options.rounds}`);
      for (const kind of kindNames) {
        // Off on on off, and the other way next time: a machine that gets slower or faster counts for neither.
        const order = round % 2 === 0 ? [false, true, true, false] : [true, false, false, true];
        const sums = { on: 0, off: 0 };
        const each: string[] = [];
        for (const isOn of order) {
          for (const proxy of proxies[kind]) await this.#remember(proxy, isOn);
          const cpuUs = await this.#cpuUs(kind, proxies[kind]);
          sums[isOn ? 'on' : 'off'] += cpuUs;
          each.push(`${isOn ? 'on' : 'off'} ${readable(cpuUs)}`);
        }
        this.#options.say(`${kind}: ${each.join(', ')} µs`);
        ratios[kind].push(sums.on / sums.off);
        costs[kind].push(sums.off / 2);
      }
    }
    const rows = kindNames.map((kind) => {
      const percent = (ratio: number): string => `${((ratio - 1) * 100).toFixed(1)} %`;
      const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => percent(quantileOf(ratios[kind], share)));
      const base = readable(spreadOf(costs[kind])?.median ?? 0);
      return `| ${kinds[kind].words} | ${base} µs | ${middle} (${low} to ${high}) |`;
    });
    const head = `flows, ${this.#options.rounds} round(s): CPU time without them, and what remembering them adds (half of all rounds)`;
    return [head, '', '| | without | added |', '|---|---|---|', ...rows, ''].join('\n');
  }

  async #dump(kind: Switched['kind'], name: string): Promise<ProxyDump> {
    return (await this.#lab.admin(kind, name, '/config_dump')) as ProxyDump;
  }

  async #proxy(kind: Switched['kind'], name: string): Promise<Switched> {
    const { pid, configFile } = await this.#dump(kind, name);
    if (configFile === null) throw new MeshError('NOT_FOUND', { what: 'its configuration file', hint: name });
    const hostPid = kind === 'node' ? hostPidOf(this.#lab.lab, pid) : await this.#podProcess(name, pid);
    const file = `/proc/${hostPid}/root${configFile.file}`;
    return { kind, name, hostPid, file, original: readFileSync(file, 'utf8') };
  }

  /** A waypoint knows itself by its id in its pod. */
  async #podProcess(waypoint: string, pid: number): Promise<number> {
    const { pod } = (await this.#dump('waypoint', waypoint)) as WaypointDump;
    const { hostPid } = await this.#lab.target('pod', mesh.namespace, pod.replace(/^.*\//, ''));
    const spaceOf = (of: string | number): string => readlinkSync(`/proc/${of}/ns/pid`);
    const space = spaceOf(hostPid);
    const found = readdirSync('/proc').find((entry) => {
      const ids = /^\d+$/.test(entry) ? (processIds(entry)?.ids ?? []) : [];
      return ids.length > 1 && ids.at(-1) === pid && spaceOf(entry) === space;
    });
    if (found === undefined) throw new MeshError('NOT_FOUND', { what: `process ${pid}`, hint: `of ${pod}` });
    return Number(found);
  }

  /** Resolves when the proxy says that it has followed. */
  async #remember({ kind, name, file, original }: Switched, isOn: boolean): Promise<void> {
    const config = JSON.parse(original) as { readonly limits?: object };
    const wanted = isOn ? 2048 : 0;
    writeFileSync(file, JSON.stringify({ ...config, limits: { ...config.limits, flowsMax: wanted } }));
    const deadlineMs = performance.now() + followTimeoutMs;
    for (;;) {
      const { limits } = (await this.#dump(kind, name)).config as { readonly limits: { readonly flowsMax: number } };
      if (limits.flowsMax === wanted) return;
      if (performance.now() > deadlineMs) {
        const hint = 'does it follow its configuration file?';
        throw new MeshError('TIMED_OUT', { what: `${kind} ${name}`, timeoutMs: followTimeoutMs, hint });
      }
      await delay(settleMs);
    }
  }

  async #cpuUs(kind: Kind, proxies: readonly Switched[]): Promise<number> {
    await delay(settleMs);
    const { server, header } = kinds[kind];
    const words = ['wrk', '-t1', `-c${connections}`, `-d${this.#options.seconds}s`, '--timeout', '5s', '-s', script];
    const host = kind === 'requests' ? 'through' : server;
    const { command, args, env } = await inPod(this.#lab, mesh, 'client', [
      ...words,
      ...header,
      `http://${host}:${benchPort}/`,
    ]);
    const pids = proxies.map(({ hostPid }) => hostPid);
    const before = usageOf(pids).cpuS;
    const { stdout } = await run(command, args, { env });
    const cpuS = usageOf(pids).cpuS - before;
    const { requests, errors } = parseLoad(stdout);
    if (errors > 0) {
      throw new MeshError('NOT_REACHABLE', { what: host, reason: `${errors} errors`, hint: 'look at the log' });
    }
    return (cpuS * 1e6) / requests;
  }
}

function quantileOf(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;
}
