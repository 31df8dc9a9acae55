// `ambientctl why`: the data path's own answer, with its reasons. Pure: the same look-ups, the same choice of endpoints
// and the same evaluation as a connection meets, or a request at its waypoint.
import { isMeshError, MeshError } from '../base/errors.ts';
import { familyOf } from '../base/ip.ts';
import { addressOf, type Candidate, explainableEndpoints } from '../model/balance.ts';
import { identityOf, type MeshIndex, serviceKey } from '../model/mesh-index.ts';
import type { ServiceRoutes } from '../model/route-types.ts';
import type { NamespacedKey, Policy, Service, Workload } from '../model/types.ts';
import { type Decision, describe, evaluate, type PolicyReference } from './evaluate.ts';
import { type NamedEnd, resolveEnd, serviceTitle, splitPort } from './why-ends.ts';
import type { RouteExplainer, RouteOutcome, WhyResponse, WhyRoute, WhyValue } from './why-route.ts';
import {
  assumedRequest,
  judgeAtWaypoint,
  targetOfPod,
  targetOfService,
  type WaypointAnswer,
  type WhyRequest,
  waypointBetween,
} from './why-waypoint.ts';

export interface WhyQuery {
  /** `NS/POD`, `deploy/NAME`, `svc/NAME.NS`, an IP; `to` may end in `:PORT`. */
  readonly from: string;
  readonly to: string;
  /** Overrides a port in `to`; null when there is none. */
  readonly port: number | null;
  /** Where `deploy/NAME` is looked for. */
  readonly namespace: string;
  /** For who goes through a waypoint; absent or null for a plain `GET /`. */
  readonly request?: WhyRequest | null;
}

export interface WhyOptions {
  readonly sameNode: 'direct' | 'tunnel';
  /** The PeerAuthentication that makes a workload STRICT, where it is known. */
  readonly strictBy?: (workload: Workload) => { readonly namespace: string; readonly name: string } | null;
  /** What waypoints do for a service; absent where nobody knows. */
  readonly routesOf?: (service: NamespacedKey) => ServiceRoutes | null;
  /** What routes do with a request at a waypoint; absent: it goes to the service. */
  readonly explainRoute?: RouteExplainer;
}

export interface WhyEnd {
  readonly workload: string | null;
  readonly namespace: string | null;
  readonly identity: string | null;
  readonly enrolled: boolean;
}

export interface WhyAnswer {
  readonly verdict: 'allow' | 'deny' | 'unreachable';
  /** Null where no policy decided. */
  readonly layer: 'L4' | 'L7' | null;
  readonly decidedBy: PolicyReference | null;
  readonly transport: 'mtls' | 'same-node' | 'plaintext' | null;
  readonly hops: readonly { readonly kind: string; readonly name: string }[];
  readonly reasons: readonly string[];
}

/** The object of `why -o json`. */
export interface WhyResult extends WhyAnswer {
  readonly from: WhyEnd & { readonly node: string | null };
  /** `port` is the one that was asked for, `targetPort` the pod's, which policy sees. */
  readonly to: WhyEnd & {
    readonly service: string | null;
    readonly port: number;
    readonly targetPort: number | null;
    readonly node: string | null;
  };
  readonly route: WhyRoute | null;
  readonly response: WhyResponse | null;
  /** Values that hold for the request, and where each comes from; absent where no waypoint looks at requests. */
  readonly values?: readonly WhyValue[];
  /** `FILE:LINE:COLUMN` of what decided; absent where nobody knows. */
  readonly decidedAt?: string;
  /** Only where endpoints give different answers. */
  readonly perEndpoint?: readonly (WhyAnswer & {
    readonly workload: string;
    readonly namespace: string;
    readonly node: string;
  })[];
}

/** A source: a workload, or an address that is none. */
export type Source = { readonly workload: Workload } | { readonly workload: null; readonly address: string };

/** What a source asks for: a service at one of its ports, a pod by its address, or an address outside the mesh. */
export interface Target {
  readonly title: string;
  readonly service: Service | null;
  readonly port: number;
  readonly candidates: readonly Candidate[];
  /** Why there is no candidate. */
  readonly unreachable: string | null;
  readonly outside: string | null;
}

/** Stands for an address that manifests do not know. */
const noAddress = '0.0.0.0';

