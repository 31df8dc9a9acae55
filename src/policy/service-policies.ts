// The policies that a waypoint enforces for a service, in the form that decisions are made from.
import type { EffectivePolicies } from '../model/mesh-index.ts';
import type { ServiceRoutes } from '../model/route-types.ts';

const none: EffectivePolicies = Object.freeze({ policies: [], missing: [] });
const known = new WeakMap<ServiceRoutes, EffectivePolicies>();

/** The policies of a service; the same object as long as its routes are. `null`: nothing is said about the service. */
export function policiesOfService(routes: ServiceRoutes | null): EffectivePolicies {
  if (routes?.policies === undefined) return none;
  const there = known.get(routes);
  if (there !== undefined) return there;
  const effective = { policies: routes.policies, missing: [] };
  known.set(routes, effective);
  return effective;
}
