// The authority's files: read, checked until nothing can surprise a client later, or created once with a key that only
// its owner may read.
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError, messageOf } from '../base/errors.ts';
import { splitCertificates } from './pem.ts';
import { createRoot, createWorkloadLeaf, type Issuer, validityOf } from './x509.ts';

export interface IssuerMaterial {
  readonly issuer: Issuer;
  /** Between the issuer and the root, the issuer itself not among them. */
  readonly intermediates: readonly X509Certificate[];
  /** What a leaf is sent with: the issuer and the intermediates, but no root. */
  readonly sent: readonly X509Certificate[];
  readonly roots: readonly X509Certificate[];
  /** True when the root was made just now. */
  readonly created: boolean;
}

const rootYears = 10;
const dayMs = 86_400_000;
const intermediatesMax = 5;

/** Loads the issuer in `dir`, or makes a root there when it holds none. Throws CONFIG_INVALID with the file. */
export function loadOrCreateIssuer(dir: string, trustDomain: string, nowMs: number): IssuerMaterial {
  const file = (name: string): string => path.join(dir, name);
  if (existsSync(file('tls.crt')) || existsSync(file('tls.key'))) {
    return loadIssuer(file('tls.key'), file('tls.crt'), file('ca.crt'), nowMs);
  }
  const created = !existsSync(file('ca.key'));
  if (created) createRootFiles(dir, trustDomain, nowMs);
  return { ...loadIssuer(file('ca.key'), file('ca.crt'), file('ca.crt'), nowMs), created };
}

function createRootFiles(dir: string, trustDomain: string, nowMs: number): void {
  const certificateFile = path.join(dir, 'ca.crt');
  const keyFile = path.join(dir, 'ca.key');
  if (existsSync(certificateFile))
    throw invalid(certificateFile, `there is no ${keyFile} for it; restore the key, or remove both`);
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const notAfterMs = nowMs + rootYears * 365 * dayMs;
  const pem = createRoot(keys, trustDomain, { notBeforeMs: nowMs - dayMs, notAfterMs });
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const temporary = `${certificateFile}.${process.pid}`;
    writeFileSync(temporary, pem);
    // `wx` fails when another controller was first: its root stays.
    writeFileSync(keyFile, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
    renameSync(temporary, certificateFile);
  } catch (error) {
    throw invalid(dir, `the root cannot be written: ${messageOf(error)}`, error);
  }
}

function loadIssuer(keyFile: string, chainFile: string, rootsFile: string, nowMs: number): IssuerMaterial {
  const privateKey = readKey(keyFile);
  const chain = readCertificates(chainFile);
  const own = chain.find((certificate) => certificate.checkPrivateKey(privateKey));
  if (own === undefined) throw invalid(chainFile, `no certificate in it belongs to the key in ${keyFile}`);
  const isOneFile = rootsFile === chainFile;
  const intermediates = isOneFile
    ? []
    : chain.filter((certificate) => certificate !== own && !isSelfSigned(certificate));
  if (intermediates.length > intermediatesMax) throw invalid(chainFile, `more than ${intermediatesMax} intermediates`);
  const roots = existsSync(rootsFile) ? readCertificates(rootsFile) : chain.filter(isSelfSigned);
  for (const certificate of [own, ...intermediates]) checkAuthority(chainFile, certificate, nowMs);
  const material = { issuer: { certificate: own, privateKey }, intermediates, roots, created: false };
  const sent = isSelfSigned(own) ? [] : [own, ...intermediates];
  checkChain(chainFile, rootsFile, own, intermediates, roots, nowMs);
  checkSigns(chainFile, material.issuer, nowMs);
  return { ...material, sent };
}

function checkAuthority(file: string, certificate: X509Certificate, nowMs: number): void {
  const who = subjectOf(certificate);
  const { notBeforeMs, notAfterMs } = validityOf(certificate);
  if (!certificate.ca)
    throw invalid(file, `${who} is not a certificate authority (basicConstraints CA:TRUE is missing)`);
  if (nowMs >= notAfterMs) throw invalid(file, `${who} expired at ${new Date(notAfterMs).toISOString()}`);
  if (nowMs < notBeforeMs) throw invalid(file, `${who} is not valid before ${new Date(notBeforeMs).toISOString()}`);
}

/** Walks from the issuer up to a root, so that no client finds out first that a link is missing. */
function checkChain(
  chainFile: string,
  rootsFile: string,
  own: X509Certificate,
  intermediates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): void {
  let at = own;
  for (let step = 0; step <= intermediatesMax; step++) {
    const root = roots.find((candidate) => isIssuedBy(at, candidate));
    if (root !== undefined) {
      checkAuthority(rootsFile, root, nowMs);
      return;
    }
    const above = intermediates.find((candidate) => candidate !== at && isIssuedBy(at, candidate));
    if (above === undefined) break;
    at = above;
  }
  throw invalid(chainFile, `${subjectOf(at)} was not issued by any certificate in ${rootsFile}; put its root there`);
}

/** Signs a certificate for nobody and verifies it: a key that cannot sign shows at start, not at the first pod. */
function checkSigns(file: string, issuer: Issuer, nowMs: number): void {
  const spki = issuer.certificate.publicKey.export({ type: 'spki', format: 'der' });
  const validity = { notBeforeMs: nowMs, notAfterMs: nowMs + 1000 };
  const probe = new X509Certificate(createWorkloadLeaf(issuer, spki, 'spiffe://probe/ns/probe/sa/probe', validity));
  if (!isIssuedBy(probe, issuer.certificate)) throw invalid(file, 'a certificate that it signed does not verify');
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return isIssuedBy(certificate, certificate);
}

function readKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file));
  } catch (error) {
    // The message of a parser may quote what it read: of a key file only its name is told.
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw invalid(file, isMissing ? 'the key file is missing' : 'it holds no readable private key in PEM');
  }
}

function readCertificates(file: string): X509Certificate[] {
  let certificates: X509Certificate[];
  try {
    certificates = splitCertificates(readFileSync(file, 'utf8')).map((pem) => new X509Certificate(pem));
  } catch (error) {
    throw invalid(file, `it cannot be read: ${messageOf(error)}`, error);
  }
  if (certificates.length === 0) throw invalid(file, 'it holds no certificate in PEM');
  return certificates;
}

function subjectOf(certificate: X509Certificate): string {
  return certificate.subject === undefined ? 'the certificate' : certificate.subject.replaceAll('\n', ', ');
}

function invalid(place: string, reason: string, cause?: unknown): MeshError {
  return new MeshError('CONFIG_INVALID', { place, reason }, { cause });
}
