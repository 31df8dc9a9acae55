// What enrolling and unenrolling come to: labels, pods, reasons, words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { render } from './command.ts';
import { enrollResult } from './enroll.ts';
import { type PlainObject, patchOf, planOf, type Wish } from './enroll-plan.ts';
import { plain } from './io.ts';
import { assertGolden } from './testing-golden.ts';

const on = { 'ambient.mesh/dataplane-mode': 'ambient' };
const off = { 'ambient.mesh/dataplane-mode': 'none' };

const pod = (id: string, labels: Record<string, string>, more: object = {}): PlainObject => {
  const [namespace = '', name = ''] = id.split('/');
  return { metadata: { namespace, name, labels, ...more } };
};
const objects: Readonly<Record<string, readonly PlainObject[]>> = {
  Namespace: [
    { apiVersion: 'v1', metadata: { name: 'shop', labels: on } },
    { apiVersion: 'v1', metadata: { name: 'legacy', labels: { 'istio.io/dataplane-mode': 'none' } } },
    { apiVersion: 'v1', metadata: { name: 'ambient-system' } },
  ],
  Deployment: [
    {
      metadata: { namespace: 'shop', name: 'cart', labels: {} },
      spec: { selector: { matchLabels: { app: 'cart' } }, template: { metadata: { labels: { app: 'cart' } } } },
    },
    {
      metadata: { namespace: 'shop', name: 'out', labels: {} },
      spec: { selector: { matchLabels: { app: 'out' } }, template: { metadata: { labels: { app: 'out', ...off } } } },
    },
    {
      metadata: { namespace: 'legacy', name: 'job', labels: {} },
      spec: { selector: { matchLabels: { app: 'job' } }, template: { metadata: { labels: { app: 'job' } } } },
    },
  ],
  Service: [
    {
      apiVersion: 'v1',
      metadata: { namespace: 'shop', name: 'cart', labels: {} },
      spec: { selector: { app: 'cart' } },
    },
  ],
  Pod: [
    pod('shop/cart-1', { app: 'cart' }),
    pod('shop/out-1', { app: 'out', ...off }),
    pod('legacy/job-1', { app: 'job' }),
    { ...pod('legacy/host-1', { app: 'host' }), spec: { hostNetwork: true } },
    pod('legacy/car-1', {}, { annotations: { 'sidecar.istio.io/status': '{}' } }),
    pod('legacy/no-1', off),
    { ...pod('legacy/done-1', {}), status: { phase: 'Succeeded' } },
  ],
};

const planFor = (verb: Wish['verb'], targets: string[], more: Partial<Wish> = {}) => {
  const wish: Wish = { verb, targets, namespace: 'shop', waypoint: null, systemNamespace: 'ambient-system', ...more };
  return planOf(wish, async (kind) => objects[kind] ?? []).then((plan) => ({ plan, wish }));
};

const label = 'ambient.mesh/dataplane-mode';
const use = 'ambient.mesh/use-waypoint';
// [what, verb, target, more, patch or null]
const rows: readonly (readonly [string, Wish['verb'], string, Partial<Wish>, object | null])[] = [
  [
    'a namespace',
    'enroll',
    'legacy',
    {},
    { metadata: { labels: { [label]: 'ambient', 'istio.io/dataplane-mode': null } } },
  ],
  ['one that is enrolled', 'enroll', 'ns/shop', {}, null],
  ['out of the mesh', 'unenroll', 'shop', {}, { metadata: { labels: { [label]: null } } }],
  [
    'a workload of it',
    'unenroll',
    'deploy/cart',
    {},
    { spec: { template: { metadata: { labels: { [label]: 'none' } } } } },
  ],
  ['and back', 'enroll', 'deploy/out', {}, { spec: { template: { metadata: { labels: { [label]: null } } } } }],
  [
    'one of no enrolled namespace',
    'enroll',
    'deploy/job',
    { namespace: 'legacy' },
    { spec: { template: { metadata: { labels: { [label]: 'ambient' } } } } },
  ],
  [
    'a service, through a waypoint',
    'enroll',
    'svc/cart',
    { waypoint: 'wp' },
    { metadata: { labels: { [use]: 'wp' } } },
  ],
  ['which it has not', 'unenroll', 'svc/cart', { waypoint: '' }, null],
];
for (const [what, verb, target, more, patch] of rows) {
  test(`${verb}: ${what}`, async () => {
    const { plan } = await planFor(verb, [target], more);
    assert.deepEqual(plan.changes.map(patchOf), patch === null ? [] : [patch]);
  });
}

test('what cannot be enrolled is said, with what to write', async () => {
  await assert.rejects(planFor('enroll', ['shp']), /namespace shp is not there; did you mean shop\?/);
  await assert.rejects(planFor('enroll', ['deploy/crt']), /deployment shop\/crt is not there; did you mean cart\?/);
  await assert.rejects(planFor('enroll', ['svc/cart']), /in the mesh by its pods: name its namespace or deploy\/NAME/);
  await assert.rejects(planFor('enroll', ['pod/x/y']), /names nothing; write NAMESPACE/);
  await assert.rejects(planFor('enroll', ['ambient-system']), /is the mesh itself/);
});

test('which pods join, which stay outside and why; nobody who has ended counts', async () => {
  const { plan } = await planFor('enroll', ['legacy']);
  assert.deepEqual(
    plan.pods.map(({ name, after, why }) => [name, after, why?.split(',')[0] ?? null]),
    [
      ['job-1', true, null],
      ['host-1', false, "it is in the host's network"],
      ['car-1', false, 'it has a sidecar'],
      ['no-1', false, `it has opted out with ${label}=none`],
    ],
  );
});

test('the words and the JSON', async () => {
  const lost = [{ kind: 'PeerAuthentication', namespace: 'shop', name: 'strict' }] as const;
  for (const [verb, target] of [
    ['enroll', 'legacy'],
    ['unenroll', 'shop'],
  ] as const) {
    const { plan, wish } = await planFor(verb, [target]);
    const result = enrollResult({
      verb,
      plan,
      wish,
      lost: verb === 'unenroll' ? lost : [],
      dryRun: false,
      isLab: true,
    });
    const dry = enrollResult({ verb, plan, wish, lost: [], dryRun: true, isLab: true });
    const said = [await render(result, 'table'), result.talk?.(plain), await render(dry, 'table')];
    const text = `${said[0]}--- stderr\n${said[1]}--- dry run\n${said[2]}`;
    assertGolden(`${verb}.txt`, text);
    assertGolden(`${verb}.json.txt`, await render(result, 'json'));
    assertGolden(`${verb}.name.txt`, await render(result, 'name'));
  }
});
