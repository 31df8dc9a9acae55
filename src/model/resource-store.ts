// The resources of a mesh with the indices between them. A change marks what has to be compiled again and nothing else:
// found by namespace, node, label or reference, never by looking at everything.
import { MultiMap } from '../base/multi-map.ts';
import { ownerOf, type PodView, spiffeIdOf, templateId, viewOfPod, viewOfTemplate } from './compile-workload.ts';
import type { CompilerOptions } from './compiler.ts';
import { LabelIndex, SelectorIndex } from './label-index.ts';
import { PeerAuthenticationTable } from './peer-authentication.ts';
import type {
  AuthorizationPolicyResource,
  CertificateRevocationResource,
  EndpointSliceResource,
  GatewayResource,
  Labels,
  NamespaceResource,
  NodeResource,
  PeerAuthenticationResource,
  PodResource,
  RequestAuthenticationResource,
  Resource,
  ResourceKind,
  ServiceResource,
  TemplateKind,
  TemplateResource,
} from './resources.ts';
import type { RouteResource } from './route-resources.ts';
import type { SpiffeId } from './types.ts';
import { gatewayNameLabel, requiresWaypoint } from './waypoints.ts';

/** What has to be compiled again, by the ids of the store. */
export class DirtySet {
  readonly views = new Set<string>();
  readonly services = new Set<string>();
  readonly slices = new Set<string>();
  readonly gateways = new Set<string>();
  readonly authorizations = new Set<string>();
  readonly peerNamespaces = new Set<string>();
  readonly revocations = new Set<string>();
  readonly nodes = new Set<string>();

  addViews(ids: Iterable<string>): void {
    for (const id of ids) this.views.add(id);
  }
}

/** Ids are `NAMESPACE/NAME`; those of pod views are unique among pods and templates. */
export class ResourceStore {
  readonly views = new Map<string, PodView>();
  readonly pods = new Map<string, PodResource>();
  readonly namespaces = new Map<string, NamespaceResource>();
  readonly nodes = new Map<string, NodeResource>();
  readonly services = new Map<string, ServiceResource>();
  readonly slices = new Map<string, EndpointSliceResource>();
  readonly gateways = new Map<string, GatewayResource>();
  readonly authorizations = new Map<string, AuthorizationPolicyResource>();
  readonly revocations = new Map<string, CertificateRevocationResource>();
  readonly peers: PeerAuthenticationTable;
  readonly serviceSelectors = new SelectorIndex();
  readonly authorizationSelectors = new SelectorIndex();
  readonly slicesByService = new MultiMap<string, string>();
  readonly slicesByPod = new MultiMap<string, string>();
  /** Who names a waypoint, by its id; kept by the compiler. */
  readonly servicesByWaypoint = new MultiMap<string, string>();
  readonly viewsByWaypoint = new MultiMap<string, string>();

  readonly #options: CompilerOptions;
  readonly #templates = new Map<string, TemplateResource>();
  readonly #podsByOwner = new MultiMap<string, string>();
  readonly #podsByIdentity = new MultiMap<string, string>();
  readonly #servicesByNamespace = new MultiMap<string, string>();
  readonly #viewsByNamespace = new MultiMap<string, string>();
  readonly #viewsByNode = new MultiMap<string, string>();
  /** Those with endpoints on the node behind which no pod stands. */
  readonly #slicesByNode = new MultiMap<string, string>();
  readonly #viewLabels = new LabelIndex();
  #dirty = new DirtySet();

  constructor(options: CompilerOptions) {
    this.#options = options;
    this.peers = new PeerAuthenticationTable(options.rootNamespaces);
  }

  /** What became dirty since the last call. */
  takeDirty(): DirtySet {
    const dirty = this.#dirty;
    this.#dirty = new DirtySet();
    return dirty;
  }

