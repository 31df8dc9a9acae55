// The HTTP service of one data thread, with what it needs of the waypoint around it.
import { type Dialler, dial } from '../forward/dial.ts';
import { fetchText } from '../http/authn/fetch-text.ts';
import { KeySets } from '../http/authn/key-sets.ts';
import { PolicyJudge } from '../http/authn/request-judge.ts';
import { TokenVerifier } from '../http/authn/token-verifier.ts';
import type { ConnectEndpoint, HttpService, HttpServiceContext } from '../http/exchange/context.ts';
import type { HttpLimits } from '../http/exchange/limits.ts';
import { createHttpService } from '../http/exchange/service.ts';
import type { DataPath, ThreadService } from '../proxy/data-path.ts';
import type { PodServices } from './pod-services.ts';

/** Makes the service; `passThrough` takes streams that turn out to speak no HTTP. */
export function createHttpSide(
  path: DataPath,
  dialler: Dialler,
  limits: HttpLimits,
  pods: PodServices,
  passThrough: HttpServiceContext['passThrough'],
): HttpService {
  const { random } = path.context;
  const routesOf: HttpServiceContext['routesOf'] = (service) => pods.routesOf(service);
  const connect: ConnectEndpoint = (target, callback) =>
    dial(dialler, { ...target, timed: true }, (error, stream) => callback(error, stream));
  const verifier = new TokenVerifier(new KeySets(fetchText));
  return createHttpService({
    index: pods,
    self: dialler.self,
    routesOf,
    connect,
    passThrough,
    judge: new PolicyJudge({ routesOf, verifier, now: Date.now }),
    records: path.records,
    counters: path.requests,
    policyHits: path.policyHits,
    tracer: path.tracer,
    notice: path.notice,
    limits,
    random,
  });
}

/** Under the names that a scrape understands. */
function rejectionsBy(limited: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...limited].map(([limit, count]) => [`ambient_limit_rejections_total/${limit}`, count]));
}

/** Without a service while there is none: a series to alert on has to be there before it grows. */
function retriesRefusedBy(refused: ReadonlyMap<string, number>): Record<string, number> {
  const name = 'ambient_http_retries_refused_total';
  const named = [...refused].map(([service, count]) => [`${name}/${service}`, count] as const);
  return { [name]: 0, ...Object.fromEntries(named) };
}

/** The service as the thread's life sees it. */
export function threadServiceOf(http: HttpService): ThreadService {
  return {
    get active() {
      return http.stats().connections;
    },
    meshChanged: () => http.meshChanged(),
    policiesChanged: () => http.policiesChanged(),
    counters: () => {
      const stats = http.stats();
      return {
        ambient_http_client_connections: stats.connections,
        ambient_http_requests_active: stats.requests,
        ambient_http_endpoint_connections: stats.upstreamConnections,
        ambient_http_mirrors_dropped_total: stats.mirrorsDropped,
        ambient_http_retries_total: stats.retries,
        ...retriesRefusedBy(stats.retriesRefused),
        ambient_http_ejections_total: stats.ejections,
        ...rejectionsBy(stats.limited),
      };
    },
    strain: () => http.strain(),
    views: (thread) => http.views(thread),
    drain: (deadlineMs) => void http.drain(deadlineMs),
    close: () => http.close(),
  };
}