/**
 * Explains what happens to a connection.
 * @throws MeshError USAGE for an end that cannot be read or needs a port, NOT_FOUND (with the nearest name) for one
 * that is not there.
 */
export function why(index: MeshIndex, query: WhyQuery, options: WhyOptions): WhyResult {
  const fromEnd = resolveEnd(index, splitPort(query.from).name, query.namespace, null);
  const source = sourceOf(index, fromEnd);
  const asked = targetOf(index, query, source);
  const explained = explainCall(index, source, asked, query.request ?? null, options);
  const { target, waypoint, routed, answers, primary } = explained;
  const isEnd = waypoint?.allowed === false || routed?.response != null;
  const chosen = isEnd ? null : (target.candidates[answers.indexOf(primary)] ?? null);
  const fromTitle = fromEnd.kind === 'service' ? (source.workload?.workloadName ?? '') : fromEnd.title;
  const result = {
    from: { ...endOf(source.workload, fromTitle), node: source.workload?.node || null },
    to: {
      service: target.service === null ? null : serviceTitle(target.service),
      ...endOf(chosen?.workload ?? null, titleOf(target)),
      namespace: chosen?.workload.namespace ?? target.service?.namespace ?? null,
      port: target.port,
      targetPort: chosen?.targetPort ?? null,
      node: chosen?.workload.node || null,
    },
    ...primary,
    route: routed?.route ?? null,
    ...(routed === null || routed.values.length === 0 ? {} : { values: routed.values }),
    response: waypoint?.allowed === false ? { status: waypoint.status, location: null } : (routed?.response ?? null),
  };
  const isOneAnswer = answers.every((answer) => keyOf(answer) === keyOf(primary));
  if (isOneAnswer) return result;
  const perEndpoint = answers.map((answer, at) => {
    const { name, namespace, node } = target.candidates[at]!.workload;
    return { workload: name, namespace, node, ...answer };
  });
  return { ...result, reasons: ['the endpoints give different answers', ...primary.reasons], perEndpoint };
}

/** What becomes of a call whose ends are known. */
export interface CallExplanation {
  /** With the endpoints that routes leave. */
  readonly target: Target;
  /** Null when it goes without one. */
  readonly waypoint: WaypointAnswer | null;
  /** Null where nobody routes. */
  readonly routed: RouteOutcome | null;
  /** One for each candidate of the target; a single one where the waypoint refuses, or answers itself. */
  readonly answers: readonly WhyAnswer[];
  /** The one that counts: a refusal if there is any. */
  readonly primary: WhyAnswer;
}

/** Explains a connection, or a request at its waypoint, between ends that are at hand. `request` null: a `GET /`. */
export function explainCall(
  index: MeshIndex,
  source: Source,
  asked: Target,
  request: WhyRequest | null,
  options: WhyOptions,
): CallExplanation {
  const waypoint = throughWaypoint(index, request, source, asked, options);
  const routed = waypoint?.allowed === true ? routedAt(request, source, asked, options) : null;
  const target = routed === null ? asked : { ...asked, candidates: routed.candidates };
  const answers = answersFor(index, source, target, waypoint, options, routed);
  const primary = answers[0] === undefined ? withoutEndpoint(source, target) : worstOf(answers);
  return { target, waypoint, routed, answers, primary };
}

/** Null when it goes without a waypoint. */
function throughWaypoint(
  index: MeshIndex,
  request: WhyRequest | null,
  source: Source,
  { service, port, candidates }: Target,
  options: WhyOptions,
): WaypointAnswer | null {
  const from = source.workload;
  const pod = candidates[0]?.workload ?? null;
  const dialled = service ?? pod;
  const waypoint = waypointBetween(index, from, dialled);
  const guard = service ?? dialled?.waypoint?.hostname;
  if (waypoint === null || from === null || dialled === null || guard === undefined) return null;
  const routes = options.routesOf?.(serviceKey(guard)) ?? null;
  const target = service === null ? targetOfPod(pod!, port) : targetOfService(service, port);
  return judgeAtWaypoint(waypoint, from, identityOf(from), target, routes, request);
}

