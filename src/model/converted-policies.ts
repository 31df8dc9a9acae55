// What is no AuthorizationPolicy and judges all the same: PeerAuthentication, and services that demand their waypoint,
// as the data path sees them: DENY policies under names of their own (ambient-l4 §2.5), which the
// decision turns back into the object that a person wrote.
import type { NamespacedKey, Policy, PolicyMatch } from './types.ts';

const strictName = 'istio_converted_static_strict';
const portLevelPrefix = 'converted_peer_authentication_';
const waypointPrefix = 'ambient_require_waypoint_';
const everyAddress: PolicyMatch = { sourceIps: ['0.0.0.0/0', '::/0'] };
const plaintext: PolicyMatch = { notPrincipals: [{ kind: 'presence' }] };

export const converted = {
  strictKey(rootNamespace: string): NamespacedKey {
    return `${rootNamespace}/${strictName}`;
  },

  portLevelName(peerAuthentication: string): string {
    return `${portLevelPrefix}${peerAuthentication}`;
  },

  requireWaypointKey(namespace: string, service: string): NamespacedKey {
    return `${namespace}/${waypointPrefix}${service}`;
  },

  /**
   * Refuses on these ports (all when empty) whoever is not `principal`, without the scheme; everybody when that is
   * null.
   */
  requireWaypoint(namespace: string, service: string, principal: string | null, ports: readonly number[]): Policy {
    const who: PolicyMatch =
      principal === null ? everyAddress : { notPrincipals: [{ kind: 'exact', value: principal }] };
    const match = ports.length === 0 ? who : { ...who, destinationPorts: ports };
    return deny(namespace, `${waypointPrefix}${service}`, [[match]]);
  },

  /** The Service that demands its waypoint by this policy; null for any other policy. */
  serviceOf(policyName: string): string | null {
    return policyName.startsWith(waypointPrefix) ? policyName.slice(waypointPrefix.length) : null;
  },

  /** The PeerAuthentication behind a policy name, the name itself where many share it; null for any other policy. */
  originOf(policyName: string): string | null {
    if (policyName === strictName) return strictName;
    return policyName.startsWith(portLevelPrefix) ? policyName.slice(portLevelPrefix.length) : null;
  },

  /** Refuses every connection without identity. */
  strict(rootNamespace: string): Policy {
    return deny(rootNamespace, strictName, [[plaintext]]);
  },

  /** Refuses what has no identity, but on these ports. */
  strictExcept(namespace: string, peerAuthentication: string, ports: readonly number[]): Policy {
    const name = converted.portLevelName(peerAuthentication);
    return deny(namespace, name, [[plaintext], [{ notDestinationPorts: ports }]]);
  },

  /** Refuses what has no identity on these ports alone. */
  strictOn(namespace: string, peerAuthentication: string, ports: readonly number[]): Policy {
    const match: PolicyMatch = { ...plaintext, destinationPorts: ports };
    return deny(namespace, converted.portLevelName(peerAuthentication), [[match]]);
  },
};

/**
 * A policy by its key, as its author knows it: `PeerAuthentication shop/default`, `PeerAuthentication STRICT` where
 * many share it, the key itself for any other.
 */
export function authorsNameOf(key: NamespacedKey): string {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  const origin = converted.originOf(name);
  if (origin === null) return key;
  return origin === name ? 'PeerAuthentication STRICT' : `PeerAuthentication ${key.slice(0, slash)}/${origin}`;
}

function deny(namespace: string, name: string, clauses: readonly (readonly PolicyMatch[])[]): Policy {
  const rule = { clauses: clauses.map((matches) => ({ matches })) };
  return { name, namespace, scope: 'workload', action: 'deny', rules: [rule], dryRun: false };
}
