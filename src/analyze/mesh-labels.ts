// Labels and annotations of the mesh that nobody reads: misspelt, or on an object where they say nothing.
import { didYouMean, slipOf } from '../base/nearest-name.ts';
import type { Resource, ResourceKind } from '../model/resources.ts';
import { gatewayNameLabel } from '../model/waypoints.ts';
import type { Analyzer, Report } from './analyzer.ts';

type Carrier = 'labels' | 'annotations';

interface KnownKey {
  readonly in: Carrier | 'both';
  /** [] for any. */
  readonly on: readonly ResourceKind[];
}

const templates = ['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job'] as const;
const routes = ['HTTPRoute', 'GRPCRoute', 'VirtualService'] as const;
const bound = ['Namespace', 'Service', 'Pod'] as const;

/** What an author writes and the mesh reads; what the system writes itself is not judged. */
const known: Readonly<Record<string, KnownKey>> = {
  'ambient.mesh/dataplane-mode': { in: 'labels', on: ['Namespace', 'Pod'] },
  'istio.io/dataplane-mode': { in: 'labels', on: ['Namespace', 'Pod'] },
  'ambient.mesh/use-waypoint': { in: 'labels', on: bound },
  'istio.io/use-waypoint': { in: 'labels', on: bound },
  'ambient.mesh/use-waypoint-namespace': { in: 'labels', on: bound },
  'istio.io/use-waypoint-namespace': { in: 'labels', on: bound },
  'ambient.mesh/waypoint-for': { in: 'labels', on: ['Gateway'] },
  'istio.io/waypoint-for': { in: 'labels', on: ['Gateway'] },
  'ambient.mesh/require-waypoint': { in: 'both', on: ['Service'] },
  'ambient.mesh/trace-sampling-percent': { in: 'annotations', on: ['Namespace'] },
  'ambient.mesh/server-timing': { in: 'annotations', on: ['Service'] },
  'ambient.mesh/retry-non-idempotent': { in: 'annotations', on: routes },
  'ambient.mesh/retry-even-if-retried': { in: 'annotations', on: routes },
  'ambient.mesh/replicas': { in: 'annotations', on: ['Gateway'] },
  'ambient.mesh/applied': { in: 'annotations', on: [] },
  'ambient.mesh/config-digest': { in: 'annotations', on: [] },
  'ambient.mesh/system-namespace': { in: 'both', on: [] },
  'istio.io/dry-run': { in: 'annotations', on: ['AuthorizationPolicy'] },
};
const names = Object.keys(known);
/** These are ours: a key of theirs that is not known is a mistake, whatever it is near to. */
const ownDomain = 'ambient.mesh/';

/** Looks at the labels and annotations of all objects. */
export const meshLabels: Analyzer = (mesh, report) => {
  for (const kind of [...bound, ...templates, ...routes, 'Gateway', 'AuthorizationPolicy'] as const) {
    for (const resource of mesh.of(kind) as readonly Resource[]) {
      if (resource.namespace !== '' && resource.namespace === mesh.options.rootNamespaces[0]) continue;
      // What is made for a waypoint nobody has written.
      if (resource.labels[gatewayNameLabel] !== undefined) continue;
      judgeKeys(resource, 'labels', Object.keys(resource.labels), report);
      judgeKeys(resource, 'annotations', Object.keys(resource.annotations), report);
    }
  }
  for (const kind of ['AuthorizationPolicy', 'PeerAuthentication', 'RequestAuthentication'] as const) {
    for (const policy of mesh.of(kind)) {
      const name = policy.selector?.[gatewayNameLabel];
      if (name === undefined) continue;
      const message = `selects the pods of waypoint ${name} by their labels, and waypoints obey what is attached to them`;
      const target = `targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ${name}}]`;
      const fix = kind === 'PeerAuthentication' ? 'remove it: waypoints take mutual TLS alone' : `write ${target}`;
      report(policy, 'AMB1032', ['spec', 'selector', 'matchLabels', gatewayNameLabel], message, fix);
    }
  }
};

function judgeKeys(resource: Resource, carrier: Carrier, keys: readonly string[], report: Report): void {
  for (const key of keys) {
    const path = ['metadata', carrier, key];
    const rule = Object.hasOwn(known, key) ? known[key] : undefined;
    if (rule === undefined) {
      if (!isMistake(key)) continue;
      const message = `${singular(carrier)} ${key} is none that the mesh knows: it says nothing`;
      const to = slipOf(key, names);
      const isFree = to !== null && !keys.includes(to) && known[to]?.on.includes(resource.kind) === true;
      const change = isFree ? ({ kind: 'key', path, to } as const) : null;
      report(resource, 'AMB1018', path, message, `correct or remove it${didYouMean(key, names)}`, change);
    } else if (rule.on.length > 0 && !rule.on.includes(resource.kind)) {
      const isTemplate = (templates as readonly string[]).includes(resource.kind);
      const message = `${singular(carrier)} ${key} says nothing on a ${resource.kind}`;
      const where = isTemplate && rule.on.includes('Pod') ? 'spec.template.metadata' : `a ${rule.on.join(' or ')}`;
      report(resource, 'AMB1018', path, message, `put it on ${where}`);
    } else if (rule.in !== 'both' && rule.in !== carrier) {
      const message = `${key} is a ${singular(rule.in)}, and says nothing among the ${carrier}`;
      report(resource, 'AMB1018', path, message, `put it under metadata.${rule.in}`);
    }
  }
}

/** One of our own that is unknown, or one of Istio's that is nearly one that is read. */
function isMistake(key: string): boolean {
  return key.startsWith(ownDomain) || slipOf(key, names) !== null;
}

function singular(carrier: Carrier): string {
  return carrier === 'labels' ? 'label' : 'annotation';
}
