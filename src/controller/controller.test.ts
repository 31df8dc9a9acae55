// The whole controller in this process, over loopback TLS: manifests in a folder, tokens of an issuer of our own, and
// node proxies that call it with the clients that real node proxies use.
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:http2';
import path from 'node:path';
import { test } from 'node:test';
import { createCsr } from '../identity/csr.ts';
import { uriNames } from '../identity/x509.ts';
import type { MeshView, StatusView } from '../model/views.ts';
import { createLogger } from '../telemetry/logger.ts';
import { startController } from './controller.ts';
import {
  admin,
  cart,
  certificates,
  discoveryClient,
  eventually,
  podManifest,
  setUp,
  timeout,
  token,
  web,
} from './testing-controller.ts';

test(
  'a node proxy follows the mesh: what a file says becomes live, and status shows it in step',
  timeout,
  async (context) => {
    const fixture = await setUp(context);
    const { client, workloads, until } = discoveryClient(context, fixture);
    const synced = once(client, 'synced');
    client.start();
    await synced;
    const pod = workloads.get('Kubernetes//Pod/shop/web');
    assert.equal(pod?.tunnelProtocol, 'HBONE');
    fixture.put('pay.json', podManifest('shop', 'pay', 'a', 'pay', '10.244.1.8'));
    await until(() => workloads.has('Kubernetes//Pod/shop/pay'));
    rmSync(path.join(fixture.manifests, 'pay.json'));
    await until(() => !workloads.has('Kubernetes//Pod/shop/pay'));
    await eventually(() => fixture.controller.status().proxies[0]?.inStep === true, 'in step');
    const status = await admin<StatusView>(fixture, '/status');
    const [proxy] = status.proxies;
    assert.deepEqual([proxy?.name, proxy?.node, proxy?.version, proxy?.ready], ['proxy-a', 'a', 'test', true]);
    assert.deepEqual(status.objects, []);
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
    // Nothing that a restart would help.
    assert.equal((await fetch(`http://127.0.0.1:${readiness}/healthz/live`)).status, 200);
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
