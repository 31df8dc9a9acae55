// From an answer to the whole of `why`: with what is known of a mesh that runs, or with what manifests cannot tell.
import type { MeshIndex } from '../../model/mesh-index.ts';
import { identityOf, serviceKey } from '../../model/mesh-index.ts';
import type { Workload } from '../../model/types.ts';
import type { EjectedView } from '../../model/views.ts';
import type { WhyResult } from '../../policy/why.ts';
import { serviceTitle } from '../../policy/why-ends.ts';
import type { OperableMesh } from '../mesh.ts';
import { causesOf, verdictCauses } from './causes.ts';
import { endpointRows, servicesBehind } from './endpoints.ts';
import { gatherFacts, type WhyPath } from './facts.ts';
import { proxyOnPath } from './proxies.ts';
import { type SeenPath, seenOf } from './seen.ts';
import type { WhyView } from './views.ts';

/** What manifests cannot tell. */
export const offlineUnknown = [
  'manifests tell nothing of what is happening: whether pods are ready or ejected, what was seen, how proxies are doing',
];

/** The answer with what manifests alone say. */
export function offlineView(index: MeshIndex, answer: WhyResult): WhyView {
  const services = servicesBehind(index, answer.to.service, answer.route?.backends ?? []);
  const endpoints = endpointRows(index, services, [], []);
  const base = { ...answer, endpoints, seen: null, proxies: [], unknown: offlineUnknown };
  return withReasons({ ...base, causes: verdictCauses(answer) });
}

/** The answer with what a mesh that runs says now. `fromAddress`: of a source that is no workload. Never rejects. */
export async function liveView(
  mesh: OperableMesh,
  index: MeshIndex,
  answer: WhyResult,
  fromAddress: string,
  asksController = true,
): Promise<WhyView> {
  const ends = endsOf(index, answer);
  const facts = await gatherFacts(mesh, { ...pathOf(answer, ends, fromAddress), asksController });
  const nowMs = Date.now();
  const states = facts.proxies.flatMap(({ state }) => state ?? []);
  const ejected: EjectedView[] = states.flatMap((state) => state.ejected ?? []);
  const refusing = states.flatMap((state) => state.refusing ?? []);
  const own = new Set(ends.services.map(({ namespace, name }) => `${namespace}/${name}`));
  const endpoints = endpointRows(index, ends.services, facts.pods, ejected);
  const waypoints = facts.proxies.flatMap(({ kind, pod }) => (kind === 'waypoint' && pod !== null ? [pod] : []));
  const seen = seenOf(facts.flows, seenPathOf(index, answer, ends, waypoints, fromAddress), nowMs);
  const proxies = facts.proxies.map((one) => proxyOnPath(one, facts.status, nowMs));
  const mine = refusing.filter(({ service }) => own.has(service));
  const causes = causesOf(answer, { endpoints, refusing: mine, seen, proxies }, nowMs);
  // The controller's own copies of objects have places that say nothing to a person.
  const values = answer.values?.map((value) => ({ ...value, at: null }));
  const whole = { ...answer, ...(values === undefined ? {} : { values }) };
  return withReasons({ ...whole, causes, endpoints, seen, proxies, unknown: facts.unknown });
}

/** What explains it goes before what the answer is made of. */
function withReasons(view: WhyView): WhyView {
  const texts = view.causes.map(({ text }) => text).filter((text) => !view.reasons.includes(text));
  return { ...view, reasons: [...texts, ...view.reasons] };
}

interface Ends {
  readonly sources: readonly Workload[];
  /** Host name of the service that was called; null for a pod. */
  readonly called: string | null;
  /** The services that it leads to. */
  readonly services: ReturnType<typeof servicesBehind>;
  readonly targets: readonly Workload[];
}

