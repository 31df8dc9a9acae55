// The L4 authorisation decision: pure, cheap, and the same for the node proxy, `why` and tests.
import { MeshError } from '../base/errors.ts';
import type { EffectivePolicies } from '../model/mesh-index.ts';
import type { SpiffeId } from '../model/types.ts';

export interface ConnectionFacts {
  /** Null for plaintext. */
  readonly sourceIdentity: SpiffeId | null;
  readonly sourceIp: string;
  /** Pod address and pod port, not those of a service. */
  readonly destinationIp: string;
  readonly destinationPort: number;
}

export interface PolicyReference {
  readonly kind: 'AuthorizationPolicy' | 'PeerAuthentication';
  readonly namespace: string;
  readonly name: string;
  /** Which rule matched, from 0; null when the policy decided because none of its rules did, or it is not known. */
  readonly rule: number | null;
}

export interface Decision {
  readonly allowed: boolean;
  readonly decidedBy: PolicyReference | null;
  readonly reason: string;
  /** Dry-run policies that would have matched. */
  readonly dryRun: readonly (PolicyReference & { readonly action: 'allow' | 'deny' })[];
}

/** Judges a connection. Never throws: what cannot be judged is refused. */
export function evaluate(_policies: EffectivePolicies, _facts: ConnectionFacts): Decision {
  throw new MeshError('INTERNAL', { reason: 'evaluation is not there yet' });
}
