// Which AuthorizationPolicies and RequestAuthentications a waypoint enforces for a service: those on the service, on
// its waypoint, and on the class of waypoints (l7.md §5.3). Incremental: a policy touches the services it reaches.
import { MultiMap } from '../base/multi-map.ts';
import { compileAuthentication } from './compile-authentication.ts';
import { compileForWaypoint, isForWaypoints } from './compile-authorization.ts';
import { conditionOf, type ObjectStatus } from './conditions.ts';
import { IssueList } from './issues.ts';
import type {
  AuthorizationPolicyResource,
  GatewayResource,
  RequestAuthenticationResource,
  ServiceResource,
  WaypointTarget,
} from './resources.ts';
import type { JwtRule } from './route-types.ts';
import type { Policy, ResourceIssue, Sought } from './types.ts';
import { isWaypoint, takesPods, waypointClasses } from './waypoints.ts';

type PolicyResource = AuthorizationPolicyResource | RequestAuthenticationResource;

/** What judges the requests of a service. */
export interface ServiceGuard {
  readonly policies: readonly Policy[];
  readonly jwtRules: readonly JwtRule[];
}

export interface WaypointPoliciesOptions {
  readonly rootNamespaces: readonly string[];
  readonly services: ReadonlyMap<string, ServiceResource>;
  readonly gateways: ReadonlyMap<string, GatewayResource>;
  /** Takes the findings about one policy, `KIND/NAMESPACE/NAME`. */
  readonly report: (objectId: string, issues: readonly ResourceIssue[]) => void;
}

interface Compiled {
  readonly resource: PolicyResource;
  readonly policy: Policy | null;
  readonly jwtRules: readonly JwtRule[];
  readonly issues: readonly ResourceIssue[];
  /** What it reaches: `Service/…`, `Gateway/…`, or `class`. */
  readonly reach: readonly string[];
  readonly refused: readonly Refusal[];
}

interface Refusal {
  readonly at: number;
  readonly reason: string;
  readonly message: string;
  readonly fix: string;
  readonly sought?: Sought;
}

const wholeClass = 'class';

/** Holds the policies for waypoints. */
export class WaypointPolicies {
  readonly #options: WaypointPoliciesOptions;
  readonly #compiled = new Map<string, Compiled>();
  readonly #byReach = new MultiMap<string, string>();
  /** The waypoint of each service that has one, both `NAMESPACE/NAME`. */
  readonly #waypointOf = new Map<string, string>();
  readonly #servicesOf = new MultiMap<string, string>();
  readonly #dirty = new Set<string>();
  /** Waypoints, `NAMESPACE/NAME`, that take calls to pods by their own addresses. */
  readonly #forPods = new Set<string>();
  readonly #dirtyStatuses = new Set<string>();
  readonly #statuses = new Map<string, ObjectStatus>();

  constructor(options: WaypointPoliciesOptions) {
    this.#options = options;
  }

  /** Takes a policy in, or lets it go (`null`). Those that are not for waypoints count as gone. */
  set(kind: PolicyResource['kind'], id: string, resource: PolicyResource | null): void {
    const key = `${kind}/${id}`;
    const before = this.#compiled.get(key);
    for (const reach of before?.reach ?? []) {
      this.#byReach.delete(reach, key);
      this.#touch(reach);
    }
    this.#dirtyStatuses.add(key);
    const isHere = resource !== null && (resource.kind === 'RequestAuthentication' || isForWaypoints(resource));
    if (!isHere) {
      this.#compiled.delete(key);
      return;
    }
    const compiled = this.#compile(resource);
    this.#compiled.set(key, compiled);
    for (const reach of compiled.reach) {
      this.#byReach.add(reach, key);
      this.#touch(reach);
    }
  }

