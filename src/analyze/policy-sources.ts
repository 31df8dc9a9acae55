// Names in AuthorizationPolicies that nobody has: a rule that was to let somebody in lets nobody in.
import { didYouMean, thereIs } from '../base/nearest-name.ts';
import type { AuthorizationPolicyResource, ResourcePath } from '../model/resources.ts';
import { type AnalyzedMesh, isWaypointPod, type PodLike } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';

/** `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, whole and without a wildcard. */
const principalPattern = /^(?:spiffe:\/\/)?[^/*]+\/ns\/([^/*]+)\/sa\/([^/*]+)$/;

/** A service account that a policy names in full. */
export interface NamedAccount {
  /** `NAMESPACE/NAME`. */
  readonly account: string;
  readonly path: ResourcePath;
}

/** The service accounts that the rules of a policy name in full, by principal or by name. */
export function accountsNamed(policy: AuthorizationPolicyResource): NamedAccount[] {
  const named: NamedAccount[] = [];
  for (const [rule, { from }] of policy.rules.entries()) {
    for (const [source, attributes] of (from ?? []).entries()) {
      const path = ['spec', 'rules', rule, 'from', source, 'source'];
      for (const [at, text] of (attributes['principals'] ?? []).entries()) {
        const [, namespace, account] = principalPattern.exec(text) ?? [];
        if (namespace !== undefined)
          named.push({ account: `${namespace}/${account}`, path: [...path, 'principals', at] });
      }
      for (const [at, text] of (attributes['serviceAccounts'] ?? []).entries()) {
        if (text.includes('*')) continue;
        const account = text.includes('/') ? text : `${policy.namespace}/${text}`;
        named.push({ account, path: [...path, 'serviceAccounts', at] });
      }
    }
  }
  return named;
}

/** Looks at whom each policy names. */
export const policySources: Analyzer = (mesh, report) => {
  const namespaces = mesh.namespaceNames();
  const accounts = accountsOf(mesh);
  const outside = accountsOutside(mesh);
  for (const policy of mesh.of('AuthorizationPolicy')) {
    for (const [rule, { from }] of policy.rules.entries()) {
      for (const [at, attributes] of (from ?? []).entries()) {
        const path = ['spec', 'rules', rule, 'from', at, 'source', 'namespaces'];
        reportNamespaces(policy, attributes['namespaces'] ?? [], path, namespaces, report);
      }
    }
    reportAccounts(policy, accounts, outside, report);
    if (policy.action === 'ALLOW' && policy.rules.length === 0) {
      const message = 'allows nothing, and so refuses everything that no other ALLOW policy allows';
      report(policy, 'AMB1012', ['spec'], message, 'as meant by "allow nothing" it is fine; otherwise add rules');
    }
  }
};

function reportNamespaces(
  policy: AuthorizationPolicyResource,
  names: readonly string[],
  path: (string | number)[],
  known: ReadonlySet<string>,
  report: Report,
): void {
  for (const [at, name] of names.entries()) {
    if (name.includes('*') || known.has(name)) continue;
    const message = `namespace ${name} is not there: nobody comes from it`;
    report(
      policy,
      'AMB1010',
      [...path, at],
      message,
      `create it, or correct the name: ${thereIs(name, known, 'there are')}`,
    );
  }
}

function reportAccounts(
  policy: AuthorizationPolicyResource,
  known: ReadonlySet<string>,
  outside: ReadonlyMap<string, PodLike>,
  report: Report,
): void {
  for (const { account, path } of accountsNamed(policy)) {
    const pod = outside.get(account);
    if (!known.has(account)) {
      const [namespace = '', name = ''] = account.split('/');
      const there = [...known].filter((one) => one.startsWith(`${namespace}/`)).map((one) => one.split('/')[1] ?? '');
      const has = thereIs(name, there, `namespace ${namespace} has`);
      const elsewhere = there.length === 0 ? didYouMean(account, known) : '';
      const message = `no pod runs as ${account}: the rule speaks of nobody`;
      report(policy, 'AMB1011', path, message, `correct the name: ${has}${elsewhere}`);
    } else if (pod !== undefined) {
      const title = `${pod.resource.kind} ${pod.namespace}/${pod.resource.name}`;
      const message = `${account} is the account of pods outside the mesh alone (${title}), which cannot prove it`;
      const outcome = policy.action === 'ALLOW' ? 'they are not let in' : 'they are not kept out';
      const fix = `${outcome} by this rule; label them ambient.mesh/dataplane-mode=ambient, or name their addresses`;
      report(policy, 'AMB1034', path, message, fix);
    }
  }
}

/** `NAMESPACE/NAME` of accounts that exist, or that a pod runs as. */
function accountsOf(mesh: AnalyzedMesh): ReadonlySet<string> {
  const made = mesh.of('ServiceAccount').map(({ namespace, name }) => `${namespace}/${name}`);
  return new Set([...made, ...mesh.pods.map(({ namespace, spec }) => `${namespace}/${spec.serviceAccount}`)]);
}

/** Accounts that pods run as, and no pod of the mesh; with one of those pods. A sidecar of Istio's proves its own. */
function accountsOutside(mesh: AnalyzedMesh): ReadonlyMap<string, PodLike> {
  const outside = new Map<string, PodLike>();
  const keyOf = ({ namespace, spec }: PodLike): string => `${namespace}/${spec.serviceAccount}`;
  for (const pod of mesh.pods) if (!pod.isEnrolled) outside.set(keyOf(pod), pod);
  for (const pod of mesh.pods) if (pod.isEnrolled || isWaypointPod(pod)) outside.delete(keyOf(pod));
  return outside;
}
