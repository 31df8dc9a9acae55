// Where the values that hold for a request come from: time-outs, retries and how its destination is called, each with
// the object and field that says so, or that nobody does.
import type { Backend, DestinationPolicy, RouteRule, ServiceRoutes } from '../../model/route-types.ts';
import { defaultConnectionPool } from '../../model/routes/route-defaults.ts';
import type { WhyValue } from '../../policy/why-route.ts';
import type { WhyRequest } from '../../policy/why-waypoint.ts';
import { parseGrpcTimeout } from '../exchange/timeouts.ts';

/** Fields by the kind of a route. */
const fields = {
  HTTPRoute: {
    timeout: 'timeouts.request',
    perTry: 'timeouts.backendRequest',
    retries: 'retry.attempts',
    retryOn: 'retry',
  },
  GRPCRoute: {
    timeout: 'timeouts.request',
    perTry: 'timeouts.backendRequest',
    retries: 'retry.attempts',
    retryOn: 'retry',
  },
  VirtualService: {
    timeout: 'timeout',
    perTry: 'retries.perTryTimeout',
    retries: 'retries.attempts',
    retryOn: 'retries.retryOn',
  },
  Service: { timeout: '', perTry: '', retries: '', retryOn: '' },
} as const;

/** The values for a request that matches `rule` and goes to `backend`. */
export function valuesOf(
  rule: RouteRule,
  backend: Backend | null,
  routes: ServiceRoutes,
  request: WhyRequest,
): readonly WhyValue[] {
  const own = [...routeValues(rule), ...wishValues(request, rule)];
  return backend === null ? own : [...own, ...destinationValues(backend, routes)];
}

function routeValues(rule: RouteRule): WhyValue[] {
  const { origin, timeouts, retry } = rule;
  const at = origin.place === null ? null : `${origin.place.file}:${origin.place.line}:${origin.place.column}`;
  const said = (field: string): Pick<WhyValue, 'from' | 'at'> => {
    return { from: `${origin.kind} ${origin.namespace}/${origin.name} rule ${origin.rule} ${field}`, at };
  };
  const by = fields[origin.kind];
  const values: WhyValue[] = [
    timeouts.requestMs > 0
      ? { name: 'timeout', value: timeText(timeouts.requestMs), ...said(by.timeout) }
      : { name: 'timeout', value: 'none', ...byDefault },
  ];
  const perTryMs = timeouts.perTryMs || retry.perTryTimeoutMs;
  if (perTryMs > 0) values.push({ name: 'per-try timeout', value: timeText(perTryMs), ...said(by.perTry) });
  const on = [...retry.retryOn, ...retry.statuses].join(',');
  if (retry.from === 'default') {
    const who = origin.kind === 'Service' ? 'there is no route' : 'the route says nothing of them';
    const from = `default, as Istio's: ${who}`;
    values.push({ name: 'retries', value: `${retry.attempts}, on ${on}`, from, at: null });
  } else if (retry.attempts === 0) values.push({ name: 'retries', value: 'none', ...said(by.retries) });
  else {
    values.push({ name: 'retries', value: `${retry.attempts}`, ...said(by.retries) });
    values.push({ name: 'retry on', value: on, ...said(by.retryOn) });
  }
  if (timeouts.idleMs > 0) values.push({ name: 'idle timeout', value: timeText(timeouts.idleMs), ...byTraffic });
  if (timeouts.maxStreamMs > 0) {
    values.push({ name: 'longest stream', value: timeText(timeouts.maxStreamMs), ...byTraffic });
  }
  for (const { policy, requests, perMs } of rule.rateLimits) {
    values.push({
      name: 'rate limit',
      value: `${requests} per ${timeText(perMs)}`,
      from: `RateLimitPolicy ${policy}`,
      at: null,
    });
  }
  return values;
}

const byDefault = { from: 'default', at: null } as const;
const byTraffic = { from: 'a TrafficPolicy of the route', at: null } as const;

