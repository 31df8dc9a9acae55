// AuthorizationPolicy for waypoints as authors write it, against what is then decided about requests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../base/ip.ts';
import { type ConnectionFacts, evaluate } from '../policy/evaluate.ts';
import { type HttpFacts, remoteIpOf } from '../policy/match-request.ts';
import { policiesOfService } from '../policy/service-policies.ts';
import { compileText } from './testing-compile.ts';

const key = 'shop/cart.shop.svc.cluster.local';
const gateway = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: wp}
spec: {gatewayClassName: ambient-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
`;
const service = (name: string, labels = 'ambient.mesh/use-waypoint: wp') => `---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: ${name}, labels: {${labels}}}
spec: {clusterIP: 10.96.0.1, selector: {app: ${name}}, ports: [{name: http, port: 80, targetPort: 8080}]}
`;
const policyText = (spec: string, metadata: string) =>
  `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {${metadata}}\nspec: ${spec}\n`;
const onCart = 'targetRefs: [{kind: Service, group: "", name: cart}]';

interface Ask {
  readonly identity?: string;
  readonly trustDomain?: string;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly port?: number;
}

function setUp(spec: string, metadata = 'namespace: shop, name: p', more = '') {
  const mesh = compileText(gateway + service('cart') + service('other') + policyText(spec, metadata) + more);
  const routes = mesh.compiler.mesh().routes?.find((one) => one.service === key) ?? null;
  const decide = (ask: Ask, isHttp = true) => {
    const trustDomain = ask.trustDomain ?? 'cluster.local';
    const connection: ConnectionFacts = {
      sourceIdentity: `spiffe://${trustDomain}/ns/${(ask.identity ?? 'shop/web').replace('/', '/sa/')}`,
      sourceIp: '10.1.0.9',
      destinationIp: '10.96.0.1',
      destinationPort: ask.port ?? 80,
    };
    return evaluate(policiesOfService(routes), connection, isHttp ? factsOf(ask) : null);
  };
  return { ...mesh, routes, decide };
}

function factsOf({ method = 'GET', path = '/', host = 'cart', headers = {}, claims }: Ask): HttpFacts {
  const source = { get: (name: string) => headers[name] ?? null };
  const { iss, sub, aud, azp } = claims ?? {};
  const audiences = typeof aud === 'string' ? [aud] : ((aud ?? []) as string[]);
  const principal = iss === undefined ? null : `${iss}/${sub}`;
  const token =
    claims === undefined ? null : { principal, audiences, presenter: (azp ?? null) as string | null, claims };
  return { method, path, authority: host, headers: source, token, remoteIp: remoteIpOf(source, parseIp('10.1.0.9')!) };
}

const to = (operation: string) => `{rules: [{to: [{operation: {${operation}}}]}], ${onCart}}`;
const when = (condition: string) => `{rules: [{when: [{${condition}}]}], ${onCart}}`;
const from = (source: string) => `{rules: [{from: [{source: {${source}}}]}], ${onCart}}`;
const paths = (...values: readonly string[]) => values.map((path) => ({ path }));
const token = {
  iss: 'https://id.example',
  sub: 'ann',
  aud: ['shop', 'web'],
  azp: 'app',
  groups: ['a', 'b'],
  scope: 'read write',
};
const ann: Ask = { claims: token };
const nested: Ask = { claims: { ...token, org: { team: 'red', level: 3 } } };

