// The whole controller in this process, over loopback TLS: manifests in a folder, tokens of an issuer of our own, and
// node proxies that call it with the clients that real node proxies use.
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { systemClock } from '../base/clock.ts';
import type { ControllerConfig } from '../config/controller.ts';
import { CertificateClient } from '../discovery/certificate-client.ts';
import { openChannel } from '../discovery/channel.ts';
import { DiscoveryClient } from '../discovery/delta-client.ts';
import { IstioCertificateRequestSchema, IstioCertificateService } from '../discovery/generated/certificate_pb.ts';
import { CertificateManager } from '../identity/certificate-manager.ts';
import { createCsr } from '../identity/csr.ts';
import { jwksOf, signJwt } from '../identity/jwt.ts';
import { uriNames } from '../identity/x509.ts';
import type { MeshUpdate, Workload } from '../model/types.ts';
import type { MeshView, StatusView } from '../model/views.ts';
import { createLogger } from '../telemetry/logger.ts';
import { type RunningController, startController } from './controller.ts';

const issuer = 'https://lab.ambient';
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const timeout = { timeout: 20_000 };
const web = 'spiffe://cluster.local/ns/shop/sa/web';
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';

function podManifest(namespace: string, name: string, node: string, account: string, ip: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, uid: `uid-${name}`, labels: { app: name } },
    spec: { nodeName: node, serviceAccountName: account, containers: [{ name: 'c', image: 'ambient/echo' }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

const namespaceManifest = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', labels: { 'ambient.mesh/dataplane-mode': 'ambient' } },
});

type Put = (name: string, text: string) => void;

async function setUp(
  context: TestContext,
  change: Partial<ControllerConfig> = {},
  prepare: (files: { readonly put: Put }) => void = () => {},
) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-controller-'));
  const file = (name: string): string => path.join(dir, name);
  const manifests = file('manifests');
  mkdirSync(manifests);
  const put: Put = (name, text) => writeFileSync(path.join(manifests, name), text);
  put('ns.json', namespaceManifest);
  put('web.json', podManifest('shop', 'web', 'a', 'web', '10.244.1.7'));
  put('cart.json', podManifest('shop', 'cart', 'b', 'cart', '10.244.2.7'));
  put('proxy-a.json', podManifest('ambient-system', 'proxy-a', 'a', 'ambient-node', '10.80.0.11'));
  put('proxy-b.json', podManifest('ambient-system', 'proxy-b', 'b', 'ambient-node', '10.80.0.12'));
  prepare({ put });
  writeFileSync(file('jwks.json'), JSON.stringify(jwksOf(keys.publicKey, 'k')));
  const config: ControllerConfig = {
    listenHost: '127.0.0.1',
    ports: { discovery: 0, admin: 0, metrics: 0, readiness: 0 },
    sources: [manifests],
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    systemNamespace: 'ambient-system',
    caDir: file('ca'),
    serverNames: ['127.0.0.1'],
    rootsFile: file('roots.pem'),
    auth: {
      issuer,
      jwksFile: file('jwks.json'),
      audiences: ['ambient-controller', 'istio-ca'],
      nodeAccounts: ['ambient-system/ambient-node'],
    },
    certificateTtlMs: 3_600_000,
    certificateTtlMaxMs: 86_400_000,
    log: { level: 'info', format: 'text' },
    ...change,
  };
  const lines: string[] = [];
  const start = (): Promise<RunningController> =>
    startController(config, { log: createLogger({ ...config.log, write: (line) => lines.push(line) }) });
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  const controller = await start();
  context.after(() => controller.close());
  const url = `https://127.0.0.1:${controller.addresses.discovery.port}`;
  return { config, controller, start, url, file, put, manifests, lines, rootsFile: config.rootsFile };
}

type Fixture = Awaited<ReturnType<typeof setUp>>;

function token(pod = 'proxy-a', node = 'a', change: Readonly<Record<string, unknown>> = {}): string {
  const claims = {
    iss: issuer,
    aud: ['ambient-controller'],
    sub: 'system:serviceaccount:ambient-system:ambient-node',
    exp: Math.floor(Date.now() / 1000) + 600,
    'kubernetes.io': {
      namespace: 'ambient-system',
      serviceaccount: { name: 'ambient-node', uid: 'uid-account' },
      pod: { name: pod, uid: `uid-${pod}` },
      node: { name: node, uid: `uid-${node}` },
    },
    ...change,
  };
  return signJwt(claims, keys.privateKey, 'k');
}

