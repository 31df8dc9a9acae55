// What `why` says of routes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { why } from '../../policy/why.ts';
import type { RouteOutcome } from '../../policy/why-route.ts';
import { routeExplainer } from './explain-route.ts';
import { compileRouteText, requestOf, serviceText } from './testing-routes.ts';

const pods = ['v1', 'v2']
  .map(
    (version, at) => `---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: reviews-${version}, labels: {app: reviews, version: ${version}}}
status: {phase: Running, podIPs: [{ip: 10.0.0.${at + 1}}], conditions: [{type: Ready, status: "True"}]}
`,
  )
  .join('');
const rules = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {namespace: shop, name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: shop, name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: canary
    match: [{headers: {x-canary: {exact: "1"}}}]
    route: [{destination: {host: reviews, subset: v2}}]
    timeout: 2s
    retries: {attempts: 3, perTryTimeout: 500ms, retryOn: "5xx,409"}
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new, authority: example.org}
  - match: [{uri: {exact: /none}}]
    route: [{destination: {host: reviews, subset: v3}}]
  - match: [{uri: {prefix: /split}}]
    route: [{destination: {host: reviews, subset: v1}, weight: 75}, {destination: {host: gone}, weight: 25}]
  - match: [{uri: {prefix: /say}}]
    directResponse: {status: 418, body: {string: tea}}
`;

function ask(line: string, headers: readonly string[] = []): RouteOutcome {
  const { index, routes } = compileRouteText(serviceText('reviews.shop') + pods + rules);
  const service = index.serviceByKey('shop/reviews.shop.svc.cluster.local')!;
  const { method, target } = requestOf(line);
  const pairs = headers.map((one) => one.split(': ') as [string, string]);
  return routeExplainer(index)(
    service,
    80,
    null,
    { method, path: target, headers: pairs, claims: null },
    routes('reviews.shop'),
  );
}

test('the rule that matches, with what it does', () => {
  const { route, response, candidates } = ask('/', ['x-canary: 1']);
  assert.deepEqual(route, {
    kind: 'VirtualService',
    namespace: 'shop',
    name: 'reviews',
    rule: 0,
    ruleName: 'canary',
    backends: [{ service: 'reviews.shop', subset: 'v2', weight: 1 }],
    timeoutMs: 2000,
    retries: { attempts: 3, perTryTimeoutMs: 500, retryOn: ['5xx', 'retriable-status-codes', '409'] },
  });
  assert.equal(response, null);
  assert.deepEqual(
    candidates.map((one) => one.workload.name),
    ['reviews-v2'],
  );
});

test('what the waypoint answers itself', () => {
  assert.deepEqual(ask('/elsewhere').response, { status: 404, location: null });
  assert.match(ask('/elsewhere').reasons.join(), /no rule matches/);
  assert.deepEqual(ask('/old/x?a=b').response, { status: 301, location: 'http://example.org/new?a=b' });
  assert.deepEqual(ask('/say').response, { status: 418, location: null });
  // The subset is there, a pod of it is not.
  assert.deepEqual(ask('/none').response, { status: 503, location: null });
  assert.match(ask('/none').reasons.join(), /subset v3 has no ready endpoint/);
});

test('shares of several backends', () => {
  const { response, candidates, reasons } = ask('/split');
  assert.equal(response, null);
  assert.equal(candidates.length, 1);
  assert.match(reasons.join('\n'), /75 % of the requests go to reviews.shop on port 80, subset v1/);
  assert.match(reasons.join('\n'), /25 % of the requests get 503: host gone.shop.svc.cluster.local is no service/);
});

test('a backend that is not there: the service that is meant by it', () => {
  const rule = (path: string, ...names: string[]): string => {
    const backends = names.map((name) => `{name: ${name}, port: 80}`);
    return `  - {matches: [{path: {value: ${path}}}], backendRefs: [${backends.join(', ')}]}\n`;
  };
  const rules = [
    rule('/slip', 'review'),
    rule('/renamed', 'reviews-v2'),
    rule('/split', 'rating-v1', 'rating-v2'),
    rule('/elsewhere', 'cart'),
  ];
  const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: reviews}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
${rules.join('')}`;
  const services = ['reviews.shop', 'rating-v1.shop', 'cart.books'].map((title) => serviceText(title)).join('');
  const { index, routes } = compileRouteText(services + route);
  const service = index.serviceByKey('shop/reviews.shop.svc.cluster.local')!;
  const said = (path: string): string | undefined => {
    const asked = { method: 'GET', path, headers: [], claims: null };
    const { reasons } = routeExplainer(index)(service, 80, null, asked, routes('reviews.shop'));
    return reasons.find((one) => one.includes('is not there'))?.replace(/^.*get 500: /, '');
  };
  assert.equal(said('/slip'), 'Service shop/review is not there; did you mean reviews?');
  // Neither the service that is called nor the other half of the split is what this one was renamed to.
  assert.equal(said('/renamed'), 'Service shop/reviews-v2 is not there');
  assert.equal(said('/split'), 'Service shop/rating-v2 is not there');
  assert.equal(said('/elsewhere'), 'Service shop/cart is not there; did you mean books/cart?');
});

