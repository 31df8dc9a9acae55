// RequestAuthentication as authors write it, against the rules that waypoints get and what the author is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import type { JwtRule } from '../model/route-types.ts';
import { jwtRuleOf } from '../model/testing-jwt.ts';
import { compileText } from './testing-compile.ts';

const base = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: wp}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: cart, labels: {istio.io/use-waypoint: wp}}
spec: {clusterIP: 10.96.0.1, selector: {app: cart}, ports: [{name: http, port: 80}]}
`;

function compile(rules: string, target = 'targetRefs: [{kind: Service, group: "", name: cart}]') {
  const text = `${base}---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {namespace: shop, name: jwt}
spec: {${target}${target === '' ? '' : ', '}jwtRules: ${rules}}
`;
  const { compiler, issues } = compileText(text);
  return {
    rules: compiler.mesh().routes?.[0]?.jwtRules ?? null,
    issues,
    statuses: compiler.statuses().filter((one) => one.kind === 'RequestAuthentication'),
  };
}

const noKeys = '{"keys":[]}';
const usual = jwtRuleOf();

// [what, rule as written, what it becomes, severities of the findings]
const issuer = 'issuer: "https://id.example"';
const rows: readonly (readonly [string, string, Partial<JwtRule>, readonly string[]])[] = [
  ['an issuer that says where its keys are', issuer, {}, []],
  ['an address', `${issuer}, jwksUri: "https://id.example/keys"`, { jwksUri: 'https://id.example/keys' }, []],
  ['the older name', `${issuer}, jwks_uri: "http://id.example/keys"`, { jwksUri: 'http://id.example/keys' }, []],
  ['inline keys', `issuer: me, jwks: '${noKeys}'`, { issuers: ['me'], jwks: noKeys }, []],
  [
    'everything',
    `${issuer}, issuers: [b], jwks: '${noKeys}', audiences: [a, b], fromHeaders: [{name: X-Jwt, prefix: "jwt "}], fromParams: [t], fromCookies: [c], forwardOriginalToken: true, outputPayloadToHeader: X-Payload, outputClaimToHeaders: [{header: X-Org, claim: org.id}], spaceDelimitedClaims: [roles], timeout: 2.5s`,
    {
      issuers: ['https://id.example', 'b'],
      jwks: noKeys,
      audiences: ['a', 'b'],
      fromHeaders: [{ name: 'x-jwt', prefix: 'jwt ' }],
      fromParams: ['t'],
      fromCookies: ['c'],
      forwardOriginalToken: true,
      outputPayloadToHeader: 'x-payload',
      outputClaimToHeaders: [{ header: 'x-org', claim: ['org', 'id'] }],
      spaceDelimitedClaims: ['roles'],
      timeoutMs: 2500,
    },
    [],
  ],
  // What cannot be used has no keys: tokens are refused.
  ['no keys anywhere', 'issuer: me', { issuers: ['me'], jwks: noKeys }, ['error']],
  ['keys that are none', `${issuer}, jwks: "{}"`, { jwks: noKeys }, ['error']],
  ['keys that are no JSON', `${issuer}, jwks: "x"`, { jwks: noKeys }, ['error']],
  ['an address that is none', `${issuer}, jwksUri: "file:///etc/passwd"`, { jwks: noKeys }, ['error']],
  ['no issuer', `jwks: '${noKeys}'`, { issuers: [], jwks: noKeys }, ['error']],
  [
    'both keys and address',
    `${issuer}, jwks: '${noKeys}', jwksUri: "https://id.example"`,
    { jwks: noKeys },
    ['warning'],
  ],
  [
    'a claim as host',
    `${issuer}, outputClaimToHeaders: [{header: Host, claim: a}, {header: x-a, claim: a}]`,
    { outputClaimToHeaders: [{ header: 'x-a', claim: ['a'] }] },
    ['error'],
  ],
];
for (const [what, written, given, severities] of rows) {
  test(`rule: ${what}`, () => {
    const { rules, issues } = compile(`[{${written}}]`);
    assert.deepEqual(rules, [{ ...usual, ...given }]);
    assert.deepEqual(
      issues.map((issue) => issue.severity),
      severities,
    );
    for (const issue of issues) assert.ok(issue.place !== null && issue.fix !== '', issue.message);
  });
}

test('without targetRefs it is not enforced, and the author is told', () => {
  const { rules, issues, statuses } = compile(`[{${issuer}}]`, '');
  assert.equal(rules, null);
  assert.match(issues[0]!.message, /is not enforced/);
  assert.deepEqual(statuses, []);
});

test('its condition says whether a waypoint has it', () => {
  const { statuses } = compile(`[{${issuer}}]`);
  assert.deepEqual(
    statuses.map(({ kind, conditions: [one] }) => [kind, one?.type, one?.status, one?.reason]),
    [['RequestAuthentication', 'WaypointAccepted', 'True', 'Accepted']],
  );
});

for (const [what, rule] of [
  ['an unknown field', `${issuer}, audience: [a]`],
  ['a bad duration', `${issuer}, timeout: soon`],
  ['a bad header', `${issuer}, fromHeaders: [{name: "a b"}]`],
] as const) {
  test(`${what} is an error with its place`, () => {
    assert.throws(
      () => compile(`[{${rule}}]`),
      (error) => isMeshError(error) && error.code === 'CONFIG_INVALID' && error.message.startsWith('test.yaml:'),
    );
  });
}
