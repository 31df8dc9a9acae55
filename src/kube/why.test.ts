// `why` over manifests as people write them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import { type WhyOptions, type WhyResult, why } from '../policy/why.ts';
import { compileText, podText } from './testing-compile.ts';

function spaceText(name: string, isEnrolled: boolean): string {
  const labels = isEnrolled ? '{ambient.mesh/dataplane-mode: ambient}' : '{}';
  return `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: ${labels}}\n`;
}

function serviceText(name: string, spec: string): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: ${name}}\nspec: {${spec}}\n`;
}

function policyText(kind: string, name: string, spec: string): string {
  const head = `---\napiVersion: security.istio.io/v1\nkind: ${kind}\n`;
  return `${head}metadata: {namespace: shop, name: ${name}}\nspec: ${spec}\n`;
}

/** As `podText`, on another node. */
function onNode2(text: string): string {
  return text.replace('nodeName: node-1', 'nodeName: node-2');
}

const http = 'containers: [{ports: [{name: http, containerPort: 8080}]}]';
const owned = (hash: string): string =>
  `labels: {app: cart}, ownerReferences: [{kind: ReplicaSet, name: cart-7d4b95c6, controller: true, uid: ${hash}}]`;
const base = [
  spaceText('shop', true),
  spaceText('legacy', false),
  podText('shop/web', '10.1.0.1', 'labels: {app: web}', http),
  podText('shop/near', '10.1.0.2', 'labels: {app: near}', http),
  onNode2(podText('shop/far', '10.2.0.1', 'labels: {app: far}', http)),
  podText('legacy/job', '10.1.0.9', 'labels: {app: job}', http),
  podText('shop/cart-7d4b95c6-aaaaa', '10.1.0.3', owned('a'), http),
  onNode2(podText('shop/cart-7d4b95c6-bbbbb', '10.2.0.3', owned('b'), http)),
  serviceText('far', 'clusterIP: 10.96.0.1, selector: {app: far}, ports: [{port: 80, targetPort: http}]'),
  serviceText(
    'cart',
    'clusterIP: 10.96.0.2, selector: {app: cart}, ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81}]',
  ),
  serviceText('empty', 'clusterIP: 10.96.0.3, selector: {app: nobody}, ports: [{port: 80}]'),
].join('');

function ask(from: string, to: string, more = '', options: Partial<WhyOptions> = {}): WhyResult {
  const { index, compiler } = compileText(base + more);
  const query = { from, to, port: null, namespace: 'shop' };
  return why(index, query, { sameNode: 'direct', strictBy: (one) => compiler.peerAuthenticationOf(one), ...options });
}

test('the whole answer', () => {
  const more = policyText(
    'AuthorizationPolicy',
    'p',
    '{action: DENY, rules: [{}, {from: [{source: {namespaces: [x]}}]}]}',
  );
  const { reasons, ...answer } = ask('shop/web', 'svc/far.shop:80', more);
  assert.deepEqual(answer, {
    from: {
      workload: 'web',
      namespace: 'shop',
      identity: 'spiffe://cluster.local/ns/shop/sa/web',
      enrolled: true,
      node: 'node-1',
    },
    to: {
      service: 'far.shop',
      workload: 'far',
      namespace: 'shop',
      identity: 'spiffe://cluster.local/ns/shop/sa/far',
      enrolled: true,
      port: 80,
      targetPort: 8080,
      node: 'node-2',
    },
    verdict: 'deny',
    layer: 'L4',
    decidedBy: { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'p', rule: 0 },
    transport: 'mtls',
    hops: [
      { kind: 'node', name: 'node-1' },
      { kind: 'node', name: 'node-2' },
    ],
    route: null,
    response: null,
  });
  assert.match(reasons.join('\n'), /mutual TLS\ndenied by AuthorizationPolicy shop\/p, rule 0/);
});

const strict = policyText('PeerAuthentication', 'closed', '{mtls: {mode: STRICT}}');
const onlyWeb = policyText(
  'AuthorizationPolicy',
  'only-web',
  '{rules: [{from: [{source: {principals: ["cluster.local/ns/shop/sa/web"]}}], to: [{operation: {ports: ["8080"]}}]}]}',
);
const half = policyText(
  'AuthorizationPolicy',
  'half',
  '{action: DENY, rules: [{when: [{key: destination.ip, values: [10.2.0.0/16]}]}]}',
);

// [from, to, more manifests, verdict, transport, decided by, a reason]
const rows = [
  ['shop/web', 'svc/far.shop', '', 'allow', 'mtls', null, /no policy/],
  ['shop/web', 'svc/far', '', 'allow', 'mtls', null, /./],
  ['shop/web', 'svc/far.shop.svc.cluster.local:80', '', 'allow', 'mtls', null, /./],
  ['shop/web', '10.96.0.1:80', '', 'allow', 'mtls', null, /./],
  ['shop/web', 'shop/near:8080', '', 'allow', 'same-node', null, /stay there/],
  ['shop/web', '10.1.0.2:8080', '', 'allow', 'same-node', null, /./],
  ['deploy/cart', 'shop/far:8080', '', 'allow', 'mtls', null, /./],
  ['shop/web', 'shop/deploy/cart:8080', onlyWeb, 'allow', 'mtls', 'only-web 0', /the endpoints give different answers/],
  ['svc/far.shop', 'shop/near:8080', onlyWeb, 'deny', 'mtls', 'only-web null', /no rule of them allows/],
  ['shop/web', 'shop/near:81', onlyWeb, 'deny', 'same-node', 'only-web null', /./],
  ['legacy/job', 'svc/far.shop', '', 'allow', 'plaintext', null, /source is outside/],
  [
    'legacy/job',
    'svc/far.shop',
    strict,
    'deny',
    'plaintext',
    'closed null',
    /mutual TLS is required by PeerAuthentication shop\/closed/,
  ],
  ['shop/web', 'svc/far.shop', strict, 'allow', 'mtls', null, /./],
  ['shop/web', 'legacy/job:8080', '', 'allow', 'plaintext', null, /no policy is enforced/],
  ['shop/web', '192.0.2.1:443', '', 'allow', 'plaintext', null, /neither a service nor a pod/],
  ['192.0.2.1', 'svc/far.shop', onlyWeb, 'deny', 'plaintext', 'only-web null', /./],
  ['shop/web', 'svc/cart.shop:82', '', 'unreachable', null, null, /no port 82; its ports: 80, 81/],
  ['shop/web', 'svc/empty.shop', '', 'unreachable', null, null, /no pod matches/],
] as const;
for (const [from, to, more, verdict, transport, decidedBy, reason] of rows) {
  test(`why ${from} ${to}${more === '' ? '' : ' under policy'}: ${verdict}, ${transport}`, () => {
    const answer = ask(from, to, more);
    const by = answer.decidedBy === null ? null : `${answer.decidedBy.name} ${answer.decidedBy.rule}`;
    assert.deepEqual([answer.verdict, answer.transport, by], [verdict, transport, decidedBy]);
    assert.equal(answer.layer, decidedBy === null ? null : 'L4');
    assert.match(answer.reasons.join('\n'), reason);
  });
}

test('endpoints with different answers are told one by one, and a refusal counts', () => {
  const answer = ask('shop/near', 'svc/cart.shop:80', half);
  assert.equal(answer.verdict, 'deny');
  assert.equal(answer.to.workload, 'cart');
  const each = answer.perEndpoint?.map((one) => [one.workload, one.node, one.verdict, one.transport]).sort();
  assert.deepEqual(each, [
    ['cart-7d4b95c6-aaaaa', 'node-1', 'allow', 'same-node'],
    ['cart-7d4b95c6-bbbbb', 'node-2', 'deny', 'mtls'],
  ]);
  assert.equal(ask('shop/far', 'svc/far.shop').perEndpoint, undefined);
});

test('pods of one node take the tunnel where that is configured', () => {
  assert.equal(ask('shop/web', 'shop/near:8080', '', { sameNode: 'tunnel' }).transport, 'mtls');
});

test('what cannot be reached says why', () => {
  const unready = podText('shop/sick', '10.1.0.7', 'labels: {app: sick}').replace('status: "True"', 'status: "False"');
  const sick = unready + serviceText('sick', 'selector: {app: sick}, ports: [{port: 80}]');
  assert.match(ask('shop/web', 'svc/sick.shop', sick).reasons[0]!, /none of its 1 pods is ready/);
  const local = serviceText('local', 'internalTrafficPolicy: Local, selector: {app: far}, ports: [{port: 80}]');
  assert.match(ask('shop/web', 'svc/local.shop', local).reasons[0]!, /internalTrafficPolicy: Local.* on node-1/);
  const named = serviceText('named', 'selector: {app: far}, ports: [{port: 80, targetPort: nothing}]');
  assert.match(ask('shop/web', 'svc/named.shop', named).reasons[0]!, /no pod matches .* a port of the name/);
});

test('dry-run policies are told beside the answer', () => {
  const dry = policyText(
    'AuthorizationPolicy',
    'dry, annotations: {istio.io/dry-run: "true"}',
    '{action: DENY, rules: [{}]}',
  );
  const answer = ask('shop/web', 'svc/far.shop', dry);
  assert.equal(answer.verdict, 'allow');
  assert.match(answer.reasons.join('\n'), /dry run: AuthorizationPolicy shop\/dry, rule 0 would deny it/);
});

test('manifests without addresses: policies that ask for addresses are pointed out', () => {
  const bare = 'apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: bare}\n';
  const byIp = policyText(
    'AuthorizationPolicy',
    'ip',
    '{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}',
  );
  const answer = ask('shop/bare', 'shop/far:8080', `---\n${bare}${byIp}`);
  assert.equal(answer.verdict, 'allow');
  assert.match(answer.reasons.join('\n'), /addresses, which manifests do not have/);
});

// [from, to, code, message]
const errorRows = [
  ['shop/wbe', 'svc/far.shop', 'NOT_FOUND', /pod shop\/wbe is not there; did you mean shop\/web\?/],
  ['shop/web', 'svc/fra.shop', 'NOT_FOUND', /service fra\.shop is not there; did you mean svc\/far\.shop\?/],
  ['shop/web', 'deploy/crat:80', 'NOT_FOUND', /did you mean deploy\/cart\?/],
  ['shop/cart', 'svc/far.shop', 'NOT_FOUND', /did you mean deploy\/cart -n shop\?/],
  ['shop/web', 'nobody/nothing:80', 'NOT_FOUND', /ambientctl config workloads/],
  ['svc/empty.shop', 'svc/far.shop', 'NOT_FOUND', /a workload behind service empty\.shop/],
  ['shop/web', 'svc/cart.shop', 'USAGE', /which port of service cart\.shop is meant: TO:PORT, one of 80, 81/],
  ['shop/web', '192.0.2.1', 'USAGE', /which port/],
  ['shop/web', 'svc/far.shop:http', 'USAGE', /ends in no port/],
  ['shop//web', 'svc/far.shop', 'USAGE', /names nothing/],
] as const;
for (const [from, to, code, message] of errorRows) {
  test(`why ${from} ${to} is refused: ${code}`, () => {
    assert.throws(
      () => ask(from, to),
      (error: unknown) => {
        assert.ok(isMeshError(error), String(error));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('IPv6 ends, with and without brackets', () => {
  const six = podText('shop/six', 'fd00::6');
  assert.equal(ask('fd00::6', '[fd00::6]:80', six).to.workload, 'six');
  assert.equal(ask('shop/web', '[fd00::9]:80', six).transport, 'plaintext');
});
