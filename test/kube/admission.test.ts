// The validating webhook of a whole controller, asked by an API server, which has to reach this process
// (`--webhook-host`).
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Fixture } from '../../src/controller/testing-controller.ts';
import { webhookPath } from '../../src/controller/webhook-server.ts';
import { readValues } from '../../src/install/values.ts';
import { webhookObjects } from '../../src/install/webhook-objects.ts';
import { eventually, ok, refused } from './api-case.ts';
import type { Json } from './api-client.ts';
import { ControllerScene, webhookHost as host, service } from './controller-scene.ts';

const timeout = { timeout: 120_000 };
const scene = ControllerScene.forFile();
const { unique } = scene;
const configurations = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const configuration = `${configurations}/${unique}`;
const post = scene.post.bind(scene);
const merge = scene.merge.bind(scene);

/** The configuration of an installation, for this namespace. Nobody is called before `direct`. */
async function register(failurePolicy: string): Promise<void> {
  const values = await readValues({ sets: [`webhook.failurePolicy=${failurePolicy}`] });
  const [manifest] = webhookObjects(values) as readonly Json[];
  const webhooks = manifest!['webhooks'].map((one: Json) => ({
    ...one,
    clientConfig: { url: `https://${host}:1${webhookPath}` },
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': unique } },
  }));
  await scene.make(configurations, { ...manifest, metadata: { name: unique }, webhooks });
}

/** From now on this process is called. */
async function direct({ controller }: Fixture): Promise<void> {
  const value = `https://${host}:${controller.addresses.webhook}${webhookPath}`;
  ok(await scene.api.patch('json', configuration, [{ op: 'replace', path: '/webhooks/0/clientConfig/url', value }]));
}

const controllerOf = (context: TestContext): Promise<Fixture> =>
  scene.controller(context, { webhook: { configuration: unique } });

const bundleOf = async (): Promise<string | undefined> =>
  ok(await scene.api.get(configuration)).webhooks[0].clientConfig.caBundle;

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
    const nameless = scene.objectOf('AuthorizationPolicy', '', misspelt, { name: undefined, generateName: 'some-' });
    refused(await scene.api.post(scene.listOf('AuthorizationPolicy'), nameless), 422, 'Invalid', words);
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
    ok(await scene.api.delete(`${scene.listOf('AuthorizationPolicy')}/older`));
    const { metrics } = fixture.controller.addresses;
    const scrape = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    for (const verdict of ['refused', 'tolerated', 'allowed', 'foreign']) {
      assert.match(
        scrape,
        new RegExp(`ambient_controller_reviews_total\\{kind="[A-Za-z]+",verdict="${verdict}"\\} [1-9]`),
      );
    }
    ok(await scene.api.delete(configuration));
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
    ok(await scene.api.patch('json', configuration, away));
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
    ok(
      await scene.api.patch('json', configuration, [
        { op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' },
      ]),
    );
    await eventually(async () => void ok(await post('AuthorizationPolicy', `open-${at++}`, misspelt), 201));
  },
);
