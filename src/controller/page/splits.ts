// Weights that routes give, against what came of them: which pods a backend means, and which of them answered.
import type { SplitView, WorkloadShare } from '../../model/page-views.ts';
import type { RouteOrigin, ServiceRoutes, WeightedBackend } from '../../model/route-types.ts';
import type { Workload } from '../../model/types.ts';
import type { MeshMap, MeshNode } from './mesh-map.ts';

interface Split {
  readonly route: string;
  readonly backends: readonly WeightedBackend[];
}

/** How many requests each pod answered, by route; and by whatever route. */
export interface Answered {
  readonly byRoute: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly byPod: ReadonlyMap<string, number>;
}

/** `KIND/NAMESPACE/NAME#RULE`, as records have it. */
export function routeName({ kind, namespace, name, rule }: RouteOrigin): string {
  return `${kind}/${namespace}/${name}#${rule}`;
}

/** Every rule of a node that weighs several backends. */
export function splitsOf(node: MeshNode, answered: Answered, map: MeshMap): SplitView[] {
  return ruleSplits(node).map(({ route, backends }) => {
    const counts = answered.byRoute.get(route) ?? new Map<string, number>();
    const total = sum(backends.map(({ weight }) => weight));
    const actual = actualOf(node, backends, counts, map);
    return {
      route,
      backends: backends.map((backend, at) => ({
        name: backendName(backend, node),
        configured: backend.weight / total,
        actual: actual?.[at] ?? null,
      })),
    };
  });
}

/** The workloads of a node, busiest first. */
export function sharesOf(node: MeshNode, { byPod }: Answered, map: MeshMap): WorkloadShare[] {
  const groups = new Map<string, Workload[]>();
  for (const pod of node.pods) {
    const known = groups.get(pod.workloadName);
    if (known === undefined) groups.set(pod.workloadName, [pod]);
    else known.push(pod);
  }
  const all = sum(byPod.values());
  const configured = configuredOf(node, map);
  return [...groups]
    .map(([name, pods]) => ({
      name,
      namespace: node.namespace,
      revision: pods[0]?.canonicalRevision ?? '',
      pods: { ready: pods.filter(({ healthy }) => healthy).length, total: pods.length },
      actual: all === 0 ? null : sum(pods.map((pod) => byPod.get(`${pod.namespace}/${pod.name}`) ?? 0)) / all,
      configured: configured?.get(name) ?? null,
    }))
    .sort((a, b) => (b.actual ?? 0) - (a.actual ?? 0) || (a.name < b.name ? -1 : 1));
}

function ruleSplits({ routes }: MeshNode): Split[] {
  return routes.flatMap(({ ports }) =>
    ports.flatMap(({ rules }) =>
      rules.flatMap(({ action, origin }) => {
        if (action.kind !== 'forward') return [];
        const backends = action.backends.filter(({ weight }) => weight > 0);
        return backends.length < 2 ? [] : [{ route: routeName(origin), backends }];
      }),
    ),
  );
}

/** Null where nothing was answered, or a pod belongs to several of the backends. */
function actualOf(
  node: MeshNode,
  backends: readonly WeightedBackend[],
  counts: ReadonlyMap<string, number>,
  map: MeshMap,
): number[] | null {
  const shares = backends.map(() => 0);
  let all = 0;
  for (const [name, count] of counts) {
    const pod = map.pod(name);
    const at = pod === null ? [] : backends.flatMap((backend, nth) => (isOf(pod, backend, node.routes) ? [nth] : []));
    if (at.length > 1) return null;
    if (at[0] === undefined) continue;
    shares[at[0]]! += count;
    all += count;
  }
  return all === 0 ? null : shares.map((share) => share / all);
}

/** What the weights of the only split give to each workload; null where it cannot be told. */
function configuredOf(node: MeshNode, map: MeshMap): ReadonlyMap<string, number> | null {
  const [split, more] = ruleSplits(node);
  if (split === undefined || more !== undefined) return null;
  const total = sum(split.backends.map(({ weight }) => weight));
  const shares = new Map<string, number>();
  for (const backend of split.backends) {
    const among = map.mesh.workloads.filter((pod) => isOf(pod, backend, node.routes));
    const [name, another] = new Set(among.map(({ workloadName }) => workloadName));
    if (another !== undefined || (name !== undefined && shares.has(name))) return null;
    if (name !== undefined) shares.set(name, backend.weight / total);
  }
  return shares;
}

function isOf(pod: Workload, { service, subset }: WeightedBackend, routes: readonly ServiceRoutes[]): boolean {
  if (pod.services[service] === undefined) return false;
  if (subset === '') return true;
  const destinations = routes.flatMap(({ destination, otherDestinations }) => [destination, ...otherDestinations]);
  const found = destinations.find((one) => one.service === service)?.subsets.find(({ name }) => name === subset);
  if (found === undefined) return false;
  return Object.entries(found.labels).every(([name, value]) => pod.labels?.[name] === value);
}

function backendName({ service, subset }: WeightedBackend, { namespace }: MeshNode): string {
  const [of = '', host = ''] = service.split('/');
  const name = `${of === namespace ? '' : `${of}/`}${host.split('.')[0]}`;
  return subset === '' ? name : `${name} subset ${subset}`;
}

function sum(numbers: Iterable<number>): number {
  let all = 0;
  for (const each of numbers) all += each;
  return all;
}
