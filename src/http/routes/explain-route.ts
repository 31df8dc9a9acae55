// The route half of `ambientctl why`: what a waypoint does with a request, by the very table that it matches with.
import { slipOf } from '../../base/nearest-name.ts';
import { type Candidate, explainableEndpoints } from '../../model/balance.ts';
import { nearestObject } from '../../model/issues.ts';
import type { MeshIndex } from '../../model/mesh-index.ts';
import { serviceKey } from '../../model/mesh-index.ts';
import type { Backend, Redirect, RouteRule, ServiceRoutes, WeightedBackend } from '../../model/route-types.ts';
import { defaultServiceRoutes, wholeBackend } from '../../model/routes/route-defaults.ts';
import type { Service, Workload } from '../../model/types.ts';
import { serviceTitle } from '../../policy/why-ends.ts';
import type { RouteExplainer, RouteOutcome, WhyRoute } from '../../policy/why-route.ts';
import type { WhyRequest } from '../../policy/why-waypoint.ts';
import { locationOf } from '../exchange/rewrite.ts';
import { valuesOf } from './explain-values.ts';
import { compileRoutes, type RouteHit } from './route-table.ts';

interface Mesh {
  readonly index: MeshIndex;
  readonly routes: ServiceRoutes;
  readonly source: Workload | null;
}

/** What routes do with requests, by the mesh that `index` holds. */
export function routeExplainer(index: MeshIndex): RouteExplainer {
  return (service, port, source, request, routes) => explain(index, routes, service, port, source, request);
}

function explain(
  index: MeshIndex,
  said: ServiceRoutes | null,
  service: Service,
  port: number,
  source: Workload | null,
  asked: WhyRequest,
): RouteOutcome {
  const routes = said ?? defaultServiceRoutes(service);
  const mesh: Mesh = { index, routes, source };
  const table = compileRoutes(routes);
  const here = table.port(port);
  if (here === null) return passedOn(mesh, service, port, [], 'the service has no such port');
  if (here.protocol === 'tcp' || here.protocol === 'tls') {
    const why = `port ${port} speaks ${here.protocol}, which is passed on without a look at requests`;
    return passedOn(mesh, service, port, here.tcpBackends, why);
  }
  const authority = asked.headers.find(([name]) => name === 'host')?.[1] ?? `${service.hostname}:${port}`;
  const headers = { get: (name: string) => headerOf(asked, name) };
  const request = { method: asked.method, authority, scheme: 'http', headers };
  const hit = table.match(port, request, asked.path, { workload: source }, asked.claims);
  if (hit === null) return { ...ownAnswer(404, missReason(here)), route: null, values: [] };
  const { rule } = hit;
  const [backend = null] = rule.action.kind === 'forward' ? rule.action.backends.filter((one) => one.weight > 0) : [];
  const values = rule.action.kind === 'forward' ? valuesOf(rule, backend, routes, asked) : [];
  const outcome = outcomeOf(mesh, hit, { ...request, target: asked.path, port });
  if (rule.origin.kind === 'Service') {
    const plain = rule.action.kind === 'forward' ? ['no route is attached: it goes to the service'] : [];
    return { ...outcome, route: null, values, reasons: [...plain, ...outcome.reasons] };
  }
  const reasons = [matchReason(rule), ...detailsOf(rule), ...outcome.reasons];
  return { ...outcome, route: explained(mesh, rule), values, reasons };
}

type Answer = Omit<RouteOutcome, 'route' | 'values'>;

function passedOn(
  mesh: Mesh,
  service: Service,
  port: number,
  backends: readonly WeightedBackend[],
  reason: string,
): RouteOutcome {
  const to = backends.length > 0 ? backends : [wholeBackend(serviceKey(service), port)];
  const { candidates, reasons, lostPercent } = forwardOf(mesh, to, null);
  return {
    route: null,
    response: null,
    isMeant: true,
    lostPercent,
    candidates,
    reasons: [reason, ...reasons],
    values: [],
  };
}

function ownAnswer(status: number, reason: string, location: string | null = null, isMeant = false): Answer {
  return { response: { status, location }, isMeant, lostPercent: isMeant ? 0 : 100, candidates: [], reasons: [reason] };
}

function headerOf(asked: WhyRequest, name: string): string | null {
  const values = asked.headers.filter(([one]) => one === name).map(([, value]) => value);
  return values.length === 0 ? null : values.join(', ');
}

