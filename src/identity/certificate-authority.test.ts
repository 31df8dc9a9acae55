import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { createCsr, parseCsr } from './csr.ts';
import { pemBlocks, pemOf } from './pem.ts';
import { createIntermediate, createRoot, createServerLeaf, uriNames, validityOf } from './x509.ts';

const identity = 'spiffe://cluster.local/ns/shop/sa/web';
const dayMs = 86_400_000;

function temporaryDir(context: TestContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-ca-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function newKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function spkiOf(keys: ReturnType<typeof newKeys>): Buffer {
  return keys.publicKey.export({ type: 'spki', format: 'der' });
}

/** Writes an operator's folder: an intermediate under a root that is not kept. */
function writeIntermediate(dir: string, nowMs: number, lifeMs = 30 * dayMs) {
  const rootKeys = newKeys();
  const validity = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + 365 * dayMs };
  const rootPem = createRoot(rootKeys, 'cluster.local', validity);
  const issuer = { certificate: new X509Certificate(rootPem), privateKey: rootKeys.privateKey };
  const keys = newKeys();
  const life = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + lifeMs };
  const pem = createIntermediate(issuer, keys.publicKey, 'mesh issuer', life);
  mkdirSync(dir, { recursive: true });
  writeFileSync(path.join(dir, 'tls.crt'), pem);
  writeFileSync(path.join(dir, 'tls.key'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(path.join(dir, 'ca.crt'), rootPem);
  return { rootPem, issuer, keys, pem };
}

function opensslVerify(dir: string, roots: readonly string[], chain: readonly string[], purpose: string) {
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
  };
  const [leaf = '', ...intermediates] = chain;
  const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', file('roots.pem', roots.join(''))];
  if (intermediates.length > 0) args.push('-untrusted', file('untrusted.pem', intermediates.join('')));
  return spawnSync('openssl', [...args, file('leaf.pem', leaf)], { encoding: 'utf8', timeout: 10_000 });
}

test('the first start makes a root whose key only the owner may read, and the next start uses it', (context) => {
  const dir = path.join(temporaryDir(context), 'ca');
  const clock = new ManualClock(Date.now());
  const first = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock });
  assert.equal(first.describe().created, true);
  assert.equal(statSync(path.join(dir, 'ca.key')).mode & 0o777, 0o600);
  const second = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock });
  assert.equal(second.describe().created, false);
  assert.deepEqual(second.rootsPem(), first.rootsPem());
  const [root = ''] = first.rootsPem();
  assert.equal(new X509Certificate(root).ca, true);
});

test('openssl verifies what the own root issues, for both ends of TLS', (context) => {
  const dir = temporaryDir(context);
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock: new ManualClock(Date.now()) });
  const issued = authority.issueWorkload(identity, spkiOf(newKeys()), dayMs);
  for (const purpose of ['sslserver', 'sslclient']) {
    const verdict = opensslVerify(dir, authority.rootsPem(), issued.chainPem, purpose);
    assert.equal(verdict.status, 0, verdict.stdout + verdict.stderr);
  }
  const leaf = new X509Certificate(issued.chainPem[0] ?? '');
  assert.deepEqual(uriNames(leaf), [identity]);
  assert.equal(leaf.subject, undefined);
  assert.equal(leaf.ca, false);
  const text = spawnSync('openssl', ['x509', '-noout', '-text'], { input: leaf.toString(), encoding: 'utf8' }).stdout;
  assert.match(text, /Subject Alternative Name: critical\s+URI:spiffe:/);
  assert.match(text, /Key Usage: critical\s+Digital Signature\s/);
});

