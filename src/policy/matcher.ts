// Policies compiled to predicates, once per policy object: what a check costs then is a few comparisons. A value that
// cannot be read never widens access: an allow rule with it matches less, a deny rule with it matches more.
import type { IpValue } from '../base/ip.ts';
import type { Policy, PolicyMatch, PolicyRule, StringMatch } from '../model/types.ts';
import { type HttpFacts, httpTests } from './match-request.ts';
import { networkTestOf, type TextTest, textTestOf } from './match-text.ts';

/** A connection, or a request on it, as predicates see it. The identity's parts are null when there is no identity. */
export interface Facts {
  /** Without the scheme. */
  readonly principal: string | null;
  readonly trustDomain: string | null;
  readonly namespace: string | null;
  readonly serviceAccount: string | null;
  readonly sourceIp: IpValue;
  readonly destinationIp: IpValue;
  readonly destinationPort: number;
  /** Null where no HTTP is spoken, or nobody looks. Set anew for each request of a connection. */
  http: HttpFacts | null;
}

type Predicate = (facts: Facts) => boolean;

/** The index of the first rule that matches, or -1. */
export type PolicyMatcher = (facts: Facts) => number;

/** The matcher of a policy; compiled at first use and kept as long as the policy object. */
export function matcherOf(policy: Policy): PolicyMatcher {
  const known = matchers.get(policy);
  if (known !== undefined) return known;
  const rules = policy.rules.map((rule) => compileRule(rule, policy.action));
  const matcher: PolicyMatcher = (facts) => rules.findIndex((rule) => rule(facts));
  matchers.set(policy, matcher);
  return matcher;
}

const matchers = new WeakMap<Policy, PolicyMatcher>();

function compileRule(rule: PolicyRule, action: Policy['action']): Predicate {
  const clauses = rule.clauses
    .filter((clause) => clause.matches.length > 0)
    .map((clause) => anyOf(clause.matches.map((match) => compileMatch(match, action))));
  return allOf(clauses);
}

/** What every field is for is known; one that another version has made up is resolved to the closed side. */
const knownFields: ReadonlySet<string> = new Set(
  [
    'namespaces',
    'principals',
    'sourceIps',
    'destinationIps',
    'destinationPorts',
    'serviceAccounts',
    'trustDomains',
    'hosts',
    'methods',
    'paths',
    'requestPrincipals',
    'remoteIps',
    'headers',
    'audiences',
    'presenters',
    'claims',
  ].flatMap((field) => [field, `not${field.charAt(0).toUpperCase()}${field.slice(1)}`]),
);

/** A match without any field matches nothing. */
function compileMatch(match: PolicyMatch, action: Policy['action']): Predicate {
  const tests: Predicate[] = [];
  const add = (values: readonly unknown[] | undefined, compile: () => Predicate): void => {
    if (values !== undefined && values.length > 0) tests.push(compile());
  };
  const { namespaces, notNamespaces, principals, notPrincipals, serviceAccounts, notServiceAccounts } = match;
  add(principals, () => textTest(principals!, (facts) => facts.principal));
  add(notPrincipals, () => not(textTest(notPrincipals!, (facts) => facts.principal)));
  add(namespaces, () => textTest(namespaces!, (facts) => facts.namespace));
  add(notNamespaces, () => not(textTest(notNamespaces!, (facts) => facts.namespace)));
  add(serviceAccounts, () => accountTest(serviceAccounts!));
  add(notServiceAccounts, () => not(accountTest(notServiceAccounts!)));
  const { trustDomains, notTrustDomains } = match;
  add(trustDomains, () => textTest(trustDomains!, (facts) => facts.trustDomain));
  add(notTrustDomains, () => not(textTest(notTrustDomains!, (facts) => facts.trustDomain)));
  const { sourceIps, notSourceIps, destinationIps, notDestinationIps } = match;
  add(sourceIps, () => addressTest(sourceIps!, (facts) => facts.sourceIp, action === 'deny'));
  add(notSourceIps, () => not(addressTest(notSourceIps!, (facts) => facts.sourceIp, action !== 'deny')));
  add(destinationIps, () => addressTest(destinationIps!, (facts) => facts.destinationIp, action === 'deny'));
  add(notDestinationIps, () => not(addressTest(notDestinationIps!, (facts) => facts.destinationIp, action !== 'deny')));
  const { destinationPorts, notDestinationPorts } = match;
  add(destinationPorts, () => portTest(destinationPorts!));
  add(notDestinationPorts, () => not(portTest(notDestinationPorts!)));
  // Without a request, what asks about one is resolved to the closed side.
  const otherwise = action === 'deny';
  if (Object.keys(match).some((field) => !knownFields.has(field))) tests.push(() => otherwise);
  for (const test of httpTests(match, otherwise)) {
    tests.push((facts) => (facts.http === null ? otherwise : test(facts.http)));
  }
  return tests.length === 0 ? () => false : allOf(tests);
}

function textTest(matches: readonly StringMatch[], pick: (facts: Facts) => string | null): Predicate {
  const test: TextTest = textTestOf(matches);
  return (facts) => {
    const text = pick(facts);
    return text !== null && test(text);
  };
}

function accountTest(accounts: readonly { namespace: string; serviceAccount: string }[]): Predicate {
  const names = new Set(accounts.map((account) => `${account.namespace}/${account.serviceAccount}`));
  return (facts) => facts.serviceAccount !== null && names.has(`${facts.namespace}/${facts.serviceAccount}`);
}

function addressTest(networks: readonly string[], pick: (facts: Facts) => IpValue, orAny: boolean): Predicate {
  const test = networkTestOf(networks, orAny);
  return (facts) => test(pick(facts));
}

function portTest(ports: readonly number[]): Predicate {
  if (ports.length === 1) {
    const [only] = ports;
    return (facts) => facts.destinationPort === only;
  }
  const set = new Set(ports);
  return (facts) => set.has(facts.destinationPort);
}

function not(test: Predicate): Predicate {
  return (facts) => !test(facts);
}

function allOf(tests: readonly Predicate[]): Predicate {
  if (tests.length === 1) return tests[0]!;
  return (facts) => tests.every((test) => test(facts));
}

function anyOf(tests: readonly Predicate[]): Predicate {
  if (tests.length === 1) return tests[0]!;
  return (facts) => tests.some((test) => test(facts));
}