// [what, spec, what is admitted, what is refused]
const rows: readonly (readonly [string, string, readonly Ask[], readonly Ask[]])[] = [
  ['path', to('paths: [/a]'), paths('/a'), paths('/', '/a/', '/A', '/a/b')],
  ['path prefix', to('paths: [/a*]'), paths('/a', '/a/b', '/ab'), paths('/', '/b')],
  ['path suffix', to('paths: ["*.js"]'), paths('/a.js'), paths('/a.jsx')],
  ['any path', to('paths: ["*"]'), paths('/', '/x'), []],
  ['template, one segment', to('paths: ["/foo/{*}"]'), paths('/foo/bar'), paths('/foo/', '/foo', '/foo/a/b')],
  [
    'template, the rest',
    to('paths: ["/allow/admin/{**}"]'),
    paths('/allow/admin/', '/allow/admin/a/b'),
    paths('/allow/admin'),
  ],
  [
    'template, both',
    to('paths: ["/foo/{*}/bar/{**}"]'),
    paths('/foo/buzz/bar/bat.txt', '/foo/buzz/bar/'),
    paths('/foo/bar/bat.txt', '/foo//bar/x'),
  ],
  [
    'template, in between',
    to('paths: ["/store/{**}/cart"]'),
    paths('/store//cart', '/store/a/b/cart'),
    paths('/store/cart'),
  ],
  ['notPaths', to('notPaths: [/admin*]'), paths('/'), paths('/admin', '/admin/x')],
  ['paths but', to('paths: [/a*], notPaths: ["/a/{*}"]'), paths('/a', '/a/b/c'), paths('/a/b', '/b')],
  ['method', to('methods: [GET, HEAD]'), [{ method: 'HEAD' }], [{ method: 'POST' }, { method: 'get' }]],
  ['notMethods', to('notMethods: [POST]'), [{}], [{ method: 'POST' }]],
  [
    'host',
    to('hosts: [Shop.Example]'),
    [{ host: 'shop.example' }, { host: 'SHOP.example:80' }],
    [{ host: 'x.shop.example' }],
  ],
  ['host with a port', to('hosts: ["shop.example:80"]'), [{ host: 'shop.example:80' }], [{ host: 'shop.example' }]],
  [
    'host suffix',
    to('hosts: ["*.example"]'),
    [{ host: 'a.example:8080' }, { host: 'a.EXAMPLE' }],
    [{ host: 'example' }],
  ],
  [
    'notHosts',
    to('notHosts: [admin.example]'),
    [{ host: 'a' }],
    [{ host: 'admin.example:80' }, { host: 'ADMIN.example' }],
  ],
  [
    'host of IPv6',
    to('hosts: ["[fd00::1]"]'),
    [{ host: '[fd00::1]:80' }, { host: '[fd00::1]' }],
    [{ host: '[fd00::2]' }],
  ],
  ['port', to('ports: ["80"], paths: [/a]'), [{ path: '/a' }], [{ path: '/a', port: 81 }]],
  [
    'gRPC method',
    to('paths: ["/shop.Cart/Add"], methods: [POST]'),
    [{ path: '/shop.Cart/Add', method: 'POST' }],
    [{ path: '/shop.Cart/Add' }],
  ],
  [
    'header',
    when('key: "request.headers[X-Team]", values: [red]'),
    [{ headers: { 'x-team': 'red' } }],
    [{}, { headers: { 'x-team': 'Red' } }],
  ],
  [
    'header, any',
    when('key: "request.headers[x-team]", values: ["*"]'),
    [{ headers: { 'x-team': 'a' } }],
    [{}, { headers: { 'x-team': '' } }],
  ],
  [
    'not header',
    when('key: "request.headers[x-team]", notValues: [red]'),
    [{}, { headers: { 'x-team': 'blue' } }],
    [{ headers: { 'x-team': 'red' } }],
  ],
  ['requestPrincipals *', from('requestPrincipals: ["*"]'), [ann], [{}]],
  [
    'requestPrincipals',
    from('requestPrincipals: ["https://id.example/ann"]'),
    [ann],
    [{}, { claims: { ...token, sub: 'bob' } }],
  ],
  [
    'requestPrincipals prefix',
    from('requestPrincipals: ["https://id.example/*"]'),
    [ann],
    [{ claims: { ...token, iss: 'x' } }],
  ],
  ['notRequestPrincipals', from('notRequestPrincipals: ["*"]'), [{}], [ann]],
  ['request.auth.principal', when('key: request.auth.principal, values: ["*/ann"]'), [ann], [{}]],
  [
    'audiences',
    when('key: request.auth.audiences, values: [web]'),
    [ann],
    [{}, { claims: { ...token, aud: 'other' } }],
  ],
  ['presenter', when('key: request.auth.presenter, values: [app]'), [ann], [{}]],
  [
    'claim, of a list',
    when('key: "request.auth.claims[groups]", values: [b]'),
    [ann],
    [{}, { claims: { groups: ['c'] } }],
  ],
  [
    'claim, of words',
    when('key: "request.auth.claims[scope]", values: [write]'),
    [ann],
    [{ claims: { scope: 'writer' } }],
  ],
  ['claim, nested', when('key: "request.auth.claims[org][team]", values: [red]'), [nested], [ann]],
  ['claim, a number', when('key: "request.auth.claims[org][level]", values: ["3"]'), [nested], [ann]],
  ['not claim', when('key: "request.auth.claims[groups]", notValues: [a]'), [{}, { claims: { groups: ['b'] } }], [ann]],
  ['claim that is inherited', when('key: "request.auth.claims[constructor][name]", values: ["*"]'), [], [ann, nested]],
  [
    'remoteIpBlocks',
    from('remoteIpBlocks: [203.0.113.0/24]'),
    [{ headers: { 'x-forwarded-for': '10.0.0.1, 203.0.113.7' } }],
    [{}, { headers: { 'x-forwarded-for': '203.0.113.7, 10.0.0.1' } }],
  ],
  [
    'remote.ip without a header',
    when('key: remote.ip, values: [10.1.0.9]'),
    [{}, { headers: { 'x-forwarded-for': 'nonsense' } }],
    [],
  ],
  ['namespaces', from('namespaces: [sh*]'), [{}], [{ identity: 'legacy/job' }]],
  ['notNamespaces', from('notNamespaces: [legacy]'), [{}], [{ identity: 'legacy/job' }]],
  ['principals', from('principals: ["*/sa/web"]'), [{}], [{ identity: 'shop/job' }]],
  ['notPrincipals', from('notPrincipals: [cluster.local/ns/shop/sa/job]'), [{}], [{ identity: 'shop/job' }]],
  ['serviceAccounts, of the own namespace', from('serviceAccounts: [web]'), [{}], [{ identity: 'legacy/web' }]],
  ['notServiceAccounts', from('notServiceAccounts: [shop/job]'), [{}], [{ identity: 'shop/job' }]],
  ['trustDomains', from('trustDomains: [cluster.local]'), [{}], [{ trustDomain: 'other' }]],
  ['trustDomains prefix', from('trustDomains: ["clu*"]'), [{}], [{ trustDomain: 'other' }]],
  ['notTrustDomains', from('notTrustDomains: [other]'), [{}], [{ trustDomain: 'other' }]],
  ['source.trustDomain', when('key: source.trustDomain, notValues: [other]'), [{}], [{ trustDomain: 'other' }]],
  ['source.principal', when('key: source.principal, values: ["cluster.local/*"]'), [{}], [{ trustDomain: 'other' }]],
  ['source.namespace', when('key: source.namespace, values: [shop]'), [{}], [{ identity: 'legacy/web' }]],
  ['ipBlocks', from('ipBlocks: [10.1.0.0/16]'), [{}], []],
  ['notIpBlocks', from('notIpBlocks: [10.1.0.9]'), [], [{}]],
  ['source.ip', when('key: source.ip, values: [10.2.0.0/16]'), [], [{}]],
  ['destination.ip', when('key: destination.ip, values: [10.96.0.1]'), [{}], []],
  ['destination.port', when('key: destination.port, values: ["80"]'), [{}], [{ port: 81 }]],
  ['notPorts', to('notPorts: ["81"]'), [{}], [{ port: 81 }]],
  ['notMethods and paths', to('notMethods: [PUT], paths: [/a]'), paths('/a'), [{ path: '/a', method: 'PUT' }]],
  ['notRemoteIpBlocks', from('notRemoteIpBlocks: [10.1.0.9]'), [{ headers: { 'x-forwarded-for': '8.8.8.8' } }], [{}]],
  ['source.serviceAccount', when('key: source.serviceAccount, values: [shop/web]'), [{}], [{ identity: 'shop/job' }]],
  [
    'source, operation and condition',
    `{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}], to: [{operation: {methods: [GET]}}], when: [{key: "request.headers[a]", values: [b]}]}], ${onCart}}`,
    [{ headers: { a: 'b' } }],
    [{}, { headers: { a: 'b' }, method: 'POST' }, { headers: { a: 'b' }, identity: 'shop/job' }],
  ],
  ['allow nothing', `{${onCart}}`, [], [{}]],
  ['allow everything', `{rules: [{}], ${onCart}}`, [{}], []],
  [
    'deny',
    `{action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}], ${onCart}}`,
    paths('/'),
    paths('/admin/x'),
  ],
  // What cannot be read or seen.
  [
    'deny a bad template',
    `{action: DENY, rules: [{to: [{operation: {paths: ["/a{*}"]}}]}], ${onCart}}`,
    [],
    paths('/'),
  ],
  ['allow a bad template', to('paths: ["/a/{**}/b/{**}"]'), [], paths('/a/x/b/c')],
  ['allow by SNI', when('key: connection.sni, values: [a]'), [], [{}]],
  ['deny by SNI', `{action: DENY, rules: [{when: [{key: connection.sni, values: [a]}]}], ${onCart}}`, [], [{}]],
  [
    'custom',
    `{action: CUSTOM, provider: {name: x}, rules: [{to: [{operation: {paths: [/a]}}]}], ${onCart}}`,
    paths('/'),
    paths('/a'),
  ],
];
for (const [what, spec, admitted, refused] of rows) {
  test(`waypoint policy: ${what}`, () => {
    const { decide } = setUp(spec);
    for (const ask of admitted) assert.equal(decide(ask).allowed, true, `admits ${JSON.stringify(ask)}`);
    for (const ask of refused) assert.equal(decide(ask).allowed, false, `refuses ${JSON.stringify(ask)}`);
  });
}

