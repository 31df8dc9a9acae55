// Which waypoint stands before a service or a workload: the label on the object, else on its namespace, looked up among
// the Gateways of the waypoint class (l7 §5.1). A waypoint that is named and cannot be used is left out, as Istio does,
// and its author is told; `ambient.mesh/require-waypoint` on the service closes it instead.
import { selects } from './label-index.ts';
import type { GatewayListener, GatewayResource, Labels } from './resources.ts';
import type { NamespacedKey, WaypointAddress } from './types.ts';

export const waypointClasses: readonly string[] = ['ambient-waypoint', 'istio-waypoint'];
/** On the pods and the Service of a waypoint: the Gateway that they are made for. */
export const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name';
export const waypointPort = 15008;
const listenerName = 'mesh';
/** Ours first: where both are there, it decides. */
const useLabels = [
  ['ambient.mesh/use-waypoint', 'ambient.mesh/use-waypoint-namespace'],
  ['istio.io/use-waypoint', 'istio.io/use-waypoint-namespace'],
] as const;
const forLabels = ['ambient.mesh/waypoint-for', 'istio.io/waypoint-for'] as const;
const trafficTypes = ['service', 'workload', 'all', 'none'] as const;
const requireName = 'ambient.mesh/require-waypoint';
const optOut = 'none';

export type TrafficType = (typeof trafficTypes)[number];

/** What labels say about a waypoint. */
export interface WaypointReference {
  readonly namespace: string;
  readonly name: string;
  /** The label that says so, for complaints. */
  readonly label: string;
  /** On the object itself, rather than on its namespace. */
  readonly isOwn: boolean;
}

/** The waypoint to go through, or why the one that is named is not used. */
export type WaypointBinding =
  | { readonly gateway: GatewayResource; readonly problem: null }
  | {
      readonly gateway: null;
      /** `isUnknown`: no Gateway has that name. */
      readonly problem: { readonly message: string; readonly fix: string; readonly isUnknown?: boolean } | null;
    };

const unbound: WaypointBinding = Object.freeze({ gateway: null, problem: null });

/** The waypoint that labels name; null when none, or when they opt out. */
export function referenceOf(namespace: string, labels: Labels, namespaceLabels: Labels): WaypointReference | null {
  for (const [source, isOwn] of [
    [labels, true],
    [namespaceLabels, false],
  ] as const) {
    for (const [label, namespaceLabel] of useLabels) {
      const name = source[label];
      if (name === undefined || name === '') continue;
      return name === optOut ? null : { namespace: source[namespaceLabel] ?? namespace, name, label, isOwn };
    }
  }
  return null;
}

/** True for a Gateway that asks for a waypoint. */
export function isWaypoint(gateway: GatewayResource): boolean {
  return waypointClasses.includes(gateway.gatewayClassName);
}

/** What a waypoint is for; what its label says nothing sensible about is for services. */
export function trafficOf(gateway: GatewayResource): TrafficType {
  for (const label of forLabels) {
    const found = trafficTypes.find((type) => type === gateway.labels[label]);
    if (found !== undefined) return found;
  }
  return 'service';
}

/** True for a waypoint that takes calls to pods by their own addresses. */
export function takesPods(gateway: GatewayResource): boolean {
  const traffic = trafficOf(gateway);
  return isWaypoint(gateway) && (traffic === 'workload' || traffic === 'all');
}

/** The complaint about a waypoint's Gateway itself; null for one that is well. */
export function problemOfGateway(gateway: GatewayResource): { readonly message: string; readonly fix: string } | null {
  if (gateway.name === optOut) {
    return { message: `a waypoint cannot be called "${optOut}"`, fix: 'give it another name' };
  }
  if (meshListener(gateway) !== null) return null;
  const message = 'a waypoint needs a listener for the mesh';
  return { message, fix: `listeners: [{name: ${listenerName}, port: ${waypointPort}, protocol: HBONE}]` };
}

