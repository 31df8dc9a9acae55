// Which test files run, in which order, and how the phases' events become one report with one summary.
// `test/run.ts` is the program; nothing here touches a process or a socket, so that it can be tested as data.
import { globSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../../src/base/errors.ts';

/** An event of a node:test stream, as far as the report needs it. */
export interface TestEvent {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface TestPlan {
  /** Files that run beside each other. */
  readonly parallel: readonly string[];
  /** Files of labs that mostly wait, and run two at a time after those. */
  readonly paired: readonly string[];
  /** Files that run one by one, after the others: what they watch feels the machine, or all of its labs. */
  readonly serial: readonly string[];
  /** Filters that name no file, hence tests. */
  readonly namePatterns: readonly string[];
}

const testGlobs = ['src/**/*.test.ts', 'native-free/**/*.test.ts', 'bench/**/*.test.ts', 'test/**/*.test.ts'] as const;
const serialFolders = ['test/lab/', 'test/incidents/'] as const;
/** Of `test/lab`: a lab each, that asks neither how quick something is nor what else there is on the machine. */
const pairedNames = [
  'configuration',
  'encryption',
  'gateway-conformance',
  'http',
  'image',
  'in-pod',
  'networks',
  'operations',
  'pods',
  'policy',
  'security',
  'services',
  'waypoint',
] as const;
const pairedFiles: ReadonlySet<string> = new Set(pairedNames.map((name) => `test/lab/${name}.test.ts`));

/** Every test file under `root`, as sorted paths from there. */
export function findTestFiles(root: string): string[] {
  return globSync([...testGlobs], { cwd: root })
    .filter((file) => !file.split(path.sep).includes('node_modules'))
    .sort();
}

const pathLike = /^(?:src|test|bench|build|native-free)\/\S*$/;

/**
 * Splits `files` into phases. A filter that is part of a path picks files; one that is part of no path picks tests by
 * name, in the files that are left. No filter means everything. Throws USAGE for a path that no file has.
 */
export function planTests(files: readonly string[], filters: readonly string[]): TestPlan {
  const normal = filters.map((filter) => filter.replace(/^\.\//, ''));
  const fileFilters = normal.filter((filter) => files.some((file) => file.includes(filter)));
  const namePatterns = normal.filter((filter) => !fileFilters.includes(filter));
  const strayPath = namePatterns.find((filter) => pathLike.test(filter));
  if (strayPath !== undefined) throw new MeshError('USAGE', { reason: `no test file has '${strayPath}' in its path` });
  const chosen =
    fileFilters.length === 0 ? files : files.filter((file) => fileFilters.some((part) => file.includes(part)));
  const isSerial = (file: string): boolean => serialFolders.some((folder) => file.startsWith(folder));
  return {
    parallel: chosen.filter((file) => !isSerial(file)),
    paired: chosen.filter((file) => pairedFiles.has(file)),
    serial: chosen.filter((file) => isSerial(file) && !pairedFiles.has(file)),
    namePatterns,
  };
}

const countNames = ['tests', 'suites', 'passed', 'failed', 'cancelled', 'skipped', 'todo', 'topLevel'] as const;
type Counts = Record<(typeof countNames)[number], number>;

export interface TestOutcome {
  counts: Counts;
  success: boolean;
}

/** An outcome in which nothing has run yet. */
export function noOutcome(): TestOutcome {
  return {
    counts: { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0, topLevel: 0 },
    success: true,
  };
}

/**
 * Passes the events of several node:test streams on as if they were one: top-level numbers go on counting, and the
 * summaries of the parts become one at the end. `outcome` holds the sums when the last event has been read.
 */
export async function* joinPhases(
  phases: Iterable<() => AsyncIterable<TestEvent>>,
  outcome: TestOutcome,
  nowMs: () => number = performance.now.bind(performance),
): AsyncGenerator<TestEvent> {
  const startedMs = nowMs();
  let numberBase = 0;
  for (const phase of phases) {
    let topLevel = 0;
    let emptyFiles = 0;
    for await (const event of phase()) {
      if (isPhaseSummary(event)) {
        addCounts(outcome, event, emptyFiles);
        continue;
      }
      if (isPhaseTrailer(event)) continue;
      if (isEmptyFile(event)) {
        if (event.type === 'test:pass') emptyFiles++;
        continue;
      }
      const number = event.data.nesting === 0 ? event.data.testNumber : undefined;
      if (typeof number !== 'number') {
        yield event;
        continue;
      }
      topLevel = Math.max(topLevel, number);
      yield { type: event.type, data: { ...event.data, testNumber: number + numberBase } };
    }
    numberBase += topLevel;
  }
  yield* summary(outcome, nowMs() - startedMs);
}

/** The summary of a whole phase names no file; those of single files do. */
function isPhaseSummary(event: TestEvent): boolean {
  return event.type === 'test:summary' && event.data.file === undefined;
}

function isPhaseTrailer(event: TestEvent): boolean {
  if (event.data.nesting !== 0 || event.data.file !== undefined) return false;
  if (event.type === 'test:plan') return true;
  if (event.type !== 'test:diagnostic') return false;
  return /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(String(event.data.message));
}

/** The runner calls a file in which no test ran (a name filter left none) a test that passed. It is none. */
function isEmptyFile(event: TestEvent): boolean {
  return (event.type === 'test:start' || event.type === 'test:pass') && event.data.name === event.data.file;
}

function addCounts(outcome: TestOutcome, event: TestEvent, emptyFiles: number): void {
  const counts = event.data.counts as Partial<Counts> | undefined;
  for (const name of countNames) outcome.counts[name] += counts?.[name] ?? 0;
  for (const name of ['tests', 'passed', 'topLevel'] as const) outcome.counts[name] -= emptyFiles;
  outcome.success &&= event.data.success === true;
}

function* summary(outcome: TestOutcome, durationMs: number): Generator<TestEvent> {
  const { counts } = outcome;
  yield { type: 'test:plan', data: { nesting: 0, count: counts.topLevel } };
  const lines = [
    `tests ${counts.tests}`,
    `suites ${counts.suites}`,
    `pass ${counts.passed}`,
    `fail ${counts.failed}`,
    `cancelled ${counts.cancelled}`,
    `skipped ${counts.skipped}`,
    `todo ${counts.todo}`,
    `duration_ms ${durationMs.toFixed(3)}`,
  ];
  for (const message of lines) yield { type: 'test:diagnostic', data: { nesting: 0, message, level: 'info' } };
  yield { type: 'test:summary', data: { success: outcome.success, counts: { ...counts }, duration_ms: durationMs } };
}
