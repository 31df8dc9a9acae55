// From Kubernetes resources to the mesh: pure, and incremental. `upsert` and `delete` note what changed, `flush`
// compiles that and nothing else, and says how the mesh differs from before.
import { compileAuthorization, statusAtNodes } from './compile-authorization.ts';
import { compileRevocation } from './compile-revocation.ts';
import { compileService, hostnameOf, idOfService, portsOfSlice, portsOnPod } from './compile-service.ts';
import { WaypointBindings } from './compile-waypoints.ts';
import { compileWorkload, localityOf, type PodView, sliceWorkload, templateId } from './compile-workload.ts';
import type { ObjectStatus } from './conditions.ts';
import { converted } from './converted-policies.ts';
import { enrolmentIssues } from './enrolment.ts';
import { type NamesOf, toldIssue } from './issues.ts';
import { serviceKey } from './mesh-index.ts';
import { OutputTable } from './output-table.ts';
import { policyKey } from './policy-table.ts';
import { ResourceStore } from './resource-store.ts';
import type { GatewayResource, Labels, PodPhase, Resource, ResourceKind, ServiceResource } from './resources.ts';
import { resourceKey } from './resources.ts';
import { RevocationList } from './revocation.ts';
import { isRouteKind, isRouteResource } from './route-resources.ts';
import type { ServiceRoutes } from './route-types.ts';
import { RouteCompiler } from './routes/route-compiler.ts';
import { defaultServiceRoutes, noRoutes } from './routes/route-defaults.ts';
import type {
  MeshUpdate,
  NamespacedKey,
  NodeNetwork,
  Policy,
  PortMapping,
  ResourceIssue,
  Revocation,
  Service,
  SpiffeId,
  Workload,
} from './types.ts';
import type { MeshView } from './views.ts';
import { WaypointPolicies } from './waypoint-policies.ts';
import { isWaypoint } from './waypoints.ts';

export interface CompilerOptions {
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  /** The system's namespace first; policies in any of them without a selector hold for the whole mesh. */
  readonly rootNamespaces: readonly string[];
  /** Offline: a Deployment and the like without pods stands as one healthy workload without address. */
  readonly expandTemplates: boolean;
}

export interface PodInfo {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly node: string;
  readonly phase: PodPhase;
  readonly hostNetwork: boolean;
  /** Whose waypoint it is: the name of the Gateway; null for any other pod. */
  readonly gateway: string | null;
}

/** Holds the resources of a mesh and compiles what changed. */
export class MeshCompiler {
  readonly #options: CompilerOptions;
  readonly #store: ResourceStore;
  readonly #routes: RouteCompiler;
  readonly #waypointPolicies: WaypointPolicies;
  /** Routes of services as they were compiled, and with the policies that belong to them. */
  readonly #routesAlone = new Map<NamespacedKey, ServiceRoutes>();
  readonly #serviceRoutes = new OutputTable<ServiceRoutes>();
  readonly #waypoints: WaypointBindings;
  readonly #workloads = new OutputTable<Workload>();
  readonly #services = new OutputTable<Service>();
  readonly #policies = new OutputTable<Policy>();
  readonly #revocations = new OutputTable<Revocation>();
  readonly #nodes = new OutputTable<NodeNetwork>();
  readonly #revoked = new RevocationList();
  /** Names in the output by the id of what they were compiled from. */
  readonly #uidByView = new Map<string, string>();
  readonly #uidsBySlice = new Map<string, readonly string[]>();
  readonly #policiesByPeerNamespace = new Map<string, readonly NamespacedKey[]>();
  #strictPolicy: NamespacedKey | null = null;
  /** Of policies that node proxies enforce. */
  readonly #policyStatuses = new Map<string, ObjectStatus>();
  /** By resource key. */
  readonly #issues = new Map<string, readonly ResourceIssue[]>();
  readonly #touchedIssues = new Set<string>();

