// What the mesh makes of a resource, as conditions in the shape of Kubernetes: in the `status` of the object, and in
// `ambientctl status`.
import type { ResourceMeta } from './resources.ts';

/** The kinds that conditions are written to; what may be written to a cluster follows from it. */
export const kindsWithConditions = [
  'GatewayClass',
  'Gateway',
  'HTTPRoute',
  'GRPCRoute',
  'AuthorizationPolicy',
  'RequestAuthentication',
  'VirtualService',
  'DestinationRule',
  'TrafficPolicy',
  'RateLimitPolicy',
] as const;
export type ConditionKind = (typeof kindsWithConditions)[number];

export const conditionTypes = [
  'Accepted',
  'ResolvedRefs',
  'Programmed',
  'WaypointAccepted',
  'ZtunnelAccepted',
  'PartiallyInvalid',
] as const;
export type ConditionType = (typeof conditionTypes)[number];

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  /** A word of Gateway API or Istio, such as `BackendNotFound`. */
  readonly reason: string;
  readonly message: string;
  /** `metadata.generation` that this is about; null for an object that has none. */
  readonly observedGeneration: number | null;
}

export interface ParentStatus {
  readonly parentRef: {
    readonly group: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly port?: number;
    readonly sectionName?: string;
  };
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

/** Of one listener of a Gateway. */
export interface ListenerStatus {
  readonly name: string;
  /** Kinds of routes that it takes. */
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly attachedRoutes: number;
  readonly conditions: readonly Condition[];
}

/** The status of one object: per parent for routes of Gateway API, of the object itself for all others. */
export interface ObjectStatus {
  readonly kind: ConditionKind;
  /** '' for what is in none. */
  readonly namespace: string;
  readonly name: string;
  readonly conditions: readonly Condition[];
  readonly parents: readonly ParentStatus[];
  /** Of a Gateway: where it is reached. Absent for what has none. */
  readonly addresses?: readonly { readonly type: 'IPAddress' | 'Hostname'; readonly value: string }[];
  /** Of a Gateway. */
  readonly listeners?: readonly ListenerStatus[];
}

/** `controllerName` in statuses of Gateway API. */
export const controllerName = 'ambient.mesh/controller';

/** A condition about an object as it is now. */
export function conditionOf(
  resource: Pick<ResourceMeta, 'raw'>,
  type: ConditionType,
  isTrue: boolean,
  reason: string,
  message: string,
): Condition {
  return { type, status: isTrue ? 'True' : 'False', reason, message, observedGeneration: generationOf(resource) };
}

function generationOf(resource: Pick<ResourceMeta, 'raw'>): number | null {
  const metadata = resource.raw['metadata'];
  const generation = (metadata as { generation?: unknown } | undefined)?.generation;
  return typeof generation === 'number' ? generation : null;
}
