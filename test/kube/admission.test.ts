// The validating webhook of a whole controller, asked by an API server: our own by default, with `npm run test:kube --
// --kubeconfig FILE` the one that the file leads to, which has to reach this process (`--webhook-host`).
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { type Fixture, setUp } from '../../src/controller/testing-controller.ts';
import { webhookPath } from '../../src/controller/webhook-server.ts';
import { readValues } from '../../src/install/values.ts';
import { webhookObjects } from '../../src/install/webhook-objects.ts';
import { ApiServer } from '../../src/lab/api-server/api-server.ts';
import { eventually, ok, refused } from './api-case.ts';
import { type Answer, ApiClient, type Json } from './api-client.ts';
import { definitionsPath, foreignDefinitions } from './foreign-definitions.ts';
import { targetOfKubeconfig } from './kubeconfig.ts';

const file = process.env.AMBIENT_KUBECONFIG ?? '';
const host = process.env.AMBIENT_WEBHOOK_HOST ?? '127.0.0.1';
const timeout = { timeout: 120_000 };
const unique = `ambient-test-${randomBytes(4).toString('hex')}`;
const configurations = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const configuration = `${configurations}/${unique}`;
const crdFolder = path.join(import.meta.dirname, '../../deploy/crds');
const service = { group: '', kind: 'Service', name: 'pay' };

let server: ApiServer | null = null;
let api: ApiClient;
let kubeconfig = '';
/** What goes at the end, last first. */
const made: string[] = [];

async function make(list: string, object: Json): Promise<Json> {
  made.unshift(`${list}/${object.metadata.name}`);
  return ok(await api.post(list, object), 201);
}

before(async () => {
  if (file === '') {
    server = new ApiServer();
    api = new ApiClient(await server.start());
    kubeconfig = server.kubeconfig('own');
  } else {
    api = new ApiClient(targetOfKubeconfig(file));
    kubeconfig = readFileSync(file, 'utf8');
  }
  const own = readdirSync(crdFolder).map((name) => parse(readFileSync(path.join(crdFolder, name), 'utf8')) as Json);
  for (const definition of [...foreignDefinitions, ...own] as Json[]) {
    const { status } = await api.get(`${definitionsPath}/${definition.metadata.name}`);
    if (status === 404) await make(definitionsPath, definition);
  }
  await make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: unique } });
  const spec = { selector: { app: 'pay' }, ports: [{ port: 80 }] };
  const object = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'pay' }, spec };
  await eventually(async () => void ok(await api.post(`/api/v1/namespaces/${unique}/services`, object), 201));
});

after(async () => {
  for (const each of made) await api.delete(each);
  api.close();
  await server?.close();
});

const groups: Readonly<Record<string, readonly [groupVersion: string, plural: string]>> = {
  AuthorizationPolicy: ['security.istio.io/v1', 'authorizationpolicies'],
  TrafficPolicy: ['ambient.mesh/v1alpha1', 'trafficpolicies'],
  Gateway: ['gateway.networking.k8s.io/v1', 'gateways'],
  HTTPRoute: ['gateway.networking.k8s.io/v1', 'httproutes'],
};

const listOf = (kind: string): string => `/apis/${groups[kind]![0]}/namespaces/${unique}/${groups[kind]![1]}`;

function objectOf(kind: string, name: string, spec: object, metadata: object = {}): Json {
  return { apiVersion: groups[kind]![0], kind, metadata: { name, ...metadata }, spec };
}

const post = (kind: string, name: string, spec: object, query = ''): Promise<Answer> =>
  api.post(`${listOf(kind)}${query}`, objectOf(kind, name, spec));

const merge = (kind: string, name: string, change: object): Promise<Answer> =>
  api.patch('merge', `${listOf(kind)}/${name}`, change);

/** The configuration of an installation, for this namespace. Nobody is called before `direct`. */
async function register(failurePolicy: string): Promise<void> {
  const values = await readValues({ sets: [`webhook.failurePolicy=${failurePolicy}`] });
  const [manifest] = webhookObjects(values) as readonly Json[];
  const webhooks = manifest!['webhooks'].map((one: Json) => ({
    ...one,
    clientConfig: { url: `https://${host}:1${webhookPath}` },
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': unique } },
  }));
  await make(configurations, { ...manifest, metadata: { name: unique }, webhooks });
}

/** From now on this process is called. */
async function direct({ controller }: Fixture): Promise<void> {
  const value = `https://${host}:${controller.addresses.webhook}${webhookPath}`;
  ok(await api.patch('json', configuration, [{ op: 'replace', path: '/webhooks/0/clientConfig/url', value }]));
}

async function controllerOf(context: Parameters<typeof setUp>[0]): Promise<Fixture> {
  const auth = { issuer: '', jwksFile: '', audiences: ['ambient-controller'], nodeAccounts: ['a/b'] };
  const more = { webhook: { configuration: unique }, systemNamespace: unique, listenHost: host, serverNames: [host] };
  return setUp(context, { source: 'kubernetes', sources: [], auth, ...more }, ({ file: place }) =>
    writeFileSync(place('kubeconfig'), kubeconfig),
  );
}

const bundleOf = async (): Promise<string | undefined> =>
  ok(await api.get(configuration)).webhooks[0].clientConfig.caBundle;

