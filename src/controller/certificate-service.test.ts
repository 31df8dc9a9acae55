// Who gets which certificate from the controller, over loopback TLS.
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { openChannel } from '../discovery/channel.ts';
import { IstioCertificateRequestSchema, IstioCertificateService } from '../discovery/generated/certificate_pb.ts';
import { createCsr } from '../identity/csr.ts';
import { signJwt } from '../identity/jwt.ts';
import { uriNames } from '../identity/x509.ts';
import { cart, issuer, podManifest, setUp, timeout, token, web } from './testing-controller.ts';

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

test('a waypoint gets its own identity and no other, and nobody gets that of a waypoint', timeout, async (context) => {
  const waypoint = 'spiffe://cluster.local/ns/shop/sa/wp';
  const listener = { name: 'mesh', port: 15008, protocol: 'HBONE' };
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { namespace: 'shop', name: 'wp' },
    spec: { gatewayClassName: 'ambient-waypoint', listeners: [listener] },
  };
  const label = { 'gateway.networking.k8s.io/gateway-name': 'wp' };
  const pod = JSON.parse(podManifest('shop', 'wp-1', 'a', 'wp', '10.244.1.9'));
  const fixture = await setUp(context, {}, ({ put }) => {
    put('wp.json', JSON.stringify(gateway));
    put('wp-1.json', JSON.stringify({ ...pod, metadata: { ...pod.metadata, labels: label } }));
  });
  const channel = await openChannel(fixture.url, readFileSync(fixture.rootsFile, 'utf8'));
  context.after(() => channel.close());
  const client = createClient(IstioCertificateService, channel.transport);
  const ask = (bearer: string, identity: string) => {
    const csr = createCsr(identity, generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    const request = create(IstioCertificateRequestSchema, { csr, metadata: { ImpersonatedIdentity: identity } });
    return client.createCertificate(request, { headers: { authorization: `Bearer ${bearer}` } });
  };
  const own = token('wp-1', 'a', {
    sub: 'system:serviceaccount:shop:wp',
    'kubernetes.io': {
      namespace: 'shop',
      serviceaccount: { name: 'wp', uid: 'u' },
      pod: { name: 'wp-1', uid: 'uid-wp-1' },
      node: { name: 'a', uid: 'uid-a' },
    },
  });
  const response = await ask(own, waypoint);
  assert.deepEqual(uriNames(new X509Certificate(response.certChain[0] ?? '')), [waypoint]);
  await assert.rejects(ask(own, web), { code: Code.Unauthenticated }, 'a pod on its own node');
  await assert.rejects(ask(token(), waypoint), { code: Code.Unauthenticated }, 'the proxy of its node');
});
