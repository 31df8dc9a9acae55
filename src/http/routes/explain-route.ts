// The route half of `ambientctl why`: what a waypoint does with a request, by the very table that it matches with.
import { type Candidate, explainableEndpoints } from '../../model/balance.ts';
import type { MeshIndex } from '../../model/mesh-index.ts';
import { serviceKey } from '../../model/mesh-index.ts';
import type { Backend, RouteOrigin, RouteRule, ServiceRoutes, WeightedBackend } from '../../model/route-types.ts';
import { defaultServiceRoutes } from '../../model/routes/route-defaults.ts';
import type { Service, Workload } from '../../model/types.ts';
import { locationOf } from '../exchange/rewrite.ts';
import { compileRoutes, type RouteHit } from './route-table.ts';

/** A request as somebody asks about it; `target` normalised, header names in lower case. */
export interface RouteQuestion {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly claims: Readonly<Record<string, unknown>> | null;
}

/** `route` of `why -o json`. */
export interface ExplainedRoute {
  readonly kind: RouteOrigin['kind'];
  readonly namespace: string;
  readonly name: string;
  /** Counts from 0. */
  readonly rule: number;
  readonly ruleName: string | null;
  readonly backends: readonly { readonly service: string; readonly subset: string | null; readonly weight: number }[];
  /** 0 for none. */
  readonly timeoutMs: number;
  readonly retries: {
    readonly attempts: number;
    readonly perTryTimeoutMs: number;
    readonly retryOn: readonly string[];
  } | null;
}

export interface RouteAnswer {
  /** Null where no route is attached. */
  readonly route: ExplainedRoute | null;
  /** Set where the waypoint itself answers. */
  readonly response: { readonly status: number; readonly location: string | null } | null;
  /** Where requests may go; none where the waypoint answers. */
  readonly backends: readonly Backend[];
  readonly reasons: readonly string[];
}

interface Mesh {
  readonly index: MeshIndex;
  readonly routes: ServiceRoutes;
  readonly source: Workload | null;
}

/**
 * Answers for a request to a service at one of its ports. `said` is what discovery has for the service, null for
 * nothing; `source` null: a client that nobody knows.
 */
export function explainRoute(
  index: MeshIndex,
  said: ServiceRoutes | null,
  service: Service,
  port: number,
  source: Workload | null,
  question: RouteQuestion,
): RouteAnswer {
  const key = serviceKey(service);
  const routes = said ?? defaultServiceRoutes(service);
  const mesh: Mesh = { index, routes, source };
  const table = compileRoutes(routes);
  const here = table.port(port);
  const self: Backend = { service: key, port, subset: '', invalid: null };
  if (here === null) return { route: null, response: null, backends: [self], reasons: [] };
  if (here.protocol === 'tcp' || here.protocol === 'tls') {
    const reasons = [`port ${port} speaks ${here.protocol}, which is passed on without a look at requests`];
    return { route: null, response: null, backends: here.tcpBackends.length > 0 ? here.tcpBackends : [self], reasons };
  }
  const authority = question.headers.find(([name]) => name === 'host')?.[1] ?? `${service.hostname}:${port}`;
  const request = {
    method: question.method,
    authority,
    scheme: 'http',
    headers: { get: (name: string) => valuesOf(question, name) },
  };
  const hit = table.match(port, request, question.target, { workload: source }, question.claims);
  if (hit === null)
    return { route: null, response: { status: 404, location: null }, backends: [], reasons: [missReason(here)] };
  const { rule } = hit;
  const isPlain = rule.origin.kind === 'Service' && rule.action.kind === 'forward';
  const answer = answerOf(mesh, hit, { ...request, target: question.target, port });
  const reasons = isPlain ? ['no route is attached: it goes to the service'] : [matchReason(rule), ...detailsOf(rule)];
  return { route: isPlain ? null : explained(mesh, rule), ...answer, reasons: [...reasons, ...answer.reasons] };
}

function valuesOf(question: RouteQuestion, name: string): string | null {
  const values = question.headers.filter(([one]) => one === name).map(([, value]) => value);
  return values.length === 0 ? null : values.join(', ');
}

function answerOf(
  mesh: Mesh,
  hit: RouteHit,
  request: Parameters<typeof locationOf>[1],
): Pick<RouteAnswer, 'response' | 'backends' | 'reasons'> {
  const { action } = hit.rule;
  const own = (status: number, reason: string, location: string | null = null) => ({
    response: { status, location },
    backends: [],
    reasons: [reason],
  });
  switch (action.kind) {
    case 'redirect': {
      const location = locationOf(action.redirect, request, hit.path);
      return own(action.redirect.status, `the waypoint redirects to ${location}`, location);
    }
    case 'direct':
      return own(action.status, `the waypoint answers ${action.status} itself`);
    case 'invalid':
      return own(action.status, `the waypoint answers ${action.status}: ${action.reason}`);
    case 'forward':
      return forwardOf(mesh, action.backends);
  }
}