const meshText = `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {ambient.mesh/dataplane-mode: ambient, ambient.mesh/use-waypoint: waypoint}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: ambient-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
`;

test('the whole answer: through the waypoint to the endpoint of the subset, or no further', () => {
  const { index, routes, status } = compileRouteText(meshText + serviceText('reviews.shop') + pods + rules);
  const options = {
    sameNode: 'direct',
    routesOf: () => routes('reviews.shop'),
    explainRoute: routeExplainer(index),
  } as const;
  const answer = (path: string, headers: readonly (readonly [string, string])[] = []) =>
    why(
      index,
      {
        from: 'shop/reviews-v1',
        to: 'svc/reviews.shop',
        port: null,
        namespace: 'shop',
        request: { method: 'GET', path, headers, claims: null },
      },
      options,
    );
  const canary = answer('/', [['x-canary', '1']]);
  assert.equal(canary.verdict, 'allow');
  assert.equal(canary.to.workload, 'reviews-v2');
  assert.equal(canary.route?.ruleName, 'canary');
  assert.deepEqual(
    canary.hops.map((hop) => `${hop.kind} ${hop.name}`),
    ['waypoint shop/waypoint'],
  );
  assert.deepEqual(answer('/old').response, { status: 301, location: 'http://example.org/new' });
  assert.equal(answer('/old').verdict, 'allow');
  assert.equal(answer('/elsewhere').verdict, 'unreachable');
  assert.equal(answer('/elsewhere').to.workload, null);
  const words = status('VirtualService', 'shop/reviews').conditions.map((one) => `${one.type} ${one.reason}`);
  assert.deepEqual(words, [
    'Accepted Accepted',
    'ResolvedRefs BackendNotFound',
    'WaypointAccepted Accepted',
    'Programmed Programmed',
  ]);
});

test('a backend that redirects answers its share', () => {
  const text = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: moving}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - backendRefs:
    - {name: reviews, port: 80, weight: 3}
    - name: reviews
      port: 80
      filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example, statusCode: 301}}]
`;
  const { index, routes } = compileRouteText(serviceText('reviews.shop') + pods + text);
  const service = index.serviceByKey('shop/reviews.shop.svc.cluster.local')!;
  const asked = { method: 'GET', path: '/x', headers: [], claims: null };
  const { response, candidates, reasons } = routeExplainer(index)(service, 80, null, asked, routes('reviews.shop'));
  assert.deepEqual([response, candidates.length], [null, 2]);
  assert.match(reasons.join('\n'), /25 % of the requests are redirected to http:\/\/b\.example\/x/);
});