/** What routes do with the request; null where nobody can say. */
function routedAt(
  request: WhyRequest | null,
  source: Source,
  { service, port }: Target,
  options: WhyOptions,
): RouteOutcome | null {
  if (service === null || options.explainRoute === undefined) return null;
  const routes = options.routesOf?.(serviceKey(service)) ?? null;
  return options.explainRoute(service, port, source.workload, request ?? assumedRequest, routes);
}

/** One for each endpoint; a single one where the waypoint refuses, or answers itself. */
function answersFor(
  index: MeshIndex,
  source: Source,
  target: Target,
  waypoint: WaypointAnswer | null,
  options: WhyOptions,
  routed: RouteOutcome | null,
): WhyAnswer[] {
  const node = source.workload?.node ?? '';
  const hops = node === '' ? [] : [{ kind: 'node', name: node }];
  if (waypoint === null) {
    return target.candidates.map((candidate) => answerFor(index, source, target, candidate, options));
  }
  const { name, decidedBy, reasons } = waypoint;
  const hopsTo = [...hops, { kind: 'waypoint', name }];
  if (!waypoint.allowed) {
    return [{ verdict: 'deny', layer: 'L7', decidedBy, transport: 'mtls', hops: hopsTo, reasons }];
  }
  const along = [`it goes through the waypoint ${name}`, ...reasons, ...(routed?.reasons ?? [])];
  if (routed?.response != null) {
    const layer = decidedBy === null ? null : ('L7' as const);
    const verdict = routed.isMeant ? ('allow' as const) : ('unreachable' as const);
    return [{ verdict, layer, decidedBy, transport: 'mtls', hops: hopsTo, reasons: along }];
  }
  return target.candidates.map((candidate) => {
    const answer = answerFor(index, { workload: waypoint.workload }, target, candidate, options);
    const seen = `${candidate.workload.name} sees the waypoint as its source, ${identityOf(waypoint.workload)}`;
    const isHere = answer.verdict === 'deny' || decidedBy === null;
    return {
      ...answer,
      ...(isHere ? {} : { layer: 'L7' as const, decidedBy }),
      hops: [...hopsTo, ...answer.hops],
      // How the waypoint and the endpoint are placed is nobody's question.
      reasons: [...along, seen, ...answer.reasons.slice(1)],
    };
  });
}

function sourceOf(index: MeshIndex, end: NamedEnd): Source {
  if (end.kind === 'outside') return { workload: null, address: end.address };
  if (end.kind === 'workloads') return { workload: end.workloads[0]! };
  const endpoint = index.endpointsOf(serviceKey(end.service))[0];
  if (endpoint !== undefined) return { workload: endpoint.workload };
  throw new MeshError('NOT_FOUND', {
    what: `a workload behind service ${end.title}`,
    hint: 'name a pod as the source',
  });
}

function targetOf(index: MeshIndex, query: WhyQuery, source: Source): Target {
  const text = splitPort(query.to);
  const end = resolveEnd(index, text.name, query.namespace, source.workload?.namespace ?? null);
  const asked = query.port ?? text.port;
  const base = { title: end.title, service: null, unreachable: null, outside: null };
  if (end.kind === 'outside')
    return { ...base, port: portOf(asked, end.title, []), candidates: [], outside: end.address };
  if (end.kind === 'service') {
    const ports = end.service.ports.map((one) => one.servicePort);
    return serviceTarget(index, end.service, portOf(asked, `service ${end.title}`, ports), source);
  }
  const known = end.workloads.flatMap((one) =>
    Object.values(one.services)
      .flat()
      .map((each) => each.targetPort),
  );
  const port = portOf(asked, end.title, known);
  return { ...base, port, candidates: end.workloads.map((workload) => ({ workload, targetPort: port })) };
}

/** A service at a port, with the endpoints that a source may reach, or why there are none. */
export function serviceTarget(index: MeshIndex, service: Service, port: number, source: Source): Target {
  const base = { title: serviceTitle(service), service, port, outside: null };
  try {
    const candidates = explainableEndpoints(index, service, port, source.workload);
    const unreachable = candidates.length > 0 ? null : whyNoEndpoint(index, service, port, source);
    return { ...base, candidates, unreachable };
  } catch (error) {
    if (!isMeshError(error)) throw error;
    const ports = service.ports.map((one) => one.servicePort).join(', ') || 'none';
    return { ...base, candidates: [], unreachable: `${error.message}; its ports: ${ports}` };
  }
}

