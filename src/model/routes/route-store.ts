// The resources about HTTP with the indices between them, and what has to be compiled again when one changes. Units of
// compilation are `service NAMESPACE/NAME` (a table of routes) and `object KIND/NAMESPACE/NAME` (what becomes of an
// object: its compiled rules, findings and conditions).
import { MultiMap } from '../../base/multi-map.ts';
import { hostnameOf } from '../compile-service.ts';
import type { Labels, ServiceResource } from '../resources.ts';
import { resourceKey } from '../resources.ts';
import type {
  DestinationRuleResource,
  GatewayRouteResource,
  RateLimitPolicyResource,
  ReferenceGrantResource,
  RouteResource,
  TrafficPolicyResource,
  VirtualServiceResource,
} from '../route-resources.ts';
import { DependencyIndex } from './dependency-index.ts';
import { coversHost, fullHost, serviceIdOf } from './hosts.ts';
import { WantedLabels } from './wanted-labels.ts';

export interface RouteStoreOptions {
  readonly clusterDomain: string;
  readonly rootNamespaces: readonly string[];
  /** The Gateway of the waypoint before a Service, by its id; a change of it comes as a touch of the Service. */
  readonly waypointOf: (serviceId: string) => { readonly namespace: string; readonly name: string } | null;
  /** True for a Gateway `NAMESPACE/NAME` that asks for a waypoint; a change of it comes as a touch. */
  readonly isWaypoint: (gatewayId: string) => boolean;
  /** Labels of the pods that a Service selects; a change of them comes as a touch. */
  readonly podLabelsOf: (serviceId: string) => Iterable<Labels>;
  /** Annotations of a namespace; a change of them comes as a touch of its Services. */
  readonly annotationsOf: (namespace: string) => Labels;
  /** Other labels of the endpoints of a Service may be asked for than before; of all workloads, where it is null. */
  readonly labelsWanted: (serviceId: string | null) => void;
}

type PolicyResource = RateLimitPolicyResource | TrafficPolicyResource;

/** Looked at by who looks for all Services under a wildcard. */
export const anyServiceKey = 'Service/*';

/** Ids of objects are `KIND/NAMESPACE/NAME`, those of services `NAMESPACE/NAME`. */
export class RouteStore {
  readonly options: RouteStoreOptions;
  /** Shared with the rest of the compiler, which keeps it. */
  readonly services: ReadonlyMap<string, ServiceResource>;
  readonly routes = new Map<string, GatewayRouteResource>();
  readonly virtualServices = new Map<string, VirtualServiceResource>();
  readonly destinationRules = new Map<string, DestinationRuleResource>();
  readonly policies = new Map<string, PolicyResource>();
  readonly routesByService = new MultiMap<string, string>();
  /** By full host or wildcard. */
  readonly virtualByHost = new MultiMap<string, string>();
  readonly rulesByHost = new MultiMap<string, string>();
  readonly policiesByTarget = new MultiMap<string, string>();
  readonly dependencies = new DependencyIndex();
  readonly wantedLabels = new WantedLabels();
  readonly #grants = new Map<string, ReferenceGrantResource>();
  readonly #grantsByNamespace = new MultiMap<string, string>();
  #dirty = new Set<string>();
  /** What comes and goes meanwhile is no change. */
  #isTrial = false;

  constructor(options: RouteStoreOptions, services: ReadonlyMap<string, ServiceResource>) {
    this.options = options;
    this.services = services;
  }

  /** Units to compile since the last call. */
  takeDirty(): ReadonlySet<string> {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    return dirty;
  }

  upsert(resource: RouteResource): void {
    const id = resourceKey(resource);
    this.#remove(resource.kind, id);
    this.#add(resource, id);
    this.#touch(`object ${id}`);
  }

  delete(kind: RouteResource['kind'], namespace: string, name: string): void {
    const id = resourceKey({ kind, namespace, name });
    this.#remove(kind, id);
    this.#touch(`object ${id}`);
  }

  /**
   * What `look` answers with the resource in the place of what has its name. Afterwards everything is as before, and
   * nothing has to be compiled for it.
   */
  whileThere<T>(resource: RouteResource, look: () => T): T {
    const id = resourceKey(resource);
    this.#isTrial = true;
    const before = this.#remove(resource.kind, id);
    try {
      this.#add(resource, id);
      return look();
    } finally {
      this.#remove(resource.kind, id);
      if (before !== undefined) this.#add(before, id);
      this.#isTrial = false;
    }
  }

  /** The Service came, changed or went. */
  touchService(id: string): void {
    this.#touch(`service ${id}`);
    this.#touchKey(`Service/${id}`);
    this.#touchKey(anyServiceKey);
  }

  /** A pod that the Service selects came, changed or went. */
  touchPods(serviceId: string): void {
    this.#touchKey(`pods:${serviceId}`);
  }

