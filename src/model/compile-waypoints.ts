// Binds services and workloads to their waypoints while the mesh is compiled, and remembers who names which waypoint,
// so that a change of a Gateway costs no scan.
import type { PodView } from './compile-workload.ts';
import type { CompilerOptions } from './compiler.ts';
import {
  type Condition,
  type ConditionType,
  conditionOf,
  type ListenerStatus,
  type ObjectStatus,
} from './conditions.ts';
import { converted } from './converted-policies.ts';
import { IssueList } from './issues.ts';
import type { ResourceStore } from './resource-store.ts';
import type { GatewayListener, GatewayResource, Labels, Resource, ServiceResource } from './resources.ts';
import type { NamespacedKey, Policy, ResourceIssue, Sought, WaypointAddress } from './types.ts';
import {
  addressOfWaypoint,
  bindingOf,
  gatewayNameLabel,
  isMeshListener,
  isWaypoint,
  problemOfGateway,
  referenceOf,
  requiresWaypoint,
  type WaypointBinding,
  type WaypointReference,
  waypointPort,
} from './waypoints.ts';

export interface BoundObject {
  readonly waypoint: WaypointAddress | null;
  /** The Gateway of it. */
  readonly gateway: GatewayResource | null;
  readonly issues: readonly ResourceIssue[];
}

const none: BoundObject = Object.freeze({ waypoint: null, gateway: null, issues: [] });

/** One per compiler. */
export class WaypointBindings {
  readonly #store: ResourceStore;
  readonly #options: CompilerOptions;
  /** The waypoint that each service and view names. */
  readonly #namedBy = { service: new Map<string, string>(), workload: new Map<string, string>() };

  constructor(store: ResourceStore, options: CompilerOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The waypoint of a service; those of a waypoint itself have none. `service` undefined: it has gone. */
  ofService(id: string, service: ServiceResource | undefined): BoundObject {
    if (service === undefined || this.gatewayOf(service.namespace, service.labels) !== null) {
      this.#note('service', id, null);
      return none;
    }
    return this.#bind('service', id, service, service);
  }

  /** The waypoint of a workload, for who dials its own address. */
  ofView(id: string, view: PodView | undefined): BoundObject {
    if (view === undefined || this.gatewayOf(view.namespace, view.labels) !== null) {
      this.#note('workload', id, null);
      return none;
    }
    return this.#bind('workload', id, view, this.#store.pods.get(id) ?? null);
  }

  /** The Gateway whose waypoint a pod or Service with these labels is part of, or null. */
  gatewayOf(namespace: string, labels: Labels): GatewayResource | null {
    const name = labels[gatewayNameLabel];
    const gateway = name === undefined ? undefined : this.#store.gateways.get(`${namespace}/${name}`);
    return gateway !== undefined && isWaypoint(gateway) ? gateway : null;
  }

  /** What became of every Gateway that asks for a waypoint. */
  *statuses(): Generator<ObjectStatus> {
    for (const gateway of this.#store.gateways.values()) {
      if (isWaypoint(gateway)) yield this.#statusOf(gateway);
    }
  }

  /** The findings about a Gateway itself. */
  issuesOf(gateway: GatewayResource | undefined): readonly ResourceIssue[] {
    if (gateway === undefined || !isWaypoint(gateway)) return [];
    const problem = problemOfGateway(gateway);
    if (problem === null) return [];
    const list = new IssueList(gateway);
    list.add('AMB0103', ['spec', 'listeners'], problem.message, problem.fix);
    return list.issues;
  }

  /** The policy of a service that only its waypoint may reach; null for others. */
  requirement(service: ServiceResource | undefined, gateway: GatewayResource | null): Policy | null {
    if (service === undefined || !requiresWaypoint(service)) return null;
    const { namespace, name } = service;
    const { trustDomain } = this.#options;
    const principal = gateway === null ? null : `${trustDomain}/ns/${gateway.namespace}/sa/${gateway.name}`;
    return converted.requireWaypoint(namespace, name, principal, this.#targetPorts(service));
  }

  /** The policies of services that demand their waypoint, among those that a pod answers for (`NAMESPACE/NAME`). */
  requirementsOf(services: Iterable<string>): NamespacedKey[] {
    const keys: NamespacedKey[] = [];
    for (const id of services) {
      const service = this.#store.services.get(id);
      if (service === undefined || !requiresWaypoint(service)) continue;
      keys.push(converted.requireWaypointKey(service.namespace, service.name));
    }
    return keys;
  }

  /** The ports of the pods behind a service; empty when one of them cannot be told, which stands for all ports. */
  #targetPorts(service: ServiceResource): readonly number[] {
    const id = `${service.namespace}/${service.name}`;
    const slices = [...this.#store.slicesByService.get(id)].map((slice) => this.#store.slices.get(slice)!);
    const ports = new Set<number>();
    for (const { name, protocol, targetPort } of service.ports) {
      if (protocol !== 'TCP') continue;
      const numbers =
        typeof targetPort === 'number'
          ? [targetPort]
          : slices.flatMap((slice) => slice.ports.filter((port) => port.name === name).map(({ port }) => port));
      if (numbers.length === 0) return [];
      for (const number of numbers) ports.add(number);
    }
    return [...ports].sort((a, b) => a - b);
  }

  #bind(
    kind: 'service' | 'workload',
    id: string,
    object: { readonly namespace: string; readonly labels: Labels },
    resource: Resource | null,
  ): BoundObject {
    const { namespace, labels } = object;
    const namespaceLabels = this.#store.namespaces.get(namespace)?.labels ?? {};
    const reference = referenceOf(namespace, labels, namespaceLabels);
    this.#note(kind, id, reference);
    const binding = bindingOf({
      reference,
      kind,
      namespace,
      namespaceLabels,
      gateway: (name) => this.#store.gateways.get(name),
      isProgrammed: (gateway) => this.#isProgrammed(gateway),
    });
    const { gateway } = binding;
    const waypoint = gateway === null ? null : addressOfWaypoint(gateway, this.#options.clusterDomain);
    return { waypoint, gateway, issues: resource === null ? [] : issuesOf(resource, reference, binding) };
  }

  #statusOf(gateway: GatewayResource): ObjectStatus {
    const { kind, namespace, name } = gateway;
    const problem = problemOfGateway(gateway);
    const accepted =
      problem === null
        ? conditionOf(gateway, 'Accepted', true, 'Accepted', 'the waypoint is valid')
        : conditionOf(gateway, 'Accepted', false, 'Invalid', `${problem.message}; ${problem.fix}`);
    const missing = problem === null ? this.#missingOf(gateway) : (['Invalid', problem.message] as const);
    const [reason, message] = missing ?? ['Programmed', 'a pod of it is ready'];
    const programmed = conditionOf(gateway, 'Programmed', missing === null, reason, message);
    const addresses = this.#addressesOf(gateway);
    const listeners = gateway.listeners.map((listener) => listenerStatus(gateway, listener, programmed));
    return { kind, namespace, name, conditions: [accepted, programmed], parents: [], addresses, listeners };
  }

  /** What clients of a Gateway's status are told: the addresses of its Service, as Istio does for waypoints. */
  #addressesOf({ namespace, name }: GatewayResource): NonNullable<ObjectStatus['addresses']> {
    const service = this.#store.services.get(`${namespace}/${name}`);
    return (service?.clusterIps ?? []).map((value) => ({ type: 'IPAddress', value }));
  }