function outcomeOf(mesh: Mesh, hit: RouteHit, request: Parameters<typeof locationOf>[1]): Answer {
  const { action } = hit.rule;
  switch (action.kind) {
    case 'redirect': {
      const location = locationOf(action.redirect, request, hit.path);
      return ownAnswer(action.redirect.status, `the waypoint redirects to ${location}`, location, true);
    }
    case 'direct':
      return ownAnswer(action.status, `the waypoint answers ${action.status} itself`, null, true);
    case 'invalid':
      return ownAnswer(action.status, `the waypoint answers ${action.status}: ${action.reason}`);
    case 'forward':
      return forwardOf(mesh, action.backends, (redirect) => locationOf(redirect, request, hit.path));
  }
}

/** `locate` says where a redirect of a backend points; null where no backend has any. */
function forwardOf(
  mesh: Mesh,
  all: readonly WeightedBackend[],
  locate: ((redirect: Redirect) => string) | null,
): Answer {
  const weighted = all.filter((one) => one.weight > 0);
  const total = weighted.reduce((sum, one) => sum + one.weight, 0);
  const reasons: string[] = [];
  const candidates: Candidate[] = [];
  let lost = 0;
  let status = 0;
  let location: string | null = null;
  for (const one of weighted) {
    const share = `${percentOf(one.weight / total)} % of the requests`;
    const title = titleOf(mesh.index, one);
    const redirect = one.invalid === null ? (one.filters?.redirect ?? null) : null;
    if (redirect !== null && locate !== null) {
      location ??= locate(redirect);
      status = redirect.status;
      reasons.push(`${share} are redirected to ${location}`);
      continue;
    }
    const found = endpointsOfBackend(mesh, one);
    candidates.push(...found);
    if (one.invalid !== null || found.length === 0) lost += one.weight;
    if (one.invalid !== null) {
      reasons.push(`${share} get ${one.invalid.status}: ${one.invalid.reason}${meantText(mesh, one, weighted)}`);
      status ||= one.invalid.status;
    } else if (found.length === 0) {
      reasons.push(`${share} get 503: ${title} has no ready endpoint`);
      status ||= 503;
    } else if (weighted.length > 1 || one.subset !== '') reasons.push(`${share} go to ${title}`);
  }
  const response = candidates.length === 0 ? { status: status || 500, location } : null;
  const lostPercent = total === 0 ? 0 : percentOf(lost / total);
  return { response, isMeant: response !== null && location !== null, lostPercent, candidates, reasons };
}

/**
 * Which service may be meant by a backend that is not there: none that the rule leads to already, and the one that was
 * called by a slip alone (`reviews` for `review`, not for `reviews-v2`).
 */
function meantText({ index, routes }: Mesh, { service }: Backend, all: readonly WeightedBackend[]): string {
  if (index.serviceByKey(service) !== null) return '';
  const known = new Set([routes.service, ...all.map((one) => one.service)]);
  const ids = [...index.services()].flatMap((one) =>
    known.has(serviceKey(one)) ? [] : [`${one.namespace}/${one.name}`],
  );
  const [namespace = '', host = ''] = service.split('/');
  const [name = ''] = host.split('.');
  const called = index.serviceByKey(routes.service);
  const slip = called?.namespace === namespace ? slipOf(name, [called.name]) : null;
  const near = slip ?? nearestObject(namespace, name, ids);
  return near === null ? '' : `; did you mean ${near}?`;
}

/** Endpoints of a backend, of its subset alone. */
function endpointsOfBackend({ index, routes, source }: Mesh, backend: Backend): readonly Candidate[] {
  const service = index.serviceByKey(backend.service);
  const labels = subsetLabels(routes, backend);
  if (service === null || labels === null || backend.invalid !== null) return [];
  if (!service.ports.some(({ servicePort }) => servicePort === backend.port)) return [];
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

function explained({ index }: Mesh, rule: RouteRule): WhyRoute {
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
    retries:
      attempts === 0 || rule.action.kind !== 'forward'
        ? null
        : { attempts, perTryTimeoutMs, retryOn: [...retryOn, ...statuses.map(String)] },
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
  if (retry.attempts > 0 && retry.from === 'route') {
    details.push(`tried again up to ${retry.attempts} times on ${[...retry.retryOn, ...retry.statuses].join(',')}`);
    if (!retry.nonIdempotent) {
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

function percentOf(share: number): number {
  return Math.round(share * 1000) / 10;
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
  return service === null ? backend.service.slice(backend.service.indexOf('/') + 1) : serviceTitle(service);
}
