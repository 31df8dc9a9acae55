// What the compile of one thing may look at. Every look is noted, so that exactly what looked at something is compiled
// again when that changes.

import type { ServiceResource } from '../resources.ts';
import type { GatewayRouteResource, RateLimitPolicyResource, TrafficPolicyResource } from '../route-resources.ts';
import { compareAge } from './precedence.ts';
import type { RouteStore } from './route-store.ts';

/** A view of the store that notes the keys it was asked for. */
export class RouteScope {
  readonly #store: RouteStore;
  readonly #keys = new Set<string>();

  constructor(store: RouteStore) {
    this.#store = store;
  }

  get clusterDomain(): string {
    return this.#store.options.clusterDomain;
  }

  /** Keys that were looked at. */
  keys(): ReadonlySet<string> {
    return this.#keys;
  }

  /** The Service `NAMESPACE/NAME`. */
  service(id: string): ServiceResource | undefined {
    this.#keys.add(`Service/${id}`);
    return this.#store.services.get(id);
  }

  /** Ids `KIND/NAMESPACE/NAME` of the routes of Gateway API that name the Service as their parent. */
  routesOf(serviceId: string): ReadonlySet<string> {
    this.#keys.add(`parents:${serviceId}`);
    return this.#store.routesByService.get(serviceId);
  }

  /** Those routes, as written. */
  gatewayRoutesOf(serviceId: string): GatewayRouteResource[] {
    return [...this.routesOf(serviceId)].map((id) => this.#store.routes.get(id)!);
  }

  /**
   * True unless the namespace has said, by ReferenceGrants for Services, who may refer to them, and this one is not
   * among them. A mesh route needs no grant (l7.md §1.7).
   */
  isGranted(
    from: { group: string; kind: string; namespace: string },
    to: { namespace: string; name: string },
  ): boolean {
    if (from.namespace === to.namespace) return true;
    this.#keys.add(`grants:${to.namespace}`);
    const relevant = [...this.#store.grantsOf(to.namespace)].filter((grant) =>
      grant.to.some((one) => one.group === '' && one.kind === 'Service'),
    );
    if (relevant.length === 0) return true;
    return relevant.some(
      (grant) =>
        grant.from.some(
          (one) => one.group === from.group && one.kind === from.kind && one.namespace === from.namespace,
        ) &&
        grant.to.some(
          (one) => one.group === '' && one.kind === 'Service' && (one.name === null || one.name === to.name),
        ),
    );
  }

  /** Our own policies on a target `KIND/NAMESPACE/NAME`, the oldest first. */
  policies(target: string): readonly (RateLimitPolicyResource | TrafficPolicyResource)[] {
    this.#keys.add(`policies:${target}`);
    return [...this.#store.policiesByTarget.get(target)]
      .map((id) => this.#store.policies.get(id)!)
      .sort((a, b) => compareAge(a, b) || (a.kind < b.kind ? -1 : 1));
  }
}