function whyNoEndpoint(index: MeshIndex, service: Service, port: number, source: Source): string {
  const endpoints = index.endpointsOf(serviceKey(service));
  const title = serviceTitle(service);
  if (endpoints.length === 0) {
    const isNamed = service.ports.some((one) => one.servicePort === port && one.targetPort === 0);
    const rest = isNamed ? ' and has a port of the name that it targets' : '';
    return `service ${title} has no endpoint: no pod matches its selector${rest}`;
  }
  const ready = endpoints.filter((one) => one.workload.healthy || service.loadBalancing?.healthPolicy === 'allowAll');
  if (ready.length === 0)
    return `service ${title} has no ready endpoint: none of its ${endpoints.length} pods is ready`;
  if (service.loadBalancing?.mode === 'strict') {
    const node = source.workload?.node || 'the source';
    return `service ${title} keeps traffic on the node (internalTrafficPolicy: Local), and has no ready endpoint on ${node}`;
  }
  return `service ${title} has no endpoint with the named target port of port ${port}`;
}

function portOf(asked: number | null, title: string, known: readonly number[]): number {
  if (asked !== null) return asked;
  const ports = [...new Set(known)].sort((a, b) => a - b);
  if (ports.length === 1) return ports[0]!;
  const choice = ports.length === 0 ? '' : `, one of ${ports.join(', ')}`;
  throw new MeshError('USAGE', { reason: `say which port of ${title} is meant: TO:PORT${choice}` });
}

function answerFor(
  index: MeshIndex,
  source: Source,
  target: Target,
  candidate: Candidate,
  options: WhyOptions,
): WhyAnswer {
  const to = candidate.workload;
  const from = source.workload;
  const isFromEnrolled = from?.tunnelProtocol === 'HBONE';
  const isToEnrolled = to.tunnelProtocol === 'HBONE';
  const transport = transportOf(from, to, options.sameNode);
  const nodes = [isFromEnrolled ? from.node : '', isToEnrolled ? to.node : ''].filter((node) => node !== '');
  const hops = [...(transport === 'same-node' ? new Set(nodes) : nodes)].map((name) => ({ kind: 'node', name }));
  const past = target.service?.waypoint?.hostname;
  const aside = isFromEnrolled || past === undefined ? '' : `, past the waypoint ${past.hostname}`;
  const carried = carriedReason(from, to, transport) + aside;
  if (!isToEnrolled) {
    const reasons = [carried, `no policy is enforced for ${to.namespace}/${to.name}, which is outside the mesh`];
    return { verdict: 'allow', layer: null, decidedBy: null, transport, hops, reasons };
  }
  const effective = index.policiesFor(to);
  const decision = evaluate(effective, {
    sourceIdentity: isFromEnrolled ? identityOf(from) : null,
    sourceIp: sourceIpOf(source, to),
    destinationIp: to.addresses.length === 0 ? noAddress : addressOf(to, target.service, to.addresses[0]!),
    destinationPort: candidate.targetPort,
  });
  const decidedBy = namedBy(decision, to, options);
  const isByDefault = decision.allowed && decision.decidedBy === null;
  const reasons = [
    carried,
    isByDefault ? `no policy of ${to.namespace}/${to.name} forbids it` : reasonOf(decision, decidedBy),
    ...decision.dryRun.map((hit) => `dry run: ${describe(hit)} would ${hit.action} it`),
    ...addressCaveat(source, to, effective.policies),
  ];
  const layer = decidedBy === null ? null : 'L4';
  return { verdict: decision.allowed ? 'allow' : 'deny', layer, decidedBy, transport, hops, reasons };
}

function transportOf(from: Workload | null, to: Workload, sameNode: WhyOptions['sameNode']): WhyAnswer['transport'] {
  if (from?.tunnelProtocol !== 'HBONE' || to.tunnelProtocol !== 'HBONE') return 'plaintext';
  return sameNode === 'direct' && from.node !== '' && from.node === to.node ? 'same-node' : 'mtls';
}

