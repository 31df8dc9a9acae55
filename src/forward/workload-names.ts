// What a workload is called on the wire, made once per workload object: both are asked for with every connection.
import { identityOf as formatIdentity } from '../model/mesh-index.ts';
import type { SpiffeId, Workload } from '../model/types.ts';
import { formatBaggage } from '../tunnel/baggage.ts';

const identities = new WeakMap<Workload, SpiffeId>();
const baggages = new WeakMap<Workload, string>();

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT` of `workload`. */
export function identityOf(workload: Workload): SpiffeId {
  const known = identities.get(workload);
  if (known !== undefined) return known;
  const id = formatIdentity(workload);
  identities.set(workload, id);
  return id;
}

/** The `baggage` header that describes `workload`. */
export function baggageOf(workload: Workload): string {
  const known = baggages.get(workload);
  if (known !== undefined) return known;
  const text = formatBaggage(workload);
  baggages.set(workload, text);
  return text;
}
