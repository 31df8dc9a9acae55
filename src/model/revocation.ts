// Which certificates count no more: the list as it stands, and the question whether a certificate is on it. Asked at
// every handshake, and about every session when the list changes; a look-up is two map accesses.
import { isDeepStrictEqual } from 'node:util';
import type { MeshUpdate, NamespacedKey, Revocation, SpiffeId } from './types.ts';

/** What of a certificate decides whether it was revoked. */
export interface CertificateFacts {
  /** Its URI names, in order. */
  readonly uris: readonly SpiffeId[];
  /** As `canonicalSerial` writes it. */
  readonly serial: string;
  readonly notBeforeMs: number;
}

/** RFC 5280 §4.1.2.2 allows 20 octets. */
const serialDigitsMax = 40;

/**
 * Returns a serial number in lower-case hexadecimal digits, without colons and leading zeros; null for what is none.
 */
export function canonicalSerial(text: string): string | null {
  const digits = text.replace(/^0x/i, '').replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]+$/.test(digits)) return null;
  const short = digits.replace(/^0+(?=.)/, '');
  return short.length > serialDigitsMax ? null : short;
}

/** `NAMESPACE/NAME`, the resource name of a revocation. */
export function revocationKey({ namespace, name }: { namespace: string; name: string }): NamespacedKey {
  return `${namespace}/${name}`;
}

/** Revocations by key, and what they revoke. */
export class RevocationList {
  readonly #byKey = new Map<NamespacedKey, Revocation>();
  readonly #serials = new Map<string, NamespacedKey>();
  readonly #identities = new Map<SpiffeId, { readonly issuedBeforeMs: number; readonly key: NamespacedKey }>();

  /** Takes the revocations of a change in; true when anything changed. */
  apply({ complete, revocations, removedRevocations = [] }: Partial<MeshUpdate>): boolean {
    let isChanged = false;
    for (const revocation of revocations ?? []) {
      const key = revocationKey(revocation);
      if (isDeepStrictEqual(this.#byKey.get(key), revocation)) continue;
      this.#byKey.set(key, revocation);
      isChanged = true;
    }
    const named = new Set(revocations?.map(revocationKey));
    const isWhole = complete === true && revocations !== undefined;
    const gone = isWhole ? [...this.#byKey.keys()].filter((key) => !named.has(key)) : removedRevocations;
    for (const key of gone) isChanged = this.#byKey.delete(key) || isChanged;
    if (isChanged) this.#rebuild();
    return isChanged;
  }

  get size(): number {
    return this.#byKey.size;
  }

  values(): Revocation[] {
    return [...this.#byKey.values()];
  }

  /** The revocation that a certificate falls under, by its key; null when it counts. */
  find({ serial, uris, notBeforeMs }: CertificateFacts): NamespacedKey | null {
    if (this.#byKey.size === 0) return null;
    const bySerial = this.#serials.get(serial);
    if (bySerial !== undefined) return bySerial;
    for (const uri of uris) {
      const entry = this.#identities.get(uri);
      if (entry !== undefined && notBeforeMs < entry.issuedBeforeMs) return entry.key;
    }
    return null;
  }

  /** When the validity of an identity's certificate may begin at the earliest; 0 when none was revoked by identity. */
  issuedBeforeMs(identity: SpiffeId): number {
    return this.#identities.get(identity)?.issuedBeforeMs ?? 0;
  }

  #rebuild(): void {
    this.#serials.clear();
    this.#identities.clear();
    for (const [key, { serials, identities }] of this.#byKey) {
      for (const serial of serials) this.#serials.set(serial, key);
      for (const { identity, issuedBeforeMs } of identities) {
        if (issuedBeforeMs > this.issuedBeforeMs(identity)) this.#identities.set(identity, { issuedBeforeMs, key });
      }
    }
  }
}
