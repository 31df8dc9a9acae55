// What the controller may do in a cluster, as rules of RBAC. They are made from the tables that its code goes by, so
// that nothing that it reads or writes is forgotten, and nothing is granted that it does not do.
import { kindsWithConditions } from '../../model/conditions.ts';
import { asideKinds, watchedKinds } from './kinds.ts';
import { type WrittenKind, writtenKinds } from './written-kinds.ts';

type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface Permission {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly Verb[];
  /** Only objects of these names. */
  readonly resourceNames?: readonly string[];
}

export interface PermissionNames {
  /** Of the Secret with the issuer. */
  readonly caSecret: string;
  readonly lease: string;
  readonly gatewayClass: string;
}

export interface ClusterNames extends PermissionNames {
  /** Of the ValidatingWebhookConfiguration; '' for none. */
  readonly webhook: string;
}

interface Resource {
  readonly group: string;
  readonly plural: string;
}

/** What an apply takes: it creates what is not there. */
const applying: readonly Verb[] = ['create', 'patch'];

/** In the whole cluster. */
export function clusterPermissions({ gatewayClass, webhook }: ClusterNames): Permission[] {
  const classKind: WrittenKind = 'GatewayClass';
  const known = [...watchedKinds, ...writtenKinds];
  const withConditions = kindsWithConditions.map((kind) => known.find((one) => one.kind === kind)!);
  const isClass = ({ kind }: { readonly kind: string }): boolean => kind === classKind;
  const others = withConditions.filter((one) => !isClass(one));
  const classes = writtenKinds.filter(isClass);
  const own = writtenKinds.filter((one) => !isClass(one));
  const resourceNames = [gatewayClass];
  return [
    ...grants([...watchedKinds, ...asideKinds, ...classes], ['list', 'watch']),
    ...grants(others, ['get']),
    ...grants(others.map(statusOf), ['patch']),
    ...grants(own, ['get', 'list', 'watch']),
    ...grants(own, [...applying, 'delete']),
    // A GatewayClass is one by its name.
    ...grants(classes, ['get', ...applying]).map((one) => ({ ...one, resourceNames })),
    ...grants(classes.map(statusOf), ['patch']).map((one) => ({ ...one, resourceNames })),
    rule('apiextensions.k8s.io', ['customresourcedefinitions'], ['get']),
    rule('authentication.k8s.io', ['tokenreviews'], ['create']),
    rule('events.k8s.io', ['events'], ['get', 'create', 'patch']),
    ...webhookRules(webhook),
  ];
}

/** Whom the API server verifies the webhook by is kept by the leader. */
function webhookRules(name: string): Permission[] {
  if (name === '') return [];
  const all = rule('admissionregistration.k8s.io', ['validatingwebhookconfigurations'], ['get', 'patch']);
  return [{ ...all, resourceNames: [name] }];
}

/** In the system's namespace. A Lease and a Secret cannot be created by name, since they have none before. */
export function systemPermissions({ caSecret, lease }: PermissionNames): Permission[] {
  return [
    rule('coordination.k8s.io', ['leases'], ['create']),
    { ...rule('coordination.k8s.io', ['leases'], ['get', 'update']), resourceNames: [lease] },
    rule('', ['secrets'], ['create']),
    { ...rule('', ['secrets'], ['get']), resourceNames: [caSecret] },
  ];
}

const statusOf = ({ group, plural }: Resource): Resource => ({ group, plural: `${plural}/status` });

/** One rule for each group. */
function grants(resources: readonly Resource[], verbs: readonly Verb[]): Permission[] {
  const groups = Map.groupBy(resources, ({ group }) => group);
  return [...groups].map(([group, all]) => {
    const plurals = all.map(({ plural }) => plural);
    return rule(group, plurals, verbs);
  });
}

function rule(group: string, resources: readonly string[], verbs: readonly Verb[]): Permission {
  return { apiGroups: [group], resources, verbs };
}