function discoveryClient(context: TestContext, fixture: Fixture, nodeName = 'a', pod = 'proxy-a') {
  const tokenFile = fixture.file(`token-${pod}`);
  writeFileSync(tokenFile, token(pod, pod.slice(-1)));
  const workloads = new Map<string, Workload>();
  let notify = (): void => {};
  const apply = (update: MeshUpdate): readonly [] => {
    for (const workload of update.workloads) workloads.set(workload.uid, workload);
    for (const name of update.removedAddresses) workloads.delete(name);
    notify();
    return [];
  };
  const node = {
    kind: 'node',
    name: pod,
    namespace: 'ambient-system',
    nodeName,
    addresses: ['10.80.0.11'],
    clusterId: 'Kubernetes',
    version: 'test',
  } as const;
  const { url, rootsFile } = fixture;
  const client = new DiscoveryClient({
    url,
    rootsFile,
    tokenFile,
    node,
    held: {},
    apply,
    clock: systemClock,
    random: Math.random,
  });
  context.after(() => client.close());
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        notify = resolve;
      });
    }
  };
  const synced = once(client, 'synced');
  synced.catch(() => {}); // only those who await it mind
  return { client, synced, workloads, until };
}

function certificates(context: TestContext, fixture: Fixture, bearer: string) {
  const tokenFile = fixture.file('token-certificates');
  writeFileSync(tokenFile, bearer);
  const { url, rootsFile } = fixture;
  const client = new CertificateClient({ url, rootsFile, tokenFile, clusterId: 'Kubernetes' });
  const manager = new CertificateManager({
    sign: client.sign,
    clock: systemClock,
    random: Math.random,
    ttlMs: 3_600_000,
    identitiesMax: 100,
  });
  context.after(() => {
    manager.close();
    client.close();
  });
  return manager;
}

