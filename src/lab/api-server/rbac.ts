// Who may do what: the Roles, ClusterRoles and bindings of the store, read anew at every question. Simple RBAC: no
// aggregation, and of the roles that every cluster has only what is needed to begin with.
import type { KubeObject } from '../objects.ts';
import type { ObjectStore } from '../store.ts';
import { ApiFailure } from './failure.ts';
import { mastersGroup, type UserInfo } from './users.ts';

const group = 'rbac.authorization.k8s.io';

/** What somebody wants to do: with a resource, or with a path. */
export type Attributes =
  | {
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource: string | null;
      /** Null for all, or for what lives in none. */
      readonly namespace: string | null;
      readonly name: string | null;
      readonly path?: never;
    }
  | { readonly verb: string; readonly path: string };

export interface Rule {
  readonly verbs?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

interface Binding extends KubeObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: { readonly kind: string; readonly name: string };
}

/** What everybody may see, and those who have proven who they are. */
const publicPaths = ['/healthz', '/livez', '/readyz', '/version'];
const discoveryPaths = ['/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*', '/.well-known/*'];
const selfReviews: Rule = {
  verbs: ['create'],
  apiGroups: ['authorization.k8s.io', 'authentication.k8s.io'],
  resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'],
};
const clusterAdmin: readonly Rule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/** Decides by the store. */
export class Rbac {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  isAllowed(user: UserInfo, attributes: Attributes): boolean {
    if (user.groups.includes(mastersGroup)) return true;
    return this.rulesFor(user, attributes.path === undefined ? attributes.namespace : null).some((rule) =>
      matches(rule, attributes),
    );
  }

  /** Throws 403 in the words of the API server. */
  check(user: UserInfo, attributes: Attributes): void {
    if (this.isAllowed(user, attributes)) return;
    const who = `User ${JSON.stringify(user.username)} cannot ${attributes.verb}`;
    if (attributes.path !== undefined) {
      const message = `forbidden: ${who} path ${JSON.stringify(attributes.path)}`;
      throw new ApiFailure(403, 'Forbidden', message, {});
    }
    const { resource, subresource, namespace, name } = attributes;
    const whole = subresource === null ? resource : `${resource}/${subresource}`;
    const title = attributes.group === '' ? resource : `${resource}.${attributes.group}`;
    const named = name === null ? title : `${title} ${JSON.stringify(name)}`;
    const where = namespace === null ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
    const message =
      `${named} is forbidden: ${who} resource ${JSON.stringify(whole)} in API group ` +
      `${JSON.stringify(attributes.group)} ${where}`;
    const details = {
      ...(name === null ? {} : { name }),
      ...(attributes.group === '' ? {} : { group: attributes.group }),
      kind: resource,
    };
    throw new ApiFailure(403, 'Forbidden', message, details);
  }

  /** Rules that hold for a user: those of the cluster, and of a namespace when one is given. */
  rulesFor(user: UserInfo, namespace: string | null): Rule[] {
    const isKnown = user.groups.includes('system:authenticated');
    const everybody: Rule = {
      verbs: ['get'],
      nonResourceURLs: isKnown ? [...publicPaths, ...discoveryPaths] : publicPaths,
    };
    const rules: Rule[] = isKnown ? [everybody, selfReviews] : [everybody];
    for (const binding of this.#store.list<Binding>('ClusterRoleBinding', undefined, group)) {
      if (isBound(binding, user)) rules.push(...this.#rulesOf(binding, ''));
    }
    if (namespace === null) return rules;
    for (const binding of this.#store.list<Binding>('RoleBinding', namespace, group)) {
      if (isBound(binding, user)) rules.push(...this.#rulesOf(binding, namespace));
    }
    return rules;
  }

  #rulesOf({ roleRef }: Binding, namespace: string): readonly Rule[] {
    const isCluster = roleRef.kind === 'ClusterRole';
    const role = this.#store.get(roleRef.kind, isCluster ? '' : namespace, roleRef.name, group);
    if (role === undefined) return isCluster && roleRef.name === 'cluster-admin' ? clusterAdmin : [];
    return (role as { rules?: readonly Rule[] }).rules ?? [];
  }
}

function isBound({ subjects = [], metadata }: Binding, user: UserInfo): boolean {
  return subjects.some((subject) => {
    if (subject.kind === 'User') return subject.name === user.username;
    if (subject.kind === 'Group') return user.groups.includes(subject.name);
    const namespace = subject.namespace ?? metadata.namespace ?? '';
    return subject.kind === 'ServiceAccount' && user.username === `system:serviceaccount:${namespace}:${subject.name}`;
  });
}

function matches(rule: Rule, attributes: Attributes): boolean {
  if (!holds(rule.verbs, attributes.verb)) return false;
  if (attributes.path !== undefined) {
    const { path } = attributes;
    return (rule.nonResourceURLs ?? []).some((each) =>
      each.endsWith('*') ? path.startsWith(each.slice(0, -1)) : path === each,
    );
  }
  if (!holds(rule.apiGroups, attributes.group)) return false;
  const { resource, subresource, name } = attributes;
  const whole = subresource === null ? resource : `${resource}/${subresource}`;
  const isOfResource =
    holds(rule.resources, whole) || (subresource !== null && (rule.resources ?? []).includes(`*/${subresource}`));
  const names = rule.resourceNames ?? [];
  return isOfResource && (names.length === 0 || (name !== null && names.includes(name)));
}

function holds(words: readonly string[] | undefined, word: string): boolean {
  return words !== undefined && (words.includes('*') || words.includes(word));
}
