// CertificateRevocation: from an object to what the model keeps of it. A value that cannot be read is an error with its
// place; what is in force stays, as a revocation that is read over would let a stolen certificate in.
import { tryParseSpiffeId } from '../identity/spiffe.ts';
import type { CertificateRevocationResource, ResourceMeta } from '../model/resources.ts';
import { canonicalSerial } from '../model/revocation.ts';
import type { RevokedIdentity } from '../model/types.ts';
import type { ObjectReader } from './object-reader.ts';

/** Serials and identities of one object: it is sent to every proxy whole. */
const entriesMax = 10_000;

/** A CertificateRevocation. Throws CONFIG_INVALID with the place of what cannot be read. */
export function readCertificateRevocation(object: ObjectReader, meta: ResourceMeta): CertificateRevocationResource {
  const spec = object.object('spec');
  spec.only(['serials', 'identities']);
  const serials = spec.strings('serials').map((text) => {
    const serial = canonicalSerial(text);
    return serial ?? spec.fail('serials', `must have serial numbers in hexadecimal digits, not "${text}"`);
  });
  const identities = spec.objects('identities').map(readIdentity);
  if (serials.length + identities.length > entriesMax) {
    object.fail('spec', `must not have more than ${entriesMax} entries; use several objects`);
  }
  return { ...meta, kind: 'CertificateRevocation', serials, identities };
}

function readIdentity(entry: ObjectReader): RevokedIdentity {
  entry.only(['identity', 'issuedBefore']);
  const identity = entry.string('identity');
  if (tryParseSpiffeId(identity) === null) {
    entry.fail('identity', `must be of the form spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, not "${identity}"`);
  }
  const text = entry.string('issuedBefore');
  const issuedBeforeMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(issuedBeforeMs)) {
    entry.fail('issuedBefore', `must be a time such as 2026-01-31T12:00:00Z, not "${text}"`);
  }
  return { identity, issuedBeforeMs };
}
