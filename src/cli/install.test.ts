// What is put into a cluster: as text, through an API server, and by the programs that read their part of it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { readControllerConfig } from '../config/controller.ts';
import { parseNodeConfig } from '../config/node.ts';
import { controllerConfig } from '../install/controller-objects.ts';
import { nodeConfig } from '../install/node-objects.ts';
import type { Manifest } from '../install/parts.ts';
import { readValues } from '../install/values.ts';
import { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { asideKinds, listPath, watchedKinds } from '../kube/api/kinds.ts';
import { writtenKinds } from '../kube/api/written-kinds.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { assertGolden } from './testing-golden.ts';
import { runInProcess } from './testing-run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'ambient-install-'));
after(() => rmSync(folder, { recursive: true }));
const everything = [
  'controller.replicas=2',
  'networkPolicies.enabled=true',
  'page.listen=everywhere',
  'page.names=[mesh.example]',
  'podMonitors.enabled=true',
  'image.pullSecrets=[registry]',
  'node.config.podCidrs=[10.244.0.0/24]',
];

const run = (...args: string[]) => runInProcess(args);

const sets = (values: readonly string[]): string[] => values.flatMap((value) => ['--set', value]);

function fileOf(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

test('what is printed, by default and with everything switched on', async () => {
  for (const [name, args] of [
    ['install', []],
    ['install-all', sets(everything)],
  ] as const) {
    const { code, out, err } = await run('install', ...args);
    assert.equal(code, 0);
    const documents = out.split(/^---\n/m);
    const others = documents.filter((one) => !one.includes('kind: CustomResourceDefinition'));
    assert.equal(documents.length - others.length, 3);
    assertGolden(`${name}.yaml.txt`, others.join('---\n'));
    assertGolden(`${name}.next.txt`, err);
  }
});

test('what restores the nodes', async () => {
  const { code, out, err } = await run('uninstall');
  assert.equal(code, 0);
  assertGolden('uninstall.yaml.txt', out);
  assertGolden('uninstall.next.txt', err);
});

test('capture inside of pods takes one capability and one folder more, and its cleanup too', async () => {
  const [pod, without] = [['--set', 'node.captureBackend=pod'], []].map(async (args) => {
    const { out } = await run('install', '-o', 'json', ...args);
    const { items } = JSON.parse(out) as { items: Manifest[] };
    const { spec } = items.find(({ kind }) => kind === 'DaemonSet') as unknown as {
      spec: { template: { spec: { containers: { volumeMounts: object[]; securityContext: object }[] } } };
    };
    return spec.template.spec.containers[0]!;
  });
  const [more, less] = [await pod!, await without!];
  assert.deepEqual(more.securityContext, {
    ...less.securityContext,
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN'] },
  });
  assert.deepEqual(more.volumeMounts, [
    ...less.volumeMounts,
    { name: 'namespaces', mountPath: '/run/netns', readOnly: true, mountPropagation: 'HostToContainer' },
  ]);
  const { capture } = parseNodeConfig(
    JSON.stringify({ ...nodeConfig(await readValues({ sets: ['node.captureBackend=pod'] })), nodeName: 'one' }),
    'config.yaml',
  );
  assert.deepEqual([capture.backend, capture.namespaces], ['pod', '/run/netns']);
  const { out } = await run('uninstall', '--set', 'node.captureBackend=pod');
  assert.match(out, /--namespaces\n +- \/host\/run\/netns/);
  assert.match(out, /- SYS_ADMIN/);
});

test('YAML, JSON, values in files and upgrade say the same', async () => {
  const { out } = await run('install', ...sets(everything));
  const items = parseAllDocuments(out).map((one) => one.toJS() as unknown);
  const json = await run('install', '-o', 'json', ...sets(everything));
  assert.deepEqual((JSON.parse(json.out) as { items: unknown }).items, items);
  const values = 'controller: {replicas: 3}\nnetworkPolicies: {enabled: true}\nimage: {pullSecrets: [registry]}\n';
  const rest =
    'page: {listen: everywhere, names: [mesh.example]}\npodMonitors: {enabled: true}\nnode: {config: {podCidrs: [10.244.0.0/24]}}\n';
  const files = ['-f', fileOf('values.yaml', values + rest), '-f', fileOf('more.yaml', 'controller: {replicas: 2}\n')];
  assert.equal((await run('upgrade', ...files)).out, out);
});

const refused: readonly (readonly [args: string[], says: RegExp])[] = [
  [['--set', 'controller'], /--set 'controller' is not PATH=VALUE/],
  [['--set', 'controler.replicas=2'], /controler is no known field; did you mean controller\?/],
  [['--set', 'controller.replicas=0'], /controller\.replicas must be a whole number from 1 to 16/],
  [['--set', 'node.config.stateDir=/x'], /node\.config\.stateDir is chosen by the installation/],
  [['--set', 'node.config.podCidr=[]'], /node\.config\.podCidr is no known field; did you mean podCidrs\?/],
  [['--set', 'podMonitors=3'], /podMonitors must be a mapping, not 3/],
  [['--set', 'controller.config.caDir=/x'], /controller\.config\.caDir is chosen by the installation/],
  [['-f', fileOf('bad.yaml', 'node:\n  resorces: {}\n')], /bad\.yaml:2:3: .*did you mean resources\?/],
  [['-f', path.join(folder, 'none.yaml')], /none\.yaml/],
];
for (const [args, says] of refused) {
  test(`refused: ${says.source}`, async () => {
    const { code, out, err } = await run('install', ...args);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, says);
  });
}

test('the programs take the files that they are given', async () => {
  const values = await readValues({ sets: everything });
  const controller = readControllerConfig(fileOf('controller.yaml', JSON.stringify(controllerConfig(values))));
  assert.equal(controller.source, 'kubernetes');
  const node = parseNodeConfig(JSON.stringify(nodeConfig(values)), 'node.yaml', { NODE_NAME: 'n1' });
  assert.equal(node.nodeName, 'n1');
  const host = new URL(node.controllerUrl).hostname;
  assert(controller.serverNames.includes(host), host);
  assert.deepEqual(controller.auth.nodeAccounts, ['ambient-system/ambient-node']);
});

test('a page that others reach asks them who they are, over TLS; otherwise it is on loopback', async () => {
  const pageOf = async (...values: readonly string[]) => {
    const config = controllerConfig(await readValues({ sets: values }));
    return readControllerConfig(fileOf('page.yaml', JSON.stringify(config))).page;
  };
  const own = await pageOf('page.listen=everywhere');
  assert.deepEqual(
    [own.host, own.tls, own.passwordFile === '', own.tokenFile === ''],
    ['0.0.0.0', 'own', false, false],
  );
  const files = await pageOf('page.listen=everywhere', 'page.certificate=secret');
  assert.deepEqual([files.tls, files.certificateFile], ['files', '/run/ambient-page/tls/tls.crt']);
  const closed = await pageOf();
  assert.deepEqual([closed.enabled, closed.host, closed.passwordFile], [true, '127.0.0.1', '']);
  const off = await pageOf('page.enabled=false', 'page.listen=everywhere');
  assert.deepEqual([off.enabled, off.host], [false, '127.0.0.1']);
});

test('an API server takes it all, twice; the controller may do its work and nothing else', {
  timeout: 60_000,
}, async (context) => {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const clientOf = (bearer: string): ApiClient => {
    const tls = (): { ca: string } => ({ ca: caPem });
    const client = new ApiClient({ server: url, namespace: 'default', tls, authorization: () => `Bearer ${bearer}` });
    context.after(() => client.close());
    return client;
  };
  const kubeconfig = fileOf(
    'kubeconfig',
    JSON.stringify({
      clusters: [
        { name: 'c', cluster: { server: url, 'certificate-authority-data': Buffer.from(caPem).toString('base64') } },
      ],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  const apply = ['--apply', '--kubeconfig', kubeconfig, '-o', 'json', '--set', 'controller.replicas=2'];
  for (const action of ['created', 'unchanged']) {
    const { code, out, err } = await run('install', ...apply);
    assert.equal(code, 0, err);
    const objects = JSON.parse(out) as { kind: string; name: string; action: string }[];
    // The API server says in the definitions that they are served.
    const others = objects.filter(({ kind }) => kind !== 'CustomResourceDefinition');
    assert.deepEqual(
      others.filter((one) => one.action !== action),
      [],
    );
    assert.equal(others.length, 14);
  }
  const admin = clientOf(token);
  const accounts = '/api/v1/namespaces/ambient-system/serviceaccounts';
  const tokenOf = async (name: string): Promise<string> => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const made = await admin.json({ method: 'POST', path: `${accounts}/${name}/token`, body });
    return (made as Manifest & { status: { token: string } }).status.token;
  };
  const controller = clientOf(await tokenOf('ambient-controller'));
  const node = clientOf(await tokenOf('ambient-node'));
  const isForbidden = (client: ApiClient, request: Parameters<ApiClient['json']>[0]): Promise<boolean> =>
    client.json(request).then(
      () => false,
      (error: unknown) => failureOf(error)?.status === 403,
    );
  for (const kind of [...watchedKinds, ...asideKinds]) {
    const all = listPath(kind, kind.versions[0]!);
    assert.equal(await isForbidden(controller, { path: all }), false, `list ${all}`);
    assert.equal(await isForbidden(node, { path: all }), true, `list ${all}, as a node`);
    const isWritten = writtenKinds.some((one) => one.kind === kind.kind);
    const path = `${all.replace('/v1/', '/v1/namespaces/default/')}/x`;
    assert.equal(await isForbidden(controller, { method: 'DELETE', path }), !isWritten, `delete ${path}`);
  }
  const system = '/api/v1/namespaces/ambient-system';
  assert.equal(await isForbidden(controller, { path: `${system}/secrets/ambient-ca` }), false);
  assert.equal(await isForbidden(controller, { path: `${system}/secrets/other` }), true);
  assert.equal(await isForbidden(controller, { path: '/api/v1/secrets' }), true);
});

test('values of an older release are read, and what they are called now is said', async () => {
  const old = fileOf('old.yaml', 'networkPolicies: true\npodMonitors: false\n');
  const { code, out, err } = await run('upgrade', '-f', old, '--set', 'podMonitors=true');
  assert.equal(code, 0, err);
  const today = await run('upgrade', ...sets(['networkPolicies.enabled=true', 'podMonitors.enabled=true']));
  assert.equal(out, today.out);
  assert.match(err, /note: .*old\.yaml: networkPolicies: true is read as networkPolicies\.enabled/);
  assert.match(err, /note: podMonitors: true is read as podMonitors\.enabled/);
});
