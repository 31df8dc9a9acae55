// Who gets which certificate in a cluster: the matrix of node authorisation (ambient-l4 §7.3) with the tokens of an API
// server, which judges them.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { type Clock, systemClock } from '../base/clock.ts';
import { openChannel } from '../discovery/channel.ts';
import { IstioCertificateRequestSchema, IstioCertificateService } from '../discovery/generated/certificate_pb.ts';
import { createCsr } from '../identity/csr.ts';
import { ApiClient } from '../kube/api/api-client.ts';
import { kubeconfigAccess } from '../kube/api/kubeconfig.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import type { Pod } from '../lab/objects.ts';
import { cart, eventually, namespaceManifest, podManifest, setUp, web } from './testing-controller.ts';

const system = 'ambient-system';
const nodeAccount = 'ambient-node';
const audience = 'ambient-controller';

type Json = Readonly<Record<string, unknown>>;

/** A cluster in which node proxies run on a and b, `web` on a and `cart` on b, and a controller that follows it. */
async function cluster(
  context: TestContext,
  nodeAccounts: readonly string[] = [`${system}/${nodeAccount}`],
  clock: Clock = systemClock,
) {
  const server = new ApiServer({ clock });
  await server.start();
  context.after(() => server.close());
  const auth = { issuer: '', jwksFile: '', audiences: [audience], nodeAccounts };
  const fixture = await setUp(context, { source: 'kubernetes', sources: [], auth }, ({ file }) => {
    writeFileSync(file('kubeconfig'), server.kubeconfig('test'));
  });
  const client = new ApiClient(kubeconfigAccess(fixture.file('kubeconfig')));
  context.after(() => client.close());
  const post = (path: string, body: Json): Promise<unknown> => client.json({ method: 'POST', path, body });
  const inNamespace = (namespace: string): string => `/api/v1/namespaces/${namespace}`;
  const runPod = async (namespace: string, name: string, node: string, account: string, ip: string) => {
    const pod = JSON.parse(podManifest(namespace, name, node, account, ip)) as Json;
    const { uid: _, ...metadata } = pod['metadata'] as Json;
    const created = (await post(`${inNamespace(namespace)}/pods`, { ...pod, metadata })) as { metadata: Json };
    const body = { status: pod['status'] };
    const path = `${inNamespace(namespace)}/pods/${name}/status`;
    await client.json({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
    const uid = String(created.metadata['uid']);
    await eventually(() => fixture.controller.compiler.pod(namespace, name)?.uid === uid, `${name} is known`);
    return uid;
  };
  const token = async (namespace: string, account: string, pod: string | null, aud = audience): Promise<string> => {
    const boundObjectRef = pod === null ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod } };
    const path = `${inNamespace(namespace)}/serviceaccounts/${account}/token`;
    const answer = (await post(path, { spec: { audiences: [aud], ...boundObjectRef } })) as { status: Json };
    return String(answer.status['token']);
  };
  for (const name of ['a', 'b']) server.store.put({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
  await post('/api/v1/namespaces', JSON.parse(namespaceManifest) as Json);
  await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: system } });
  for (const [namespace, name] of [
    [system, nodeAccount],
    ['shop', 'web'],
    ['shop', 'cart'],
  ] as const) {
    await post(`${inNamespace(namespace)}/serviceaccounts`, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace },
    }).catch((error: unknown) => assert.match(String(error), /409/));
  }
  await runPod(system, 'proxy-a', 'a', nodeAccount, '10.80.0.11');
  await runPod(system, 'proxy-b', 'b', nodeAccount, '10.80.0.12');
  await runPod('shop', 'web', 'a', 'web', '10.244.1.7');
  await runPod('shop', 'cart', 'b', 'cart', '10.244.2.7');
  const deletePod = async (name: string): Promise<void> => {
    const body = { gracePeriodSeconds: 0 };
    await client.json({ method: 'DELETE', path: `${inNamespace(system)}/pods/${name}`, body });
  };
  const channel = await openChannel(fixture.url, readFileSync(fixture.rootsFile, 'utf8'));
  context.after(() => channel.close());
  const service = createClient(IstioCertificateService, channel.transport);
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  /** 'issued', or the code of the refusal. */
  const ask = async (bearer: string, identity: string): Promise<string> => {
    const csr = createCsr(identity === cart ? cart : web, pair);
    const request = create(IstioCertificateRequestSchema, { csr, metadata: { ImpersonatedIdentity: identity } });
    return service.createCertificate(request, { headers: { authorization: `Bearer ${bearer}` } }).then(
      () => 'issued',
      (error: unknown) => Code[ConnectError.from(error).code],
    );
  };
  return { ...fixture, server, runPod, token, deletePod, ask };
}

