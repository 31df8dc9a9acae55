// L4 policies between the model and the wire (istio.security.Authorization).
import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { ipFromBytes, ipToBytes, parseCidr } from '../base/ip.ts';
import type { Policy, PolicyMatch, PolicyRule, StringMatch } from '../model/types.ts';
import { decodeEnum, enumPairs, refuse } from './enums.ts';
import {
  Action,
  type Address,
  AddressSchema,
  type Authorization,
  AuthorizationSchema,
  ClauseSchema,
  type Match,
  MatchSchema,
  RuleSchema,
  Scope,
  ServiceAccountMatchSchema,
  type StringMatch as StringMatchMessage,
  StringMatchSchema,
} from './generated/authorization_pb.ts';

const scopes = enumPairs<Policy['scope'], Scope>({
  global: Scope.GLOBAL,
  namespace: Scope.NAMESPACE,
  workload: Scope.WORKLOAD_SELECTOR,
});
const actions = enumPairs<Exclude<Policy['action'], 'audit'>, Action>({ allow: Action.ALLOW, deny: Action.DENY });
const portMax = 65_535;

/**
 * The wire message of a policy. Throws RESOURCE_REFUSED when an address block of it is none, and for what L4 does not
 * have: it would be lost on the way.
 */
export function policyMessage(policy: Policy): Authorization {
  const resource = `${policy.namespace}/${policy.name}`;
  if (policy.action === 'audit') throw refuse(resource, 'AUDIT is for waypoints');
  const rules = policy.rules.map((rule) => {
    const clauses = rule.clauses.map((clause) => {
      return create(ClauseSchema, { matches: clause.matches.map((match) => matchMessage(resource, match)) });
    });
    return create(RuleSchema, { clauses });
  });
  return create(AuthorizationSchema, {
    name: policy.name,
    namespace: policy.namespace,
    scope: scopes.byWord[policy.scope],
    action: actions.byWord[policy.action],
    rules,
    dryRun: policy.dryRun,
  });
}

/**
 * The policy of a wire message. Throws RESOURCE_REFUSED for anything that is not understood whole: a condition that is
 * dropped would change whom the policy lets in.
 */
export function policyOf(message: Authorization): Policy {
  const resource = `${message.namespace}/${message.name}`;
  if (message.name === '') throw refuse(resource, 'it has no name');
  return {
    name: message.name,
    namespace: message.namespace,
    scope: decodeEnum(scopes, message.scope, resource, 'scope'),
    action: decodeEnum(actions, message.action, resource, 'action'),
    rules: message.rules.map((rule) => ({
      clauses: rule.clauses.map((clause) => ({ matches: clause.matches.map((match) => matchOf(resource, match)) })),
    })),
    dryRun: message.dryRun,
  };
}

/**
 * What stands in for a policy that could not be read and has no earlier version: it denies whatever its scope covers,
 * so that an unreadable policy never lets anyone in. `message` is null when not even that much could be read.
 */
export function closedStandIn(namespace: string, name: string, message: Authorization | null): Policy {
  const scope = (message !== null && scopes.byNumber.get(message.scope)) || 'namespace';
  const everything: PolicyRule = { clauses: [] };
  return { name, namespace, scope, action: 'deny', rules: [everything], dryRun: false };
}

function matchMessage(resource: string, match: PolicyMatch): Match {
  const blocks = (texts: readonly string[] | undefined): Address[] =>
    (texts ?? []).map((text) => blockMessage(resource, text));
  const strings = (values: readonly StringMatch[] | undefined): StringMatchMessage[] =>
    (values ?? []).map(stringMessage);
  const accounts = (values: PolicyMatch['serviceAccounts']) =>
    (values ?? []).map((account) => create(ServiceAccountMatchSchema, { ...account }));
  const strange = Object.keys(match).find((field) => !Object.hasOwn(MatchSchema.field, field));
  if (strange !== undefined) throw refuse(resource, `${strange} is for waypoints`);
  return create(MatchSchema, {
    namespaces: strings(match.namespaces),
    notNamespaces: strings(match.notNamespaces),
    principals: strings(match.principals),
    notPrincipals: strings(match.notPrincipals),
    sourceIps: blocks(match.sourceIps),
    notSourceIps: blocks(match.notSourceIps),
    destinationIps: blocks(match.destinationIps),
    notDestinationIps: blocks(match.notDestinationIps),
    destinationPorts: [...(match.destinationPorts ?? [])],
    notDestinationPorts: [...(match.notDestinationPorts ?? [])],
    serviceAccounts: accounts(match.serviceAccounts),
    notServiceAccounts: accounts(match.notServiceAccounts),
  });
}

