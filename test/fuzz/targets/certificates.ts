// What the authority is sent and what peers show: requests, certificates, PEM. They begin with the kept corpus, since
// keys and signatures made anew would make every run another one.
import { createECDH, createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { isMeshError } from '../../../src/base/errors.ts';
import { parseCsr } from '../../../src/identity/csr.ts';
import { bits, decode, encode, firstMemberBytes, members, oid, oids, sequence } from '../../../src/identity/der.ts';
import { pemBlocks, pemOf, splitCertificates } from '../../../src/identity/pem.ts';
import { tryParseSpiffeId } from '../../../src/identity/spiffe.ts';
import { uriNames, validityOf } from '../../../src/identity/x509.ts';
import type { Random } from '../../support/random.ts';
import { broken, type FuzzTarget, outcomeOf } from '../target.ts';

/** The key that the kept requests were made with. */
const keys = fixedKeys();
const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
const identity = 'spiffe://cluster.local/ns/shop/sa/web';

/** The same keys in every run, so that an input means the same in every run. */
function fixedKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(Buffer.alloc(32, 7));
  const point = ecdh.getPublicKey();
  const part = (from: number): string => point.subarray(from, from + 32).toString('base64url');
  const jwk = { kty: 'EC', crv: 'P-256', x: part(1), y: part(33), d: ecdh.getPrivateKey().toString('base64url') };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

interface Value {
  tag: number;
  /** Members of a constructed value, else its bytes. */
  content: Value[] | Buffer;
}

/** Reads DER as far as it is DER; what is not stays bytes. */
function readValues(bytes: Buffer, depth = 0): Value[] | null {
  const values: Value[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? 0;
    let contentAt = at + 2;
    if (length > 0x82) return null;
    if (length > 0x80) {
      const count = length - 0x80;
      if (contentAt + count > bytes.length) return null;
      length = bytes.readUIntBE(contentAt, count);
      contentAt += count;
    }
    if (contentAt + length > bytes.length) return null;
    const content = bytes.subarray(contentAt, contentAt + length);
    const inner = (tag & 0x20) !== 0 || tag === 4 ? readValues(content, depth + 1) : null;
    values.push({ tag, content: inner !== null && inner.length > 0 && depth < 16 ? inner : Buffer.from(content) });
    at = contentAt + length;
  }
  return values;
}

function writeValue(value: Value): Buffer {
  const content = Buffer.isBuffer(value.content) ? value.content : Buffer.concat(value.content.map(writeValue));
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([value.tag, ...length]), content]);
}

/** Changes one value and mends all lengths around it. */
function mutateDer(input: Buffer, random: Random): Buffer {
  const values = readValues(input);
  if (values === null || values.length === 0) return input;
  const all: { list: Value[]; at: number }[] = [];
  const walk = (list: Value[]): void => {
    list.forEach((value, at) => {
      all.push({ list, at });
      if (!Buffer.isBuffer(value.content)) walk(value.content);
    });
  };
  walk(values);
  const { list, at } = random.pick(all);
  const other = random.pick(all);
  const value = list[at]!;
  switch (random.below(6)) {
    case 0:
      value.tag = random.pick([1, 2, 3, 4, 5, 6, 12, 19, 0x30, 0x31, 0x80, 0x86, 0xa0, 0xa3, random.below(256)]);
      break;
    case 1:
      list.splice(at, 1);
      break;
    case 2:
      list.splice(at, 0, { tag: value.tag, content: value.content });
      break;
    case 3:
      list[at] = {
        tag: other.list[other.at]!.tag,
        content: Buffer.from(writeValue(other.list[other.at]!)).subarray(2),
      };
      break;
    case 4:
      value.content = Buffer.from(Array.from({ length: random.size(20, 0) }, () => random.below(256)));
      break;
    default:
      list[at] = {
        tag: random.pick([0x30, 0x31, 0xa0, 4, 0x24]),
        content: [{ tag: value.tag, content: value.content }],
      };
  }
  return Buffer.concat(values.map(writeValue));
}

/** An input of even length is signed anew, so that what is behind the signature is reached. */
function requestOf(der: Buffer): string {
  const isSigned = der.length % 2 === 0;
  if (!isSigned) return pemOf('CERTIFICATE REQUEST', der);
  try {
    const [info] = members(decode(der));
    if (info === undefined) return pemOf('CERTIFICATE REQUEST', der);
    const bytes = firstMemberBytes(der);
    const signature = sign('sha256', bytes, keys.privateKey);
    const tail = [sequence(oid(oids.ecdsaWithSha256)), bits(signature)].map(encode);
    return pemOf('CERTIFICATE REQUEST', writeValue({ tag: 0x30, content: Buffer.concat([bytes, ...tail]) }));
  } catch {
    return pemOf('CERTIFICATE REQUEST', der);
  }
}

export const requestsTarget: FuzzTarget = {
  name: 'requests',
  quickInputs: 5000,
  seeds: [],
  words: ['\x30\x80', '\x86\x00', '\xa0\x00', '\x06\x03\x55\x1d\x11', identity],
  bytesMax: 1024,
  mutate: mutateDer,
  run: (input) => {
    try {
      const request = parseCsr(requestOf(input));
      if (!request.spki.equals(spki)) broken('a request with another key has a signature of ours');
      if (request.publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') broken('another curve');
      const ids = request.uris.filter((uri) => tryParseSpiffeId(uri) !== null);
      return `taken ${Math.min(request.uris.length, 3)} ${Math.min(ids.length, 3)}`;
    } catch (error) {
      if (!isMeshError(error) || error.code !== 'CA_REFUSED') throw error;
      return outcomeOf(error);
    }
  },
};

export const certificatesTarget: FuzzTarget = {
  name: 'certificates',
  seeds: [],
  words: ['\x30\x80', '\x86\x00', identity, 'URI:', ', ', '"', ','],
  bytesMax: 1024,
  mutate: mutateDer,
  run: (input) => {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(input);
    } catch {
      return 'no certificate';
    }
    const uris = uriNames(certificate);
    // What a name is taken for must stand in the certificate as it is.
    const raw = input.toString('latin1');
    for (const uri of uris) {
      if (tryParseSpiffeId(uri) !== null && !raw.includes(uri)) broken(`the identity ${uri} is nowhere in it`);
    }
    const { notBeforeMs, notAfterMs } = validityOf(certificate);
    const isDated = !Number.isNaN(notBeforeMs) && !Number.isNaN(notAfterMs);
    return `${Math.min(uris.length, 4)} ${uris.filter((uri) => tryParseSpiffeId(uri) !== null).length > 0} ${isDated}`;
  },
};

export const pemTarget: FuzzTarget = {
  name: 'pem',
  seeds: [],
  words: ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '-----', '\r\n', ' ', '=', 'BEGIN', 'END'],
  bytesMax: 4096,
  run: (input) => {
    const text = input.toString('latin1');
    const blocks = splitCertificates(text);
    for (const block of blocks) {
      const [der, ...more] = pemBlocks(block, 'CERTIFICATE');
      if (more.length > 0 || (der === undefined && block.length > 60)) broken('a block that is not one block');
      if (der !== undefined && pemOf('CERTIFICATE', der) !== block) broken('armour changes the bytes');
    }
    let outcome = 'request';
    try {
      parseCsr(text);
    } catch (error) {
      if (!isMeshError(error) || error.code !== 'CA_REFUSED') throw error;
      outcome = outcomeOf(error);
    }
    return `${Math.min(blocks.length, 4)} ${outcome}`;
  },
};
