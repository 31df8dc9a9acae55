// What becomes of a call in a mesh: the answer of `why`, which is the data path's own code, for ends that records name.
import { routeExplainer } from '../http/routes/explain-route.ts';
import { serviceKey } from '../model/mesh-index.ts';
import type { ServiceRoutes } from '../model/route-types.ts';
import { defaultAttempts } from '../model/routes/route-defaults.ts';
import type { NamespacedKey, Workload } from '../model/types.ts';
import { describe, type PolicyReference } from '../policy/evaluate.ts';
import { type CallExplanation, explainCall, type Source, serviceTarget, type Target } from '../policy/why.ts';
import type { WhyRoute } from '../policy/why-route.ts';
import { assumedRequest, type WhyRequest, waypointBetween } from '../policy/why-waypoint.ts';
import { type Call, ipOf, portOf } from './calls.ts';
import type { SimulatedMesh } from './simulated-mesh.ts';
import { type Assumption, settled, type Unknown, unknownsOf } from './unknowns.ts';

/** Part of a contract: `before` and `after` of `simulate -o json`. */
export interface Outcome {
  readonly verdict: 'allow' | 'deny' | 'unreachable';
  readonly decidedBy: PolicyReference | null;
  readonly transport: 'mtls' | 'same-node' | 'plaintext' | null;
  /** `NAMESPACE/NAME`; null without one. */
  readonly waypoint: string | null;
  /** `KIND/NAMESPACE/NAME#RULE`; null where none is attached. */
  readonly route: string | null;
  /** Where requests go, each with its share in percent. */
  readonly backends: readonly { readonly service: string; readonly subset: string | null; readonly percent: number }[];
  /** What the mesh itself answers; null where the application does. */
  readonly status: number | null;
  /** Of the requests that are let through, so many get an error: their backend is not there, or has nobody. */
  readonly lostPercent: number;
  /** 0 for none. */
  readonly timeoutMs: number;
  readonly retries: number;
  readonly reason: string;
}

export interface JudgedOutcome extends Outcome {
  /** Uids of the workloads that it may go to. */
  readonly endpoints: readonly string[];
}

/** The ends of a call in one mesh, found once. */
export interface FoundCall {
  readonly mesh: SimulatedMesh;
  readonly call: Call;
  readonly source: Source;
  readonly target: Target;
  /** What its waypoint does; null without one. */
  readonly routes: ServiceRoutes | null;
  readonly guard: NamespacedKey | null;
  /** Conditions that the record does not settle. */
  readonly unknowns: readonly Unknown[];
}

/** Finds the ends; null when one of them is not in the mesh. */
export function findCall(mesh: SimulatedMesh, call: Call): FoundCall | null {
  const workload = mesh.workloadOf(call.source);
  const isNamed = call.source.workload !== null;
  if (workload === null && isNamed) return null;
  const source = workload === null ? { workload, address: ipOf(call.source.address) } : { workload };
  const target = targetOf(mesh, call, source);
  if (target === null) return null;
  const dialled = target.service ?? target.candidates[0]?.workload ?? null;
  const isGuarded = waypointBetween(mesh.index, workload, dialled) !== null;
  const key = target.service ?? dialled?.waypoint?.hostname ?? null;
  const guard = isGuarded && key !== null ? serviceKey(key) : null;
  const routes = guard === null ? null : mesh.index.routesOf(guard);
  const unknowns = isTcp(target) ? [] : unknownsOf(routes, target.port, call.request);
  return { mesh, call, source, target, routes, guard, unknowns };
}

/** Judges a call, with its unknowns as is assumed. */
export function judge(found: FoundCall, assumption: Assumption): JudgedOutcome {
  const { mesh, call, source, routes, guard } = found;
  const { index, compiler } = mesh;
  const said =
    routes === null || found.unknowns.length === 0
      ? routes
      : settled(routes, found.target.port, call.request !== null, assumption);
  const explained = explainCall(index, source, found.target, requestOf(call), {
    sameNode: 'direct',
    explainRoute: routeExplainer(index),
    routesOf: (service) => (service === guard ? said : index.routesOf(service)),
    strictBy: (workload) => compiler.peerAuthenticationOf(workload),
  });
  return outcomeOf(explained, call);
}