function endsOf(index: MeshIndex, answer: WhyResult): Ends {
  const { from, to, route } = answer;
  const named = (end: { readonly workload: string | null; readonly namespace: string | null }): Workload[] =>
    [...index.workloads()].filter(
      (one) => one.namespace === end.namespace && (one.name === end.workload || one.workloadName === end.workload),
    );
  const services = servicesBehind(index, to.service, route?.backends ?? []);
  const behind = services.flatMap(({ namespace, hostname }) =>
    index.endpointsOf(`${namespace}/${hostname}`).map(({ workload }) => workload),
  );
  const [called = null] = servicesBehind(index, to.service, []).map(({ hostname }) => hostname);
  const sources = from.workload === null ? [] : named(from);
  return { sources, called, services, targets: to.service === null ? named(to) : behind };
}

function pathOf(answer: WhyResult, { sources, targets }: Ends, fromAddress: string): Omit<WhyPath, 'asksController'> {
  const nodesOf = (pods: readonly Workload[]): string[] =>
    pods.flatMap(({ node, tunnelProtocol }) => (node !== '' && tunnelProtocol === 'HBONE' ? [node] : []));
  const waypoint = answer.hops.find(({ kind }) => kind === 'waypoint')?.name ?? null;
  const identities = (pods: readonly Workload[], node: string): string[] =>
    pods.filter((one) => one.node === node && one.tunnelProtocol === 'HBONE').map(identityOf);
  const fromPods = sources.map(({ namespace, name }) => ['fromPod', `${namespace}/${name}`] as const);
  const ofSource = answer.from.workload === null ? [['fromIp', fromAddress] as const] : fromPods;
  return {
    nodes: [...new Set([...nodesOf(sources), ...nodesOf(targets)])],
    waypoint,
    flowFields: waypoint === null ? ofSource : [...ofSource, ['fromPod', waypoint] as const],
    namespaces: [...new Set(targets.map(({ namespace }) => namespace))],
    identitiesOf: ({ kind, name }) =>
      kind === 'waypoint' ? null : [...new Set([...identities(sources, name), ...identities(targets, name)])],
  };
}

function seenPathOf(
  index: MeshIndex,
  { from, to, hops }: WhyResult,
  { sources, called, services, targets }: Ends,
  waypoints: readonly string[],
  fromAddress: string,
): SeenPath {
  const nodeOf = (pods: readonly Workload[]): string[] => pods.map(({ node }) => node).filter((node) => node !== '');
  const ofWaypoint = [...index.workloads()].filter((one) => waypoints.includes(`${one.namespace}/${one.name}`));
  const wire = [...new Set([...nodeOf(sources), ...nodeOf(ofWaypoint), ...nodeOf(targets)])];
  const waypoint = hops.find(({ kind }) => kind === 'waypoint')?.name ?? '';
  const [target] = targets;
  return {
    from: { namespace: from.namespace, workloads: new Set(sources.map(({ name }) => name)) },
    fromAddress: from.workload === null ? fromAddress : null,
    hostname: called,
    ports: portsOf(index, to, services),
    endpoints: new Set(targets.map(({ namespace, name }) => `${namespace}/${name}`)),
    waypoints: new Set(waypoints),
    names: {
      clientProxy: `the proxy of the caller's node${sources[0] === undefined ? '' : ` ${sources[0].node}`}`,
      wire: wire.length > 1 ? `the wire between ${wire.join(' and ')}` : 'the wire',
      waypoint: `the waypoint ${waypoint}`,
      destinationProxy: `the proxy of the endpoint's node${target === undefined ? '' : ` ${target.node}`}`,
      application: 'the application itself',
    },
  };
}

/** The port that was called, and the ports of the endpoints that it leads to. */
function portsOf(index: MeshIndex, to: WhyResult['to'], services: Ends['services']): ReadonlySet<number> {
  const ports = new Set([to.port, to.targetPort ?? to.port]);
  for (const service of services) {
    // A route may lead to another port of another service.
    const isCalled = serviceTitle(service) === to.service;
    for (const endpoint of index.endpointsOf(serviceKey(service))) {
      for (const { servicePort, targetPort } of endpoint.ports) {
        if (!isCalled || servicePort === to.port) ports.add(targetPort);
      }
    }
  }
  return ports;
}
