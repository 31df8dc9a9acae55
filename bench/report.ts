// The bench's result: JSON for scripts, a table with ratios for people.
import { cpus, release, totalmem } from 'node:os';
import { readable, type Spread } from './statistics.ts';

/** Every metric that a path can have; null where it has none (`direct` has no proxy). Units are in the names. */
export const metricTable = {
  rps: { title: 'req/s', table: 'speed' },
  p50Ms: { title: 'p50 ms', table: 'speed' },
  p99Ms: { title: 'p99 ms', table: 'speed' },
  oneConnectionRps: { title: 'req/s, 1 conn', table: 'speed' },
  oneConnectionP50Ms: { title: 'p50 ms, 1 conn', table: 'speed' },
  connectionsPerS: { title: 'new conn/s', table: 'speed' },
  bulkGBps: { title: 'bulk GB/s', table: 'speed' },
  quietP50Ms: { title: 'p50 ms, 16 conns', table: 'speed' },
  besideBulkP50Ms: { title: 'beside bulk', table: 'speed' },
  cpuUsPerRequest: { title: 'CPU µs/req', table: 'cost' },
  cpuUsPerConnection: { title: 'CPU µs/conn', table: 'cost' },
  cpuUsPerMiB: { title: 'CPU µs/MiB', table: 'cost' },
  cpuSPerGB: { title: 'CPU s/GB', table: 'cost' },
  rssMB: { title: 'RSS MB', table: 'cost' },
  rssHeldMB: { title: 'RSS held', table: 'cost' },
  rssAfterMB: { title: 'RSS after', table: 'cost' },
  kbPerIdleConnection: { title: 'KB/idle conn', table: 'cost' },
  kbPerIdleEntry: { title: 'KB, entry', table: 'cost' },
  kbPerIdleExit: { title: 'KB, exit', table: 'cost' },
} as const satisfies Record<string, { title: string; table: Table }>;

/** How fast, and at what price in CPU time and memory. */
const tables = ['speed', 'cost'] as const;
type Table = (typeof tables)[number];

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
 * Medians in two tables, then the ratios of `own` (the path of that name) to every other path, and last what could not
 * be measured.
 */
export function renderReport(report: Report, own: string): string {
  const parts = [headOf(report)];
  for (const table of tables) parts.push(renderTable(medianCells(report.rows, metricsOf(table))));
  const base = report.rows.find((row) => row.path === own);
  const others = report.rows.filter((row) => row.path !== own);
  if (base !== undefined && others.length > 0) {
    parts.push(`${own} as a ratio to each; for ms, CPU, RSS and KB less is better`);
    for (const table of tables) parts.push(renderTable(ratioCells(others, base, metricsOf(table))));
  }
  for (const { path, reason } of report.leftOut) parts.push(`${path} was left out: ${reason}`);
  return `${parts.join('\n\n')}\n`;
}

function metricsOf(table: Table): MetricName[] {
  return metricNames.filter((name) => metricTable[name].table === table);
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

function medianCells(rows: readonly ReportRow[], names: readonly MetricName[]): string[][] {
  const head = ['path', ...names.map((name) => metricTable[name].title), 'errors'];
  const body = rows.map((row) => [
    row.path,
    ...names.map((name) => cell(row.metrics[name]?.median)),
    String(row.socketErrors),
  ]);
  return [head, ...body];
}

function ratioCells(others: readonly ReportRow[], base: ReportRow, names: readonly MetricName[]): string[][] {
  const head = ['to', ...names.map((name) => metricTable[name].title)];
  const body = others.map((row) => [
    row.path,
    ...names.map((name) => {
      const own = base.metrics[name]?.median;
      const other = row.metrics[name]?.median;
      return own === undefined || other === undefined || other === 0 ? '–' : `${(own / other).toFixed(2)} ×`;
    }),
  ]);
  return [head, ...body];
}

function cell(value: number | undefined): string {
  return value === undefined ? '–' : readable(value);
}

/** A table in Markdown, with columns as wide as their widest cell. */
export function renderTable(rows: readonly string[][]): string {
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
