// `why` for requests that go through a waypoint, over manifests as people write them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type WhyResult, why } from '../policy/why.ts';
import type { WhyRequest } from '../policy/why-waypoint.ts';
import { compileText, podText } from './testing-compile.ts';

const space = (name: string, mode: string) =>
  `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {ambient.mesh/dataplane-mode: ${mode}}}\n`;
const service = (name: string, more: string, port: string) =>
  `---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: ${name}, ${more}}\nspec: {clusterIP: 10.96.0.1, selector: {app: cart}, ports: [${port}]}\n`;
const security = (kind: string, name: string, spec: string) =>
  `---\napiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {namespace: shop, name: ${name}}\nspec: ${spec}\n`;
const use = 'labels: {ambient.mesh/use-waypoint: wp}';
const base = [
  space('shop', 'ambient'),
  space('legacy', 'none'),
  podText('shop/web', '10.1.0.1', 'labels: {app: web}'),
  podText('shop/cart', '10.2.0.1', 'labels: {app: cart}').replace('node-1', 'node-2'),
  podText('legacy/job', '10.1.0.9'),
  service('cart', use, '{name: http, port: 80, targetPort: 8080}'),
  service('raw', use, '{name: tcp, port: 80, targetPort: 8080, appProtocol: tcp}'),
  service('direct', 'labels: {}', '{name: http, port: 80, targetPort: 8080}'),
  `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: wp}
spec: {gatewayClassName: ambient-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
`,
].join('');
const on = (name: string) => `targetRefs: [{kind: Service, group: "", name: ${name}}]`;

function ask(from: string, to: string, more = '', request: Partial<WhyRequest> | null = null, first = base): WhyResult {
  const { index, compiler } = compileText(first + more);
  const tables = new Map((compiler.mesh().routes ?? []).map((routes) => [routes.service, routes]));
  const whole = request === null ? null : { method: 'GET', path: '/', headers: [], claims: null, ...request };
  const query = { from, to, port: null, namespace: 'shop', request: whole };
  return why(index, query, { sameNode: 'direct', routesOf: (key) => tables.get(key) ?? null });
}

test('the whole answer for a request that is let in', () => {
  const allow = security(
    'AuthorizationPolicy',
    'read',
    `{rules: [{to: [{operation: {methods: [GET]}}]}], ${on('cart')}}`,
  );
  const { verdict, layer, decidedBy, transport, hops, reasons } = ask('shop/web', 'svc/cart.shop', allow, {});
  assert.deepEqual([verdict, layer, transport], ['allow', 'L7', 'mtls']);
  assert.deepEqual(decidedBy, { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'read', rule: 0 });
  assert.deepEqual(hops, [
    { kind: 'node', name: 'node-1' },
    { kind: 'waypoint', name: 'shop/wp' },
    { kind: 'node', name: 'node-2' },
  ]);
  assert.deepEqual(reasons, [
    'it goes through the waypoint shop/wp',
    'at the waypoint shop/wp: allowed by AuthorizationPolicy shop/read, rule 0',
    'cart sees the waypoint as its source, spiffe://cluster.local/ns/shop/sa/wp',
    'no policy of shop/cart forbids it',
  ]);
});

const paths = `{action: DENY, rules: [{to: [{operation: {paths: ["/admin/{**}"]}}]}], ${on('cart')}}`;
const header = `{rules: [{when: [{key: "request.headers[x-team]", values: [red]}]}], ${on('cart')}}`;
const host = `{rules: [{to: [{operation: {hosts: [cart.example]}}]}], ${on('cart')}}`;
const claim = `{rules: [{from: [{source: {requestPrincipals: ["id/ann"]}}]}], ${on('cart')}}`;
const jwt = `{jwtRules: [{issuer: id, audiences: [shop], jwks: '{"keys": []}'}], ${on('cart')}}`;
const authentication = security('RequestAuthentication', 'jwt', jwt);
const ann = { iss: 'id', sub: 'ann', aud: 'shop' };
// [what, policy, more, request, verdict, who decided]
const rows: readonly (readonly [string, string, string, Partial<WhyRequest> | null, string, string | null])[] = [
  ['a path that is denied', paths, '', { path: '/admin/x?y' }, 'deny', 'AuthorizationPolicy p'],
  ['another path', paths, '', { path: '/' }, 'allow', null],
  ['nothing said about the request', paths, '', null, 'allow', null],
  ['a header', header, '', { headers: [['x-team', 'red']] }, 'allow', 'AuthorizationPolicy p'],
  ['without the header', header, '', {}, 'deny', 'AuthorizationPolicy p'],
  ['a host', host, '', { headers: [['host', 'cart.example:80']] }, 'allow', 'AuthorizationPolicy p'],
  ['a token', claim, authentication, { claims: ann }, 'allow', 'AuthorizationPolicy p'],
  ['no token', claim, authentication, {}, 'deny', 'AuthorizationPolicy p'],
  ['another issuer', claim, authentication, { claims: { ...ann, iss: 'x' } }, 'deny', 'RequestAuthentication jwt'],
  ['another audience', claim, authentication, { claims: { ...ann, aud: 'x' } }, 'deny', 'RequestAuthentication jwt'],
  ['a token that nobody looks at', claim, '', { claims: ann }, 'deny', 'AuthorizationPolicy p'],
];
for (const [what, spec, more, request, verdict, decidedBy] of rows) {
  test(`at the waypoint: ${what}`, () => {
    const answer = ask('shop/web', 'svc/cart.shop', security('AuthorizationPolicy', 'p', spec) + more, request);
    const by = answer.decidedBy;
    assert.deepEqual([answer.verdict, by === null ? null : `${by.kind} ${by.name}`], [verdict, decidedBy]);
    assert.equal(answer.layer, decidedBy === null ? null : 'L7');
    if (verdict === 'deny') assert.equal(answer.hops.at(-1)?.kind, 'waypoint');
  });
}

