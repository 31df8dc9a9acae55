// Workloads, services and updates for tests, with everything that a test does not care about filled in.
import { serviceOf, workloadOf } from '../model/testing-mesh.ts';
import type { MeshUpdate, Policy, PortMapping, Service, Workload } from '../model/types.ts';

/** An enrolled pod `NAMESPACE/NAME` with these addresses on this node; its account bears its name. */
export function pod(
  name: string,
  node: string,
  addresses: string | readonly string[],
  more: Partial<Workload> = {},
): Workload {
  const namespace = more.namespace ?? 'shop';
  return workloadOf(`${namespace}/${name}`, {
    addresses: typeof addresses === 'string' ? [addresses] : addresses,
    node,
    workloadType: 'deployment',
    ...more,
  });
}

/** A service `NAME.shop` on one VIP, whose ports map one to one unless said otherwise. */
export function service(
  name: string,
  vip: string,
  ports: readonly PortMapping[],
  more: Partial<Service> = {},
): Service {
  const namespace = more.namespace ?? 'shop';
  return serviceOf(`${namespace}/${name}`, { addresses: vip === '' ? [] : [vip], ports, ...more });
}

/** A port of a service and what it is at its endpoints. */
export function port(servicePort: number, targetPort: number): PortMapping {
  return { servicePort, targetPort, appProtocol: 'unknown' };
}

/** ALLOW or DENY with one rule per match. */
export function policy(name: string, more: Partial<Policy> & Pick<Policy, 'action' | 'rules'>): Policy {
  return { name, namespace: 'shop', scope: 'namespace', dryRun: false, ...more };
}

/** A rule of one clause with one match. */
export function rule(match: Policy['rules'][number]['clauses'][number]['matches'][number]): Policy['rules'][number] {
  return { clauses: [{ matches: [match] }] };
}

/** A change of the mesh that holds `part` and nothing else. */
export function update(part: Partial<MeshUpdate>): MeshUpdate {
  return {
    workloads: [],
    services: [],
    policies: [],
    removedAddresses: [],
    removedPolicies: [],
    complete: false,
    ...part,
  };
}
