import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { readControllerConfig } from './controller.ts';

const least = 'sources: [/etc/mesh]\ncaDir: /var/ca\nauth: { issuer: https://lab, jwksFile: /etc/jwks.json }\n';

function read(context: TestContext, text: string) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-config-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(path.join(dir, 'c.yaml'), text);
  return readControllerConfig(path.join(dir, 'c.yaml'));
}

test('four fields are enough, the rest has defaults', (context) => {
  const config = read(context, least);
  assert.equal(config.ports.discovery, 15_012);
  assert.equal(config.trustDomain, 'cluster.local');
  assert.deepEqual(config.auth.nodeAccounts, ['ambient-system/ambient-node']);
  assert.deepEqual(config.auth.audiences, ['ambient-controller', 'istio-ca']);
  assert.equal(config.certificateTtlMs, 86_400_000);
  assert.deepEqual([config.page.host, config.ports.page], ['127.0.0.1', 15_030]);
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.auth));
});

test('a cluster takes the place of folders', (context) => {
  const config = read(context, least.replace('sources: [/etc/mesh]', 'source: kubernetes'));
  assert.equal(read(context, 'source: kubernetes\ncaDir: /var/ca\n').auth.jwksFile, '');
  assert.deepEqual([config.source, config.sources, config.kubernetes.kubeconfig], ['kubernetes', [], '']);
});

test('durations are written as people write them', (context) => {
  assert.equal(read(context, `${least}certificateTtl: 90s\n`).certificateTtlMs, 90_000);
});

const refused = [
  ['a field that is not known', `${least}trustDomian: x\n`, /c\.yaml:4:1: trustDomian is no known field/],
  ['a field that is missing', 'sources: [x]\n', /c\.yaml:1:1: .*caDir/],
  ['no way to judge tokens', 'sources: [x]\ncaDir: x\n', /auth names issuer and jwksFile/],
  ['a Secret without a cluster', `${least}caSecret: ambient-ca\n`, /caSecret needs source: kubernetes/],
  ['keys without an issuer', 'source: kubernetes\ncaDir: x\nauth: { jwksFile: x }\n', /auth names issuer and/],
  ['no source at all', least.replace('/etc/mesh', ''), /sources names at least one path/],
  ['folders beside a cluster', `${least}source: kubernetes\n`, /none with source: kubernetes/],
  ['a port that is none', `${least}ports: { discovery: 70000 }\n`, /c\.yaml:4:\d+: ports\.discovery must be/],
  [
    'an account without namespace',
    least.replace('issuer', 'nodeAccounts: [ambient-node], issuer'),
    /NAMESPACE\/SERVICEACCOUNT/,
  ],
  ['a default life above the longest', `${least}certificateTtl: 91d\n`, /certificateTtlMs must not be above/],
  ['a page for everybody', `${least}page:\n  host: 0.0.0.0\n`, /c\.yaml:5:9: page\.host is 0\.0\.0\.0, which others/],
  [
    'a password in the clear',
    `${least}page:\n  passwordFile: /p\n  host: '::'\n`,
    /c\.yaml:6:9: page\.host .* in the clear/,
  ],
  ['half a certificate', `${least}page: { tls: files, keyFile: /k }\n`, /c\.yaml:4:14: page\.tls is files together/],
  ['broken YAML', 'sources: [', /c\.yaml:1:/],
] as const;

for (const [title, text, message] of refused) {
  test(`a configuration is refused with its place: ${title}`, (context) => {
    assert.throws(() => read(context, text), { name: 'MeshError', message });
  });
}

test('a configuration file that is not there is named', () => {
  assert.throws(() => readControllerConfig('/nowhere/c.yaml'), {
    code: 'INPUT_UNREADABLE',
    message: /nowhere\/c\.yaml/,
  });
});