test('DENY comes before ALLOW; the rule that decided is named', () => {
  const allow = policyText(to('paths: [/allow*]'), 'namespace: shop, name: a');
  const deny = `{action: DENY, rules: [{}, {to: [{operation: {paths: [/allow/admin]}}]}], ${onCart}}`.replace(
    '[{}, ',
    '[{to: [{operation: {methods: [PUT]}}]}, ',
  );
  const { decide } = setUp(deny, 'namespace: shop, name: d', allow);
  assert.equal(decide({ path: '/allow/x' }).allowed, true);
  const { allowed, decidedBy, reason } = decide({ path: '/allow/admin' });
  assert.deepEqual(
    [allowed, decidedBy],
    [false, { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'd', rule: 1 }],
  );
  assert.match(reason, /denied by AuthorizationPolicy shop\/d, rule 1/);
});

test('without HTTP, conditions on a request are resolved to the closed side', () => {
  const allow = setUp(to('paths: [/a]'));
  assert.deepEqual([allow.decide({ path: '/a' }).allowed, allow.decide({}, false).allowed], [true, false]);
  const not = setUp(to('notPaths: [/a]'));
  assert.equal(not.decide({}, false).allowed, false);
  const deny = setUp(`{action: DENY, rules: [{to: [{operation: {paths: [/a], ports: ["80"]}}]}], ${onCart}}`);
  assert.deepEqual([deny.decide({}, false).allowed, deny.decide({ port: 81 }, false).allowed], [false, true]);
  const denyNot = setUp(`{action: DENY, rules: [{to: [{operation: {notPaths: [/a]}}]}], ${onCart}}`);
  assert.equal(denyNot.decide({}, false).allowed, false);
});

