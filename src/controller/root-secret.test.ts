// The issuer in a Secret: replicas agree on one, and an operator's change is taken while they run.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { createLogger } from '../telemetry/logger.ts';
import { IssuerKeeper } from './issuer-keeper.ts';
import { RootSecret } from './root-secret.ts';
import { eventually } from './testing-controller.ts';

const namespace = 'kube-system';
const trustDomain = 'cluster.local';
const secrets = `/api/v1/namespaces/${namespace}/secrets`;

async function open(context: TestContext) {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const tls = (): { ca: string } => ({ ca: caPem });
  const api = new ApiClient({ server: url, namespace, tls, authorization: () => `Bearer ${token}` });
  context.after(() => api.close());
  const replica = () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'ambient-secret-'));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    return { dir, secret: new RootSecret({ api, namespace, name: 'ambient-ca', dir, trustDomain }) };
  };
  return { api, server, replica };
}

const read = (dir: string, name: string): string => readFileSync(path.join(dir, name), 'utf8');

test('replicas that start together have one root, and the next one has it too', async (context) => {
  const { replica, api } = await open(context);
  const replicas = [replica(), replica(), replica()];
  await Promise.all(replicas.map(({ secret }) => secret.fetch(Date.now())));
  const late = replica();
  await late.secret.fetch(Date.now());
  for (const name of ['ca.crt', 'ca.key']) {
    assert.equal(new Set([...replicas, late].map(({ dir }) => read(dir, name))).size, 1, name);
  }
  const made = (await api.json({ path: `${secrets}/ambient-ca` })) as { data: Record<string, string> };
  assert.deepEqual(Object.keys(made.data).sort(), ['ca.crt', 'ca.key']);
});

test("an operator's issuer takes the place of our own, files and all", async (context) => {
  const { replica, api } = await open(context);
  const other = replica();
  new CertificateAuthority({ dir: other.dir, trustDomain, clock: new ManualClock(Date.now()) });
  const { dir, secret } = replica();
  await secret.fetch(Date.now());
  const base64 = (name: string): string => Buffer.from(read(other.dir, name)).toString('base64');
  const data = { 'tls.crt': base64('ca.crt'), 'tls.key': base64('ca.key'), 'ca.crt': base64('ca.crt'), 'ca.key': null };
  const contentType = 'application/merge-patch+json';
  await api.json({ method: 'PATCH', path: `${secrets}/ambient-ca`, contentType, body: { data } });
  await secret.fetch(Date.now());
  assert.equal(read(dir, 'tls.crt'), read(other.dir, 'ca.crt'));
  assert.throws(() => read(dir, 'ca.key'), /ENOENT/);
});

test('a Secret that is no issuer is refused, and one that may not be read is an error', async (context) => {
  const { replica, api, server } = await open(context);
  const metadata = { name: 'ambient-ca', namespace };
  const data = { 'tls.crt': Buffer.from('x').toString('base64') };
  await api.json({ method: 'POST', path: secrets, body: { apiVersion: 'v1', kind: 'Secret', metadata, data } });
  const { secret, dir } = replica();
  await assert.rejects(secret.fetch(Date.now()), { code: 'CONFIG_INVALID', message: /neither tls\.key nor ca\.key/ });
  server.faults.add({ match: { path: /secrets/ }, status: 403 });
  await assert.rejects(secret.fetch(Date.now()), (error) => failureOf(error)?.status === 403);
  assert.throws(() => read(dir, 'ca.key'), /ENOENT/, 'no root of its own');
});

test('files that change while the controller runs are taken, and what is wrong with them is said once', async (context) => {
  const { replica } = await open(context);
  const [{ dir }, other] = [replica(), replica()];
  const clock = new ManualClock(Date.now());
  const authority = new CertificateAuthority({ dir, trustDomain, clock });
  new CertificateAuthority({ dir: other.dir, trustDomain, clock });
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'text', write: (line) => lines.push(line) });
  const told: number[] = [];
  const rootsChanged = (roots: readonly string[]): void => void told.push(roots.length);
  const keeper = new IssuerKeeper({ authority, dir, secret: null, clock, log, rootsChanged });
  context.after(() => keeper.close());
  keeper.start();
  const look = async (): Promise<void> => {
    clock.advance(30_000);
    await eventually(() => clock.pending === 1, 'it looks again later');
  };
  await look();
  assert.deepEqual(told, [1]);
  writeFileSync(path.join(dir, 'ca.crt'), 'nothing');
  await look();
  await look();
  assert.equal(lines.filter((line) => line.includes('the issuer stays as it was')).length, 1);
  for (const name of ['ca.crt', 'ca.key']) writeFileSync(path.join(dir, name), read(other.dir, name));
  await look();
  assert.deepEqual(told, [1, 2]);
  assert.ok(lines.some((line) => line.includes('nextIssuerSignsFrom')));
  assert.ok(!lines.join('').includes('PRIVATE KEY'));
});
