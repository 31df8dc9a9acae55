// What analyzers look at: the resources by kind, the pods that there are or will be, and the compiled mesh.

import type { UnusedObject } from '../kube/manifests.ts';
import { isEnrolled } from '../model/enrolment.ts';
import { selects } from '../model/label-index.ts';
import { PeerAuthenticationTable } from '../model/peer-authentication.ts';
import {
  type Labels,
  type PodResource,
  type PodSpec,
  type Resource,
  type ResourceKind,
  resourceKey,
  type ServiceResource,
  type TemplateResource,
} from '../model/resources.ts';
import type { GatewayRouteResource } from '../model/route-resources.ts';
import type { Service } from '../model/types.ts';
import type { MeshView } from '../model/views.ts';
import { gatewayNameLabel } from '../model/waypoints.ts';
import type { SeenEdge } from './seen-edges.ts';

/** A pod, or what a template makes. */
export interface PodLike {
  readonly resource: PodResource | TemplateResource;
  readonly namespace: string;
  readonly labels: Labels;
  readonly spec: PodSpec;
  readonly isEnrolled: boolean;
}

/** True for a pod of a waypoint, which speaks for the mesh without being enrolled. */
export function isWaypointPod({ labels }: Pick<PodLike, 'labels'>): boolean {
  return labels[gatewayNameLabel] !== undefined;
}

export interface AnalyzedMeshOptions {
  readonly clusterDomain: string;
  /** The system's own first. */
  readonly rootNamespaces: readonly string[];
}

type OfKind<Kind extends ResourceKind> = Extract<Resource, { kind: Kind }>;

const podKinds = ['Pod', 'Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job'] as const;

/** Resources and the mesh that they make, for questions across objects. */
export class AnalyzedMesh {
  readonly options: AnalyzedMeshOptions;
  readonly unused: readonly UnusedObject[];
  readonly view: MeshView;
  readonly pods: readonly PodLike[];
  /** Who was seen calling whom; [] where nobody has looked. */
  readonly edges: readonly SeenEdge[];
  readonly peers: PeerAuthenticationTable;
  readonly #byKind = new Map<ResourceKind, Resource[]>();
  readonly #podsByNamespace = new Map<string, PodLike[]>();
  readonly #namespaceLabels = new Map<string, Labels>();
  readonly #services = new Map<string, Service>();
  readonly #byKey = new Map<string, Resource>();
  #servicesOfPods: ReadonlyMap<PodLike, readonly ServiceResource[]> | null = null;

  constructor(
    resources: readonly Resource[],
    unused: readonly UnusedObject[],
    view: MeshView,
    options: AnalyzedMeshOptions,
    edges: readonly SeenEdge[] = [],
  ) {
    this.options = options;
    this.edges = edges;
    this.unused = unused;
    this.view = view;
    for (const resource of resources) {
      this.#byKey.set(resourceKey(resource), resource);
      const known = this.#byKind.get(resource.kind);
      if (known === undefined) this.#byKind.set(resource.kind, [resource]);
      else known.push(resource);
    }
    for (const { name, labels } of this.of('Namespace')) this.#namespaceLabels.set(name, labels);
    this.pods = podKinds.flatMap((kind) => this.of(kind).map((one) => this.#podLike(one)));
    for (const pod of this.pods) {
      const known = this.#podsByNamespace.get(pod.namespace);
      if (known === undefined) this.#podsByNamespace.set(pod.namespace, [pod]);
      else known.push(pod);
    }
    for (const service of view.services) this.#services.set(`${service.namespace}/${service.name}`, service);
    this.peers = new PeerAuthenticationTable(options.rootNamespaces);
    for (const peer of this.of('PeerAuthentication')) this.peers.set(peer);
  }

  /** The resources of a kind. */
  of<Kind extends ResourceKind>(kind: Kind): readonly OfKind<Kind>[] {
    return (this.#byKind.get(kind) ?? []) as unknown as readonly OfKind<Kind>[];
  }

  /** The resource of that name. */
  resource(kind: ResourceKind, namespace: string, name: string): Resource | undefined {
    return this.#byKey.get(resourceKey({ kind, namespace, name }));
  }

  /** Pods and templates that a selector selects; `namespace` null looks everywhere. */
  selected(namespace: string | null, selector: Labels): readonly PodLike[] {
    const among = namespace === null ? this.pods : (this.#podsByNamespace.get(namespace) ?? []);
    return among.filter((pod) => selects(selector, pod.labels));
  }

  /** Null for every namespace: the policies of a root namespace hold for the whole mesh. */
  reachOf(namespace: string): string | null {
    return this.options.rootNamespaces.includes(namespace) ? null : namespace;
  }

  /** The pods of a service; [] for one without a selector. */
  podsOf(service: ServiceResource): readonly PodLike[] {
    return service.selector === null ? [] : this.selected(service.namespace, service.selector);
  }

  /** The services that select a pod. */
  servicesOf(pod: PodLike): readonly ServiceResource[] {
    this.#servicesOfPods ??= this.#indexServices();
    return this.#servicesOfPods.get(pod) ?? [];
  }

  /** How many pods there are or will be of these: what templates ask for, or else the pods. */
  countOf(pods: readonly PodLike[]): number {
    const templates = pods.flatMap(({ resource }) => (resource.kind === 'Pod' ? [] : [resource.replicas]));
    return templates.length === 0 ? pods.length : templates.reduce((sum, replicas) => sum + replicas, 0);
  }

  /** The compiled service `NAMESPACE/NAME`. */
  service(id: string): Service | null {
    return this.#services.get(id) ?? null;
  }

  /** HTTPRoutes and GRPCRoutes. */
  gatewayRoutes(): readonly GatewayRouteResource[] {
    return (['HTTPRoute', 'GRPCRoute'] as const).flatMap(
      (kind) => (this.#byKind.get(kind) ?? []) as readonly GatewayRouteResource[],
    );
  }

  /** The labels of a namespace; none for one that is not there. */
  labelsOf(namespace: string): Labels {
    return this.#namespaceLabels.get(namespace) ?? {};
  }

  namespaceNames(): ReadonlySet<string> {
    return new Set([...this.of('Namespace').map(({ name }) => name), ...this.pods.map(({ namespace }) => namespace)]);
  }

  #indexServices(): ReadonlyMap<PodLike, readonly ServiceResource[]> {
    const index = new Map<PodLike, ServiceResource[]>();
    for (const service of this.of('Service')) {
      for (const pod of this.podsOf(service)) {
        const known = index.get(pod);
        if (known === undefined) index.set(pod, [service]);
        else known.push(service);
      }
    }
    return index;
  }

  #podLike(resource: PodResource | TemplateResource): PodLike {
    const isPod = resource.kind === 'Pod';
    const labels = isPod ? resource.labels : resource.templateLabels;
    const annotations = isPod ? resource.annotations : resource.templateAnnotations;
    const spec = isPod ? resource.spec : resource.template;
    const { namespace } = resource;
    const namespaceLabels = this.labelsOf(namespace);
    const systemNamespace = this.options.rootNamespaces[0] ?? '';
    const { hostNetwork } = spec;
    const facts = { namespace, labels, annotations, hostNetwork, namespaceLabels, systemNamespace };
    return { resource, namespace, labels, spec, isEnrolled: isEnrolled(facts) };
  }
}
