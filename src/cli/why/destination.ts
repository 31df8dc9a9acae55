// `ambientctl why TO`: what is known of a destination for any caller; with what a mesh that runs says now, or what
// manifests cannot tell.
import { MeshError, messageOf } from '../../base/errors.ts';
import { type MeshIndex, serviceKey } from '../../model/mesh-index.ts';
import type { ServiceRoutes } from '../../model/route-types.ts';
import type { Service, Workload } from '../../model/types.ts';
import type { EjectedView } from '../../model/views.ts';
import type { WhyOptions, WhyQuery } from '../../policy/why.ts';
import { identitiesOf, podsOf, type WhyDestination, whyDestination } from '../../policy/why-destination.ts';
import { type NamedEnd, resolveEnd, splitPort } from '../../policy/why-ends.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import { askDeadlineMs } from '../ask-proxies.ts';
import type { OperableMesh } from '../mesh.ts';
import { type RuleSummary, ruleSummaries } from '../route-rows.ts';
import { callersOf, type WhyCaller } from './callers.ts';
import { endpointCauses, refusingCause } from './causes.ts';
import { endpointRows, podRows } from './endpoints.ts';
import { gatherFacts } from './facts.ts';
import { proxyOnPath } from './proxies.ts';
import { offlineUnknown } from './view.ts';
import type { WhyCause, WhyEndpoint, WhyProxy } from './views.ts';

/** `why TO -o json`: a contract. */
export interface DestinationView extends WhyDestination {
  readonly causes: readonly WhyCause[];
  /** What routes do with requests to it, in the order in which they are tried. */
  readonly rules: readonly RuleSummary[];
  readonly endpoints: readonly WhyEndpoint[];
  /** Who was seen calling it, the last one first; null offline. */
  readonly callers: readonly WhyCaller[] | null;
  readonly proxies: readonly WhyProxy[];
  /** What could not be found out, and why. */
  readonly unknown: readonly string[];
}

/** A destination by its name, explained. */
export interface NamedDestination {
  readonly end: Exclude<NamedEnd, { kind: 'outside' }>;
  readonly answer: WhyDestination & Pick<DestinationView, 'rules'>;
  /** Those that its routes lead to, else itself; [] for pods. */
  readonly services: readonly Service[];
}

/** Throws USAGE for a name that cannot be read, NOT_FOUND for one that nothing bears, or that is of no mesh. */
export function namedDestination(index: MeshIndex, query: WhyQuery, options: WhyOptions): NamedDestination {
  const { name, port } = splitPort(query.to);
  const end = resolveEnd(index, name, query.namespace, null);
  if (end.kind === 'outside') {
    const hint = 'it is neither a service nor a pod of the mesh: what goes there is passed through, unjudged';
    throw new MeshError('NOT_FOUND', { what: end.address, hint });
  }
  const answer = whyDestination(index, end, query.port ?? port, query.request ?? null, options);
  if (end.kind === 'workloads') return { end, answer: { ...answer, rules: [] }, services: [] };
  const routes = answer.waypoint === null ? null : (options.routesOf?.(serviceKey(end.service)) ?? null);
  if (routes === null) return { end, answer: { ...answer, rules: [] }, services: [end.service] };
  return { end, answer: { ...answer, rules: ruleSummaries(routes) }, services: behind(index, routes) };
}

/** The services that its routes lead to. */
function behind(index: MeshIndex, { ports }: ServiceRoutes): readonly Service[] {
  const actions = ports.flatMap(({ rules }) => rules.map(({ action }) => action));
  const backends = actions.flatMap((action) => (action.kind === 'forward' ? action.backends : []));
  return [...new Set(backends.map(({ service }) => service))].flatMap((key) => index.serviceByKey(key) ?? []);
}

/** The answer with what manifests alone say. */
export function offlineDestination(index: MeshIndex, named: NamedDestination): DestinationView {
  const { answer } = named;
  const endpoints = endpointsOf(index, named, [], []);
  return { ...answer, causes: lostCauses(answer), endpoints, callers: null, proxies: [], unknown: offlineUnknown };
}

