// `npm run bench -- l4 [--json FILE] [--rounds N] [--quick]`: measures, prints a table, writes JSON.
// Exit: 0 measured · 1 our own path (or one named by --path) could not be measured, or had socket errors; flows: beyond
// their budget · 2 usage.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureTools } from '../native-free/tools.ts';
import { isMeshError, MeshError, messageOf } from '../src/base/errors.ts';
import { runFair } from './fair.ts';
import { type FlowsOptions, runFlows } from './flows.ts';
import { kubeMetrics, runKube } from './kube.ts';
import { L4Bench, type L4Options, type MetricGroup, metricGroups } from './l4.ts';
import { L7Bench, type L7Options, l7Groups, l7Metrics, l7Parts } from './l7.ts';
import { runMicro } from './micro.ts';
import { runPair } from './pair.ts';
import { installEnvoy } from './paths/envoy.ts';
import { profileFlags } from './profile.ts';
import { type Report, renderMicro, renderReport, renderScale } from './report.ts';
import { enterSandbox, runInSandbox, sandboxDir } from './sandbox.ts';
import { runScale, scaleMetrics } from './scale.ts';
import { runStart, startMetrics } from './start.ts';

const root = path.dirname(import.meta.dirname);
const tools = [
  'ip',
  'nft',
  'perl',
  'unshare',
  'nsenter',
  'mount',
  'sysctl',
  'openssl',
  'wrk',
  'nginx',
  'haproxy',
  'python3',
];
const l7Tools = [...tools, 'h2load'];
const flowTools = ['sysctl', 'wrk', 'nginx', 'h2load'];
const scaleTools = ['ip', 'perl', 'unshare', 'mount'];
const toolsOf = { l4: tools, l7: l7Tools, scale: scaleTools, kube: scaleTools } as const;
const cacheDir = path.join(root, '.cache');
const suites = ['l4', 'l7', 'scale', 'kube', 'micro', 'pair', 'fair', 'flows', 'start'] as const;
type Suite = (typeof suites)[number];
const own = 'ambient';
/** Those of `l7` that are ours. */
const ownHops = ['ambient', 'ambient-mtls', 'ambient-waypoint'];
const roundsMax = 100;

const say = (line: string): void => {
  process.stderr.write(`bench: ${line}\n`);
};

const usage = `usage: npm run bench -- l4|l7|scale|kube|micro|pair|fair|flows|start [OPTION]…
  l4             our pair of node proxies, HAProxy's, Envoy's, and none, between two pods on two nodes
  l7             one hop of HTTP: our path, HAProxy's, nginx's, Envoy's, and none; ours and Envoy's with mutual TLS;
                 our node proxies with a waypoint beside a pair of Envoy sidecars
  scale          one node proxy of a mesh of 50,000 workloads
  kube           the controller on a cluster of 50,000 pods
  micro          the hot functions, one by one
  fair           what a pod that misbehaves costs its neighbour, in a lab (see fair.ts)
  flows          what it costs a proxy to remember its recent flows, in a lab (see flows.ts)
  start          how long 'ambientctl --help' takes, from the package and from the sources
  pair           our tunnel alone over loopback, this tree beside another (see pair.ts)
  --rounds N     rounds over all paths; 3 unless given, 1 with --quick
  --quick        short runs; ends within 90 s
  --json FILE    the report as JSON (a relative FILE is taken from the project's root)
  --path NAME    l4: only this path (direct, haproxy, envoy-hbone, ztunnel, ambient); may be given again
                 l7: only this hop (direct, haproxy, nginx, envoy-l7, ambient, envoy-mtls, ambient-mtls,
                 envoy-sidecars, ambient-waypoint)
  --part P       l7: a (plaintext), b (mutual TLS on both sides), c (the whole way) or d (plaintext with tracing
                 off, and of 0, 1 and 100 % of the requests); may be given again
  --metric GROUP l4: only these figures (memory, requests, latency, connections, bulk, beside); may be given again
                 l7: memory, requests, fixed, post, bulk, connections, grpc
  --base DIR     pair, l7: another tree, measured in alternation with this one (l7: as hops base and base-mtls)
  --seconds N    pair, fair, flows: of each load; 3 unless given
  --ztunnel FILE l4: a real ztunnel's binary, measured too (a relative FILE is taken from the project's root)
  --profile      l4, l7: only where the CPU time of our own proxies goes, by perf
  --node-flag F  a flag for the Node of our own proxies, such as --cpu-prof; may be given again
`;

