// The authorisation decision, of connections and of requests: pure, cheap, and the same for the proxies, `why` and
// tests. The order is Istio's (ambient-l4 §5.2) with one change: a policy that is referenced but not known refuses.
import { parseIp } from '../base/ip.ts';
import { converted } from '../model/converted-policies.ts';
import type { EffectivePolicies } from '../model/mesh-index.ts';
import type { NamespacedKey, Policy, SpiffeId } from '../model/types.ts';
import type { HttpFacts } from './match-request.ts';
import { type Facts, matcherOf, type PolicyMatcher } from './matcher.ts';

export interface ConnectionFacts {
  /** Null for plaintext. */
  readonly sourceIdentity: SpiffeId | null;
  readonly sourceIp: string;
  /** Pod address and pod port, not those of a service. */
  readonly destinationIp: string;
  readonly destinationPort: number;
}

export interface PolicyReference {
  /** A Service is one that demands its waypoint. */
  readonly kind: 'AuthorizationPolicy' | 'PeerAuthentication' | 'RequestAuthentication' | 'Service';
  readonly namespace: string;
  readonly name: string;
  /** Which rule matched, from 0; null when the policy decided because none of its rules did, or it is not known. */
  readonly rule: number | null;
}

export interface Decision {
  readonly allowed: boolean;
  readonly decidedBy: PolicyReference | null;
  readonly reason: string;
  /** Dry-run policies that would have matched. */
  readonly dryRun: readonly (PolicyReference & { readonly action: Policy['action'] })[];
  /** AUDIT policies that match. */
  readonly audits: readonly PolicyReference[];
}

/**
 * Judges a connection, or a request on it. Never throws: what cannot be judged is refused. Without `request`,
 * conditions about one are resolved to the closed side.
 */
export function evaluate(
  effective: EffectivePolicies,
  connection: ConnectionFacts,
  request: HttpFacts | null = null,
): Decision {
  if (planOf(effective).isEmpty) return allowedByDefault;
  const facts = factsOf(connection);
  if (facts === null) return unreadable;
  facts.http = request;
  return evaluateFacts(effective, facts);
}

/** As `evaluate`, for who judges many requests of one connection: its facts are made once, by `factsOf`. */
export function evaluateFacts(effective: EffectivePolicies, facts: Facts): Decision {
  const plan = planOf(effective);
  if (plan.isEmpty) return allowedByDefault;
  const decision = decide(plan, facts);
  if (plan.dryRun.length === 0 && plan.audit.length === 0) return decision;
  const dryRun = plan.dryRun.length === 0 ? nothing : dryRunHits(plan.dryRun, facts);
  const audits = plan.audit.length === 0 ? nothing : auditHits(plan.audit, facts);
  return dryRun.length === 0 && audits.length === 0 ? decision : { ...decision, dryRun, audits };
}

function decide(plan: Plan, facts: Facts): Decision {
  for (const entry of plan.deny) {
    const rule = entry.match(facts);
    if (rule >= 0) return denial(entry.policy, rule, facts);
  }
  if (plan.missing !== null) return plan.missing;
  if (plan.allow.length === 0) return allowedByDefault;
  for (const entry of plan.allow) {
    const rule = entry.match(facts);
    if (rule >= 0) return allowance(entry, rule);
  }
  return plan.noneAllows;
}

/** What AUDIT and dry-run policies have to say, for logs: `audit NS/NAME#RULE`, `dry-run deny NS/NAME#RULE`. */
export function hitsOf({ audits, dryRun }: Decision): readonly string[] {
  return [
    ...audits.map((hit) => `audit ${hit.namespace}/${hit.name}#${hit.rule}`),
    ...dryRun.map((hit) => `dry-run ${hit.action} ${hit.namespace}/${hit.name}#${hit.rule}`),
  ];
}

/** `AuthorizationPolicy NAMESPACE/NAME, rule N`. */
export function describe(reference: PolicyReference): string {
  const rule = reference.rule === null ? '' : `, rule ${reference.rule}`;
  return `${reference.kind} ${reference.namespace}/${reference.name}${rule}`;
}

interface PlanEntry {
  readonly policy: Policy;
  readonly match: PolicyMatcher;
  /** By rule: what it is allowed by is said often. */
  readonly allowances: (Decision | undefined)[];
}

/** The policies of a workload in the order of judging, with the answers that need no facts. */
interface Plan {
  readonly isEmpty: boolean;
  readonly deny: readonly PlanEntry[];
  readonly allow: readonly PlanEntry[];
  readonly dryRun: readonly PlanEntry[];
  readonly audit: readonly PlanEntry[];
  readonly missing: Decision | null;
  readonly noneAllows: Decision;
}

const nothing: readonly never[] = Object.freeze([]);
const noHits = { dryRun: nothing, audits: nothing };
const allowedByDefault: Decision = Object.freeze({
  allowed: true,
  decidedBy: null,
  reason: 'no policy forbids it',
  ...noHits,
});
const unreadable: Decision = Object.freeze({
  allowed: false,
  decidedBy: null,
  reason: 'an address of the connection cannot be read',
  ...noHits,
});

