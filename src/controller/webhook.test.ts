import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import https, { type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { ManualClock } from '../base/manual-clock.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { MeshCompiler } from '../model/compiler.ts';
import { createLogger } from '../telemetry/logger.ts';
import { answerReview, type Verdict } from './admission-review.ts';
import { eventually, timeout } from './testing-controller.ts';
import { Webhook } from './webhook.ts';
import { WebhookBundle } from './webhook-bundle.ts';

const hourMs = 3_600_000;
const log = createLogger({ level: 'fatal', format: 'text' });

function newMesh(): MeshCompiler {
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system'],
    expandTemplates: false,
  });
  compiler.flush();
  return compiler;
}

type Spec = Readonly<Record<string, unknown>>;

const policy = (spec: Spec, metadata: Spec = {}): object => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'a', namespace: 'shop', ...metadata },
  spec,
});

function review(object: unknown, oldObject: unknown = null): object {
  const request = { uid: 'u', operation: oldObject === null ? 'CREATE' : 'UPDATE', object, oldObject };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request };
}

const byMethod = { to: [{ operation: { methods: ['GET'] } }] };
const byPath = { to: [{ operation: { paths: ['/a'] } }] };
const fromWeb = { from: [{ source: { principals: ['cluster.local/ns/shop/sa/web'] } }] };
const unreadable = { rules: [{ form: [] }] };

const updates: readonly (readonly [what: string, before: Spec | null, after: Spec, verdict: Verdict, more?: Spec])[] = [
  ['new and right', null, { rules: [fromWeb] }, 'allowed'],
  ['new and wrong', null, { rules: [byMethod] }, 'refused'],
  ['as wrong as before', { rules: [byMethod] }, { rules: [byMethod] }, 'tolerated'],
  ['the wrong rule has moved', { rules: [byMethod] }, { rules: [fromWeb, byMethod] }, 'tolerated'],
  ['one of two has been made right', { rules: [byMethod, byPath] }, { rules: [fromWeb, byPath] }, 'tolerated'],
  ['wrong in a second place', { rules: [byMethod] }, { rules: [byMethod, byMethod] }, 'refused'],
  ['wrong in another way', { rules: [byMethod] }, { rules: [byPath] }, 'refused'],
  ['cannot be read any more', { rules: [fromWeb] }, unreadable, 'refused'],
  ['could not be read before', unreadable, { action: 'DENNY' }, 'tolerated'],
  ['could not be read, and has errors now', unreadable, { rules: [byMethod] }, 'tolerated'],
  [
    'wrong, on its way out',
    { rules: [fromWeb] },
    unreadable,
    'tolerated',
    { deletionTimestamp: '2026-01-01T00:00:00Z' },
  ],
];

for (const [what, before, after, verdict, metadata] of updates) {
  test(`a review: ${what}`, () => {
    const judged: Verdict[] = [];
    const options = { mesh: newMesh(), isKnown: () => true, judged: (_: string, one: Verdict) => judged.push(one) };
    const asked = review(policy(after, metadata), before === null ? null : policy(before));
    const { response } = answerReview(asked, options) as { response: { uid: string; allowed: boolean } };
    assert.deepEqual(judged, [verdict]);
    assert.deepEqual([response.uid, response.allowed], ['u', verdict !== 'refused']);
    assert.equal('warnings' in response, verdict === 'tolerated');
  });
}

test('while the mesh is not known, nothing is said of what an object refers to', () => {
  const target = policy({ targetRefs: [{ group: '', kind: 'Service', name: 'gone' }], rules: [fromWeb] });
  const said = [true, false].map((isKnown) => {
    const options = { mesh: newMesh(), isKnown: () => isKnown, judged: () => {} };
    return (answerReview(review(target), options) as { response: { warnings?: readonly string[] } }).response.warnings;
  });
  assert.match(String(said[0]), /Service shop\/gone is not there/);
  assert.equal(said[1], undefined);
});

function makeAuthority(context: TestContext, clock: ManualClock): CertificateAuthority {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-webhook-'));
  context.after(() => rmSync(dir, { recursive: true }));
  return new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock, overlapMs: hourMs });
}