/** True when only the waypoint may reach the endpoints of a service. */
export function requiresWaypoint(service: { readonly labels: Labels; readonly annotations: Labels }): boolean {
  return (service.labels[requireName] ?? service.annotations[requireName]) === 'true';
}

/** Where a waypoint is reached: at the Service that bears its name. */
export function addressOfWaypoint(gateway: GatewayResource, clusterDomain: string): WaypointAddress {
  const { namespace, name } = gateway;
  return { hostname: { namespace, hostname: `${name}.${namespace}.svc.${clusterDomain}` }, hbonePort: waypointPort };
}

/** `NAMESPACE/NAME` of the Gateway behind such an address; null for an address that is not by host name. */
export function gatewayOfAddress({ hostname }: WaypointAddress): NamespacedKey | null {
  if (hostname === undefined) return null;
  const [name = ''] = hostname.hostname.split('.', 1);
  return `${hostname.namespace}/${name}`;
}

export interface BindingQuery {
  readonly reference: WaypointReference | null;
  readonly kind: 'service' | 'workload';
  /** Of the object that is bound. */
  readonly namespace: string;
  readonly namespaceLabels: Labels;
  /** The Gateway by `NAMESPACE/NAME`. */
  readonly gateway: (id: string) => GatewayResource | undefined;
  /** It has an address: somebody has deployed it. */
  readonly isProgrammed: (gateway: GatewayResource) => boolean;
}

/** Decides about one object. */
export function bindingOf(query: BindingQuery): WaypointBinding {
  const { reference, kind, namespace } = query;
  if (reference === null) return unbound;
  const id = `${reference.namespace}/${reference.name}`;
  const bypassed = `${kind === 'service' ? 'its' : "the pod's"} traffic goes without a waypoint`;
  const refused = (why: string, fix: string, isUnknown = false): WaypointBinding => {
    return {
      gateway: null,
      problem: { message: `${reference.label} names ${id}, ${why}: ${bypassed}`, fix, isUnknown },
    };
  };
  const gateway = query.gateway(id);
  if (gateway === undefined) {
    return refused('and there is no such Gateway', `make a Gateway ${id} of a waypoint class`, true);
  }
  if (!isWaypoint(gateway)) {
    return refused(`which is of class ${gateway.gatewayClassName}`, `use the class ${waypointClasses[0]}`);
  }
  const listener = meshListener(gateway);
  if (listener === null || gateway.name === optOut) {
    return refused('which is not accepted', 'see what is said about that Gateway');
  }
  if (!admits(gateway, listener, namespace, query.namespaceLabels)) {
    const fix = 'allowedRoutes: {namespaces: {from: All}} on its listener, or a waypoint of its own namespace';
    return refused('which does not admit other namespaces', fix);
  }
  const traffic = trafficOf(gateway);
  if (traffic !== 'all' && traffic !== kind) {
    // A label on the namespace is meant for whatever the waypoint is for.
    if (!reference.isOwn) return unbound;
    return refused(`which is for ${traffic}`, `label the Gateway ${forLabels[0]}: ${kind} or all`);
  }
  if (!query.isProgrammed(gateway)) return refused('which has no address yet', 'wait until it is deployed');
  return { gateway, problem: null };
}

function meshListener(gateway: GatewayResource): GatewayListener | null {
  return gateway.listeners.find(isMeshListener) ?? null;
}

/** True for the listener at which a waypoint is reached. */
export function isMeshListener({ port, protocol }: GatewayListener): boolean {
  return port === waypointPort && protocol === 'HBONE';
}

function admits(gateway: GatewayResource, listener: GatewayListener, namespace: string, labels: Labels): boolean {
  if (namespace === gateway.namespace) return listener.from !== 'None';
  if (listener.from === 'All') return true;
  return listener.from === 'Selector' && selects(listener.selector, labels);
}