function forwardOf(
  mesh: Mesh,
  all: readonly WeightedBackend[],
): Pick<RouteAnswer, 'response' | 'backends' | 'reasons'> {
  const weighted = all.filter((one) => one.weight > 0);
  const total = weighted.reduce((sum, one) => sum + one.weight, 0);
  const reasons: string[] = [];
  const usable: WeightedBackend[] = [];
  let status = 0;
  for (const one of weighted) {
    const share = `${Math.round((one.weight / total) * 1000) / 10} % of the requests`;
    const title = titleOf(mesh.index, one);
    if (one.invalid !== null) {
      reasons.push(`${share} get ${one.invalid.status}: ${one.invalid.reason}`);
      status ||= one.invalid.status;
    } else if (endpointsOfBackend(mesh.index, mesh.routes, one, mesh.source).length === 0) {
      reasons.push(`${share} get 503: ${title} has no ready endpoint`);
      status ||= 503;
    } else {
      usable.push(one);
      if (weighted.length > 1 || one.subset !== '') reasons.push(`${share} go to ${title}`);
    }
  }
  const response = usable.length === 0 ? { status: status || 500, location: null } : null;
  return { response, backends: usable, reasons };
}

/** Endpoints of a backend, of its subset alone; `routes` are those that name it. */
export function endpointsOfBackend(
  index: MeshIndex,
  routes: ServiceRoutes,
  backend: Backend,
  source: Workload | null,
): readonly Candidate[] {
  const service = index.serviceByKey(backend.service);
  const labels = subsetLabels(routes, backend);
  if (service === null || labels === null || backend.invalid !== null) return [];
  const wanted = Object.entries(labels);
  return explainableEndpoints(index, service, backend.port, source).filter(({ workload }) =>
    wanted.every(([key, value]) => workload.labels?.[key] === value),
  );
}

/** Null for a subset that nobody has made. */
function subsetLabels(routes: ServiceRoutes, backend: Backend): Readonly<Record<string, string>> | null {
  if (backend.subset === '') return {};
  const destination = [routes.destination, ...routes.otherDestinations].find((one) => one.service === backend.service);
  return destination?.subsets.find((one) => one.name === backend.subset)?.labels ?? null;
}

function explained({ index }: Mesh, rule: RouteRule): ExplainedRoute {
  const { kind, namespace, name, ruleName } = rule.origin;
  const backends = rule.action.kind === 'forward' ? rule.action.backends : [];
  const { attempts, perTryTimeoutMs, retryOn, statuses } = rule.retry;
  return {
    kind,
    namespace,
    name,
    rule: rule.origin.rule,
    ruleName,
    backends: backends.map((one) => ({
      service: serviceTitleOf(index, one),
      subset: one.subset === '' ? null : one.subset,
      weight: one.weight,
    })),
    timeoutMs: rule.timeouts.requestMs,
    retries: attempts === 0 ? null : { attempts, perTryTimeoutMs, retryOn: [...retryOn, ...statuses.map(String)] },
  };
}

function missReason(port: { readonly entries: readonly unknown[] }): string {
  return `no rule matches, and routes are attached: the waypoint answers 404 (it tried ${port.entries.length} matches)`;
}

function matchReason({ origin }: RouteRule): string {
  const name = origin.ruleName === null ? '' : ` (${origin.ruleName})`;
  return `matched by ${origin.kind} ${origin.namespace}/${origin.name}, rule ${origin.rule}${name}`;
}

/** What the author may want to know of a rule beside where it leads. */
function detailsOf(rule: RouteRule): string[] {
  if (rule.action.kind !== 'forward') return [];
  const details: string[] = [];
  const { retry, timeouts, fault, mirrors, rateLimits } = rule;
  if (timeouts.requestMs > 0) details.push(`it is given up after ${timeouts.requestMs} ms, all tries together`);
  if (timeouts.perTryMs > 0) details.push(`each try has ${timeouts.perTryMs} ms`);
  if (retry.attempts > 0) {
    const from = retry.from === 'default' ? ' (the default)' : '';
    details.push(
      `tried again up to ${retry.attempts} times on ${[...retry.retryOn, ...retry.statuses].join(',')}${from}`,
    );
    if (retry.from === 'route' && !retry.nonIdempotent) {
      details.push('a POST or PATCH that has left is not sent twice, unless it carries an idempotency-key');
    }
  }
  if (fault?.delay != null && fault.delay.fraction > 0)
    details.push(`${percent(fault.delay.fraction)} are delayed by ${fault.delay.delayMs} ms on purpose`);
  if (fault?.abort != null && fault.abort.fraction > 0)
    details.push(`${percent(fault.abort.fraction)} are aborted with ${fault.abort.status} on purpose`);
  for (const mirror of mirrors)
    details.push(`${percent(mirror.fraction)} are copied to ${mirror.backend.service.split('/')[1]}`);
  for (const limit of rateLimits)
    details.push(`at most ${limit.requests} per ${limit.perMs} ms, by RateLimitPolicy ${limit.policy}`);
  return details;
}

function percent(fraction: number): string {
  return `${Math.round(fraction * 10_000) / 100} % of the requests`;
}

function titleOf(index: MeshIndex, backend: Backend): string {
  const subset = backend.subset === '' ? '' : `, subset ${backend.subset}`;
  return `${serviceTitleOf(index, backend)} on port ${backend.port}${subset}`;
}

/** `NAME.NAMESPACE`, as everywhere in `why`; the host of one that is not there. */
function serviceTitleOf(index: MeshIndex, backend: Backend): string {
  const service = index.serviceByKey(backend.service);
  return service === null
    ? backend.service.slice(backend.service.indexOf('/') + 1)
    : `${service.name}.${service.namespace}`;
}
