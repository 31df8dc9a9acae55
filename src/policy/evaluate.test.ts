import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cidrContains, parseCidr } from '../base/ip.ts';
import type { EffectivePolicies } from '../model/mesh-index.ts';
import { policyOf } from '../model/testing-mesh.ts';
import type { Policy, PolicyMatch, StringMatch } from '../model/types.ts';
import { type ConnectionFacts, evaluate } from './evaluate.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const facts: ConnectionFacts = {
  sourceIdentity: web,
  sourceIp: '10.244.1.5',
  destinationIp: '10.244.2.7',
  destinationPort: 8080,
};
const plaintext = { ...facts, sourceIdentity: null };

function decide(policies: readonly Policy[], connection = facts, missing: readonly string[] = []): boolean {
  return evaluate({ policies, missing }, connection).allowed;
}

const exact = (value: string): StringMatch => ({ kind: 'exact', value });
const present: StringMatch = { kind: 'presence' };

// [what, match, matches an identity, matches plaintext]
const matchRows: readonly (readonly [string, PolicyMatch, boolean, boolean])[] = [
  ['no field at all', {}, false, false],
  ['a field without values', { namespaces: [] }, false, false],
  ['principal, exact', { principals: [exact('cluster.local/ns/shop/sa/web')] }, true, false],
  ['principal with the scheme', { principals: [exact(web)] }, false, false],
  ['principal, another case', { principals: [exact('cluster.local/ns/shop/sa/Web')] }, false, false],
  ['principal, prefix', { principals: [{ kind: 'prefix', value: 'cluster.local/ns/shop/' }] }, true, false],
  ['principal, suffix', { principals: [{ kind: 'suffix', value: '/sa/web' }] }, true, false],
  ['principal, presence', { principals: [present] }, true, false],
  ['one of several principals', { principals: [exact('x'), exact('cluster.local/ns/shop/sa/web')] }, true, false],
  ['notPrincipals, presence', { notPrincipals: [present] }, false, true],
  ['notPrincipals, another', { notPrincipals: [exact('cluster.local/ns/a/sa/b')] }, true, true],
  ['namespace', { namespaces: [exact('shop')] }, true, false],
  ['another namespace', { namespaces: [exact('legacy')] }, false, false],
  ['notNamespaces', { notNamespaces: [exact('shop')] }, false, true],
  ['service account', { serviceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] }, true, false],
  ['service account elsewhere', { serviceAccounts: [{ namespace: 'x', serviceAccount: 'web' }] }, false, false],
  ['notServiceAccounts', { notServiceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] }, false, true],
  ['source network', { sourceIps: ['10.244.0.0/16'] }, true, true],
  ['another source network', { sourceIps: ['fd00::/8', '10.0.0.0/24'] }, false, false],
  ['notSourceIps', { notSourceIps: ['10.244.1.5/32'] }, false, false],
  ['destination network', { destinationIps: ['10.244.2.7/32'] }, true, true],
  ['notDestinationIps', { notDestinationIps: ['10.244.1.0/24'] }, true, true],
  ['port', { destinationPorts: [80, 8080] }, true, true],
  ['another port', { destinationPorts: [80] }, false, false],
  ['notDestinationPorts', { notDestinationPorts: [8080] }, false, false],
  ['all fields together', { namespaces: [exact('shop')], destinationPorts: [8080] }, true, false],
  ['one field of two', { namespaces: [exact('shop')], destinationPorts: [80] }, false, false],
];
for (const [what, match, withIdentity, withoutIdentity] of matchRows) {
  test(`match: ${what}`, () => {
    const deny = [policyOf('shop/p', 'deny', [match])];
    const allow = [policyOf('shop/p', 'allow', [match])];
    assert.deepEqual([decide(allow), decide(deny)], [withIdentity, !withIdentity]);
    assert.deepEqual([decide(allow, plaintext), decide(deny, plaintext)], [withoutIdentity, !withoutIdentity]);
  });
}

