// PeerAuthentication as the data path sees it: DENY policies under names of their own (ambient-l4 §2.5), which the
// decision turns back into the object that a person wrote.
import type { NamespacedKey, Policy, PolicyMatch } from './types.ts';

const strictName = 'istio_converted_static_strict';
const portLevelPrefix = 'converted_peer_authentication_';
const plaintext: PolicyMatch = { notPrincipals: [{ kind: 'presence' }] };

export const converted = {
  strictKey(rootNamespace: string): NamespacedKey {
    return `${rootNamespace}/${strictName}`;
  },

  portLevelName(peerAuthentication: string): string {
    return `${portLevelPrefix}${peerAuthentication}`;
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

function deny(namespace: string, name: string, clauses: readonly (readonly PolicyMatch[])[]): Policy {
  const rule = { clauses: clauses.map((matches) => ({ matches })) };
  return { name, namespace, scope: 'workload', action: 'deny', rules: [rule], dryRun: false };
}
