import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { inClusterAccess } from './access.ts';
import { ApiClient } from './api-client.ts';
import { failureOf } from './api-error.ts';
import { kubeconfigAccess } from './kubeconfig.ts';
import { status, testingApi } from './testing-api.ts';

function folder(context: TestContext, files: Readonly<Record<string, string>>) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-kube-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string): string => path.join(dir, name);
  const put = (name: string, text: string): void => writeFileSync(file(name), text);
  for (const [name, text] of Object.entries(files)) put(name, text);
  return { dir, file, put };
}

const config = (user: string, cluster = '{server: "https://10.0.0.1:6443/"}'): string => `
apiVersion: v1
kind: Config
current-context: one
contexts:
  - {name: one, context: {cluster: c, user: u, namespace: home}}
  - {name: two, context: {cluster: missing, user: u}}
clusters: [{name: c, cluster: ${cluster}}]
users: [{name: u, user: ${user}}]
`;

test('in a pod: files are read when they are used, so that a token that was replaced counts', (context) => {
  const { dir, put } = folder(context, { token: 'first\n', 'ca.crt': 'CA', namespace: 'ambient-system' });
  const access = inClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, dir);
  assert.equal(access.server, 'https://[fd00::1]:6443');
  assert.equal(access.namespace, 'ambient-system');
  assert.equal(access.authorization(false), 'Bearer first');
  put('token', 'second');
  assert.equal(access.authorization(false), 'Bearer second');
  assert.deepEqual(access.tls(), { ca: 'CA' });
  put('ca.crt', 'CA2');
  assert.deepEqual(access.tls(), { ca: 'CA2' });
  assert.throws(() => inClusterAccess({}, dir), /is no pod; name a kubeconfig file/);
  rmSync(path.join(dir, 'token'));
  assert.throws(() => access.authorization(false), { code: 'INPUT_UNREADABLE' });
});

test('a kubeconfig with certificates, in it and beside it', (context) => {
  const base64 = Buffer.from('KEY').toString('base64');
  const user = `{client-certificate: tls/../cert.pem, client-key-data: ${base64}}`;
  const cluster = '{server: "https://a/k8s/", certificate-authority: ca.pem, tls-server-name: api}';
  const { file } = folder(context, { k: config(user, cluster), 'cert.pem': 'CERT', 'ca.pem': 'CA' });
  const access = kubeconfigAccess(file('k'));
  assert.deepEqual([access.server, access.namespace], ['https://a/k8s', 'home']);
  assert.deepEqual(access.tls(), { ca: 'CA', servername: 'api', cert: 'CERT', key: 'KEY' });
  assert.equal(access.authorization(false), null);
});

const users = [
  ['token', '{token: abc}', 'Bearer abc'],
  ['tokenFile', '{tokenFile: t}', 'Bearer from-file'],
  ['password', '{username: u, password: p}', `Basic ${Buffer.from('u:p').toString('base64')}`],
  ['nobody', '{}', null],
] as const;

for (const [title, user, header] of users) {
  test(`a kubeconfig with a user by ${title}`, async (context) => {
    const { file } = folder(context, { k: config(user), t: 'from-file\n' });
    assert.equal(await kubeconfigAccess(file('k')).authorization(false), header);
  });
}

const program = `#!/bin/sh
cd "$(dirname "$0")"
echo run >> runs
echo '{"kind": "ExecCredential", "status": {"token": "'$NAME-$(wc -l < runs)'"}}'
`;
const exec = (command: string): string =>
  `{exec: {apiVersion: client.authentication.k8s.io/v1, command: ${command}, env: [{name: NAME, value: me}]}}`;

test('a kubeconfig with a program: run once, and again when its token is refused', async (context) => {
  const { file } = folder(context, { k: config(exec('./login')), login: program });
  chmodSync(file('login'), 0o755);
  const access = kubeconfigAccess(file('k'));
  assert.deepEqual(await Promise.all([access.authorization(false), access.authorization(false)]), [
    'Bearer me-1',
    'Bearer me-1',
  ]);
  assert.equal(await access.authorization(true), 'Bearer me-2');
  const { file: other } = folder(context, { k: config(exec('./no-such-program')) });
  await assert.rejects(async () => kubeconfigAccess(other('k')).authorization(false), { code: 'INPUT_UNREADABLE' });
});

const refused = [
  ['an unknown context', config('{}'), 'three', /contexts has no entry called "three"/],
  ['an unknown cluster', config('{}'), 'two', /clusters has no entry called "missing"/],
  ['no URL', config('{}', '{server: nowhere}'), '', /cluster\.server must be a URL/],
  ['a proxy', config('{}', '{server: "https://a", proxy-url: "http://b"}'), '', /proxy-url is not supported/],
  ['an old provider', config('{auth-provider: {name: gcp}}'), '', /use exec/],
  ['an empty file', '', '', /is empty/],
] as const;

for (const [title, text, name, message] of refused) {
  test(`a kubeconfig is refused with its place: ${title}`, (context) => {
    const { file } = folder(context, { k: text });
    assert.throws(() => kubeconfigAccess(file('k'), name), { name: 'MeshError', message });
  });
}

test('401: the credentials are asked for once more, and the body stays out of errors', async (context) => {
  const { api, port } = await testingApi(context);
  const asked: boolean[] = [];
  const authorization = (isRefused: boolean): string => {
    asked.push(isRefused);
    return 'Bearer x';
  };
  const client = new ApiClient({
    server: `http://127.0.0.1:${port}/`,
    namespace: 'default',
    tls: () => ({}),
    authorization,
  });
  context.after(() => client.close());
  api.define('/api/v1/pods');
  api.fail('/pods', status(401, 'Unauthorized'));
  await client.json({ path: '/api/v1/pods' });
  assert.deepEqual(asked, [false, true]);
  api.fail('/pods', status(409, 'Conflict', 7));
  const error = await client.json({ path: '/api/v1/pods' }).catch((one: unknown) => one);
  assert.deepEqual(failureOf(error), { status: 409, reason: 'Conflict', retryAfterMs: 7_000 });
  await client.close();
  await assert.rejects(client.json({ path: '/api/v1/pods' }), { code: 'NOT_REACHABLE' });
});
