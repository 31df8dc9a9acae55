// `npm test [-- filter…]`: every test of the project with one report and one summary.
//
// Unit and in-process tests run beside each other, the lab's tests after them: some in pairs, most one by one. A filter
// is a part of a path or of a test's name. The exit code is 0 only if something ran and nothing failed.
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { dot, junit, spec, tap } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { ensureTools } from '../native-free/tools.ts';
import { isMeshError, messageOf } from '../src/base/errors.ts';
import { FileWatch, killFile, type WatchLimits } from './house/file-watch.ts';
import { findTestFiles, joinPhases, noOutcome, planTests, type TestEvent, type TestPlan } from './house/test-phases.ts';

const root = path.dirname(import.meta.dirname);
const tools = ['nft', 'ip', 'perl', 'unshare', 'nsenter', 'mount', 'umount', 'sysctl', 'openssl'] as const;
/** A single test; one that needs longer says so itself with `{ timeout }`. */
const unitTimeoutMs = 60_000;
const labTimeoutMs = 180_000;
/** How long a file may stay without a test under way. */
const unitLimits: WatchLimits = { betweenMs: 30_000, afterMs: 15_000 };
const labLimits: WatchLimits = { betweenMs: 150_000, afterMs: 30_000 };
const reporters = { spec: () => new spec(), tap: () => tap, dot: () => dot, junit: () => junit } as const;

const usage = `usage: npm test [-- [--reporter spec|tap|dot|junit] [--list] FILTER…]
  npm test                         everything
  npm test -- src/h2               the files whose path has 'src/h2' in it
  npm test -- test/lab 'half-close'  tests with that in their name, in the lab's files
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      reporter: { type: 'string', default: 'spec' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help || !Object.hasOwn(reporters, values.reporter)) {
    (values.help ? process.stdout : process.stderr).write(usage);
    return values.help ? 0 : 2;
  }
  const plan = planTests(findTestFiles(root), positionals);
  if (values.list) {
    process.stdout.write([...plan.parallel, ...plan.paired, ...plan.serial, ''].join('\n'));
    return 0;
  }
  if (!toolsAreThere(plan)) return 1;
  return await runPlan(plan, reporters[values.reporter as keyof typeof reporters]());
}

/** Tells what is missing; that stops the run only if tests of the lab are in it, since they would all fail. */
function toolsAreThere(plan: TestPlan): boolean {
  try {
    ensureTools(tools);
    return true;
  } catch (error) {
    if (!isMeshError(error)) throw error;
    process.stderr.write(`ambient: ${error.message}\n`);
    return plan.paired.length + plan.serial.length === 0;
  }
}

async function runPlan(plan: TestPlan, reporter: Parameters<typeof pipeline>[1]): Promise<number> {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      abort.abort();
      process.exitCode = signal === 'SIGINT' ? 130 : 143;
    });
  }
  const phase = (files: readonly string[], concurrency: number, timeout: number, limits: WatchLimits) => () =>
    watched(
      run({
        cwd: root,
        files: files.map((file) => path.join(root, file)),
        concurrency,
        timeout,
        signal: abort.signal,
        ...(plan.namePatterns.length > 0 && { testNamePatterns: plan.namePatterns.map(namePattern) }),
      }) as unknown as AsyncIterable<TestEvent>,
      limits,
    );
  const phases = [];
  if (plan.parallel.length > 0) phases.push(phase(plan.parallel, availableParallelism(), unitTimeoutMs, unitLimits));
  if (plan.paired.length > 0) phases.push(phase(plan.paired, 2, labTimeoutMs, labLimits));
  if (plan.serial.length > 0) phases.push(phase(plan.serial, 1, labTimeoutMs, labLimits));
  const outcome = noOutcome();
  await pipeline(Readable.from(joinPhases(phases, outcome)), reporter as never, process.stdout, { end: false });
  if (outcome.counts.tests === 0 && !abort.signal.aborted)
    process.stderr.write('ambient: no test matched; try npm test -- --list\n');
  return outcome.success && outcome.counts.tests > 0 && !abort.signal.aborted ? 0 : 1;
}

/** Passes events on, and ends each file that does not end by itself; the runner then reports that file as failed. */
async function* watched(events: AsyncIterable<TestEvent>, limits: WatchLimits): AsyncGenerator<TestEvent> {
  const watch = new FileWatch(limits);
  const timer = setInterval(() => {
    for (const file of watch.stuck(performance.now())) {
      const name = path.relative(root, file);
      process.stderr.write(`ambient: ${name} has no test under way and does not end: a handle is left open there\n`);
      killFile(file);
    }
  }, 1_000);
  try {
    for await (const event of events) {
      watch.note(event, performance.now());
      yield event;
    }
  } finally {
    clearInterval(timer);
  }
}

function namePattern(text: string): RegExp {
  return new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
}

try {
  const code = await main();
  process.exitCode ??= code;
} catch (error) {
  process.stderr.write(`ambient: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
