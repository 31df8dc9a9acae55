// RateLimitPolicy and TrafficPolicy as one rule of a route, or one service, meets them.
import type { RateLimitPolicyResource, TrafficPolicyResource } from '../route-resources.ts';
import type { RateLimit } from '../route-types.ts';
import type { RouteScope } from './route-scope.ts';

export interface RulePolicies {
  readonly rateLimits: readonly RateLimit[];
  /** The one that counts; null for none. */
  readonly traffic: TrafficPolicyResource | null;
  readonly idleTimeoutMs: number;
  readonly maxStreamMs: number;
}

type AnyPolicy = RateLimitPolicyResource | TrafficPolicyResource;

/** The policies on a route, and on its rule of that name: limits add up, of traffic policies the nearest counts. */
export function policiesOfRule(
  scope: RouteScope,
  route: { readonly kind: string; readonly namespace: string; readonly name: string },
  ruleName: string | null,
): RulePolicies {
  const target = `${route.kind}/${route.namespace}/${route.name}`;
  const found = scope.policies(target);
  const sectionOf = (policy: AnyPolicy): string | null | undefined =>
    policy.targets.find((one) => `${one.kind}/${one.namespace}/${one.name}` === target)?.sectionName;
  const own = found.filter((policy) => ruleName !== null && sectionOf(policy) === ruleName);
  const whole = found.filter((policy) => sectionOf(policy) === null);
  return combined([...own, ...whole]);
}

/** The policies on a service as a whole. */
export function policiesOfService(scope: RouteScope, serviceId: string): RulePolicies {
  return combined(scope.policies(`Service/${serviceId}`));
}

/** What of a service's policies also holds for a rule with policies of its own. */
export function withService(rule: RulePolicies, service: RulePolicies): RulePolicies {
  return {
    rateLimits: [...rule.rateLimits, ...service.rateLimits],
    traffic: rule.traffic ?? service.traffic,
    idleTimeoutMs: rule.idleTimeoutMs || service.idleTimeoutMs,
    maxStreamMs: rule.maxStreamMs || service.maxStreamMs,
  };
}

function combined(policies: readonly AnyPolicy[]): RulePolicies {
  const traffic = policies.find((policy) => policy.kind === 'TrafficPolicy') ?? null;
  return {
    rateLimits: policies.flatMap((policy) => (policy.kind === 'RateLimitPolicy' ? limitsOf(policy) : [])),
    traffic,
    idleTimeoutMs: traffic?.idleTimeoutMs ?? 0,
    maxStreamMs: traffic?.maxStreamMs ?? 0,
  };
}

function limitsOf(policy: RateLimitPolicyResource): RateLimit[] {
  return policy.limits.map((limit) => ({ ...limit, policy: `${policy.namespace}/${policy.name}` }));
}