type L7Choice = Pick<L7Options, 'rounds' | 'parts' | 'groups'>;

interface Values {
  readonly rounds?: string;
  readonly json?: string;
  readonly quick: boolean;
  readonly path: readonly string[];
  readonly metric: readonly string[];
  readonly part: readonly string[];
  readonly 'node-flag': readonly string[];
  readonly base?: string;
  readonly ztunnel?: string;
  readonly profile: boolean;
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      path: { type: 'string', multiple: true, default: [] },
      metric: { type: 'string', multiple: true, default: [] },
      part: { type: 'string', multiple: true, default: [] },
      'node-flag': { type: 'string', multiple: true, default: [] },
      base: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      ztunnel: { type: 'string' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const suite = suiteOf(positionals);
  if (suite === 'pair') {
    const { base = null, metric, 'node-flag': nodeFlags } = values;
    const options = { base, metrics: metric, nodeFlags, seconds: Number(values.seconds) };
    process.stdout.write(await runPair({ ...options, rounds: Number(values.rounds ?? 3) }));
    return 0;
  }
  if (suite === 'fair' || suite === 'flows') {
    const options = { rounds: Number(values.rounds ?? 3), seconds: Number(values.seconds), say };
    return await (suite === 'fair' ? fair(options) : flows(options));
  }
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > roundsMax) {
    throw new MeshError('USAGE', { reason: `--rounds takes a whole number from 1 to ${roundsMax}` });
  }
  if (suite === 'start') {
    const report = await runStart(rounds, root);
    process.stdout.write(`\n${renderScale(report, startMetrics)}`);
    return finish(report, values);
  }
  if (suite === 'micro') {
    const report = runMicro({ rounds, quick: values.quick });
    process.stdout.write(`\n${renderMicro(report)}`);
    return finish(report, values);
  }
  const groups = suite === 'l4' ? chosen('metric', metricGroups, values.metric) : [];
  const hops: L7Choice = {
    rounds,
    parts: chosen('part', l7Parts, values.part),
    groups: suite === 'l7' ? chosen('metric', l7Groups, values.metric) : [],
  };
  const dir = sandboxDir();
  if (dir === null) {
    ensureTools(toolsOf[suite]);
    const wantsEnvoy = values.path.length === 0 || values.path.some((name) => name.startsWith('envoy'));
    if ((suite === 'l4' || suite === 'l7') && wantsEnvoy) installEnvoy(cacheDir, say);
    return await runInSandbox(import.meta.filename, args);
  }
  if (suite === 'l7') return await l7(dir, hops, values);
  if (suite === 'scale') return await scale(dir, rounds, values);
  if (suite === 'kube') return await kube(dir, rounds, values);
  return await (values.profile ? profile(dir, values) : l4(dir, rounds, groups, values));
}

async function fair(options: FlowsOptions): Promise<0> {
  process.stdout.write(await runFair(options));
  return 0;
}

async function flows(options: FlowsOptions): Promise<number> {
  ensureTools(flowTools);
  const { text, isOver } = await runFlows(options);
  process.stdout.write(text);
  return isOver ? 1 : 0;
}

function suiteOf(positionals: readonly string[]): Suite {
  const [name = '', ...extra] = positionals;
  const suite = suites.find((known) => known === name);
  if (suite === undefined || extra.length > 0) throw new MeshError('USAGE', { reason: usage.trimEnd() });
  return suite;
}

/** The words given for an option that takes some of `all`. */
function chosen<Word extends string>(option: string, all: readonly Word[], given: readonly string[]): readonly Word[] {
  const known = all.filter((word) => given.includes(word));
  const unknown = given.filter((name) => !known.some((word) => word === name));
  if (unknown.length > 0) throw new MeshError('USAGE', { reason: `--${option} takes ${all.join(', ')}` });
  return known;
}

