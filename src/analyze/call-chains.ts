// What adds up along a chain of calls: retries of one hop that multiply those of the next, and time-outs that outlast
// the caller's.
import type { Resource, ResourceKind } from '../model/resources.ts';
import type { RouteOrigin, RouteRule, ServiceRoutes } from '../model/route-types.ts';
import type { NamespacedKey } from '../model/types.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';
import { type CallGraph, callGraph } from './call-graph.ts';
import { fieldOfRule, serviceRoutes } from './written-rules.ts';

/** So many tries of one request are no storm yet. */
const triesMax = 6;
/** Under these an answer of failure from further down is tried again. */
const answerConditions = new Set(['5xx', 'gateway-error']);
const grpcConditions = new Set(['unavailable', 'internal', 'cancelled', 'deadline-exceeded', 'resource-exhausted']);

/** What matters of the rules of a service. */
interface Hop {
  readonly service: NamespacedKey;
  /** The rule that tries most often, where somebody wrote how often. */
  readonly retries: { readonly tries: number; readonly origin: RouteOrigin } | null;
  /** The same, of rules that try again after an answer of failure. */
  readonly passedOn: { readonly tries: number; readonly origin: RouteOrigin } | null;
  /** After this nobody waits for an answer any more; null where some rule waits for ever. */
  readonly patience: { readonly ms: number; readonly origin: RouteOrigin } | null;
  readonly rules: readonly RouteRule[];
}

interface Chain {
  readonly tries: number;
  /** From the far end to the service, how often each is tried. */
  readonly hops: readonly { readonly service: NamespacedKey; readonly tries: number; readonly origin: RouteOrigin }[];
  readonly because: string;
}

/** Looks at every service that a waypoint stands before, and whose callers are known. */
export const callChains: Analyzer = (mesh, report) => {
  const hops = new Map(serviceRoutes(mesh).map((routes) => [routes.service, hopOf(routes)]));
  if (![...hops.values()].some(({ rules }) => rules.length > 0)) return;
  const graph = callGraph(mesh);
  const known = new Map<NamespacedKey, Chain>();
  for (const hop of hops.values()) {
    reportRetries(mesh, hop, hops, graph, known, report);
    reportPatience(mesh, hop, hops, graph, report);
  }
};

function hopOf({ service, ports }: ServiceRoutes): Hop {
  const written = ports.flatMap((port) => port.rules.filter(({ origin }) => origin.kind !== 'Service'));
  const rules = written.filter(({ action }) => action.kind === 'forward');
  const most = (among: readonly RouteRule[]): Hop['retries'] => {
    const all = among.flatMap(({ retry, origin }) =>
      retry.from === 'route' ? [{ tries: retry.attempts + 1, origin }] : [],
    );
    return all.sort((a, b) => b.tries - a.tries)[0] ?? null;
  };
  const waits = rules.map((rule) => ({ ms: patienceOf(rule), origin: rule.origin }));
  const isWhole = waits.length > 0 && waits.every(({ ms }) => ms > 0);
  return {
    service,
    retries: most(rules),
    passedOn: most(rules.filter(isPassedOn)),
    patience: isWhole ? waits.reduce((longest, one) => (one.ms > longest.ms ? one : longest)) : null,
    rules,
  };
}

function isPassedOn({ retry, grpc }: RouteRule): boolean {
  if (retry.statuses.some((status) => status >= 500)) return true;
  return retry.retryOn.some((word) => answerConditions.has(word) || (grpc && grpcConditions.has(word)));
}

/** 0 for ever. */
function patienceOf({ timeouts: { requestMs, perTryMs } }: RouteRule): number {
  return requestMs > 0 && perTryMs > 0 ? Math.min(requestMs, perTryMs) : Math.max(requestMs, perTryMs);
}

