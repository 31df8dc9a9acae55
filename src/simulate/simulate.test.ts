// Changes to the shop sample, judged by calls that were seen: what each would break, and by which line.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadManifests } from '../kube/load.ts';
import { readManifests } from '../kube/manifests.ts';
import { type Resource, resourceKey } from '../model/resources.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import { SeenMesh } from './simulate.ts';
import type { ObjectName } from './simulated-mesh.ts';
import { canBeStrict } from './strict.ts';
import { connectionSeen, requestSeen } from './testing-seen.ts';

const samples = path.join(import.meta.dirname, '../../deploy/samples');
const shop = await merged('shop');
const withWaypoint = await merged('shop', 'shop-waypoint');

/** Later folders replace objects of earlier ones, as applying them would. */
async function merged(...folders: string[]): Promise<Resource[]> {
  const found = new Map<string, Resource>();
  for (const folder of folders) {
    for (const one of (await loadManifests([path.join(samples, folder)])).resources) found.set(resourceKey(one), one);
  }
  return [...found.values()];
}

function changed(text: string): readonly Resource[] {
  return readManifests([{ text, file: 'change.yaml' }]).resources;
}

const seenCalls = [
  connectionSeen({ from: 'shop/web', to: 'shop/cart', weight: 20 }),
  connectionSeen({ from: 'shop/checkout', to: 'shop/payments' }),
  connectionSeen({ from: 'shop/web', to: 'shop/payments', flag: 'DENY' }),
  connectionSeen({ from: 'legacy/legacy', to: 'shop/catalog', weight: 3 }),
];
const seenRequests = [
  requestSeen({ from: 'shop/web', to: 'shop/cart', route: 'Service/shop/cart#0', weight: 20 }),
  requestSeen({ from: 'shop/cart', to: 'shop/checkout', route: 'HTTPRoute/shop/checkout#0', weight: 7 }),
  requestSeen({ from: 'shop/checkout', to: 'shop/payments', method: 'POST', path: '/charge' }),
  requestSeen({ from: 'shop/web', to: 'shop/payments', flag: 'DENY' }),
];

const deny = (selection: string, rules: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: new, namespace: shop}
spec:
  action: DENY
  ${selection}
  rules:
${rules}
`;
const ofCart = 'targetRefs: [{kind: Service, group: "", name: cart}]';
const cartRoute = (rules: string): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart, port: 80}]
  rules:
${rules}
`;
const toCart = 'backendRefs: [{name: cart, port: 80}]';
const toCatalog = 'backendRefs: [{name: catalog, port: 80}]';