  /** The Gateway came, changed or went. */
  touchGateway(id: string): void {
    this.#touchKey(`Gateway/${id}`);
  }

  /** A table of routes has to be made again. */
  touchTable(serviceId: string): void {
    this.#touch(`service ${serviceId}`);
  }

  *grantsOf(namespace: string): Generator<ReferenceGrantResource> {
    for (const id of this.#grantsByNamespace.get(namespace)) yield this.#grants.get(id)!;
  }

  #add(resource: RouteResource, id: string): void {
    switch (resource.kind) {
      case 'HTTPRoute':
      case 'GRPCRoute':
        this.routes.set(id, resource);
        break;
      case 'VirtualService':
        this.virtualServices.set(id, resource);
        break;
      case 'DestinationRule':
        this.destinationRules.set(id, resource);
        break;
      case 'ReferenceGrant':
        this.#grants.set(id, resource);
        break;
      default:
        this.policies.set(id, resource);
    }
    this.#index(resource, id, 'add');
  }

  #remove(kind: RouteResource['kind'], id: string): RouteResource | undefined {
    const tables = {
      HTTPRoute: this.routes,
      GRPCRoute: this.routes,
      VirtualService: this.virtualServices,
      DestinationRule: this.destinationRules,
      ReferenceGrant: this.#grants,
      RateLimitPolicy: this.policies,
      TrafficPolicy: this.policies,
    } as const;
    const before = tables[kind].get(id);
    if (before === undefined) return undefined;
    tables[kind].delete(id);
    this.#index(before, id, 'delete');
    return before;
  }

  /** Keeps the indices, and marks whoever has to do with it. */
  #index(resource: RouteResource, id: string, change: 'add' | 'delete'): void {
    this.#touchKey(id);
    switch (resource.kind) {
      case 'HTTPRoute':
      case 'GRPCRoute':
        for (const serviceId of parentServices(resource)) {
          this.routesByService[change](serviceId, id);
          this.#touch(`service ${serviceId}`);
          this.#touchKey(`parents:${serviceId}`);
        }
        break;
      case 'VirtualService':
        if (this.wantedLabels.note(resource, change)) this.#wantLabels(null);
        for (const host of new Set(this.hostsOf(resource))) {
          this.virtualByHost[change](host, id);
          this.#touchHost(host);
          this.#touchKey(`host:${host}`);
        }
        break;
      case 'DestinationRule': {
        const host = fullHost(resource.host, resource.namespace, this.options.clusterDomain);
        this.rulesByHost[change](host, id);
        for (const serviceId of this.#touchHost(host)) this.#wantLabels(serviceId);
        this.#touchKey(`rule-host:${host}`);
        break;
      }
      case 'ReferenceGrant':
        this.#grantsByNamespace[change](resource.namespace, id);
        this.#touchKey(`grants:${resource.namespace}`);
        break;
      default:
        for (const target of new Set(resource.targets.map(resourceKey))) {
          this.policiesByTarget[change](target, id);
          this.#touchKey(`policies:${target}`);
          if (target.startsWith('Service/')) this.#touch(`service ${target.slice('Service/'.length)}`);
          // Who shares a target with it may win or lose it.
          for (const other of this.policiesByTarget.get(target)) this.#touch(`object ${other}`);
        }
    }
  }

  /** The hosts of a VirtualService in full. */
  hostsOf(resource: VirtualServiceResource): string[] {
    return resource.hosts.map((host) => fullHost(host, resource.namespace, this.options.clusterDomain));
  }

  /** Marks the services of a host, and returns them; those of a wildcard are what it covers, so all are looked at. */
  #touchHost(host: string): readonly string[] {
    const { clusterDomain } = this.options;
    const exact = serviceIdOf(host, clusterDomain);
    const covered = ({ namespace, name }: ServiceResource): boolean =>
      coversHost(host, hostnameOf(namespace, name, clusterDomain));
    const ids = host.startsWith('*')
      ? [...this.services].filter(([, service]) => covered(service)).map(([id]) => id)
      : exact === null
        ? []
        : [exact];
    for (const id of ids) this.#touch(`service ${id}`);
    return ids;
  }

  #wantLabels(serviceId: string | null): void {
    if (!this.#isTrial) this.options.labelsWanted(serviceId);
  }

  #touchKey(key: string): void {
    if (this.#isTrial) return;
    for (const unit of this.dependencies.dependents(key)) this.#dirty.add(unit);
  }

  #touch(unit: string): void {
    if (!this.#isTrial) this.#dirty.add(unit);
  }
}

/** `NAMESPACE/NAME` of the Services that a route names as its parents. */
export function parentServices(route: GatewayRouteResource): Set<string> {
  const services = route.parents.filter((parent) => parent.group === '' && parent.kind === 'Service');
  return new Set(services.map((parent) => `${parent.namespace}/${parent.name}`));
}
