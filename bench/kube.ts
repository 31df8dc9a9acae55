// `npm run bench -- kube`: the real controller on a generated cluster of 50,000 pods, with node proxies that follow it.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../src/base/clock.ts';
import { DiscoveryClient } from '../src/discovery/delta-client.ts';
import { jwksOf, signJwt } from '../src/identity/jwt.ts';
import type { MeshUpdate } from '../src/model/types.ts';
import { type ClusterSize, GeneratedCluster, nodeName, proxyName, proxyNamespace, uid } from './kube-cluster.ts';
import { eventually, Service, usageOf } from './processes.ts';
import { describeMachine, type Report } from './report.ts';
import { spreadOf } from './statistics.ts';

export const kubeMetrics = {
  readyS: { title: 'from start to the first compile, s', target: '< 10' },
  readyCpuS: { title: '… CPU of the controller, s', target: '–' },
  rssMB: { title: 'RSS when ready, with the proxies served, MB', target: '< 700' },
  changeMs: { title: 'one pod changed, until all proxies have it, ms', target: '< 100' },
  changeCpuMs: { title: '… CPU of the controller, ms', target: '< 100' },
  heartbeatUs: { title: 'an event that says nothing new, CPU, µs', target: '–' },
} as const satisfies Record<string, { title: string; target: string }>;
export type KubeMetric = keyof typeof kubeMetrics;

const size: ClusterSize = { pods: 50_000, services: 5_000, nodes: 500, namespaces: 200, policies: 2_000 };
const proxies = 4;
const root = path.dirname(import.meta.dirname);
const ports = { discovery: 15012, admin: 15000, metrics: 15020, readiness: 15021 };
const issuer = 'https://bench.ambient';
const readyTimeoutMs = 120_000;
const pollMs = 20;
const settleMs = 3_000;

export interface KubeOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly dir: string;
  readonly say: (line: string) => void;
  readonly nodeFlags: readonly string[];
}

type Samples = Record<KubeMetric, number[]>;

/** Runs the suite: one row. */
export async function runKube(options: KubeOptions): Promise<Report<KubeMetric>> {
  const { rounds, quick, dir, say, nodeFlags } = options;
  const startedAt = new Date().toISOString();
  mkdirSync(dir, { recursive: true });
  const samples: Samples = { readyS: [], readyCpuS: [], rssMB: [], changeMs: [], changeCpuMs: [], heartbeatUs: [] };
  const cluster = new GeneratedCluster(size, proxies);
  const url = await cluster.start();
  const { config, tokenOf } = writeFiles(dir, url);
  const script = path.join(root, 'src', 'bin', 'ambient-controller.ts');
  try {
    for (let round = 0; round < rounds; round++) {
      const startedMs = performance.now();
      const words = [process.execPath, ...nodeFlags, script, '--config', config];
      const logFile = path.join(dir, 'controller.log');
      const controller = new Service({ name: 'ambient-controller', netns: null, words, logFile });
      try {
        await eventually('ambient-controller', readyTimeoutMs, [controller], isReady, pollMs);
        samples.readyS.push((performance.now() - startedMs) / 1000);
        samples.readyCpuS.push(usageOf([controller.pid]).cpuS);
        say(`ready after ${samples.readyS.at(-1)?.toFixed(1)} s`);
        await follow(options, cluster, controller, tokenOf, samples);
      } finally {
        await controller.stop();
      }
    }
  } finally {
    await cluster.close();
  }
  const metrics = Object.fromEntries(Object.entries(samples).map(([metric, values]) => [metric, spreadOf(values)]));
  const rows = [
    { path: 'ambient', metrics: metrics as Report<KubeMetric>['rows'][number]['metrics'], socketErrors: 0 },
  ];
  const machine = describeMachine();
  return { name: 'kube', machine, node: process.version, startedAt, rounds, quick, rows, leftOut: [] };
}

