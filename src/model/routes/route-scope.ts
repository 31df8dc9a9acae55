// What the compile of one thing may look at. Every look is noted, so that exactly what looked at something is compiled
// again when that changes.

import { hostnameOf } from '../compile-service.ts';
import type { Labels, ServiceResource } from '../resources.ts';
import type {
  DestinationRuleResource,
  GatewayRouteResource,
  PolicyTarget,
  RateLimitPolicyResource,
  TrafficPolicyResource,
  VirtualServiceResource,
} from '../route-resources.ts';
import { serviceIdOf } from './hosts.ts';
import { compareAge } from './precedence.ts';
import { anyServiceKey, parentServices, type RouteStore } from './route-store.ts';

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

  get rootNamespaces(): readonly string[] {
    return this.#store.options.rootNamespaces;
  }

  /** Annotations of a namespace; whoever looks at one of its Services is told of their changes. */
  annotationsOf(namespace: string): Labels {
    return this.#store.options.annotationsOf(namespace);
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

  /** Ids of the Services whose host a wildcard covers. */
  servicesUnder(host: string, covers: (pattern: string, hostname: string) => boolean): string[] {
    this.#keys.add(anyServiceKey);
    const found: string[] = [];
    for (const [id, { namespace, name }] of this.#store.services) {
      if (covers(host, hostnameOf(namespace, name, this.clusterDomain))) found.push(id);
    }
    return found.sort();
  }

  /** Names of the rules of a target; null when it is not there. */
  ruleNamesOf(target: PolicyTarget): readonly string[] | null {
    const { kind, namespace, name } = target;
    if (kind === 'Service') return this.service(`${namespace}/${name}`) === undefined ? null : [];
    const id = `${kind}/${namespace}/${name}`;
    this.#keys.add(id);
    const virtual = this.#store.virtualServices.get(id);
    const rules = this.#store.routes.get(id)?.rules ?? virtual?.http ?? null;
    return rules === null ? null : rules.flatMap((rule) => rule.name ?? []);
  }

  /** Ids of the Services that a target is, or is attached to. */
  servicesOfTarget(target: PolicyTarget): string[] {
    const { kind, namespace, name } = target;
    if (kind === 'Service') return [`${namespace}/${name}`];
    const id = `${kind}/${namespace}/${name}`;
    this.#keys.add(id);
    const route = this.#store.routes.get(id);
    if (route !== undefined) return [...parentServices(route)];
    const virtual = this.#store.virtualServices.get(id);
    const hosts = virtual === undefined ? [] : this.#store.hostsOf(virtual);
    return hosts.flatMap((host) => serviceIdOf(host, this.clusterDomain) ?? []);
  }

  /** The namespace of the waypoint before a Service; none without one. */
  waypointNamespaces(serviceId: string): readonly string[] {
    const waypoint = this.waypointOf(serviceId);
    return waypoint === null ? [] : [waypoint.namespace];
  }

  /** The Gateway of the waypoint before a Service; null without one. */
  waypointOf(serviceId: string): { readonly namespace: string; readonly name: string } | null {
    this.#keys.add(`Service/${serviceId}`);
    return this.#store.options.waypointOf(serviceId);
  }

  /** Labels of the pods that a Service selects. */
  podLabelsOf(serviceId: string): readonly Labels[] {
    this.#keys.add(`pods:${serviceId}`);
    return [...this.#store.options.podLabelsOf(serviceId)];
  }

  /** True for a Gateway `NAMESPACE/NAME` that asks for a waypoint. */
  isWaypoint(gatewayId: string): boolean {
    this.#keys.add(`Gateway/${gatewayId}`);
    return this.#store.options.isWaypoint(gatewayId);
  }

  /** The VirtualServices of a host, in full or as a wildcard. */
  virtualServices(host: string): VirtualServiceResource[] {
    this.#keys.add(`host:${host}`);
    return [...this.#store.virtualByHost.get(host)].map((id) => this.#store.virtualServices.get(id)!);
  }

  /** The VirtualService `NAMESPACE/NAME`. */
  virtualService(id: string): VirtualServiceResource | undefined {
    this.#keys.add(`VirtualService/${id}`);
    return this.#store.virtualServices.get(`VirtualService/${id}`);
  }

  /** The DestinationRules of a host, in full or as a wildcard. */
  destinationRules(host: string): DestinationRuleResource[] {
    this.#keys.add(`rule-host:${host}`);
    return [...this.#store.rulesByHost.get(host)].map((id) => this.#store.destinationRules.get(id)!);
  }

  /** Our own policies on a target `KIND/NAMESPACE/NAME`, the oldest first. */
  policies(target: string): readonly (RateLimitPolicyResource | TrafficPolicyResource)[] {
    this.#keys.add(`policies:${target}`);
    return [...this.#store.policiesByTarget.get(target)]
      .map((id) => this.#store.policies.get(id)!)
      .sort((a, b) => compareAge(a, b) || (a.kind < b.kind ? -1 : 1));
  }
}
