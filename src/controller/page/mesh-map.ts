// The compiled mesh as the graph shows it: which node a pod or a service belongs to. A service and the pods that it is
// mainly for are one node; services that are only backends of another one's routes are shown within that one.

import { deploymentOf } from '../../model/flow-line.ts';
import { serviceKey } from '../../model/mesh-index.ts';
import type { GraphNode } from '../../model/page-views.ts';
import type { Backend, ServiceRoutes } from '../../model/route-types.ts';
import type { NamespacedKey, Service, Workload } from '../../model/types.ts';
import type { MeshView } from '../../model/views.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import type { FlowPlace } from './flow-window.ts';

export const outsideId = 'outside';

/** A node of the graph, as far as the mesh alone says. */
export interface MeshNode {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly kind: GraphNode['kind'];
  readonly isWaypoint: boolean;
  /** The service that it is called by, and those that are shown within it; [] for workloads. */
  readonly services: readonly Service[];
  /** Its pods. */
  readonly pods: Workload[];
  readonly routes: readonly ServiceRoutes[];
}

type Peer = FlowView['source'];

/** Built anew when the mesh changes. */
export class MeshMap {
  readonly nodes = new Map<string, MeshNode>();
  readonly mesh: MeshView;
  /** By `NAMESPACE/NAME` of pods, and by `NAMESPACE/DEPLOYMENT` as counters have it. */
  readonly #nodeOfPod = new Map<string, MeshNode>();
  readonly #nodeOfWorkload = new Map<string, MeshNode>();
  readonly #nodeOfHost = new Map<string, MeshNode>();
  readonly #pods = new Map<string, Workload>();
  readonly #waypointPods = new Set<string>();

  constructor(mesh: MeshView) {
    this.mesh = mesh;
    const routes = new Map((mesh.routes ?? []).map((each) => [each.service, each]));
    const within = backendsWithin(mesh, routes);
    for (const service of mesh.services) {
      const key = serviceKey(service);
      if (!within.has(key)) this.#addService(service, routes.get(key));
    }
    for (const service of mesh.services) {
      const parent = within.get(serviceKey(service));
      const node = parent === undefined ? undefined : this.nodes.get(parent);
      if (node === undefined) continue;
      (node.services as Service[]).push(service);
      this.#nodeOfHost.set(service.hostname, node);
    }
    const sizes = new Map<NamespacedKey, number>();
    for (const { services } of mesh.workloads) {
      for (const key of Object.keys(services)) sizes.set(key, (sizes.get(key) ?? 0) + 1);
    }
    for (const workload of mesh.workloads) this.#addPod(workload, sizes);
  }

  /** The compiled workload of a pod `NAMESPACE/NAME`. */
  pod(name: string): Workload | null {
    return this.#pods.get(name) ?? null;
  }

  /** Where a flow belongs. A waypoint tells of what it carries by itself; proxies around it only of what it cannot. */
  placeOf(flow: FlowView): FlowPlace | null {
    const { source, destination, reporter } = flow;
    const isFromWaypoint = this.#waypointPods.has(keyOf(source));
    const isToWaypoint = this.#waypointPods.has(keyOf(destination));
    if (isFromWaypoint && (flow.flag !== 'DENY' || reporter.kind === 'waypoint')) return null;
    const from = this.#idOfPeer(source);
    if (reporter.kind === 'waypoint') return { from, to: this.#idOfCalled(destination, true), teller: 'counts' };
    const isSource = flow.direction === 'outbound' && flow.transport === 'mtls';
    return { from, to: this.#idOfCalled(destination, isToWaypoint), teller: isSource ? 'source' : 'counts' };
  }

  /** The node of a workload as counters name it; '' where they name none. */
  idOfCounted(namespace: string, workload: string, service: string): string {
    const isWaypoint = this.#nodeOfWorkload.get(`${namespace}/${workload}`)?.isWaypoint === true;
    if (service !== '' && (workload === '' || isWaypoint))
      return this.#nodeOfHost.get(hostOf(service))?.id ?? outsideId;
    if (workload === '') return outsideId;
    return this.#nodeOfWorkload.get(`${namespace}/${workload}`)?.id ?? `${namespace}/${workload}`;
  }

  /** True for a workload, as counters name it, that is a waypoint. */
  isWaypoint(namespace: string, workload: string): boolean {
    return this.#nodeOfWorkload.get(`${namespace}/${workload}`)?.isWaypoint === true;
  }

  /** The node that a service `NAMESPACE/NAME` is shown in. */
  nodeOfService(id: string): MeshNode | null {
    const [namespace, name] = id.split('/');
    const service = this.mesh.services.find((one) => one.namespace === namespace && one.name === name);
    return service === undefined ? null : (this.#nodeOfHost.get(service.hostname) ?? null);
  }

  #idOfPeer(peer: Peer): string {
    if (peer.workload === null) return outsideId;
    const key = keyOf(peer);
    // A pod that has gone is remembered by the name of what made it.
    const made = `${peer.namespace}/${deploymentOf(peer.workload)}`;
    return (this.#nodeOfPod.get(key) ?? this.#nodeOfWorkload.get(made))?.id ?? made;
  }

  /** By the service that was called, where that says more than the pod that answered. */
  #idOfCalled(destination: FlowView['destination'], byService: boolean): string {
    const { service, workload } = destination;
    if (service !== null && (byService || workload === null)) {
      const found = this.#nodeOfHost.get(hostOf(service));
      if (found !== undefined) return found.id;
      const [name = '', namespace = ''] = hostOf(service).split('.');
      return `${namespace}/${name}`;
    }
    return this.#idOfPeer(destination);
  }

  #addService(service: Service, routes: ServiceRoutes | undefined): void {
    const { namespace, name } = service;
    const id = `${namespace}/${name}`;
    const node: MeshNode = {
      ...{ id, namespace, name, kind: 'service', isWaypoint: false },
      services: [service],
      pods: [],
      routes: routes === undefined ? [] : [routes],
    };
    this.nodes.set(id, node);
    this.#nodeOfHost.set(service.hostname, node);
  }

  #addPod(workload: Workload, sizes: ReadonlyMap<NamespacedKey, number>): void {
    const { namespace, name, workloadName, nativeTunnel } = workload;
    const node = this.#mainNode(workload, sizes) ?? this.#workloadNode(workload);
    if (nativeTunnel) {
      (node as { isWaypoint: boolean }).isWaypoint = true;
      this.#waypointPods.add(`${namespace}/${name}`);
    }
    node.pods.push(workload);
    this.#pods.set(`${namespace}/${name}`, workload);
    this.#nodeOfPod.set(`${namespace}/${name}`, node);
    this.#nodeOfWorkload.set(`${namespace}/${workloadName}`, node);
  }

