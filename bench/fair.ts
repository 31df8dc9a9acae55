// `npm run bench -- fair`: what a pod that misbehaves costs its neighbour, as a ratio within one run.
//
// A lab of two nodes. A neighbour asks its server on the other node, over 32 connections, while a flooding pod beside
// it does nothing, holds 10,000 connections open, or reads nothing of what it has asked for, each to a server of its
// own. What the two share are the node proxies, and the machine: requests/s feel the machine, the proxies' CPU time per
// request of the neighbour much less.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MeshError } from '../src/base/errors.ts';
import type { LabClient } from '../src/lab/control-client.ts';
import { launchLab } from '../src/lab/launch.ts';
import { hostPidOf } from '../src/lab/running.ts';
import type { NodeDump } from '../src/model/views.ts';
import { benchManifests, benchPort, inPod } from './lab-pods.ts';
import { parseLoad } from './load.ts';
import { usageOf } from './processes.ts';
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
const standingMs = 2_000;
/** Buffers are full when so long no byte has moved. */
const quietMs = 2_000;
const quietDeadlineMs = 120_000;
const mesh = { namespace: 'fair', servers: ['served', 'flooded'], clients: ['neighbour', 'flood'] };
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
  writeFileSync(path.join(folder, 'mesh.yaml'), benchManifests(folder, mesh));
  const lab = await launchLab({ name: `fair-${process.pid}`, paths: [folder], foreground: true, timeoutMs: 90_000 });
  try {
    return await new Fair(lab, options).run();
  } finally {
    await lab.down();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Measured {
  readonly rps: number;
  /** User and system time of both node proxies per request of the neighbour. */
  readonly cpuUs: number;
}

/** What the neighbour has beside a situation: as parts of what it has alone, and what the situation costs by itself. */
interface Ratios {
  readonly rps: number[];
  readonly cpuUs: number[];
  readonly standingPercent: number[];
}

class Fair {
  readonly #lab: LabClient;
  readonly #options: FairOptions;
  #proxies: number[] = [];
  #children: ChildProcess[] = [];

  constructor(lab: LabClient, options: FairOptions) {
    this.#lab = lab;
    this.#options = options;
  }

  async run(): Promise<string> {
    for (const node of ['node-1', 'node-2']) {
      const { pid } = (await this.#lab.admin('node', node, '/config_dump')) as NodeDump;
      this.#proxies.push(hostPidOf(this.#lab.lab, pid));
    }
    const found: Record<Situation, Ratios> = {
      held: { rps: [], cpuUs: [], standingPercent: [] },
      stalled: { rps: [], cpuUs: [], standingPercent: [] },
    };
    const alone: number[] = [];
    await this.#measure();
    for (let round = 0; round < this.#options.rounds; round++) {
      this.#options.say(`round ${round + 1} of ${this.#options.rounds}`);
      for (const situation of ['held', 'stalled'] as const) {
        // Before and after, so that a machine that gets slower or faster does not count for either.
        const before = await this.#measure();
        const stop = await this.#misbehave(situation);
        if (situation === 'stalled') await this.#untilQuiet();
        const standing = await this.#standingPercent();
        const beside = await this.#measure();
        await stop();
        const afterwards = await this.#measure();
        alone.push(before.rps, afterwards.rps);
        const { rps, cpuUs, standingPercent } = found[situation];
        rps.push(beside.rps / ((before.rps + afterwards.rps) / 2));
        cpuUs.push(beside.cpuUs / ((before.cpuUs + afterwards.cpuUs) / 2));
        standingPercent.push(standing);
        const of = [before, afterwards].map((each) => `${readable(each.rps)} (${readable(each.cpuUs)} µs)`).join(', ');
        this.#options.say(`${situation}: ${readable(beside.rps)} (${readable(beside.cpuUs)} µs) beside; alone ${of}`);
      }
    }
    const rows = (['held', 'stalled'] as const).map((situation) => {
      const { rps, cpuUs, standingPercent } = found[situation];
      const cells = [rps, cpuUs, standingPercent].map((values) => {
        const { median = 0, min = 0, max = 0 } = spreadOf(values) ?? {};
        return `${readable(median)} (${readable(min)}–${readable(max)})`;
      });
      return `| ${[situations[situation].words, ...cells].join(' | ')} |`;
    });
    const rps = readable(spreadOf(alone)?.median ?? 0);
    return [
      `fair, ${this.#options.rounds} round(s): the neighbour alone has ${rps} requests/s; beside another pod with`,
      '',
      '| | of its requests/s | of its CPU time per request | CPU of the proxies without the neighbour, % |',
      '|---|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  }

  async #standingPercent(): Promise<number> {
    await delay(settleMs);
    const startedMs = performance.now();
    const before = usageOf(this.#proxies).cpuS;
    await delay(standingMs);
    return ((usageOf(this.#proxies).cpuS - before) * 100_000) / (performance.now() - startedMs);
  }

  /** Of the neighbour. */
  async #measure(): Promise<Measured> {
    await delay(settleMs);
    const { seconds } = this.#options;
    const words = ['wrk', '-t1', `-c${neighbourConnections}`, `-d${seconds}s`, '--timeout', '5s', '-s', script];
    const { command, args, env } = await this.#inPod('neighbour', [...words, `http://served:${benchPort}/`]);
    const before = usageOf(this.#proxies).cpuS;
    const { stdout } = await run(command, args, { env });
    const cpuS = usageOf(this.#proxies).cpuS - before;
    const result = parseLoad(stdout);
    if (result.errors > 0) {
      throw new MeshError('NOT_REACHABLE', {
        what: 'served',
        reason: `${result.errors} errors`,
        hint: 'look at the log',
      });
    }
    return { rps: result.requests / result.seconds, cpuUs: (cpuS * 1e6) / result.requests };
  }

  /** Begins; returns what ends it. */
  async #misbehave(situation: Situation): Promise<() => Promise<void>> {
    const { task, count, at } = situations[situation];
    const words = [process.execPath, client, task, `http://flooded:${benchPort}${at}`, String(count)];
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

  /** Until what never reads has filled every buffer on its way: from then on it is a matter of memory alone. */
  async #untilQuiet(): Promise<void> {
    const deadlineMs = performance.now() + quietDeadlineMs;
    for (let last = -1; ; ) {
      const { connections } = (await this.#lab.admin('node', 'node-1', '/config_dump')) as NodeDump;
      const bytes = connections.reduce((sum, each) => sum + each.bytesReceived, 0);
      if (bytes === last) return;
      if (performance.now() > deadlineMs) {
        const hint = 'is the machine busy with something else?';
        throw new MeshError('TIMED_OUT', { what: 'filling all buffers', timeoutMs: quietDeadlineMs, hint });
      }
      last = bytes;
      await delay(quietMs);
    }
  }

  #inPod(name: string, argv: readonly string[]) {
    return inPod(this.#lab, mesh, name, argv);
  }
}