const here: PolicyMatch = { namespaces: [exact('shop')] };
const elsewhere: PolicyMatch = { namespaces: [exact('legacy')] };
const orderRows: readonly (readonly [string, readonly Policy[], readonly string[], boolean, string | null])[] = [
  ['no policy', [], [], true, null],
  ['a deny that matches', [policyOf('shop/d', 'deny', [here])], [], false, 'd 0'],
  ['a deny that does not match', [policyOf('shop/d', 'deny', [elsewhere])], [], true, null],
  ['an allow that matches', [policyOf('shop/a', 'allow', [here])], [], true, 'a 0'],
  ['an allow that does not match', [policyOf('shop/a', 'allow', [elsewhere])], [], false, 'a null'],
  ['an allow without rules', [policyOf('shop/a', 'allow', [], { rules: [] })], [], false, 'a null'],
  ['a deny without rules', [policyOf('shop/d', 'deny', [], { rules: [] })], [], true, null],
  ['an allow rule without clauses', [policyOf('shop/a', 'allow', [])], [], true, 'a 0'],
  ['a deny rule without clauses', [policyOf('shop/d', 'deny', [])], [], false, 'd 0'],
  ['deny before allow', [policyOf('shop/a', 'allow', [here]), policyOf('shop/d', 'deny', [here])], [], false, 'd 0'],
  [
    'one allow of two',
    [policyOf('shop/a', 'allow', [elsewhere]), policyOf('shop/b', 'allow', [here])],
    [],
    true,
    'b 0',
  ],
  ['dry-run deny', [policyOf('shop/d', 'deny', [here], { dryRun: true })], [], true, null],
  ['dry-run allow', [policyOf('shop/a', 'allow', [elsewhere], { dryRun: true })], [], true, null],
  ['a policy that is not known', [], ['shop/m'], false, 'm null'],
  ['unknown beside an allow', [policyOf('shop/a', 'allow', [here])], ['shop/m'], false, 'm null'],
  ['unknown beside a deny', [policyOf('shop/d', 'deny', [here])], ['shop/m'], false, 'd 0'],
];
for (const [what, policies, missing, allowed, decidedBy] of orderRows) {
  test(`decision: ${what}`, () => {
    const decision = evaluate({ policies, missing }, facts);
    const by = decision.decidedBy === null ? null : `${decision.decidedBy.name} ${decision.decidedBy.rule}`;
    assert.deepEqual([decision.allowed, by], [allowed, decidedBy]);
    assert.notEqual(decision.reason, '');
  });
}

test('the rule that decided is named by its position', () => {
  const rules = [{ clauses: [{ matches: [{}] }] }, { clauses: [{ matches: [elsewhere] }] }, { clauses: [] }];
  const decision = evaluate({ policies: [policyOf('shop/a', 'allow', [], { rules })], missing: [] }, facts);
  assert.equal(decision.decidedBy?.rule, 2);
});

test('dry-run policies are listed beside the decision', () => {
  const policies = [policyOf('shop/d', 'deny', [here], { dryRun: true }), policyOf('shop/a', 'allow', [here])];
  const { allowed, dryRun } = evaluate({ policies, missing: [] }, facts);
  assert.equal(allowed, true);
  assert.deepEqual(dryRun, [{ kind: 'AuthorizationPolicy', namespace: 'shop', name: 'd', rule: 0, action: 'deny' }]);
});

test('what cannot be read never widens access', () => {
  const deny = [policyOf('shop/d', 'deny', [{ sourceIps: ['10.0.0.0/8000'] }])];
  const allow = [policyOf('shop/a', 'allow', [{ notSourceIps: ['nonsense'] }])];
  assert.equal(decide(deny), false);
  assert.equal(decide(allow), false);
  assert.equal(decide(deny, { ...facts, sourceIp: 'nonsense' }), false);
});

test('a strict workload is refused by PeerAuthentication, not by the policy it was made into', () => {
  const policy = policyOf('shop/converted_peer_authentication_web', 'deny', [{ notPrincipals: [present] }]);
  const decision = evaluate({ policies: [policy], missing: [] }, plaintext);
  assert.deepEqual(decision.decidedBy, { kind: 'PeerAuthentication', namespace: 'shop', name: 'web', rule: null });
  assert.match(decision.reason, /plaintext is refused/);
});

// --- the fast evaluation against one written as the rules are told (ambient-l4 §5.1–5.2) ---

function naive(effective: EffectivePolicies, connection: ConnectionFacts): boolean {
  const enforced = effective.policies.filter((policy) => !policy.dryRun);
  const hit = (policy: Policy): boolean =>
    policy.rules.some((rule) =>
      rule.clauses.every(
        (clause) => clause.matches.length === 0 || clause.matches.some((m) => naiveMatch(m, connection)),
      ),
    );
  if (enforced.some((policy) => policy.action === 'deny' && hit(policy))) return false;
  if (effective.missing.length > 0) return false;
  const allow = enforced.filter((policy) => policy.action === 'allow');
  return allow.length === 0 || allow.some(hit);
}

