// The graph: each flow counts once whatever the order, and each trouble is said in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Flag } from '../../base/flags.ts';
import type { GraphEdge } from '../../model/page-views.ts';
import type { ServiceRoutes } from '../../model/route-types.ts';
import { serviceOf, workloadOf } from '../../model/testing-mesh.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import { refusedFlow } from '../../telemetry/testing-flows.ts';
import { edgeDetails, nodeDetails } from './details-view.ts';
import { FlowWindow, windowMs } from './flow-window.ts';
import { graphView } from './graph-view.ts';
import { bothEnds, graphOf, nowMs, request, smallMesh, sourcesOf } from './testing-page.ts';

const timeAt = (secondsAgo: number): string => new Date(nowMs - secondsAgo * 1000).toISOString();

const anyFlow: fc.Arbitrary<readonly FlowView[]> = fc.oneof(
  fc
    .record({
      pod: fc.constantFrom('cart-1', 'cart-2'),
      secondsAgo: fc.integer({ min: 0, max: 90 }),
      status: fc.constantFrom(200, 404, 503),
      durationMs: fc.integer({ min: 0, max: 5_000 }),
      route: fc.constantFrom(null, 'HTTPRoute/shop/cart#0', 'HTTPRoute/shop/cart#1'),
    })
    .map(({ secondsAgo, ...rest }) => [request({ ...rest, time: timeAt(secondsAgo) })]),
  fc
    .record({
      secondsAgo: fc.integer({ min: 0, max: 90 }),
      flag: fc.constantFrom<Flag>('-', 'DENY', 'RESET_BY_SOURCE'),
      decidedBy: fc.constantFrom('shop/only-web', 'shop/other'),
    })
    .map(({ secondsAgo, flag, decidedBy }) =>
      bothEnds({ time: timeAt(secondsAgo), flag, decidedBy: flag === 'DENY' ? decidedBy : null }),
    ),
);

test('the order in which flows come does not matter', () => {
  const shuffled = fc.array(anyFlow, { maxLength: 40 }).chain((groups) => {
    const flows = groups.flat();
    return fc.tuple(fc.constant(flows), fc.shuffledSubarray(flows, { minLength: flows.length }));
  });
  fc.assert(
    fc.property(shuffled, ([flows, other]) => assert.deepEqual(graphOf(other), graphOf(flows))),
    { numRuns: 60 },
  );
});