  /** What a waypoint lacks to take traffic, with the reason by Gateway API; null for nothing. */
  #missingOf(gateway: GatewayResource): readonly [reason: string, message: string] | null {
    if (!this.#isProgrammed(gateway)) return ['AddressNotAssigned', 'it has no address yet'];
    if (this.#options.expandTemplates) return null;
    const pods = this.#store.viewsWith(gateway.namespace, { [gatewayNameLabel]: gateway.name });
    for (const pod of pods) if (pod.healthy) return null;
    return ['Pending', 'no pod of it is ready'];
  }

  /** Offline, where no Gateway has a status, each counts as deployed. */
  #isProgrammed(gateway: GatewayResource): boolean {
    if (gateway.addresses.length > 0 || this.#options.expandTemplates) return true;
    const service = this.#store.services.get(`${gateway.namespace}/${gateway.name}`);
    return service !== undefined && service.clusterIps.length > 0;
  }

  #note(kind: 'service' | 'workload', id: string, reference: WaypointReference | null): void {
    const named = this.#namedBy[kind];
    const index = kind === 'service' ? this.#store.servicesByWaypoint : this.#store.viewsByWaypoint;
    const before = named.get(id);
    const now = reference === null ? undefined : `${reference.namespace}/${reference.name}`;
    if (before === now) return;
    if (before !== undefined) index.delete(before, id);
    if (now === undefined) named.delete(id);
    else {
      named.set(id, now);
      index.add(now, id);
    }
  }
}

/** Only the mesh's listener is served; routes are attached to the services behind a waypoint, and to no listener. */
function listenerStatus(gateway: GatewayResource, listener: GatewayListener, programmed: Condition): ListenerStatus {
  const { name } = listener;
  const condition = (type: ConditionType, isTrue: boolean, reason: string, message: string) =>
    conditionOf(gateway, type, isTrue, reason, message);
  const wrong = isMeshListener(listener) ? null : `a waypoint serves {port: ${waypointPort}, protocol: HBONE} alone`;
  const reason = listener.protocol === 'HBONE' ? 'PortUnavailable' : 'UnsupportedProtocol';
  const conditions =
    wrong === null
      ? [condition('Accepted', true, 'Accepted', 'the listener is valid'), programmed]
      : [condition('Accepted', false, reason, wrong), condition('Programmed', false, 'Invalid', wrong)];
  const resolved = condition('ResolvedRefs', true, 'ResolvedRefs', 'nothing is referred to');
  return { name, supportedKinds: [], attachedRoutes: 0, conditions: [...conditions, resolved] };
}

/** What is wrong on the namespace is said of each service in it, and of no pod: a pod has rarely one of its own. */
function issuesOf(
  resource: Resource,
  reference: WaypointReference | null,
  { problem }: WaypointBinding,
): readonly ResourceIssue[] {
  if (problem === null || reference === null || (resource.kind === 'Pod' && !reference.isOwn)) return [];
  const list = new IssueList(resource);
  const demanded = requiresWaypoint(resource) ? ': its endpoints refuse everybody, as it demands its waypoint' : '';
  const path = ['metadata', 'labels', reference.label];
  const { namespace, name, isOwn } = reference;
  const sought: Sought = { kind: 'Gateway', namespace, name, path: isOwn ? path : null };
  const { message, fix, isUnknown } = problem;
  list.add('AMB0102', path, `${message}${demanded}`, fix, isUnknown === true ? sought : null);
  return list.issues;
}
