// What commands print, in every format, against golden files: the JSON is a contract, and a table that changes should
// be seen to change.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarizeEdges } from '../analyze/edge-summary.ts';
import type { WaypointDump } from '../model/views.ts';
import type { WhyResult } from '../policy/why.ts';
import { configResult } from './config.ts';
import { configViews } from './config-views.ts';
import { EdgeMeter, edgesResult } from './edges.ts';
import { plain } from './io.ts';
import { applyResult, getResult } from './lab-objects.ts';
import { labStatusResult } from './lab-up.ts';
import { statusResult } from './status.ts';
import { dump, edgeDumps, labStatus, nowMs, statusView, strain } from './testing-fixtures.ts';
import { assertGolden, assertGoldenResult } from './testing-golden.ts';
import { answer } from './why/testing-facts.ts';
import { whyResult } from './why.ts';

const all = { namespace: null, selected: null, nowMs: null };
const withStrain: WaypointDump = { ...dump, ...strain, waypoint: 'shop/waypoint', pod: 'waypoint-1' };

for (const view of configViews) {
  test(`config ${view}`, () => assertGoldenResult(`config-${view}`, configResult(view, dump, { ...all, nowMs })));
}

test('config ejected: a waypoint says which endpoints, since when and why', () =>
  assertGoldenResult('ejected', configResult('ejected', withStrain, { ...all, nowMs })));

test('config limits to a namespace, and judges no saved certificate by the clock of today', async () => {
  const workloads = configResult('workloads', dump, { ...all, namespace: 'legacy' });
  assert.deepEqual(
    (workloads.data as { name: string }[]).map((one) => one.name),
    ['legacy-1'],
  );
  const certs = configResult('certs', dump, all).text({ wide: false, paint: (text) => text });
  assert.match(certs, /leaf\s+available\s+-\s/);
});

test('status', async () => {
  const result = statusResult(statusView, nowMs);
  assert.equal(result.exitCode, 1);
  await assertGoldenResult('status', result);
  const [first] = statusView.proxies;
  assert.equal(
    statusResult({ version: '1', proxies: [first!], sources: [], issues: [], objects: [] }, nowMs).exitCode,
    0,
  );
});

test('status says what waypoints hold back', () => {
  const [first] = statusView.proxies;
  const view = { version: '1', proxies: [first!], sources: [], issues: [], objects: [] };
  const by = { waypoint: 'shop/waypoint', pod: 'shop/waypoint-1' };
  const { ejected, refusing } = strain;
  const held = {
    ejected: ejected.map((row) => ({ ...by, ...row })),
    refusing: refusing.map((row) => ({ ...by, ...row })),
  };
  const result = statusResult({ ...view, ...held }, nowMs);
  assert.equal(result.exitCode, 0);
  assertGolden('status-strain.txt', result.text({ wide: false, paint: plain }));
});

test('edges: both reports of a tunnel count once, a refusal is named by the destination', async () => {
  const meter = new EdgeMeter();
  const summary = summarizeEdges(edgeDumps);
  meter.rows(
    summary.map((row) => ({ ...row, bytesSent: 0, bytesReceived: 0 })),
    1000,
  );
  const rows = meter.rows(summary, 3000);
  const find = (to: string) => rows.find((row) => row.to.workload === to && row.from.workload === 'web')!;
  assert.deepEqual([find('catalog').opened, find('catalog').active, find('catalog').bytesReceived], [12, 10, 48_100]);
  assert.deepEqual([find('payments').refused, find('payments').failed], [7, 0]);
  assert.equal(find('payments').refusedBy, 'shop/payments-never-from-web');
  assert.equal(find('catalog').bytesPerS, 24_650);
  await assertGoldenResult('edges', edgesResult(rows));
  assert.match(edgesResult(rows, ['node-2']).talk?.(plain) ?? '', /^warning the proxy of node-2 does not answer/);
});

