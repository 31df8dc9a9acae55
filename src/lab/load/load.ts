// Steady, bounded traffic to a list of URLs. Each connection is a loop of its own: wait for its turn, send, read,
// again; it is replaced after a while, so that a mesh sees both long-lived connections and new ones. Errors are
// counted, never fatal.
import { connect, type Socket } from 'node:net';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { Client as HttpConnection } from 'undici';
import { MeshError, messageOf } from '../../base/errors.ts';
import { durationOf } from '../echo/duration.ts';
import { splitList } from '../echo/options.ts';

export interface LoadOptions {
  readonly targets: readonly string[];
  /** Requests per second in all. */
  readonly ratePerS: number;
  /** Connections in all, spread over the targets. */
  readonly connections: number;
  /** A connection is replaced after this many requests. */
  readonly requestsPerConnection: number;
  readonly timeoutMs: number;
  /** 0 is for ever. */
  readonly durationMs: number;
}

const rateMax = 100_000;
const connectionsMax = 10_000;
const idleMs = 600_000;

/**
 * Options from arguments (`--rate 50 --connections 8 --duration 30s URL…`) and, where those are silent, the environment
 * (`TARGETS`, `RATE`, `CONNECTIONS`, `DURATION`). Throws USAGE or CONFIG_INVALID.
 */
export function loadOptions(args: readonly string[], env: Readonly<Record<string, string | undefined>>): LoadOptions {
  const { values, positionals } = parse(args);
  const targets = positionals.length > 0 ? positionals : splitList(env.TARGETS ?? '');
  if (targets.length === 0)
    throw new MeshError('USAGE', { reason: 'no target; set TARGETS or give http:// and tcp:// URLs' });
  for (const target of targets) {
    const protocol = URL.canParse(target) ? new URL(target).protocol : '';
    if (protocol !== 'http:' && protocol !== 'tcp:') {
      throw new MeshError('CONFIG_INVALID', { place: 'TARGETS', reason: `'${target}' is no http:// or tcp:// URL` });
    }
  }
  const connections = count(
    values.connections ?? env.CONNECTIONS ?? String(targets.length),
    'CONNECTIONS',
    connectionsMax,
  );
  return {
    targets,
    ratePerS: count(values.rate ?? env.RATE ?? '10', 'RATE', rateMax),
    connections: Math.max(connections, targets.length),
    requestsPerConnection: count(values['requests-per-connection'] ?? '50', 'requests-per-connection', 1e9),
    timeoutMs: 5_000,
    durationMs: durationOf(values.duration ?? env.DURATION ?? '0', 'DURATION'),
  };
}

function parse(args: readonly string[]) {
  const string = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { rate: string, connections: string, duration: string, 'requests-per-connection': string },
    });
  } catch (error) {
    throw new MeshError('USAGE', { reason: messageOf(error) }, { cause: error });
  }
}

function count(text: string, place: string, max: number): number {
  const value = Number(text);
  if (!(value > 0 && value <= max))
    throw new MeshError('CONFIG_INVALID', { place, reason: `'${text}' is no number in 1..${max}` });
  return value;
}

/** What one target has seen since the last summary. */
class TargetCounts {
  ok = 0;
  failed = 0;
  readonly errors = new Map<string, number>();
}

/**
 * A running load; `summary()` returns and resets the figures of the last interval, `total()` those of the whole run.
 */
export class LoadRun {
  readonly #options: LoadOptions;
  #latency: RecordableHistogram = createHistogram();
  #counts = new Map<string, TargetCounts>();
  #since = performance.now();
  #okTotal = 0;
  #failedTotal = 0;
  #closed = false;
  readonly #startedAt = performance.now();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #clients = new Set<Client>();

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  get ok(): number {
    return this.#okTotal;
  }
  get failed(): number {
    return this.#failedTotal;
  }

  /** Starts every connection, their first requests spread over one interval. */
  start(): void {
    const { connections, ratePerS, targets } = this.#options;
    const intervalMs = (connections / ratePerS) * 1000;
    for (let index = 0; index < connections; index++) {
      const target = targets[index % targets.length]!;
      const client = new URL(target).protocol === 'tcp:' ? new TcpClient(target) : new HttpClient(target);
      this.#clients.add(client);
      this.#after((index / connections) * intervalMs, () => void this.#loop(target, client, intervalMs, 0));
    }
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const client of this.#clients) client.reset();
  }