test('CUSTOM is said by name: in what is found, in the condition, and in the reason', () => {
  const spec = `{action: CUSTOM, provider: {name: x}, rules: [{to: [{operation: {paths: [/a]}}]}], ${onCart}}`;
  const { decide, issues, compiler } = setUp(spec);
  assert.deepEqual(
    issues.map(({ severity, message }) => [severity, message.slice(0, 11)]),
    [['error', 'CUSTOM asks']],
  );
  const condition = compiler.statuses().find(({ kind }) => kind === 'AuthorizationPolicy')?.conditions[0];
  assert.deepEqual([condition?.reason, condition?.message.slice(0, 11)], ['PartiallyInvalid', 'CUSTOM asks']);
  assert.match(decide({ path: '/a' }).reason, /denied by AuthorizationPolicy shop\/p, rule 0: its action is CUSTOM/);
});

test('AUDIT and dry run decide nothing and are told', () => {
  const audit = setUp(`{action: AUDIT, rules: [{to: [{operation: {paths: [/a]}}]}], ${onCart}}`);
  const { allowed, audits } = audit.decide({ path: '/a' });
  assert.deepEqual([allowed, audits.map((one) => one.name)], [true, ['p']]);
  assert.equal(audit.decide({ path: '/b' }).audits.length, 0);
  const metadata = 'namespace: shop, name: p, annotations: {istio.io/dry-run: "true"}';
  const dry = setUp(`{action: DENY, rules: [{}], ${onCart}}`, metadata).decide({});
  assert.deepEqual([dry.allowed, dry.dryRun.map((one) => one.action)], [true, ['deny']]);
});