function naiveMatch(match: PolicyMatch, connection: ConnectionFacts): boolean {
  const [, domain, namespace = '', account = ''] =
    /^spiffe:\/\/(.*)\/ns\/(.*)\/sa\/(.*)$/.exec(connection.sourceIdentity ?? '') ?? [];
  const has = domain !== undefined;
  const text = (value: string) => (one: StringMatch) => {
    if (!has) return false;
    if (one.kind === 'presence') return value !== '';
    if (one.kind === 'exact') return value === one.value;
    return one.kind === 'prefix' ? value.startsWith(one.value) : value.endsWith(one.value);
  };
  const inside = (ip: string) => (network: string) => cidrContains(parseCidr(network)!, ip);
  const isAccount = (one: { namespace: string; serviceAccount: string }) =>
    has && one.namespace === namespace && one.serviceAccount === account;
  const isPort = (port: number) => port === connection.destinationPort;
  let fields = 0;
  const ok = <T>(positive: readonly T[] = [], negative: readonly T[] = [], is: (value: T) => boolean): boolean => {
    fields += positive.length + negative.length;
    return (positive.length === 0 || positive.some(is)) && !negative.some(is);
  };
  const all = [
    ok(match.principals, match.notPrincipals, text(`${domain}/ns/${namespace}/sa/${account}`)),
    ok(match.namespaces, match.notNamespaces, text(namespace)),
    ok(match.serviceAccounts, match.notServiceAccounts, isAccount),
    ok(match.sourceIps, match.notSourceIps, inside(connection.sourceIp)),
    ok(match.destinationIps, match.notDestinationIps, inside(connection.destinationIp)),
    ok(match.destinationPorts, match.notDestinationPorts, isPort),
  ];
  return fields > 0 && all.every(Boolean);
}

const name = fc.constantFrom('shop', 'web', 'a');
const identity = fc.tuple(fc.constantFrom('cluster.local', 'x'), name, name).map(([d, n, s]) => `${d}/ns/${n}/sa/${s}`);
const stringMatch = (values: fc.Arbitrary<string>): fc.Arbitrary<StringMatch> =>
  fc.oneof(
    values.map(exact),
    values.map((value) => ({ kind: 'prefix', value: value.slice(0, 3) }) as const),
    values.map((value) => ({ kind: 'suffix', value: value.slice(-3) }) as const),
    fc.constant(present),
  );
const ip = fc.constantFrom('10.0.0.1', '10.0.1.1', '192.168.0.1', 'fd00::1', 'fd01::1');
const network = fc.constantFrom('10.0.0.0/24', '10.0.0.0/8', '10.0.0.1/32', '0.0.0.0/0', 'fd00::/16', '::/0');
const port = fc.constantFrom(80, 443, 8080);
const some = <T>(values: fc.Arbitrary<T>) => fc.array(values, { maxLength: 2 });
const account = fc.record({ namespace: name, serviceAccount: name });
const match: fc.Arbitrary<PolicyMatch> = fc.record(
  {
    namespaces: some(stringMatch(name)),
    notNamespaces: some(stringMatch(name)),
    principals: some(stringMatch(identity)),
    notPrincipals: some(stringMatch(identity)),
    serviceAccounts: some(account),
    notServiceAccounts: some(account),
    sourceIps: some(network),
    notSourceIps: some(network),
    destinationIps: some(network),
    notDestinationIps: some(network),
    destinationPorts: some(port),
    notDestinationPorts: some(port),
  },
  { requiredKeys: [] },
);
const rule = fc.record({ clauses: some(fc.record({ matches: fc.array(match, { maxLength: 3 }) })) });
const policy: fc.Arbitrary<Policy> = fc.record({
  name: fc.constantFrom('p', 'q'),
  namespace: name,
  scope: fc.constantFrom('global', 'namespace', 'workload'),
  action: fc.constantFrom('allow', 'deny'),
  rules: some(rule),
  dryRun: fc.boolean(),
});
const connection: fc.Arbitrary<ConnectionFacts> = fc.record({
  sourceIdentity: fc.option(identity.map((one) => `spiffe://${one}`)),
  sourceIp: ip,
  destinationIp: ip,
  destinationPort: port,
});

test('the fast evaluation equals the naive one', () => {
  const effective = fc.record({
    policies: fc.array(policy, { maxLength: 4 }),
    missing: fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.constant(['a/missing']) }),
  });
  fc.assert(
    fc.property(effective, fc.array(connection, { minLength: 1, maxLength: 4 }), (policies, connections) => {
      for (const one of connections) assert.equal(evaluate(policies, one).allowed, naive(policies, one));
    }),
    { numRuns: 2000 },
  );
});

test('a condition that nobody knows never widens access', () => {
  const strange = { ...here, weather: ['fine'] } as PolicyMatch;
  assert.equal(decide([policyOf('shop/a', 'allow', [strange])]), false);
  assert.equal(decide([policyOf('shop/d', 'deny', [strange])]), false);
  assert.equal(decide([policyOf('shop/d', 'deny', [{ weather: [] } as PolicyMatch])]), false);
});