  /** One line about the time since the last summary. */
  summary(): string {
    const seconds = (performance.now() - this.#since) / 1000;
    const parts = [...new Set(this.#options.targets)].flatMap((target) => {
      const counts = this.#counts.get(target);
      if (counts === undefined) return [];
      const errors = [...counts.errors].map(([reason, times]) => `${reason} ×${times}`).join(', ');
      return `${target} ${counts.ok} ok${counts.failed > 0 ? `, ${counts.failed} failed (${errors})` : ''}`;
    });
    const ms = (percentile: number): string => (this.#latency.percentile(percentile) / 1e6).toFixed(1);
    const targets = parts.join('; ') || 'nothing sent';
    const line = `load: ${seconds.toFixed(0)} s, p50 ${ms(50)} ms, p99 ${ms(99)} ms; ${targets}`;
    this.#counts = new Map();
    this.#latency = createHistogram();
    this.#since = performance.now();
    return line;
  }

  /** One line about the whole run. */
  total(): string {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    return `load: in all ${this.#okTotal} ok, ${this.#failedTotal} failed in ${seconds.toFixed(1)} s`;
  }

  async #loop(target: string, client: Client, intervalMs: number, made: number): Promise<void> {
    const startedAt = performance.now();
    let failure: string | null = null;
    try {
      await client.send(this.#options.timeoutMs);
    } catch (error) {
      failure = (error as NodeJS.ErrnoException).code ?? messageOf(error);
    }
    if (this.#closed) return;
    const elapsedMs = performance.now() - startedAt;
    this.#record(target, elapsedMs, failure);
    const next = failure === null && made + 1 < this.#options.requestsPerConnection ? made + 1 : 0;
    if (next === 0) client.reset();
    // A failed connection waits at least a moment: a target that is down must not become a busy loop.
    const pauseMs = Math.max(intervalMs - elapsedMs, failure === null ? 0 : 20);
    this.#after(pauseMs, () => void this.#loop(target, client, intervalMs, next));
  }

  #record(target: string, elapsedMs: number, failure: string | null): void {
    const counts = this.#counts.get(target) ?? new TargetCounts();
    this.#counts.set(target, counts);
    if (failure === null) {
      counts.ok++;
      this.#okTotal++;
      this.#latency.record(Math.max(1, Math.round(elapsedMs * 1e6)));
      return;
    }
    counts.failed++;
    this.#failedTotal++;
    counts.errors.set(failure, (counts.errors.get(failure) ?? 0) + 1);
  }

  #after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }
}

interface Client {
  send(timeoutMs: number): Promise<void>;
  reset(): void;
}

class HttpClient implements Client {
  readonly #url: URL;
  #connection: HttpConnection | null = null;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  async send(timeoutMs: number): Promise<void> {
    const { origin, pathname, search } = this.#url;
    const timeouts = { connectTimeout: timeoutMs, headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
    // Between two requests it stays open for as long as the server lets it.
    this.#connection ??= new HttpConnection(origin, { ...timeouts, keepAliveTimeout: idleMs });
    const { statusCode, body } = await this.#connection.request({ method: 'GET', path: `${pathname}${search}` });
    await finished(body.resume());
    if (statusCode < 500) return;
    const reason = `status ${statusCode}`;
    throw new MeshError('NOT_REACHABLE', { what: this.#url.href, reason, hint: 'see its log' });
  }

  reset(): void {
    // Whoever waits for an answer of it is told; the end itself needs no waiting for.
    this.#connection?.destroy().catch(() => {});
    this.#connection = null;
  }
}

class TcpClient implements Client {
  readonly #url: URL;
  #socket: Socket | null = null;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  send(timeoutMs: number): Promise<void> {
    const line = 'steady as she goes\n';
    return new Promise((resolve, reject) => {
      const socket =
        this.#socket ?? connect({ host: this.#url.hostname.replace(/^\[|\]$/g, ''), port: Number(this.#url.port) });
      this.#socket = socket;
      let got = '';
      const done = (error?: unknown): void => {
        socket.removeAllListeners();
        socket.on('error', () => {});
        socket.setTimeout(0);
        if (error === undefined) resolve();
        else reject(error);
      };
      socket.on('error', done);
      socket.on('close', () => done(new MeshError('RESET_BY_DESTINATION')));
      socket.setTimeout(timeoutMs, () =>
        done(new MeshError('CONNECT_TIMEOUT', { address: this.#url.host, timeoutMs })),
      );
      socket.on('data', (chunk: Buffer) => {
        got += chunk.toString('latin1');
        if (got.includes(line)) done();
      });
      socket.write(line);
    });
  }

  reset(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }
}