function reportRetries(
  mesh: AnalyzedMesh,
  hop: Hop,
  hops: ReadonlyMap<NamespacedKey, Hop>,
  graph: CallGraph,
  known: Map<NamespacedKey, Chain>,
  report: Report,
): void {
  const { retries } = hop;
  if (retries === null || retries.tries < 2) return;
  const above = worstAbove(hop.service, hops, graph, known);
  const tries = above.tries * retries.tries;
  if (above.hops.length === 0 || tries <= triesMax) return;
  const parts = above.hops.map((one) => `${nameOf(one.service)} is tried ${one.tries} times (${titleOf(one.origin)})`);
  const message =
    `one request may be tried ${tries} times at ${nameOf(hop.service)}: ${parts.join(', each time ')}, ` +
    `each time ${nameOf(hop.service)} ${retries.tries} times; it is called from there ${above.because}`;
  const fix =
    'let one hop retry: attempts: 0 on the others; or have the application pass on x-envoy-attempt-count, ' +
    'by which a hop sees that another has tried again already';
  const resource = resourceOf(mesh, retries.origin);
  if (resource !== undefined)
    report(resource, 'AMB1020', fieldOfRule(retries.origin, 'retries', 'retry'), message, fix);
}

/** The callers that try most often, all the way up; each service is looked at once, also where they go in circles. */
function worstAbove(
  service: NamespacedKey,
  hops: ReadonlyMap<NamespacedKey, Hop>,
  graph: CallGraph,
  known: Map<NamespacedKey, Chain>,
): Chain {
  const before = known.get(service);
  if (before !== undefined) return before;
  let worst: Chain = { tries: 1, hops: [], because: '' };
  known.set(service, worst);
  for (const caller of graph.get(service) ?? []) {
    const passedOn = hops.get(caller.service)?.passedOn ?? null;
    const own = passedOn?.tries ?? 1;
    const above = worstAbove(caller.service, hops, graph, known);
    if (above.tries * own <= worst.tries) continue;
    const step = passedOn === null || own < 2 ? [] : [{ service: caller.service, ...passedOn }];
    worst = { tries: above.tries * own, hops: [...above.hops, ...step], because: caller.because };
  }
  known.set(service, worst);
  return worst;
}

function reportPatience(
  mesh: AnalyzedMesh,
  hop: Hop,
  hops: ReadonlyMap<NamespacedKey, Hop>,
  graph: CallGraph,
  report: Report,
): void {
  const callers = (graph.get(hop.service) ?? []).flatMap(({ service, because }) => {
    const patience = hops.get(service)?.patience ?? null;
    return patience === null ? [] : [{ service, because, ...patience }];
  });
  const shortest = callers.sort((a, b) => a.ms - b.ms)[0];
  if (shortest === undefined) return;
  const told = new Set<string>();
  for (const { origin, timeouts } of hop.rules) {
    const key = `${titleOf(origin)} ${origin.rule}`;
    if (timeouts.requestMs <= shortest.ms || told.has(key)) continue;
    told.add(key);
    const caller = `${nameOf(shortest.service)}, which calls it ${shortest.because},`;
    const limit = `${timeText(shortest.ms)} (${titleOf(shortest.origin)})`;
    const message =
      `waits ${timeText(timeouts.requestMs)} for ${nameOf(hop.service)}, and whoever calls ${caller} ` +
      `waits ${limit}: the rest is work for nobody`;
    const fix = `make it shorter than ${timeText(shortest.ms)}, or the other one longer`;
    const resource = resourceOf(mesh, origin);
    if (resource !== undefined)
      report(resource, 'AMB1019', fieldOfRule(origin, 'timeout', 'timeouts', 'request'), message, fix);
  }
}

/** `cart.shop` of `shop/cart.shop.svc.cluster.local`. */
function nameOf(service: NamespacedKey): string {
  return service
    .slice(service.indexOf('/') + 1)
    .split('.')
    .slice(0, 2)
    .join('.');
}

function resourceOf(mesh: AnalyzedMesh, { kind, namespace, name }: RouteOrigin): Resource | undefined {
  return mesh.resource(kind as ResourceKind, namespace, name);
}

function titleOf({ kind, namespace, name }: RouteOrigin): string {
  return `${kind} ${namespace}/${name}`;
}

/** `1.5s`, `250ms`. */
export function timeText(ms: number): string {
  return ms % 100 === 0 && ms >= 1000 ? `${ms / 1000}s` : `${ms}ms`;
}