// [what, target, metadata, reaches cart, condition]
const onGateway = '{kind: Gateway, group: gateway.networking.k8s.io, name: wp}';
const onClass = '{kind: GatewayClass, group: gateway.networking.k8s.io, name: istio-waypoint}';
const targetRows = [
  ['the service', '{kind: Service, group: "", name: cart}', 'namespace: shop, name: p', true, 'True Accepted'],
  ['another service', '{kind: Service, group: "", name: other}', 'namespace: shop, name: p', false, 'True Accepted'],
  ['its waypoint', onGateway, 'namespace: shop, name: p', true, 'True Accepted'],
  ['the class, in the root namespace', onClass, 'namespace: istio-system, name: p', true, 'True Accepted'],
  ['the class, elsewhere', onClass, 'namespace: shop, name: p', false, 'False Invalid'],
  [
    'a service of another namespace',
    '{kind: Service, group: "", name: cart}',
    'namespace: x, name: p',
    false,
    'False TargetNotFound',
  ],
  ['over namespaces', '{kind: Service, name: cart, namespace: shop}', 'namespace: x, name: p', false, 'False Invalid'],
  [
    'a service that is not there',
    '{kind: Service, name: nobody}',
    'namespace: shop, name: p',
    false,
    'False TargetNotFound',
  ],
  [
    'a service without a waypoint',
    '{kind: Service, name: plain}',
    'namespace: shop, name: p',
    false,
    'False AncestorNotBound',
  ],
  [
    'a ServiceEntry',
    '{kind: ServiceEntry, group: networking.istio.io, name: a}',
    'namespace: shop, name: p',
    false,
    'False Invalid',
  ],
  [
    'one of two',
    `{kind: Service, name: nobody}, ${onGateway}`,
    'namespace: shop, name: p',
    true,
    'True PartiallyInvalid',
  ],
] as const;
for (const [what, target, metadata, reaches, condition] of targetRows) {
  test(`waypoint policy on ${what}`, () => {
    const spec = `{action: DENY, rules: [{}], targetRefs: [${target}]}`;
    const { decide, compiler, issues } = setUp(spec, metadata, service('plain', ''));
    assert.equal(decide({}).allowed, !reaches);
    const status = compiler.statuses().find((one) => one.kind === 'AuthorizationPolicy');
    assert.deepEqual(
      status?.conditions.map((one) => `${one.status} ${one.reason}`),
      [condition],
    );
    assert.equal(issues.length === 0, condition === 'True Accepted');
    assert.deepEqual(compiler.mesh().policies, []);
  });
}

test('calls to pods: what is on the waypoint and on its class judges them, what is on a service does not', () => {
  const on = (target: string, name: string, namespace = 'shop') =>
    policyText(`{action: DENY, rules: [{}], targetRefs: [${target}]}`, `namespace: ${namespace}, name: ${name}`);
  const onService = '{kind: Service, group: "", name: cart}';
  const policies = on(onGateway, 'gateway') + on(onClass, 'class', 'istio-system') + on(onService, 'service');
  const namesAt = (traffic: string, more = policies) => {
    const text = gateway.replace('name: wp}', `name: wp, labels: {ambient.mesh/waypoint-for: ${traffic}}}`);
    const { compiler, issues } = compileText(text + service('cart') + more);
    assert.deepEqual(
      issues.filter(({ message }) => /pod/.test(message)),
      [],
    );
    const routes = compiler.mesh().routes?.find((one) => one.podsOf !== undefined);
    return routes === undefined
      ? null
      : [routes.podsOf, routes.service, ...(routes.policies ?? []).map(({ name }) => name)];
  };
  const expected = ['shop/wp', 'shop/wp.shop.svc.cluster.local', 'class', 'gateway'];
  assert.deepEqual(namesAt('all'), expected);
  assert.deepEqual(namesAt('workload'), expected);
  assert.equal(namesAt('service'), null);
  assert.equal(namesAt('all', on(onService, 'service')), null);
});

test('a policy with a selector stays at L4', () => {
  const { routes, policy } = setUp('{action: DENY, rules: [{}], selector: {matchLabels: {app: cart}}}');
  assert.equal(routes, null);
  assert.equal(policy('shop/p')?.scope, 'workload');
});

test('policies come and go with their waypoint, their service and themselves', () => {
  const { compiler } = setUp(`{action: DENY, rules: [{}], targetRefs: [${onGateway}]}`);
  const held = () => [...(compiler.mesh().routes ?? [])].map((one) => [one.service, one.policies?.length]);
  const other = 'shop/other.shop.svc.cluster.local';
  assert.deepEqual(held().sort(), [
    [key, 1],
    [other, 1],
  ]);
  compiler.delete('Service', 'shop', 'other');
  assert.deepEqual(compiler.flush().update.removedRoutes, [other]);
  compiler.delete('Gateway', 'shop', 'wp');
  assert.deepEqual(compiler.flush().update.removedRoutes, [key]);
  assert.deepEqual(held(), []);
  const again = setUp(`{action: DENY, rules: [{}], targetRefs: [${onGateway}]}`).compiler;
  again.delete('AuthorizationPolicy', 'shop', 'p');
  assert.deepEqual([...(again.flush().update.removedRoutes ?? [])].sort(), [key, other]);
  assert.ok(!again.statuses().some((one) => one.kind === 'AuthorizationPolicy'));
});
