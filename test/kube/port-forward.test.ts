// A port of a pod through an API server. Our own one dials by itself; for a real one (`npm run test:kube --
// --kubeconfig
// FILE --webhook-host ADDRESS`) this process stands in for the kubelet of a node that it makes.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { KubeAccess } from '../../src/kube/api/access.ts';
import { failureOf } from '../../src/kube/api/api-error.ts';
import { kubeconfigAccess } from '../../src/kube/api/kubeconfig.ts';
import { openPodPort } from '../../src/kube/api/port-forward.ts';
import { ApiServer } from '../../src/lab/api-server/api-server.ts';
import { ApiCredentials } from '../../src/lab/api-server/credentials.ts';
import { servePortForward } from '../../src/lab/api-server/port-forward.ts';
import { eventually, ok, pod } from './api-case.ts';
import { ApiClient, type Json } from './api-client.ts';
import { targetOfKubeconfig } from './kubeconfig.ts';

const file = process.env.AMBIENT_KUBECONFIG ?? '';
const host = process.env.AMBIENT_WEBHOOK_HOST ?? '127.0.0.1';
const timeout = { timeout: 60_000 };
const unique = `ambient-test-${randomBytes(4).toString('hex')}`;
const root = `/api/v1/namespaces/${unique}`;
const wholeText = 'x'.repeat(3_000_000);
/** The port that the pod has, and nobody listens at. */
const closedPort = 9;

const folder = mkdtempSync(path.join(tmpdir(), 'ambient-forward-'));
const inPod = http.createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => response.end(request.url === '/long' ? wholeText : Buffer.concat(chunks)));
});
const dial = async (port: number): Promise<net.Socket> => {
  const target = port === closedPort ? port : (inPod.address() as AddressInfo).port;
  const socket = net.connect(target, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
};

let server: ApiServer | null = null;
let kubelet: https.Server | null = null;
let api: ApiClient;
let access: KubeAccess;

before(async () => {
  await new Promise<void>((resolve) => inPod.listen(0, '127.0.0.1', resolve));
  const kubeconfig = path.join(folder, 'kubeconfig');
  if (file === '') {
    server = new ApiServer({ portForward: (_pod, port) => dial(port) });
    api = new ApiClient(await server.start());
    writeFileSync(kubeconfig, server.kubeconfig('own'));
  } else {
    api = new ApiClient(targetOfKubeconfig(file));
    writeFileSync(kubeconfig, readFileSync(file));
  }
  access = kubeconfigAccess(file === '' ? kubeconfig : file);
  ok(await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: unique } }), 201);
  if (server === null) await beKubelet();
  const spec = { nodeName: unique, automountServiceAccountToken: false };
  await eventually(async () => void ok(await api.post(`${root}/pods`, pod('web', spec)), 201));
});

/** A node whose kubelet we are. */
async function beKubelet(): Promise<void> {
  const { certPem, keyPem } = new ApiCredentials(Date.now()).server([host]);
  kubelet = https.createServer({ cert: certPem, key: keyPem });
  kubelet.on('upgrade', (request, socket, head) => {
    assert.match(request.url ?? '', new RegExp(`^/portForward/${unique}/web`));
    servePortForward(request, socket, head, dial);
  });
  await new Promise<void>((resolve) => kubelet!.listen(0, host, resolve));
  const { port } = kubelet.address() as AddressInfo;
  const metadata = { name: unique };
  ok(await api.post('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata }), 201);
  const addresses = [{ type: 'InternalIP', address: host }];
  const status = { addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } };
  ok(await api.patch('merge', `/api/v1/nodes/${unique}/status`, { status }));
}

after(async () => {
  await api.delete(`${root}/pods/web`, { gracePeriodSeconds: 0 });
  for (const each of [`/api/v1/nodes/${unique}`, root]) await api.delete(each);
  api.close();
  await server?.close();
  kubelet?.close();
  kubelet?.closeAllConnections();
  inPod.close();
  rmSync(folder, { recursive: true });
});

async function ask(url: string, body: string, port = 15_000): Promise<string> {
  const stream = await openPodPort(access, { namespace: unique, pod: 'web', port });
  const request = http.request({
    path: url,
    method: 'POST',
    createConnection: () => stream,
    headers: { connection: 'close' },
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test('a port of a pod: questions and answers of any length, several at a time', timeout, async () => {
  const [short, long, echoed] = await Promise.all([ask('/', 'hello'), ask('/long', ''), ask('/', wholeText)]);
  assert.equal(short, 'hello');
  assert.equal(long.length, wholeText.length);
  assert.ok(echoed === wholeText);
});

test('a port that nobody listens at, a pod that is not there, a caller who may not', timeout, async () => {
  await assert.rejects(ask('/', '', closedPort), /port 9 of pod .*\/web .*(ECONNREFUSED|broke off)|socket hang up/);
  const missing = openPodPort(access, { namespace: unique, pod: 'gone', port: 1 });
  await assert.rejects(missing, (error) => failureOf(error)?.status === 404);
  const account: Json = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } };
  ok(await api.post(`${root}/serviceaccounts`, account), 201);
  const tokens = `${root}/serviceaccounts/nobody/token`;
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { token } = ok(await api.post(tokens, request), 201).status;
  const nobody = { ...access, tls: () => ({ ...access.tls() }), authorization: () => `Bearer ${token}` };
  const refused = openPodPort(nobody, { namespace: unique, pod: 'web', port: 1 });
  await assert.rejects(refused, (error) => failureOf(error)?.status === 403);
});
