// `ambientctl simulate` on manifests and flows that were saved: what it prints, exits with, and refuses to read.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { loadManifests } from '../kube/load.ts';
import { readManifests } from '../kube/manifests.ts';
import { SeenMesh } from '../simulate/simulate.ts';
import { canBeStrict } from '../simulate/strict.ts';
import { connectionSeen } from '../simulate/testing-seen.ts';
import { simulationResult, strictResult } from './simulate-text.ts';
import { assertGoldenResult } from './testing-golden.ts';
import { runInProcess } from './testing-run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'ambient-simulate-'));
after(() => rmSync(folder, { recursive: true }));
const shop = path.join(import.meta.dirname, '../../deploy/samples/shop');
const seen = [
  connectionSeen({ from: 'shop/web', to: 'shop/cart', weight: 20 }),
  connectionSeen({ from: 'shop/checkout', to: 'shop/payments', weight: 4 }),
  connectionSeen({ from: 'shop/web', to: 'shop/payments', flag: 'DENY' }),
  connectionSeen({ from: 'legacy/legacy', to: 'shop/catalog', weight: 3 }),
];
const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: payments-from-checkout, namespace: shop}
spec:
  selector: {matchLabels: {app: payments}}
  rules:
    - from: [{source: {principals: [cluster.local/ns/shop/sa/chekout]}}]
`;
const nowMs = Date.parse('2026-01-02T03:05:00Z');

function saved(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

const flows = saved('flows.json', seen.map((flow) => `${JSON.stringify(flow)}\n`).join(''));
const run = (...args: string[]) => runInProcess(['simulate', ...args], { AMBIENT_LAB: 'no-such-lab' });

test('what a change would break, in every format', async () => {
  const { resources } = await loadManifests([shop]);
  const applied = readManifests([{ text: policy, file: 'change.yaml' }]).resources;
  const deleted = [
    { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'payments-never-from-web' },
    { kind: 'Service', namespace: 'shop', name: 'cart' },
  ];
  const change = { applied, deleted };
  await assertGoldenResult(
    'simulate',
    simulationResult(new SeenMesh(resources, seen).simulate(change), change, [], nowMs),
  );
});

test('whether STRICT can be turned on, in every format', async () => {
  const { resources } = await loadManifests([shop]);
  await assertGoldenResult('simulate-strict', strictResult(canBeStrict(new SeenMesh(resources, seen), 'shop'), nowMs));
});

test('offline: exit 1 for what would be refused, with its place; 0 for what breaks nothing', async () => {
  const change = saved('policy.yaml', policy);
  const refused = await run('--mesh', shop, '-f', change, '--flows', flows);
  assert.deepEqual(
    { code: refused.code, err: refused.err },
    { code: 1, err: 'next: widen what refuses, or ask ambientctl why FROM TO about one of them\n' },
  );
  assert.match(
    refused.out,
    /^refused +shop\/checkout +payments\.shop:80 +TCP +4 .*policy\.yaml:1:1 .*no rule of them allows it/m,
  );
  const fine = await run(
    '--mesh',
    shop,
    '-f',
    saved('map.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}'),
    '--flows',
    flows,
  );
  assert.equal(fine.code, 0);
  assert.equal(fine.out, 'of 28 flows 28 would be as before\n');
  assert.match(fine.err, /not made of it: ConfigMap \(1\)\n0 objects: no flow that was seen would be refused/);
  const strict = await run('--mesh', shop, '--flows', flows, '--strict', '-n', 'shop', '-o', 'json');
  assert.deepEqual([strict.code, JSON.parse(strict.out).answer], [1, 'no']);
  const gone = await run('--mesh', shop, '--flows', flows, '-n', 'shop', '--delete', 'peerauthentications/default');
  assert.deepEqual([gone.code, gone.out], [0, 'of 28 flows 28 would be as before\n'], gone.err);
  const none = await run('--mesh', shop, '--flows', flows, '--last', '1m', '--delete', 'service/shop/cart');
  assert.match(none.err, /no flow was seen, so nothing is known/);
});

for (const { title, args, code = 2, err } of [
  { title: 'no change at all', args: [], err: /say what would change: -f PATH/ },
  { title: 'STRICT and a change', args: ['--strict', '-f', 'x'], err: /--strict asks about one change/ },
  { title: 'a change that is no YAML', args: ['-f', saved('bad.yaml', 'kind: [')], err: /bad\.yaml:1:8/ },
  { title: 'manifests without flows', args: ['--mesh', shop, '--delete', 'Service/shop/cart'], err: /--flows FILE/ },
  { title: 'no kind', args: ['--delete', 'Sevice/shop/cart'], err: /is not KIND\/NAMESPACE\/NAME/ },
  { title: 'a kind that is misspelt', args: ['--delete', 'Sevice/shop/cart'], err: /; did you mean Service\?/ },
  { title: 'no namespace', args: ['--delete', 'svc/cart'], err: /is not KIND\/NAMESPACE\/NAME/ },
  {
    title: 'a kind and a name alone',
    args: ['--delete', 'services/cart'],
    err: /is not Service\/NAMESPACE\/NAME, or Service\/NAME with -n/,
  },
  { title: 'a namespace of nothing', args: ['-n', 'shop', '-f', flows], err: /-n says where --delete finds/ },
  { title: 'no mesh', args: ['--delete', 'Service/shop/cart'], code: 3, err: /'no-such-lab' is not there/ },
  {
    title: 'what is not there',
    args: ['--mesh', shop, '--flows', flows, '--delete', 'Service/shop/crat'],
    code: 1,
    err: /Service shop\/crat is not there; there is nothing to delete/,
  },
]) {
  test(`${title} is refused, with a reason`, async () => {
    const result = await run(...args);
    assert.equal(result.code, code, result.err);
    assert.match(result.err, err);
  });
}