const { values: _, ...answered } = answer;
const allowed: WhyResult = {
  ...answered,
  from: { ...answer.from, workload: 'web-7d4b9' },
  to: {
    ...answer.to,
    service: 'catalog.shop',
    workload: 'catalog-5c6f8',
    identity: 'spiffe://cluster.local/ns/shop/sa/catalog',
  },
  hops: [
    { kind: 'node', name: 'node-1' },
    { kind: 'node', name: 'node-2' },
  ],
  reasons: ['no policy applies to shop/catalog-5c6f8, so everything is allowed'],
};

test('why: a sentence, and the contract', async () => {
  await assertGoldenResult('why-allow', whyResult(allowed));
  const denied: WhyResult = {
    ...allowed,
    verdict: 'deny',
    layer: 'L4',
    decidedBy: { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'payments-never-from-web', rule: 0 },
    reasons: ['rule 0 of DENY policy shop/payments-never-from-web matches'],
    perEndpoint: [
      {
        workload: 'catalog-5c6f8',
        namespace: 'shop',
        node: 'node-2',
        verdict: 'deny',
        layer: 'L4',
        decidedBy: { kind: 'PeerAuthentication', namespace: 'shop', name: 'strict', rule: null },
        transport: 'plaintext',
        hops: [],
        reasons: ['plaintext is refused'],
      },
    ],
  };
  assert.equal(whyResult(denied).exitCode, 1);
  const toOutside = whyResult({ ...allowed, to: { ...allowed.to, enrolled: false, identity: null } });
  assert.match(toOutside.text({ wide: false, paint: plain }), /> shop\/catalog-5c6f8, which is outside the mesh\n/);
  await assertGoldenResult('why-deny', whyResult(denied));
  const outside: WhyResult = {
    ...allowed,
    from: { workload: null, namespace: null, identity: null, enrolled: false, node: null },
    verdict: 'unreachable',
    transport: null,
    hops: [],
    reasons: ['service catalog.shop has no ready endpoint for port 80'],
  };
  assert.equal(whyResult(outside).exitCode, 1);
  await assertGoldenResult('why-unreachable', whyResult(outside));
});

test('lab status', async () => {
  const result = labStatusResult(labStatus);
  assert.equal(result.exitCode, 1);
  await assertGoldenResult('lab-status', result);
});

test('lab apply: refused objects are named and nothing is applied', async () => {
  const refused = applyResult({ applied: [], refused: statusView.issues, warnings: [] });
  assert.equal(refused.exitCode, 1);
  await assertGoldenResult('lab-apply-refused', refused);
  const unnamed = { ...statusView.issues[0]!, kind: '', namespace: '', name: '', fix: '' };
  const talk = applyResult({ applied: [], refused: [...statusView.issues, unnamed], warnings: [] }).talk?.(plain);
  assertGolden('lab-apply-refused.talk.txt', talk ?? '');
  await assertGoldenResult(
    'lab-apply',
    applyResult({
      applied: [
        { kind: 'Namespace', namespace: '', name: 'shop', action: 'unchanged' },
        { kind: 'Service', namespace: 'shop', name: 'web', action: 'created' },
      ],
      refused: [],
      warnings: [{ ...statusView.issues[0]!, severity: 'warning', place: null, fix: '' }],
    }),
  );
});

test('lab get', async () => {
  const pods = [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web-1', namespace: 'shop', creationTimestamp: '2026-11-21T12:00:00Z' },
      spec: { nodeName: 'node-1' },
      status: { phase: 'Running', podIP: '10.244.1.2', conditions: [{ type: 'Ready', status: 'True' }] },
    },
  ];
  await assertGoldenResult('lab-get-pods', getResult(pods, false, nowMs));
  assert.equal(getResult(pods, true, nowMs).data, pods[0]);
});

test('lab get events', async () => {
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'cart-1.0123456789abcdef', namespace: 'shop', creationTimestamp: '2026-11-21T12:00:00Z' },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart-1', uid: 'u' },
    type: 'Warning',
    reason: 'EndpointEjected',
    message: 'waypoint shop/waypoint has ejected 10.244.1.5:8080 of service shop/cart until …',
    count: 2,
    lastTimestamp: '2026-11-21T12:00:00Z',
  };
  await assertGoldenResult('lab-get-events', getResult([event], false, nowMs));
});
