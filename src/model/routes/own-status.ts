// What becomes of DestinationRules and of our own policies: findings for their authors, and conditions.
import { thereIs } from '../../base/nearest-name.ts';
import { type Condition, conditionOf, type ObjectStatus } from '../conditions.ts';
import type { IssueList } from '../issues.ts';
import type { Labels, ResourcePath } from '../resources.ts';
import type {
  DestinationRuleResource,
  PolicyTarget,
  RateLimitPolicyResource,
  TrafficPolicyResource,
} from '../route-resources.ts';
import type { Sought, SoughtName, SoughtObject } from '../types.ts';
import { rulesFor } from './compile-destination.ts';
import { coversHost, fullHost, serviceIdOf, unknownHost } from './hosts.ts';
import type { RouteScope } from './route-scope.ts';
import { soughtHost } from './virtual-backends.ts';
import { partlyInvalid } from './virtual-status.ts';
import { waypointConditions } from './waypoint-conditions.ts';

/** Reports on a DestinationRule; returns its status. */
export function destinationRuleStatus(rule: DestinationRuleResource, scope: RouteScope, list: IssueList): ObjectStatus {
  for (const { path, message } of rule.unsupported) list.add('AMB0601', path, message, 'the rest of it is done');
  const { kind, namespace, name } = rule;
  const host = fullHost(rule.host, namespace, scope.clusterDomain);
  const problem = hostProblem(rule, host, scope);
  if (problem !== null) {
    const path = ['spec', 'host'];
    list.add('AMB0602', path, problem, 'the rule does nothing', soughtHost(rule.host, namespace, path, scope));
  }
  const id = serviceIdOf(host, scope.clusterDomain);
  const services = host.startsWith('*') ? scope.servicesUnder(host, coversHost) : id === null ? [] : [id];
  const empty = problem === null ? reportEmptySubsets(rule, services, scope, list) : null;
  const conditions: Condition[] = [
    problem === null
      ? conditionOf(rule, 'Accepted', true, 'Accepted', 'the rule is valid')
      : conditionOf(rule, 'Accepted', false, 'TargetNotFound', problem),
    empty === null
      ? conditionOf(rule, 'ResolvedRefs', true, 'ResolvedRefs', 'no subset is without pods')
      : conditionOf(rule, 'ResolvedRefs', false, 'BackendNotFound', empty),
    ...waypointConditions(rule, problem === null, services, scope),
    ...partlyInvalid(rule),
  ];
  return { kind, namespace, name, conditions, parents: [] };
}

/** Subsets that select no pod of a service which has some (istioctl's IST0173). Returns the first complaint. */
function reportEmptySubsets(
  rule: DestinationRuleResource,
  services: readonly string[],
  scope: RouteScope,
  list: IssueList,
): string | null {
  let first: string | null = null;
  const [id] = services;
  // Under a wildcard each subset is meant for some of the services.
  if (id === undefined || services.length > 1 || rule.subsets.length === 0) return null;
  const pods = scope.podLabelsOf(id);
  for (const [at, { name, labels }] of rule.subsets.entries()) {
    const wanted = Object.entries(labels);
    if (pods.length === 0 || pods.some((pod) => wanted.every(([key, value]) => pod[key] === value))) continue;
    const message = `subset ${name} selects no pod of service ${id}`;
    const sought = soughtLabel(wanted, pods, ['spec', 'subsets', at, 'labels']);
    const has =
      sought === null ? '' : `; ${thereIs(sought.name, sought.among, `${sought.path.at(-1)} of its pods is`)}`;
    const fix = `what is routed there gets 503; correct its labels${has}`;
    list.add('AMB0603', ['spec', 'subsets', at], message, fix, sought);
    first ??= message;
  }
  return first;
}

/** The first label that no pod has as it is asked for, among what pods have. */
function soughtLabel(
  wanted: readonly (readonly [string, string])[],
  pods: readonly Labels[],
  path: ResourcePath,
): SoughtName | null {
  for (const [key, name] of wanted) {
    const among = [...new Set(pods.flatMap((pod) => pod[key] ?? []))];
    if (!among.includes(name)) return { kind: 'name', name, among, path: [...path, key] };
  }
  return null;
}