async function l4(dir: string, rounds: number, groups: readonly MetricGroup[], values: Values): Promise<number> {
  const report = await measure(dir, rounds, groups, values);
  process.stdout.write(`\n${renderReport(report, own)}`);
  finish(report, values);
  const wanted = new Set([own, ...values.path]);
  const bad = report.rows.some((row) => wanted.has(row.path) && row.socketErrors > 0);
  return bad || report.leftOut.some((left) => wanted.has(left.path)) ? 1 : 0;
}

async function l7(dir: string, choice: L7Choice, values: Values): Promise<number> {
  const { quick, profile: isProfile } = values;
  const base = values.base === undefined ? null : path.resolve(root, values.base);
  const only = isProfile && values.path.length === 0 ? ownHops : values.path;
  const nodeFlags = [...values['node-flag'], ...(isProfile ? profileFlags : [])];
  const bench = new L7Bench({ ...choice, quick, only, dir, cacheDir, say, nodeFlags, base });
  enterSandbox(dir, () => {
    say('stopped');
    return bench.close();
  });
  try {
    if (isProfile) {
      process.stdout.write(`\n${await bench.profile()}\n`);
      return 0;
    }
    const report = await bench.run();
    process.stdout.write(`\n${renderScale(report, l7Metrics)}`);
    for (const { path: name, reason } of report.leftOut) process.stdout.write(`${name} was left out: ${reason}\n`);
    finish(report, values);
    const isOwn = (row: { readonly path: string }): boolean => row.path.startsWith(own);
    const failed = report.rows.some((row) => isOwn(row) && row.socketErrors > 0);
    return failed || report.leftOut.some(isOwn) ? 1 : 0;
  } finally {
    await bench.close();
  }
}

async function scale(dir: string, rounds: number, values: Values): Promise<number> {
  enterSandbox(dir, async () => say('stopped'));
  const { quick, 'node-flag': nodeFlags } = values;
  const report = await runScale({ rounds, quick, dir, say, nodeFlags });
  process.stdout.write(`\n${renderScale(report, scaleMetrics)}`);
  return finish(report, values);
}

async function kube(dir: string, rounds: number, values: Values): Promise<number> {
  enterSandbox(dir, async () => say('stopped'));
  const { quick, 'node-flag': nodeFlags } = values;
  const report = await runKube({ rounds, quick, dir, say, nodeFlags });
  process.stdout.write(`\n${renderScale(report, kubeMetrics)}`);
  return finish(report, values);
}

function finish(report: { readonly name: string }, { json }: Values): 0 {
  if (json !== undefined) writeReport(path.resolve(root, json), report);
  return 0;
}

async function measure(dir: string, rounds: number, groups: readonly MetricGroup[], values: Values): Promise<Report> {
  const { quick, path: only, 'node-flag': nodeFlags } = values;
  const ztunnel = values.ztunnel === undefined ? null : path.resolve(root, values.ztunnel);
  return await withBench({ rounds, quick, only, groups, dir, cacheDir, say, nodeFlags, ztunnel }, (bench) =>
    bench.run(),
  );
}

async function profile(dir: string, values: Values): Promise<0> {
  const nodeFlags = [...values['node-flag'], ...profileFlags];
  const options = { rounds: 0, quick: values.quick, only: ['ambient'], groups: [], dir, cacheDir, say, nodeFlags };
  process.stdout.write(`\n${await withBench({ ...options, ztunnel: null }, (bench) => bench.profile())}\n`);
  return 0;
}

async function withBench<T>(options: L4Options, work: (bench: L4Bench) => Promise<T>): Promise<T> {
  const bench = new L4Bench(options);
  enterSandbox(options.dir, () => {
    say('stopped');
    return bench.close();
  });
  try {
    return await work(bench);
  } finally {
    await bench.close();
  }
}

function writeReport(file: string, report: { readonly name: string }): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  say(`wrote ${file}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n`);
  const isUsage = (isMeshError(error) && error.code === 'USAGE') || error instanceof TypeError;
  process.exitCode = isUsage ? 2 : 1;
}
// The pipe that ties the inside to the outside would keep the loop alive.
process.stdin.destroy();