async function admin<T>(fixture: Fixture, what: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${fixture.controller.addresses.admin}${what}`);
  return (await response.json()) as T;
}

async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`never happened: ${what}`);
}

test(
  'a node proxy follows the mesh: what a file says is live in under a second, and status shows it in step',
  timeout,
  async (context) => {
    const fixture = await setUp(context);
    const { client, workloads, until } = discoveryClient(context, fixture);
    const synced = once(client, 'synced');
    client.start();
    await synced;
    const pod = workloads.get('Kubernetes//Pod/shop/web');
    assert.equal(pod?.tunnelProtocol, 'HBONE');
    const startedMs = performance.now();
    fixture.put('pay.json', podManifest('shop', 'pay', 'a', 'pay', '10.244.1.8'));
    await until(() => workloads.has('Kubernetes//Pod/shop/pay'));
    assert.ok(performance.now() - startedMs < 1000);
    rmSync(path.join(fixture.manifests, 'pay.json'));
    await until(() => !workloads.has('Kubernetes//Pod/shop/pay'));
    await eventually(() => fixture.controller.status().proxies[0]?.inStep === true, 'in step');
    const status = await admin<StatusView>(fixture, '/status');
    const [proxy] = status.proxies;
    assert.deepEqual([proxy?.name, proxy?.node, proxy?.version, proxy?.ready], ['proxy-a', 'a', 'test', true]);
    const mesh = await admin<MeshView>(fixture, '/mesh');
    assert.ok(mesh.workloads.some((workload) => workload.uid === 'Kubernetes//Pod/shop/web'));
  },
);

test('a node gets certificates for the identities on it, and for no others', timeout, async (context) => {
  const fixture = await setUp(context);
  const manager = certificates(context, fixture, token());
  manager.want(web, 'connection');
  const [issued] = await once(manager, 'certificate');
  const leaf = new X509Certificate(issued.chainPem[0]);
  assert.deepEqual(uriNames(leaf), [web]);
  const root = new X509Certificate(readFileSync(fixture.rootsFile));
  assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey));
  manager.want(cart, 'connection');
  const [failure] = await once(manager, 'failed');
  assert.equal(failure.identity, cart);
  assert.doesNotMatch(failure.reason, /no pod on it/, 'the reason stays inside');
  assert.match(
    fixture.lines.join(''),
    /node a asks for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart, and no pod on it/,
  );
});

test('a pod that moves takes its identity along', timeout, async (context) => {
  const fixture = await setUp(context);
  const manager = certificates(context, fixture, token());
  fixture.put('cart.json', podManifest('shop', 'cart', 'a', 'cart', '10.244.1.9'));
  await eventually(() => fixture.controller.compiler.hasIdentityOnNode(cart, 'a'), 'the pod has moved');
  manager.want(cart, 'connection');
  await once(manager, 'certificate');
  const other = certificates(context, fixture, token('proxy-b', 'b'));
  other.want(cart, 'connection');
  await once(other, 'failed');
});

const badTokens = [
  ['expired', () => token('proxy-a', 'a', { exp: Math.floor(Date.now() / 1000) - 1 }), /expired/],
  ['of another issuer', () => token('proxy-a', 'a', { iss: 'https://elsewhere' }), /issuer/],
  [
    'signed by someone else',
    () => {
      const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return signJwt({ iss: issuer }, other.privateKey, 'k');
    },
    /signature/,
  ],
  ['for another audience', () => token('proxy-a', 'a', { aud: 'api' }), /audience/],
  [
    'bound to no pod',
    () =>
      token('proxy-a', 'a', {
        'kubernetes.io': { namespace: 'ambient-system', serviceaccount: { name: 'ambient-node', uid: 'u' } },
      }),
    /bound to no pod/,
  ],
  ['of a pod that is not there', () => token('proxy-c', 'a'), /is not known/],
  ['for another node than its pod is on', () => token('proxy-b', 'a'), /is on node b/],
  [
    'of an application',
    () =>
      token('web', 'a', {
        sub: 'system:serviceaccount:shop:web',
        'kubernetes.io': {
          namespace: 'shop',
          serviceaccount: { name: 'web', uid: 'u' },
          pod: { name: 'web', uid: 'uid-web' },
        },
      }),
    /not the account of a node proxy/,
  ],
] as const;

test('tokens that prove nothing get nothing, and no reason', timeout, async (context) => {
  const fixture = await setUp(context);
  const channel = await openChannel(fixture.url, readFileSync(fixture.rootsFile, 'utf8'));
  context.after(() => channel.close());
  const client = createClient(IstioCertificateService, channel.transport);
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const request = create(IstioCertificateRequestSchema, {
    csr: createCsr(web, pair),
    metadata: { ImpersonatedIdentity: web },
  });
  for (const [title, bearer, reason] of badTokens) {
    fixture.lines.length = 0;
    const value = bearer();
    const call = client.createCertificate(request, { headers: { authorization: `Bearer ${value}` } });
    const error = await call.then(
      () => assert.fail(`a token ${title} was accepted`),
      (failure: unknown) => ConnectError.from(failure),
    );
    assert.deepEqual([error.code, error.rawMessage], [Code.Unauthenticated, 'not authenticated'], title);
    assert.match(fixture.lines.join(''), reason, title);
    assert.ok(!fixture.lines.join('').includes(value), 'no token in the log');
  }
});

const badRequests = [
  ['an identity that is no SPIFFE id', 'spiffe://cluster.local/ns/shop', web, Code.Unauthenticated],
  ['another trust domain', 'spiffe://other.org/ns/shop/sa/web', web, Code.Unauthenticated],
  ['a request made for another identity', web, cart, Code.InvalidArgument],
] as const;

for (const [title, identity, requested, code] of badRequests) {
  test(`the certificate authority refuses ${title}`, timeout, async (context) => {
    const fixture = await setUp(context);
    const channel = await openChannel(fixture.url, readFileSync(fixture.rootsFile, 'utf8'));
    context.after(() => channel.close());
    const client = createClient(IstioCertificateService, channel.transport);
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const metadata = { ImpersonatedIdentity: identity };
    const request = create(IstioCertificateRequestSchema, { csr: createCsr(requested, pair), metadata });
    await assert.rejects(client.createCertificate(request, { headers: { authorization: `Bearer ${token()}` } }), {
      code,
    });
  });
}

test('a request without metadata names its identity itself, under the same rule', timeout, async (context) => {
  const fixture = await setUp(context);
  const channel = await openChannel(fixture.url, readFileSync(fixture.rootsFile, 'utf8'));
  context.after(() => channel.close());
  const client = createClient(IstioCertificateService, channel.transport);
  const headers = { authorization: `Bearer ${token()}` };
  const ask = (identity: string) => {
    const csr = createCsr(identity, generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    return client.createCertificate(create(IstioCertificateRequestSchema, { csr }), { headers });
  };
  const response = await ask(web);
  assert.deepEqual(uriNames(new X509Certificate(response.certChain[0] ?? '')), [web]);
  await assert.rejects(ask('spiffe://cluster.local/ns/shop/sa/nobody'), { code: Code.Unauthenticated });
});

test('without a name the caller gets its own identity; lives are bounded', timeout, async (context) => {
  const fixture = await setUp(context);
  const channel = await openChannel(fixture.url, readFileSync(fixture.rootsFile, 'utf8'));
  context.after(() => channel.close());
  const client = createClient(IstioCertificateService, channel.transport);
  const own = 'spiffe://cluster.local/ns/ambient-system/sa/ambient-node';
  const csr = createCsr(own, generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const request = create(IstioCertificateRequestSchema, { csr, validityDuration: 10_000_000n });
  const response = await client.createCertificate(request, { headers: { authorization: `Bearer ${token()}` } });
  const leaf = new X509Certificate(response.certChain[0] ?? '');
  assert.deepEqual(uriNames(leaf), [own]);
  assert.ok(leaf.validToDate.getTime() <= Date.now() + fixture.config.certificateTtlMaxMs);
  assert.match(response.certChain.at(-1) ?? '', /BEGIN CERTIFICATE/);
});

test('a proxy that claims another node than its token proves does not get the mesh', timeout, async (context) => {
  const fixture = await setUp(context);
  const { client } = discoveryClient(context, fixture, 'b', 'proxy-a');
  client.start();
  await eventually(() => client.state().lastError !== null, 'refused');
  assert.deepEqual(fixture.controller.status().proxies, []);
  assert.match(fixture.lines.join(''), /claims node b/);
});

test(
  'a broken manifest is named with its place, changes nothing, and is forgotten once repaired',
  timeout,
  async (context) => {
    const fixture = await setUp(context);
    fixture.put('cart.json', 'kind: Pod\nmetadata: {name: [unclosed\n');
    const source = async () => (await admin<StatusView>(fixture, '/status')).sources[0];
    await eventually(async () => (await source())?.ok === false, 'the source is broken');
    const error = (await source())?.error;
    assert.match(error?.file ?? '', /cart\.json$/);
    assert.ok((error?.line ?? 0) > 1);
    assert.match(fixture.lines.join(''), /cart\.json:\d+:\d+: /);
    assert.ok(fixture.controller.compiler.pod('shop', 'cart'), 'what it said before stays in force');
    fixture.put('cart.json', podManifest('shop', 'cart', 'b', 'cart', '10.244.2.7'));
    await eventually(async () => (await source())?.ok === true, 'the source is repaired');
  },
);

test(
  'a controller that starts with a broken manifest serves nobody half a mesh, and says what it waits for',
  timeout,
  async (context) => {
    const fixture = await setUp(context, {}, ({ put }) => put('cart.json', 'kind: [broken\n'));
    const { readiness } = fixture.controller.addresses;
    const ready = () => fetch(`http://127.0.0.1:${readiness}/healthz/ready`);
    assert.equal((await ready()).status, 503);
    assert.match(fixture.lines.join(''), /cart\.json:\d+:\d+: .*proxies are served once it can be read/);
    const { client, synced } = discoveryClient(context, fixture);
    client.start();
    await eventually(() => client.state().lastError !== null, 'turned away');
    assert.match(client.state().lastError ?? '', /sources have not been read/);
    fixture.put('cart.json', podManifest('shop', 'cart', 'b', 'cart', '10.244.2.7'));
    await synced;
    assert.equal((await ready()).status, 200);
  },
);