function isSoughtKind(kind: string): kind is SoughtObject['kind'] {
  return kind === 'Service' || kind === 'HTTPRoute' || kind === 'GRPCRoute' || kind === 'VirtualService';
}

function hostProblem(rule: DestinationRuleResource, host: string, scope: RouteScope): string | null {
  if (rule.workloadSelector !== null) return 'workloadSelector is not supported: waypoints obey rules without one';
  if (host.startsWith('*')) return null;
  const id = serviceIdOf(host, scope.clusterDomain);
  if (id === null || scope.service(id) === undefined) return unknownHost(rule.host, host, scope.clusterDomain);
  if (rulesFor(id, scope).includes(rule)) return null;
  return `another DestinationRule for ${host} is nearer to service ${id}, or this one is not exported to it`;
}

type OwnPolicy = RateLimitPolicyResource | TrafficPolicyResource;

/** Reports on a RateLimitPolicy or TrafficPolicy; returns its status. */
export function policyStatus(policy: OwnPolicy, scope: RouteScope, list: IssueList): ObjectStatus {
  const { kind, namespace, name } = policy;
  const problems = policy.targets.map((target, at) => {
    const problem = targetProblem(policy, target, scope);
    if (problem !== null) {
      const code = problem.reason === 'Invalid' ? 'AMB0702' : 'AMB0701';
      const { kind, namespace, name } = target;
      const path = ['spec', 'targetRefs', at];
      const isThere = scope.ruleNamesOf(target) !== null || !isSoughtKind(kind);
      const sought: Sought | null = isThere ? null : { kind, namespace, name, path: [...path, 'name'] };
      list.add(code, path, problem.message, 'the policy does nothing for this target', sought);
    }
    return problem;
  });
  const first = problems.find((problem) => problem !== null);
  const isAccepted = problems.some((problem) => problem === null);
  const services = policy.targets.flatMap((target) => scope.servicesOfTarget(target));
  const conditions: Condition[] = [
    isAccepted
      ? conditionOf(policy, 'Accepted', true, 'Accepted', 'the policy is valid')
      : conditionOf(policy, 'Accepted', false, first?.reason ?? 'Invalid', first?.message ?? ''),
    ...waypointConditions(policy, isAccepted, [...new Set(services)], scope),
  ];
  return { kind, namespace, name, conditions, parents: [] };
}

const serviceFields = ['retryBudget', 'healthPaths', 'adaptiveConcurrency', 'slowStart'] as const;

function targetProblem(
  policy: OwnPolicy,
  target: PolicyTarget,
  scope: RouteScope,
): { readonly reason: string; readonly message: string } | null {
  const id = `${target.kind}/${target.namespace}/${target.name}`;
  const title = `${target.kind} ${target.namespace}/${target.name}`;
  const ruleNames = scope.ruleNamesOf(target);
  if (ruleNames === null) return { reason: 'TargetNotFound', message: `${title} is not there` };
  if (target.sectionName !== null && !ruleNames.includes(target.sectionName)) {
    const has = thereIs(target.sectionName, ruleNames, 'it has');
    return { reason: 'TargetNotFound', message: `${title} has no rule named ${target.sectionName}; ${has}` };
  }
  if (policy.kind !== 'TrafficPolicy') return null;
  const field = target.kind === 'Service' ? undefined : serviceFields.find((one) => policy[one] !== null);
  if (field !== undefined) {
    return { reason: 'Invalid', message: `${field} is about a Service, not about a ${target.kind}` };
  }
  const winner = scope
    .policies(id)
    .find(
      (one) =>
        one.kind === 'TrafficPolicy' &&
        one.targets.some(
          (other) =>
            `${other.kind}/${other.namespace}/${other.name}` === id && other.sectionName === target.sectionName,
        ),
    );
  if (winner === undefined || winner === policy) return null;
  return {
    reason: 'Conflicted',
    message: `TrafficPolicy ${winner.namespace}/${winner.name} is older and about ${title} too`,
  };
}
