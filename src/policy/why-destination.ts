// What is known of a destination for any caller: the policies that select it, and what becomes of callers that no rule
// names, by the data path's own code.
import { identityOf, type MeshIndex, serviceKey } from '../model/mesh-index.ts';
import type { Policy, Workload } from '../model/types.ts';
import { type PolicyReference, referenceTo } from './evaluate.ts';
import { policiesOfService } from './service-policies.ts';
import { explainCall, type Source, serviceTarget, type Target, type WhyAnswer, type WhyOptions } from './why.ts';
import { type NamedEnd, serviceTitle } from './why-ends.ts';
import type { WhyResponse, WhyRoute, WhyValue } from './why-route.ts';
import { type WhyRequest, waypointBetween } from './why-waypoint.ts';

/** A policy that has a say about the destination. */
export interface DestinationPolicy extends Pick<PolicyReference, 'kind' | 'namespace' | 'name'> {
  /** `L4`: the node proxies of its pods; `L7`: its waypoint. */
  readonly layer: 'L4' | 'L7';
  readonly scope: Policy['scope'] | 'service';
  readonly action: Policy['action'];
  readonly dryRun: boolean;
  readonly rules: number;
  /** So many of its pods; null for what a waypoint enforces. */
  readonly pods: number | null;
  /** What it does, in words. */
  readonly does: string;
}

/** What becomes of a caller that no rule names. */
export interface DestinationCaller extends WhyAnswer {
  /** In the mesh with an identity of its own, or outside and in plaintext. */
  readonly caller: 'mesh' | 'outside';
}

export interface DestinationPort {
  readonly port: number;
  readonly protocol: string;
  readonly callers: readonly DestinationCaller[];
  /** Of a plain `GET /`, or the request that was asked about. */
  readonly route: WhyRoute | null;
  readonly response: WhyResponse | null;
  readonly values: readonly WhyValue[];
}

/** `to … ports` of `why TO -o json`. */
export interface WhyDestination {
  readonly to: {
    readonly service: string | null;
    readonly workload: string | null;
    readonly namespace: string | null;
  };
  /** So many of its pods are in the mesh. */
  readonly enrolled: { readonly pods: number; readonly of: number };
  /** `NAMESPACE/NAME` of its Gateway; null without one. */
  readonly waypoint: string | null;
  readonly policies: readonly DestinationPolicy[];
  readonly ports: readonly DestinationPort[];
}

/** No name of Kubernetes: no rule can name it. */
const nobody = '-';

/** Explains an end as a destination. `port` null: all that it has. */
export function whyDestination(
  index: MeshIndex,
  end: Exclude<NamedEnd, { kind: 'outside' }>,
  port: number | null,
  request: WhyRequest | null,
  options: WhyOptions,
): WhyDestination {
  const service = end.kind === 'service' ? end.service : null;
  const pods = podsOf(index, end);
  const [pod = null] = pods;
  const anybody = anybodyLike(pod);
  const waypoint = waypointBetween(index, anybody, service ?? pod);
  const guard = service ?? pod?.waypoint?.hostname ?? null;
  const routes = waypoint === null || guard === null ? null : (options.routesOf?.(serviceKey(guard)) ?? null);
  const targets = portsOf(end, pods, port).map((one) => targetOf(index, end, pods, one));
  return {
    to: {
      service: service === null ? null : serviceTitle(service),
      workload: service === null ? end.title : null,
      namespace: service?.namespace ?? pod?.namespace ?? null,
    },
    enrolled: { pods: pods.filter(({ tunnelProtocol }) => tunnelProtocol === 'HBONE').length, of: pods.length },
    waypoint: waypoint === null ? null : `${waypoint.namespace}/${waypoint.name}`,
    policies: [
      ...policiesOfService(routes).policies.map((policy) => rowOf(policy, 'L7', null)),
      ...policiesOfPods(index, pods, options),
    ],
    ports: targets.map((target) => explained(index, target, anybody, request, options)),
  };
}

/** The pods behind it, each once. */
export function podsOf(index: MeshIndex, end: Exclude<NamedEnd, { kind: 'outside' }>): readonly Workload[] {
  if (end.kind === 'workloads') return end.workloads;
  return [...new Set(index.endpointsOf(serviceKey(end.service)).map(({ workload }) => workload))];
}

function explained(
  index: MeshIndex,
  target: Target,
  anybody: Workload,
  request: WhyRequest | null,
  options: WhyOptions,
): DestinationPort {
  const sources: readonly (readonly [DestinationCaller['caller'], Source])[] = [
    ['mesh', { workload: anybody }],
    ['outside', { workload: null, address: '0.0.0.0' }],
  ];
  const answers = sources.map(([caller, source]) => {
    const { primary, answers: all, routed } = explainCall(index, source, target, request, options);
    const isMixed = all.some(({ verdict }) => verdict !== primary.verdict);
    const reasons = isMixed ? ['the endpoints give different answers', ...primary.reasons] : primary.reasons;
    return { routed, answer: { caller, ...primary, reasons } };
  });
  const routed = answers[0]?.routed ?? null;
  const protocol = target.service?.ports.find((one) => one.servicePort === target.port)?.appProtocol ?? 'unknown';
  return {
    port: target.port,
    protocol,
    callers: answers.map(({ answer }) => answer),
    route: routed?.route ?? null,
    response: routed?.response ?? null,
    values: routed?.values ?? [],
  };
}