/** With proxies that follow the whole mesh: memory, changes, and events without news. */
async function follow(
  { quick, dir }: KubeOptions,
  cluster: GeneratedCluster,
  controller: Service,
  tokenOf: (at: number) => string,
  samples: Samples,
): Promise<void> {
  const followers = Array.from({ length: proxies }, (_, at) => new Follower(dir, at, tokenOf(at)));
  try {
    for (const follower of followers) follower.start();
    await Promise.all(followers.map((follower) => follower.until(({ workloads }) => workloads >= size.pods)));
    await delay(settleMs);
    samples.rssMB.push(usageOf([controller.pid]).rssBytes / 1e6);
    const turns = quick ? 10 : 30;
    const cpuBefore = usageOf([controller.pid]).cpuS;
    for (let turn = 1; turn <= turns; turn++) {
      const at = (turn * 7_919) % size.pods;
      const startedMs = performance.now();
      const { uid: workload, address } = cluster.changePod(at, turn);
      await Promise.all(followers.map((one) => one.until(({ last }) => last.get(workload) === address)));
      samples.changeMs.push(performance.now() - startedMs);
    }
    samples.changeCpuMs.push(((usageOf([controller.pid]).cpuS - cpuBefore) * 1000) / turns);
    const events = 20_000;
    const untouched = usageOf([controller.pid]).cpuS;
    for (let at = 0; at < events; at++) cluster.touchPod(7_919 * turns + 1 + (at % 1_000));
    // What comes after them has passed them all.
    const { uid: workload, address } = cluster.changePod(0, turns + 1);
    await Promise.all(followers.map((one) => one.until(({ last }) => last.get(workload) === address)));
    samples.heartbeatUs.push(((usageOf([controller.pid]).cpuS - untouched) * 1e6) / events);
  } finally {
    for (const follower of followers) follower.close();
  }
}

interface Seen {
  readonly workloads: number;
  /** Addresses of the workloads that changed after the first time, by uid. */
  readonly last: ReadonlyMap<string, string>;
}

/** One node proxy's discovery client, which counts what it is told. */
class Follower {
  readonly #client: DiscoveryClient;
  readonly #last = new Map<string, string>();
  #workloads = 0;
  #waiting: { readonly isSo: (seen: Seen) => boolean; readonly resolve: () => void } | null = null;

  constructor(dir: string, at: number, token: string) {
    const tokenFile = path.join(dir, `token-${at}`);
    writeFileSync(tokenFile, token);
    this.#client = new DiscoveryClient({
      url: `https://127.0.0.1:${ports.discovery}`,
      rootsFile: path.join(dir, 'roots.pem'),
      tokenFile,
      node: {
        kind: 'node',
        name: proxyName(at),
        namespace: proxyNamespace,
        nodeName: nodeName(at),
        addresses: [],
        clusterId: 'Kubernetes',
        version: 'bench',
      },
      held: {},
      apply: (update) => this.#apply(update),
      clock: systemClock,
      random: Math.random,
    });
  }

  start(): void {
    this.#client.start();
  }

  close(): void {
    this.#client.close();
  }

  until(isSo: (seen: Seen) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { isSo, resolve };
      this.#look();
    });
  }

  #apply({ workloads }: MeshUpdate): readonly [] {
    this.#workloads += workloads.length;
    if (this.#workloads > size.pods) for (const one of workloads) this.#last.set(one.uid, one.addresses[0] ?? '');
    this.#look();
    return [];
  }

  #look(): void {
    const waiting = this.#waiting;
    if (waiting?.isSo({ workloads: this.#workloads, last: this.#last }) !== true) return;
    this.#waiting = null;
    waiting.resolve();
  }
}

function writeFiles(dir: string, url: string): { readonly config: string; readonly tokenOf: (at: number) => string } {
  const file = (name: string): string => path.join(dir, name);
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(file('jwks.json'), JSON.stringify(jwksOf(keys.publicKey, 'bench')));
  const kubeconfig = {
    'current-context': 'bench',
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    clusters: [{ name: 'bench', cluster: { server: url } }],
    users: [{ name: 'bench', user: {} }],
  };
  writeFileSync(file('kubeconfig'), JSON.stringify(kubeconfig));
  const config = {
    source: 'kubernetes',
    kubernetes: { kubeconfig: file('kubeconfig') },
    caDir: file('ca'),
    rootsFile: file('roots.pem'),
    ports,
    auth: { issuer, jwksFile: file('jwks.json') },
  };
  writeFileSync(file('controller.yaml'), JSON.stringify(config));
  const account = 'ambient-node';
  const tokenOf = (at: number): string => {
    const claims = {
      iss: issuer,
      aud: ['ambient-controller'],
      sub: `system:serviceaccount:${proxyNamespace}:${account}`,
      exp: Math.floor(Date.now() / 1000) + 3_600,
      'kubernetes.io': {
        namespace: proxyNamespace,
        serviceaccount: { name: account, uid: 'account' },
        pod: { name: proxyName(at), uid: uid('proxy', at) },
        node: { name: nodeName(at), uid: uid('node', at) },
      },
    };
    return signJwt(claims, keys.privateKey, 'bench');
  };
  return { config: file('controller.yaml'), tokenOf };
}

async function isReady(): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${ports.readiness}/healthz/ready`);
  if (!response.ok) throw new TypeError((await response.text()).trim());
}
