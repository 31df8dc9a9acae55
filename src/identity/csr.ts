// Certificate requests (PKCS #10) as node proxies make them: a P-256 key, an empty subject, one critical URI SAN.
// forge refuses requests with EC keys, so they are walked as ASN.1 and verified with node:crypto.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { MeshError } from '../base/errors.ts';
import type { SpiffeId } from '../model/types.ts';
import {
  bits,
  content,
  type Der,
  decode,
  encode,
  extension,
  firstMemberBytes,
  generalName,
  integer,
  isBoolean,
  isOid,
  isSequence,
  isTagged,
  members,
  oid,
  oids,
  sequence,
  set,
  tagged,
} from './der.ts';
import { pemBlocks, pemOf } from './pem.ts';

export interface CertificateRequest {
  readonly publicKey: KeyObject;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  /** Every URI SAN that was asked for, unparsed. */
  readonly uris: readonly string[];
}

/** First byte of an EC point (SEC 1 §2.3.3), behind the count of unused bits. */
const uncompressedPoint = 4;

/** A request of 4 KiB holds any P-256 key and SAN; more is not a request of a proxy. */
const csrBytesMax = 4096;

/** Returns a PEM request for `identity` signed with `keys` (P-256, SHA-256), as ztunnel makes it. */
export function createCsr(
  identity: SpiffeId,
  keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
): string {
  const subjectAltName = sequence(tagged(generalName.uri, Buffer.from(identity, 'ascii')));
  const extensions = sequence(extension(oids.subjectAltName, true, subjectAltName));
  const info = sequence(
    integer(Uint8Array.of(0)),
    sequence(),
    decode(keys.publicKey.export({ type: 'spki', format: 'der' })),
    tagged(0, [sequence(oid(oids.extensionRequest), set(extensions))]),
  );
  const signature = sign('sha256', encode(info), keys.privateKey);
  return pemOf('CERTIFICATE REQUEST', encode(sequence(info, sequence(oid(oids.ecdsaWithSha256)), bits(signature))));
}

/**
 * Parses a PEM request and verifies that its maker holds the key. Throws CA_REFUSED when it is not a request, its key
 * is not
 * P-256, or its signature is wrong.
 */
export function parseCsr(pem: string): CertificateRequest {
  const [der, ...more] = pem.length > csrBytesMax ? [] : pemBlocks(pem, 'CERTIFICATE REQUEST');
  if (der === undefined || more.length > 0) throw refused('it is not one PEM certificate request');
  try {
    return parseVerified(der);
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw new MeshError('CA_REFUSED', { identity: 'the request', reason: 'it is not valid DER' }, { cause: error });
  }
}

function parseVerified(der: Buffer): CertificateRequest {
  const [info, algorithm, signature] = members(decode(der));
  const [, , spkiNode, ...attributes] = members(info);
  if (!isSequence(info) || !isSequence(spkiNode) || signature === undefined)
    throw refused('it is not a certificate request');
  if (!isOid(members(algorithm)[0], oids.ecdsaWithSha256)) throw refused('it is not signed with ECDSA and SHA-256');
  const spki = encode(spkiNode);
  const publicKey = createPublicKey({ key: spki, type: 'spki', format: 'der' });
  if (publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw refused('its key is not ECDSA P-256');
  // Other forms of a point would give one key several spellings, and are not for certificates (RFC 5480 §2.2).
  if (content(members(spkiNode)[1])[1] !== uncompressedPoint) throw refused('its key is not an uncompressed point');
  const signatureBits = content(signature);
  if (signatureBits[0] !== 0 || !verify('sha256', firstMemberBytes(der), publicKey, signatureBits.subarray(1))) {
    throw refused('its signature does not match its key');
  }
  return { publicKey, spki, uris: requestedUris(attributes) };
}

function requestedUris(attributes: readonly Der[]): string[] {
  const uris: string[] = [];
  for (const attribute of attributes.filter((node) => isTagged(node, 0)).flatMap(members)) {
    const [type, values] = members(attribute);
    if (!isOid(type, oids.extensionRequest)) continue;
    for (const requested of members(members(values)[0])) {
      const [id, second, third] = members(requested);
      if (!isOid(id, oids.subjectAltName)) continue;
      for (const name of members(decode(content(isBoolean(second) ? third : second)))) {
        if (isTagged(name, generalName.uri)) uris.push(content(name).toString('utf8'));
      }
    }
  }
  return uris;
}

function refused(reason: string): MeshError {
  return new MeshError('CA_REFUSED', { identity: 'the request', reason });
}