function targetOf(
  index: MeshIndex,
  end: Exclude<NamedEnd, { kind: 'outside' }>,
  pods: readonly Workload[],
  port: number,
): Target {
  if (end.kind === 'service') return serviceTarget(index, end.service, port, { workload: null, address: '0.0.0.0' });
  const candidates = pods.map((workload) => ({ workload, targetPort: port }));
  return { title: end.title, service: null, port, candidates, unreachable: null, outside: null };
}

/** A pod has the ports that services lead to. */
function portsOf(end: NamedEnd, pods: readonly Workload[], asked: number | null): readonly number[] {
  if (asked !== null) return [asked];
  if (end.kind === 'service') return end.service.ports.map(({ servicePort }) => servicePort);
  const led = pods.flatMap(({ services }) => Object.values(services).flat());
  return [...new Set(led.map(({ targetPort }) => targetPort))].sort((a, b) => a - b);
}

/** In the mesh, on no node, by a name that nobody can have. */
function anybodyLike(pod: Workload | null): Workload {
  const empty: Omit<Workload, 'trustDomain' | 'network' | 'clusterId'> = {
    uid: '',
    name: 'anybody',
    namespace: nobody,
    addresses: [],
    tunnelProtocol: 'HBONE',
    serviceAccount: nobody,
    node: '',
    canonicalName: '',
    canonicalRevision: '',
    workloadType: 'pod',
    workloadName: 'anybody',
    nativeTunnel: false,
    policies: [],
    healthy: true,
    locality: null,
    hostNetwork: false,
    capacity: 1,
    waypoint: null,
    services: {},
  };
  const { trustDomain = 'cluster.local', network = '', clusterId = '' } = pod ?? {};
  return { ...empty, trustDomain, network, clusterId };
}

/** What the node proxies of the pods enforce, each policy once. */
function policiesOfPods(
  index: MeshIndex,
  pods: readonly Workload[],
  { strictBy }: WhyOptions,
): readonly DestinationPolicy[] {
  const rows = new Map<string, DestinationPolicy>();
  for (const pod of pods.filter(({ tunnelProtocol }) => tunnelProtocol === 'HBONE')) {
    for (const policy of index.policiesFor(pod).policies) {
      const row = rowOf(policy, 'L4', 1);
      // All plainly STRICT workloads share one policy; the object that a person wrote says more.
      const written = row.kind === 'PeerAuthentication' ? strictBy?.(pod) : null;
      const named = { ...row, ...(written ?? {}) };
      const key = JSON.stringify([named.kind, named.namespace, named.name]);
      rows.set(key, { ...named, pods: (rows.get(key)?.pods ?? 0) + 1 });
    }
  }
  return [...rows.values()];
}

function rowOf(policy: Policy, layer: DestinationPolicy['layer'], pods: number | null): DestinationPolicy {
  const { kind, namespace, name } = referenceTo(policy, null);
  const { scope, action, dryRun } = policy;
  const rules = policy.rules.length;
  const does = `${dryRun ? 'dry run, decides nothing: ' : ''}${wordsOf(kind, policy)}`;
  return { kind, namespace, name, layer, scope: layer === 'L7' ? 'service' : scope, action, dryRun, rules, pods, does };
}

function wordsOf(kind: PolicyReference['kind'], { action, rules, custom }: Policy): string {
  if (kind === 'PeerAuthentication') return 'refuses plaintext, by STRICT';
  if (kind === 'Service') return 'refuses who comes past its waypoint';
  const count = `its ${rules.length === 1 ? 'rule' : `${rules.length} rules`}`;
  const verb = rules.length === 1 ? 'names' : 'name';
  if (action === 'audit') return `tells of whom ${count} ${verb}, and decides nothing`;
  if (action === 'deny') {
    if (rules.length === 0) return 'refuses nobody: it has no rule';
    return `refuses whom ${count} ${verb}${custom === true ? ': it is CUSTOM, and nobody asks an authorizer' : ''}`;
  }
  if (rules.length === 0) return 'lets nobody in: it has no rule, so that whoever no other ALLOW names is refused';
  return `lets in whom ${count} ${verb}; whoever no ALLOW names is refused`;
}

/** The identities that its pods show. */
export function identitiesOf(pods: readonly Workload[]): readonly string[] {
  return [...new Set(pods.filter(({ tunnelProtocol }) => tunnelProtocol === 'HBONE').map(identityOf))];
}