test('the port: bounds, and a certificate that is renewed while it is open', timeout, async (context) => {
  const clock = new ManualClock(Date.now() - 0.6 * hourMs);
  const authority = makeAuthority(context, clock);
  const ports = { discovery: 0, admin: 0, metrics: 0, readiness: 0, webhook: 0, page: 0 };
  const config = {
    listenHost: '127.0.0.1',
    ports,
    serverNames: ['ambient-controller.x.svc'],
    certificateTtlMs: hourMs,
  };
  const mesh = newMesh();
  const webhook = new Webhook({ config, authority, mesh, isKnown: () => true, judged: () => {}, clock, log });
  const port = await webhook.start();
  context.after(() => webhook.close());
  const ca = authority.rootsPem().join('');
  const ask = (body: string, more: RequestOptions = {}): Promise<{ status: number; text: string; serial: string }> =>
    new Promise((resolve, reject) => {
      const target = { host: '127.0.0.1', port, servername: 'ambient-controller.x.svc', ca, agent: false as const };
      const request = https.request({ method: 'POST', path: '/validate?timeout=5s', ...target, ...more }, (answer) => {
        const chunks: Buffer[] = [];
        const { serialNumber: serial } = (answer.socket as TLSSocket).getPeerCertificate();
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString(), serial }),
        );
      });
      request.on('error', reject);
      request.end(body);
    });
  const good = JSON.stringify(review(policy({ rules: [fromWeb] })));
  const first = await ask(good);
  assert.deepEqual([first.status, JSON.parse(first.text).response], [200, { uid: 'u', allowed: true }]);
  assert.equal((await ask('{"kind":"Review"}')).status, 400);
  assert.equal((await ask('no JSON')).status, 400);
  assert.equal((await ask('', { path: '/other' })).status, 404);
  assert.equal((await ask('', { method: 'GET' })).status, 405);
  const declared = { headers: { 'content-length': String(9 * 1024 * 1024) } };
  assert.equal((await ask('{', declared)).status, 413);
  await assert.rejects(ask(good, { ca: 'nobody’s' }));
  clock.advance(0.6 * hourMs);
  const later = await ask(good);
  assert.notEqual(later.serial, first.serial);
});

test('the configuration follows the roots, for as long as this replica leads', timeout, async (context) => {
  const clock = new ManualClock(Date.now());
  const roots = [1, 2].map(() => makeAuthority(context, clock).rootsPem()[0]!);
  const stored: { name: string; clientConfig: { caBundle?: string } }[] = ['a', 'b'].map((name) => ({
    name,
    clientConfig: {},
  }));
  const asked: string[] = [];
  const json = async ({ method = 'GET', body }: { method?: string; body?: unknown }): Promise<unknown> => {
    asked.push(method);
    if (method === 'PATCH') {
      for (const [at, one] of (body as { webhooks: typeof stored }).webhooks.entries()) stored[at] = one;
    }
    return { webhooks: structuredClone(stored) };
  };
  let present = roots.slice(0, 1);
  const api = { json } as unknown as ApiClient;
  const bundle = new WebhookBundle({ api, name: 'c', rootsPem: () => present, clock, log });
  context.after(() => bundle.close());
  const bundles = (): (string | undefined)[] => stored.map(({ clientConfig: { caBundle } }) => caBundle);
  const has = (pem: readonly string[]) => () => {
    const wanted = Buffer.from(pem.map((each) => each.trim()).join('\n')).toString();
    return bundles().every(
      (one) =>
        Buffer.from(one ?? '', 'base64')
          .toString()
          .trim() === wanted,
    );
  };
  bundle.switch(true);
  await eventually(has(roots.slice(0, 1)), 'the first root');
  assert.deepEqual(asked, ['GET', 'PATCH']);
  // Turn by turn, as each ends by asking for the next.
  const turn = async (): Promise<void> => {
    const before = asked.length;
    await eventually(() => {
      clock.advance(5_000);
      return asked.length > before;
    }, 'another look');
  };
  await turn();
  assert.equal(asked.filter((one) => one === 'PATCH').length, 1);
  present = roots;
  await turn();
  await eventually(has(roots), 'both roots while they overlap');
  delete stored[1]!.clientConfig.caBundle;
  await turn();
  await eventually(has(roots), 'what was taken away');
  bundle.switch(false);
  await bundle.close();
  const count = asked.length;
  clock.advance(60_000);
  assert.equal(asked.length, count);
});