test('openssl verifies a chain under an intermediate that the operator brought', (context) => {
  const dir = temporaryDir(context);
  const clock = new ManualClock(Date.now());
  const { pem } = writeIntermediate(path.join(dir, 'ca'), clock.now());
  const authority = new CertificateAuthority({ dir: path.join(dir, 'ca'), trustDomain: 'cluster.local', clock });
  const issued = authority.issueWorkload(identity, spkiOf(newKeys()), dayMs);
  assert.equal(issued.chainPem.length, 2);
  assert.equal(issued.chainPem[1], new X509Certificate(pem).toString());
  const verdict = opensslVerify(dir, authority.rootsPem(), issued.chainPem, 'sslserver');
  assert.equal(verdict.status, 0, verdict.stdout + verdict.stderr);
});

test('an RSA issuer signs too', (context) => {
  const dir = temporaryDir(context);
  const rsa = (args: readonly string[]) => spawnSync('openssl', args, { cwd: dir, encoding: 'utf8', timeout: 20_000 });
  const made = rsa([
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'tls.key',
    '-out',
    'tls.crt',
    '-subj',
    '/CN=r',
    '-addext',
    'keyUsage=critical,keyCertSign',
  ]);
  assert.equal(made.status, 0, made.stderr);
  const authority = new CertificateAuthority({
    dir,
    trustDomain: 'cluster.local',
    clock: new ManualClock(Date.now() + 1000),
  });
  const issued = authority.issueWorkload(identity, spkiOf(newKeys()), dayMs);
  assert.equal(issued.chainPem.length, 1);
  const verdict = opensslVerify(dir, authority.rootsPem(), issued.chainPem, 'sslclient');
  assert.equal(verdict.status, 0, verdict.stdout + verdict.stderr);
});

test('nothing outlives its issuer', (context) => {
  const dir = temporaryDir(context);
  const clock = new ManualClock(Date.now());
  writeIntermediate(dir, clock.now(), 3_600_000);
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock });
  const issued = authority.issueWorkload(identity, spkiOf(newKeys()), dayMs);
  const leaf = new X509Certificate(issued.chainPem[0] ?? '');
  assert.ok(validityOf(leaf).notAfterMs <= authority.notAfterMs);
  assert.ok(authority.notAfterMs <= clock.now() + 3_600_000);
  clock.advance(2 * 3_600_000);
  assert.throws(() => authority.issueWorkload(identity, spkiOf(newKeys()), dayMs), {
    code: 'CA_REFUSED',
    message: /expired/,
  });
});

test('a certificate is never back-dated to where its identity is revoked', (context) => {
  const clock = new ManualClock(Date.now());
  const authority = new CertificateAuthority({ dir: temporaryDir(context), trustDomain: 'cluster.local', clock });
  const revokedMs = clock.now() - 500;
  const issue = () => authority.issueWorkload(identity, spkiOf(newKeys()), dayMs, revokedMs);
  clock.advance(-2_000);
  assert.throws(issue, { code: 'CA_REFUSED', message: /is revoked already/ });
  clock.advance(3_000);
  const { notBeforeMs } = validityOf(new X509Certificate(issue().chainPem[0] ?? ''));
  assert.ok(notBeforeMs >= revokedMs && notBeforeMs <= clock.now(), String(notBeforeMs - revokedMs));
});

test('a certificate begins minutes before it was asked for, and at most a tenth of its life', (context) => {
  const clock = new ManualClock(Date.UTC(2026, 0, 31));
  const authority = new CertificateAuthority({ dir: temporaryDir(context), trustDomain: 'cluster.local', clock });
  for (const [ttlMs, beforeMs] of [
    [dayMs, 300_000],
    [3_600_000, 300_000],
    [600_000, 60_000],
  ] as const) {
    const { chainPem } = authority.issueWorkload(identity, spkiOf(newKeys()), ttlMs);
    const { notBeforeMs, notAfterMs } = validityOf(new X509Certificate(chainPem[0] ?? ''));
    assert.deepEqual([clock.now() - notBeforeMs, notAfterMs - clock.now()], [beforeMs, ttlMs]);
  }
});

