// DER pieces that certificates and requests are made of: the one file that touches node-forge, which is used as an
// ASN.1 reader and writer only. Keys and signatures are node:crypto's.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type nodeForge from 'node-forge';

/** This part alone: the index loads forty modules, TLS and RSA among them, that nobody here uses. */
const asn1 = createRequire(import.meta.url)('node-forge/lib/asn1.js') as typeof nodeForge.asn1;
export type Der = nodeForge.asn1.Asn1;

const universal = asn1.Class.UNIVERSAL;
const contextSpecific = asn1.Class.CONTEXT_SPECIFIC;

export const oids = {
  ecPublicKey: '1.2.840.10045.2.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  rsaWithSha256: '1.2.840.113549.1.1.11',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  extensionRequest: '1.2.840.113549.1.9.14',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** Tags of GeneralName (RFC 5280 §4.2.1.6). */
export const generalName = { dns: 2, uri: 6, ip: 7 } as const;

/** A SEQUENCE of `items`. */
export function sequence(...items: readonly Der[]): Der {
  return asn1.create(universal, asn1.Type.SEQUENCE, true, [...items]);
}

/** A SET of `items`. */
export function set(...items: readonly Der[]): Der {
  return asn1.create(universal, asn1.Type.SET, true, [...items]);
}

/** An OBJECT IDENTIFIER. */
export function oid(dotted: string): Der {
  return asn1.create(universal, asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes());
}

/** A positive integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Der {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const significant = bytes.subarray(start);
  const needsZero = ((significant[0] ?? 0) & 0x80) !== 0;
  const value = Buffer.concat([Buffer.alloc(needsZero ? 1 : 0), significant]);
  return asn1.create(universal, asn1.Type.INTEGER, false, binary(value));
}

/** A BOOLEAN, as DER wants it: 0xff or 0x00. */
export function boolean(value: boolean): Der {
  return asn1.create(universal, asn1.Type.BOOLEAN, false, value ? '\xff' : '\x00');
}

/** An OCTET STRING. */
export function octets(bytes: Uint8Array): Der {
  return asn1.create(universal, asn1.Type.OCTETSTRING, false, binary(bytes));
}

/** A bit string of whole bytes, but for `unusedBits` at its end. */
export function bits(bytes: Uint8Array, unusedBits = 0): Der {
  return asn1.create(universal, asn1.Type.BITSTRING, false, String.fromCharCode(unusedBits) + binary(bytes));
}

/** A UTF8String. */
export function utf8(text: string): Der {
  return asn1.create(universal, asn1.Type.UTF8, false, binary(Buffer.from(text, 'utf8')));
}

/** `[tag]` with members (constructed) or plain bytes. */
export function tagged(tag: number, content: readonly Der[] | Uint8Array): Der {
  if (content instanceof Uint8Array) return asn1.create(contextSpecific, tag, false, binary(content));
  return asn1.create(contextSpecific, tag, true, [...content]);
}

/** UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5). */
export function time(ms: number): Der {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? asn1.create(universal, asn1.Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(universal, asn1.Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

/** The bytes of `der`. */
export function encode(der: Der): Buffer {
  return Buffer.from(asn1.toDer(der).getBytes(), 'binary');
}

/** Parses exactly one value. Throws (forge's own error) on anything that is not DER. */
export function decode(bytes: Uint8Array): Der {
  // Bit strings stay bytes: what is in them (keys, signatures) is for node:crypto. The typings know only the older
  // signature.
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false };
  return asn1.fromDer(binary(bytes), options as unknown as boolean);
}

/**
 * The exact bytes of the first member of a sequence: what a signature over it covers. Assumes that `decode` took `der`.
 */
export function firstMemberBytes(der: Uint8Array): Buffer {
  const outer = header(der, 0);
  const inner = header(der, outer.contentAt);
  return Buffer.from(der.subarray(outer.contentAt, inner.contentAt + inner.length));
}

/** True for the OBJECT IDENTIFIER `dotted`. */
export function isOid(der: Der | undefined, dotted: string): boolean {
  return der !== undefined && isType(der, asn1.Type.OID) && asn1.derToOid(String(der.value)) === dotted;
}

/** True for a SEQUENCE. */
export function isSequence(der: Der | undefined): der is Der {
  return der !== undefined && isType(der, asn1.Type.SEQUENCE);
}

/** True for a BOOLEAN. */
export function isBoolean(der: Der | undefined): boolean {
  return der !== undefined && isType(der, asn1.Type.BOOLEAN);
}

/** The members of a constructed value; none for a primitive one. */
export function members(der: Der | undefined): readonly Der[] {
  return der !== undefined && Array.isArray(der.value) ? der.value : [];
}

/** True for the context-specific tag `[tag]`. */
export function isTagged(der: Der | undefined, tag: number): der is Der {
  return der !== undefined && der.tagClass === contextSpecific && Number(der.type) === tag;
}

/** The content of a primitive value; empty for a constructed one. */
export function content(der: Der | undefined): Buffer {
  return der !== undefined && typeof der.value === 'string' ? Buffer.from(der.value, 'binary') : Buffer.alloc(0);
}

/** An entry of `Extensions` (RFC 5280 §4.1). */
export function extension(dotted: string, critical: boolean, value: Der): Der {
  return critical
    ? sequence(oid(dotted), boolean(true), octets(encode(value)))
    : sequence(oid(dotted), octets(encode(value)));
}

/** The key identifier of a SubjectPublicKeyInfo: SHA-1 of its key bits (RFC 5280 §4.2.1.2, method 1). */
export function keyIdentifier(spki: Uint8Array): Buffer {
  const [, keyBits] = members(decode(spki));
  return createHash('sha1').update(content(keyBits).subarray(1)).digest();
}

function header(der: Uint8Array, at: number): { readonly contentAt: number; readonly length: number } {
  const first = der[at + 1] ?? 0;
  if (first < 0x80) return { contentAt: at + 2, length: first };
  const lengthBytes = first & 0x7f;
  let length = 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
  return { contentAt: at + 2 + lengthBytes, length };
}

function isType(der: Der, type: nodeForge.asn1.Type): boolean {
  return der.tagClass === universal && der.type === type;
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('binary');
}
