// The kinds that are served: the built-in ones as a table, and those that CustomResourceDefinitions add and take away.
import type { Schema } from './structural-schema.ts';

export interface Column {
  readonly name: string;
  readonly type: string;
  /** Simple JSON path, as `additionalPrinterColumns` has it. */
  readonly jsonPath: string;
  readonly description?: string;
  readonly format?: string;
  readonly priority?: number;
}

/** One kind in one version. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Status is written on its own path, and only there. */
  readonly hasStatus: boolean;
  /** `metadata.generation` counts what an author wrote. */
  readonly hasGeneration: boolean;
  /** Fields beside name and namespace that a custom resource can be selected by. */
  readonly selectableFields: readonly string[];
  readonly schema: Schema | null;
  readonly columns: readonly Column[];
  readonly isCustom: boolean;
  /** `apiVersion` that objects are stored with. */
  readonly storedAs: string;
}

/** `v1`, `apps/v1`. */
export function apiVersionOf({ group, version }: Pick<ResourceType, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

type Flag = 'cluster' | 'status' | 'generation';
type Row = readonly [kind: string, plural: string, shortNames: string, flags: string];

const rows: Readonly<Record<string, readonly Row[]>> = {
  v1: [
    ['Namespace', 'namespaces', 'ns', 'cluster status'],
    ['Node', 'nodes', 'no', 'cluster status'],
    ['Pod', 'pods', 'po', 'status generation'],
    ['Service', 'services', 'svc', 'status'],
    ['ServiceAccount', 'serviceaccounts', 'sa', ''],
    ['ConfigMap', 'configmaps', 'cm', ''],
    ['Secret', 'secrets', '', ''],
    ['Endpoints', 'endpoints', 'ep', ''],
    ['Event', 'events', 'ev', ''],
    ['PersistentVolumeClaim', 'persistentvolumeclaims', 'pvc', 'status'],
    ['PersistentVolume', 'persistentvolumes', 'pv', 'cluster status'],
    ['ResourceQuota', 'resourcequotas', 'quota', 'status'],
    ['LimitRange', 'limitranges', 'limits', ''],
  ],
  'apps/v1': [
    ['Deployment', 'deployments', 'deploy', 'status generation'],
    ['ReplicaSet', 'replicasets', 'rs', 'status generation'],
    ['StatefulSet', 'statefulsets', 'sts', 'status generation'],
    ['DaemonSet', 'daemonsets', 'ds', 'status generation'],
  ],
  'batch/v1': [
    ['Job', 'jobs', '', 'status generation'],
    ['CronJob', 'cronjobs', 'cj', 'status generation'],
  ],
  'autoscaling/v2': [['HorizontalPodAutoscaler', 'horizontalpodautoscalers', 'hpa', 'status']],
  'policy/v1': [['PodDisruptionBudget', 'poddisruptionbudgets', 'pdb', 'status generation']],
  'discovery.k8s.io/v1': [['EndpointSlice', 'endpointslices', '', 'generation']],
  'events.k8s.io/v1': [['Event', 'events', 'ev', '']],
  'coordination.k8s.io/v1': [['Lease', 'leases', '', '']],
  'networking.k8s.io/v1': [
    ['NetworkPolicy', 'networkpolicies', 'netpol', 'generation'],
    ['Ingress', 'ingresses', 'ing', 'status generation'],
    ['IngressClass', 'ingressclasses', '', 'cluster generation'],
  ],
  'storage.k8s.io/v1': [['StorageClass', 'storageclasses', 'sc', 'cluster']],
  'scheduling.k8s.io/v1': [['PriorityClass', 'priorityclasses', 'pc', 'cluster generation']],
  'rbac.authorization.k8s.io/v1': [
    ['Role', 'roles', '', ''],
    ['RoleBinding', 'rolebindings', '', ''],
    ['ClusterRole', 'clusterroles', '', 'cluster'],
    ['ClusterRoleBinding', 'clusterrolebindings', '', 'cluster'],
  ],
  'admissionregistration.k8s.io/v1': [
    ['ValidatingWebhookConfiguration', 'validatingwebhookconfigurations', '', 'cluster generation'],
    ['MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', '', 'cluster generation'],
  ],
  'apiextensions.k8s.io/v1': [
    ['CustomResourceDefinition', 'customresourcedefinitions', 'crd crds', 'cluster status generation'],
  ],
};

/** The kinds of others that the mesh reads, served without definitions where a lab wants them. */
const meshRows: Readonly<Record<string, readonly Row[]>> = {
  'gateway.networking.k8s.io/v1': [
    ['GatewayClass', 'gatewayclasses', 'gc', 'cluster status generation'],
    ['Gateway', 'gateways', 'gtw', 'status generation'],
    ['HTTPRoute', 'httproutes', '', 'status generation'],
    ['GRPCRoute', 'grpcroutes', '', 'status generation'],
  ],
  'gateway.networking.k8s.io/v1beta1': [
    ['Gateway', 'gateways', 'gtw', 'status generation'],
    ['HTTPRoute', 'httproutes', '', 'status generation'],
    ['ReferenceGrant', 'referencegrants', 'refgrant', 'generation'],
  ],
  'security.istio.io/v1': [
    ['AuthorizationPolicy', 'authorizationpolicies', 'ap', 'status generation'],
    ['PeerAuthentication', 'peerauthentications', 'pa', 'status generation'],
    ['RequestAuthentication', 'requestauthentications', 'ra', 'status generation'],
  ],
  'security.istio.io/v1beta1': [
    ['AuthorizationPolicy', 'authorizationpolicies', 'ap', 'status generation'],
    ['PeerAuthentication', 'peerauthentications', 'pa', 'status generation'],
    ['RequestAuthentication', 'requestauthentications', 'ra', 'status generation'],
  ],
  'networking.istio.io/v1': [
    ['VirtualService', 'virtualservices', 'vs', 'status generation'],
    ['DestinationRule', 'destinationrules', 'dr', 'status generation'],
  ],
  'networking.istio.io/v1beta1': [
    ['VirtualService', 'virtualservices', 'vs', 'status generation'],
    ['DestinationRule', 'destinationrules', 'dr', 'status generation'],
  ],
  'ambient.mesh/v1alpha1': [
    ['RateLimitPolicy', 'ratelimitpolicies', '', 'status generation'],
    ['TrafficPolicy', 'trafficpolicies', '', 'status generation'],
    ['CertificateRevocation', 'certificaterevocations', '', 'status generation'],
  ],
};

/** In `kubectl get all`. */
const inAll = new Set([
  'pods',
  'services',
  'deployments',
  'replicasets',
  'statefulsets',
  'daemonsets',
  'jobs',
  'cronjobs',
]);

function typesOf(table: Readonly<Record<string, readonly Row[]>>, isCustom: boolean): ResourceType[] {
  return Object.entries(table).flatMap(([apiVersion, list]) => {
    const slash = apiVersion.indexOf('/');
    const group = slash < 0 ? '' : apiVersion.slice(0, slash);
    const version = apiVersion.slice(slash + 1);
    return list.map(([kind, plural, shortNames, flagText]): ResourceType => {
      const flags = new Set(flagText.split(' ') as Flag[]);
      return {
        group,
        version,
        kind,
        plural,
        singular: kind.toLowerCase(),
        namespaced: !flags.has('cluster'),
        shortNames: shortNames === '' ? [] : shortNames.split(' '),
        categories: inAll.has(plural) ? ['all'] : [],
        hasStatus: flags.has('status'),
        hasGeneration: flags.has('generation'),
        selectableFields: [],
        schema: null,
        columns: [],
        isCustom,
        storedAs: apiVersion,
      };
    });
  });
}

export const builtInTypes: readonly ResourceType[] = typesOf(rows, false);
/** Gateway API, Istio's and our own kinds, without the schemas that their definitions would bring. */
export const meshTypes: readonly ResourceType[] = typesOf(meshRows, true);

/** Which kinds there are at this time. */
export class ResourceRegistry {
  readonly #fixed: readonly ResourceType[];
  #custom: readonly ResourceType[] = [];
  #byPath = new Map<string, ResourceType>();
  #byKind = new Map<string, ResourceType>();

  constructor(fixed: readonly ResourceType[]) {
    this.#fixed = fixed;
    this.#index();
  }

  all(): readonly ResourceType[] {
    const defined = new Set(this.#custom.map((type) => `${type.group}/${type.plural}`));
    return [...this.#fixed.filter((type) => !defined.has(`${type.group}/${type.plural}`)), ...this.#custom];
  }

  /** Replaces what definitions brought. */
  setCustom(types: readonly ResourceType[]): void {
    this.#custom = types;
    this.#index();
  }

  byPath(group: string, version: string, plural: string): ResourceType | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`);
  }

  /** Any version of a kind. */
  byKind(group: string, kind: string): ResourceType | undefined {
    return this.#byKind.get(`${group}/${kind}`);
  }

  #index(): void {
    const types = this.all();
    this.#byPath = new Map(types.map((type) => [`${type.group}/${type.version}/${type.plural}`, type]));
    this.#byKind = new Map([...types].reverse().map((type) => [`${type.group}/${type.kind}`, type]));
  }
}
