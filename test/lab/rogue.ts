// Certificates that the mesh must refuse, each wrong in one way, and the genuine one that shows that the knocking
// itself works.
// The lab's own CA key signs all but one of them: what is refused is refused for the reason that its name says.
import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { createRoot, createWorkloadLeaf, type Issuer } from '../../src/identity/x509.ts';
import { formatForwarded } from '../../src/tunnel/forwarded.ts';
import type { TestLab } from './harness.ts';

export type RogueKind = 'genuine' | 'other-ca' | 'other-trust-domain' | 'expired' | 'no-spiffe' | 'none';

const hourMs = 3_600_000;
const clientIdentity = 'spiffe://cluster.local/ns/app/sa/client';
const identities: Readonly<Record<RogueKind, string>> = {
  genuine: clientIdentity,
  'other-ca': clientIdentity,
  'other-trust-domain': 'spiffe://elsewhere.example/ns/app/sa/client',
  expired: clientIdentity,
  'no-spiffe': 'https://cluster.local/ns/app/sa/client',
  none: '',
};

export interface KnockAnswer {
  readonly taken: boolean;
  readonly status?: number;
  readonly error?: string;
}

/**
 * Knocks at `address`:15008 from the fabric with a certificate of `kind`, for `address`:`port`, and says that it speaks
 * for `claimed`.
 */
export async function knockWithCertificate(
  lab: TestLab,
  kind: RogueKind,
  address: string,
  port: number,
  claimed = '',
): Promise<KnockAnswer> {
  const { key, cert } = kind === 'none' ? { key: '', cert: '' } : certificateOf(lab, kind);
  const forwarded = claimed === '' ? '' : formatForwarded(claimed, 40_000);
  const script = path.join(import.meta.dirname, 'rogue-client.ts');
  const user = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
  const enter = ['-t', String(lab.client.lab.hostPid), '--net', ...user, '--', process.execPath, script];
  const child = spawn('nsenter', enter, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify({ host: address, authority: `${address}:${port}`, key, cert, forwarded }));
  return JSON.parse(await text(child.stdout)) as KnockAnswer;
}

/** Key and certificate of `kind`, in PEM. */
export function certificateOf(lab: TestLab, kind: RogueKind): { key: string; cert: string } {
  const issuer = kind === 'other-ca' ? strangeIssuer() : labIssuer(lab);
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const notAfterMs = kind === 'expired' ? Date.now() - hourMs : Date.now() + hourMs;
  const cert = createWorkloadLeaf(issuer, spki, identities[kind], { notBeforeMs: Date.now() - 2 * hourMs, notAfterMs });
  return { key: pem(privateKey), cert };
}

function strangeIssuer(): Issuer {
  const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const validity = { notBeforeMs: Date.now() - hourMs, notAfterMs: Date.now() + hourMs };
  return {
    certificate: new X509Certificate(createRoot(keys, 'cluster.local', validity)),
    privateKey: keys.privateKey,
  };
}

function labIssuer(lab: TestLab): Issuer {
  const root = `/proc/${lab.client.lab.hostPid}/root/run/ambient`;
  const keyFile = readdirSync(root, { recursive: true, encoding: 'utf8' }).find((each) => each.endsWith('ca.key'));
  if (keyFile === undefined) throw new Error(`no ca.key below ${root}`);
  const folder = path.dirname(path.join(root, keyFile));
  return {
    certificate: new X509Certificate(readFileSync(path.join(folder, 'ca.crt'))),
    privateKey: createPrivateKey(readFileSync(path.join(folder, 'ca.key'))),
  };
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