function matchOf(resource: string, message: Match): PolicyMatch {
  if (message.$unknown !== undefined && message.$unknown.length > 0) {
    throw refuse(resource, `condition with field ${message.$unknown[0]?.no} is not known here`);
  }
  const strings = (values: readonly StringMatchMessage[]): StringMatch[] =>
    values.map((value) => stringOf(resource, value));
  const blocks = (values: readonly Address[]): string[] => values.map((value) => blockText(resource, value));
  const accounts = (values: Match['serviceAccounts']) =>
    values.map(({ namespace, serviceAccount }) => ({ namespace, serviceAccount }));
  const ports = (values: readonly number[]): number[] => {
    const wrong = values.find((port) => port > portMax);
    if (wrong !== undefined) throw refuse(resource, `port ${wrong} is out of range`);
    return [...values];
  };
  return {
    ...some('namespaces', strings(message.namespaces)),
    ...some('notNamespaces', strings(message.notNamespaces)),
    ...some('principals', strings(message.principals)),
    ...some('notPrincipals', strings(message.notPrincipals)),
    ...some('sourceIps', blocks(message.sourceIps)),
    ...some('notSourceIps', blocks(message.notSourceIps)),
    ...some('destinationIps', blocks(message.destinationIps)),
    ...some('notDestinationIps', blocks(message.notDestinationIps)),
    ...some('destinationPorts', ports(message.destinationPorts)),
    ...some('notDestinationPorts', ports(message.notDestinationPorts)),
    ...some('serviceAccounts', accounts(message.serviceAccounts)),
    ...some('notServiceAccounts', accounts(message.notServiceAccounts)),
  };
}

/** The field, or nothing when it constrains nothing: empty and absent are the same on the wire. */
function some<Key extends string, Value>(key: Key, values: readonly Value[]): { [K in Key]?: readonly Value[] } {
  return values.length === 0 ? {} : ({ [key]: values } as { [K in Key]?: readonly Value[] });
}

function stringMessage(match: StringMatch): StringMatchMessage {
  if (match.kind === 'presence') {
    return create(StringMatchSchema, { matchType: { case: 'presence', value: create(EmptySchema) } });
  }
  return create(StringMatchSchema, { matchType: { case: match.kind, value: match.value } });
}

function stringOf(resource: string, message: StringMatchMessage): StringMatch {
  const { matchType } = message;
  switch (matchType.case) {
    case 'presence':
      return { kind: 'presence' };
    case 'exact':
    case 'prefix':
    case 'suffix':
      return { kind: matchType.case, value: matchType.value };
    default:
      throw refuse(resource, 'a string match of a kind that is not known here');
  }
}

function blockMessage(resource: string, text: string): Address {
  const block = parseCidr(text);
  const bytes = block === null ? null : ipToBytes(block.address);
  if (block === null || bytes === null) throw refuse(resource, `${JSON.stringify(text)} is no address block`);
  return create(AddressSchema, { address: bytes, length: block.length });
}

function blockText(resource: string, message: Address): string {
  const text = ipFromBytes(message.address);
  const block = text === null ? null : parseCidr(`${text}/${message.length}`);
  if (block === null)
    throw refuse(resource, `an address block of ${message.address.length} bytes and length ${message.length}`);
  return block.text;
}
