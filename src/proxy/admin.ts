// The HTTP side of a proxy: administration on loopback, metrics and readiness for the cluster.
import { MeshError } from '../base/errors.ts';
import { logLevels } from '../config/log-levels.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import type { EdgeListView, EjectedListView, ProxyDump, ProxyStateView } from '../model/views.ts';
import { type LogLevelHolder, loggingRoutes } from '../telemetry/log-level.ts';
import { json, type Route, type Routes, type SimpleResponse, SimpleServer, text } from '../telemetry/metrics-server.ts';
import type { Exposition } from '../telemetry/open-metrics.ts';

export interface AdminSources {
  dump(): Promise<ProxyDump>;
  state(): Promise<ProxyStateView>;
  edges(): Promise<EdgeListView>;
  scrape(accept: string): Promise<Exposition>;
  /** What readiness waits for, and what else there is to say when it waits for nothing. */
  readiness(): { readonly pending: readonly string[]; readonly note: string };
  readonly logLevel: LogLevelHolder;
  drain(): void;
  /** Answers `GET /flows`; see `FlowReader`. */
  flows(url: URL, signal: AbortSignal): SimpleResponse;
  /** Endpoints that are ejected and limits that refuse; absent for proxies that eject nothing. */
  ejected?(): Promise<EjectedListView>;
  /** Makes a data thread crash; false when there is none with this id. */
  killThread(id: number): boolean;
  /** Keeps the main thread busy for so long. */
  blockMain(durationMs: number): void;
}

export interface AdminPorts {
  readonly admin: number;
  readonly metrics: number;
  readonly readiness: number;
}

const index = `GET  /config_dump             what this proxy knows and does, as JSON
GET  /state                   how it is doing: discovery, certificates, threads, limits, as JSON
GET  /edges                   who talks to whom, as counted since the start, as JSON
GET  /ejected                 endpoints that are ejected, limits that refuse requests (waypoints)
GET  /flows?last=N&follow=1   recent connections and requests, one line of JSON each
GET  /logging                 the level of the log, and until when
POST /logging?level=LEVEL     ${logLevels.join(', ')}; &forMs=N for so long; ?reset=1 goes back
POST /drain                   stop accepting, let connections end, exit
POST /debug/kill-thread?id=N  make a data thread crash; it is replaced
POST /debug/block-main?ms=N   keep the main thread busy; data threads go on
`;

/** The three HTTP servers of a proxy: built, then `start`, then `close`. */
export class AdminServers {
  /** What the controller may ask for as well. */
  readonly observed: Routes;
  readonly #admin: SimpleServer;
  readonly #metrics: SimpleServer;
  readonly #readiness: SimpleServer;

  /** `program` is what the proxy is called. */
  constructor(program: string, config: ProxyConfig, sources: AdminSources) {
    const { ports } = config;
    const scrape: Route = async (_url, _signal, accept) => {
      const { contentType, text: body } = await sources.scrape(accept);
      return { status: 200, contentType, body };
    };
    this.observed = {
      'GET /config_dump': async () => json(await sources.dump()),
      'GET /state': async () => json(await sources.state()),
      'GET /edges': async () => json(await sources.edges()),
      'GET /flows': (url, signal) => sources.flows(url, signal),
      'GET /metrics': scrape,
      ...(sources.ejected === undefined ? {} : { 'GET /ejected': async () => json(await sources.ejected?.()) }),
      ...loggingRoutes(sources.logLevel),
    };
    this.#admin = new SimpleServer({
      host: '127.0.0.1',
      port: ports.admin,
      routes: {
        ...this.observed,
        'GET /': () => text(200, `${program}\n${index}`),
        'POST /drain': () => {
          sources.drain();
          return text(202, 'draining\n');
        },
        'POST /debug/kill-thread': (url) => killThread(url, sources),
        'POST /debug/block-main': (url) => blockMain(url, sources),
      },
    });
    const metrics = { 'GET /metrics': scrape, 'GET /stats/prometheus': scrape };
    this.#metrics = new SimpleServer({ host: '', port: ports.metrics, routes: metrics });
    const ready = () => readinessText(sources);
    const routes = { 'GET /healthz/live': () => text(200, 'live\n'), 'GET /healthz/ready': ready };
    this.#readiness = new SimpleServer({ host: '', port: ports.readiness, routes });
  }

  /** Opens all three; returns the ports that were bound. Throws NOT_REACHABLE when one cannot be had. */
  async start(): Promise<AdminPorts> {
    const [admin, metrics, readiness] = await Promise.all([
      this.#admin.start(),
      this.#metrics.start(),
      this.#readiness.start(),
    ]);
    return { admin, metrics, readiness };
  }

  async close(): Promise<void> {
    await Promise.all([this.#admin.close(), this.#metrics.close(), this.#readiness.close()]);
  }
}

function readinessText(sources: AdminSources): SimpleResponse {
  const { pending, note } = sources.readiness();
  if (pending.length > 0) return text(503, `not ready, pending: ${pending.join('; ')}\n`);
  return text(200, note === '' ? 'ready\n' : `ready (${note})\n`);
}

function killThread(url: URL, sources: AdminSources): SimpleResponse {
  const id = Number(url.searchParams.get('id') ?? Number.NaN);
  if (sources.killThread(id)) return text(202, `data thread ${id} crashes\n`);
  throw new MeshError('USAGE', { reason: 'id must be that of a data thread that serves' });
}

const blockMaxMs = 10_000;

function blockMain(url: URL, sources: AdminSources): SimpleResponse {
  const durationMs = Number(url.searchParams.get('ms') ?? Number.NaN);
  if (!(durationMs > 0 && durationMs <= blockMaxMs)) {
    throw new MeshError('USAGE', { reason: `ms must be more than 0 and at most ${blockMaxMs}` });
  }
  setImmediate(() => sources.blockMain(durationMs));
  return text(202, `the main thread is busy for ${durationMs} ms\n`);
}
