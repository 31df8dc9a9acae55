// Revocations between the model and the wire (ambient.mesh.v1alpha1).
import { create } from '@bufbuild/protobuf';
import { tryParseSpiffeId } from '../identity/spiffe.ts';
import { canonicalSerial, revocationKey } from '../model/revocation.ts';
import type { Revocation } from '../model/types.ts';
import { refuse } from './enums.ts';
import {
  type CertificateRevocation,
  CertificateRevocationSchema,
  RevokedIdentitySchema,
} from './generated/revocation_pb.ts';

/** The wire message of a revocation. */
export function revocationMessage({ namespace, name, serials, identities }: Revocation): CertificateRevocation {
  return create(CertificateRevocationSchema, {
    namespace,
    name,
    serials: [...serials],
    identities: identities.map(({ identity, issuedBeforeMs }) =>
      create(RevokedIdentitySchema, { identity, issuedBeforeMs: BigInt(issuedBeforeMs) }),
    ),
  });
}

/**
 * The revocation of a wire message. Throws RESOURCE_REFUSED for anything that is not understood whole: what is dropped
 * would let a certificate in.
 */
export function revocationOf(message: CertificateRevocation): Revocation {
  const { namespace, name } = message;
  const resource = revocationKey(message);
  if (name === '') throw refuse(resource, 'it has no name');
  const unknown = [message, ...message.identities].find(({ $unknown = [] }) => $unknown.length > 0)?.$unknown?.[0];
  if (unknown !== undefined) throw refuse(resource, `field ${unknown.no} is not known here`);
  const serials = message.serials.map((text) => {
    if (canonicalSerial(text) !== text) throw refuse(resource, `${JSON.stringify(text.slice(0, 80))} is no serial`);
    return text;
  });
  const identities = message.identities.map(({ identity, issuedBeforeMs }) => {
    if (tryParseSpiffeId(identity) === null) throw refuse(resource, 'an identity is no SPIFFE id');
    const ms = Number(issuedBeforeMs);
    if (!Number.isSafeInteger(ms) || ms < 0) throw refuse(resource, `${issuedBeforeMs} is no time`);
    return { identity, issuedBeforeMs: ms };
  });
  return { namespace, name, serials, identities };
}
