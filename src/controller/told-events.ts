// What the controller tells as Events beside conditions: objects that cannot be read, and the issuer.
import type { ClusterEvent } from '../kube/event-writer.ts';
import type { Reading } from '../kube/kube-source.ts';

const inForce = {
  former: 'what it said before stays in force',
  strictest: 'until it can be read it refuses whatever it selects',
  nothing: 'it is left out until it can be read',
} as const satisfies Record<Reading['inForce'], string>;

/** An object that cannot be read, or can be read again. */
export function eventOfReading({ problem, inForce: holds, ...regarding }: Reading): ClusterEvent {
  if (problem === null) return { regarding, type: 'Normal', reason: 'Readable', note: 'it can be read again' };
  return { regarding, type: 'Warning', reason: 'Unreadable', note: `${problem}; ${inForce[holds]}` };
}

/** What became of the issuer in a Secret: `problem` is null when all is well again. */
export function eventOfIssuer(
  secret: { readonly namespace: string; readonly name: string },
  what: 'files' | 'signing' | 'end',
  problem: string | null,
): ClusterEvent {
  const regarding = { apiVersion: 'v1', kind: 'Secret', ...secret, uid: '' };
  const reason = { files: 'IssuerRefused', signing: 'CannotSign', end: 'IssuerEndsSoon' }[what];
  if (problem === null) return { regarding, type: 'Normal', reason: 'IssuerAccepted', note: 'the issuer can be used' };
  return { regarding, type: 'Warning', reason, note: problem };
}
