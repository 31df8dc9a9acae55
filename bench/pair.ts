// `npm run bench -- pair --base DIR`: the tunnel alone (io, h2, tunnel, splice), this tree beside another, over
// loopback. Minutes shorter than `l4` and without its network: for seeing what one change does. Medians of alternating
// rounds.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeCertificates } from './certificates.ts';
import { holdConnections, runLoad } from './load.ts';
import type { PairProxyOptions } from './pair-proxy.ts';
import { usageOf } from './processes.ts';
import { spreadOf } from './statistics.ts';

const proxy = path.join(import.meta.dirname, 'pair-proxy.ts');
const here = path.dirname(import.meta.dirname);
const firstPort = 18_300;
const bulkBytes = 10 * 2 ** 20;
const heldConnections = 1000;

export interface PairOptions {
  /** The other tree; null measures this one alone. */
  readonly base: string | null;
  readonly rounds: number;
  readonly seconds: number;
  readonly nodeFlags: readonly string[];
  /** Some of `pairMetrics`; empty for all. */
  readonly metrics: readonly string[];
}

export const pairMetrics = ['requests', 'latency', 'connections', 'bulk', 'mixed', 'memory'] as const;

interface Pair {
  readonly name: string;
  readonly port: number;
  readonly proxies: readonly ChildProcess[];
  readonly figures: Map<string, number[]>;
}

/** Measures, and returns the table that is printed. Needs wrk and nginx. */
export async function runPair(options: PairOptions): Promise<string> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ambient-pair-'));
  const children: ChildProcess[] = [];
  try {
    const certificates = makeCertificates(dir, ['client', 'server']);
    children.push(await startOrigin(dir));
    const trees = options.base === null ? [here] : [options.base, here];
    const pairs: Pair[] = [];
    for (const [index, tree] of trees.entries()) {
      const port = firstPort + 10 * (index + 1);
      const start = (role: 'client' | 'server', at: number, nextPort: number): Promise<ChildProcess> =>
        startProxy({ role, tree, port: at, nextPort, certificate: certificates.get(role)! }, options.nodeFlags);
      const proxies = [await start('server', port + 1, firstPort), await start('client', port, port + 1)];
      children.push(...proxies);
      pairs.push({ name: tree === here ? 'this tree' : 'base', port, proxies, figures: new Map() });
    }
    for (let round = 0; round < options.rounds; round++) {
      for (const metric of pairMetrics) {
        if (options.metrics.length > 0 && !options.metrics.includes(metric)) continue;
        for (const pair of round % 2 === 0 ? pairs : pairs.toReversed()) await measure(pair, metric, options.seconds);
      }
    }
    return render(pairs);
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    rmSync(dir, { recursive: true, force: true });
  }
}

async function startOrigin(dir: string): Promise<ChildProcess> {
  writeFileSync(path.join(dir, 'bulk'), Buffer.alloc(bulkBytes, 0x61));
  writeFileSync(path.join(dir, 'small'), 'ok\n');
  const server = `server { listen 127.0.0.1:${firstPort} backlog=4096; root ${dir}; keepalive_requests 100000000; }`;
  const config =
    `daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log /dev/null; user root;\n` +
    `events { worker_connections 8192; }\nhttp { access_log off; sendfile on; open_file_cache max=10; ${server} }\n`;
  writeFileSync(path.join(dir, 'nginx.conf'), config);
  const child = spawn('nginx', ['-c', path.join(dir, 'nginx.conf'), '-p', dir], { stdio: 'ignore' });
  await delay(300);
  return child;
}

async function startProxy(options: PairProxyOptions, flags: readonly string[]): Promise<ChildProcess> {
  const words = [...flags, proxy, JSON.stringify(options)];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return child;
}

async function measure(pair: Pair, metric: (typeof pairMetrics)[number], seconds: number): Promise<void> {
  const pids = pair.proxies.map((child) => child.pid!);
  const url = `http://127.0.0.1:${pair.port}`;
  const load = (file: string, connections: number, reconnect = false) =>
    runLoad({ netns: null, url: `${url}/${file}`, connections, seconds, reconnect });
  const add = (name: string, value: number): void => {
    pair.figures.set(name, [...(pair.figures.get(name) ?? []), value]);
  };
  const before = usageOf(pids);
  const cpuS = (): number => usageOf(pids).cpuS - before.cpuS;
  if (metric === 'requests') {
    const result = await load('small', 64);
    add('req/s', result.requests / result.seconds);
    add('p99 ms', result.p99Ms);
    add('CPU µs/req', (cpuS() * 1e6) / result.requests);
    add('errors', result.errors);
  } else if (metric === 'latency') {
    const result = await load('small', 1);
    add('1 conn p50 ms', result.p50Ms);
  } else if (metric === 'connections') {
    const result = await load('small', 32, true);
    add('conn/s', result.requests / result.seconds);
    add('CPU µs/conn', (cpuS() * 1e6) / result.requests);
    add('errors', result.errors);
  } else if (metric === 'bulk') {
    const result = await load('bulk', 4);
    add('GB/s', result.bytes / result.seconds / 1e9);
    add('CPU s/GB', (cpuS() * 1e9) / result.bytes);
  } else if (metric === 'mixed') {
    const [result] = await Promise.all([load('small', 16), load('bulk', 2)]);
    add('req/s by bulk', result.requests / result.seconds);
    add('p50 ms by bulk', result.p50Ms);
  } else {
    const held = await holdConnections(null, `${url}/small`, heldConnections);
    await delay(1000);
    add('KB/held conn', (usageOf(pids).rssBytes - before.rssBytes) / heldConnections / 1024);
    await held.release();
    await delay(500);
  }
}

function render(pairs: readonly Pair[]): string {
  const lines: string[] = [];
  for (const name of pairs[0]!.figures.keys()) {
    const values = pairs.map((pair) => spreadOf(pair.figures.get(name) ?? [])?.median ?? 0);
    const ratio = values.length === 2 ? `   ${(values[1]! / values[0]!).toFixed(2)} ×` : '';
    lines.push(`${name.padEnd(16)} ${values.map((value) => value.toPrecision(4).padStart(10)).join('')}${ratio}`);
  }
  return `${' '.repeat(17)}${pairs.map((pair) => pair.name.padStart(10)).join('')}\n${lines.join('\n')}\n`;
}
