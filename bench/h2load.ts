// h2load: loads that wrk cannot make, HTTP/2 and a fixed rate. Times are read from its log of every request.
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../src/base/errors.ts';
import { type LoadResult, outputOf } from './load.ts';
import { inNamespace } from './processes.ts';

export interface H2LoadOptions {
  /** Null for the run's own namespace. */
  readonly netns: string | null;
  readonly url: string;
  readonly protocol: 'http1' | 'http2';
  readonly connections: number;
  /** Requests at once on each connection. */
  readonly streams: number;
  readonly seconds: number;
  /** Requests per second over all connections; none for as many as go. */
  readonly ratePerS?: number;
  readonly headers?: readonly string[];
  /** A file to POST. */
  readonly bodyFile?: string;
  /** For the log. */
  readonly dir: string;
}

/** Runs h2load once. Throws NOT_REACHABLE when it could not run or nothing was answered. */
export async function runH2Load(options: H2LoadOptions): Promise<LoadResult> {
  const { connections, seconds, ratePerS } = options;
  const log = path.join(options.dir, 'h2load.log');
  rmSync(log, { force: true });
  const words = [
    ...[`--clients=${connections}`, `--max-concurrent-streams=${options.streams}`, `--duration=${seconds}`],
    ...['--threads=1', `--log-file=${log}`],
    ...(options.protocol === 'http1' ? ['--h1'] : []),
    ...(ratePerS === undefined ? [] : [`--rps=${ratePerS / connections}`]),
    ...(options.headers ?? []).map((header) => `--header=${header}`),
    ...(options.bodyFile === undefined ? [] : [`--data=${options.bodyFile}`]),
  ];
  const output = await outputOf(inNamespace(options.netns, ['h2load', ...words, options.url]));
  return parseH2Load(output, readFileSync(log, 'utf8'), seconds);
}

/**
 * Reads h2load's summary and its log (`start µs, status, duration µs` a line). Throws NOT_REACHABLE when nothing was
 * answered.
 */
export function parseH2Load(output: string, log: string, seconds: number): LoadResult {
  const statuses = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(output)?.slice(1).map(Number);
  const bad = /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(output)?.slice(1).map(Number);
  const answered = statuses?.[0] ?? 0;
  if (answered === 0) {
    const reason = output.trim().split('\n').slice(-2).join(' · ');
    throw new MeshError('NOT_REACHABLE', { what: 'the server', reason, hint: 'no request was answered' });
  }
  const times = Float64Array.from(
    log.split('\n').filter((line) => line !== ''),
    (line) => Number(line.split('\t')[2]),
  ).sort();
  const at = (share: number): number =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0) / 1e3;
  const bytes = Number(/\((\d+)\) data/.exec(output)?.[1] ?? 0);
  const errors = sum(statuses?.slice(1)) + sum(bad);
  return { requests: answered, bytes, seconds, p50Ms: at(0.5), p99Ms: at(0.99), errors };
}

function sum(values: readonly number[] = []): number {
  return values.reduce((total, value) => total + value, 0);
}