test('without a word about the request, the answer says what it assumes', () => {
  const { reasons } = ask('shop/web', 'svc/cart.shop', security('AuthorizationPolicy', 'p', paths));
  assert.ok(reasons.some((reason) => reason.startsWith('judged as GET /; say --method')));
});

test('a port that is no HTTP is judged on the closed side', () => {
  const allow = `{rules: [{to: [{operation: {methods: [GET]}}]}], ${on('raw')}}`;
  const { verdict, reasons } = ask('shop/web', 'svc/raw.shop', security('AuthorizationPolicy', 'p', allow), {});
  assert.equal(verdict, 'deny');
  assert.ok(reasons.some((reason) => reason.startsWith('port 80 is no HTTP')));
});

const onlyWeb = '{selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {serviceAccounts: [web]}}]}]}';
const onlyWaypoint = '{selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {serviceAccounts: [wp]}}]}]}';

test('the endpoint judges the waypoint, not the client', () => {
  const denied = ask('shop/web', 'svc/cart.shop', security('AuthorizationPolicy', 'p', onlyWeb), {});
  assert.deepEqual([denied.verdict, denied.layer, denied.decidedBy?.name], ['deny', 'L4', 'p']);
  const allowed = ask('shop/web', 'svc/cart.shop', security('AuthorizationPolicy', 'p', onlyWaypoint), {});
  assert.deepEqual([allowed.verdict, allowed.layer], ['allow', 'L4']);
});

test('who does not go through the waypoint is not judged by it', () => {
  const deny = security('AuthorizationPolicy', 'p', `{action: DENY, rules: [{}], ${on('cart')}}`);
  const outside = ask('legacy/job', 'svc/cart.shop', deny);
  assert.equal(outside.verdict, 'allow');
  assert.match(outside.reasons[0]!, /past the waypoint wp\.shop\.svc\.cluster\.local/);
  for (const to of ['svc/direct.shop', 'shop/cart:8080']) {
    const { verdict, hops } = ask('shop/web', to, deny);
    assert.deepEqual([verdict, hops.some((hop) => hop.kind === 'waypoint')], ['allow', false]);
  }
  assert.equal(ask('shop/web', 'svc/cart.shop', deny).verdict, 'deny');
});

const allTraffic = base
  .replace('name: wp}\nspec', 'name: wp, labels: {ambient.mesh/waypoint-for: all}}\nspec')
  .replace('labels: {app: cart}', 'labels: {app: cart, ambient.mesh/use-waypoint: wp}');
const onGateway = 'targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: wp}]';

test('a pod by its own address: judged by what is on the waypoint, not by what is on a service', () => {
  const refuse = (target: string): string =>
    `{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}], ${target}}`;
  const askPod = (target: string, path: string): readonly [string, string | null, string | undefined] => {
    const policy = security('AuthorizationPolicy', 'p', refuse(target));
    const { verdict, decidedBy, hops } = ask('shop/web', 'shop/cart:8080', policy, { path }, allTraffic);
    return [verdict, decidedBy?.name ?? null, hops[1]?.kind];
  };
  assert.deepEqual(askPod(onGateway, '/admin'), ['deny', 'p', 'waypoint']);
  assert.deepEqual(askPod(onGateway, '/'), ['allow', null, 'waypoint']);
  assert.deepEqual(askPod(on('cart'), '/admin'), ['allow', null, 'waypoint']);
  assert.deepEqual(
    ask('shop/web', 'shop/cart:8080', '', {}).hops.map(({ kind }) => kind),
    ['node', 'node'],
  );
});
