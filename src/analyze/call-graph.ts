// Which service calls which: as it was seen, and as ALLOW policies have it, which name their callers. Routes and hosts
// alone do not say who sends requests to them.
import { hostnameOf } from '../model/compile-service.ts';
import type { AuthorizationPolicyResource } from '../model/resources.ts';
import type { NamespacedKey } from '../model/types.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';
import { accountsNamed } from './policy-sources.ts';
import type { SeenEdge } from './seen-edges.ts';

export interface Caller {
  /** `NAMESPACE/HOSTNAME` of a service that the caller answers for. */
  readonly service: NamespacedKey;
  /** How one knows, as a part of a sentence. */
  readonly because: string;
}

/** The callers of each service that has some. */
export type CallGraph = ReadonlyMap<NamespacedKey, readonly Caller[]>;

/** The graph of a mesh. Nobody calls itself in it. */
export function callGraph(mesh: AnalyzedMesh): CallGraph {
  const graph = new Map<NamespacedKey, Map<NamespacedKey, string>>();
  const add = (from: Iterable<NamespacedKey>, to: Iterable<NamespacedKey>, because: string): void => {
    for (const callee of to) {
      const callers = graph.get(callee) ?? new Map<NamespacedKey, string>();
      for (const caller of from) if (caller !== callee && !callers.has(caller)) callers.set(caller, because);
      graph.set(callee, callers);
    }
  };
  addSeen(mesh, add);
  addAllowed(mesh, add);
  return new Map(
    [...graph].map(([callee, callers]) => [callee, [...callers].map(([service, because]) => ({ service, because }))]),
  );
}

type Add = (from: Iterable<NamespacedKey>, to: Iterable<NamespacedKey>, because: string) => void;

function addSeen(mesh: AnalyzedMesh, add: Add): void {
  if (mesh.edges.length === 0) return;
  const byWorkload = servicesBy(mesh, ({ namespace, workloadName }) => `${namespace}/${workloadName}`);
  for (const edge of mesh.edges) {
    if (edge.opened === 0) continue;
    const from = byWorkload.get(`${edge.from.namespace}/${edge.from.workload}`) ?? [];
    add(from, calledBy(edge, byWorkload), 'as was seen');
  }
}

function calledBy({ to }: SeenEdge, byWorkload: ReadonlyMap<string, ReadonlySet<NamespacedKey>>) {
  if (to.service === '') return byWorkload.get(`${to.namespace}/${to.workload}`) ?? [];
  return [to.service.includes('/') ? to.service : `${to.service.split('.')[1] ?? to.namespace}/${to.service}`];
}

/** Whom an ALLOW policy names by account may call what the policy is for, and why else would it be named. */
function addAllowed(mesh: AnalyzedMesh, add: Add): void {
  const byAccount = servicesBy(mesh, ({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`);
  for (const policy of mesh.of('AuthorizationPolicy')) {
    if (policy.action !== 'ALLOW') continue;
    const callees = protectedBy(mesh, policy);
    if (callees.length === 0) continue;
    const from = new Set(accountsNamed(policy).flatMap(({ account }) => [...(byAccount.get(account) ?? [])]));
    add(from, callees, `as AuthorizationPolicy ${policy.namespace}/${policy.name} has it`);
  }
}

/** The services that a policy is for by name or selector; none for one that is for a whole namespace. */
function protectedBy(mesh: AnalyzedMesh, policy: AuthorizationPolicyResource): NamespacedKey[] {
  const { clusterDomain } = mesh.options;
  const keyOf = (namespace: string, name: string): NamespacedKey =>
    `${namespace}/${hostnameOf(namespace, name, clusterDomain)}`;
  if (policy.targets.length > 0) {
    return policy.targets.flatMap(({ kind, name }) => (kind === 'Service' ? [keyOf(policy.namespace, name)] : []));
  }
  if (policy.selector === null || Object.keys(policy.selector).length === 0) return [];
  const pods = mesh.selected(mesh.reachOf(policy.namespace), policy.selector);
  const services = new Set(pods.flatMap((pod) => mesh.servicesOf(pod)));
  return [...services].map(({ namespace, name }) => keyOf(namespace, name));
}

/** The services of workloads, by what `keyOf` says of these. */
function servicesBy(
  mesh: AnalyzedMesh,
  keyOf: (workload: AnalyzedMesh['view']['workloads'][number]) => string,
): ReadonlyMap<string, ReadonlySet<NamespacedKey>> {
  const found = new Map<string, Set<NamespacedKey>>();
  for (const workload of mesh.view.workloads) {
    const key = keyOf(workload);
    const services = found.get(key) ?? new Set<NamespacedKey>();
    for (const service of Object.keys(workload.services)) services.add(service as NamespacedKey);
    found.set(key, services);
  }
  return found;
}