test('roots of a rotation are handed out together', (context) => {
  const dir = temporaryDir(context);
  const clock = new ManualClock(Date.now());
  const { rootPem } = writeIntermediate(dir, clock.now());
  const next = createRoot(newKeys(), 'cluster.local', { notBeforeMs: clock.now(), notAfterMs: clock.now() + dayMs });
  writeFileSync(path.join(dir, 'ca.crt'), rootPem + next);
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock });
  assert.equal(authority.rootsPem().length, 2);
});

const broken: readonly (readonly [title: string, spoil: (dir: string, nowMs: number) => void, message: RegExp])[] = [
  [
    'the key of another certificate',
    (dir) => writeFileSync(path.join(dir, 'tls.key'), newKeys().privateKey.export({ type: 'pkcs8', format: 'pem' })),
    /tls\.crt: no certificate in it belongs to the key in .*tls\.key/,
  ],
  ['a missing key', (dir) => rmSync(path.join(dir, 'tls.key')), /tls\.key: the key file is missing/],
  [
    'a key that is no key',
    (dir) => writeFileSync(path.join(dir, 'tls.key'), 'secret words'),
    /tls\.key: it holds no readable/,
  ],
  [
    'an expired issuer',
    (dir, nowMs) => writeIntermediate(dir, nowMs - 40 * dayMs),
    /tls\.crt: CN=mesh issuer expired at/,
  ],
  ['an issuer of the future', (dir, nowMs) => writeIntermediate(dir, nowMs + 10 * dayMs), /not valid before/],
  [
    'a certificate that is no authority',
    (dir, nowMs) => {
      const { issuer } = writeIntermediate(dir, nowMs);
      const keys = newKeys();
      const validity = { notBeforeMs: nowMs - 1000, notAfterMs: nowMs + dayMs };
      writeFileSync(
        path.join(dir, 'tls.crt'),
        createServerLeaf(issuer, spkiOf(keys), { dns: ['x'], ips: [] }, validity),
      );
      writeFileSync(path.join(dir, 'tls.key'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    },
    /is not a certificate authority/,
  ],
  [
    'the root of someone else',
    (dir, nowMs) => {
      const validity = { notBeforeMs: nowMs - 1000, notAfterMs: nowMs + dayMs };
      writeFileSync(path.join(dir, 'ca.crt'), createRoot(newKeys(), 'cluster.local', validity));
    },
    /CN=mesh issuer was not issued by any certificate in .*ca\.crt/,
  ],
  [
    'a certificate file without certificate',
    (dir) => writeFileSync(path.join(dir, 'ca.crt'), 'hello'),
    /ca\.crt: it holds no certificate/,
  ],
];

for (const [title, spoil, message] of broken) {
  test(`an operator's issuer is refused at start: ${title}`, (context) => {
    const dir = temporaryDir(context);
    const clock = new ManualClock(Date.now());
    writeIntermediate(dir, clock.now());
    spoil(dir, clock.now());
    const open = () => new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock });
    assert.throws(open, (error: Error) => {
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret words/);
      return true;
    });
  });
}

test('a root without its key is not replaced', (context) => {
  const dir = temporaryDir(context);
  const clock = new ManualClock(Date.now());
  new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock });
  const before = readFileSync(path.join(dir, 'ca.crt'), 'utf8');
  rmSync(path.join(dir, 'ca.key'));
  assert.throws(
    () => new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock }),
    /restore the key, or remove both/,
  );
  assert.equal(readFileSync(path.join(dir, 'ca.crt'), 'utf8'), before);
});

test('an identity of another trust domain is not signed', (context) => {
  const authority = new CertificateAuthority({
    dir: temporaryDir(context),
    trustDomain: 'cluster.local',
    clock: new ManualClock(),
  });
  const issue = () => authority.issueWorkload('spiffe://other.org/ns/shop/sa/web', spkiOf(newKeys()), dayMs);
  assert.throws(issue, { code: 'CA_REFUSED' });
});

