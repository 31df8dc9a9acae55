// What `why` says of routes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainRoute, type RouteAnswer } from './explain-route.ts';
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
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}]}
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

function ask(line: string, headers: readonly string[] = []): RouteAnswer {
  const { index, routes } = compileRouteText(serviceText('reviews.shop') + pods + rules);
  const service = index.serviceByKey('shop/reviews.shop.svc.cluster.local')!;
  const { method, target } = requestOf(line);
  const pairs = headers.map((one) => one.split(': ') as [string, string]);
  return explainRoute(index, routes('reviews.shop'), service, 80, null, {
    method,
    target,
    headers: pairs,
    claims: null,
  });
}

test('the rule that matches, with what it does', () => {
  const { route, response, backends } = ask('/', ['x-canary: 1']);
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
    backends.map((one) => one.subset),
    ['v2'],
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
  const { response, backends, reasons } = ask('/split');
  assert.equal(response, null);
  assert.equal(backends.length, 1);
  assert.match(reasons.join('\n'), /75 % of the requests go to reviews.shop on port 80, subset v1/);
  assert.match(reasons.join('\n'), /25 % of the requests get 503: host gone.shop.svc.cluster.local is no service/);
});