test(
  'a source that vanishes whole takes nothing away; when it is back, what it lacks goes',
  timeout,
  async (context) => {
    const fixture = await setUp(context);
    const { client, workloads, until, synced } = discoveryClient(context, fixture);
    client.start();
    await synced;
    renameSync(fixture.manifests, `${fixture.manifests}-away`);
    await eventually(() => fixture.controller.status().sources[0]?.ok === false, 'the source is gone');
    assert.ok(fixture.controller.compiler.pod('shop', 'web'));
    rmSync(path.join(`${fixture.manifests}-away`, 'web.json'));
    renameSync(`${fixture.manifests}-away`, fixture.manifests);
    await until(() => !workloads.has('Kubernetes//Pod/shop/web'));
    assert.ok(workloads.has('Kubernetes//Pod/shop/cart'));
  },
);

test('two proxies of one name, while one replaces the other, leave each other alone', timeout, async (context) => {
  const fixture = await setUp(context);
  const old = discoveryClient(context, fixture);
  old.client.start();
  await old.synced;
  const young = discoveryClient(context, fixture);
  young.client.start();
  await young.synced;
  assert.equal(old.client.state().connected, true);
  assert.equal(fixture.controller.status().proxies.length, 1);
  await young.client.close();
  await eventually(() => fixture.controller.status().proxies[0]?.inStep === true, 'the one that is left shows');
  await old.client.close();
  await eventually(() => fixture.controller.status().proxies[0]?.inStep === false, 'nobody is left');
});

