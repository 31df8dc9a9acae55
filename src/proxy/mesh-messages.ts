// The mesh as a proxy tells it: to a data thread that is new, and to the metrics.
import type { MeshIndex } from '../model/mesh-index.ts';
import type { Workload } from '../model/types.ts';
import type { EdgeEnd } from '../telemetry/edge-counters.ts';
import type { CanonicalName } from '../telemetry/istio-labels.ts';
import type { ToDataThread } from './messages.ts';

/** Workloads per message: large enough to cost little, small enough that a copy of the whole mesh never exists. */
const workloadsPerMessage = 1_000;

/**
 * The whole mesh for a data thread that knows nothing yet: policies before the workloads that name them, and at the end
 * the word that this is all.
 */
export function* meshMessages(index: MeshIndex): Generator<ToDataThread> {
  const nothing = { workloads: [], services: [], policies: [], removedAddresses: [], removedPolicies: [] };
  const services = [...index.services()];
  const policies = [...index.policies()];
  const routes = [...index.routes()];
  yield { type: 'mesh', update: { ...nothing, services, policies, routes, complete: false } };
  let workloads: Workload[] = [];
  for (const workload of index.workloads()) {
    workloads.push(workload);
    if (workloads.length < workloadsPerMessage) continue;
    yield { type: 'mesh', update: { ...nothing, workloads, complete: false } };
    workloads = [];
  }
  if (workloads.length > 0) yield { type: 'mesh', update: { ...nothing, workloads, complete: false } };
  yield { type: 'meshKnown' };
}

/** Looks up the canonical names of `ends`; made for one scrape, by one look at every workload. */
export function canonicalNames(
  index: MeshIndex,
  ends: readonly Pick<EdgeEnd, 'namespace' | 'workload'>[],
): (namespace: string, workload: string) => CanonicalName | null {
  const wanted = new Map<string, Map<string, CanonicalName | null>>();
  for (const { namespace, workload } of ends) {
    const names = wanted.get(namespace) ?? new Map<string, CanonicalName | null>();
    wanted.set(namespace, names.set(workload, null));
  }
  if (wanted.size > 0) {
    for (const { namespace, workloadName, canonicalName, canonicalRevision } of index.workloads()) {
      const names = wanted.get(namespace);
      if (names?.has(workloadName)) names.set(workloadName, { service: canonicalName, revision: canonicalRevision });
    }
  }
  return (namespace, workload) => wanted.get(namespace)?.get(workload) ?? null;
}