/** The answer with what a mesh that runs says now. Never rejects. */
export async function liveDestination(
  mesh: OperableMesh,
  index: MeshIndex,
  named: NamedDestination,
  asksController: boolean,
): Promise<DestinationView> {
  const { end, answer, services } = named;
  const own = podsOf(index, end);
  const pods = [...new Set([...own, ...services.flatMap((one) => endpointPods(index, one))])];
  const enrolled = pods.filter(({ node, tunnelProtocol }) => node !== '' && tunnelProtocol === 'HBONE');
  const [facts, seen] = await Promise.all([
    gatherFacts(mesh, {
      nodes: [...new Set(enrolled.map(({ node }) => node))],
      waypoint: answer.waypoint,
      flowFields: null,
      asksController,
      namespaces: [...new Set(pods.map(({ namespace }) => namespace))],
      identitiesOf: ({ kind, name }) =>
        kind === 'waypoint' ? null : identitiesOf(enrolled.filter(({ node }) => node === name)),
    }),
    flowsTo(mesh, end, own),
  ]);
  const nowMs = Date.now();
  const states = facts.proxies.flatMap(({ state }) => state ?? []);
  const ejected = states.flatMap((state) => state.ejected ?? []);
  const endpoints = endpointsOf(index, named, facts.pods, ejected);
  const proxies = facts.proxies.map((one) => proxyOnPath(one, facts.status, nowMs));
  const titles = new Set(services.map(({ namespace, name }) => `${namespace}/${name}`));
  const refusing = states.flatMap((state) => state.refusing ?? []).filter(({ service }) => titles.has(service));
  const causes = [
    ...lostCauses(answer),
    ...proxies.flatMap(({ problems }) => problems),
    ...endpointCauses(endpoints, nowMs),
    ...refusing.map((one) => refusingCause(one, nowMs)),
  ];
  const unique = [...new Map(causes.map((cause) => [cause.text, cause])).values()];
  // The controller's own copies of objects have places that say nothing to a person.
  const ports = answer.ports.map((one) => ({ ...one, values: one.values.map((value) => ({ ...value, at: null })) }));
  return {
    ...answer,
    ports,
    causes: unique.sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning')),
    endpoints,
    callers: callersOf(seen.flows, index),
    proxies,
    unknown: [...facts.unknown, ...seen.unknown],
  };
}

function endpointsOf(
  index: MeshIndex,
  { end, services }: NamedDestination,
  pods: Parameters<typeof endpointRows>[2],
  ejected: readonly EjectedView[],
): readonly WhyEndpoint[] {
  return end.kind === 'workloads' ? podRows(end.workloads, pods) : endpointRows(index, services, pods, ejected);
}

function endpointPods(index: MeshIndex, service: Service): readonly Workload[] {
  return index.endpointsOf(serviceKey(service)).map(({ workload }) => workload);
}

/** What no caller gets an answer for. */
function lostCauses({ ports, to }: WhyDestination): WhyCause[] {
  return ports.flatMap(({ port, callers: [mesh] }): WhyCause[] => {
    const lost = (mesh?.reasons ?? []).filter((reason) => /^[\d.]+ % of the requests get [45]\d\d: /.test(reason));
    const fix = 'mend the route, or what it names; ambientctl analyze says where';
    if (lost.length > 0) return lost.map((text) => ({ severity: 'error', text: `port ${port}: ${text}`, fix }));
    if (mesh?.verdict !== 'unreachable') return [];
    const why = mesh.reasons.at(-1) ?? 'nothing is there';
    const text = `nobody reaches port ${port} of ${to.service ?? to.workload}: ${why}`;
    return [{ severity: 'error', text, fix: null }];
  });
}

/** What every proxy remembers of calls to it, by the controller. Never rejects. */
async function flowsTo(
  mesh: OperableMesh,
  end: NamedDestination['end'],
  pods: readonly Workload[],
): Promise<{ readonly flows: readonly FlowView[]; readonly unknown: readonly string[] }> {
  const hostname = end.kind === 'service' ? end.service.hostname : null;
  const queries = [
    ...(hostname === null ? [] : [[['toService', hostname]]]),
    ...(pods.length === 0 ? [] : [pods.map(({ namespace, name }) => ['toPod', `${namespace}/${name}`])]),
  ];
  const lines = new Set<string>();
  const unknown = new Set<string>();
  const signal = AbortSignal.timeout(askDeadlineMs);
  const asked = queries.map(async (query) => {
    try {
      for await (const line of mesh.stream(`/flows?${new URLSearchParams(query)}`, signal)) lines.add(line);
    } catch (error) {
      unknown.add(`who was seen calling it: ${messageOf(error)}`);
    }
  });
  await Promise.all(asked);
  // A pod may be called by other services too; its own proxy does not know by which.
  const flows = [...lines].map((line) => JSON.parse(line) as FlowView);
  const isTo = ({ destination: { service } }: FlowView): boolean =>
    service === null || hostname === null || service === hostname;
  return { flows: flows.filter(isTo), unknown: [...unknown] };
}
