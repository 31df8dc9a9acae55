// The SPIFFE id of a workload, made once per workload object: it is asked for with every connection.
import type { SpiffeId, Workload } from '../model/types.ts';

const known = new WeakMap<Workload, SpiffeId>();

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT` of `workload`. */
export function identityOf(workload: Workload): SpiffeId {
  const found = known.get(workload);
  if (found !== undefined) return found;
  const id = `spiffe://${workload.trustDomain}/ns/${workload.namespace}/sa/${workload.serviceAccount}`;
  known.set(workload, id);
  return id;
}