  upsert(resource: Exclude<Resource, RouteResource | RequestAuthenticationResource>): void {
    const id = `${resource.namespace}/${resource.name}`;
    switch (resource.kind) {
      case 'Pod':
        this.#setPod(id, resource);
        break;
      case 'Namespace':
        this.namespaces.set(resource.name, resource);
        this.#touchNamespace(resource.name);
        break;
      case 'Node':
        this.nodes.set(resource.name, resource);
        this.#dirty.nodes.add(resource.name);
        this.#touchNode(resource.name);
        break;
      case 'Service':
        this.#setService(id, resource);
        break;
      case 'EndpointSlice':
        this.#setSlice(id, resource);
        break;
      case 'AuthorizationPolicy':
        this.#setAuthorization(id, resource);
        break;
      case 'PeerAuthentication':
        this.#touchPeer(this.peers.get(resource.namespace, resource.name));
        this.peers.set(resource);
        this.#touchPeer(resource);
        break;
      case 'Gateway':
        this.#setGateway(id, resource);
        break;
      case 'CertificateRevocation':
        this.revocations.set(id, resource);
        this.#dirty.revocations.add(id);
        break;
      case 'ServiceAccount':
        break;
      default:
        this.#setTemplate(resource.kind, resource.namespace, resource.name, resource);
        break;
    }
  }

  delete(
    kind: Exclude<ResourceKind, RouteResource['kind'] | 'RequestAuthentication'>,
    namespace: string,
    name: string,
  ): void {
    const id = `${namespace}/${name}`;
    switch (kind) {
      case 'Pod':
        this.#setPod(id, null);
        break;
      case 'Namespace':
        this.namespaces.delete(name);
        this.#touchNamespace(name);
        break;
      case 'Node':
        this.nodes.delete(name);
        this.#dirty.nodes.add(name);
        this.#touchNode(name);
        break;
      case 'Service':
        this.#setService(id, null);
        break;
      case 'EndpointSlice':
        this.#setSlice(id, null);
        break;
      case 'AuthorizationPolicy':
        this.#setAuthorization(id, null);
        break;
      case 'PeerAuthentication': {
        const before = this.peers.get(namespace, name);
        this.peers.delete(namespace, name);
        this.#touchPeer(before);
        break;
      }
      case 'Gateway':
        this.#setGateway(id, null);
        break;
      case 'CertificateRevocation':
        this.revocations.delete(id);
        this.#dirty.revocations.add(id);
        break;
      case 'ServiceAccount':
        break;
      default:
        this.#setTemplate(kind, namespace, name, null);
        break;
    }
  }

  /** The views that a selector with at least one label matches. */
  *viewsWith(namespace: string, selector: Labels): Generator<PodView> {
    for (const id of this.#viewLabels.matching(namespace, selector)) yield this.views.get(id)!;
  }

  /** The pods with this SPIFFE id that have not finished and are scheduled on the node. */
  *podsWithIdentity(identity: SpiffeId, node: string): Generator<PodResource> {
    if (node === '') return;
    for (const id of this.#podsByIdentity.get(`${node}\n${identity}`)) yield this.pods.get(id)!;
  }

  /** Something about the endpoints of a service may differ; about every workload, where the id is null. */
  touchEndpoints(serviceId: string | null): void {
    if (serviceId === null) this.#dirty.addViews(this.views.keys());
    else this.#touchService(serviceId);
  }

  #setPod(id: string, pod: PodResource | null): void {
    const before = this.pods.get(id) ?? null;
    if (before !== null) this.#indexPod(id, before, false);
    if (pod === null) this.pods.delete(id);
    else {
      this.pods.set(id, pod);
      this.#indexPod(id, pod, true);
    }
    const { clusterId, expandTemplates } = this.#options;
    this.#setView(id, pod === null ? null : viewOfPod(pod, clusterId, expandTemplates));
    if (!expandTemplates) return;
    for (const one of [before, pod]) if (one !== null) this.#refreshTemplate(ownerId(one));
  }

  #indexPod(id: string, pod: PodResource, isThere: boolean): void {
    const change = isThere ? 'add' : 'delete';
    if (this.#options.expandTemplates) this.#podsByOwner[change](ownerId(pod), id);
    if (pod.phase === 'Succeeded' || pod.phase === 'Failed') return;
    const identity = spiffeIdOf(this.#options.trustDomain, pod.namespace, pod.spec.serviceAccount);
    this.#podsByIdentity[change](`${pod.spec.node}\n${identity}`, id);
  }

  #setTemplate(kind: TemplateKind, namespace: string, name: string, template: TemplateResource | null): void {
    if (!this.#options.expandTemplates) return;
    const id = templateId(kind, namespace, name);
    if (template === null) this.#templates.delete(id);
    else this.#templates.set(id, template);
    this.#refreshTemplate(id);
  }

  /** A template stands for itself only while it owns no pod, belongs to no other and wants any. */
  #refreshTemplate(id: string): void {
    const template = this.#templates.get(id);
    const isAlone = template !== undefined && template.owners.length === 0 && template.replicas > 0;
    const isShown = isAlone && !this.#podsByOwner.has(id);
    this.#setView(id, isShown ? viewOfTemplate(template, this.#options.clusterId) : null);
  }

  #setView(id: string, view: PodView | null): void {
    const before = this.views.get(id);
    if (before !== undefined) {
      this.#viewsByNamespace.delete(before.namespace, id);
      this.#viewsByNode.delete(before.spec.node, id);
      this.#viewLabels.delete(id);
    }
    if (view === null) this.views.delete(id);
    else {
      this.views.set(id, view);
      this.#viewsByNamespace.add(view.namespace, id);
      this.#viewsByNode.add(view.spec.node, id);
      this.#viewLabels.set(id, view.namespace, view.labels);
    }
    if (before !== undefined || view !== null) this.#dirty.views.add(id);
  }

