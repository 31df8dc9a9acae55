// SPIFFE ids as the mesh uses them: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, and nothing else.
// Stricter than ztunnel, which takes empty parts: an id is compared as a whole string, so it has one spelling only.
import { MeshError } from '../base/errors.ts';
import type { SpiffeId } from '../model/types.ts';

export interface SpiffeParts {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** SPIFFE ids are at most 2048 bytes (SPIFFE-ID §2.3); ours are far below it. */
const lengthMax = 2048;
const pattern = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([a-zA-Z0-9._-]{1,253})\/sa\/([a-zA-Z0-9._-]{1,253})$/;

/** Returns the parts of `value`. Throws IDENTITY_INVALID for anything but a whole, canonical id of the form above. */
export function parseSpiffeId(value: string): SpiffeParts {
  const parts = tryParseSpiffeId(value);
  if (parts === null) throw new MeshError('IDENTITY_INVALID', { value: JSON.stringify(value.slice(0, 300)) });
  return parts;
}

/** Like `parseSpiffeId`, but null instead of an error: for names that a peer presents. */
export function tryParseSpiffeId(value: string): SpiffeParts | null {
  if (value.length > lengthMax) return null;
  const match = pattern.exec(value);
  if (match === null) return null;
  const [, trustDomain = '', namespace = '', serviceAccount = ''] = match;
  // Path segments `.` and `..` are forbidden (SPIFFE-ID §2.2).
  if (isDots(namespace) || isDots(serviceAccount)) return null;
  return { trustDomain, namespace, serviceAccount };
}

/** Returns the id of `parts`. Throws IDENTITY_INVALID when a part holds what an id may not. */
export function formatSpiffeId(parts: SpiffeParts): SpiffeId {
  const id = `spiffe://${parts.trustDomain}/ns/${parts.namespace}/sa/${parts.serviceAccount}`;
  parseSpiffeId(id);
  return id;
}

function isDots(segment: string): boolean {
  return segment === '.' || segment === '..';
}