  /** Of the services that a pod answers for: the one that bears its name, else the largest, else the first by name. */
  #mainNode({ services, workloadName, canonicalName }: Workload, sizes: ReadonlyMap<NamespacedKey, number>) {
    const found = Object.keys(services)
      .map((key) => ({ key, node: this.#nodeOfHost.get(hostOf(key)) }))
      .filter((one) => one.node !== undefined);
    const named = (name: string) => found.find(({ node }) => node?.name === name);
    const [largest] = found.sort(
      (a, b) => (sizes.get(b.key) ?? 0) - (sizes.get(a.key) ?? 0) || (a.key < b.key ? -1 : 1),
    );
    return (named(workloadName) ?? named(canonicalName) ?? largest)?.node ?? null;
  }

  #workloadNode({ namespace, workloadName: name }: Workload): MeshNode {
    const taken = this.nodes.get(`${namespace}/${name}`);
    const id =
      taken === undefined || taken.kind === 'workload' ? `${namespace}/${name}` : `${namespace}/${name}~workload`;
    const known = this.nodes.get(id);
    if (known !== undefined) return known;
    const node: MeshNode = {
      ...{ id, namespace, name, kind: 'workload', isWaypoint: false },
      ...{ services: [], pods: [], routes: [] },
    };
    this.nodes.set(id, node);
    return node;
  }
}

/** Backends of the rules of a service that are services themselves. */
export function backendsOf(routes: ServiceRoutes): Backend[] {
  return routes.ports.flatMap(({ rules, tcpBackends }) => [
    ...rules.flatMap(({ action }) => (action.kind === 'forward' ? action.backends : [])),
    ...tcpBackends,
  ]);
}

/** Services that are nothing but backends of one other service of their namespace: by key, the id of that one. */
function backendsWithin(
  { services }: MeshView,
  routes: ReadonlyMap<NamespacedKey, ServiceRoutes>,
): ReadonlyMap<NamespacedKey, string> {
  const parents = new Map<NamespacedKey, Set<NamespacedKey>>();
  for (const [parent, each] of routes) {
    for (const { service } of backendsOf(each)) {
      if (service === parent) continue;
      const known = parents.get(service);
      if (known === undefined) parents.set(service, new Set([parent]));
      else known.add(parent);
    }
  }
  const within = new Map<NamespacedKey, string>();
  const byKey = new Map(services.map((service) => [serviceKey(service), service]));
  for (const [key, among] of parents) {
    const [parent] = among;
    const of = parent === undefined ? undefined : byKey.get(parent);
    const hasOwnRoutes = routes.get(key)?.ports.some(({ attached }) => attached) === true;
    if (of === undefined || among.size > 1 || hasOwnRoutes || of.namespace !== byKey.get(key)?.namespace) continue;
    within.set(key, `${of.namespace}/${of.name}`);
  }
  return within;
}

function keyOf({ namespace, workload }: { readonly namespace: string | null; readonly workload: string | null }) {
  return `${namespace}/${workload}`;
}

/** `cart.shop.svc.cluster.local`, of that or of `shop/cart.shop.svc.cluster.local`. */
function hostOf(service: string): string {
  return service.slice(service.indexOf('/') + 1);
}
