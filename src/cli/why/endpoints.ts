// The pods that may answer, each with why it does not: unready or going by its own object, or taken out of rotation by
// a waypoint.
import type { MeshIndex } from '../../model/mesh-index.ts';
import { serviceKey } from '../../model/mesh-index.ts';
import type { Service, Workload } from '../../model/types.ts';
import type { EjectedView } from '../../model/views.ts';
import { serviceTitle } from '../../policy/why-ends.ts';
import type { WhyEndpoint } from './views.ts';

/** What is read of a Pod. */
export interface PodObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly deletionTimestamp?: string;
  };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
      readonly lastTransitionTime?: string;
    }[];
  };
}

/** The services whose endpoints may get the call: those that routes lead to, else the one that was called. */
export function servicesBehind(
  index: MeshIndex,
  service: string | null,
  backends: readonly { readonly service: string }[],
): readonly Service[] {
  const titles = new Set(backends.length > 0 ? backends.map((one) => one.service) : [service]);
  return [...index.services()].filter((one) => titles.has(serviceTitle(one)));
}

/** One row per pod of the services, those in trouble first. */
export function endpointRows(
  index: MeshIndex,
  services: readonly Service[],
  pods: readonly PodObject[],
  ejected: readonly EjectedView[],
): WhyEndpoint[] {
  const byName = new Map(pods.map((pod) => [`${pod.metadata?.namespace}/${pod.metadata?.name}`, pod]));
  const rows = services.flatMap((service) =>
    index.endpointsOf(serviceKey(service)).map(({ workload }) => {
      const own = `${service.namespace}/${service.name}`;
      const out = ejected.find(
        (one) => one.namespace === workload.namespace && one.workload === workload.name && one.service === own,
      );
      const pod = byName.get(`${workload.namespace}/${workload.name}`) ?? null;
      return { service: serviceTitle(service), ...endpointOf(workload, pod, out ?? null) };
    }),
  );
  return rows.sort((a, b) => Number(a.state === 'ready') - Number(b.state === 'ready'));
}

/** Pods that are called by their own addresses. */
export function podRows(workloads: readonly Workload[], pods: readonly PodObject[]): WhyEndpoint[] {
  return workloads.map((workload) => {
    const { namespace, name } = workload;
    const pod = pods.find(({ metadata }) => metadata?.namespace === namespace && metadata.name === name) ?? null;
    return { service: null, ...endpointOf(workload, pod, null) };
  });
}

function endpointOf(workload: Workload, pod: PodObject | null, out: EjectedView | null): Omit<WhyEndpoint, 'service'> {
  const { name, namespace, node } = workload;
  const base = { workload: name, namespace, node, until: null };
  const gone = pod?.metadata?.deletionTimestamp;
  if (gone !== undefined) {
    return { ...base, state: 'draining', since: gone, reason: 'the pod is being deleted: it gets nothing new' };
  }
  const ready = pod?.status?.conditions?.find(({ type }) => type === 'Ready');
  if (!workload.healthy) {
    const reason = [ready?.reason, ready?.message].filter(Boolean).join(': ') || null;
    return { ...base, state: 'unready', since: ready?.lastTransitionTime ?? null, reason };
  }
  if (out !== null) return { ...base, state: 'ejected', since: out.since, until: out.until, reason: out.reason };
  return { ...base, state: 'ready', since: ready?.lastTransitionTime ?? null, reason: null };
}
