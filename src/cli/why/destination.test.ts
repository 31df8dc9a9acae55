import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { routeExplainer } from '../../http/routes/explain-route.ts';
import { loadManifests } from '../../kube/load.ts';
import { MeshCompiler } from '../../model/compiler.ts';
import { MeshIndex } from '../../model/mesh-index.ts';
import type { Resource } from '../../model/resources.ts';
import { resourceKey } from '../../model/resources.ts';
import { refusedFlow, requestFlow, tunnelFlow } from '../../telemetry/testing-flows.ts';
import { nowMs } from '../testing-fixtures.ts';
import { assertGoldenResult } from '../testing-golden.ts';
import { runInProcess } from '../testing-run.ts';
import { callersOf } from './callers.ts';
import { type DestinationView, namedDestination, offlineDestination } from './destination.ts';
import { destinationResult } from './destination-text.ts';
import { ago } from './testing-facts.ts';

const samples = path.join(import.meta.dirname, '../../../deploy/samples');
const shop = path.join(samples, 'shop');

/** The samples of the shop, later folders in place of earlier ones. */
async function explained(to: string, ...folders: string[]): Promise<DestinationView> {
  const found = new Map<string, Resource>();
  for (const folder of folders) {
    for (const one of (await loadManifests([path.join(samples, folder)])).resources) found.set(resourceKey(one), one);
  }
  const domains = { trustDomain: 'cluster.local', clusterDomain: 'cluster.local', clusterId: 'Kubernetes' };
  const compiler = new MeshCompiler({ ...domains, rootNamespaces: ['ambient-system'], expandTemplates: true });
  for (const one of found.values()) compiler.upsert(one);
  compiler.flush();
  const mesh = compiler.mesh();
  const index = new MeshIndex();
  index.apply({ ...mesh, removedAddresses: [], removedPolicies: [], complete: true });
  const named = namedDestination(
    index,
    { from: to, to, port: null, namespace: 'shop' },
    {
      sameNode: 'direct',
      explainRoute: routeExplainer(index),
      routesOf: (service) => mesh.routes?.find((one) => one.service === service) ?? null,
      strictBy: (workload) => compiler.peerAuthenticationOf(workload),
    },
  );
  return offlineDestination(index, named);
}

const outcomes = ({ ports }: DestinationView) =>
  ports.flatMap(({ port, callers }) =>
    callers.map(({ caller, verdict, decidedBy }) => `${port} ${caller} ${verdict} ${decidedBy?.name ?? '-'}`),
  );

test('a destination without a waypoint: its policies, and what becomes of whom no rule names', async () => {
  const view = await explained('svc/payments', 'shop');
  assert.deepEqual([view.enrolled, view.waypoint, view.rules], [{ pods: 1, of: 1 }, null, []]);
  assert.deepEqual(outcomes(view), ['80 mesh deny payments-from-checkout', '80 outside deny payments']);
  assert.deepEqual(
    view.policies.map(({ kind, name, layer, pods, action }) => `${kind} ${name} ${layer} ${pods} ${action}`),
    [
      'AuthorizationPolicy payments-from-checkout L4 1 allow',
      'AuthorizationPolicy payments-never-from-web L4 1 deny',
      'PeerAuthentication payments L4 1 deny',
    ],
  );
  const all = await explained('svc/cart', 'shop');
  assert.deepEqual(outcomes(all), ['80 mesh allow -', '80 outside allow -']);
  assert.deepEqual(await explained('shop/workload/cart', 'shop').then(outcomes), [
    '8080 mesh allow -',
    '8080 outside allow -',
  ]);
});

test('a destination behind a waypoint: its routes, their values, and the endpoints of every backend', async () => {
  const view = await explained('svc/checkout', 'shop', 'shop-waypoint');
  assert.deepEqual([view.waypoint, view.ports[0]?.route?.name], ['shop/waypoint', 'checkout']);
  assert.deepEqual(
    view.rules.map(({ match, from }) => `${match} ${from}`),
    ['/* HTTPRoute shop/checkout, rule 0'],
  );
  assert.deepEqual(
    view.endpoints.map(({ service, workload }) => `${service} ${workload}`),
    ['checkout-v1.shop checkout', 'checkout-v2.shop checkout-v2'],
  );
  assert.ok(view.ports[0]?.values.some(({ name, from }) => name === 'timeout' && from === 'default'));
  const guarded = await explained('svc/payments', 'shop', 'shop-waypoint');
  assert.ok(guarded.policies.some(({ layer, scope, pods }) => layer === 'L7' && scope === 'service' && pods === null));
});

test('who was seen calling it: each caller once, with what came of the last call', () => {
  const flows = [
    tunnelFlow({ time: ago(60_000) }),
    requestFlow({ time: ago(1_000), status: 503 }),
    { ...refusedFlow(), time: ago(30_000) },
    { ...refusedFlow(), time: ago(20_000), decidedBy: 'ambient-system/istio_converted_static_strict' },
    // What the source's proxy tells of the same.
    tunnelFlow({ time: ago(500), direction: 'outbound' }),
  ];
  const callers = callersOf(flows, new MeshIndex());
  assert.deepEqual(
    callers.map(({ from, flows: count, refused, failed, lastResult }) => [from, count, refused, failed, lastResult]),
    [
      ['shop/web-1', 2, 0, 1, 'GET /items/7: 503'],
      ['legacy/client-1', 2, 2, 0, 'refused by PeerAuthentication STRICT'],
    ],
  );
  assert.equal(callers[1]?.decidedBy, 'ambient-system/istio_converted_static_strict');
});

test('the whole of why of a destination, in every format', async () => {
  const view = await explained('svc/payments', 'shop');
  await assertGoldenResult('why-destination', destinationResult(view, nowMs));
  const flows = [requestFlow({ time: ago(1_000), status: 503 }), { ...refusedFlow(), time: ago(30_000) }];
  const live: DestinationView = {
    ...(await explained('svc/checkout', 'shop', 'shop-waypoint')),
    causes: [{ severity: 'warning', text: 'endpoint shop/checkout-1 is ejected for 12s', fix: 'look into it' }],
    callers: callersOf(flows, new MeshIndex()),
    unknown: [],
  };
  const result = destinationResult(live, nowMs);
  assert.equal(result.exitCode, 0);
  await assertGoldenResult('why-destination-live', result);
});

test('offline by its name: exit 1 where nobody can reach it, and what is not there is said', async () => {
  const run = (...args: string[]) => runInProcess(['why', ...args, '-n', 'shop'], { AMBIENT_LAB: 'no-such-lab' });
  const fine = await run('-f', shop, 'svc/payments.shop');
  assert.deepEqual([fine.code, fine.err], [0, '']);
  assert.match(fine.out, /^service payments.shop: its pod is in the mesh, no waypoint\nport 80/);
  const port = await run('-f', shop, 'svc/payments.shop:81', '-o', 'json');
  assert.equal(port.code, 1);
  assert.match(JSON.parse(port.out).causes[0].text, /^nobody reaches port 81 of payments.shop: .*its ports: 80/);
  assert.match((await run('-f', shop, 'svc/paymets')).err, /did you mean svc\/payments.shop\?/);
  assert.match((await run('-f', shop, '192.0.2.1')).err, /neither a service nor a pod of the mesh/);
});