test('a server certificate names hosts and addresses', (context) => {
  const authority = new CertificateAuthority({
    dir: temporaryDir(context),
    trustDomain: 'cluster.local',
    clock: new ManualClock(),
  });
  const issued = authority.issueServer(
    ['controller.ambient-system.svc', '10.80.0.1', 'fd80::1'],
    newKeys().publicKey,
    dayMs,
  );
  const leaf = new X509Certificate(issued.chainPem[0] ?? '');
  assert.equal(leaf.checkHost('controller.ambient-system.svc'), 'controller.ambient-system.svc');
  assert.equal(leaf.checkIP('10.80.0.1'), '10.80.0.1');
  assert.equal(leaf.checkIP('fd80::1'), 'fd80::1');
  assert.equal(leaf.checkIP('10.80.0.2'), undefined);
});

test('a request is parsed, and openssl takes it for one', (context) => {
  const dir = temporaryDir(context);
  const keys = newKeys();
  const pem = createCsr(identity, keys);
  const request = parseCsr(pem);
  assert.deepEqual(request.uris, [identity]);
  assert.deepEqual(request.spki, spkiOf(keys));
  writeFileSync(path.join(dir, 'csr.pem'), pem);
  const check = spawnSync('openssl', ['req', '-in', 'csr.pem', '-noout', '-verify', '-text'], {
    cwd: dir,
    encoding: 'utf8',
  });
  assert.equal(check.status, 0, check.stderr);
  assert.match(check.stdout, /Subject: *\n/);
});

test('a request made by openssl is parsed', (context) => {
  const dir = temporaryDir(context);
  const args = [
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'k.pem',
    '-subj',
    '/',
  ];
  const made = spawnSync('openssl', [...args, '-addext', `subjectAltName=critical,URI:${identity}`], {
    cwd: dir,
    encoding: 'utf8',
  });
  assert.equal(made.status, 0, made.stderr);
  const request = parseCsr(made.stdout);
  assert.deepEqual(request.uris, [identity]);
  const key = createPublicKey(readFileSync(path.join(dir, 'k.pem')));
  assert.ok(request.publicKey.equals(key));
});

test('a request whose content was changed after signing is refused', () => {
  const der = pemBlocks(createCsr(identity, newKeys()), 'CERTIFICATE REQUEST')[0] ?? Buffer.alloc(0);
  const at = der.indexOf('sa/web');
  der.write('sa/adm', at);
  assert.throws(() => parseCsr(pemOf('CERTIFICATE REQUEST', der)), { code: 'CA_REFUSED', message: /signature/ });
});

test('whatever is fed to the request parser, it refuses or parses, and never crashes otherwise', () => {
  const der = pemBlocks(createCsr(identity, newKeys()), 'CERTIFICATE REQUEST')[0] ?? Buffer.alloc(0);
  for (let at = 0; at < der.length; at++) {
    const changed = Buffer.from(der);
    changed[at] = (changed[at] ?? 0) ^ 0xff;
    assert.throws(() => parseCsr(pemOf('CERTIFICATE REQUEST', changed)), { code: 'CA_REFUSED' }, `byte ${at}`);
    assert.throws(
      () => parseCsr(pemOf('CERTIFICATE REQUEST', der.subarray(0, at))),
      { code: 'CA_REFUSED' },
      `cut at ${at}`,
    );
  }
  for (const text of ['', 'hello', 'x'.repeat(10_000)]) assert.throws(() => parseCsr(text), { code: 'CA_REFUSED' });
});

test('a request with an RSA or P-384 key is refused', (context) => {
  const dir = temporaryDir(context);
  for (const options of [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']]) {
    const args = ['req', '-new', '-newkey', ...options, '-nodes', '-keyout', 'k.pem', '-subj', '/CN=x', '-sha256'];
    const made = spawnSync('openssl', args, { cwd: dir, encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    assert.throws(() => parseCsr(made.stdout), { code: 'CA_REFUSED' });
  }
});