  constructor(options: CompilerOptions) {
    this.#options = options;
    this.#store = new ResourceStore(options);
    const report = (id: string, issues: readonly ResourceIssue[]): void => this.#setIssues(id, issues);
    const waypointOf = (id: string): { namespace: string; name: string } | null =>
      this.#waypoints.ofService(id, this.#store.services.get(id)).gateway;
    const labelsWanted = (id: string | null): void => this.#store.touchEndpoints(id);
    const isWaypointGateway = (id: string): boolean => {
      const gateway = this.#store.gateways.get(id);
      return gateway !== undefined && isWaypoint(gateway);
    };
    const podLabelsOf = (id: string): Iterable<Labels> => this.#podLabelsOf(id);
    const annotationsOf = (name: string): Labels => this.#store.namespaces.get(name)?.annotations ?? {};
    const hooks = { report, waypointOf, labelsWanted, podLabelsOf, isWaypoint: isWaypointGateway, annotationsOf };
    this.#routes = new RouteCompiler({ ...options, ...hooks }, this.#store.services);
    this.#waypoints = new WaypointBindings(this.#store, options);
    const { services, gateways } = this.#store;
    this.#waypointPolicies = new WaypointPolicies({ ...options, services, gateways, report });
  }

  /** Adds or replaces a resource; takes effect with the next `flush`. */
  upsert(resource: Resource): void {
    if (isRouteResource(resource)) {
      this.#routes.upsert(resource);
      return;
    }
    const id = `${resource.namespace}/${resource.name}`;
    if (resource.kind === 'AuthorizationPolicy') this.#waypointPolicies.set(resource.kind, id, resource);
    if (resource.kind === 'RequestAuthentication') {
      this.#waypointPolicies.set(resource.kind, id, resource);
      return;
    }
    this.#store.upsert(resource);
    if (resource.kind === 'Pod' || resource.kind === 'Namespace') {
      this.#setIssues(resourceKey(resource), enrolmentIssues(resource));
    }
  }

  /** Removes a resource; one that is not there is ignored. */
  delete(kind: ResourceKind, namespace: string, name: string): void {
    if (isRouteKind(kind)) {
      this.#routes.delete(kind, namespace, name);
      return;
    }
    const id = `${namespace}/${name}`;
    if (kind === 'AuthorizationPolicy') this.#waypointPolicies.set(kind, id, null);
    if (kind === 'RequestAuthentication') {
      this.#waypointPolicies.set(kind, id, null);
      return;
    }
    this.#store.delete(kind, namespace, name);
    this.#setIssues(resourceKey({ kind, namespace, name }), []);
  }