test('totals add up: every connection and request of the window is counted once', () => {
  const many = fc.array(anyFlow, { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(many, (groups) => {
      const { edges, windowMs: coveredMs } = graphOf(groups.flat());
      const recent = groups.filter(([flow]) => Date.parse(flow!.time) >= nowMs - coveredMs);
      const per = (kind: string): number => recent.filter(([flow]) => flow!.kind === kind).length / (coveredMs / 1000);
      const sum = (field: 'requestsPerS' | 'connectionsPerS'): number =>
        edges.reduce((all, one) => all + one[field], 0);
      for (const [kind, field] of [
        ['request', 'requestsPerS'],
        ['connection', 'connectionsPerS'],
      ] as const) {
        assert.ok(Math.abs(sum(field) - per(kind)) <= 0.01 * per(kind), `${field}: ${sum(field)}, not ${per(kind)}`);
      }
    }),
    { numRuns: 60 },
  );
});

test('what is held is bounded, however many edges and flows come', () => {
  const window = new FlowWindow(0);
  for (let at = 0; at < 6_000; at++) {
    window.add(request({ time: timeAt(0) }), { from: `a/${at}`, to: 'b/b', teller: 'counts' }, nowMs);
  }
  assert.equal(window.edges(nowMs).length, 4_000);
  assert.equal(window.takeOverflow(), 2_000);
  for (let at = 0; at < 1_000; at++) {
    window.add(request({ time: timeAt(0) }), { from: 'a/1', to: 'b/b', teller: 'counts' }, nowMs);
  }
  assert.equal(window.flows((from) => from === 'a/1', 10_000).length, 12);
  assert.deepEqual(window.edges(nowMs + windowMs + 1), []);
});

test('what the window has passed is gone from every sum', () => {
  const old = [request({ time: timeAt(50), status: 503 }), ...bothEnds({ time: timeAt(50), flag: 'DENY' })];
  const recent = [request({ time: timeAt(5), pod: 'cart-2', durationMs: 99 }), ...bothEnds({ time: timeAt(5) })];
  const later = nowMs + 30_000;
  const aged = sourcesOf([...recent, ...old]);
  graphView(aged);
  assert.deepEqual(graphView({ ...aged, nowMs: later }), graphView({ ...sourcesOf(recent), nowMs: later }));
});

test('what was before somebody watched is remembered, and counts for no rate', () => {
  const window = new FlowWindow(nowMs - 1_000);
  window.add(request({ time: timeAt(30) }), { from: 'a/a', to: 'b/b', teller: 'counts' }, nowMs);
  const [edge] = window.edges(nowMs);
  assert.equal(edge?.sum.requests, 0);
  assert.equal(window.flows(() => true, 10).length, 1);
});

function only(edges: readonly GraphEdge[], id: string): GraphEdge {
  const found = edges.find((edge) => edge.id === id);
  assert.ok(found, `${id} among ${edges.map((one) => one.id).join(', ')}`);
  return found;
}

test('a client that a policy refuses, and a caller in plaintext where STRICT is asked', () => {
  const strict = { ...refusedFlow(), decidedBy: 'ambient-system/istio_converted_static_strict', time: timeAt(1) };
  const denied = { flag: 'DENY', decidedBy: 'shop/deny-web', error: 'denied by shop/deny-web', status: 403 } as const;
  const { edges, nodes } = graphOf([request({ ...denied, time: timeAt(1) }), strict], {
    strictFor: () => 'shop/default',
  });
  const refused = only(edges, 'shop/web>shop/cart');
  assert.equal(refused.success, 0);
  assert.deepEqual(refused.refusals, [
    {
      count: 1,
      by: 'AuthorizationPolicy shop/deny-web',
      text: 'shop/web-1 is refused by AuthorizationPolicy shop/deny-web',
    },
  ]);
  const plaintext = only(edges, 'legacy/client>shop/cart');
  assert.equal(plaintext.transport, 'plaintext');
  const words =
    'Refused by PeerAuthentication shop/default: it asks for mutual TLS, and legacy/client-1 calls in plaintext';
  assert.equal(plaintext.lastTrouble?.text, words);
  assert.deepEqual(
    plaintext.notes.map(({ id }) => id),
    ['plaintext-refused'],
  );
  assert.deepEqual(
    nodes.find(({ id }) => id === 'shop/cart')?.notes.map(({ severity }) => severity),
    ['error', 'error'],
  );
});

const slow = [
  ['application', 'The application of shop/cart takes'],
  ['wire', 'The wire takes'],
] as const;

for (const [segment, words] of slow) {
  test(`where the time goes: ${segment}`, () => {
    const quick = { clientProxy: 0.1, wire: 0.3, waypoint: 0.4, destinationProxy: 0.1, application: 1 };
    const flow = request({ durationMs: 301, segmentsMs: { ...quick, [segment]: 300 }, time: timeAt(1) });
    const [edge] = graphOf([flow]).edges;
    assert.match(edge!.notes[0]!.text, new RegExp(`^${words}`));
    const details = edgeDetails('shop/web>shop/cart', sourcesOf([flow]));
    assert.match(details?.slowest ?? '', new RegExp(`^${words}`));
    assert.deepEqual(
      details?.segments.map((one) => one.segment),
      ['clientProxy', 'wire', 'waypoint', 'destinationProxy', 'application'],
    );
  });
}

test('retries that the budget held back, an ejected endpoint, a proxy that is down', () => {
  const held = { flag: 'RETRY_REFUSED', status: 503, attempts: 1, error: 'the retry budget was used up' } as const;
  const since = '2026-01-02T03:03:00.000Z';
  const ejected = {
    ...{ service: 'shop/cart', namespace: 'shop', workload: 'cart-2', address: '10.0.0.2:80', since, until: since },
    reason: '5 answers of 500 to 599 in a row',
  };
  const change = {
    ejected: [ejected],
    proxiesDown: new Map([
      ['node-1', { severity: 'error', id: 'proxy-down', text: 'its proxy is not connected since 03:00:00' } as const],
    ]),
  };
  const sources = sourcesOf([request({ ...held, time: timeAt(1) })], change);
  const { edges, nodes } = graphOf([request({ ...held, time: timeAt(1) })], change);
  assert.deepEqual(
    only(edges, 'shop/web>shop/cart').notes.map(({ id, text }) => [id, text.includes('retry budget')]),
    [['retries-held', true]],
  );
  const cart = nodes.find(({ id }) => id === 'shop/cart')!;
  assert.deepEqual(
    cart.notes.map(({ id }) => id),
    ['proxy-down', 'ejected'],
  );
  const told = nodeDetails('shop/cart', sources);
  assert.deepEqual(
    told?.endpoints.map(({ state, reason }) => [state, reason]),
    [
      ['ready', null],
      ['ejected', 'since 03:03:00: 5 answers of 500 to 599 in a row'],
    ],
  );
  assert.equal(nodeDetails('shop/nobody', sources), null);
});

test('weights against actual shares, and a subset that nobody has', () => {
  const nothing = { remove: [], set: [], add: [] };
  const backend = (name: string, weight: number, reason: string | null) => ({
    ...{ service: `shop/${name}.shop.svc.cluster.local`, port: 80, subset: '', weight },
    ...{ requestHeaders: nothing, responseHeaders: nothing },
    invalid: reason === null ? null : { status: 500 as const, reason },
  });
  const origin = { kind: 'HTTPRoute', namespace: 'shop', name: 'cart', rule: 0, ruleName: null, place: null } as const;
  const rule = (at: number, backends: object[]) => ({
    origin: { ...origin, rule: at },
    action: { kind: 'forward', backends },
  });
  const port = {
    ...{ port: 80, protocol: 'http1', entries: [], attached: true, tcpBackends: [] },
    rules: [
      rule(0, [backend('cart', 90, null), backend('cart-v2', 10, null)]),
      rule(1, [backend('cart', 1, 'subset v3 is not in DestinationRule cart')]),
    ],
  };
  const routes = { service: 'shop/cart.shop.svc.cluster.local', ports: [port], destination: { subsets: [] } };
  const v2 = { 'shop/cart-v2.shop.svc.cluster.local': [] };
  const mesh = {
    ...smallMesh,
    workloads: [...smallMesh.workloads, workloadOf('shop/cart-v2-1', { workloadName: 'cart-v2', services: v2 })],
    services: [...smallMesh.services, serviceOf('shop/cart-v2')],
    routes: [{ ...routes, otherDestinations: [] } as unknown as ServiceRoutes],
  };
  const flows = ['cart-1', 'cart-1', 'cart-2', 'cart-v2-1'].map((pod) => request({ pod, time: timeAt(1) }));
  const { nodes } = graphOf(flows, {}, mesh);
  const cart = nodes.find(({ id }) => id === 'shop/cart')!;
  assert.deepEqual(cart.splits, [
    {
      route: 'HTTPRoute/shop/cart#0',
      backends: [
        { name: 'cart', configured: 0.9, actual: 0.75 },
        { name: 'cart-v2', configured: 0.1, actual: 0.25 },
      ],
    },
  ]);
  assert.deepEqual(
    cart.workloads.map(({ name, actual, configured }) => [name, actual, configured]),
    [
      ['cart', 0.75, 0.9],
      ['cart-v2', 0.25, 0.1],
    ],
  );
  assert.deepEqual(cart.notes, [
    {
      severity: 'error',
      id: 'route-broken',
      text: 'HTTPRoute/shop/cart#1: subset v3 is not in DestinationRule cart (500)',
    },
  ]);
  assert.ok(!nodes.some(({ id }) => id === 'shop/cart-v2'), 'a backend of one service is shown within it');
});
