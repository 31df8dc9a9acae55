// Load from the client pod: wrk runs, and connections that are held open.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { MeshError } from '../src/base/errors.ts';
import { inNamespace } from './processes.ts';

const script = path.join(import.meta.dirname, 'wrk.lua');
const holder = path.join(import.meta.dirname, 'client.ts');

export interface LoadOptions {
  /** Null for the run's own namespace. */
  readonly netns: string | null;
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** A new connection for every request. */
  readonly reconnect?: boolean;
  /** POST with a body of so many bytes. */
  readonly bodyBytes?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Connect, read, write, time-out, and answers that were no 2xx. */
  readonly errors: number;
}

/** Runs wrk once. Throws NOT_REACHABLE when it could not run or nothing was answered. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const header = options.reconnect ? ['-H', 'Connection: close'] : [];
  const words = ['wrk', '-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--timeout', '5s', '-s', script];
  const body = options.bodyBytes === undefined ? [] : ['--', String(options.bodyBytes)];
  const output = await outputOf(inNamespace(options.netns, [...words, ...header, options.url, ...body]));
  return parseLoad(output);
}

interface RawLoad {
  readonly requests: number;
  readonly bytes: number;
  readonly durationUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: Readonly<Record<'connect' | 'read' | 'write' | 'timeout' | 'status', number>>;
}

/**
 * Reads the JSON line of `wrk.lua` out of what wrk printed. Throws NOT_REACHABLE when there is none, or no request in
 * it.
 */
export function parseLoad(output: string): LoadResult {
  const line = output.split('\n').find((text) => text.startsWith('{'));
  const raw = line === undefined ? null : (JSON.parse(line) as RawLoad);
  if (raw === null || raw.requests === 0) {
    const reason = output.trim().split('\n').slice(-2).join(' · ');
    throw new MeshError('NOT_REACHABLE', { what: 'the server', reason, hint: 'no request was answered' });
  }
  return {
    requests: raw.requests,
    bytes: raw.bytes,
    seconds: raw.durationUs / 1e6,
    p50Ms: raw.p50Us / 1e3,
    p99Ms: raw.p99Us / 1e3,
    errors: Object.values(raw.errors).reduce((sum, count) => sum + count, 0),
  };
}

/**
 * Asks `url` once from inside `netns` (null: the run's own). Throws NOT_REACHABLE with the client's words when there is
 * no 200.
 */
export async function probe(netns: string | null, url: string): Promise<void> {
  await outputOf(inNamespace(netns, [process.execPath, holder, 'get', url]));
}

/** Runs a program to its end and returns what it printed. Throws NOT_REACHABLE with its last words when it fails. */
export async function outputOf(words: readonly [string, ...string[]]): Promise<string> {
  const [program, ...args] = words;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  const text = Buffer.concat(output).toString();
  if (code === 0) return text;
  const reason = (Buffer.concat(errors).toString() || text).trim().split('\n').at(-1) ?? '';
  throw new MeshError('NOT_REACHABLE', { what: args.at(-1) ?? program, reason, hint: `${program} ended with ${code}` });
}

export interface HeldConnections {
  readonly count: number;
  /** Closes them all, and resolves when the client has ended. */
  readonly release: () => Promise<void>;
}

/** Opens `count` connections, makes one request on each, and keeps them. Throws NOT_REACHABLE when one fails. */
export async function holdConnections(netns: string | null, url: string, count: number): Promise<HeldConnections> {
  const [program, ...args] = inNamespace(netns, [process.execPath, holder, 'hold', url, String(count)]);
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const first = await Promise.race([once(createInterface(child.stdout), 'line'), closed]);
  if (first[0] !== 'held') {
    throw new MeshError('NOT_REACHABLE', { what: url, reason: 'a connection failed', hint: 'see the line above' });
  }
  return {
    count,
    release: async () => {
      child.stdin.end();
      await closed;
    },
  };
}