test('a call as ztunnel makes it, byte by byte over plain HTTP/2', timeout, async (context) => {
  const fixture = await setUp(context);
  const session = connect(fixture.url, { ca: readFileSync(fixture.rootsFile) });
  context.after(() => session.destroy());
  const field = (number: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([(number << 3) | 2, (bytes.length & 0x7f) | 0x80, bytes.length >> 7]), bytes]);
  const csr = Buffer.from(createCsr(web, generateKeyPairSync('ec', { namedCurve: 'P-256' })));
  const entry = Buffer.concat([field(1, Buffer.from('ImpersonatedIdentity')), field(2, field(3, Buffer.from(web)))]);
  const lifetime = Buffer.from([0x18, 0x80, 0xa3, 0x05]); // field 3, 86400
  const body = Buffer.concat([field(1, csr), lifetime, field(4, field(1, entry))]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/istio.v1.auth.IstioCertificateService/CreateCertificate',
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: `Bearer ${token()}`,
    clusterid: 'Kubernetes',
  });
  const trailers = once(stream, 'trailers');
  stream.end(Buffer.concat([prefix, body]));
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const [status] = await trailers;
  assert.equal(status['grpc-status'], '0');
  const answer = Buffer.concat(chunks);
  assert.equal(answer[5], (1 << 3) | 2, 'cert_chain is field 1');
  const blocks = answer.toString('latin1').match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  assert.equal(blocks.length, 2, 'the leaf, and the root as the last element');
  assert.deepEqual(uriNames(new X509Certificate(blocks[0] ?? '')), [web]);
  assert.equal(new X509Certificate(blocks[1] ?? '').ca, true);
});

test('readiness, metrics, log level', timeout, async (context) => {
  const fixture = await setUp(context);
  const { admin: adminPort, metrics, readiness } = fixture.controller.addresses;
  assert.equal((await fetch(`http://127.0.0.1:${readiness}/healthz/ready`)).status, 200);
  const scrape = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  for (const name of ['proxies_connected 0', 'sources_broken 0', 'certificates_issued_total 0', 'ready 1']) {
    assert.ok(scrape.includes(`ambient_controller_${name}`), name);
  }
  const logging = (query: string) => fetch(`http://127.0.0.1:${adminPort}/logging${query}`, { method: 'POST' });
  assert.equal((await logging('?level=debug')).status, 200);
  assert.equal((await logging('?level=loud')).status, 400);
});

test('a restarted controller keeps its root, and its proxies come back by themselves', timeout, async (context) => {
  const fixture = await setUp(context);
  const before = readFileSync(fixture.rootsFile, 'utf8');
  const { client, synced } = discoveryClient(context, fixture);
  client.start();
  await synced;
  const { port } = fixture.controller.addresses.discovery;
  await fixture.controller.close();
  const config = { ...fixture.config, ports: { ...fixture.config.ports, discovery: port } };
  const again = await startController(config, {
    log: createLogger({ level: 'error', format: 'text', write: () => {} }),
  });
  context.after(() => again.close());
  assert.equal(readFileSync(fixture.rootsFile, 'utf8'), before);
  await eventually(() => again.status().proxies[0]?.inStep === true, 'back in step');
});
