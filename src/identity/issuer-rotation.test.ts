import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { createIntermediate, createRoot } from './x509.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const identity = 'spiffe://cluster.local/ns/shop/sa/web';

function authorityOf(nowMs: number, issuerLifeMs = 30 * dayMs) {
  const rootKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const validity = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + 365 * dayMs };
  const root = createRoot(rootKeys, 'cluster.local', validity);
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const above = { certificate: new X509Certificate(root), privateKey: rootKeys.privateKey };
  const life = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + issuerLifeMs };
  const crt = createIntermediate(above, keys.publicKey, 'mesh issuer', life);
  return { root, crt, key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function open(context: TestContext, issuerLifeMs?: number) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-rotation-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(dir, { recursive: true });
  const clock = new ManualClock(Date.now());
  const put = (issuer: { crt: string; key: string }, ...roots: readonly string[]): void => {
    writeFileSync(path.join(dir, 'tls.crt'), issuer.crt);
    writeFileSync(path.join(dir, 'tls.key'), issuer.key);
    writeFileSync(path.join(dir, 'ca.crt'), roots.join(''));
  };
  const before = authorityOf(clock.now(), issuerLifeMs);
  const after = authorityOf(clock.now());
  put(before, before.root);
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock, overlapMs: dayMs });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
  /** Which of the two signs; the leaf verifies by the roots that are handed out with it. */
  const signer = (): 'before' | 'after' => {
    const { chainPem } = authority.issueWorkload(identity, spki, dayMs);
    const issuer = new X509Certificate(chainPem[1]!);
    const roots = authority.rootsPem().map((pem) => new X509Certificate(pem));
    assert.ok(roots.some((root) => issuer.checkIssued(root) && issuer.verify(root.publicKey)));
    return issuer.fingerprint256 === new X509Certificate(before.crt).fingerprint256 ? 'before' : 'after';
  };
  const roots = (): string[] => authority.rootsPem().map((pem) => (pem === before.root ? 'before' : 'after'));
  return { authority, clock, put, before, after, signer, roots };
}

test('everything replaced at once: roots at once, the issuer when all have them, old roots until all is over', (context) => {
  const { authority, clock, put, after, signer, roots } = open(context);
  put(after, after.root);
  authority.reload();
  assert.deepEqual([signer(), roots()], ['before', ['before', 'after']]);
  assert.equal(authority.nextIssuerFromMs, clock.now() + dayMs);
  clock.advance(dayMs - 1);
  assert.equal(signer(), 'before');
  clock.advance(1);
  assert.deepEqual([signer(), roots()], ['after', ['after', 'before']]);
  assert.equal(authority.nextIssuerFromMs, null);
  clock.advance(dayMs);
  assert.deepEqual([signer(), roots()], ['after', ['after']]);
});

test('in steps: a root that has been known for long enough lets its issuer sign at once', (context) => {
  const { authority, clock, put, before, after, signer, roots } = open(context);
  put(before, before.root, after.root);
  authority.reload();
  assert.deepEqual([signer(), roots()], ['before', ['before', 'after']]);
  clock.advance(dayMs);
  put(after, before.root, after.root);
  authority.reload();
  assert.equal(signer(), 'after');
  put(after, after.root);
  authority.reload();
  assert.deepEqual(roots(), ['after', 'before'], 'what the old one issued is still in use');
  clock.advance(dayMs);
  assert.deepEqual(roots(), ['after']);
});

test('an issuer that ends does not wait for its successor to be known', (context) => {
  const { authority, clock, put, after, signer } = open(context, 2 * hourMs);
  put(after, after.root);
  authority.reload();
  clock.advance(2 * hourMs);
  assert.equal(signer(), 'after');
});

test('a change of mind: the issuer that is put back goes on', (context) => {
  const { authority, clock, put, before, after, signer, roots } = open(context);
  put(after, after.root);
  authority.reload();
  put(before, before.root);
  authority.reload();
  clock.advance(2 * dayMs);
  assert.deepEqual([signer(), roots(), authority.nextIssuerFromMs], ['before', ['before'], null]);
});

test('files that are no issuer change nothing', (context) => {
  const { authority, put, before, after, signer, roots } = open(context);
  put({ crt: after.crt, key: before.key }, after.root);
  assert.throws(() => authority.reload(), { code: 'CONFIG_INVALID' });
  assert.deepEqual([signer(), roots()], ['before', ['before']]);
});