const misspelt = { action: 'DENNY', rules: [{}] };
const words =
  /AuthorizationPolicy "[a-z0-9-]+" is invalid: spec\.action: must be one of .*, not "DENNY"; did you mean DENY\?/;

test(
  'what the mesh calls an error is refused in its words; the rest is taken, with warnings',
  timeout,
  async (context) => {
    // Before there is a webhook: these are there already, and wrong.
    for (const name of ['old', 'older']) ok(await post('AuthorizationPolicy', name, misspelt), 201);
    await register('Ignore');
    const fixture = await controllerOf(context);
    await direct(fixture);
    let at = 0;
    await eventually(async () => {
      const answer = await post('AuthorizationPolicy', `bad-${at++}`, misspelt);
      const { details } = refused(answer, 422, 'Invalid', words);
      assert.deepEqual([details.kind, details.causes[0].field], ['AuthorizationPolicy', 'spec.action']);
    });
    // The compiler's errors, dry runs, and objects that have no name yet.
    const get = { action: 'ALLOW', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };
    refused(
      await post('AuthorizationPolicy', 'get', get),
      422,
      'Invalid',
      /methods: rule 0: operation\.methods is an HTTP attribute/,
    );
    refused(await post('AuthorizationPolicy', 'dry', misspelt, '?dryRun=All'), 422, 'Invalid', words);
    const nameless = objectOf('AuthorizationPolicy', '', misspelt, { name: undefined, generateName: 'some-' });
    refused(await api.post(listOf('AuthorizationPolicy'), nameless), 422, 'Invalid', words);
    const both = { selector: { matchLabels: { app: 'pay' } }, targetRefs: [service], rules: [{}] };
    refused(await post('AuthorizationPolicy', 'both', both), 422, 'Invalid', /spec\.selector: names both a selector/);
    const count = { parentRefs: [service], rules: [{ timeouts: { request: 'soon' } }] };
    refused(await post('HTTPRoute', 'r', count), 422, 'Invalid', /spec\.rules\[0\]\.timeouts\.request: must be/);
    // Taken, with a word of warning.
    const lost = await post('TrafficPolicy', 'lost', {
      targetRefs: [{ ...service, name: 'gone' }],
      healthPaths: ['/'],
    });
    assert.equal(ok(lost, 201).metadata.name, 'lost');
    assert.match(String(lost.headers['warning']), /spec\.targetRefs\[0\]: Service .*\/gone is not there/);
    const fine = await post('TrafficPolicy', 'fine', { targetRefs: [service], healthPaths: ['/'] });
    assert.equal(ok(fine, 201).metadata.name, 'fine');
    assert.equal(fine.headers['warning'], undefined);
    // What others obey is not ours to judge.
    const listeners = [{ name: 'a', port: 80, protocol: 'HTTP' }];
    ok(await post('Gateway', 'theirs', { gatewayClassName: 'another', listeners }), 201);
    refused(await post('Gateway', 'ours', { gatewayClassName: 'ambient-waypoint', listeners }), 422, 'Invalid');
    // What was wrong before can be labelled, made right, and deleted; what was right cannot be made wrong.
    const labelled = await merge('AuthorizationPolicy', 'old', { metadata: { labels: { a: 'b' } } });
    assert.equal(ok(labelled).metadata.labels.a, 'b');
    assert.match(String(labelled.headers['warning']), /still wrong: spec\.action/);
    ok(await merge('AuthorizationPolicy', 'old', { spec: { action: 'DENY' } }));
    refused(await merge('AuthorizationPolicy', 'old', { spec: { action: 'DENNY' } }), 422, 'Invalid', words);
    ok(await api.delete(`${listOf('AuthorizationPolicy')}/older`));
    const { metrics } = fixture.controller.addresses;
    const scrape = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    for (const verdict of ['refused', 'tolerated', 'allowed', 'foreign']) {
      assert.match(
        scrape,
        new RegExp(`ambient_controller_reviews_total\\{kind="[A-Za-z]+",verdict="${verdict}"\\} [1-9]`),
      );
    }
    ok(await api.delete(configuration));
  },
);

test(
  'whom it is verified by is kept; while it is down, open lets through and closed refuses',
  timeout,
  async (context) => {
    await register('Fail');
    const fixture = await controllerOf(context);
    await direct(fixture);
    await eventually(async () => void assert.ok((await bundleOf()) !== undefined));
    const bundle = await bundleOf();
    assert.match(Buffer.from(String(bundle), 'base64').toString('utf8'), /^-----BEGIN CERTIFICATE-----/);
    const away = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }];
    ok(await api.patch('json', configuration, away));
    await eventually(async () => void assert.equal(await bundleOf(), bundle), 30_000);
    let at = 0;
    await eventually(async () => {
      refused(await post('AuthorizationPolicy', `x-${at++}`, misspelt), 422, 'Invalid', words);
    });
    await fixture.controller.close();
    await eventually(async () => {
      const answer = await post('AuthorizationPolicy', `closed-${at++}`, { rules: [{}] });
      refused(answer, 500, 'InternalError', /failed calling webhook "validate\.ambient\.mesh"/);
    });
    ok(await api.patch('json', configuration, [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }]));
    await eventually(async () => void ok(await post('AuthorizationPolicy', `open-${at++}`, misspelt), 201));
  },
);