const plans = new WeakMap<EffectivePolicies, Plan>();

function planOf(effective: EffectivePolicies): Plan {
  const known = plans.get(effective);
  if (known !== undefined) return known;
  const entries = effective.policies.map((policy) => ({ policy, match: matcherOf(policy), allowances: [] }));
  const enforced = entries.filter((entry) => !entry.policy.dryRun);
  const allow = enforced.filter((entry) => entry.policy.action === 'allow');
  const plan: Plan = {
    isEmpty: entries.length === 0 && effective.missing.length === 0,
    deny: enforced.filter((entry) => entry.policy.action === 'deny'),
    allow,
    dryRun: entries.filter((entry) => entry.policy.dryRun),
    audit: enforced.filter((entry) => entry.policy.action === 'audit'),
    missing: missingDecision(effective.missing[0]),
    noneAllows: noneAllows(allow.map((entry) => entry.policy)),
  };
  plans.set(effective, plan);
  return plan;
}

/** A connection as predicates see it, without a request; null when an address of it cannot be read. */
export function factsOf(connection: ConnectionFacts): Facts | null {
  const sourceIp = parseIp(connection.sourceIp);
  const destinationIp = parseIp(connection.destinationIp);
  if (sourceIp === null || destinationIp === null) return null;
  const principal = connection.sourceIdentity?.replace(/^spiffe:\/\//, '') ?? null;
  const parts = principal === null ? null : /^([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(principal);
  return {
    principal,
    trustDomain: parts?.[1] ?? null,
    namespace: parts?.[2] ?? null,
    serviceAccount: parts?.[3] ?? null,
    sourceIp,
    destinationIp,
    destinationPort: connection.destinationPort,
    http: null,
  };
}

function allowance(entry: PlanEntry, rule: number): Decision {
  const known = entry.allowances[rule];
  if (known !== undefined) return known;
  const decidedBy = referenceTo(entry.policy, rule);
  const decision = { allowed: true, decidedBy, reason: `allowed by ${describe(decidedBy)}`, ...noHits };
  entry.allowances[rule] = decision;
  return decision;
}

function denial(policy: Policy, rule: number, facts: Facts): Decision {
  const decidedBy = referenceTo(policy, rule);
  const isPlaintext = decidedBy.kind === 'PeerAuthentication' && facts.principal === null;
  const reason = isPlaintext
    ? `plaintext is refused: mutual TLS is required by ${describe(decidedBy)}`
    : decidedBy.kind === 'Service'
      ? `only its waypoint may reach ${describe(decidedBy)}`
      : `denied by ${describe(decidedBy)}${policy.custom === true ? customReason : ''}`;
  return { allowed: false, decidedBy, reason, ...noHits };
}

const customReason = ': its action is CUSTOM, and no external authorizer is asked, so that what it matches is denied';

/** The narrowest of them is named, since that is the one to look at first. */
function noneAllows(policies: readonly Policy[]): Decision {
  const scopes = ['workload', 'namespace', 'global'] as const;
  const sorted = [...policies].sort((a, b) => scopes.indexOf(a.scope) - scopes.indexOf(b.scope));
  const names = sorted.map((policy) => `${policy.namespace}/${policy.name}`);
  const decidedBy = sorted[0] === undefined ? null : referenceTo(sorted[0], null);
  const reason = `allow policies exist, and no rule of them allows it: ${names.join(', ')}`;
  return { allowed: false, decidedBy, reason, ...noHits };
}

function missingDecision(key: NamespacedKey | undefined): Decision | null {
  if (key === undefined) return null;
  const slash = key.indexOf('/');
  const decidedBy = referenceTo({ namespace: key.slice(0, slash), name: key.slice(slash + 1) }, null);
  return { allowed: false, decidedBy, reason: `${describe(decidedBy)} is not known here yet`, ...noHits };
}

/** What a person wrote that a compiled policy is of. */
export function referenceTo(policy: { namespace: string; name: string }, rule: number | null): PolicyReference {
  const service = converted.serviceOf(policy.name);
  if (service !== null) return { kind: 'Service', namespace: policy.namespace, name: service, rule: null };
  const origin = converted.originOf(policy.name);
  if (origin === null) return { kind: 'AuthorizationPolicy', namespace: policy.namespace, name: policy.name, rule };
  // What it was converted to has a rule; what the author wrote has none.
  return { kind: 'PeerAuthentication', namespace: policy.namespace, name: origin, rule: null };
}

function dryRunHits(entries: readonly PlanEntry[], facts: Facts): Decision['dryRun'] {
  return entries.flatMap(({ policy, match }) => {
    const rule = match(facts);
    return rule < 0 ? [] : [{ ...referenceTo(policy, rule), action: policy.action }];
  });
}

function auditHits(entries: readonly PlanEntry[], facts: Facts): Decision['audits'] {
  return entries.flatMap(({ policy, match }) => {
    const rule = match(facts);
    return rule < 0 ? [] : [referenceTo(policy, rule)];
  });
}