test('the matrix, by the tokens of the cluster', { timeout: 60_000 }, async (context) => {
  const { ask, token, lines, deletePod, runPod, controller, server } = await cluster(context);
  const refusedWith = async (bearer: string, identity: string, reason: RegExp): Promise<void> => {
    lines.length = 0;
    assert.equal(await ask(bearer, identity), 'Unauthenticated', String(reason));
    assert.match(lines.join(''), reason);
    assert.ok(!lines.join('').includes(bearer), 'no token in the log');
  };
  const proxy = await token(system, nodeAccount, 'proxy-a');
  assert.equal(await ask(proxy, web), 'issued', 'an identity of its node');
  await refusedWith(proxy, cart, /no pod on it has that identity/);
  await refusedWith(proxy, 'spiffe://cluster.local/ns/shop', /no SPIFFE id/);
  await refusedWith(await token('shop', 'web', 'web'), web, /not the account of a node proxy/);
  await refusedWith(await token(system, nodeAccount, null), web, /bound to no pod/);
  await refusedWith(await token(system, nodeAccount, 'proxy-a', 'api'), web, /for the audience api/);
  const elsewhere = await cluster(context);
  await refusedWith(await elsewhere.token(system, nodeAccount, 'proxy-a'), web, /the API server says/);
  // What the API server would not let happen to a pod that runs.
  const before = server.store.list<Pod>('Pod', system).find((one) => one.metadata.name === 'proxy-a');
  assert.ok(before);
  for (const [change, reason] of [
    [{ serviceAccountName: 'other', nodeName: 'a' }, /runs as other/],
    [{ serviceAccountName: nodeAccount, nodeName: 'b' }, /is on node b, its token is for a/],
  ] as const) {
    server.store.put({ ...before, spec: { ...before.spec, ...change } });
    const isSo = () => {
      const known = controller.compiler.pod(system, 'proxy-a');
      return known?.serviceAccount === change.serviceAccountName && known.node === change.nodeName;
    };
    await eventually(isSo, 'it is known', 2_000);
    await refusedWith(proxy, web, reason);
  }
  // The pod goes, and another of its name comes: the token was for the first.
  const other = await token(system, nodeAccount, 'proxy-b');
  assert.equal(await ask(other, cart), 'issued');
  await deletePod('proxy-b');
  await eventually(() => controller.compiler.pod(system, 'proxy-b') === null, 'it has gone');
  await refusedWith(other, cart, /is not known/);
  await runPod(system, 'proxy-b', 'b', nodeAccount, '10.80.0.12');
  await refusedWith(other, cart, /has another uid/);
});

test('a token that has expired: by the clock of the API server', { timeout: 60_000 }, async (context) => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => Date.now() + aheadMs };
  const { ask, token, lines } = await cluster(context, undefined, clock);
  const bearer = await token(system, nodeAccount, 'proxy-a');
  aheadMs = 2 * 3_600_000;
  assert.equal(await ask(bearer, web), 'Unauthenticated');
  assert.match(lines.join(''), /the API server says/);
  // Issued by a clock that is minutes ahead of ours, or behind it.
  for (const skewMs of [240_000, -240_000]) {
    aheadMs = skewMs;
    assert.equal(await ask(await token(system, nodeAccount, 'proxy-a'), web), 'issued', String(skewMs));
  }
});

test('no trusted accounts configured: nobody is let in', { timeout: 60_000 }, async (context) => {
  const { ask, token } = await cluster(context, []);
  assert.equal(await ask(await token(system, nodeAccount, 'proxy-a'), web), 'Unauthenticated');
});

test('an API server that is away: who is known goes on, others hear that they should wait', {
  timeout: 60_000,
}, async (context) => {
  const { ask, token, server } = await cluster(context);
  const known = await token(system, nodeAccount, 'proxy-a');
  const unknown = await token(system, nodeAccount, 'proxy-a');
  assert.equal(await ask(known, web), 'issued');
  server.faults.add({ match: { path: /tokenreviews/ }, status: 503 });
  assert.equal(await ask(known, web), 'issued');
  assert.equal(await ask(unknown, web), 'Unavailable');
  server.faults.clear();
  assert.equal(await ask(unknown, web), 'issued');
});