/** What the caller itself asks for by headers. */
function wishValues({ headers }: WhyRequest, rule: RouteRule): WhyValue[] {
  const values: WhyValue[] = [];
  const numbers = {
    'x-envoy-upstream-rq-timeout-ms': 'timeout',
    'x-envoy-upstream-rq-per-try-timeout-ms': 'per-try timeout',
    'x-envoy-max-retries': 'retries',
  } as const;
  for (const [name, text] of headers) {
    const what = Object.hasOwn(numbers, name) ? numbers[name as keyof typeof numbers] : null;
    if (what !== null && /^\d{1,9}$/.test(text)) {
      const value = what === 'retries' ? text : timeText(Number(text));
      values.push({ name: what, value, from: `the caller's header ${name}, instead of the route's`, at: null });
    }
    const own = name === 'grpc-timeout' ? parseGrpcTimeout(text) : null;
    if (own === null) continue;
    const { requestMs } = rule.timeouts;
    const isShorter = requestMs === 0 || own < requestMs;
    const words = isShorter ? 'shorter than the route allows' : "longer than the route's, which counts";
    values.push({
      name: 'timeout',
      value: timeText(own),
      from: `the caller's header grpc-timeout, ${words}`,
      at: null,
    });
  }
  return values;
}

/** How the destination is called: what differs from the defaults, and the budget that always holds. */
function destinationValues(backend: Backend, routes: ServiceRoutes): WhyValue[] {
  const policy = policyOf(backend, routes);
  const { connectionPool: pool, outlier, retryBudget, loadBalancing } = policy;
  const from = policy.from.length === 0 ? 'default' : policy.from.map((one) => one.replace('/', ' ')).join(', ');
  const values: WhyValue[] = [];
  const add = (name: string, value: string, field: string, isDefault: boolean): void => {
    values.push({ name, value, from: isDefault || from === 'default' ? 'default' : `${from} ${field}`, at: null });
  };
  const isDefaultBudget = retryBudget.ratio === 0.2 && retryBudget.perSecond === 3 && retryBudget.minConcurrency === 0;
  const { ratio, perSecond, minConcurrency } = retryBudget;
  const beside =
    perSecond > 0 ? ` and ${perSecond} per second` : minConcurrency > 0 ? `, ${minConcurrency} at least` : '';
  add('retry budget', `${Math.round(ratio * 100)} % of what is in flight${beside}`, 'retryBudget', isDefaultBudget);
  const isDefaultConnect = pool.connectTimeoutMs === defaultConnectionPool.connectTimeoutMs;
  add('connect timeout', timeText(pool.connectTimeoutMs), 'connectionPool.tcp.connectTimeout', isDefaultConnect);
  if (outlier === null) add('ejection', 'none', '', true);
  else {
    const after = outlier.consecutive5xx > 0 ? `after ${outlier.consecutive5xx} answers of 5xx` : 'by success rate';
    add('ejection', `${after}, for ${timeText(outlier.baseEjectionMs)} and longer`, 'outlierDetection', false);
  }
  const limits = {
    http2MaxRequests: pool.maxRequests,
    http1MaxPendingRequests: pool.maxPendingRequests,
    maxRetries: pool.maxRetries,
  };
  for (const [name, value] of Object.entries(limits)) {
    if (value > 0) add(name, String(value), `connectionPool.http.${name}`, false);
  }
  if (loadBalancing.algorithm !== 'least-request')
    add('load balancing', loadBalancing.algorithm, 'loadBalancer', false);
  return values;
}

/** As `Destinations.of` finds it: of the subset, of the port, else of the service. */
function policyOf(backend: Backend, { destination, otherDestinations }: ServiceRoutes): DestinationPolicy {
  const rules = [destination, ...otherDestinations].find((one) => one.service === backend.service) ?? destination;
  const source = rules.subsets.find((one) => one.name === backend.subset) ?? rules;
  return source.portPolicies.find((one) => one.port === backend.port)?.policy ?? source.policy;
}

/** `250ms`, `2s`. */
function timeText(ms: number): string {
  return ms >= 1000 && ms % 100 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
