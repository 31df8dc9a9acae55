// A certificate in files: what is wrong with it is said with its place, and who renews it is followed.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { TlsCredentials } from '../telemetry/metrics-server.ts';
import { FileCertificate } from './file-certificate.ts';

const hourMs = 3_600_000;
const lookMs = 30_000;

function setUp(context: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-files-'));
  context.after(() => rmSync(dir, { recursive: true }));
  const [certificateFile, keyFile] = [path.join(dir, 'tls.crt'), path.join(dir, 'tls.key')];
  const clock = new ManualClock(Date.now());
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock, overlapMs: hourMs });
  const put = (): { readonly cert: string; readonly key: string } => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cert = authority.issueServer(['localhost'], keys.publicKey, hourMs).chainPem.join('');
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    writeFileSync(certificateFile, cert);
    writeFileSync(keyFile, key);
    return { cert, key };
  };
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'text', write: (line) => lines.push(line) });
  const files = new FileCertificate({ certificateFile, keyFile, server: 'page', clock, log });
  context.after(() => files.close());
  return { certificateFile, keyFile, clock, put, files, lines };
}

test('a certificate that is renewed is shown from then on, and one that is being replaced not yet', (context) => {
  const { certificateFile, keyFile, clock, put, files, lines } = setUp(context);
  const first = put();
  const used: TlsCredentials[] = [];
  files.start((credentials) => used.push(credentials));
  clock.advance(lookMs);
  assert.equal(used.length, 1);
  const second = put();
  writeFileSync(certificateFile, first.cert);
  clock.advance(lookMs * 3);
  assert.equal(used.length, 1);
  assert.equal(lines.filter((line) => line.includes('is not the key of')).length, 1);
  writeFileSync(certificateFile, second.cert);
  clock.advance(lookMs);
  assert.deepEqual(
    used.map(({ keyPem, chainPem }) => [keyPem, chainPem.join('')]),
    [first, second].map(({ cert, key }) => [key, cert]),
  );
  assert.equal(files.views()[0]?.server, 'page');
  writeFileSync(keyFile, 'hunter2');
  clock.advance(lookMs);
  assert.equal(used.length, 2);
  assert.equal(lines.join('').includes('hunter2'), false);
});

test('what is no certificate at the start is refused with its place', (context) => {
  const { certificateFile, keyFile, put, files } = setUp(context);
  const start = (): void => files.start(() => {});
  assert.throws(start, { code: 'INPUT_UNREADABLE', message: new RegExp(`^${certificateFile}: ENOENT`) });
  put();
  writeFileSync(certificateFile, 'nothing');
  assert.throws(start, { message: `${certificateFile}: it has no certificate` });
  put();
  writeFileSync(keyFile, 'nothing');
  assert.throws(start, { message: `${keyFile}: it has no private key` });
});
