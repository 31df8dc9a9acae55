// `npm run bench -- fair`: what a pod that misbehaves costs its neighbour, as a ratio within one run.
//
// A lab of two nodes. A neighbour asks its server on the other node, over 32 connections, while a flooding pod beside
// it does nothing, holds 10,000 connections open, or reads nothing of what it has asked for, each to a server of its
// own. What the two share are the node proxies, and the machine.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MeshError } from '../src/base/errors.ts';
import type { LabClient } from '../src/lab/control-client.ts';
import { enterCommand } from '../src/lab/enter.ts';
import { launchLab } from '../src/lab/launch.ts';
import { parseLoad } from './load.ts';
import { serverConfig } from './paths/nginx.ts';
import { readable, spreadOf } from './statistics.ts';

export interface FairOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

const run = promisify(execFile);
const neighbourConnections = 32;
const heldConnections = 10_000;
const stalledConnections = 200;
const settleMs = 500;
/** Until what never reads has filled every buffer on its way: from then on it is a matter of memory alone. */
const fillMs = 6_000;
const port = 8080;
const client = path.join(import.meta.dirname, 'client.ts');
const script = path.join(import.meta.dirname, 'wrk.lua');

const situations = {
  held: { task: 'hold', count: heldConnections, at: '/', words: `${heldConnections} connections held` },
  stalled: { task: 'stall', count: stalledConnections, at: '/bulk', words: `${stalledConnections} that never read` },
} as const;
type Situation = keyof typeof situations;

/** Measures and returns the table. Throws what keeps it from measuring. */
export async function runFair(options: FairOptions): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-fair-'));
  writeFileSync(path.join(folder, 'mesh.yaml'), manifests(folder));
  const lab = await launchLab({ name: `fair-${process.pid}`, paths: [folder], foreground: true, timeoutMs: 90_000 });
  try {
    return await new Fair(lab, options).run();
  } finally {
    await lab.down();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Fair {
  readonly #lab: LabClient;
  readonly #options: FairOptions;
  #children: ChildProcess[] = [];

  constructor(lab: LabClient, options: FairOptions) {
    this.#lab = lab;
    this.#options = options;
  }

  async run(): Promise<string> {
    const ratios: Record<Situation, number[]> = { held: [], stalled: [] };
    const alone: number[] = [];
    await this.#measure();
    for (let round = 0; round < this.#options.rounds; round++) {
      this.#options.say(`round ${round + 1} of ${this.#options.rounds}`);
      for (const situation of ['held', 'stalled'] as const) {
        // Before and after, so that a machine that gets slower or faster does not count for either.
        const before = await this.#measure();
        const stop = await this.#misbehave(situation);
        if (situation === 'stalled') await delay(fillMs);
        const beside = await this.#measure();
        await stop();
        const afterwards = await this.#measure();
        alone.push(before, afterwards);
        const ratio = beside / ((before + afterwards) / 2);
        ratios[situation].push(ratio);
        this.#options.say(`${situation}: ${readable(ratio)} of ${readable(before)} and ${readable(afterwards)}`);
      }
    }
    const rows = (['held', 'stalled'] as const).map((situation) => {
      const spread = spreadOf(ratios[situation]);
      const { median = 0, min = 0, max = 0 } = spread ?? {};
      return `| ${situations[situation].words} | ${readable(median)} | ${readable(min)} to ${readable(max)} |`;
    });
    const rps = readable(spreadOf(alone)?.median ?? 0);
    return [
      `fair, ${this.#options.rounds} round(s): the neighbour alone has ${rps} requests/s; beside another pod with`,
      '',
      '| | of it, median | from, to |',
      '|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  }

  /** Requests per second of the neighbour. */
  async #measure(): Promise<number> {
    await delay(settleMs);
    const { seconds } = this.#options;
    const words = ['wrk', '-t1', `-c${neighbourConnections}`, `-d${seconds}s`, '--timeout', '5s', '-s', script];
    const { command, args, env } = await this.#inPod('neighbour', [...words, `http://served:${port}/`]);
    const { stdout } = await run(command, args, { env });
    const result = parseLoad(stdout);
    if (result.errors > 0) {
      throw new MeshError('NOT_REACHABLE', {
        what: 'served',
        reason: `${result.errors} errors`,
        hint: 'look at the log',
      });
    }
    return result.requests / result.seconds;
  }

  /** Begins; returns what ends it. */
  async #misbehave(situation: Situation): Promise<() => Promise<void>> {
    const { task, count, at } = situations[situation];
    const words = [process.execPath, client, task, `http://flooded:${port}${at}`, String(count)];
    const { command, args, env } = await this.#inPod('flood', words);
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#children.push(child);
    const closed = once(child, 'close');
    const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), closed])) as [unknown];
    if (line !== 'held')
      throw new MeshError('NOT_REACHABLE', { what: 'flooded', reason: String(line), hint: 'see above' });
    return async () => {
      child.stdin.end();
      await closed;
    };
  }

  async #inPod(name: string, argv: readonly string[]) {
    const target = await this.#lab.target('pod', 'fair', name);
    return { ...enterCommand(target, argv), env: { ...process.env, ...target.env } };
  }
}

function manifests(folder: string): string {
  const nodes = ['node-1', 'node-2'].map((name) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } }));
  const labels = { 'ambient.mesh/dataplane-mode': 'ambient' };
  const servers = ['served', 'flooded'].flatMap((name) => {
    const dir = path.join(folder, name);
    mkdirSync(dir);
    const words = serverConfig(dir, `0.0.0.0:${port}`);
    const spec = { selector: { app: name }, ports: [{ name: 'http', port, targetPort: port }] };
    return [pod(name, 'node-2', words), { apiVersion: 'v1', kind: 'Service', metadata: metadata(name), spec }];
  });
  const clients = ['neighbour', 'flood'].map((name) => pod(name, 'node-1', ['sleep', 'infinity']));
  const space = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'fair', labels } };
  return [...nodes, space, ...servers, ...clients].map((each) => `---\n${JSON.stringify(each)}\n`).join('');
}

function pod(name: string, nodeName: string, command: readonly string[]): object {
  const containers = [{ name: 'main', image: 'none', command, ports: [{ name: 'http', containerPort: port }] }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: metadata(name), spec: { nodeName, containers } };
}

function metadata(name: string) {
  return { name, namespace: 'fair', labels: { app: name } };
}