function carriedReason(from: Workload | null, to: Workload, transport: WhyAnswer['transport']): string {
  if (transport === 'same-node') return `both ends are on ${to.node}: the bytes stay there, their identities are known`;
  if (transport === 'mtls') {
    const caveat = from?.node === '' || to.node === '' ? ' (were they on one node, it would stay there)' : '';
    return `both ends are in the mesh: carried by mutual TLS${caveat}`;
  }
  const isFromOutside = from?.tunnelProtocol !== 'HBONE';
  const isToOutside = to.tunnelProtocol !== 'HBONE';
  const who = isFromOutside && isToOutside ? 'both ends are' : isFromOutside ? 'the source is' : 'the destination is';
  return `${who} outside the mesh: carried in plaintext`;
}

function withoutEndpoint(source: Source, target: Target): WhyAnswer {
  const nothing = { layer: null, decidedBy: null, hops: [] };
  if (target.outside === null) {
    return { ...nothing, verdict: 'unreachable', transport: null, reasons: [target.unreachable ?? 'nothing is there'] };
  }
  const node = source.workload?.tunnelProtocol === 'HBONE' ? source.workload.node : '';
  const hops = node === '' ? [] : [{ kind: 'node', name: node }];
  const reason = `${target.outside} is neither a service nor a pod of the mesh: passed through in plaintext, unjudged`;
  return { ...nothing, verdict: 'allow', transport: 'plaintext', hops, reasons: [reason] };
}

/** A refusal counts for more than an allowance, a tunnel for more than none. */
function worstOf(answers: readonly WhyAnswer[]): WhyAnswer {
  const denied = answers.filter((answer) => answer.verdict === 'deny');
  const among = denied.length > 0 ? denied : answers;
  return among.find((answer) => answer.transport === 'mtls') ?? among[0]!;
}

function keyOf(answer: WhyAnswer): string {
  return JSON.stringify([answer.verdict, answer.decidedBy, answer.transport]);
}

/** All plainly STRICT workloads share one policy; the object that made this one STRICT says more. */
function namedBy(decision: Decision, to: Workload, options: WhyOptions): PolicyReference | null {
  const { decidedBy } = decision;
  if (decidedBy?.kind !== 'PeerAuthentication') return decidedBy;
  const written = options.strictBy?.(to);
  return written == null ? decidedBy : { ...decidedBy, ...written };
}

function reasonOf(decision: Decision, decidedBy: PolicyReference | null): string {
  if (decision.decidedBy === null || decidedBy === null) return decision.reason;
  return decision.reason.replace(describe(decision.decidedBy), describe(decidedBy));
}

function sourceIpOf(source: Source, to: Workload): string {
  if (source.workload === null) return source.address;
  const { addresses } = source.workload;
  const wanted = to.addresses[0];
  const family = wanted === undefined ? 4 : familyOf(wanted);
  return addresses.find((address) => familyOf(address) === family) ?? addresses[0] ?? noAddress;
}

function addressCaveat(source: Source, to: Workload, policies: readonly Policy[]): string[] {
  const isSourceUnknown = source.workload?.addresses.length === 0;
  if (!isSourceUnknown && to.addresses.length > 0) return [];
  const matches = policies
    .flatMap((policy) => policy.rules)
    .flatMap((rule) => rule.clauses.flatMap((one) => one.matches));
  const asksSource = matches.some((match) => match.sourceIps !== undefined || match.notSourceIps !== undefined);
  const asksTarget = matches.some(
    (match) => match.destinationIps !== undefined || match.notDestinationIps !== undefined,
  );
  if (!(asksSource && isSourceUnknown) && !(asksTarget && to.addresses.length === 0)) return [];
  return ['a policy asks for addresses, which manifests do not have: judged as if none of its networks held them'];
}

function endOf(workload: Workload | null, title: string): WhyEnd {
  if (workload === null) return { workload: null, namespace: null, identity: null, enrolled: false };
  const enrolled = workload.tunnelProtocol === 'HBONE';
  // Outside the mesh a service account proves nothing to anyone.
  return { workload: title, namespace: workload.namespace, identity: enrolled ? identityOf(workload) : null, enrolled };
}

/** A pod that was asked for by name keeps it; the pods behind a service go by what made them, if that is one thing. */
function titleOf(target: Target): string {
  if (target.service === null) return target.title;
  const names = new Set(target.candidates.map((one) => one.workload.workloadName));
  return names.size === 1 ? [...names][0]! : target.candidates.map((one) => one.workload.name).join(', ');
}
