// AuthorizationPolicy → the policy that L4 or a waypoint enforces (ambient-l4 §5.3, l7 §5.4). What cannot be judged
// there, and what cannot be read, is reported to the author and never widens access: an ALLOW rule with it matches
// nothing, a DENY rule with it matches without it. Rules keep their positions, so that a decision can name the rule
// that the author wrote.

import { didYouMean } from '../base/nearest-name.ts';
import {
  attributeEntry,
  conditionEntry,
  conditionKeys,
  type FieldEntry,
  isHigherCondition,
  type PolicyLayer,
} from './authorization-fields.ts';
import { readValues } from './authorization-values.ts';
import { conditionOf, type ObjectStatus } from './conditions.ts';
import type { FindingCode } from './finding-codes.ts';
import { IssueList } from './issues.ts';
import type { Attributes, AuthorizationCondition, AuthorizationPolicyResource, ResourcePath } from './resources.ts';
import type { Policy, PolicyMatch, PolicyRule, ResourceIssue } from './types.ts';

export interface CompiledAuthorization {
  /** Null when nothing is enforced at L4. */
  readonly policy: Policy | null;
  readonly issues: readonly ResourceIssue[];
}

/** What became of a source, operation or condition: tests, or nothing ever matches it, or everything does. */
type Part = PolicyMatch | 'never' | 'any';

const waypointFix =
  'enforce it at a waypoint (targetRefs), or use what L4 knows: principals, namespaces, serviceAccounts, ipBlocks, ports';

/** A match without a field matches nothing, and so does a rule that demands it. */
const neverRule: PolicyRule = { clauses: [{ matches: [{}] }] };

/**
 * Compiles one policy for L4; `rootNamespaces` decide whether it holds for its namespace or for the mesh. One that is
 * for waypoints has nothing there.
 */
export function compileAuthorization(
  resource: AuthorizationPolicyResource,
  rootNamespaces: readonly string[],
): CompiledAuthorization {
  const list = new IssueList(resource);
  if (isForWaypoints(resource)) return { policy: null, issues: [] };
  if (resource.targets.length > 0) {
    const fix = 'keep either selector or targetRefs';
    list.add('AMB0201', ['spec', 'selector'], 'names both a selector and targetRefs; the selector is obeyed', fix);
  }
  if (resource.action === 'AUDIT') {
    list.add('AMB0202', ['spec', 'action'], 'AUDIT is not enforced at L4', 'nothing is denied or allowed by it');
    return { policy: null, issues: list.issues };
  }
  const policy = compilePolicy(resource, 'L4', scopeOf(resource, rootNamespaces), list);
  return { policy, issues: list.issues };
}

/**
 * What became of a policy at node proxies, with Istio's condition for that (l7.md §5.3): what they do not see is said.
 * Null for one that waypoints alone enforce.
 */
export function statusAtNodes(
  resource: AuthorizationPolicyResource,
  { policy, issues }: CompiledAuthorization,
): ObjectStatus | null {
  if (isForWaypoints(resource)) return null;
  const { kind, namespace, name } = resource;
  const problem = issues.find(({ severity }) => severity === 'error') ?? (policy === null ? issues[0] : undefined);
  const [reason, message] =
    problem === undefined ? ['Accepted', 'node proxies enforce it'] : ['UnsupportedValue', problem.message];
  const condition = conditionOf(resource, 'ZtunnelAccepted', policy !== null, reason, message);
  return { kind, namespace, name, conditions: [condition], parents: [] };
}

/** True for a policy that waypoints alone enforce. */
export function isForWaypoints(resource: AuthorizationPolicyResource): boolean {
  return resource.targets.length > 0 && resource.selector === null;
}

/** Compiles one policy for the waypoints that it is for; what is said about it goes to `list`. */
export function compileForWaypoint(resource: AuthorizationPolicyResource, list: IssueList): Policy {
  return compilePolicy(resource, 'L7', 'workload', list);
}

