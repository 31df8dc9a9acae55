// The kinds whose objects the controller makes. Whatever it applies is of one of these, and what it may do in a cluster
// follows from them (`permissions.ts`).
import type { WatchedKind } from './kinds.ts';

interface Entry {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** Of the whole cluster, and defined by whoever installs Gateway API. */
  readonly ofCluster?: true;
}

const written = {
  GatewayClass: { group: 'gateway.networking.k8s.io', version: 'v1', plural: 'gatewayclasses', ofCluster: true },
  ConfigMap: { group: '', version: 'v1', plural: 'configmaps' },
  ServiceAccount: { group: '', version: 'v1', plural: 'serviceaccounts' },
  Service: { group: '', version: 'v1', plural: 'services' },
  Deployment: { group: 'apps', version: 'v1', plural: 'deployments' },
  PodDisruptionBudget: { group: 'policy', version: 'v1', plural: 'poddisruptionbudgets' },
  HorizontalPodAutoscaler: { group: 'autoscaling', version: 'v2', plural: 'horizontalpodautoscalers' },
} as const satisfies Record<string, Entry>;

export type WrittenKind = keyof typeof written;

/** Every kind that is written, as it is followed. */
export const writtenKinds: readonly (WatchedKind & { readonly kind: WrittenKind; readonly ofCluster: boolean })[] =
  Object.entries(written).map(([kind, { group, version, plural, ...rest }]) => ({
    kind: kind as WrittenKind,
    group,
    versions: [version],
    plural,
    ofCluster: 'ofCluster' in rest,
    isCustom: 'ofCluster' in rest,
    needed: 'ifAllowed',
  }));

/** `apps/v1`. */
export function apiVersionOf(kind: WrittenKind): string {
  const { group, version } = written[kind];
  return group === '' ? version : `${group}/${version}`;
}

/** Where the API server has such an object. */
export function pathOfWritten(kind: WrittenKind, namespace: string, name: string): string {
  const entry: Entry = written[kind];
  const root = entry.group === '' ? `/api/${entry.version}` : `/apis/${entry.group}/${entry.version}`;
  return `${root}${entry.ofCluster ? '' : `/namespaces/${namespace}`}/${entry.plural}/${name}`;
}
