// What analyzers look at: the resources by kind, the pods that there are or will be, and the compiled mesh.

import type { UnusedObject } from '../kube/manifests.ts';
import { isEnrolled } from '../model/enrolment.ts';
import { selects } from '../model/label-index.ts';
import type {
  Labels,
  PodResource,
  PodSpec,
  Resource,
  ResourceKind,
  ServiceResource,
  TemplateResource,
} from '../model/resources.ts';
import type { GatewayRouteResource } from '../model/route-resources.ts';
import type { Service } from '../model/types.ts';
import type { MeshView } from '../model/views.ts';

/** A pod, or what a template makes. */
export interface PodLike {
  readonly resource: PodResource | TemplateResource;
  readonly namespace: string;
  readonly labels: Labels;
  readonly spec: PodSpec;
  readonly isEnrolled: boolean;
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
  readonly #byKind = new Map<ResourceKind, Resource[]>();
  readonly #podsByNamespace = new Map<string, PodLike[]>();
  readonly #namespaceLabels = new Map<string, Labels>();
  readonly #services = new Map<string, Service>();

  constructor(
    resources: readonly Resource[],
    unused: readonly UnusedObject[],
    view: MeshView,
    options: AnalyzedMeshOptions,
  ) {
    this.options = options;
    this.unused = unused;
    this.view = view;
    for (const resource of resources) {
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
  }

  /** The resources of a kind. */
  of<Kind extends ResourceKind>(kind: Kind): readonly OfKind<Kind>[] {
    return (this.#byKind.get(kind) ?? []) as unknown as readonly OfKind<Kind>[];
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