function compilePolicy(
  resource: AuthorizationPolicyResource,
  layer: PolicyLayer,
  scope: Policy['scope'],
  list: IssueList,
): Policy {
  if (resource.action === 'CUSTOM') {
    const message = `CUSTOM asks an external authorizer, which Ambient does not; what the rules match is denied`;
    list.add('AMB0203', ['spec', 'action'], message, 'use ALLOW or DENY');
  }
  if (resource.action === 'DENY' && resource.rules.length === 0) {
    list.add('AMB0204', ['spec'], 'denies nothing, since it has no rules', 'to deny everything write "rules: [{}]"');
  }
  return {
    name: resource.name,
    namespace: resource.namespace,
    scope,
    action: actions[resource.action],
    rules: resource.rules.map((_, at) => new RuleCompiler(resource, layer, at, list).compile()),
    dryRun: isDryRun(resource, list),
    ...(resource.action === 'CUSTOM' ? { custom: true as const } : {}),
  };
}

const actions = { ALLOW: 'allow', DENY: 'deny', AUDIT: 'audit', CUSTOM: 'deny' } as const;

class RuleCompiler {
  readonly #resource: AuthorizationPolicyResource;
  readonly #layer: PolicyLayer;
  readonly #at: number;
  readonly #list: IssueList;
  /** An AUDIT that cannot be judged reports less, as an ALLOW allows less. */
  readonly #action: 'allow' | 'deny';
  #isLost = false;

  constructor(resource: AuthorizationPolicyResource, layer: PolicyLayer, at: number, list: IssueList) {
    this.#resource = resource;
    this.#layer = layer;
    this.#at = at;
    this.#list = list;
    this.#action = actions[resource.action] === 'deny' ? 'deny' : 'allow';
  }