const rows: readonly {
  title: string;
  base?: readonly Resource[];
  seen?: readonly FlowView[];
  apply?: string;
  remove?: ObjectName;
  /** `EFFECTS FROM TO xFLOWS BY PLACE`. */
  want: readonly string[];
}[] = [
  {
    title: 'a DENY by selector refuses, by its rule and line',
    apply: deny(
      'selector: {matchLabels: {app: cart}}',
      '    - to: [{operation: {ports: ["1"]}}]\n    - from: [{source: {namespaces: [shop]}}]',
    ),
    want: ['refused shop/web cart.shop:80 x20 AuthorizationPolicy/shop/new#1 change.yaml:9:7'],
  },
  {
    title: 'a DENY for others changes nothing',
    apply: deny('selector: {matchLabels: {app: cart}}', '    - from: [{source: {namespaces: [other]}}]'),
    want: [],
  },
  {
    title: 'a policy that goes away allows',
    remove: { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'payments-from-checkout' },
    want: [],
  },
  {
    title: 'STRICT refuses plaintext alone',
    apply:
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\nspec: {mtls: {mode: STRICT}}',
    want: ['refused legacy/legacy catalog.shop:80 x3 PeerAuthentication/shop/default change.yaml:1:1'],
  },
  {
    title: 'a service that goes away is found by nobody who called it',
    base: withWaypoint,
    seen: seenRequests,
    remove: { kind: 'Service', namespace: 'shop', name: 'cart' },
    want: ['unreachable shop/web cart.shop:80 x20 deleting Service/shop/cart'],
  },
  {
    title: 'a namespace that leaves the mesh: plaintext, and what policies refused is open',
    apply: 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}',
    want: [
      'plaintext shop/web cart.shop:80 x20 Namespace/shop change.yaml:1:1',
      'plaintext shop/checkout payments.shop:80 x1 Namespace/shop change.yaml:1:1',
      'allowed shop/web payments.shop:80 x1 Namespace/shop change.yaml:1:1',
    ],
  },
  {
    title: 'a waypoint that goes away',
    base: withWaypoint,
    seen: seenRequests,
    remove: { kind: 'Gateway', namespace: 'shop', name: 'waypoint' },
    want: [
      'refused shop/checkout payments.shop:80 x1 deleting Gateway/shop/waypoint',
      'waypoint-lost shop/web cart.shop:80 x20 deleting Gateway/shop/waypoint',
      'waypoint-lost,rerouted shop/cart checkout.shop:80 x7 deleting Gateway/shop/waypoint',
    ],
  },
  {
    title: 'a condition on a header that nobody recorded: it depends',
    base: withWaypoint,
    seen: seenRequests,
    apply: deny(
      ofCart,
      '    - to: [{operation: {methods: [GET]}}]\n      when: [{key: "request.headers[x-user]", values: [evil]}]',
    ),
    want: [
      'depends shop/web cart.shop:80 x20 AuthorizationPolicy/shop/new#0 change.yaml:8:7 (refused|none: header x-user)',
    ],
  },
  {
    title: 'the same for another method: it does not',
    base: withWaypoint,
    seen: seenRequests,
    apply: deny(
      ofCart,
      '    - to: [{operation: {methods: [POST]}}]\n      when: [{key: "request.headers[x-user]", values: [evil]}]',
    ),
    want: [],
  },
  {
    title: 'a path is known',
    base: withWaypoint,
    seen: seenRequests,
    apply: deny(ofCart, '    - to: [{operation: {paths: ["/"]}}]'),
    want: ['refused shop/web cart.shop:80 x20 AuthorizationPolicy/shop/new#0 change.yaml:8:7'],
  },
  {
    title: 'a route elsewhere, with a time-out',
    base: withWaypoint,
    seen: seenRequests,
    apply: cartRoute(`    - timeouts: {request: 2s}\n      ${toCatalog}`),
    want: ['rerouted,timeout shop/web cart.shop:80 x20 HTTPRoute/shop/cart#0 change.yaml:7:7'],
  },
  {
    title: 'a share of it to nobody',
    base: withWaypoint,
    seen: seenRequests,
    apply: cartRoute('    - backendRefs: [{name: cart, port: 80, weight: 9}, {name: crat, port: 80, weight: 1}]'),
    want: ['unreachable,rerouted shop/web cart.shop:80 x20 HTTPRoute/shop/cart#0 change.yaml:7:7'],
  },
  {
    title: 'a route that goes away: a line for each place that its requests went to',
    base: [
      ...withWaypoint,
      ...changed(
        cartRoute(
          `    - matches: [{path: {value: /moved}}]\n      backendRefs: [{name: inventory, port: 80}]\n    - ${toCatalog}`,
        ),
      ),
    ],
    seen: ['/moved', '/other'].map((asked) => requestSeen({ from: 'shop/web', to: 'shop/cart', path: asked })),
    remove: { kind: 'HTTPRoute', namespace: 'shop', name: 'cart' },
    want: [
      'rerouted shop/web cart.shop:80 x1 deleting HTTPRoute/shop/cart',
      'rerouted shop/web cart.shop:80 x1 deleting HTTPRoute/shop/cart',
    ],
  },
  {
    title: 'a port that goes away',
    base: withWaypoint,
    seen: seenRequests,
    apply:
      'apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {selector: {app: cart}, ports: [{port: 81}]}',
    want: ['unreachable shop/web cart.shop:80 x20 Service/shop/cart change.yaml:1:1'],
  },
  {
    title: 'a route by a header leaves it open where requests go',
    base: withWaypoint,
    seen: seenRequests,
    apply: cartRoute(`    - matches: [{headers: [{name: canary, value: "1"}]}]\n      ${toCatalog}\n    - ${toCart}`),
    want: ['depends shop/web cart.shop:80 x20 HTTPRoute/shop/cart#0 change.yaml:7:7 (rerouted|none: header canary)'],
  },
];

