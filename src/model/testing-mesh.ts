// For tests: short ways to say workloads, services and policies.
import type { Policy, PolicyMatch, PortMapping, Service, Workload } from './types.ts';

/** An enrolled, healthy pod, `NAMESPACE/NAME`, but for what is given. */
export function workloadOf(title: string, given: Partial<Workload> = {}): Workload {
  const [namespace = '', name = ''] = title.split('/');
  return {
    uid: `Kubernetes//Pod/${title}`,
    name,
    namespace,
    addresses: [],
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: name,
    node: '',
    canonicalName: name,
    canonicalRevision: 'latest',
    workloadType: 'pod',
    workloadName: name,
    nativeTunnel: false,
    policies: [],
    healthy: true,
    clusterId: 'Kubernetes',
    locality: null,
    hostNetwork: false,
    capacity: 1,
    waypoint: null,
    services: {},
    ...given,
  };
}

/** A service with port 80 to 8080, `NAMESPACE/NAME`, but for what is given. */
export function serviceOf(title: string, given: Partial<Service> = {}): Service {
  const [namespace = '', name = ''] = title.split('/');
  return {
    name,
    namespace,
    hostname: `${name}.${namespace}.svc.cluster.local`,
    addresses: [],
    ports: [portOf(80, 8080)],
    subjectAltNames: [],
    waypoint: null,
    loadBalancing: null,
    ipFamilies: 'automatic',
    canonical: true,
    visibility: 'public',
    ...given,
  };
}

/** A port of a service and of its endpoints. */
export function portOf(servicePort: number, targetPort: number): PortMapping {
  return { servicePort, targetPort, appProtocol: 'unknown' };
}

/** A policy with one rule of one clause; no match at all makes a rule that matches everything. */
export function policyOf(
  title: string,
  action: Policy['action'],
  matches: readonly PolicyMatch[],
  given: Partial<Policy> = {},
): Policy {
  const [namespace = '', name = ''] = title.split('/');
  const rules = [{ clauses: matches.length === 0 ? [] : [{ matches }] }];
  return { name, namespace, scope: 'namespace', action, rules, dryRun: false, ...given };
}