function outcomeOf({ target, waypoint, routed, answers, primary }: CallExplanation, call: Call): JudgedOutcome {
  // Of a call that was seen to end at one pod, that pod's answer counts, as long as it may still go there.
  const own = target.candidates.findIndex((one) => one.workload.name === call.destination.workload);
  const answer = (answers.length === target.candidates.length ? answers[own] : undefined) ?? primary;
  const isRefusedThere = waypoint?.allowed === false;
  const route = routed?.route ?? null;
  return {
    verdict: answer.verdict,
    decidedBy: answer.decidedBy,
    transport: answer.transport,
    waypoint: waypoint?.name ?? null,
    route: route === null ? null : `${route.kind}/${route.namespace}/${route.name}#${route.rule}`,
    backends: backendsOf(target, route?.backends ?? []),
    status: isRefusedThere ? waypoint.status : (routed?.response?.status ?? null),
    lostPercent: answer.verdict === 'allow' ? (routed?.lostPercent ?? 0) : 0,
    timeoutMs: route?.timeoutMs ?? 0,
    retries: waypoint === null ? 0 : route === null ? defaultAttempts : (route.retries?.attempts ?? 0),
    reason: reasonOf(answer),
    endpoints: target.candidates.map(({ workload }) => workload.uid).sort(),
  };
}

const lostWords = /% of the requests get [45]\d\d: /;

/** Who refuses, in words; for what is allowed, what is lost of it, or how it is carried. */
function reasonOf({ verdict, decidedBy, reasons }: CallExplanation['primary']): string {
  if (verdict === 'allow') return reasons.find((reason) => lostWords.test(reason)) ?? reasons[0] ?? '';
  const name = decidedBy === null ? null : describe(decidedBy);
  return (name === null ? undefined : reasons.find((reason) => reason.includes(name))) ?? reasons.at(-1) ?? '';
}

function backendsOf(target: Target, written: WhyRoute['backends']): Outcome['backends'] {
  const weighted = written.filter(({ weight }) => weight > 0);
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return [{ service: target.title, subset: null, percent: 100 }];
  return weighted.map(({ service, subset, weight }) => ({
    service,
    subset,
    percent: Math.round((weight / total) * 1000) / 10,
  }));
}

function requestOf({ request }: Call): WhyRequest | null {
  if (request === null) return null;
  const headers: WhyRequest['headers'] = request.authority === null ? [] : [['host', request.authority]];
  return { ...assumedRequest, method: request.method, path: request.path, headers };
}

function isTcp({ service, port }: Target): boolean {
  const protocol = service?.ports.find((one) => one.servicePort === port)?.appProtocol;
  return protocol === 'tcp' || protocol === 'tls';
}

function targetOf(mesh: SimulatedMesh, call: Call, source: Source): Target | null {
  const { destination, port } = call;
  const namespace = source.workload?.namespace ?? null;
  const service = call.service === null ? null : mesh.index.serviceByHostname(call.service, namespace);
  if (service !== null) return serviceTarget(mesh.index, service, port, source);
  const base = { service: null, port, unreachable: null, outside: null };
  if (call.service !== null) {
    const [name = '', space = ''] = call.service.split('.');
    const title = `${name}.${space}`;
    return { ...base, title, candidates: [], unreachable: `there is no service ${title}` };
  }
  const pod = mesh.workloadOf(destination);
  if (pod !== null) return podTarget(pod, call);
  if (destination.workload !== null) return null;
  const outside = ipOf(destination.address);
  return { ...base, title: outside, candidates: [], outside };
}

function podTarget(workload: Workload, { destination, port }: Call): Target {
  const dialled = portOf(destination.address) || port;
  const candidates = [{ workload, targetPort: dialled }];
  return { title: workload.name, service: null, port: dialled, candidates, unreachable: null, outside: null };
}
