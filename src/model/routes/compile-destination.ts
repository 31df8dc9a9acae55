// A service as a destination: every DestinationRule and TrafficPolicy that is about it, selected and merged (l7.md
// §3.4).
import { hostnameOf } from '../compile-service.ts';
import type { DestinationRuleResource } from '../route-resources.ts';
import type { Destination, Subset } from '../route-types.ts';
import type { LoadBalancing } from '../types.ts';
import { type PolicySources, policyOf, portPoliciesOf, settingsOf } from './destination-policy.ts';
import { isExported, patternsOf } from './hosts.ts';
import { compareAge } from './precedence.ts';
import { policiesOfService } from './route-policies.ts';
import type { RouteScope } from './route-scope.ts';

/** The rules that hold for the Service `NAMESPACE/NAME`, the one that decides first; none when nobody wrote any. */
export function rulesFor(serviceId: string, scope: RouteScope): readonly DestinationRuleResource[] {
  const [namespace = '', name = ''] = serviceId.split('/');
  const places = [...scope.waypointNamespaces(serviceId), namespace, ...scope.rootNamespaces];
  for (const pattern of patternsOf(hostnameOf(namespace, name, scope.clusterDomain))) {
    const found = scope
      .destinationRules(pattern)
      .filter((rule) => rule.workloadSelector === null && isExported(rule.exportTo, rule.namespace, namespace));
    for (const place of places) {
      const rules = found.filter((rule) => rule.namespace === place);
      if (rules.length > 0) return rules.sort(compareAge);
    }
  }
  return [];
}

/** The destination; `loadBalancing` is what the Service itself says. */
export function compileDestination(
  serviceId: string,
  loadBalancing: LoadBalancing | null,
  scope: RouteScope,
): Destination {
  const [namespace = '', name = ''] = serviceId.split('/');
  const rules = rulesFor(serviceId, scope);
  const { traffic } = policiesOfService(scope, serviceId);
  const from = [...rules, ...(traffic === null ? [] : [traffic])].map(
    (one) => `${one.kind}/${one.namespace}/${one.name}`,
  );
  const sources: PolicySources = { loadBalancing, traffic, from };
  const parent = rules.find((rule) => rule.traffic !== null)?.traffic ?? null;
  const subsets = new Map<string, Subset>();
  for (const subset of rules.flatMap((rule) => rule.subsets)) {
    if (subsets.has(subset.name)) continue;
    const policy = policyOf(settingsOf(subset.traffic, parent), sources);
    const portPolicies = portPoliciesOf(subset.traffic, parent, sources);
    subsets.set(subset.name, { name: subset.name, labels: subset.labels, policy, portPolicies });
  }
  return {
    service: `${namespace}/${hostnameOf(namespace, name, scope.clusterDomain)}`,
    policy: policyOf(settingsOf(parent, null), sources),
    portPolicies: portPoliciesOf(null, parent, sources),
    subsets: [...subsets.values()],
  };
}