  /** What changed since the last flush, and the findings about the resources that were compiled for it. */
  flush(): { update: MeshUpdate; issues: readonly ResourceIssue[] } {
    const dirty = this.#store.takeDirty();
    for (const id of dirty.authorizations) this.#compileAuthorization(id);
    for (const id of dirty.revocations) this.#compileRevocation(id);
    for (const name of dirty.nodes) {
      const node = this.#store.nodes.get(name);
      this.#nodes.set(name, node === undefined ? null : { name, podCidrs: node.podCidrs });
    }
    for (const namespace of dirty.peerNamespaces) this.#compilePeers(namespace);
    if (dirty.peerNamespaces.size > 0) this.#compileStrictPolicy();
    for (const id of dirty.gateways) {
      this.#setIssues(`Gateway/${id}`, this.#waypoints.issuesOf(this.#store.gateways.get(id)));
      this.#waypointPolicies.touchGateway(id);
      this.#routes.touchGateway(id);
    }
    for (const id of dirty.services) {
      this.#compileService(id);
      this.#routes.touchService(id);
    }
    for (const id of dirty.views) this.#compileView(id);
    for (const id of dirty.slices) this.#compileSlice(id);
    const workloads = this.#workloads.take();
    const services = this.#services.take();
    const policies = this.#policies.take();
    this.#compileRoutes();
    const routes = this.#serviceRoutes.take();
    const revocations = this.#revocations.take();
    const nodes = this.#nodes.take();
    const update = {
      workloads: workloads.changed,
      services: services.changed,
      policies: policies.changed,
      removedAddresses: [...workloads.removed, ...services.removed],
      removedPolicies: policies.removed,
      routes: routes.changed,
      removedRoutes: routes.removed,
      revocations: revocations.changed,
      removedRevocations: revocations.removed,
      nodes: nodes.changed,
      removedNodes: nodes.removed,
      complete: false,
    };
    this.#revoked.apply(update);
    const touched = [...this.#touchedIssues].flatMap((key) => this.#issues.get(key) ?? []);
    const issues = touched.map((issue) => toldIssue(issue, this.namesOf));
    this.#touchedIssues.clear();
    return { update, issues };
  }

  /** The whole mesh as of the last flush. */
  mesh(): MeshView {
    return {
      workloads: [...this.#workloads.values()],
      services: [...this.#services.values()],
      policies: [...this.#policies.values()],
      routes: [...this.#serviceRoutes.values()],
      revocations: [...this.#revocations.values()],
      nodes: [...this.#nodes.values()],
    };
  }

  /** As `mesh`, as an update with `complete: true`. */
  snapshot(): MeshUpdate {
    return { ...this.mesh(), removedAddresses: [], removedPolicies: [], removedRoutes: [], complete: true };
  }

  /** What became of every object that carries conditions. */
  statuses(): readonly ObjectStatus[] {
    return [
      ...this.#waypoints.statuses(),
      ...this.#routes.statuses(),
      ...this.#waypointPolicies.statuses(),
      ...this.#policyStatuses.values(),
    ];
  }

  /** Every Gateway, of whatever class. */
  gateways(): readonly GatewayResource[] {
    return [...this.#store.gateways.values()];
  }

  /** Every finding about the present resources. */
  issues(): readonly ResourceIssue[] {
    return this.rawIssues().map((issue) => toldIssue(issue, this.namesOf));
  }

  /** The same, each with what was looked for in vain. */
  rawIssues(): readonly ResourceIssue[] {
    return [...this.#issues.values()].flat();
  }

  /** `NAMESPACE/NAME` of the objects of a kind that others name; of Gateways those of waypoints. */
  readonly namesOf: NamesOf = (kind) => {
    if (kind === 'Service') return this.#store.services.keys();
    if (kind !== 'Gateway') return this.#routes.namesOf(kind);
    return [...this.#store.gateways].filter(([, gateway]) => isWaypoint(gateway)).map(([id]) => id);
  };

  /** The findings about a resource as if it were among the present ones, which stay as they are. */
  findingsAbout(resource: Resource): readonly ResourceIssue[] {
    // Whoever may have an object reviewed is told the name that he nearly knows, and not all names.
    return this.#rawFindingsAbout(resource).map((issue) => toldIssue(issue, this.namesOf, false));
  }

  #rawFindingsAbout(resource: Resource): readonly ResourceIssue[] {
    if (isRouteResource(resource)) return this.#routes.findingsAbout(resource);
    const { rootNamespaces } = this.#options;
    switch (resource.kind) {
      case 'AuthorizationPolicy':
        return [
          ...compileAuthorization(resource, rootNamespaces).issues,
          ...this.#waypointPolicies.findingsAbout(resource),
        ];
      case 'RequestAuthentication':
        return this.#waypointPolicies.findingsAbout(resource);
      case 'PeerAuthentication':
        return this.#store.peers.findingsAbout(resource);
      case 'CertificateRevocation':
        return compileRevocation(resource, rootNamespaces[0] ?? '').issues;
      case 'Gateway':
        return this.#waypoints.issuesOf(resource);
      default:
        return enrolmentIssues(resource);
    }
  }

  /** The pod as its resource says, finished ones too; null when there is none. */
  pod(namespace: string, name: string): PodInfo | null {
    const pod = this.#store.pods.get(`${namespace}/${name}`);
    if (pod === undefined) return null;
    const { serviceAccount, node, hostNetwork } = pod.spec;
    const gateway = this.#waypoints.gatewayOf(namespace, pod.labels)?.name ?? null;
    return { uid: pod.uid, namespace, name, serviceAccount, node, phase: pod.phase, hostNetwork, gateway };
  }

  /**
   * True when a pod with this SPIFFE id that has not finished is scheduled on the node. Waypoints do not count: they
   * have a certificate of their own.
   */
  hasIdentityOnNode(identity: SpiffeId, node: string): boolean {
    for (const pod of this.#store.podsWithIdentity(identity, node)) {
      if (this.#waypoints.gatewayOf(pod.namespace, pod.labels) === null) return true;
    }
    return false;
  }

  /**
   * When the validity of a certificate of this identity may begin at the earliest, by the revocations that name the
   * identity; 0 when none does. Milliseconds since the epoch.
   */
  issuedBeforeMs(identity: SpiffeId): number {
    return this.#revoked.issuedBeforeMs(identity);
  }

  /**
   * The PeerAuthentication for which a workload refuses plaintext; null when it does not, or the workload is no pod.
   */
  peerAuthenticationOf(workload: { readonly uid: string }): { namespace: string; name: string } | null {
    const [, , kind = '', namespace = '', name = ''] = workload.uid.split('/');
    const view = this.#store.views.get(kind === 'Pod' ? `${namespace}/${name}` : templateId(kind, namespace, name));
    if (view === undefined) return null;
    const { decidedBy } = this.#store.peers.outcomeFor(view.namespace, view.labels);
    return decidedBy === null ? null : { namespace: decidedBy.namespace, name: decidedBy.name };
  }

  #compileAuthorization(id: string): void {
    const resource = this.#store.authorizations.get(id);
    const compiled = resource === undefined ? null : compileAuthorization(resource, this.#options.rootNamespaces);
    this.#policies.set(id, compiled?.policy ?? null);
    this.#setIssues(`AuthorizationPolicy/${id}`, compiled?.issues ?? []);
    const status = resource === undefined || compiled === null ? null : statusAtNodes(resource, compiled);
    if (status === null) this.#policyStatuses.delete(id);
    else this.#policyStatuses.set(id, status);
  }

  #compileRevocation(id: string): void {
    const resource = this.#store.revocations.get(id);
    const systemNamespace = this.#options.rootNamespaces[0] ?? '';
    const compiled = resource === undefined ? null : compileRevocation(resource, systemNamespace);
    this.#revocations.set(id, compiled?.revocation ?? null);
    this.#setIssues(`CertificateRevocation/${id}`, compiled?.issues ?? []);
  }

  #compilePeers(namespace: string): void {
    const policies = this.#store.peers.policiesOf(namespace);
    const keys = policies.map(policyKey);
    for (const key of this.#policiesByPeerNamespace.get(namespace) ?? []) {
      if (!keys.includes(key)) this.#policies.set(key, null);
    }
    for (const policy of policies) this.#policies.set(policyKey(policy), policy);
    this.#policiesByPeerNamespace.set(namespace, keys);
    for (const [name, issues] of this.#store.peers.issuesOf(namespace)) {
      this.#setIssues(resourceKey({ kind: 'PeerAuthentication', namespace, name }), issues);
    }
  }

  #compileStrictPolicy(): void {
    const policy = this.#store.peers.strictPolicy();
    if (policy === null && this.#strictPolicy !== null) this.#policies.set(this.#strictPolicy, null);
    this.#strictPolicy = policy === null ? null : policyKey(policy);
    if (policy !== null) this.#policies.set(policyKey(policy), policy);
  }

  #compileService(id: string): void {
    const resource = this.#store.services.get(id);
    const { waypoint, gateway, issues } = this.#waypoints.ofService(id, resource);
    const service = resource === undefined ? null : compileService(resource, this.#options.clusterDomain, waypoint);
    const [namespace = '', name = ''] = id.split('/');
    const hostname = hostnameOf(namespace, name, this.#options.clusterDomain);
    this.#services.set(serviceKey({ namespace, hostname }), service);
    this.#waypointPolicies.bind(id, gateway === null ? null : `${gateway.namespace}/${gateway.name}`);
    this.#policies.set(converted.requireWaypointKey(namespace, name), this.#waypoints.requirement(resource, gateway));
    this.#setIssues(`Service/${id}`, issues);
  }

  /** A service with a policy and no route of its own has the default routes, since the policy travels with them. */
  #compileRoutes(): void {
    const { changed, removed } = this.#routes.flush();
    for (const routes of changed) this.#routesAlone.set(routes.service, routes);
    for (const key of removed) this.#routesAlone.delete(key);
    const touched = new Map<NamespacedKey, string>();
    for (const id of this.#waypointPolicies.flush()) touched.set(this.#keyOfService(id), id);
    for (const key of [...changed.map((routes) => routes.service), ...removed]) touched.set(key, idOfService(key));
    for (const [key, id] of touched) {
      const guard = this.#waypointPolicies.guardOf(id);
      const service = this.#services.get(key);
      const alone = this.#routesAlone.get(key) ?? null;
      const forPods = this.#waypointPolicies.guardOfPods(id);
      if (forPods !== null) this.#serviceRoutes.set(key, { ...noRoutes(key), ...forPods, podsOf: id });
      else if (guard === null || service === undefined) this.#serviceRoutes.set(key, alone);
      else this.#serviceRoutes.set(key, { ...(alone ?? defaultServiceRoutes(service)), ...guard });
    }
  }

  #keyOfService(id: string): NamespacedKey {
    const [namespace = '', name = ''] = id.split('/');
    return serviceKey({ namespace, hostname: hostnameOf(namespace, name, this.#options.clusterDomain) });
  }

  #compileView(id: string): void {
    const view = this.#store.views.get(id);
    const before = this.#uidByView.get(id);
    const { waypoint, issues } = this.#waypoints.ofView(id, view);
    this.#setIssues(`waypoint of ${id}`, issues);
    const { serviceSelectors } = this.#store;
    this.#routes.touchPod(id, () => (view === undefined ? [] : serviceSelectors.matching(view.namespace, view.labels)));
    if (before !== undefined && before !== view?.uid) this.#workloads.set(before, null);
    if (view === undefined) {
      this.#uidByView.delete(id);
      return;
    }
    const { trustDomain, clusterId, rootNamespaces } = this.#options;
    const workload = compileWorkload(view, {
      trustDomain,
      clusterId,
      systemNamespace: rootNamespaces[0] ?? '',
      namespaceLabels: this.#store.namespaces.get(view.namespace)?.labels ?? {},
      node: this.#store.nodes.get(view.spec.node) ?? null,
      policies: this.#policiesOf(view),
      services: this.#servicesOf(view),
      waypoint,
      isWaypoint: this.#waypoints.gatewayOf(view.namespace, view.labels) !== null,
      wantedLabels: this.#routes.wantedLabels(view.labels, this.#servedBy(view)),
    });
    this.#uidByView.set(id, view.uid);
    this.#workloads.set(view.uid, workload);
  }

  #policiesOf(view: PodView): readonly NamespacedKey[] {
    const matching = this.#store.authorizationSelectors.matching(view.namespace, view.labels);
    const keys = matching.filter((key) => this.#policies.get(key) !== undefined);
    const { policy } = this.#store.peers.outcomeFor(view.namespace, view.labels);
    const demanded = this.#waypoints.requirementsOf(this.#servedBy(view));
    return policy === null ? [...keys, ...demanded] : [...keys, policy, ...demanded];
  }

  *#podLabelsOf(serviceId: string): Generator<Labels> {
    const service = this.#store.services.get(serviceId);
    if (service === undefined || service.selector === null) return;
    for (const view of this.#store.viewsWith(service.namespace, service.selector)) yield view.labels;
  }

  /** Services, `NAMESPACE/NAME`, that a pod answers for, ready or not. */
  #servedBy(view: PodView): Set<string> {
    const { serviceSelectors, slicesByService, slicesByPod, slices } = this.#store;
    const selected = [...serviceSelectors.matching(view.namespace, view.labels)];
    const listed = [...slicesByPod.get(view.id)].map((id) => slices.get(id)!);
    return new Set([
      ...selected.filter((id) => !slicesByService.has(id)),
      ...listed.map(({ namespace, service }) => `${namespace}/${service}`),
    ]);
  }

  #servicesOf(view: PodView): Record<NamespacedKey, readonly PortMapping[]> {
    const found: Record<NamespacedKey, readonly PortMapping[]> = {};
    const store = this.#store;
    for (const id of store.serviceSelectors.matching(view.namespace, view.labels)) {
      if (store.slicesByService.has(id)) continue;
      this.#addPorts(found, store.services.get(id), (service) => portsOnPod(service, view.spec));
    }
    for (const sliceId of store.slicesByPod.get(view.id)) {
      const slice = store.slices.get(sliceId)!;
      const isServing = slice.endpoints.some((one) => one.pod === view.id && one.ready && !one.terminating);
      const service = store.services.get(`${slice.namespace}/${slice.service}`);
      if (isServing) this.#addPorts(found, service, (resource) => portsOfSlice(resource, slice));
    }
    return found;
  }

  #addPorts(
    found: Record<NamespacedKey, readonly PortMapping[]>,
    service: ServiceResource | undefined,
    portsOf: (service: ServiceResource) => PortMapping[],
  ): void {
    if (service === undefined || service.type === 'ExternalName') return;
    const ports = portsOf(service);
    if (ports.length === 0) return;
    const { namespace, name } = service;
    const key = serviceKey({ namespace, hostname: hostnameOf(namespace, name, this.#options.clusterDomain) });
    const others = (found[key] ?? []).filter((one) => ports.every((port) => port.servicePort !== one.servicePort));
    found[key] = [...others, ...ports].sort((a, b) => a.servicePort - b.servicePort);
  }

  /** The endpoints of a slice behind which no pod stands: workloads of their own, outside the mesh. */
  #compileSlice(id: string): void {
    const slice = this.#store.slices.get(id);
    const workloads = new Map<string, Workload>();
    if (slice !== undefined && slice.addressType !== 'FQDN' && slice.service !== '') {
      const services: Record<NamespacedKey, readonly PortMapping[]> = {};
      const service = this.#store.services.get(`${slice.namespace}/${slice.service}`);
      this.#addPorts(services, service, (resource) => portsOfSlice(resource, slice));
      for (const endpoint of slice.endpoints) {
        if (endpoint.pod !== null) continue;
        const node = this.#store.nodes.get(endpoint.node) ?? null;
        const isHealthy = endpoint.ready && !endpoint.terminating;
        for (const address of endpoint.addresses) {
          const workload = sliceWorkload(this.#options, slice, address, { node: endpoint.node, healthy: isHealthy });
          workloads.set(workload.uid, { ...workload, locality: localityOf(node), services });
        }
      }
    }
    for (const uid of this.#uidsBySlice.get(id) ?? []) if (!workloads.has(uid)) this.#workloads.set(uid, null);
    for (const [uid, workload] of workloads) this.#workloads.set(uid, workload);
    if (workloads.size === 0) this.#uidsBySlice.delete(id);
    else this.#uidsBySlice.set(id, [...workloads.keys()]);
  }

  #setIssues(key: string, issues: readonly ResourceIssue[]): void {
    if (issues.length > 0) {
      this.#issues.set(key, issues);
      this.#touchedIssues.add(key);
    } else {
      this.#issues.delete(key);
      this.#touchedIssues.delete(key);
    }
  }
}
