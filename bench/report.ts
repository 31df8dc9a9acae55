// The bench's result: JSON for scripts, a table with ratios for people.
import { cpus, release, totalmem } from 'node:os';
import { readable, type Spread } from './statistics.ts';

/** Every metric that a path can have; null where it has none (`direct` has no proxy). Units are in the names. */
export const metricTable = {
  rps: { title: 'req/s', more: 'better' },
  p50Ms: { title: 'p50 ms', more: 'worse' },
  p99Ms: { title: 'p99 ms', more: 'worse' },
  oneConnectionRps: { title: 'req/s, 1 conn', more: 'better' },
  oneConnectionP50Ms: { title: 'p50 ms, 1 conn', more: 'worse' },
  connectionsPerS: { title: 'new conn/s', more: 'better' },
  bulkGBps: { title: 'bulk GB/s', more: 'better' },
  cpuUsPerRequest: { title: 'CPU µs/req', more: 'worse' },
  cpuUsPerConnection: { title: 'CPU µs/conn', more: 'worse' },
  cpuSPerGB: { title: 'CPU s/GB', more: 'worse' },
  rssMB: { title: 'RSS MB', more: 'worse' },
  kbPerIdleConnection: { title: 'KB/idle conn', more: 'worse' },
} as const satisfies Record<string, { title: string; more: 'better' | 'worse' }>;

export type MetricName = keyof typeof metricTable;
export const metricNames = Object.keys(metricTable) as MetricName[];

export interface ReportRow<Metric extends string = MetricName> {
  readonly path: string;
  readonly metrics: Readonly<Record<Metric, Spread | null>>;
  /** Sum over all rounds: connect, read, write, time-out, and answers that were no 2xx. */
  readonly socketErrors: number;
}

export interface Report<Metric extends string = MetricName> {
  readonly name: string;
  readonly machine: {
    readonly cpus: number;
    readonly cpuModel: string;
    readonly kernel: string;
    readonly memoryGiB: number;
  };
  readonly node: string;
  readonly startedAt: string;
  readonly rounds: number;
  readonly quick: boolean;
  readonly rows: readonly ReportRow<Metric>[];
  /** Paths that could not be measured, and why. */
  readonly leftOut: readonly { readonly path: string; readonly reason: string }[];
}

/** The machine as a report names it: no host name, no path. */
export function describeMachine(): Report['machine'] {
  const all = cpus();
  return {
    cpus: all.length,
    cpuModel: all[0]?.model.trim() ?? 'unknown',
    kernel: release(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

/**
 * Two tables: medians, and their ratios to `reference` (the path of that name), with what could not be measured below.
 */
export function renderReport(report: Report, reference: string): string {
  const parts = [headOf(report), renderTable(medianCells(report.rows))];
  const base = report.rows.find((row) => row.path === reference);
  if (base !== undefined && report.rows.length > 1) {
    parts.push(`ratio to ${reference}; for ms, CPU, RSS and KB less is better`);
    parts.push(renderTable(ratioCells(report.rows, base)));
  }
  for (const { path, reason } of report.leftOut) parts.push(`${path} was left out: ${reason}`);
  return `${parts.join('\n\n')}\n`;
}

/** One line per metric, a column per path, and what is to be reached; for suites of other metrics than `l4`. */
export function renderScale<Metric extends string>(
  report: Report<Metric>,
  titles: Readonly<Record<Metric, { readonly title: string; readonly target: string }>>,
): string {
  const head = ['metric', ...report.rows.map(({ path }) => path), 'target'];
  const body = (Object.keys(titles) as Metric[]).map((metric) => [
    titles[metric].title,
    ...report.rows.map(({ metrics }) => withSpread(metrics[metric])),
    titles[metric].target,
  ]);
  return `${headOf(report)}\n\n${renderTable([head, ...body])}\n`;
}

/** One line per function. */
export function renderMicro(report: Report<'nsPerCall'>): string {
  const body = report.rows.map(({ path, metrics }) => [path, withSpread(metrics.nsPerCall)]);
  return `${headOf(report)}\n\n${renderTable([['function', 'ns per call (least–greatest)'], ...body])}\n`;
}

function withSpread(spread: Spread | null): string {
  if (spread === null) return '–';
  return `${readable(spread.median)} (${readable(spread.min)}–${readable(spread.max)})`;
}

function headOf(report: Pick<Report, 'name' | 'rounds' | 'machine' | 'node'>): string {
  const { name, rounds, machine, node } = report;
  const { cpus, cpuModel, kernel } = machine;
  return `${name}, ${rounds} round(s), ${cpus} CPUs (${cpuModel}), Linux ${kernel}, Node ${node}`;
}

function medianCells(rows: readonly ReportRow[]): string[][] {
  const head = ['path', ...metricNames.map((name) => metricTable[name].title), 'errors'];
  const body = rows.map((row) => [
    row.path,
    ...metricNames.map((name) => cell(row.metrics[name]?.median)),
    String(row.socketErrors),
  ]);
  return [head, ...body];
}

function ratioCells(rows: readonly ReportRow[], base: ReportRow): string[][] {
  const head = ['path', ...metricNames.map((name) => metricTable[name].title)];
  const body = rows.map((row) => [
    row.path,
    ...metricNames.map((name) => {
      const own = row.metrics[name]?.median;
      const other = base.metrics[name]?.median;
      return own === undefined || other === undefined || other === 0 ? '–' : `${(own / other).toFixed(2)} ×`;
    }),
  ]);
  return [head, ...body];
}

function cell(value: number | undefined): string {
  return value === undefined ? '–' : readable(value);
}

/** A table in Markdown, with columns as wide as their widest cell. */
function renderTable(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (text: string, at: number): string => {
    const width = widths[at] ?? 0;
    return at === 0 ? text.padEnd(width) : text.padStart(width);
  };
  const line = (row: readonly string[]): string => `| ${row.map(pad).join(' | ')} |`;
  const dashes = (width: number, at: number): string => '-'.repeat(width + 1) + (at === 0 ? '-' : ':');
  const rule = `|${widths.map(dashes).join('|')}|`;
  return [line(rows[0] ?? []), rule, ...rows.slice(1).map(line)].join('\n');
}
