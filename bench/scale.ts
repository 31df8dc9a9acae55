// `npm run bench -- scale`: one node proxy of a large mesh (50,000 workloads, 5,000 services, 2,000 policies) beside
// one of a small mesh (a hundredth of it, with the same pods on the node).
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { decideOutbound } from '../src/forward/decide.ts';
import { MeshIndex } from '../src/model/mesh-index.ts';
import type { Workload } from '../src/model/types.ts';
import { eventually, Service, usageOf } from './processes.ts';
import { describeMachine, type Report } from './report.ts';
import { startScaleController } from './scale-controller.ts';
import {
  type MeshSize,
  meshOf,
  ownNode,
  ownPodCidr,
  ownPods,
  serviceAddress,
  workloadAddress,
  workloadAt,
} from './scale-mesh.ts';
import { spreadOf } from './statistics.ts';

export const scaleMetrics = {
  readyS: { title: 'ready from nothing, s', target: '< 10' },
  readyFromDiskS: { title: 'ready from disk, s', target: '–' },
  rssMB: { title: 'RSS with two data threads, MB', target: '≤ 350' },
  changeMs: { title: 'one pod changed, on every data thread, ms', target: '< 50' },
  lookupNs: { title: 'look-up of a way, 50 services of the mesh, ns', target: '≤ 1.5 × small' },
  lookupAnyNs: { title: 'look-up of a way, every service in turn, ns', target: '–' },
  idleCpuPercent: { title: 'idle CPU with 100 pods, % of a core', target: '≤ 0.5' },
} as const satisfies Record<string, { title: string; target: string }>;
export type ScaleMetric = keyof typeof scaleMetrics;

const large: MeshSize = { workloads: 50_000, services: 5_000, policies: 2_000 };
const small: MeshSize = { workloads: 500, services: 50, policies: 20 };
const root = path.dirname(import.meta.dirname);
const threads = 2;
const ports = { outbound: 15001, inbound: 15006, hbone: 15008, admin: 15000, metrics: 15020, readiness: 15021 };
const readyTimeoutMs = 180_000;
const pollMs = 20;

export interface ScaleOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly dir: string;
  readonly say: (line: string) => void;
  readonly nodeFlags: readonly string[];
}

type Samples = Record<ScaleMetric, number[]>;

/** Runs the suite; one row per size of mesh. */
export async function runScale(options: ScaleOptions): Promise<Report<ScaleMetric>> {
  const startedAt = new Date().toISOString();
  const rows: Report<ScaleMetric>['rows'][number][] = [];
  for (const [name, size] of [
    ['ambient', large],
    ['ambient, small mesh', small],
  ] as const) {
    options.say(`${name}: ${size.workloads} workloads`);
    const samples = await measure(options, path.join(options.dir, `mesh-${size.workloads}`), size);
    const metrics = Object.fromEntries(Object.entries(samples).map(([metric, values]) => [metric, spreadOf(values)]));
    rows.push({ path: name, metrics: metrics as (typeof rows)[number]['metrics'], socketErrors: 0 });
  }
  const { rounds, quick } = options;
  const machine = describeMachine();
  return { name: 'scale', machine, node: process.version, startedAt, rounds, quick, rows, leftOut: [] };
}

async function measure({ rounds, quick, say, nodeFlags }: ScaleOptions, dir: string, size: MeshSize): Promise<Samples> {
  mkdirSync(dir, { recursive: true });
  const mesh = meshOf(size);
  const samples: Samples = {
    readyS: [],
    readyFromDiskS: [],
    rssMB: [],
    changeMs: [],
    ...lookups(size, rounds + 6),
    idleCpuPercent: [],
  };
  const controller = await startScaleController(dir, mesh);
  try {
    for (let round = 0; round < rounds; round++) {
      const stateDir = path.join(dir, `state-${round}`);
      const file = path.join(dir, 'node.yaml');
      writeFileSync(file, JSON.stringify(nodeConfig(controller, stateDir)));
      for (const metric of ['readyS', 'readyFromDiskS'] as const) {
        const startedMs = performance.now();
        const script = path.join(root, 'src', 'bin', 'ambient-node.ts');
        const words = [process.execPath, ...nodeFlags, script, '--config', file];
        const node = new Service({ name: 'ambient-node', netns: null, words, logFile: path.join(dir, 'node.log') });
        try {
          await eventually('ambient-node', readyTimeoutMs, [node], isReady, pollMs);
          samples[metric].push((performance.now() - startedMs) / 1000);
          if (metric === 'readyFromDiskS') continue;
          await delay(quick ? 8_000 : 12_000); // the state is on disk, and memory has settled
          samples.rssMB.push(usageOf([node.pid]).rssBytes / 1e6);
          samples.idleCpuPercent.push(await idlePercent(node, quick ? 5_000 : 15_000));
          for (let at = 0; at < (quick ? 10 : 30); at++) samples.changeMs.push(await changeMs(controller, size, at));
        } finally {
          await node.stop();
        }
      }
    }
  } finally {
    say('done');
    await controller.close();
  }
  return samples;
}