  compile(): PolicyRule {
    const rule = this.#resource.rules[this.#at]!;
    const alternatives: Part[][] = [];
    const addItems = (key: 'from' | 'to', itemKey: string, items: readonly Attributes[] | null): void => {
      if (items === null) return;
      if (items.length === 0)
        this.#report('AMB0212', [key], `${key} is an empty list`, 'leave it out, or name something in it');
      const parts = items.map((item, at) => this.#attributes(item, [key, at, itemKey]));
      alternatives.push(items.length === 0 ? [this.#unreadable()] : parts);
    };
    addItems('from', 'source', rule.from);
    addItems('to', 'operation', rule.to);
    for (const [at, condition] of (rule.when ?? []).entries()) alternatives.push([this.#condition(condition, at)]);
    if (this.#isLost) return neverRule;
    const clauses: { matches: PolicyMatch[] }[] = [];
    for (const parts of alternatives) {
      if (parts.includes('any')) continue;
      const matches = parts.filter((part) => typeof part === 'object');
      if (matches.length === 0) return neverRule;
      clauses.push({ matches });
    }
    return { clauses };
  }

  #attributes(attributes: Attributes, path: ResourcePath): Part {
    const match = new MatchBuilder(this.#action);
    for (const [name, values] of Object.entries(attributes)) {
      const isNegated = /^not[A-Z]/.test(name);
      const plain = isNegated ? name.charAt(3).toLowerCase() + name.slice(4) : name;
      const entry = attributeEntry(this.#layer, plain);
      if (entry === null) this.#refuseHttp([...path, name], `${path.at(-1)}.${name}`);
      else this.#values(match, entry, isNegated, values, [...path, name]);
    }
    if (Object.keys(attributes).length > 0) return match.build();
    this.#report('AMB0212', path, `${path.at(-1)} is empty`, 'name at least one attribute, or leave the item out');
    return this.#unreadable();
  }

  #condition(condition: AuthorizationCondition, at: number): Part {
    const path = ['when', at];
    const entry = conditionEntry(this.#layer, condition.key);
    if (entry === null) {
      this.#refuseCondition(condition.key, [...path, 'key']);
      return this.#unreadable();
    }
    if (condition.values === null && condition.notValues === null) {
      this.#report('AMB0212', path, `when ${condition.key} has no values`, 'name values or notValues');
      return this.#unreadable();
    }
    const match = new MatchBuilder(this.#action);
    const { values, notValues } = condition;
    if (values !== null) this.#values(match, entry, false, values, [...path, 'values']);
    if (notValues !== null) this.#values(match, entry, true, notValues, [...path, 'notValues']);
    return match.build();
  }

  #values(
    match: MatchBuilder,
    entry: FieldEntry,
    isNegated: boolean,
    values: readonly string[],
    path: ResourcePath,
  ): void {
    const name = path.at(-1);
    if (values.length === 0) this.#report('AMB0212', path, `${name} is an empty list`, 'leave it out, or name a value');
    const read = readValues(entry.type, values, this.#resource.namespace);
    for (const { at, reason, fix, code } of read.problems) {
      this.#list.add(code, this.#path([...path, at]), `rule ${this.#at}: ${name}: ${reason}`, fix);
    }
    const isBroken = values.length === 0 || read.good.length < values.length;
    const good = entry.of === undefined || read.good.length === 0 ? read.good : [{ ...entry.of, values: read.good }];
    match.add(isNegated ? entry.notField : entry.field, isNegated, good, isBroken);
  }

  /** An attribute that is not seen here: ALLOW loses the rule, DENY keeps what is left. */
  #refuseHttp(path: ResourcePath, name: string): void {
    const outcome =
      this.#resource.action === 'AUDIT'
        ? 'the rule reports nothing'
        : this.#action === 'allow'
          ? 'the rule allows nothing'
          : 'the rule denies whatever else it matches, whatever the value here';
    if (this.#layer === 'L7')
      this.#report('AMB0207', path, `${name} is not seen by a waypoint: ${outcome}`, 'leave it out');
    else this.#report('AMB0207', path, `${name} is an HTTP attribute, which L4 does not see: ${outcome}`, waypointFix);
    if (this.#action === 'allow') this.#isLost = true;
  }

  #refuseCondition(key: string, path: ResourcePath): void {
    if (isHigherCondition(key)) {
      this.#refuseHttp(path, `when ${key}`);
      return;
    }
    const hint = didYouMean(key, conditionKeys);
    this.#report('AMB0208', path, `when ${key} is no condition that is known${hint}`, waypointFix);
    if (this.#action === 'allow') this.#isLost = true;
  }

  #unreadable(): Part {
    return this.#action === 'allow' ? 'never' : 'any';
  }

  #report(code: FindingCode, path: ResourcePath, message: string, fix: string): void {
    this.#list.add(code, this.#path(path), `rule ${this.#at}: ${message}`, fix);
  }

  #path(path: ResourcePath): ResourcePath {
    return ['spec', 'rules', this.#at, ...path];
  }
}

/** Puts fields together; a broken one is resolved to the closed side. */
class MatchBuilder {
  readonly #action: 'allow' | 'deny';
  readonly #fields: Record<string, readonly unknown[]> = {};
  #isNever = false;

  constructor(action: 'allow' | 'deny') {
    this.#action = action;
  }

  /** `good` are the values that could be read; `isBroken` when there were others, or none at all. */
  add(field: keyof PolicyMatch, isNegated: boolean, good: readonly unknown[], isBroken: boolean): void {
    if (isBroken && this.#action === 'allow' && (isNegated || good.length === 0)) this.#isNever = true;
    // A deny that cannot read one of its values denies as if it had named them all.
    if (isBroken && this.#action === 'deny' && !isNegated) return;
    if (good.length > 0) this.#fields[field] = good;
  }

  build(): Part {
    if (this.#isNever) return 'never';
    if (Object.keys(this.#fields).length > 0) return this.#fields as PolicyMatch;
    return this.#action === 'allow' ? 'never' : 'any';
  }
}

function scopeOf(resource: AuthorizationPolicyResource, rootNamespaces: readonly string[]): Policy['scope'] {
  if (resource.selector !== null) return 'workload';
  return rootNamespaces.includes(resource.namespace) ? 'global' : 'namespace';
}

function isDryRun(resource: AuthorizationPolicyResource, list: IssueList): boolean {
  const key = 'istio.io/dry-run';
  const value = resource.annotations[key];
  if (value === undefined || value === 'false') return false;
  if (value === 'true') return true;
  const message = `${key} is "${value}"; the policy is enforced`;
  list.add('AMB0209', ['metadata', 'annotations', key], message, 'write "true" or "false"');
  return false;
}
