// `npm run bench -- start`: how long `ambientctl --help` takes, from the package that is published and from the
// sources, beside a Node that does nothing. Many runs by turns: the quickest is what it takes, the middle what a
// machine that does other things at the same time makes of it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildPackage } from '../build/package.ts';
import { writeTree } from '../build/tree.ts';
import { MeshError } from '../src/base/errors.ts';
import { shuffled } from './paired.ts';
import { describeMachine, type Report } from './report.ts';
import { spreadOf } from './statistics.ts';

export type StartMetric = 'wallMs' | 'cpuMs';

/** What is measured, and what is to be reached by the quickest. */
export const startMetrics = {
  wallMs: { title: '`ambientctl --help`, ms', target: '< 150' },
  cpuMs: { title: 'CPU time of it, ms', target: '–' },
} as const satisfies Record<StartMetric, { title: string; target: string }>;

const program = 'src/bin/ambientctl.mjs';
/** The first ones fill Node's compile cache. */
const warmUps = 2;
const msPerTick = 10;

/** Runs each `rounds` times. Throws NOT_REACHABLE when one fails. */
export async function runStart(rounds: number, root: string): Promise<Report<StartMetric>> {
  const startedAt = new Date().toISOString();
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-start-'));
  try {
    writeTree(folder, (await buildPackage()).tree);
    const ways = {
      package: [path.join(folder, program), '--help'],
      sources: [path.join(root, program), '--help'],
      'Node alone': ['-e', ''],
    } as const;
    const names = Object.keys(ways) as (keyof typeof ways)[];
    const taken = new Map(names.map((name) => [name, { wallMs: [] as number[], cpuMs: [] as number[] }]));
    for (const name of names) for (let turn = 0; turn < warmUps; turn++) runOnce(ways[name]);
    for (let round = 0; round < rounds; round++) {
      for (const name of shuffled(names)) {
        const { wallMs, cpuMs } = runOnce(ways[name]);
        taken.get(name)!.wallMs.push(wallMs);
        taken.get(name)!.cpuMs.push(cpuMs);
      }
    }
    const rows = [...taken].map(([name, { wallMs, cpuMs }]) => ({
      path: name,
      metrics: { wallMs: spreadOf(wallMs), cpuMs: spreadOf(cpuMs) },
      socketErrors: 0,
    }));
    const machine = describeMachine();
    const about = { name: 'start', machine, node: process.version, startedAt, rounds, quick: false };
    return { ...about, rows, leftOut: [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runOnce(words: readonly string[]): { wallMs: number; cpuMs: number } {
  const cpuFrom = childrenCpuMs();
  const from = performance.now();
  const { status, stderr } = spawnSync(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const wallMs = performance.now() - from;
  if (status !== 0) {
    const hint = 'run it by hand';
    throw new MeshError('NOT_REACHABLE', { what: words.join(' '), reason: String(stderr).slice(0, 200), hint });
  }
  return { wallMs, cpuMs: childrenCpuMs() - cpuFrom };
}

/** Of all children that have ended: fields 16 and 17 of /proc/self/stat. */
function childrenCpuMs(): number {
  const text = readFileSync('/proc/self/stat', 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * msPerTick;
}
