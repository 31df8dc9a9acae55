// `npm run bench -- l4 [--json FILE] [--rounds N] [--quick]`: measures, prints a table, writes JSON.
// Exit: 0 measured · 1 our own path (or one named by --path) could not be measured, or had socket errors · 2 usage.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureTools } from '../native-free/tools.ts';
import { isMeshError, MeshError, messageOf } from '../src/base/errors.ts';
import { L4Bench, type MetricGroup, metricGroups } from './l4.ts';
import { runPair } from './pair.ts';
import { installEnvoy } from './paths/envoy.ts';
import { type Report, renderReport } from './report.ts';
import { enterSandbox, runInSandbox, sandboxDir } from './sandbox.ts';

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
const cacheDir = path.join(root, '.cache');
const later = ['l7', 'scale', 'micro'];
const reference = 'haproxy';
const roundsMax = 100;

const say = (line: string): void => {
  process.stderr.write(`bench: ${line}\n`);
};

const usage = `usage: npm run bench -- l4 [OPTION]…
  l4             our pair of node proxies, HAProxy's, Envoy's, and none, between two pods on two nodes
  pair           our tunnel alone over loopback, this tree beside another (see pair.ts)
  --rounds N     rounds over all paths; 3 unless given, 1 with --quick
  --quick        short runs; ends within 90 s
  --json FILE    the report as JSON (a relative FILE is taken from the project's root)
  --path NAME    only this path (direct, haproxy, envoy-hbone, ambient); may be given again
  --metric GROUP only these figures (memory, requests, latency, connections, bulk); may be given again
  --base DIR     pair: another tree, measured in alternation with this one
  --seconds N    pair: of each load; 3 unless given
  --node-flag F  a flag for the Node of our own proxies, such as --cpu-prof; may be given again
`;

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
      'node-flag': { type: 'string', multiple: true, default: [] },
      base: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      ztunnel: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const [suite = '', ...extra] = positionals;
  if (later.includes(suite))
    throw new MeshError('USAGE', { reason: `the suite '${suite}' comes with a later release` });
  if (values.ztunnel !== undefined) {
    throw new MeshError('USAGE', { reason: 'ztunnel as a peer (--ztunnel) comes with a later release' });
  }
  if (suite === 'pair') {
    const { base = null, metric, 'node-flag': nodeFlags } = values;
    const options = { base, metrics: metric, nodeFlags, seconds: Number(values.seconds) };
    process.stdout.write(await runPair({ ...options, rounds: Number(values.rounds ?? 3) }));
    return 0;
  }
  if (suite !== 'l4' || extra.length > 0) throw new MeshError('USAGE', { reason: usage.trimEnd() });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > roundsMax) {
    throw new MeshError('USAGE', { reason: `--rounds takes a whole number from 1 to ${roundsMax}` });
  }
  const groups = metricGroups.filter((group) => values.metric.includes(group));
  const unknown = values.metric.filter((name) => !groups.some((group) => group === name));
  if (unknown.length > 0) throw new MeshError('USAGE', { reason: `--metric takes ${metricGroups.join(', ')}` });
  const dir = sandboxDir();
  if (dir === null) {
    ensureTools(tools);
    if (values.path.length === 0 || values.path.includes('envoy-hbone')) installEnvoy(cacheDir, say);
    return await runInSandbox(import.meta.filename, args);
  }
  const report = await measure(dir, rounds, groups, values);
  process.stdout.write(`\n${renderReport(report, reference)}`);
  if (values.json !== undefined) writeReport(path.resolve(root, values.json), report);
  const wanted = new Set(['ambient', ...values.path]);
  const bad = report.rows.some((row) => wanted.has(row.path) && row.socketErrors > 0);
  return bad || report.leftOut.some((left) => wanted.has(left.path)) ? 1 : 0;
}

async function measure(
  dir: string,
  rounds: number,
  groups: readonly MetricGroup[],
  values: { quick: boolean; path: string[]; 'node-flag': string[] },
): Promise<Report> {
  const bench = new L4Bench({
    rounds,
    quick: values.quick,
    only: values.path,
    groups,
    dir,
    cacheDir,
    say,
    nodeFlags: values['node-flag'],
  });
  enterSandbox(dir, () => {
    say('stopped');
    return bench.close();
  });
  try {
    return await bench.run();
  } finally {
    await bench.close();
  }
}

function writeReport(file: string, report: Report): void {
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