  /**
   * The service `NAMESPACE/NAME` came or changed, and has this waypoint; null for none, also when the service is gone.
   */
  bind(service: string, gateway: string | null): void {
    const before = this.#waypointOf.get(service) ?? null;
    for (const key of this.#byReach.get(`Service/${service}`)) this.#dirtyStatuses.add(key);
    if (before !== null || gateway !== null) this.#dirty.add(service);
    if (before === gateway) return;
    if (before !== null) this.#servicesOf.delete(before, service);
    if (gateway === null) this.#waypointOf.delete(service);
    else {
      this.#waypointOf.set(service, gateway);
      this.#servicesOf.add(gateway, service);
    }
  }

  /** A Gateway came, changed or went. */
  touchGateway(id: string): void {
    const gateway = this.#options.gateways.get(id);
    if (gateway !== undefined && takesPods(gateway)) this.#forPods.add(id);
    else this.#forPods.delete(id);
    this.#dirty.add(id);
    for (const key of this.#byReach.get(`Gateway/${id}`)) this.#dirtyStatuses.add(key);
  }

  /** Brings statuses up to date; returns the services and waypoints, `NAMESPACE/NAME`, whose guard may have changed. */
  flush(): ReadonlySet<string> {
    for (const key of this.#dirtyStatuses) this.#refreshStatus(key);
    this.#dirtyStatuses.clear();
    const dirty = new Set(this.#dirty);
    this.#dirty.clear();
    return dirty;
  }

  /** What judges the requests of a service; null for nothing, which is also so without a waypoint. */
  guardOf(service: string): ServiceGuard | null {
    const gateway = this.#waypointOf.get(service);
    return gateway === undefined ? null : this.#guardOf([wholeClass, `Gateway/${gateway}`, `Service/${service}`]);
  }

  /** What judges calls through a waypoint to pods by their own addresses; null for nothing, or where it takes none. */
  guardOfPods(gateway: string): ServiceGuard | null {
    return this.#forPods.has(gateway) ? this.#guardOf([wholeClass, `Gateway/${gateway}`]) : null;
  }

  #guardOf(reach: readonly string[]): ServiceGuard | null {
    const keys = new Set(reach.flatMap((each) => [...this.#byReach.get(each)]));
    if (keys.size === 0) return null;
    const found = [...keys].sort().map((key) => this.#compiled.get(key)!);
    return {
      policies: found.flatMap(({ policy }) => (policy === null ? [] : [policy])),
      jwtRules: found.flatMap(({ jwtRules }) => jwtRules),
    };
  }

  /** The findings about a policy as if it were in force; none for one that is not for waypoints. */
  findingsAbout(resource: PolicyResource): readonly ResourceIssue[] {
    const isHere = resource.kind === 'RequestAuthentication' || isForWaypoints(resource);
    return isHere ? this.#judge(this.#compile(resource)).findings : [];
  }

  /** What became of each policy that is for waypoints. */
  statuses(): Iterable<ObjectStatus> {
    return this.#statuses.values();
  }

  #compile(resource: PolicyResource): Compiled {
    const list = new IssueList(resource);
    const reach: string[] = [];
    const refused: Refusal[] = [];
    for (const [at, target] of resource.targets.entries()) {
      const found = this.#reachOf(resource, target);
      if (typeof found === 'string') reach.push(found);
      else refused.push({ at, ...found });
    }
    const isToken = resource.kind === 'RequestAuthentication';
    if (isToken && resource.targets.length === 0) {
      const fix = 'attach it to a Service, or to the Gateway of a waypoint, with targetRefs';
      list.add('AMB0210', ['spec'], 'is not enforced: node proxies see no requests', fix);
    }
    const jwtRules = isToken ? compileAuthentication(resource, list) : [];
    const policy = isToken ? null : compileForWaypoint(resource, list);
    return { resource, policy, jwtRules, issues: list.issues, reach, refused };
  }

  #reachOf(resource: PolicyResource, target: WaypointTarget): string | Omit<Refusal, 'at'> {
    const { group, kind, name } = target;
    const namespace = target.namespace ?? resource.namespace;
    if (kind === 'GatewayClass') {
      if (!waypointClasses.includes(name)) {
        return invalid(`GatewayClass ${name} is no class of waypoints`, `name ${waypointClasses[0]}`);
      }
      if (this.#options.rootNamespaces.includes(resource.namespace)) return wholeClass;
      const [root = ''] = this.#options.rootNamespaces;
      return invalid('a policy on the class of waypoints must be in the root namespace', `put it into ${root}`);
    }
    const isKnown = (kind === 'Service' && (group === '' || group === 'core')) || kind === 'Gateway';
    if (!isKnown) return invalid(`${kind} cannot be a target`, 'name a Service, a Gateway or the GatewayClass');
    if (namespace === resource.namespace) return `${kind}/${namespace}/${name}`;
    return invalid(`${kind} ${namespace}/${name} is in another namespace`, `put the policy into ${namespace}`);
  }

  #touch(reach: string): void {
    const [kind = '', namespace = '', name = ''] = reach.split('/');
    const id = `${namespace}/${name}`;
    if (kind === 'Service') this.#dirty.add(id);
    else if (kind === 'Gateway') for (const one of [id, ...this.#servicesOf.get(id)]) this.#dirty.add(one);
    else for (const one of [...this.#forPods, ...this.#waypointOf.keys()]) this.#dirty.add(one);
  }

  /** Targets where a policy is not enforced, and all findings about it. */
  #judge({ resource, issues, refused }: Compiled): {
    readonly lost: readonly Refusal[];
    readonly findings: readonly ResourceIssue[];
  } {
    const list = new IssueList(resource);
    const lost = [...refused, ...this.#unbound(resource)];
    for (const { at, message, fix, sought } of lost)
      list.add('AMB0211', ['spec', 'targetRefs', at], `${message}: not enforced there`, fix, sought);
    return { lost, findings: [...list.issues, ...issues] };
  }

  #refreshStatus(key: string): void {
    const compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      this.#statuses.delete(key);
      this.#options.report(`waypoint policy ${key}`, []);
      return;
    }
    const { resource, issues, reach } = compiled;
    const { lost, findings } = this.#judge(compiled);
    this.#options.report(`waypoint policy ${key}`, findings);
    if (resource.targets.length === 0) {
      this.#statuses.delete(key);
      return;
    }
    const [first] = lost;
    const isLost = lost.length >= resource.targets.length && first !== undefined;
    const isPartial = lost.length > 0 || issues.some((issue) => issue.severity === 'error');
    const condition = isLost
      ? conditionOf(resource, 'WaypointAccepted', false, first.reason, first.message)
      : isPartial
        ? conditionOf(resource, 'WaypointAccepted', true, 'PartiallyInvalid', first?.message ?? issues[0]!.message)
        : conditionOf(resource, 'WaypointAccepted', true, 'Accepted', `bound to ${reach.join(', ')}`);
    const { kind, namespace, name } = resource;
    this.#statuses.set(key, { kind, namespace, name, conditions: [condition], parents: [] });
  }

  /** Targets that are well-formed and are not there, or have no waypoint. */
  #unbound(resource: PolicyResource): Refusal[] {
    return resource.targets.flatMap((target, at): Refusal[] => {
      const reach = this.#reachOf(resource, target);
      if (typeof reach !== 'string' || reach === wholeClass) return [];
      const id = reach.slice(reach.indexOf('/') + 1);
      if (target.kind === 'Gateway') {
        const gateway = this.#options.gateways.get(id);
        if (gateway === undefined) return [missing(at, 'Gateway', id)];
        if (isWaypoint(gateway)) return [];
        const message = `Gateway ${id} is of class ${gateway.gatewayClassName}, which is no waypoint`;
        return [{ at, reason: 'TargetNotFound', message, fix: `use the class ${waypointClasses[0]}` }];
      }
      if (!this.#options.services.has(id)) return [missing(at, 'Service', id)];
      if (this.#waypointOf.has(id)) return [];
      const fix = 'label the Service or its namespace ambient.mesh/use-waypoint';
      return [{ at, reason: 'AncestorNotBound', message: `Service ${id} has no waypoint`, fix }];
    });
  }
}

function invalid(message: string, fix: string): Omit<Refusal, 'at'> {
  return { reason: 'Invalid', message, fix };
}

function missing(at: number, kind: 'Service' | 'Gateway', id: string): Refusal {
  const [namespace = '', name = ''] = id.split('/');
  const sought: Sought = { kind, namespace, name, path: ['spec', 'targetRefs', at, 'name'] };
  const message = `${kind} ${id} is not there`;
  return { at, reason: 'TargetNotFound', message, fix: `make it, or name another one`, sought };
}