for (const { title, base = shop, seen = seenCalls, apply, remove, want } of rows) {
  test(title, () => {
    const change = {
      applied: apply === undefined ? [] : changed(apply),
      deleted: remove === undefined ? [] : [remove],
    };
    const found = new SeenMesh(base, seen).simulate(change);
    const lines = found.rows.map(({ from, to, by, count, differences: [first] }) => {
      const { effects, possible, dependsOn } = first!;
      const rule = by?.rule == null ? '' : `#${by.rule}`;
      const name = by === null ? '-' : [by.kind, by.namespace, by.name].filter(Boolean).join('/');
      const place = by?.file == null ? '' : ` ${by.file}:${by.line}:${by.column}`;
      const open = dependsOn.length === 0 ? '' : ` (${possible.join('|')}: ${dependsOn.join()})`;
      return `${effects.join()} ${from} ${to} x${count} ${by?.deleted ? 'deleting ' : ''}${name}${rule}${place}${open}`;
    });
    assert.deepEqual(lines, want);
    const changedFlows = found.rows.reduce((sum, row) => sum + row.count, 0);
    assert.equal(changedFlows + found.unchanged + found.notJudged, found.flows);
  });
}

test('what was seen settles a header: the rule that matched before matches again', () => {
  const routes = (service: string): string =>
    cartRoute(
      `    - matches: [{headers: [{name: canary, value: "1"}]}]\n      ${toCatalog}\n    - backendRefs: [{name: ${service}, port: 80}]`,
    );
  const flows = ['0', '1'].map((rule) =>
    requestSeen({ from: 'shop/web', to: 'shop/cart', route: `HTTPRoute/shop/cart#${rule}` }),
  );
  const base = [...withWaypoint, ...changed(routes('cart'))];
  const { rows: found } = new SeenMesh(base, flows).simulate({ applied: changed(routes('inventory')), deleted: [] });
  // The one with the header goes to catalog as before.
  assert.deepEqual(
    found.map(({ count, differences }) => [count, differences[0]!.effects]),
    [[1, ['rerouted']]],
  );
  assert.deepEqual(found[0]!.differences[0]!.call.observed.route, 'HTTPRoute/shop/cart#1');
});

test('calls of what is gone are not judged, and said', () => {
  const found = new SeenMesh(shop, [connectionSeen({ from: 'gone/away', to: 'shop/cart' })]).simulate({
    applied: [],
    deleted: [],
  });
  assert.deepEqual([found.notJudged, found.unchanged], [1, 0]);
});

test('no change, and every object applied as it is, change nothing, whatever was seen', () => {
  const names = [
    'shop/web',
    'shop/cart',
    'shop/catalog',
    'shop/checkout',
    'shop/payments',
    'shop/inventory',
    'legacy/legacy',
  ];
  const flow = fc.record({
    from: fc.constantFrom(...names),
    to: fc.constantFrom(...names),
    isRequest: fc.boolean(),
    method: fc.constantFrom('GET', 'POST'),
    path: fc.constantFrom('/', '/charge', '/x'),
    flag: fc.constantFrom('-', 'DENY', 'CONNECT'),
  });
  fc.assert(
    fc.property(fc.array(flow, { maxLength: 20 }), fc.boolean(), fc.boolean(), (given, isAll, isL7) => {
      const base = isL7 ? withWaypoint : shop;
      const flows = given.map(({ isRequest, ...said }) => {
        const seen = { ...said, flag: said.flag as FlowView['flag'] };
        return isRequest ? requestSeen(seen) : connectionSeen(seen);
      });
      const found = new SeenMesh(base, flows).simulate({ applied: isAll ? base : [], deleted: [] });
      assert.deepEqual(found.rows, []);
      assert.equal(found.unchanged + found.notJudged, found.flows);
    }),
    { numRuns: 40 },
  );
});

test('can STRICT be turned on?', () => {
  const seen = new SeenMesh(shop, seenCalls);
  const all = canBeStrict(seen, null);
  // The namespace has a say of its own.
  assert.deepEqual([all.answer, all.exceptions], ['yes', ['shop/default']]);
  const own = canBeStrict(seen, 'shop');
  assert.equal(own.answer, 'no');
  assert.deepEqual(
    own.plaintext.map(({ lastSeen: _, ...row }) => row),
    [{ from: 'legacy/legacy', to: 'catalog.shop:80', count: 3, withStrict: 'refused' }],
  );
  assert.deepEqual([own.callersNeverSeen, own.notEnrolled], [[], []]);
  assert.equal(canBeStrict(new SeenMesh(shop, []), 'shop').answer, 'unknown');
  assert.deepEqual(canBeStrict(new SeenMesh(shop, []), 'shop').callersNeverSeen, ['legacy/legacy']);
});