type Controller = Awaited<ReturnType<typeof startScaleController>>;

/** One pod becomes unhealthy or healthy: from the controller's change until every data thread has answered after it. */
async function changeMs(controller: Controller, size: MeshSize, turn: number): Promise<number> {
  const at = ownPods + 7 * turn;
  const answered = controller.answered();
  const workload: Workload = { ...workloadAt(at, size), healthy: false };
  const startedMs = performance.now();
  const nothing = { services: [], policies: [], removedAddresses: [], removedPolicies: [], complete: false };
  controller.update({ workloads: [workload], ...nothing });
  await answered;
  // A scrape asks each data thread, on the same channel that the change took.
  await fetch(`http://127.0.0.1:${ports.metrics}/metrics`).then((response) => response.text());
  return performance.now() - startedMs;
}

async function idlePercent(node: Service, forMs: number): Promise<number> {
  const startedMs = performance.now();
  const before = usageOf([node.pid]).cpuS;
  await delay(forMs);
  return ((usageOf([node.pid]).cpuS - before) * 100_000) / (performance.now() - startedMs);
}

/**
 * A connection's look-ups: its source, its destination's service, an endpoint of it. The pods of a node call some
 * services, so one figure is of as many services as the small mesh has, spread over all; the other of every service,
 * where each look-up of a large mesh finds nothing in the CPU's caches.
 */
function lookups(size: MeshSize, times: number): Pick<Samples, 'lookupNs' | 'lookupAnyNs'> {
  const index = new MeshIndex();
  index.apply(meshOf(size));
  const take = (services: number): number[] => Array.from({ length: times }, () => lookupNs(index, size, services));
  return { lookupNs: take(small.services), lookupAnyNs: take(size.services) };
}

/** Mean of look-ups in `services` services and all own pods. */
function lookupNs(index: MeshIndex, size: MeshSize, services: number): number {
  const turns = 200_000;
  const step = size.services / services;
  let found = 0;
  let startedMs = 0;
  for (let turn = -turns / 2; turn < turns; turn++) {
    if (turn === 0) startedMs = performance.now();
    const at = Math.abs(turn) * 7_919;
    const source = index.workloadByAddress(workloadAddress(at % ownPods));
    if (source === null) continue;
    const address = serviceAddress((at % services) * step);
    const exclude = new Set<string>();
    const query = { index, source, address, port: 80, nodeName: ownNode, sameNode: 'direct', exclude } as const;
    const way = decideOutbound({ ...query, random: () => (at % 1_000) / 1_000 });
    if (!(way instanceof Error) && way.workload !== null) found += index.policiesFor(way.workload).policies.length;
  }
  if (found === 0) throw new TypeError('nothing was found');
  return ((performance.now() - startedMs) * 1e6) / turns;
}

async function isReady(): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${ports.readiness}/healthz/ready`);
  if (!response.ok) throw new TypeError((await response.text()).trim());
}

function nodeConfig({ url, rootsFile, tokenFile }: Controller, stateDir: string): unknown {
  return {
    nodeName: ownNode,
    controllerUrl: url,
    controllerRootsFile: rootsFile,
    tokenFile,
    stateDir,
    threads,
    podCidrs: [ownPodCidr],
    meshCidrs: ['10.0.0.0/8', '172.16.0.0/16'],
    capture: { backend: 'none' },
    ports,
    timeouts: { drain: '1s' },
  };
}