  #setService(id: string, service: ServiceResource | null): void {
    this.#touchService(id);
    this.serviceSelectors.delete(id);
    const namespace = id.slice(0, id.indexOf('/'));
    this.#servicesByNamespace[service === null ? 'delete' : 'add'](namespace, id);
    if (service === null) this.services.delete(id);
    else {
      this.services.set(id, service);
      if (service.selector !== null) this.serviceSelectors.set(id, service.namespace, service.selector);
    }
    this.#touchService(id);
  }

  #setSlice(id: string, slice: EndpointSliceResource | null): void {
    const before = this.slices.get(id) ?? null;
    const services = new Set([before, slice].map(serviceOf).filter((service) => service !== null));
    const hadSlices = new Map([...services].map((service) => [service, this.slicesByService.has(service)]));
    this.#indexSlice(id, before, 'delete');
    if (slice === null) this.slices.delete(id);
    else this.slices.set(id, slice);
    this.#indexSlice(id, slice, 'add');
    this.#dirty.slices.add(id);
    // A pod whose entry is as it was need not be looked at: a slice names up to a hundred of them.
    const old = entriesOf(before);
    const now = entriesOf(slice);
    for (const pod of new Set([...old.keys(), ...now.keys()])) {
      if (old.get(pod) !== now.get(pod)) this.#dirty.views.add(pod);
    }
    for (const service of services) this.#touchRequirement(service);
    // With its first slice a service leaves its selector, with its last it returns to it.
    for (const [service, had] of hadSlices) {
      if (had !== this.slicesByService.has(service)) this.#touchService(service);
    }
  }

  /** Whom only its waypoint may reach is told by the ports of its endpoints. */
  #touchRequirement(id: string): void {
    const service = this.services.get(id);
    if (service !== undefined && requiresWaypoint(service)) this.#dirty.services.add(id);
  }

  #indexSlice(id: string, slice: EndpointSliceResource | null, change: 'add' | 'delete'): void {
    const service = serviceOf(slice);
    if (slice === null || service === null) return;
    this.slicesByService[change](service, id);
    for (const endpoint of slice.endpoints) {
      if (endpoint.pod !== null) this.slicesByPod[change](endpoint.pod, id);
      else this.#slicesByNode[change](endpoint.node, id);
    }
  }

  #setAuthorization(id: string, policy: AuthorizationPolicyResource | null): void {
    this.#dirty.authorizations.add(id);
    this.#touchSelected(this.authorizations.get(id) ?? null);
    this.authorizationSelectors.delete(id);
    if (policy === null) this.authorizations.delete(id);
    else {
      this.authorizations.set(id, policy);
      const { selector, namespace } = policy;
      if (selector !== null) this.authorizationSelectors.set(id, this.#reachOf(namespace), selector);
    }
    this.#touchSelected(policy);
  }

  #setGateway(id: string, gateway: GatewayResource | null): void {
    if (gateway === null) this.gateways.delete(id);
    else this.gateways.set(id, gateway);
    this.#dirty.gateways.add(id);
    this.#touchWaypoint(id);
    const [namespace = '', name = ''] = id.split('/');
    this.#touchMatching(namespace, { [gatewayNameLabel]: name });
  }

  #touchWaypoint(id: string): void {
    for (const service of this.servicesByWaypoint.get(id)) this.#dirty.services.add(service);
    this.#dirty.addViews(this.viewsByWaypoint.get(id));
  }

  #touchNamespace(name: string): void {
    this.#dirty.addViews(this.#viewsByNamespace.get(name));
    for (const id of this.#servicesByNamespace.get(name)) this.#dirty.services.add(id);
  }

  #touchNode(name: string): void {
    this.#dirty.addViews(this.#viewsByNode.get(name));
    for (const id of this.#slicesByNode.get(name)) this.#dirty.slices.add(id);
  }

  /** The pods that a service has or could have as endpoints. */
  #touchService(id: string): void {
    this.#dirty.services.add(id);
    // The Service of a waypoint is where it is reached.
    if (this.gateways.has(id)) this.#touchWaypoint(id);
    const service = this.services.get(id);
    if (service?.selector != null) this.#touchMatching(service.namespace, service.selector);
    for (const sliceId of this.slicesByService.get(id)) {
      this.#dirty.slices.add(sliceId);
      for (const endpoint of this.slices.get(sliceId)?.endpoints ?? []) {
        if (endpoint.pod !== null) this.#dirty.views.add(endpoint.pod);
      }
    }
  }

  #touchSelected(policy: AuthorizationPolicyResource | null): void {
    if (policy?.selector != null) this.#touchMatching(this.#reachOf(policy.namespace), policy.selector);
  }

  #touchPeer(resource: PeerAuthenticationResource | null): void {
    if (resource === null) return;
    this.#dirty.peerNamespaces.add(resource.namespace);
    if (resource.selector !== null) this.#touchMatching(resource.namespace, resource.selector);
    else if (this.peers.isMeshWide(resource)) {
      for (const namespace of this.peers.namespaces()) this.#dirty.peerNamespaces.add(namespace);
      this.#dirty.addViews(this.views.keys());
    } else this.#dirty.addViews(this.#viewsByNamespace.get(resource.namespace));
  }

  #touchMatching(namespace: string | null, selector: Labels): void {
    this.#dirty.addViews(this.#viewLabels.matching(namespace, selector));
  }

  /** A selector in a root namespace looks into all namespaces. */
  #reachOf(namespace: string): string | null {
    return this.#options.rootNamespaces.includes(namespace) ? null : namespace;
  }
}

function ownerId(pod: PodResource): string {
  const owner = ownerOf(pod);
  return templateId(owner.kind, pod.namespace, owner.name);
}

/** Null for a slice that belongs to no service, or that L4 cannot dial. */
function serviceOf(slice: EndpointSliceResource | null): string | null {
  if (slice === null || slice.service === '' || slice.addressType === 'FQDN') return null;
  return `${slice.namespace}/${slice.service}`;
}

/** What a slice says about each pod, in a form to compare. */
function entriesOf(slice: EndpointSliceResource | null): Map<string, string> {
  const entries = new Map<string, string>();
  const service = serviceOf(slice);
  if (slice === null || service === null) return entries;
  const ports = JSON.stringify(slice.ports);
  for (const { pod, ready, terminating } of slice.endpoints) {
    if (pod !== null) entries.set(pod, `${entries.get(pod) ?? ''}${service} ${ports} ${ready} ${terminating};`);
  }
  return entries;
}
